import CDLKernels
import DLBase

/// Two-dimensional pooling of x [n, ih, iw, c] to y [n, oh, ow, c].
package struct Pool2D: Hashable, Sendable, CustomStringConvertible {
    package let n: Int, ih: Int, iw: Int, c: Int
    package let kh: Int, kw: Int, sh: Int, sw: Int
    /// Rows above and below, columns left and right, that windows may reach into. They never win a maximum and are
    /// not counted in an average.
    package let padTop: Int, padBottom: Int, padLeft: Int, padRight: Int
    package let oh: Int, ow: Int

    /// nil when a size is negative, a window or stride is less than 1, a window lies wholly in the padding, the
    /// padded input is smaller than the window, or a product overflows.
    package init?(
        n: Int, ih: Int, iw: Int, c: Int, kh: Int, kw: Int, sh: Int, sw: Int, padTop: Int = 0, padBottom: Int = 0,
        padLeft: Int = 0, padRight: Int = 0
    ) {
        let limit = 1 << 31
        guard [n, ih, iw, c].allSatisfy({ (0..<limit).contains($0) }),
            [kh, kw, sh, sw].allSatisfy({ (1..<limit).contains($0) }),
            (0..<kh).contains(padTop), (0..<kh).contains(padBottom), (0..<kw).contains(padLeft),
            (0..<kw).contains(padRight), ih + padTop + padBottom >= kh, iw + padLeft + padRight >= kw
        else { return nil }
        self.n = n
        self.ih = ih
        self.iw = iw
        self.c = c
        self.kh = kh
        self.kw = kw
        self.sh = sh
        self.sw = sw
        self.padTop = padTop
        self.padBottom = padBottom
        self.padLeft = padLeft
        self.padRight = padRight
        oh = (ih + padTop + padBottom - kh) / sh + 1
        ow = (iw + padLeft + padRight - kw) / sw + 1
        // The last window must meet the input too.
        guard ih == 0 || (oh - 1) * sh - padTop < ih, iw == 0 || (ow - 1) * sw - padLeft < iw else { return nil }
        guard Self.isCountable(n, ih, iw, c), Self.isCountable(n, oh, ow, c) else { return nil }
    }

    /// The product of the sizes, and that in bytes, is an Int; empty axes count as one.
    private static func isCountable(_ sizes: Int...) -> Bool {
        var count = 1
        for size in sizes {
            let (product, overflow) = count.multipliedReportingOverflow(by: max(size, 1))
            guard !overflow, product <= Int.max / 64 else { return false }
            count = product
        }
        return true
    }

    /// The problem in one word group, shared by tests, benchmarks and messages.
    package var description: String {
        "pool2d n\(n) ih\(ih) iw\(iw) c\(c) kh\(kh) kw\(kw) sh\(sh) sw\(sw) p\(padTop),\(padBottom),\(padLeft),\(padRight)"
    }

    package var inputCount: Int { n * ih * iw * c }
    package var outputCount: Int { n * oh * ow * c }

    var sizes: dl_pool2d {
        dl_pool2d(
            n: Int64(n), ih: Int64(ih), iw: Int64(iw), c: Int64(c), oh: Int64(oh), ow: Int64(ow), kh: Int64(kh),
            kw: Int64(kw), sh: Int64(sh), sw: Int64(sw), pad_top: Int64(padTop), pad_left: Int64(padLeft))
    }
}

/// Maximum and average over windows, and their gradients. x and dx hold `inputCount` elements, y and dy `outputCount`.
package struct PoolKernel: @unchecked Sendable {
    package let problem: Pool2D
    package let type: ElementType
    private let sizes: dl_pool2d
    private let table: UnsafePointer<dl_math_kernels>?

    /// nil for types that are not floating point.
    package init?(_ problem: Pool2D, _ type: ElementType, level: ProcessorLevel = .current) {
        guard type.isFloatingPoint else { return nil }
        self.problem = problem
        self.type = type
        sizes = problem.sizes
        table = tunedMath(type, level)
    }

    /// y = the largest element of each window; NaN when it has one.
    package func maximum(_ runtime: Runtime?, _ x: UnsafeRawPointer, _ y: UnsafeMutableRawPointer) {
        if let table {
            withUnsafePointer(to: sizes) {
                table.pointee.max_pool?(runtime, $0, x.of(Float.self), y.of(Float.self))
            }
        } else if type == .float32 {
            referenceMaxPool(problem, x.of(Float.self), y.of(Float.self))
        } else {
            referenceMaxPool(problem, x.of(Double.self), y.of(Double.self))
        }
    }

    /// dx = dy at the first largest element of each window, summed where windows overlap, and 0 elsewhere.
    package func maximumGradient(
        _ runtime: Runtime?, x: UnsafeRawPointer, y: UnsafeRawPointer, dy: UnsafeRawPointer,
        dx: UnsafeMutableRawPointer
    ) {
        if let table {
            withUnsafePointer(to: sizes) {
                table.pointee.max_pool_gradient?(
                    runtime, $0, x.of(Float.self), y.of(Float.self), dy.of(Float.self), dx.of(Float.self))
            }
        } else if type == .float32 {
            referenceMaxPoolGradient(
                problem, x.of(Float.self), y.of(Float.self), dy.of(Float.self), dx.of(Float.self))
        } else {
            referenceMaxPoolGradient(
                problem, x.of(Double.self), y.of(Double.self), dy.of(Double.self), dx.of(Double.self))
        }
    }

    /// y = the mean of each window's elements inside the input.
    package func average(_ runtime: Runtime?, _ x: UnsafeRawPointer, _ y: UnsafeMutableRawPointer) {
        if let table {
            withUnsafePointer(to: sizes) {
                table.pointee.average_pool?(runtime, $0, x.of(Float.self), y.of(Float.self))
            }
        } else if type == .float32 {
            referenceAveragePool(problem, x.of(Float.self), y.of(Float.self))
        } else {
            referenceAveragePool(problem, x.of(Double.self), y.of(Double.self))
        }
    }

    /// dx = the sum of dy / count over the windows that an element lies in.
    package func averageGradient(_ runtime: Runtime?, dy: UnsafeRawPointer, dx: UnsafeMutableRawPointer) {
        if let table {
            withUnsafePointer(to: sizes) {
                table.pointee.average_pool_gradient?(runtime, $0, dy.of(Float.self), dx.of(Float.self))
            }
        } else if type == .float32 {
            referenceAveragePoolGradient(problem, dy.of(Float.self), dx.of(Float.self))
        } else {
            referenceAveragePoolGradient(problem, dy.of(Double.self), dx.of(Double.self))
        }
    }
}
