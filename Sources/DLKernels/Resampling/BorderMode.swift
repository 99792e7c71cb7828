/// What stands outside of a picture.
package enum BorderMode: String, CaseIterable, Sendable {
    /// One number.
    case constant
    /// The border's element, on and on: a a a | a b c d | d d d.
    case nearest
    /// Mirrored with the border's element: c b a | a b c d | d c b.
    case reflect
    /// Mirrored without it: d c b | a b c d | c b a.
    case mirror
    /// From the other side: b c d | a b c d | a b c.
    case wrap

    /// The element that stands at `index`, which is between -2^31 and 2^31, of an axis with `size` elements; -1 for the
    /// constant number.
    @inline(__always)
    func position(_ index: Int, _ size: Int) -> Int {
        if index >= 0 && index < size { return index }
        switch self {
        case .constant: return -1
        case .nearest: return index < 0 ? 0 : size &- 1
        case .wrap: return BorderMode.remainder(index, size)
        case .reflect:
            let place = BorderMode.remainder(index, 2 &* size)
            return place < size ? place : 2 &* size &- 1 &- place
        case .mirror:
            if size == 1 { return 0 }
            let place = BorderMode.remainder(index, 2 &* size &- 2)
            return place < size ? place : 2 &* size &- 2 &- place
        }
    }

    @inline(__always)
    private static func remainder(_ index: Int, _ size: Int) -> Int {
        let rest = index % size
        return rest < 0 ? rest &+ size : rest
    }

    /// A coordinate as a whole number and the part above it. What no picture reaches, and NaN, is far outside.
    @inline(__always)
    static func split(_ coordinate: Double, isLinear: Bool) -> (index: Int, rest: Double) {
        let far = 1_073_741_824.0
        guard coordinate > -far, coordinate < far else { return (coordinate >= far ? Int(far) : -Int(far), 0) }
        if !isLinear { return (Int(coordinate.rounded(.toNearestOrAwayFromZero)), 0) }
        let low = coordinate.rounded(.down)
        return (Int(low), coordinate - low)
    }
}
