"""PyTorch's side of the benchmarks: a worker that speaks the protocol of protocol.md.

The variants are the memory formats `nchw` and `channels_last`, run eagerly, and `compiled` and `compiled_cl`, the same
through torch.compile.
"""

import torch
import torch.nn.functional as functional
from torch import nn

import problems
import serve
from network import Network, padding_of

FORMATS = {
    "default": torch.contiguous_format,
    "nchw": torch.contiguous_format,
    "channels_last": torch.channels_last,
    "compiled": torch.contiguous_format,
    "compiled_cl": torch.channels_last,
}


RECURRENT = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class Net(nn.Module):
    """A network file as a module; pictures are NCHW."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        self.parts = nn.ModuleDict()
        channels = {"x": network.input[-1]}
        for layer in network.layers:
            before = channels[layer.inputs[0]]
            if layer.kind == "conv":
                self.parts[layer.name] = nn.Conv2d(before, layer.filters, layer.kernel, layer.stride,
                                                   padding_of(layer)[0], bias=bool(layer.bias))
            elif layer.kind == "bn":
                self.parts[layer.name] = nn.BatchNorm2d(before, eps=layer.epsilon)
            elif layer.kind == "relu":
                self.parts[layer.name] = nn.ReLU(inplace=True)
            elif layer.kind == "maxpool":
                first, last = padding_of(layer)
                self.parts[layer.name] = nn.MaxPool2d(layer.size, layer.stride, first, ceil_mode=last > first)
            elif layer.kind == "avgpool":
                self.parts[layer.name] = nn.AvgPool2d(layer.size, layer.stride)
            elif layer.kind == "dense":
                self.parts[layer.name] = nn.Linear(before, layer.units)
            elif layer.kind in RECURRENT:
                part = RECURRENT[layer.kind](before, layer.units, batch_first=True)
                # Where Keras has one bias a second one would make two steps of each.
                if layer.kind != "gru":
                    nn.init.zeros_(part.bias_hh_l0).requires_grad_(False)
                self.parts[layer.name] = part
            channels[layer.name] = layer.shape[-1]

    def forward(self, x):
        values = {"x": x}
        for layer in self.network.layers:
            inputs = [values[name] for name in layer.inputs]
            if layer.kind == "add":
                result = inputs[0] + inputs[1]
            elif layer.kind == "concat":
                result = torch.cat(inputs, 1)
            elif layer.kind == "flatten":
                result = torch.flatten(inputs[0], 1)
            elif layer.kind in RECURRENT:
                result = self.parts[layer.name](inputs[0])[0][:, -1]
            elif layer.kind == "globalavgpool":
                result = functional.adaptive_avg_pool2d(inputs[0], 1).flatten(1)
            else:
                result = self.parts[layer.name](inputs[0])
            values[layer.name] = result
            # Values are held no longer than by hand-written code.
            for name in self.network.last_uses[layer.name]:
                del values[name]
        return result

    def arranged(self, layer, what, array):
        """A weight of Keras's as PyTorch has it: OIHW, out-in, and dense rows after a flatten from HWC to CHW."""
        tensor = torch.from_numpy(array)
        if layer.kind in RECURRENT:
            if layer.kind == "gru":
                # Keras has z, r, h; PyTorch r, z, h.
                z, r, h = tensor.split(layer.units, -1)
                tensor = torch.cat([r, z, h], -1)
            return tensor if what == "bias" else tensor.T
        if what != "kernel":
            return tensor
        if layer.kind == "conv":
            return tensor.permute(3, 2, 0, 1)
        source = self.network.flattened(layer)
        if source:
            height, width, channels = source
            return tensor.reshape(height, width, channels, -1).permute(3, 2, 0, 1).reshape(tensor.shape[1], -1)
        return tensor.T

    def tensor(self, layer, what):
        part = self.parts[layer.name]
        if layer.kind in RECURRENT:
            return {"kernel": "weight_ih_l0", "recurrent": "weight_hh_l0", "bias": "bias_ih_l0"}[what], part
        return {"kernel": "weight", "gamma": "weight", "bias": "bias", "beta": "bias", "mean": "running_mean",
                "variance": "running_var"}[what], part

    def load(self, folder):
        with torch.no_grad():
            for layer in self.network.layers:
                for place, (what, _) in enumerate(layer.weights):
                    name, part = self.tensor(layer, what)
                    array = serve.load(folder, f"{layer.name}.{place}")
                    value = self.arranged(layer, what, array)
                    if layer.kind == "gru" and what == "bias":
                        part.bias_hh_l0.copy_(value[1])
                        value = value[0]
                    getattr(part, name).copy_(value)


