"""PyTorch's side of the benchmarks: a worker that speaks the protocol of protocol.md.

Eager mode on the CPU. The variants of a convolutional model or of a single convolution are the
memory formats `nchw` and `channels_last`; of both, the driver counts the faster one.
"""

import gzip
import os
import struct
import sys

import numpy
import torch
import torch.nn.functional as functional
from torch import nn

FORMATS = {
    "default": torch.contiguous_format,
    "nchw": torch.contiguous_format,
    "channels_last": torch.channels_last,
}


def read_tensor(folder, name):
    return torch.from_numpy(numpy.load(os.path.join(folder, f"{name}.npy")))


def lenet(weights):
    """LeNet-5 with Keras's weights; the first dense layer's rows go from HWC to CHW order."""
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )
    with torch.no_grad():
        for layer, place in ((model[0], 0), (model[3], 2)):
            layer.weight.copy_(weights[place].permute(3, 2, 0, 1))
            layer.bias.copy_(weights[place + 1])
        rows = weights[4].reshape(5, 5, 16, 120).permute(3, 2, 0, 1).reshape(120, 400)
        model[7].weight.copy_(rows)
        model[7].bias.copy_(weights[5])
        for layer, place in ((model[9], 6), (model[11], 8)):
            layer.weight.copy_(weights[place].T)
            layer.bias.copy_(weights[place + 1])
    return model


def mlp(weights):
    """784-512-512-10 with Keras's weights."""
    model = nn.Sequential(
        nn.Flatten(),
        nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10),
    )
    with torch.no_grad():
        for layer, place in ((model[1], 0), (model[3], 2), (model[5], 4)):
            layer.weight.copy_(weights[place].T)
            layer.bias.copy_(weights[place + 1])
    return model


def optimizer_named(name, parameters):
    # The fused updates are PyTorch's fastest on the CPU.
    if name == "sgd":
        return torch.optim.SGD(parameters, lr=0.01, momentum=0.9, fused=True)
    if name == "adam":
        return torch.optim.Adam(parameters, lr=1e-3, eps=1e-7, fused=True)
    raise ValueError(f"no optimizer {name}")


def read_idx(path):
    with gzip.open(path, "rb") as file:
        data = file.read()
    dimensions = data[3]
    shape = struct.unpack(f">{dimensions}I", data[4:4 + 4 * dimensions])
    return numpy.frombuffer(data, numpy.uint8, offset=4 + 4 * dimensions).reshape(shape)


