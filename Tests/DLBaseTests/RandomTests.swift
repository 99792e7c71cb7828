import Testing

@testable import DLBase

@Suite struct RandomTests {
    /// Known answers from the Random123 distribution (kat_vectors, philox4x32 with 10 rounds).
    @Test func philoxKnownAnswers() {
        #expect(
            Philox.block(counter: SIMD4(0, 0, 0, 0), key: SIMD2(0, 0))
                == SIMD4(0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8))
        let ones = UInt32.max
        #expect(
            Philox.block(counter: SIMD4(ones, ones, ones, ones), key: SIMD2(ones, ones))
                == SIMD4(0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD))
        #expect(
            Philox.block(counter: SIMD4(0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344), key: SIMD2(0xA409_3822, 0x299F_31D0))
                == SIMD4(0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1))
    }

    /// From Vigna's reference implementation, seed 1234567.
    @Test func splitMixKnownAnswers() {
        var mixer = SplitMix(seed: 1_234_567)
        let expected: [UInt64] = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        for value in expected { #expect(mixer.next() == value) }
    }

    @Test func streams() {
        var a = RandomStream(seed: 1)
        var b = RandomStream(seed: 1)
        var c = RandomStream(seed: 1, stream: 1)
        var d = RandomStream(seed: 2)
        let first = (0..<100).map { _ in a.next() }
        #expect(first == (0..<100).map { _ in b.next() })
        #expect(Set(first + (0..<100).map { _ in c.next() } + (0..<100).map { _ in d.next() }).count == 300)
        let words = Philox.block(counter: SIMD4(1, 0, 0, 0), key: SIMD2(1, 0))
        #expect(first[2] == UInt64(words.y) << 32 | UInt64(words.x))
    }

    @Test func uniformNumbers() {
        var random = RandomStream(seed: 3)
        var sum = 0.0
        for _ in 0..<100_000 {
            let value = random.uniform()
            #expect(value >= 0 && value < 1)
            sum += value
        }
        #expect(abs(sum / 100_000 - 0.5) < 0.005)
    }

    @Test func belowIsEven() {
        var random = RandomStream(seed: 4)
        var counts = [Int](repeating: 0, count: 7)
        for _ in 0..<70_000 { counts[random.below(7)] += 1 }
        for count in counts { #expect(abs(count - 10_000) < 500) }
        #expect(random.below(1) == 0 && random.below(0) == 0 && random.below(-4) == 0)
        // Two thirds of the range of 64 bits: a biased method would show.
        let bound = Int.max / 3 * 2
        var low = 0
        for _ in 0..<20_000 where random.below(bound) < bound / 2 { low += 1 }
        #expect(abs(low - 10_000) < 500)
    }

    @Test func permutations() {
        var random = RandomStream(seed: 5)
        #expect(random.permutation(0).isEmpty && random.permutation(-1).isEmpty && random.permutation(1) == [0])
        let order = random.permutation(1000)
        #expect(order.sorted() == Array(0..<1000) && order != Array(0..<1000))
        var places = [Int](repeating: 0, count: 6)
        for _ in 0..<12_000 {
            let p = random.permutation(3)
            places[p[0] * 2 + (p[1] > p[2] ? 1 : 0)] += 1
        }
        for count in places { #expect(abs(count - 2000) < 250) }
    }

    @Test func theGlobalSeedRepeats() async {
        await #expect(processExitsWith: .success) {
            let unseeded = (GlobalRandom.nextSeed(), GlobalRandom.nextSeed())
            expectInProcess(unseeded.0 != unseeded.1, "differ")
            GlobalRandom.seed(42)
            let first = (0..<1000).map { _ in GlobalRandom.nextSeed() }
            GlobalRandom.seed(42)
            expectInProcess(first == (0..<1000).map { _ in GlobalRandom.nextSeed() }, "repeat")
            expectInProcess(Set(first).count == 1000, "all different")
            GlobalRandom.seed(43)
            expectInProcess(!first.contains(GlobalRandom.nextSeed()), "another seed")
        }
    }
}
