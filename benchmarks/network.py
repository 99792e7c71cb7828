"""Network files: what a line means, the shapes and weights of every layer, and the arithmetic. Standard library alone.

A file names the input's shape (height, width, channels), the number of classes and of trainable parameters, and the network
of dl.applications that it stands for, with its variant; every other line is a layer: its name, its kind, the layers it reads (`x` is the input), and attributes. The last layer gives logits.

    conv           filters kernel stride padding bias
    bn             epsilon; 0.9 of the old moving average stays
    relu add concat flatten globalavgpool
    maxpool        size stride padding; what lies outside does not count
    avgpool        size stride
    dense          units; always with a bias
    rnn lstm gru   units; over sequences, an input of (steps, features); the last output

`padding=1` is on all four sides, `padding=0,1` at the bottom and the right alone.
"""

import math
import os
from dataclasses import dataclass, field


@dataclass
class Layer:
    name: str
    kind: str
    inputs: list
    attributes: dict
    shape: tuple = ()  # of one sample: (height, width, channels) or (features,)
    weights: list = field(default_factory=list)  # (what, shape) in Keras's order: kernels HWIO or in-out
    multiply_adds: int = 0  # of one sample

    def __getattr__(self, name):
        try:
            return self.__dict__["attributes"][name]
        except KeyError:
            raise AttributeError(name) from None


def attribute(text):
    if "," in text:
        return tuple(int(part) for part in text.split(","))
    try:
        return int(text)
    except ValueError:
        return float(text)


def padding_of(layer):
    """Rows or columns before and after."""
    value = layer.attributes.get("padding", 0)
    return value if isinstance(value, tuple) else (value, value)


class Network:
    """A network file, read and checked."""

    def __init__(self, path):
        self.name = os.path.splitext(os.path.basename(path))[0]
        self.layers = []
        with open(path, encoding="utf-8") as file:
            for line in file:
                words = line.split("#")[0].split()
                if not words:
                    continue
                if words[0] == "input":
                    self.input = tuple(map(int, words[1:]))
                elif words[0] == "classes":
                    self.classes = int(words[1])
                elif words[0] == "parameters":
                    self.parameters = int(words[1])
                elif words[0] == "application":
                    self.application = words[1:]
                else:
                    pairs = (word.split("=") for word in words[2:] if "=" in word)
                    attributes = {key: attribute(value) for key, value in pairs}
                    inputs = [word for word in words[2:] if "=" not in word]
                    self.layers.append(Layer(words[0], words[1], inputs, attributes))
        shapes = {"x": self.input}
        for layer in self.layers:
            infer(layer, [shapes[name] for name in layer.inputs])
            shapes[layer.name] = layer.shape
        found = sum(math.prod(shape) for layer in self.layers for what, shape in layer.weights if what in TRAINABLE)
        if found != self.parameters:
            raise ValueError(f"{self.name} has {found} parameters, not {self.parameters}")
        if self.layers[-1].shape != (self.classes,):
            raise ValueError(f"{self.name} ends in {self.layers[-1].shape}, not {self.classes} classes")

        self.last_uses = {layer.name: [] for layer in self.layers}
        seen = {self.layers[-1].name}
        for layer in reversed(self.layers):
            for name in layer.inputs:
                if name not in seen:
                    seen.add(name)
                    self.last_uses[layer.name].append(name)
        self.shapes = shapes

    def flattened(self, layer):
        """The (height, width, channels) whose rows a dense layer after a flatten reads; else None."""
        source = next((other for other in self.layers if other.name == layer.inputs[0]), None)
        return self.shapes[source.inputs[0]] if source and source.kind == "flatten" else None

    def forward_flops(self, batch):
        return 2 * batch * sum(layer.multiply_adds for layer in self.layers)

    def training_flops(self, batch):
        """Forward, to the weights, to the data; the first layer needs no gradient of its input."""
        first = next(layer.multiply_adds for layer in self.layers if layer.multiply_adds)
        if self.layers[0].kind in GATES:
            # The state's gradient is needed at every step, that of the input is not.
            layer = self.layers[0]
            first = self.input[0] * self.input[1] * GATES[layer.kind] * layer.units
        return 3 * self.forward_flops(batch) - 2 * batch * first


TRAINABLE = ("kernel", "recurrent", "bias", "gamma", "beta")
GATES = {"rnn": 1, "lstm": 4, "gru": 3}


def infer(layer, shapes):
    """Shape, weights and work of a layer from the shapes it reads."""
    shape = shapes[0]
    if layer.kind in ("conv", "maxpool", "avgpool"):
        before, after = padding_of(layer)
        size = layer.kernel if layer.kind == "conv" else layer.size
        out = [(side + before + after - size) // layer.stride + 1 for side in shape[:2]]
        if layer.kind == "conv":
            layer.weights = [("kernel", (size, size, shape[2], layer.filters))]
            if layer.bias:
                layer.weights.append(("bias", (layer.filters,)))
            layer.multiply_adds = math.prod(out) * size * size * shape[2] * layer.filters
            shape = (*shape[:2], layer.filters)
        layer.shape = (*out, shape[2])
    elif layer.kind == "bn":
        layer.shape = shape
        layer.weights = [(what, (shape[-1],)) for what in ("gamma", "beta", "mean", "variance")]
    elif layer.kind == "relu":
        layer.shape = shape
    elif layer.kind == "add":
        if any(other != shape for other in shapes):
            raise ValueError(f"{layer.name} adds {shapes}")
        layer.shape = shape
    elif layer.kind == "concat":
        layer.shape = (*shape[:2], sum(other[2] for other in shapes))
    elif layer.kind == "flatten":
        layer.shape = (math.prod(shape),)
    elif layer.kind == "globalavgpool":
        layer.shape = (shape[2],)
    elif layer.kind == "dense":
        layer.weights = [("kernel", (shape[0], layer.units)), ("bias", (layer.units,))]
        layer.multiply_adds = shape[0] * layer.units
        layer.shape = (layer.units,)
    elif layer.kind in GATES:
        steps, features = shape
        n = GATES[layer.kind] * layer.units
        bias = (2, n) if layer.kind == "gru" else (n,)
        layer.weights = [("kernel", (features, n)), ("recurrent", (layer.units, n)), ("bias", bias)]
        layer.multiply_adds = steps * (features + layer.units) * n
        layer.shape = (layer.units,)
    else:
        raise ValueError(f"no layer {layer.kind}")
