import DLBase
import DLTensor
import DLTestSupport
import Testing

@testable import DLData

@Suite struct CSVTests {
    private func read(_ text: String, _ options: JSON = .null) throws -> CSVTable {
        let folder = TemporaryFolder()
        return try CSV.read(folder.write(text, "a.csv"), options: options)
    }

    private func message(_ text: String, _ options: JSON = .null, _ code: DLError.Code = .format) -> String {
        let error = failure { _ = try read(text, options) }
        #expect(error?.code == code, "\(error?.message ?? "no error")")
        return error?.message ?? "no error"
    }

    @Test func plainTables() throws {
        let table = try read("a,b,c\n1,2,3\n4,5,6\n")
        #expect(table.names == ["a", "b", "c"] && table.tensor.type == .float32)
        #expect(table.tensor.shape == [2, 3] && table.tensor.numbers == [1, 2, 3, 4, 5, 6])
        let bare = try read("1,2\n3,4")
        #expect(bare.names == [] && bare.tensor.shape == [2, 2] && bare.tensor.numbers == [1, 2, 3, 4])
        #expect(try read("\u{FEFF}x\r\n1\r\n\r\n2\r\n").names == ["x"])
        #expect(try read("1\r2\r3").tensor.shape == [3, 1])
        #expect(try read("7").tensor.numbers == [7])
        #expect(try read("a,b\n", ["header": true]).tensor.shape == [0, 2])
        #expect(try read(" 1 ,\t2\n").tensor.numbers == [1, 2])
    }

    @Test func quotes() throws {
        let table = try read("\"the \"\"first\"\"\",\"b,\nb\" ,c\r\n\"1\",\"2\"  ,3\r\n")
        #expect(table.names == ["the \"first\"", "b,\nb", "c"] && table.tensor.numbers == [1, 2, 3])
        #expect(message("a,b\n1,\"2\n3,4\n").contains("line 2, the quote that opens field 2 is not closed"))
        #expect(message("a,b\n1,\"2\"x\n").contains("line 2, text follows the quote that closes field 2"))
        // The line of what comes after a line break inside quotes.
        #expect(message("\"a\nb\",c\n1,x\n").contains("line 3, field 2 (\"c\") must be a number. Received: 'x'"))
    }

    @Test func theHeaderIsRecognised() throws {
        #expect(try read("x,label\n1,R\n", ["columns": ["x"]]).tensor.numbers == [1])
        // No column says that the first row differs in kind from the second.
        let sonar = try read("0.1,R\n0.2,M\n", ["columns": [0]])
        #expect(sonar.names == [] && sonar.tensor.shape == [2, 1])
        #expect(try read("1,2\n3,4\n", ["header": true]).names == ["1", "2"])
        #expect(message("a\n1\n", ["header": false]).contains("line 1, field 1 must be a number. Received: 'a'"))
    }

    @Test func options() throws {
        let text = "# made by hand\nname;a;b\nx;1,5;2\n"
        #expect(try read(text, ["delimiter": ";", "skip_rows": 1, "columns": ["b"]]).tensor.numbers == [2])
        #expect(try read("a,b,c\n1,2,3\n", ["columns": [-1, 0, "b", 0]]).tensor.numbers == [3, 1, 2, 1])
        #expect(try read("a,b,c\n1,2,3\n", ["columns": [-1, 0]]).names == ["c", "a"])
        #expect(try read("1\t2\n", ["delimiter": "\t", "dtype": "int64"]).tensor.type == .int64)
        #expect(try read("1,2\n", ["columns": []]).tensor.shape == [1, 0])
        #expect(message("1\n", ["skip_rows": Int64(Int.max).json]).contains("no rows"))
        #expect(message("", nil).contains("no rows") && message("\n\n").contains("no rows"))
    }

    @Test func optionsThatDoNotHold() {
        #expect(message("a\n1\n", ["colums": [0]], .argument).contains("did you mean 'columns'?"))
        #expect(message("price,b\n1,2\n", ["columns": ["prize"]], .argument).contains("did you mean 'price'?"))
        #expect(message("1,2\n", ["columns": ["a"]], .argument).contains("which has no header"))
        for position: JSON in [2, -3, .int(.max), .int(.min)] {
            #expect(message("1,2\n", ["columns": [position]], .argument).contains("there is no column"))
        }
        #expect(message("1\n", ["columns": [true]], .argument).contains("a list of names and positions"))
        for delimiter: JSON in ["", ",,", "\"", "\n", "5", "-", "é", "\0"] {
            #expect(message("1\n", ["delimiter": delimiter], .argument).contains("'delimiter' must be one ASCII character"))
        }
        #expect(message("1\n", ["dtype": "complex64"], .argument).contains("a dtype"))
        #expect(message("1\n", ["skip_rows": -1], .argument).contains("skip_rows"))
        #expect(message("1\n", ["missing": "nan", "dtype": "int32"], .argument).contains("no NaN in int32"))
        #expect(failure { _ = try CSV.read("/tmp/no/such/file.csv") }?.code == .notFound)
    }

