import CDLKernels

/// Positions over which a tile is summed at once: a panel of dy of that many stays near the core while all tiles of x
/// pass over it, and x's part of them stays in the second-level cache while all panels pass.
private let slabPositions = 448
/// The same for kernels of one tap, whose tiles of x are passed over once.
private let flatSlabPositions = 256

/// Floats from which on positions lie so far apart that they push each other out of the first-level cache.
let packedStride = 128

/// How the work is cut: a function of the sizes alone.
struct WeightsPlan {
    let merged: Bool
    let copied: Bool
    /// Kernels of one tap without stride or padding: the positions of all images are one long row.
    let flat: Bool
    let runCount: Int
    let runLength: Int
    let panels: Int
    let wideTiles: Int
    let narrowTiles: Int
    /// A slab is `slabImages` whole images (planes of a volume), `slabRows` output rows of one, or, where flat, `slabRows`
    /// positions.
    let slabImages: Int
    let slabRows: Int
    let slabs: Int
    let slabSize: Int
    /// Tiles of x are packed too, `windowSize` positions of each: all that the slab's taps look at, or, for one tap, the
    /// slab's own.
    let packed: Bool
    let windowSize: Int
    /// Groups of slabs that are summed apart and added at the end.
    let groups: Int
    /// Pieces that share out the panels and, of each panel, the tiles.
    let panelSplits: Int
    let tileSplits: Int

    var pieces: Int { groups &* panelSplits &* tileSplits }

    init(_ s: Sizes) {
        merged = s.groups == 1 && s.dilationX == 1 && s.channels < checkedChannels
        copied = merged && s.isPadded
        runCount = merged ? s.kernelZ &* s.kernelY : s.taps
        runLength = merged ? s.kernelX &* s.channels : s.groupChannels
        panels = divideUp(s.groupFilters, 2 &* lanes)
        wideTiles = divideUp(runLength, weightTileRows(vectors: 2))
        narrowTiles = divideUp(runLength, weightTileRows(vectors: 1))
        flat = s.taps == 1 && s.strideZ == 1 && s.strideY == 1 && s.strideX == 1 && !s.isPadded
            && s.outputDepth == s.depth && s.outputHeight == s.height && s.outputWidth == s.width
        let perImage = s.outputHeight &* s.outputWidth
        let positions = s.batch &* s.outputDepth &* perImage
        let slabPositions = runCount == 1 && !s.isPadded ? flatSlabPositions : slabPositions
        if flat {
            slabImages = 1
            slabRows = divideUp(positions, divideUp(positions, slabPositions))
            slabs = divideUp(positions, slabRows)
            slabSize = slabRows
        } else if perImage &* 2 <= slabPositions {
            let images = s.isVolume ? s.outputDepth : s.batch
            slabImages = min(images, max(1, slabPositions / perImage))
            slabRows = s.outputHeight
            slabs = divideUp(images, slabImages) &* (s.isVolume ? s.batch : 1)
            slabSize = slabImages &* perImage
        } else {
            slabImages = 1
            slabRows = divideUp(s.outputHeight, divideUp(perImage, slabPositions))
            slabs = s.batch &* s.outputDepth &* divideUp(s.outputHeight, slabRows)
            slabSize = slabRows &* s.outputWidth
        }

        let weights = runCount &* runLength &* s.groupFilters
        let work = Float(positions) * Float(weights)
        let wanted = work > 16 * 200_000 ? 16 : max(1, Int(work / 200_000))
        // Adding the groups up costs their size, which the positions must outweigh; little while they stay in the caches.
        let cached = min(524_288 / weights, positions / 96)
        groups = max(1, min(min(wanted, slabs), max(cached, min(positions / 2048, 4_194_304 / weights))))
        let lastIsNarrow = s.groupFilters &- (panels &- 1) &* 2 &* lanes <= lanes
        let tiles = runCount &* (panels == 1 && lastIsNarrow ? narrowTiles : wideTiles)
        (panelSplits, tileSplits) = Self.splits(
            divideUp(wanted, groups), panels: panels, tiles: tiles, left: runLength, right: s.groupFilters)
        let oneTap = runCount == 1 && !s.isPadded
        packed = !merged && (flat || !s.isVolume) && s.channels &* s.strideX >= packedStride && runCount &* (panels / panelSplits) >= 3
        let reach = (slabRows &- 1) &* s.strideY &+ (s.kernelY &- 1) &* s.dilationY &+ 1
        windowSize = oneTap ? slabSize : slabImages &* min(s.height, reach) &* s.width
    }

    /// The tiles of x, each with all its runs, that a piece touches at most.
    var tilesOfPiece: Int { min(wideTiles, divideUp(wideTiles, tileSplits) &+ 1) }

    /// Pieces that split the panels read all of x each, those that split the tiles all of dy.
    private static func splits(_ wanted: Int, panels: Int, tiles: Int, left: Int, right: Int) -> (Int, Int) {
        var best = (1, 1)
        var cost = Int.max
        for p in 1...max(1, min(wanted, panels)) {
            let t = min(tiles, divideUp(wanted, p))
            // Short of work for all threads is worse than reading twice.
            let price = (p &* left &+ t &* right) &* (p &* t < wanted ? 4 : 1)
            if price < cost {
                cost = price
                best = (p, t)
            }
        }
        return best
    }
}

struct WeightsScratch {
    let partials: UnsafeMutablePointer<Float>
    let input: UnsafeMutablePointer<Float>
    /// For each piece one panel of dy.
    let panels: UnsafeMutablePointer<Float>
    let panelFloats: Int
    /// For each piece its tiles of x, where they are packed.
    let tiles: UnsafeMutablePointer<Float>
    let tileFloats: Int

    init(_ s: Sizes, _ plan: WeightsPlan, _ cursor: inout ScratchCursor) {
        partials = cursor.floats(plan.groups > 1 ? plan.groups &* plan.runCount &* plan.runLength &* s.groupFilters : 0)
        input = cursor.floats(plan.copied ? s.windowFloats : 0)
        panelFloats = plan.slabSize &* 2 &* lanes
        panels = cursor.floats(plan.pieces &* panelFloats)
        tileFloats = plan.packed ? plan.tilesOfPiece &* plan.windowSize &* wideTileRows &+ lanes : 0
        tiles = cursor.floats(plan.pieces &* tileFloats)
    }
}

struct WeightsJob {
    let s: Sizes
    let plan: WeightsPlan
    let scratch: WeightsScratch
    var x: UnsafePointer<Float>
    var dy: UnsafePointer<Float>
    var to: UnsafeMutablePointer<Float>
    var toStride: Int
    /// Adds to what the result holds.
    var accumulate: Bool
}

