import Testing

@testable import DLBase

@Suite struct NearestNameTests {
    let options = [
        "filters", "kernel_size", "strides", "padding", "activation", "use_bias", "kernel_initializer", "bias_initializer", "name",
        "units", "rate",
    ]

    @Test(arguments: [
        ("filter", "filters"), ("filtres", "filters"), ("kernelSize", "kernel_size"), ("KERNEL_SIZE", "kernel_size"), ("stride", "strides"),
        ("pading", "padding"), ("activaton", "activation"), ("act", "activation"), ("usebias", "use_bias"), ("kernel_initialiser", "kernel_initializer"),
        ("unit", "units"), ("raet", "rate"), ("nmae", "name"),
    ])
    func near(typed: String, meant: String) { #expect(nearestName(to: typed, in: options) == meant) }

    @Test(arguments: ["", "x", "momentum", "zzzzzzz", "kernel_", String(repeating: "f", count: 100_000), "\0", "日本"])
    func notNear(typed: String) { #expect(nearestName(to: typed, in: options) == nil) }

    @Test func corners() {
        #expect(nearestName(to: "a", in: []) == nil)
        #expect(nearestName(to: "relu", in: ["selu", "elu", "ReLU"]) == "ReLU")
        #expect(nearestName(to: "rely", in: ["selu", "relu"]) == "relu")
        #expect(nearestName(to: "abcd", in: [String(repeating: "abcd", count: 100), "abdc"]) == "abdc")
    }
}
