import CDLShims
import Glibc
import Testing

@testable import DLBase

@Suite struct TextTests {
    @Test func shortestNumbers() {
        let cases: [(Double, String)] = [
            (0, "0"), (-0.0, "-0"), (1, "1"), (0.1, "0.1"), (1.0 / 3, "0.3333333333333333"), (1e300, "1e+300"), (.leastNonzeroMagnitude, "5e-324"),
            (.infinity, "inf"), (-.infinity, "-inf"), (.nan, "nan"), (-.nan, "nan"), (0.1 + 0.2, "0.30000000000000004"), (123456789, "123456789"),
        ]
        for (value, text) in cases { #expect(Text.shortest(value) == text) }
        #expect(Text.shortest(Float(0.1)) == "0.1")
        #expect(Text.shortest(Float(16_777_216)) == "16777216")
        #expect(Text.shortest(Float.leastNonzeroMagnitude) == "1e-45")
        #expect(Text.shortest(Float(1) / 3) == "0.33333334")
    }

    @Test func shortestNumbersReadBack() {
        var random = RandomStream(seed: 2)
        for _ in 0..<20_000 {
            let value = Double(bitPattern: random.next())
            if value.isFinite { #expect(Text.double(Text.shortest(value)) == value) }
            let small = Float(bitPattern: UInt32(truncatingIfNeeded: random.next()))
            if small.isFinite { #expect(Text.double(Text.shortest(small)).map { Float($0) } == small) }
        }
    }

    @Test func formats() {
        #expect(Text.fixed(3.14159, decimals: 2) == "3.14")
        #expect(Text.general(1234567, digits: 3) == "1.23e+06")
        #expect(Text.scientific(0.00012345, decimals: 2) == "1.23e-04")
        #expect(Text.fixed(-.greatestFiniteMagnitude, decimals: 400).count == 309 + 1 + 1 + 400)
        #expect(Text.fixed(1, decimals: -7) == "1")
        #expect(Text.fixed(1, decimals: Int.max).count == 402)
    }

    @Test func decimalNumbersOnly() {
        let good: [(String, Double)] = [
            ("0", 0), ("-0", 0), ("+1", 1), ("1.", 1), (".5", 0.5), ("1e5", 1e5), ("1E-5", 1e-5), ("000001", 1), ("0.000000001", 1e-9),
            ("12345678901234567890", 12345678901234567168), ("1e999999999999", .infinity), ("1e-999999999999", 0), ("-1e999", -.infinity),
            ("0e999999", 0), ("0.1", 0.1), ("179769313486231580793e289", .infinity), ("179769313486231570815e288", 1.7976931348623157e308), ("9007199254740993", 9007199254740992),
        ]
        for (text, value) in good { #expect(Text.double(text) == value, "\(text)") }
        for text in ["", "-", "+", ".", "e5", "1e", "1e+", " 1", "1 ", "0x10", "inf", "nan", "1,5", "1_000", "--1", "1.2.3", "1e5.5", "１"] {
            #expect(Text.double(text) == nil, "\(text)")
        }
        let long = "0." + String(repeating: "1", count: 5000)
        #expect(Text.double(long) == 0.1111111111111111111)
    }

    @Test func readingAgreesWithTheStandardLibrary() {
        var random = RandomStream(seed: 9)
        for _ in 0..<50_000 {
            var text = random.below(2) == 0 ? "-" : ""
            for _ in 0...random.below(22) { text += String(random.below(10)) }
            if random.below(2) == 0 { text += "." + String(random.below(1_000_000_000)) }
            if random.below(2) == 0 { text += "e" + String(random.below(660) - 330) }
            #expect(Text.double(text) == Double(text), "\(text)")
        }
    }

    @Test func aCommaLocaleChangesNothing() async {
        await #expect(processExitsWith: .success) {
            // Where the machine has no such locale the test still shows that the plain one works.
            for name in ["de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8"] where setlocale(LC_ALL, name) != nil { break }
            expectInProcess(Text.fixed(1.5, decimals: 1) == "1.5", "formatting")
            expectInProcess(Text.double("1.5e-30") == 1.5e-30, "reading")
            expectInProcess(Text.shortest(0.1) == "0.1", "shortest")
        }
    }
}

@Suite struct EnvironmentTests {
    @Test func environment() {
        setenv("DL_TEST_LIST", "kernels,graph", 1)
        #expect(Environment.variable("DL_TEST_LIST") == "kernels,graph")
        #expect(Environment.list("DL_TEST_LIST", contains: "graph"))
        #expect(!Environment.list("DL_TEST_LIST", contains: "grap"))
        #expect(Environment.variable("DL_TEST_MISSING") == nil)
        #expect(Environment.describe(errno: ENOENT) == "No such file or directory")
        #expect(Environment.describe(errno: 99_999) == "Unknown error 99999")
        let before = Environment.seconds
        #expect(Environment.seconds >= before)
        #expect(Environment.wallSeconds > 1.7e9)
        #expect(!Environment.processorName.isEmpty)
        #expect((0...2).contains(dl_processor_level()))
        #expect((dl_processor_level() >= 1) == (Environment.processorFeatures.contains("avx2") && Environment.processorFeatures.contains("fma")))
    }
}