    @Test func numbersInAllForms() throws {
        let texts = [
            "0", "-0.0", "1.", ".5", "+3", "1e3", "1E-3", "-2.5e+02", "123456789012345", "1234567890123456789", "0.1", "1e400",
            "-1e400", "1e-400", "0.30000000000000004", "179769313486231570000e289", "NaN", "-inf", "Infinity",
            "000000000000000000000000000001.5", "9007199254740993",
        ]
        let numbers = try read(texts.joined(separator: "\n"), ["dtype": "float64"]).tensor.array(Double.self)
        for (text, number) in zip(texts, numbers) {
            let expected = Double(text.hasSuffix(".") ? text + "0" : text.hasPrefix(".") ? "0" + text : text) ?? .nan
            #expect(number == expected || number.isNaN && expected.isNaN, "\(text) \(number)")
        }
        for text in ["abc", "1,5", "1 2", "0x10", "--1", "1e", ".", "-", "1_000", "nanx", "infi"] {
            #expect(message("\"\(text)\"", ["header": false]).contains("must be a number"), "\(text)")
        }
    }

    @Test func randomNumbersReadAsSwiftReadsThem() throws {
        var random = RandomStream(seed: 1)
        let numbers = (0..<5000).map { _ in
            let digits = String(random.below(1_000_000_000))
            let cut = random.below(digits.count + 1)
            return (random.below(2) == 0 ? "-" : "") + "0" + digits.prefix(cut) + "." + digits.dropFirst(cut) + "5"
        }
        let read = try read(numbers.joined(separator: "\n"), ["dtype": "float64"]).tensor.array(Double.self)
        #expect(read == numbers.compactMap(Double.init))
    }

    @Test func wholeNumbers() throws {
        func value(_ text: String, _ type: String) throws -> [Double] {
            try read(text, ["dtype": .string(type), "header": false]).tensor.numbers
        }
        #expect(try read("9223372036854775807\n-9223372036854775808", ["dtype": "int64"]).tensor.array(Int64.self) == [.max, .min])
        #expect(try value("3.0\n1e3", "int32") == [3, 1000])
        #expect(try value("255\n0", "uint8") == [255, 0])
        #expect(try value("1\nfalse\nTRUE", "bool") == [1, 0, 1])
        for (text, type) in [
            ("1.5", "int32"), ("256", "uint8"), ("-1", "uint8"), ("2147483648", "int32"), ("9223372036854775808", "int64"),
            ("nan", "int64"), ("2", "bool"), ("", "int32"), ("1e300", "int64"),
        ] {
            #expect(message("0\n\"\(text)\"", ["dtype": .string(type), "header": false]).contains("line 2, field 1 must be"), "\(text)")
        }
    }

    @Test func missingValues() throws {
        let text = "a,b\n1,\nNA,2\n"
        #expect(message(text).contains("line 2, field 2 (\"b\") must be a number. Received: ''; with missing = \"nan\""))
        let numbers = try read(text, ["missing": "nan"]).tensor.numbers
        #expect(numbers[0] == 1 && numbers[1].isNaN && numbers[2].isNaN && numbers[3] == 2)
    }

    @Test func raggedRows() {
        #expect(message("a,b\n1,2\n3\n").contains("line 3, 1 fields where the first row has 2"))
        #expect(message("a,b\n1,2,\n").contains("line 2, 3 fields"))
        #expect(message("a,b\n1,x\n").contains("'columns' says which columns"))
    }

    @Test func everyTruncationAndDamage() throws {
        let folder = TemporaryFolder()
        let bytes = Array("\"a\",\"b \"\"x\"\"\"\r\n1,-2.5e3\r\n\"3\",4\n\n5,nan\n".utf8)
        for length in 0..<bytes.count {
            let path = try folder.write(Array(bytes[..<length]), "cut")
            if let error = failure({ _ = try CSV.read(path) }) { #expect(error.code == .format, "\(length): \(error)") }
        }
        var random = RandomStream(seed: 2)
        for round in 0..<4000 {
            let path = try folder.write(damaged(bytes, &random), "damaged")
            let options: JSON = round % 2 == 0 ? .null : ["dtype": "int64", "header": true, "columns": [-1]]
            if let error = failure({ _ = try CSV.read(path, options: options) }) {
                #expect(error.code == .format || error.code == .argument, "\(round): \(error)")
            }
        }
    }
}

extension Int64 {
    fileprivate var json: JSON { .int(self) }
}