class Training:
    """A model and one batch, stepped again and again."""

    def __init__(self, model, batch, optimizer, variant, weights):
        self.format = FORMATS[variant]
        values = [read_tensor(weights, place) for place in range(len(os.listdir(weights)))]
        self.model = {"lenet": lenet, "mlp": mlp}[model](values).to(memory_format=self.format)
        self.optimizer = optimizer_named(optimizer, self.model.parameters())
        self.batch = batch

    def load(self, folder):
        self.x = self.arranged(read_tensor(folder, "x")[:self.batch])
        self.y = read_tensor(folder, "y")[:self.batch].long()
        return self

    def arranged(self, nhwc):
        return nhwc.permute(0, 3, 1, 2).contiguous(memory_format=self.format)

    def step(self, x, y):
        self.optimizer.zero_grad(set_to_none=True)
        loss = functional.cross_entropy(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return loss

    def run(self, count):
        for _ in range(count):
            self.step(self.x, self.y).item()

    def losses(self, count):
        losses = []
        for step in range(1, count + 1):
            # Keras, and we, add epsilon before the second moment's correction for its start at 0, PyTorch after it.
            for group in self.optimizer.param_groups:
                if "betas" in group:
                    group["eps"] = 1e-7 / (1 - group["betas"][1] ** step) ** 0.5
            losses.append(self.step(self.x, self.y).item())
        for group in self.optimizer.param_groups:
            if "betas" in group:
                group["eps"] = 1e-7
        return losses


class Epoch(Training):
    """Whole epochs over Fashion-MNIST, shuffled, with the smaller last batch."""

    def load(self, folder):
        images = read_idx(os.path.join(folder, "train-images-idx3-ubyte.gz"))
        labels = read_idx(os.path.join(folder, "train-labels-idx1-ubyte.gz"))
        self.x = self.arranged(torch.from_numpy(images.astype(numpy.float32) / 255)[..., None])
        self.y = torch.from_numpy(labels.astype(numpy.int64))
        return self

    def run(self, count):
        for _ in range(count):
            order = torch.randperm(len(self.y))
            total = torch.zeros(())
            for begin in range(0, len(order), self.batch):
                rows = order[begin:begin + self.batch]
                total += self.step(self.x[rows], self.y[rows]).detach() * len(rows)
            loss = total.item() / len(order)
        return [loss]


class Convolution:
    """One convolution in one of its three directions."""

    def __init__(self, direction, variant, words):
        size = {"s": 1, "p": 0, "d": 1, "g": 1}
        for word in words[1:]:
            letters = word.rstrip("0123456789")
            size[letters] = int(word[len(letters):])
        if words[0] != "conv2d":
            raise ValueError(f"no problem {words[0]}")
        self.direction, self.size, layout = direction, size, FORMATS[variant]
        span = [(size["k" + axis] - 1) * size["d"] + 1 for axis in "hw"]
        out = [(size["i" + axis] + 2 * size["p"] - k) // size["s"] + 1 for axis, k in zip("hw", span)]

        def ramp(modulus, *shape):
            count = int(numpy.prod(shape))
            values = numpy.arange(count, dtype=numpy.int64) % modulus - modulus // 2
            return torch.from_numpy(values.astype(numpy.float32).reshape(shape))

        def picture(nhwc):
            return nhwc.permute(0, 3, 1, 2).contiguous(memory_format=layout)

        self.x = picture(ramp(17, size["n"], size["ih"], size["iw"], size["ic"]))
        kernel = ramp(13, size["kh"], size["kw"], size["ic"] // size["g"], size["oc"])
        self.w = kernel.permute(3, 2, 0, 1).contiguous(memory_format=layout)
        self.gradient = picture(ramp(11, size["n"], *out, size["oc"]))

    def call(self):
        s, p, d, g = (self.size[key] for key in "spdg")
        if self.direction == "forward":
            return functional.conv2d(self.x, self.w, None, s, p, d, g)
        mask = [self.direction == "backward_data", self.direction == "backward_weights", False]
        results = torch.ops.aten.convolution_backward(
            self.gradient, self.x, self.w, None, [s, s], [p, p], [d, d], False, [0, 0], g, mask)
        return results[0] if mask[0] else results[1]

    def run(self, count):
        with torch.no_grad():
            for _ in range(count):
                self.call()

    def checksum(self):
        with torch.no_grad():
            result = self.call()
        order = (2, 3, 1, 0) if self.direction == "backward_weights" else (0, 2, 3, 1)
        flat = result.permute(order).reshape(-1).double()
        factors = torch.arange(flat.numel()) % 31 - 15
        return [flat.sum().item(), flat.abs().sum().item(), (flat * factors).sum().item()]


def prepared(words):
    kind = words[0]
    if kind == "conv":
        return Convolution(words[1], words[2], words[3:])
    model, batch, optimizer, variant, weights, data = words[1:]
    maker = {"train": Training, "epoch": Epoch}[kind]
    return maker(model, int(batch), optimizer, variant, weights).load(data)


def answer(words, store):
    """The numbers or words to send back for one request."""
    command = words[0]
    if command == "hello":
        return ["torch", torch.__version__]
    if command == "threads":
        torch.set_num_threads(int(words[1]))
    elif command == "prepare":
        store[words[1]] = prepared(words[2:])
    elif command == "run":
        return store[words[1]].run(int(words[2])) or []
    elif command == "losses":
        return store[words[1]].losses(int(words[2]))
    elif command == "checksum":
        return store[words[1]].checksum()
    elif command == "drop":
        del store[words[1]]
    else:
        raise ValueError(f"no command {command}")
    return []


def main():
    store = {}
    for line in sys.stdin:
        words = line.split()
        if words == ["quit"]:
            break
        try:
            reply = ["ok"] + [repr(v) if isinstance(v, float) else str(v) for v in answer(words, store)]
        except Exception as error:  # the driver reports it; the worker lives on
            reply = ["error", " ".join(f"{type(error).__name__}: {error}".split())]
        print(" ".join(reply), flush=True)


if __name__ == "__main__":
    main()
