"""ONNX Runtime's and OpenVINO's side of the benchmarks: a worker that speaks the protocol of protocol.md.

The network file becomes an ONNX model with a fixed batch; the variant says which engine runs it. Both fold batch norm
and fuse activations when they load it.
"""

import importlib
import importlib.metadata
import os

import numpy
from onnx import TensorProto, helper, numpy_helper

import serve
from network import Network, padding_of


def model_of(network, batch, folder):
    """The ONNX model, NCHW, opset 17."""
    nodes, constants = [], []

    def constant(name, array):
        constants.append(numpy_helper.from_array(numpy.ascontiguousarray(array), name))
        return name

    for layer in network.layers:
        own = serve.initial(folder, layer)
        name, inputs = layer.name, list(layer.inputs)
        before, after = padding_of(layer)
        window = {"strides": [layer.stride] * 2, "pads": [before] * 2 + [after] * 2} if "stride" in layer.attributes else {}
        if layer.kind == "conv":
            inputs.append(constant(f"{name}.kernel", own["kernel"].transpose(3, 2, 0, 1)))
            if layer.bias:
                inputs.append(constant(f"{name}.bias", own["bias"]))
            nodes.append(helper.make_node("Conv", inputs, [name], kernel_shape=[layer.kernel] * 2, **window))
        elif layer.kind == "bn":
            inputs += [constant(f"{name}.{what}", own[what]) for what in ("gamma", "beta", "mean", "variance")]
            nodes.append(helper.make_node("BatchNormalization", inputs, [name], epsilon=layer.epsilon))
        elif layer.kind in ("maxpool", "avgpool"):
            kind = "MaxPool" if layer.kind == "maxpool" else "AveragePool"
            nodes.append(helper.make_node(kind, inputs, [name], kernel_shape=[layer.size] * 2, **window))
        elif layer.kind == "globalavgpool":
            nodes.append(helper.make_node("GlobalAveragePool", inputs, [f"{name}.4d"]))
            nodes.append(helper.make_node("Flatten", [f"{name}.4d"], [name]))
        elif layer.kind == "dense":
            kernel, source = own["kernel"], network.flattened(layer)
            if source:
                kernel = kernel.reshape(*source, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)
            inputs += [constant(f"{name}.kernel", kernel.T), constant(f"{name}.bias", own["bias"])]
            nodes.append(helper.make_node("Gemm", inputs, [name], transB=1))
        elif layer.kind == "concat":
            nodes.append(helper.make_node("Concat", inputs, [name], axis=1))
        else:
            kind = {"relu": "Relu", "add": "Add", "flatten": "Flatten"}[layer.kind]
            nodes.append(helper.make_node(kind, inputs, [name]))
    height, width, channels = network.input
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, channels, height, width])
    y = helper.make_tensor_value_info(network.layers[-1].name, TensorProto.FLOAT, [batch, network.classes])
    graph = helper.make_graph(nodes, network.name, [x], [y], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class Inference:
    def __init__(self, engine, threads, path, batch, variant, folder):
        network, batch = Network(path), int(batch)
        x = numpy.ascontiguousarray(serve.batch_of(folder, batch)[0].transpose(0, 3, 1, 2))
        file = os.path.join(folder, f"{network.name}-{batch}.onnx")
        if not os.path.exists(file):
            with open(file + ".new", "wb") as out:
                out.write(model_of(network, batch, folder).SerializeToString())
            os.rename(file + ".new", file)
        if variant == "onnxruntime":
            options = engine.SessionOptions()
            options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
            session = engine.InferenceSession(file, options, providers=["CPUExecutionProvider"])
            self.call = lambda: session.run(None, {"x": x})[0]
        else:
            # By default OpenVINO computes in bfloat16 where the processor can.
            settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads,
                        "INFERENCE_PRECISION_HINT": "f32"}
            core = engine.Core()
            request = core.compile_model(core.read_model(file), "CPU", settings).create_infer_request()
            request.set_input_tensor(engine.Tensor(x))

            def call():
                request.infer()
                return request.get_output_tensor().data

            self.call = call

    def run(self, count):
        for _ in range(count):
            self.call()

    def outputs(self):
        return self.call().flatten()


class Side:
    def hello(self, engine):
        importlib.import_module(engine)
        return [engine, importlib.metadata.version(engine)]

    def threads(self, count):
        self.count = count

    def prepared(self, words):
        return {"infer": Inference}[words[0]](importlib.import_module(words[3]), self.count, *words[1:])


if __name__ == "__main__":
    serve.main(Side())
