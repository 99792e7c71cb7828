import DLBase
import DLTensor

/// The numbers of the golden files, by the rule of fixtures/interchange/make_rule.py.
package func sample(_ type: ElementType, _ shape: Shape, unsigned: Bool = false) throws -> Tensor {
    let tensor = try Tensor(zeros: shape, type)
    for i in 0..<tensor.count {
        switch type {
        case .bool: tensor.setNumber(Double(i % 2), at: i)
        case .float32, .float64: tensor.setNumber(Double(i - 3) / 4, at: i)
        case .uint8: tensor.setNumber(Double(i), at: i)
        default: tensor.setNumber(Double(unsigned ? i : i - 3), at: i)
        }
    }
    return tensor
}

package func same(_ a: Tensor?, _ b: Tensor) -> Bool {
    guard let a else { return false }
    return a.type == b.type && a.shape == b.shape && a.numbers == b.numbers
}

/// Changes `bytes` in a few places, reproducibly: flips, cuts, insertions, and 4 or 8 bytes set to an extreme.
package func damaged(_ bytes: [UInt8], _ random: inout RandomStream) -> [UInt8] {
    var bytes = bytes
    for _ in 0...random.below(3) {
        guard !bytes.isEmpty else { return bytes }
        let at = random.below(bytes.count)
        switch random.below(6) {
        case 0: bytes[at] ^= 1 << UInt8(random.below(8))
        case 1: bytes[at] = UInt8(random.below(256))
        case 2: bytes.removeSubrange(at..<min(bytes.count, at + 1 + random.below(8)))
        case 3: bytes.insert(UInt8(random.below(256)), at: at)
        case 4: bytes[at] = UInt8(ascii: "9")
        default:
            let extreme: UInt8 = random.below(2) == 0 ? 0xFF : 0x7F
            for i in at..<min(bytes.count, at + (random.below(2) == 0 ? 4 : 8)) { bytes[i] = extreme }
        }
    }
    return bytes
}
