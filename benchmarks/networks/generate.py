#!/usr/bin/env python3
"""Writes the network files of this folder: generate.py, or generate.py --check to compare them.

The files are the data that every side reads; this script spares us from writing ResNet-152 by hand.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


class Network:
    """Lines of a network file; each method adds a layer and gives its name."""

    def __init__(self, remark, shape, classes, parameters, application=None):
        self.lines = [f"# {remark}", "input " + " ".join(map(str, shape)), f"classes {classes}",
                      f"parameters {parameters}"]
        if application:
            self.lines.append(f"application {application}")
        self.count = {}

    def add(self, kind, inputs, name=None, **attributes):
        if name is None:
            self.count[kind] = self.count.get(kind, 0) + 1
            name = f"{kind}{self.count[kind]}"
        inputs = [inputs] if isinstance(inputs, str) else inputs
        words = [name, kind, *inputs] + [f"{key}={value}" for key, value in attributes.items()]
        self.lines.append(" ".join(words))
        return name

    def conv(self, x, filters, kernel, stride=1, padding=0, **attributes):
        return self.add("conv", x, filters=filters, kernel=kernel, stride=stride, padding=padding, **attributes)

    def conv_relu(self, x, filters, kernel, stride=1, padding=0):
        return self.add("relu", self.conv(x, filters, kernel, stride, padding, bias=1))

    def conv_bn(self, x, filters, kernel, stride=1, padding=0, epsilon="1e-05", relu=True):
        x = self.conv(x, filters, kernel, stride, padding, bias=0)
        x = self.add("bn", x, epsilon=epsilon)
        return self.add("relu", x) if relu else x

    def maxpool(self, x, size, stride, padding=0):
        return self.add("maxpool", x, size=size, stride=stride, padding=padding)

    def dense_relu(self, x, units):
        return self.add("relu", self.add("dense", x, units=units))


def lenet():
    net = Network("LeNet-5 with ReLU and maxima: LeCun et al., 1998, as taught today", (28, 28, 1), 10, 61706, "LeNet5")
    x = net.maxpool(net.conv_relu("x", 6, 5, 1, 2), 2, 2)
    x = net.maxpool(net.conv_relu(x, 16, 5), 2, 2)
    x = net.add("flatten", x)
    net.add("dense", net.dense_relu(net.dense_relu(x, 120), 84), units=10)
    return net


def mlp():
    net = Network("A perceptron, 784-512-512-10", (28, 28, 1), 10, 669706)
    x = net.add("flatten", "x")
    net.add("dense", net.dense_relu(net.dense_relu(x, 512), 512), units=10)
    return net


def vgg(counts, parameters):
    depth = sum(counts) + 3
    net = Network(f"VGG-{depth}: Simonyan, Zisserman, 2014; no dropout", (224, 224, 3), 1000, parameters,
                  f"VGG{depth}")
    x = "x"
    for count, filters in zip(counts, (64, 128, 256, 512, 512)):
        for _ in range(count):
            x = net.conv_relu(x, filters, 3, 1, 1)
        x = net.maxpool(x, 2, 2)
    x = net.add("flatten", x)
    net.add("dense", net.dense_relu(net.dense_relu(x, 4096), 4096), units=1000)
    return net


def resnet(counts, bottleneck, parameters):
    depth = sum(counts) * (3 if bottleneck else 2) + 2
    net = Network(f"ResNet-{depth}: He et al., 2015, the stride in the 3x3 as torchvision has it", (224, 224, 3), 1000,
                  parameters, f"ResNet{depth} torchvision")
    x = net.maxpool(net.conv_bn("x", 64, 7, 2, 3), 3, 2, 1)
    channels = 64
    for stage, count in enumerate(counts):
        width = 64 << stage
        out = width * 4 if bottleneck else width
        for block in range(count):
            stride = 2 if stage and not block else 1
            if bottleneck:
                y = net.conv_bn(x, width, 1)
                y = net.conv_bn(y, width, 3, stride, 1)
                y = net.conv_bn(y, out, 1, relu=False)
            else:
                y = net.conv_bn(x, width, 3, stride, 1)
                y = net.conv_bn(y, width, 3, 1, 1, relu=False)
            shortcut = x if stride == 1 and channels == out else net.conv_bn(x, out, 1, stride, relu=False)
            x, channels = net.add("relu", net.add("add", [y, shortcut])), out
    net.add("dense", net.add("globalavgpool", x), units=1000)
    return net


def googlenet():
    net = Network("GoogLeNet: Szegedy et al., 2014, with batch norm and 3x3 for 5x5 as torchvision has it; no auxiliary "
                  "heads, no dropout", (224, 224, 3), 1000, 6624904, "GoogLeNet torchvision")

    def conv(x, *sizes):
        return net.conv_bn(x, *sizes, epsilon="0.001")

    def inception(x, one, three_in, three, five_in, five, pool):
        branches = [
            conv(x, one, 1),
            conv(conv(x, three_in, 1), three, 3, 1, 1),
            conv(conv(x, five_in, 1), five, 3, 1, 1),
            conv(net.maxpool(x, 3, 1, 1), pool, 1),
        ]
        return net.add("concat", branches)

    x = net.maxpool(conv("x", 64, 7, 2, 3), 3, 2, "0,1")
    x = net.maxpool(conv(conv(x, 64, 1), 192, 3, 1, 1), 3, 2, "0,1")
    x = inception(x, 64, 96, 128, 16, 32, 32)
    x = net.maxpool(inception(x, 128, 128, 192, 32, 96, 64), 3, 2, "0,1")
    for sizes in ((192, 96, 208, 16, 48, 64), (160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64),
                  (112, 144, 288, 32, 64, 64), (256, 160, 320, 32, 128, 128)):
        x = inception(x, *sizes)
    x = net.maxpool(x, 2, 2)
    x = inception(x, 256, 160, 320, 32, 128, 128)
    x = inception(x, 384, 192, 384, 48, 128, 128)
    net.add("dense", net.add("globalavgpool", x), units=1000)
    return net


def alexnet():
    net = Network("AlexNet, one column: Krizhevsky, 2014, as torchvision has it; no dropout", (224, 224, 3), 1000, 61100840,
                  "AlexNet torchvision")
    x = net.maxpool(net.conv_relu("x", 64, 11, 4, 2), 3, 2)
    x = net.maxpool(net.conv_relu(x, 192, 5, 1, 2), 3, 2)
    x = net.conv_relu(net.conv_relu(net.conv_relu(x, 384, 3, 1, 1), 256, 3, 1, 1), 256, 3, 1, 1)
    x = net.add("flatten", net.maxpool(x, 3, 2))
    net.add("dense", net.dense_relu(net.dense_relu(x, 4096), 4096), units=1000)
    return net


def recurrent(kind, remark, parameters):
    network = Network(f"{remark}, 64 features to 128 units over 32 steps", (32, 64), 10, parameters)
    network.add("dense", network.add(kind, "x", units=128), units=10)
    return network


NETWORKS = {
    "rnn": lambda: recurrent("rnn", "A plain recurrent layer", 25994),
    "lstm": lambda: recurrent("lstm", "A long short-term memory", 100106),
    "gru": lambda: recurrent("gru", "A gated recurrent unit", 75786),
    "lenet": lenet,
    "mlp": mlp,
    "alexnet": alexnet,
    "vgg16": lambda: vgg((2, 2, 3, 3, 3), 138357544),
    "vgg19": lambda: vgg((2, 2, 4, 4, 4), 143667240),
    "googlenet": googlenet,
    "resnet18": lambda: resnet((2, 2, 2, 2), False, 11689512),
    "resnet50": lambda: resnet((3, 4, 6, 3), True, 25557032),
    "resnet152": lambda: resnet((3, 8, 36, 3), True, 60192808),
}


def main():
    status = 0
    for name, make in NETWORKS.items():
        path, text = os.path.join(HERE, f"{name}.txt"), "\n".join(make().lines) + "\n"
        if sys.argv[1:] == ["--check"]:
            with open(path, encoding="utf-8") as file:
                if file.read() != text:
                    print(f"{path} is not what generate.py writes")
                    status = 1
        else:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
    return status


if __name__ == "__main__":
    sys.exit(main())