def optimizer_named(name, parameters):
    # The fused updates are PyTorch's fastest on the CPU.
    if name == "sgd":
        return torch.optim.SGD(parameters, lr=0.001, momentum=0.9, fused=True)
    if name == "adam":
        return torch.optim.Adam(parameters, lr=1e-3, eps=1e-7, fused=True)
    raise ValueError(f"no optimizer {name}")


class Case:
    """A network with its weights and one batch."""

    def __init__(self, path, batch, variant, folder):
        self.folder, self.format = folder, FORMATS[variant]
        self.net = Net(Network(path))
        self.net.load(folder)
        if len(self.net.network.input) == 3:
            self.net.to(memory_format=self.format)
        self.call = torch.compile(self.net) if variant.startswith("compiled") else self.net
        x, y = serve.batch_of(folder, batch)
        self.x = torch.from_numpy(x)
        if x.ndim == 4:
            self.x = self.x.permute(0, 3, 1, 2).contiguous(memory_format=self.format)
        self.y = torch.from_numpy(y).long()


class Training(Case):
    def __init__(self, path, batch, optimizer, variant, folder):
        super().__init__(path, int(batch), variant, folder)
        self.optimizer = optimizer_named(optimizer, self.net.parameters())

    def step(self):
        self.optimizer.zero_grad(set_to_none=True)
        loss = functional.cross_entropy(self.call(self.x), self.y)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def run(self, count):
        for _ in range(count):
            self.step()

    def losses(self, count):
        losses = []
        for step in range(1, count + 1):
            # Keras, and we, add epsilon before the second moment's correction for its start at 0, PyTorch after it.
            for group in self.optimizer.param_groups:
                if "betas" in group:
                    group["eps"] = 1e-7 / (1 - group["betas"][1] ** step) ** 0.5
            losses.append(self.step())
        for group in self.optimizer.param_groups:
            if "betas" in group:
                group["eps"] = 1e-7
        return losses

    def update(self):
        norms = []
        for layer, place, what in serve.compared(self.net.network):
            name, part = self.net.tensor(layer, what)
            before = self.net.arranged(layer, what, serve.load(self.folder, f"{layer.name}.{place}"))
            after = getattr(part, name).detach()
            if layer.kind == "gru" and what == "bias":
                after = torch.stack([after, part.bias_hh_l0.detach()])
            norms.append((after - before).double().norm().item())
        return norms


class Inference(Case):
    def __init__(self, path, batch, variant, folder):
        super().__init__(path, int(batch), variant, folder)
        self.net.eval()

    def run(self, count):
        with torch.inference_mode():
            for _ in range(count):
                self.call(self.x)

    def outputs(self):
        with torch.inference_mode():
            return self.call(self.x).flatten().tolist()


class Convolution:
    """One convolution in one of its three directions."""

    def __init__(self, direction, variant, words):
        problem = problems.parsed(" ".join(words))
        axes, layout = problem.axes, FORMATS[variant]
        if axes != 2 and variant == "channels_last":
            raise ValueError("channels_last is for pictures")
        self.direction, self.problem = direction, problem
        last = axes + 1
        to_first = (0, last, *range(1, last))

        def picture(array):
            return torch.from_numpy(array).permute(to_first).contiguous(memory_format=layout)

        self.x = picture(serve.ramp(17, problem.n, *problem.input, problem.ic))
        kernel = serve.ramp(13, *problem.kernel, problem.ic // problem.g, problem.oc)
        self.w = torch.from_numpy(kernel).permute(last, axes, *range(axes)).contiguous(memory_format=layout)
        self.gradient = picture(serve.ramp(11, problem.n, *problem.output, problem.oc))

    def result(self):
        p, axes = self.problem, self.problem.axes
        geometry = ([p.s] * axes, [p.p] * axes, [p.d] * axes, False, [0] * axes, p.g)
        if self.direction == "forward":
            return torch.ops.aten.convolution(self.x, self.w, None, *geometry)
        mask = [self.direction == "backward_data", self.direction == "backward_weights", False]
        results = torch.ops.aten.convolution_backward(self.gradient, self.x, self.w, None, *geometry, mask)
        return results[0] if mask[0] else results[1]

    def run(self, count):
        with torch.no_grad():
            for _ in range(count):
                self.result()

    def checksum(self):
        with torch.no_grad():
            result = self.result()
        axes = self.problem.axes
        spatial = range(2, axes + 2)
        order = (*spatial, 1, 0) if self.direction == "backward_weights" else (0, *spatial, 1)
        return serve.sums(result.permute(order).numpy())


class Side:
    def hello(self, *_):
        return ["torch", torch.__version__]

    def threads(self, count):
        torch.set_num_threads(count)

    def prepared(self, words):
        if words[0] == "conv":
            return Convolution(words[1], words[2], words[3:])
        return {"train": Training, "infer": Inference}[words[0]](*words[1:])


if __name__ == "__main__":
    serve.main(Side())
