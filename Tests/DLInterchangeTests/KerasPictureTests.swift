import DLBase
import DLData
import DLGraph
import DLInterchange
import DLLayers
import DLTensor
import DLTestSupport
import Testing

/// Pictures in files and layers that change them, compared with Keras.
@Suite struct KerasPictureTests {
    @Test(arguments: [(ElementType.float64, 1e-9), (.float32, 1e-5)])
    func layers(_ type: ElementType, _ tolerance: Double) throws {
        let fixture = try KerasFixture("augmentation")
        #expect(fixture.cases.count > 35)
        for entry in fixture.cases {
            let name = entry["name"]?.stringValue ?? ""
            if let only = entry["only"]?.stringValue, only != type.name { continue }
            do {
                let layer = try Layer.deserialize([
                    "class_name": entry["class_name"] ?? .null, "config": withType(entry["config"] ?? [:], type),
                ])
                let input = Value(try fixture.tensor(entry["inputs"]?.arrayValue?.first).converted(type))
                let output = try layer.apply([input], CallOptions(training: entry["training"]?.boolValue))[0]
                let error = distance(try output.tensor(), try fixture.tensor(entry["outputs"]?.arrayValue?.first))
                #expect(error < tolerance, "\(name): off by \(error)")
                // What it says of itself makes an equal layer.
                let again = try Layer.deserialize(layer.serialized())
                let repeated = try again.apply([input], CallOptions(training: entry["training"]?.boolValue))[0]
                #expect(same(try repeated.tensor(), try output.tensor()), "\(name): not the same from its own config")
            } catch let error as DLError {
                Issue.record("\(name): \(error.message)")
            }
        }
    }

    /// Every file in all colours, and two of them in other sizes by all filters: the same bytes.
    @Test func files() throws {
        let expected = try SafetensorsFile.read(fixture("pictures/expected.safetensors"))
        var pictures: [String: Picture] = [:]
        var count = 0
        for key in expected.tensors.map(\.name) {
            let parts = key.split(separator: "/").map(String.init)
            let picture = try pictures[parts[0]] ?? Picture.read(fixture("pictures/" + parts[0]))
            pictures[parts[0]] = picture
            var options = JSONObject([("color_mode", .string(parts[1]))])
            if parts.count == 4 {
                options["target_size"] = .array(parts[2].split(separator: "x").map { .int(Int64($0) ?? 0) })
                options["interpolation"] = .string(parts[3].filter { $0 != "+" })
                options["keep_aspect_ratio"] = .bool(parts[3].hasSuffix("+"))
            }
            let found = try picture.converted(PictureOptions.declaration.make(config: .object(options)))
            let wanted = try #require(expected[key])
            #expect(same(found, wanted), "\(key): \(found.shape) \(wanted.shape)")
            count += 1
        }
        #expect(count > 400)
        #expect(pictures.count == 15)
    }
}
