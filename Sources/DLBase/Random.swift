import CDLShims
import Synchronization

/// Philox4x32-10: 128 random bits as a pure function of a 128-bit counter and a 64-bit key (Salmon, Moraes, Dror, Shaw,
/// "Parallel random numbers: as easy as 1, 2, 3", SC 2011). Numbers that are keyed by seed and position come out
/// the same in any order and on any thread.
package enum Philox {
    package static func block(counter: SIMD4<UInt32>, key: SIMD2<UInt32>) -> SIMD4<UInt32> {
        var c = counter
        var k = key
        for _ in 0..<10 {
            let a = UInt64(c.x) &* 0xD251_1F53
            let b = UInt64(c.z) &* 0xCD9E_8D57
            c = SIMD4(
                UInt32(truncatingIfNeeded: b >> 32) ^ c.y ^ k.x, UInt32(truncatingIfNeeded: b),
                UInt32(truncatingIfNeeded: a >> 32) ^ c.w ^ k.y, UInt32(truncatingIfNeeded: a))
            k &+= SIMD2(0x9E37_79B9, 0xBB67_AE85)
        }
        return c
    }
}

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): spreads the bits of small or similar seeds.
package struct SplitMix: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// A stream of random numbers: the blocks of Philox whose key is the seed, whose counter's upper half is the stream
/// and whose lower half counts from 0. For shuffling and the like; kernels fill tensors by the same rule.
package struct RandomStream: RandomNumberGenerator, Sendable {
    package let seed: UInt64
    package let stream: UInt64
    private var position: UInt64 = 0
    private var spare: UInt64?

    package init(seed: UInt64, stream: UInt64 = 0) {
        self.seed = seed
        self.stream = stream
    }

    /// Where the stream is, for one that goes on later.
    package var text: String {
        ([seed, stream, position] + (spare.map { [$0] } ?? [])).map { String($0, radix: 16) }.joined(separator: " ")
    }

    package init?(text: String) {
        let numbers = text.split(separator: " ").compactMap { UInt64($0, radix: 16) }
        guard numbers.count == 3 || numbers.count == 4 else { return nil }
        self.init(seed: numbers[0], stream: numbers[1])
        position = numbers[2]
        if numbers.count == 4 { spare = numbers[3] }
    }

    package mutating func next() -> UInt64 {
        if let value = spare {
            spare = nil
            return value
        }
        let words = Philox.block(
            counter: SIMD4(
                UInt32(truncatingIfNeeded: position), UInt32(truncatingIfNeeded: position >> 32),
                UInt32(truncatingIfNeeded: stream), UInt32(truncatingIfNeeded: stream >> 32)),
            key: SIMD2(UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32)))
        position &+= 1
        spare = UInt64(words.w) << 32 | UInt64(words.z)
        return UInt64(words.y) << 32 | UInt64(words.x)
    }

    /// Uniform in [0, 1), a multiple of 2^-53.
    package mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// Uniform in `0 ..< bound`, without bias (Lemire, "Fast random integer generation in an interval", 2019);
    /// 0 for a bound below 1.
    package mutating func below(_ bound: Int) -> Int {
        guard bound > 0 else { return 0 }
        let n = UInt64(bound)
        var product = next().multipliedFullWidth(by: n)
        if product.low < n {
            let threshold = (0 &- n) % n
            while product.low < threshold { product = next().multipliedFullWidth(by: n) }
        }
        return Int(product.high)
    }

    /// The numbers `0 ..< count` in random order (Fisher and Yates); none for a count below 1.
    package mutating func permutation(_ count: Int) -> [Int] {
        guard count > 0 else { return [] }
        var order = Array(0..<count)
        var last = count - 1
        while last > 0 {
            order.swapAt(last, below(last + 1))
            last -= 1
        }
        return order
    }
}

/// Where unseeded random operations get their seeds from: one seed for the process, set by `dl.set_random_seed`, and a
/// number that counts the draws.
package enum GlobalRandom {
    private struct State: Sendable {
        var seed: UInt64
        var draws: UInt64
    }

    private static let state = Mutex<State?>(nil)

    /// From here on the draws repeat those that followed the same seed before.
    package static func seed(_ seed: UInt64) { state.withLock { $0 = State(seed: seed, draws: 0) } }

    /// A seed for one random operation or initializer; each call gives another one. Before the first `seed` the
    /// sequence starts from the system's random source.
    package static func nextSeed() -> UInt64 {
        state.withLock { state in
            var current = state ?? State(seed: dl_system_entropy(), draws: 0)
            defer { state = current }
            var mixer = SplitMix(seed: current.seed)
            let base = mixer.next()
            current.draws &+= 1
            var draw = SplitMix(seed: base &+ current.draws)
            return draw.next()
        }
    }

    /// A stream of its own for one use.
    package static func nextStream() -> RandomStream { RandomStream(seed: nextSeed()) }
}
