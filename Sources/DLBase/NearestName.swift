/// The valid name that a misspelt one most probably stands for, or nil where none is near: equal but for case and
/// underscores, else the least Damerau-Levenshtein distance (adjacent letters swapped count as one) of at most a third
/// of the letters, else the only one it begins. Of equally near ones the first.
package func nearestName(to name: String, in candidates: [String]) -> String? {
    // Longer than any name of ours; the work grows with the square.
    guard !name.isEmpty, name.utf8.count <= 64 else { return nil }
    let wanted = folded(name)
    if let same = candidates.first(where: { folded($0) == wanted }) { return same }
    var best: String?
    var least = max(1, wanted.count / 3) + 1
    for candidate in candidates where candidate.utf8.count <= 64 {
        let letters = folded(candidate)
        // A single letter is near to every other.
        if min(letters.count, wanted.count) < 2 { continue }
        let distance = editDistance(wanted, letters)
        if distance < least {
            least = distance
            best = candidate
        }
    }
    if let best { return best }
    guard wanted.count >= 3 else { return nil }
    let begun = candidates.filter { folded($0).starts(with: wanted) }
    return begun.count == 1 ? begun[0] : nil
}

/// Small letters without underscores and hyphens.
private func folded(_ name: String) -> [UInt8] {
    name.utf8.compactMap { byte in
        switch byte {
        case UInt8(ascii: "_"), UInt8(ascii: "-"): nil
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte | 0x20
        default: byte
        }
    }
}

/// Insertions, deletions, substitutions and swaps of neighbours that lead from one to the other, no letter changed twice.
private func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    var beforeLast = [Int](repeating: 0, count: b.count + 1)
    var last = Array(0...b.count)
    for i in a.indices {
        var row = [i + 1]
        row.reserveCapacity(b.count + 1)
        for j in b.indices {
            var least = min(row[j] + 1, last[j + 1] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
            if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { least = min(least, beforeLast[j - 1] + 1) }
            row.append(least)
        }
        beforeLast = last
        last = row
    }
    return last[b.count]
}
