import CDLKernels

/// As many neighbouring groups as have no more channels than a vector has lanes, on either side.
@inline(__always) func groupsOfVector(_ seen: Int, _ result: Int) -> Int { max(1, min(lanes / seen, lanes / result)) }

/// Lane l of a result sees channel `channel` of its group: the lane of the source that has it.
@inline(__always)
func laneOfGroup(_ channel: Int, seen: Int, result: Int) -> IntVector {
    var index = IntVector(repeating: 0)
    for lane in 0..<lanes {
        index[lane] = Int32(truncatingIfNeeded: min(lanes &- 1, lane / result &* seen &+ channel))
    }
    return index
}

@inline(__always)
private func permute(_ a: Vector, _ index: IntVector) -> Vector {
    #if DL_AVX512
        dl_permute16(a, index)
    #else
        dl_permute8(a, index)
    #endif
}

func runGrouped(_ a: UnsafePointer<DepthwiseArguments>, positions: Int) {
    switch positions {
    case 8: GroupedTile<8>.run(a)
    case 7: GroupedTile<7>.run(a)
    case 6: GroupedTile<6>.run(a)
    case 5: GroupedTile<5>.run(a)
    case 4: GroupedTile<4>.run(a)
    case 3: GroupedTile<3>.run(a)
    case 2: GroupedTile<2>.run(a)
    default: GroupedTile<1>.run(a)
    }
}

/// All channels of P positions where each sees the few channels of its group: a vector holds several groups, and for each
/// of the channels seen, the source's lanes are brought to where they are needed.
private enum GroupedTile<let P: Int> {
    @inline(never)
    static func run(_ a: UnsafePointer<DepthwiseArguments>) {
        let seen = a.pointee.seen
        let result = a.pointee.channels &* seen / a.pointee.sourceChannels
        var indices = InlineArray<16, IntVector> { _ in IntVector(repeating: 0) }
        for channel in 0..<seen { indices[channel] = laneOfGroup(channel, seen: seen, result: result) }
        let groups = groupsOfVector(seen, result)
        let all = a.pointee.channels / result
        withUnsafePointer(to: indices) { indices in
            let indices = UnsafeRawPointer(indices).assumingMemoryBound(to: IntVector.self)
            var group = 0
            while group < all {
                let taken = min(groups, all &- group)
                sum(
                    a, indices, source: group &* seen, sourceCount: taken &* seen, to: group &* result,
                    count: taken &* result)
                group &+= taken
            }
        }
    }

    @inline(__always)
    private static func sum(
        _ a: UnsafePointer<DepthwiseArguments>, _ indices: UnsafePointer<IntVector>, source offset: Int, sourceCount: Int,
        to: Int, count: Int
    ) {
        var sums = InlineArray<P, Vector> { _ in Vector(repeating: 0) }
        let step = a.pointee.step
        let taps = a.pointee.taps
        let weightTaps = a.pointee.weightTaps
        let w = a.pointee.w + to
        let source = a.pointee.source + offset
        let channels = a.pointee.channels
        for tap in 0..<a.pointee.tapCount {
            let x = source + taps[tap]
            var left = InlineArray<P, Vector> { _ in Vector(repeating: 0) }
            for p in 0..<P { left[p] = loadFirst(x + p &* step, sourceCount) }
            var weights = w + weightTaps[tap]
            for channel in 0..<a.pointee.seen {
                let right = loadFirst(weights, count)
                let index = indices[channel]
                for p in 0..<P { sums[p] = fma(permute(left[p], index), right, sums[p]) }
                weights += channels
            }
        }
        let floor = Vector(repeating: a.pointee.relu ? 0 : -Float.infinity)
        let bias = a.pointee.bias.map { loadFirst($0 + to, count) } ?? Vector(repeating: 0)
        for p in 0..<P {
            storeFirst(maximum(floor, sums[p] + bias), a.pointee.to + (to &+ p &* a.pointee.toStep), count)
        }
    }
}

/// What one tap of a kernel row adds to the weights' gradient of neighbouring groups.
struct GroupedWeightArguments {
    var x: UnsafePointer<Float>
    var dy: UnsafePointer<Float>
    var rows: Int
    var columns: Int
    var xRow: Int
    var dyRow: Int
    var xStep: Int
    var dyStep: Int
    var xCount: Int
    var count: Int
    var indices: UnsafePointer<IntVector>
    var to: UnsafeMutablePointer<Float>
    var toStep: Int
}

private enum GroupedWeightTile<let S: Int> {
    @inline(never)
    static func add(_ a: UnsafePointer<GroupedWeightArguments>) {
        var sums = InlineArray<S, Vector> { _ in Vector(repeating: 0) }
        var index = InlineArray<S, IntVector> { _ in IntVector(repeating: 0) }
        for s in 0..<S { index[s] = a.pointee.indices[s] }
        let count = a.pointee.count
        let xCount = a.pointee.xCount
        for row in 0..<a.pointee.rows {
            var x = a.pointee.x + row &* a.pointee.xRow
            var dy = a.pointee.dy + row &* a.pointee.dyRow
            for _ in 0..<a.pointee.columns {
                let left = loadFirst(x, xCount)
                let right = loadFirst(dy, count)
                for s in 0..<S { sums[s] = fma(permute(left, index[s]), right, sums[s]) }
                x += a.pointee.xStep
                dy += a.pointee.dyStep
            }
        }
        for s in 0..<S {
            let p = a.pointee.to + s &* a.pointee.toStep
            storeFirst(loadFirst(p, count) + sums[s], p, count)
        }
    }
}

func addGroupedWeights(_ a: UnsafePointer<GroupedWeightArguments>, seen: Int) {
    switch seen {
    case 2: GroupedWeightTile<2>.add(a)
    case 3: GroupedWeightTile<3>.add(a)
    case 4: GroupedWeightTile<4>.add(a)
    case 5: GroupedWeightTile<5>.add(a)
    case 6: GroupedWeightTile<6>.add(a)
    case 7: GroupedWeightTile<7>.add(a)
    default: GroupedWeightTile<8>.add(a)
    }
}
