import Testing

@testable import DLBase

@Suite struct JSONTests {
    static let texts: [(String, JSON)] = [
        ("null", JSON.null), (" true ", true), ("false", false), ("0", 0), ("-0", 0), ("-12", -12),
        ("9223372036854775807", .int(.max)), ("-9223372036854775808", .int(.min)),
        ("9223372036854775808", .double(9223372036854775808)), ("1.0", .double(1)), ("1e3", .double(1000)),
        ("-1.5E-3", .double(-0.0015)), ("0.1", .double(0.1)), ("1e400", .double(.infinity)), ("1e-400", .double(0)),
        ("Infinity", .double(.infinity)), ("-Infinity", .double(-.infinity)),
        ("\"\"", ""), ("\"a\\n\\t\\\"\\\\\\/\\b\\f\\r\"", "a\n\t\"\\/\u{8}\u{C}\r"), ("\"\\u00e9\\u4e2d\"", "é中"),
        ("\"\\ud83d\\ude00\"", "😀"), ("\"é中😀\"", "é中😀"), ("\"\\u0000\"", "\0"),
        ("[]", []), ("[ ]", []), ("[1,[2],{}]", [1, [2], [:]]), ("{}", [:]), ("{ \"a\" : 1 , \"b\":[ ] }", ["a": 1, "b": []]),
        ("\u{FEFF}1", 1),
    ]

    @Test(arguments: texts)
    func values(text: String, value: JSON) throws { #expect(try JSON(parsing: text) == value) }

    @Test func notANumber() throws {
        #expect(try JSON(parsing: "NaN").doubleValue?.isNaN == true)
        #expect(try JSON(parsing: "-0.0").doubleValue?.sign == .minus)
    }

    @Test(arguments: [
        "", " ", "nul", "nulll", "True", "tru", "-", "+1", "01", "-01", "1.", ".5", "1.e3", "1e", "1e+", "0x10", "--1", "- 1",
        "\"", "\"a", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\ud800\"", "\"\\ud800\\n\"", "\"\\ud800\\ud800\"",
        "\"\\ude00\"", "\"\\ud83d\\u0041\"", "\"\n\"", "\"\t\"", "\"\0\"", "'a'", "[", "[1", "[1,", "[,1]", "[1,]", "[1 2]", "]", "[1}",
        "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}", "{a:1}", "{1:1}", "{\"a\" 1}", "{,}", "1 2", "{} []", "1,", "nan",
        "inf", "-Inf", "-NaN", "/* */1", "1//", "\0", "[\0]", "Infinit", "-Infinit",
    ])
    func hostileTextsAreRefused(text: String) {
        let error = #expect(throws: DLError.self) { _ = try JSON(parsing: text) }
        #expect(error?.code == .format)
        #expect(error?.message.contains("\n") == false)
    }

    @Test func invalidUTF8IsRefused() {
        for bytes in [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xE2, 0x82], [0x80]] as [[UInt8]] {
            #expect(throws: DLError.self, "\(bytes)") { _ = try JSON(parsing: [0x22] + bytes + [0x22]) }
            #expect(throws: DLError.self, "\(bytes)") { _ = try JSON(parsing: [0x22, 0x5C, 0x6E] + bytes + [0x22]) }
            #expect(throws: DLError.self, "\(bytes)") { _ = try JSON(parsing: bytes) }
        }
        #expect(throws: DLError.self) { _ = try JSON(parsing: UnsafeRawBufferPointer(start: nil, count: 0)) }
    }

    @Test func placesInMessages() {
        let error = #expect(throws: DLError.self) { _ = try JSON(parsing: "{\"é\": 1,\n  \"b\" 2}") }
        #expect(error?.message == "JSON, line 2, column 7 (byte 16): ':' expected. Received: '2}'")
        let end = #expect(throws: DLError.self) { _ = try JSON(parsing: "[1") }
        #expect(end?.message == "JSON, line 1, column 3 (byte 2): ',' or ']' expected. Received: the end of the text")
    }

    @Test func depthIsLimited() throws {
        func nested(_ depth: Int) -> String { String(repeating: "[", count: depth) + String(repeating: "]", count: depth) }
        let deepest = try JSON(parsing: nested(JSON.maximumDepth))
        #expect(try deepest.serialized() == nested(JSON.maximumDepth))
        #expect(throws: DLError.self) { _ = try JSON(parsing: nested(JSON.maximumDepth + 1)) }
        #expect(throws: DLError.self) { _ = try JSON(parsing: String(repeating: "{\"a\":", count: 1_000_000)) }
        #expect(throws: DLError.self) { _ = try JSON(parsing: String(repeating: "[", count: 1_000_000)) }
        #expect(throws: DLError.self) { _ = try JSON.array([deepest]).serialized() }
    }

