import CPictures
import DLBase

/// Checksums by which downloaded files are known.
package enum FileHash: String, Sendable, CaseIterable {
    case sha256
    case md5

    /// Of a file, in hexadecimal digits. Memory use does not depend on the file.
    package func digest(_ path: String) throws -> String {
        let file = try FileReader(path)
        var state = HashState(self)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 64)
        defer { buffer.deallocate() }
        var place = 0
        while file.size - place >= 64 {
            let count = min(buffer.count, (file.size - place) / 64 * 64)
            try file.read(at: place, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<count]))
            for block in stride(from: 0, to: count, by: 64) { state.add(UnsafeRawBufferPointer(rebasing: buffer[block..<block + 64])) }
            place += count
        }
        // The rest, a one, zeros, and the length in bits: one block or two.
        let rest = file.size - place
        let last = rest < 56 ? 64 : 128
        let tail = UnsafeMutableRawBufferPointer(rebasing: buffer[..<last])
        try file.read(at: place, into: UnsafeMutableRawBufferPointer(rebasing: tail[..<rest]))
        for at in rest..<last { tail[at] = 0 }
        tail[rest] = 0x80
        let bits = UInt64(file.size) << 3
        for at in 0..<8 { tail[last - 8 + at] = UInt8(truncatingIfNeeded: bits >> UInt64(self == .sha256 ? 56 - 8 * at : 8 * at)) }
        for block in stride(from: 0, to: last, by: 64) { state.add(UnsafeRawBufferPointer(rebasing: tail[block..<block + 64])) }
        return state.digits
    }
}

/// Both take blocks of 64 bytes into a few words of 32 bits.
private struct HashState {
    private let kind: FileHash
    private var words: [UInt32]
    private let constants: [UInt32]

    init(_ kind: FileHash) {
        self.kind = kind
        switch kind {
        case .sha256:
            // FIPS 180-4: the first bits of the square roots, and of the cube roots, of the first primes after the point.
            let primes = HashState.primes
            words = primes.prefix(8).map { HashState.fraction(Double($0).squareRoot()) }
            constants = primes.map { HashState.cubeRootFraction($0) }
        case .md5:
            words = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476]
            constants = HashState.sines
        }
    }

    var digits: String {
        words.map { word in
            let word = kind == .md5 ? word.byteSwapped : word
            let text = String(word, radix: 16)
            return String(repeating: "0", count: 8 - text.count) + text
        }.joined()
    }

    mutating func add(_ block: UnsafeRawBufferPointer) { kind == .sha256 ? addSHA256(block) : addMD5(block) }

    private mutating func addSHA256(_ block: UnsafeRawBufferPointer) {
        func turned(_ x: UInt32, _ by: UInt32) -> UInt32 { x >> by | x << (32 - by) }
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 64) { schedule in
            for at in 0..<16 { schedule[at] = UInt32(bigEndian: block.loadUnaligned(fromByteOffset: 4 * at, as: UInt32.self)) }
            for at in 16..<64 {
                let a = schedule[at - 15], b = schedule[at - 2]
                let low = turned(a, 7) ^ turned(a, 18) ^ a >> 3, high = turned(b, 17) ^ turned(b, 19) ^ b >> 10
                schedule[at] = schedule[at - 16] &+ low &+ schedule[at - 7] &+ high
            }
            var (a, b, c, d) = (words[0], words[1], words[2], words[3])
            var (e, f, g, h) = (words[4], words[5], words[6], words[7])
            for at in 0..<64 {
                let choice = e & f ^ ~e & g, majority = a & b ^ a & c ^ b & c
                let first = h &+ (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) &+ choice &+ constants[at] &+ schedule[at]
                let second = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) &+ majority
                (h, g, f, e, d, c, b, a) = (g, f, e, d &+ first, c, b, a, first &+ second)
            }
            words[0] &+= a
            words[1] &+= b
            words[2] &+= c
            words[3] &+= d
            words[4] &+= e
            words[5] &+= f
            words[6] &+= g
            words[7] &+= h
        }
    }

    /// RFC 1321.
    private mutating func addMD5(_ block: UnsafeRawBufferPointer) {
        var (a, b, c, d) = (words[0], words[1], words[2], words[3])
        for at in 0..<64 {
            let mixed: UInt32, place: Int
            switch at / 16 {
            case 0: (mixed, place) = (b & c | ~b & d, at)
            case 1: (mixed, place) = (d & b | ~d & c, 5 * at + 1)
            case 2: (mixed, place) = (b ^ c ^ d, 3 * at + 5)
            default: (mixed, place) = (c ^ (b | ~d), 7 * at)
            }
            let word = UInt32(littleEndian: block.loadUnaligned(fromByteOffset: 4 * (place % 16), as: UInt32.self))
            let sum = a &+ mixed &+ constants[at] &+ word, by = HashState.turns[at / 16 * 4 + at % 4]
            (a, d, c, b) = (d, c, b, b &+ (sum << by | sum >> (32 - by)))
        }
        words[0] &+= a
        words[1] &+= b
        words[2] &+= c
        words[3] &+= d
    }

    // MARK: Constants

    private static let turns: [UInt32] = [7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21]

    private static let primes: [Int] = (2...311).filter { number in !(2..<number).contains { number % $0 == 0 } }

    private static func fraction(_ x: Double) -> UInt32 {
        UInt32(truncatingIfNeeded: Int((x - x.rounded(.down)) * 4_294_967_296))
    }

    /// The largest whole number whose cube is at most prime * 2^96, without its whole part.
    private static func cubeRootFraction(_ prime: Int) -> UInt32 {
        var low = 0, high = 1 << 36
        while high - low > 1 {
            let middle = (low + high) / 2
            let square = middle.multipliedFullWidth(by: middle)
            // (high, low) * middle compared with prime * 2^96, whose low 64 bits are zero.
            let lower = square.low.multipliedFullWidth(by: UInt(middle))
            let upper = UInt(bitPattern: square.high).multipliedFullWidth(by: UInt(middle))
            let (sum, carry) = upper.low.addingReportingOverflow(lower.high)
            let top = upper.high + (carry ? 1 : 0)
            if top == 0, sum < UInt(prime) << 32 { low = middle } else { high = middle }
        }
        return UInt32(truncatingIfNeeded: low)
    }

    /// |sin(n)| * 2^32 for n from 1 to 64.
    private static let sines: [UInt32] = (1...64).map { UInt32(Swift.abs(dl_picture_sine(Double($0))) * 4_294_967_296) }
}
