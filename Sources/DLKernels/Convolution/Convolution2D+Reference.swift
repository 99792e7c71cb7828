/// The convolution and its gradients as the formulas say, one multiply-add after another in the working type.
///
///     y[n, oy, ox, f] = bias[f] + sum over ky, kx, c of x[n, oy * sy + ky * dy - top, ox * sx + kx * dx - left, c] * w[ky, kx, c, f]
///
/// with x zero outside, and a third dimension likewise; dx and dw are the derivatives of sum(y * dy).
package struct Convolution2DReference<Scalar: BinaryFloatingPoint> {
    let p: Convolution2DProblem

    package init(_ problem: Convolution2DProblem) { p = problem }

    @_specialize(where Scalar == Float)
    @_specialize(where Scalar == Double)
    package func forward(
        x: UnsafePointer<Scalar>, w: UnsafePointer<Scalar>, bias: UnsafePointer<Scalar>?, relu: Bool,
        y: UnsafeMutablePointer<Scalar>
    ) {
        for position in 0..<p.batch * p.outputDepth * p.outputHeight * p.outputWidth {
            let row = y + position * p.filters
            for f in 0..<p.filters { row[f] = bias?[f] ?? 0 }
        }
        forEachTap { input, kernel, output in
            for c in 0..<p.channels / p.groups {
                let left = x[input + c]
                for f in 0..<p.filters / p.groups { y[output + f] += left * w[kernel + c * p.filters + f] }
            }
        }
        if relu {
            for i in 0..<p.outputCount where y[i] < 0 { y[i] = 0 }
        }
    }

    @_specialize(where Scalar == Float)
    @_specialize(where Scalar == Double)
    package func backwardData(
        dy: UnsafePointer<Scalar>, w: UnsafePointer<Scalar>, dx: UnsafeMutablePointer<Scalar>
    ) {
        for i in 0..<p.inputCount { dx[i] = 0 }
        forEachTap { input, kernel, output in
            for c in 0..<p.channels / p.groups {
                var sum: Scalar = 0
                for f in 0..<p.filters / p.groups { sum += dy[output + f] * w[kernel + c * p.filters + f] }
                dx[input + c] += sum
            }
        }
    }

    @_specialize(where Scalar == Float)
    @_specialize(where Scalar == Double)
    package func backwardWeights(
        x: UnsafePointer<Scalar>, dy: UnsafePointer<Scalar>, dw: UnsafeMutablePointer<Scalar>
    ) {
        for i in 0..<p.kernelCount { dw[i] = 0 }
        forEachTap { input, kernel, output in
            for c in 0..<p.channels / p.groups {
                let left = x[input + c]
                for f in 0..<p.filters / p.groups { dw[kernel + c * p.filters + f] += left * dy[output + f] }
            }
        }
    }

    /// Calls `body` for each output position, group and tap that lies inside the input, with the offsets of the group's
    /// first channel in x, of the tap's first weight in w, and of the group's first filter in y.
    @inline(__always)
    private func forEachTap(_ body: (_ input: Int, _ kernel: Int, _ output: Int) -> Void) {
        for plane in 0..<p.batch * p.outputDepth {
            let (image, oz) = (plane / p.outputDepth, plane % p.outputDepth)
            for oy in 0..<p.outputHeight {
                for ox in 0..<p.outputWidth {
                    for kernelRow in 0..<p.kernelDepth * p.kernelHeight {
                        let iz = oz * p.strideDepth + kernelRow / p.kernelHeight * p.dilationDepth - p.paddingFront
                        if iz < 0 || iz >= p.inputDepth { continue }
                        let iy = oy * p.strideHeight + kernelRow % p.kernelHeight * p.dilationHeight - p.paddingTop
                        if iy < 0 || iy >= p.inputHeight { continue }
                        for kx in 0..<p.kernelWidth {
                            let ix = ox * p.strideWidth + kx * p.dilationWidth - p.paddingLeft
                            if ix < 0 || ix >= p.inputWidth { continue }
                            let row = (image * p.inputDepth + iz) * p.inputHeight + iy
                            let input = (row * p.inputWidth + ix) * p.channels
                            let kernel = (kernelRow * p.kernelWidth + kx) * (p.channels / p.groups) * p.filters
                            let output = ((plane * p.outputHeight + oy) * p.outputWidth + ox) * p.filters
                            for group in 0..<p.groups {
                                body(
                                    input + group * (p.channels / p.groups), kernel + group * (p.filters / p.groups),
                                    output + group * (p.filters / p.groups))
                            }
                        }
                    }
                }
            }
        }
    }
}