    @Test func objectsKeepTheirOrderAndTheLastOfEqualKeys() throws {
        let object = try #require(try JSON(parsing: #"{"b":1,"a":2,"b":3,"c":4}"#).objectValue)
        #expect(object.keys == ["b", "a", "c"])
        #expect(object["b"] == 3)
        #expect(object["missing"] == nil)
        #expect(try JSON(parsing: #"{"a":1,"b":2}"#) == JSON(parsing: #"{"b":2,"a":1}"#))
        #expect(try JSON(parsing: #"{"a":1}"#) != JSON(parsing: #"{"a":1,"b":2}"#))
    }

    @Test func manyKeys() throws {
        let text = "{" + (0..<50_000).map { "\"k\($0 % 40_000)\":\($0)" }.joined(separator: ",") + "}"
        var object = try #require(try JSON(parsing: text).objectValue)
        #expect(object.count == 40_000)
        #expect(object["k5"] == 40_005)
        #expect(object["k20000"] == 20_000)
        object["k5"] = nil
        #expect(object.count == 39_999 && object["k5"] == nil && object["k39999"] == 39_999)
        var few = JSONObject()
        for key in 0..<20 { few["\(key)"] = .int(Int64(key)) }
        for key in 0..<15 { few["\(key)"] = nil }
        #expect(few.keys == ["15", "16", "17", "18", "19"] && few["17"] == 17)
    }

    @Test func serializing() throws {
        let value: JSON = ["name": "a\"\\\n\u{1}é\u{7F}", "n": 3, "x": 0.5, "w": 1.0, "list": [1, [], [:], nil], "t": true]
        #expect(try value.serialized() == #"{"name":"a\"\\\n\u0001é\u007f","n":3,"x":0.5,"w":1.0,"list":[1,[],{},null],"t":true}"#)
        #expect(try JSON(parsing: value.serialized()) == value)
        #expect(try JSON(parsing: value.serialized(pretty: true)) == value)
        #expect(try (["a": [1, 2], "b": [:]] as JSON).serialized(pretty: true) == "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": {}\n}")
        #expect(try JSON.array([.double(.nan), .double(.infinity), .double(-.infinity)]).serialized() == "[NaN,Infinity,-Infinity]")
    }

    @Test func numbersSurviveTheRoundTrip() throws {
        var random = RandomStream(seed: 11)
        for _ in 0..<20_000 {
            let value = Double(bitPattern: random.next())
            if !value.isFinite { continue }
            let back = try JSON(parsing: JSON.double(value).serialized())
            #expect(back == .double(value))
        }
        for _ in 0..<1000 {
            let value = Int64(bitPattern: random.next())
            #expect(try JSON(parsing: JSON.int(value).serialized()) == .int(value))
        }
    }

    @Test func mutatedTextsNeverCrash() throws {
        let text = Array(#"{"class_name":"Conv2D","config":{"filters":32,"k":[3,3],"x":-1.5e-7,"s":"a\u00e9\ud83d\ude00","n":null,"b":[true,false,NaN]}}"#.utf8)
        var random = RandomStream(seed: 5)
        var good = 0
        for _ in 0..<30_000 {
            var mutant = text
            for _ in 0...random.below(4) {
                switch random.below(3) {
                case 0: mutant[random.below(mutant.count)] = UInt8(truncatingIfNeeded: random.next())
                case 1: mutant.remove(at: random.below(mutant.count))
                default: mutant = Array(mutant[..<random.below(mutant.count)]) + mutant.suffix(random.below(mutant.count))
                }
                if mutant.isEmpty { mutant = text }
            }
            guard let value = try? JSON(parsing: mutant) else { continue }
            good += 1
            let again = try value.serialized()
            #expect(try JSON(parsing: again).serialized() == again)
        }
        #expect(good > 0)
    }

    @Test func accessors() {
        let value: JSON = ["i": 3, "d": 3.0, "x": 3.5, "s": "t", "b": true, "n": nil]
        #expect(value["i"]?.intValue == 3 && value["d"]?.intValue == 3 && value["x"]?.intValue == nil)
        #expect(value["i"]?.doubleValue == 3 && value["s"]?.stringValue == "t" && value["b"]?.boolValue == true)
        #expect(value["n"]?.isNull == true && value["missing"] == nil && JSON.null["x"] == nil)
        #expect(JSON.double(1e300).intValue == nil && JSON.double(.nan).intValue == nil)
    }
}
