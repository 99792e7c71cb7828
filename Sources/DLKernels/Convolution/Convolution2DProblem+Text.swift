import DLBase

extension Convolution2DProblem: CustomStringConvertible {
    /// The problem string, for example `conv2d n4 ih56 iw56 ic64 oc64 kh3 kw3 s1 p1`. Dilation and groups stand only where
    /// they are not 1; unequal strides are `sh sw`, unequal dilations `dh dw`, unequal paddings `pt pb pl pr`. Volumes are
    /// `conv3d` and have `id kd`, and where unequal `sd`, `dd`, `pf pk` (front and back) as well.
    package var description: String {
        let volume = isVolume
        var text = volume ? "conv3d n\(batch) id\(inputDepth)" : "conv2d n\(batch)"
        text += " ih\(inputHeight) iw\(inputWidth) ic\(channels) oc\(filters)"
        text += volume ? " kd\(kernelDepth) kh\(kernelHeight) kw\(kernelWidth)" : " kh\(kernelHeight) kw\(kernelWidth)"
        func part(_ common: String, _ names: [String], _ values: [Int], standard: Int? = nil) {
            // The depth comes first and is none of a picture's.
            let shown = Array(zip(names, values).dropFirst(volume ? 0 : names.count / 3))
            guard let first = shown.first?.1, shown.allSatisfy({ $0.1 == first }) else {
                text += shown.map { " \($0.0)\($0.1)" }.joined()
                return
            }
            if first != standard { text += " \(common)\(first)" }
        }
        part("s", ["sd", "sh", "sw"], [strideDepth, strideHeight, strideWidth])
        part("d", ["dd", "dh", "dw"], [dilationDepth, dilationHeight, dilationWidth], standard: 1)
        part(
            "p", ["pf", "pk", "pt", "pb", "pl", "pr"],
            [paddingFront, paddingBack, paddingTop, paddingBottom, paddingLeft, paddingRight])
        return groups == 1 ? text : text + " g\(groups)"
    }

    /// Reads a problem string; throws `format` where it is none, and as the other initializer where its sizes are wrong.
    package init(_ text: String) throws(DLError) {
        let words = text.split(separator: " ")
        guard words.first == "conv2d" || words.first == "conv3d" else {
            throw DLError(.format, "[conv2d] a problem string begins with conv2d or conv3d. Received: \(text)")
        }
        let volume = words.first == "conv3d"
        let needed = ["n", "ih", "iw", "ic", "oc", "kh", "kw"] + (volume ? ["id", "kd"] : [])
        let known = needed + ["s", "sh", "sw", "d", "dh", "dw", "p", "pt", "pb", "pl", "pr", "g"]
            + (volume ? ["sd", "dd", "pf", "pk"] : [])
        var values: [String: Int] = [:]
        for word in words.dropFirst() {
            let name = String(word.prefix { !$0.isNumber && $0 != "-" })
            guard known.contains(name), let value = Int(word.dropFirst(name.count)), values[name] == nil else {
                throw DLError(.format, "[conv2d] problem string has an unknown or repeated part \"\(word)\". Received: \(text)")
            }
            values[name] = value
        }
        for name in needed where values[name] == nil {
            throw DLError(.format, "[conv2d] problem string lacks \(name). Received: \(text)")
        }
        func value(_ name: String, _ common: String, _ standard: Int) -> Int { values[name] ?? values[common] ?? standard }
        func depth(_ name: String, _ common: String, _ standard: Int) -> Int {
            volume ? value(name, common, standard) : standard
        }
        try self.init(
            batch: value("n", "", 0), inputHeight: value("ih", "", 0), inputWidth: value("iw", "", 0),
            channels: value("ic", "", 0), filters: value("oc", "", 0), kernelHeight: value("kh", "", 0),
            kernelWidth: value("kw", "", 0), strideHeight: value("sh", "s", 1), strideWidth: value("sw", "s", 1),
            dilationHeight: value("dh", "d", 1), dilationWidth: value("dw", "d", 1), groups: value("g", "", 1),
            paddingTop: value("pt", "p", 0), paddingBottom: value("pb", "p", 0), paddingLeft: value("pl", "p", 0),
            paddingRight: value("pr", "p", 0), inputDepth: depth("id", "", 1), kernelDepth: depth("kd", "", 1),
            strideDepth: depth("sd", "s", 1), dilationDepth: depth("dd", "d", 1), paddingFront: depth("pf", "p", 0),
            paddingBack: depth("pk", "p", 0))
    }
}
