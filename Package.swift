// swift-tools-version: 6.2
import PackageDescription

// Targets stand in layer order, lowest first: a target imports only what stands above it and what it declares.

let strict: [SwiftSetting] = [.treatAllWarnings(as: .error)]

/// Kernel code in an unoptimised build is a hundred times slower, so it is optimised in every configuration. A debug
/// build compiles file by file, which a module compiled as a whole would not fit into.
func kernelSettings(_ architecture: String) -> [SwiftSetting] {
    strict + [
        .unsafeFlags(["-O", "-Xcc", "-march=\(architecture)", "-Xfrontend", "-disable-reflection-metadata"]),
        .unsafeFlags(["-wmo"], .when(configuration: .release)),
    ]
}

/// One file that needs no Swift at run time, shows its own interface only, and stays mapped, because its worker threads
/// would return to code that is gone.
let sharedLibraryFlags: [LinkerSetting] = [
    .unsafeFlags(
        ["-static-stdlib", "-use-ld=lld"]
            + ["-soname=libdl-1.so", "--version-script=\(Context.packageDirectory)/scripts/exports.map", "--gc-sections", "-z", "nodelete"]
            .flatMap { ["-Xlinker", $0] })
]

let package = Package(
    name: "libdl",
    products: [
        // Not "dl": a libdl.so in the build folder would be found by the -ldl of the C library's own module.
        .library(name: "dl-1", type: .dynamic, targets: ["DLShared"])
    ],
    targets: [
        .target(name: "CDLShims", cSettings: [.unsafeFlags(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden"])]),
        .target(name: "CDLKernels"),
        .target(name: "DLKernelsAVX2", dependencies: ["CDLKernels"], swiftSettings: kernelSettings("x86-64-v3")),
        .target(
            name: "DLKernelsAVX512", dependencies: ["CDLKernels"],
            swiftSettings: kernelSettings("x86-64-v4") + [.define("DL_AVX512")]),
        .target(name: "DLBase", dependencies: ["CDLShims", "CDLKernels"], swiftSettings: strict),
        .target(
            name: "DLKernels", dependencies: ["CDLKernels", "CDLShims", "DLBase", "DLKernelsAVX2", "DLKernelsAVX512"],
            swiftSettings: strict),
        .target(name: "DLTensor", dependencies: ["CDLShims", "DLBase"], swiftSettings: strict),
        .target(name: "DLGraph", dependencies: ["CDLShims", "DLBase", "DLTensor"], swiftSettings: strict),
        .target(
            name: "DLOps", dependencies: ["CDLKernels", "DLBase", "DLKernels", "DLTensor", "DLGraph"], swiftSettings: strict),
        .target(name: "DLLayers", dependencies: ["CDLShims", "DLBase", "DLTensor", "DLGraph", "DLOps"], swiftSettings: strict),
        .systemLibrary(name: "CZlib", path: "Sources/CZlib", providers: [.apt(["zlib1g-dev"])]),
        // The archives, so that nothing of them is asked of the machine the library runs on.
        .target(
            name: "CPictures", dependencies: ["CZlib"],
            cSettings: [.unsafeFlags(["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden"])],
            linkerSettings: [.linkedLibrary(":libpng16.a"), .linkedLibrary(":libjpeg.a"), .linkedLibrary("z")]),
        .target(name: "DLData", dependencies: ["CDLShims", "CPictures", "CZlib", "DLBase", "DLTensor"], swiftSettings: strict),
        .target(
            name: "DLTraining", dependencies: ["CDLKernels", "CDLShims", "DLBase", "DLTensor", "DLGraph", "DLOps", "DLLayers"],
            swiftSettings: strict),
        .target(
            name: "DLInterchange",
            dependencies: ["CDLShims", "DLBase", "DLTensor", "DLGraph", "DLLayers", "DLTraining", "DLData"],
            swiftSettings: strict),
        .systemLibrary(name: "CDL", path: "include"),
        .target(
            name: "CLua", path: "ThirdParty/CLua",
            cSettings: [.define("LUA_USE_LINUX"), .unsafeFlags(["-O2", "-fvisibility=hidden"])]),
        .target(
            name: "DLLibrary",
            dependencies: [
                "CDL", "CDLShims", "DLBase", "DLKernels", "DLTensor", "DLGraph", "DLOps", "DLLayers", "DLData", "DLTraining",
                "DLInterchange",
            ],
            swiftSettings: strict),
        // The glue between Lua and dl.h, and the script host, with the interpreter of our own.
        .target(
            name: "CDLLua", dependencies: ["CLua", "CDLShims"],
            cSettings: [
                .define("DL_GLUE_INSIDE"), .headerSearchPath("../../include"),
                .unsafeFlags(["-std=gnu17", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden"]),
            ]),
        .target(name: "DLShared", dependencies: ["DLLibrary", "CDLLua"], swiftSettings: strict, linkerSettings: sharedLibraryFlags),
        .target(
            name: "DLTestSupport", dependencies: ["DLBase", "DLTensor"], path: "Tests/DLTestSupport", swiftSettings: strict),
        .testTarget(
            name: "DLBaseTests", dependencies: ["DLBase", "CDLShims"], swiftSettings: strict),
        .testTarget(
            name: "DLKernelsTests", dependencies: ["CDLKernels", "DLBase", "DLKernels", "DLKernelsAVX2", "DLKernelsAVX512"], swiftSettings: strict),
        .testTarget(
            name: "DLTensorTests", dependencies: ["DLBase", "DLTensor", "DLTestSupport"], swiftSettings: strict),
        .testTarget(
            name: "DLGraphTests", dependencies: ["DLBase", "DLTensor", "DLGraph"], swiftSettings: strict),
        .testTarget(
            name: "DLOpsTests", dependencies: ["DLBase", "DLTensor", "DLGraph", "DLOps"], swiftSettings: strict),
        .testTarget(
            name: "DLLayersTests", dependencies: ["DLBase", "DLTensor", "DLGraph", "DLOps", "DLLayers"], swiftSettings: strict),
        .testTarget(
            name: "DLTrainingTests", dependencies: ["DLBase", "DLTensor", "DLGraph", "DLOps", "DLLayers", "DLTraining"], swiftSettings: strict),
        .testTarget(
            name: "DLDataTests", dependencies: ["CZlib", "DLBase", "DLTensor", "DLData", "DLTestSupport"], swiftSettings: strict),
        .testTarget(
            name: "DLInterchangeTests",
            dependencies: [
                "DLBase", "DLTensor", "DLData", "DLGraph", "DLOps", "DLLayers", "DLTraining", "DLInterchange", "DLTestSupport",
            ],
            swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6]
)
