"""Writes what all sides read of one network: data.py NETWORK-FILE FOLDER BATCH. Needs NumPy.

Weights are `<layer>.<place>.npy` in Keras's order and shapes, He-normal kernels; the batch is `x.npy` and `y.npy`.
"""

import math
import os
import sys

import numpy

from network import Network


def weight(source, what, shape):
    if what == "recurrent":
        # Small enough for the state to forget.
        return source.standard_normal(shape, numpy.float32) * numpy.float32(0.5 / math.sqrt(shape[0]))
    if what == "kernel":
        return source.standard_normal(shape, numpy.float32) * numpy.float32(math.sqrt(2 / math.prod(shape[:-1])))
    # Scales below 1 keep the sums of deep residual networks small.
    low, high = {"gamma": (0.5, 1), "variance": (0.5, 1.5)}.get(what, (-0.05, 0.05))
    return source.uniform(low, high, shape).astype(numpy.float32)


def main(path, folder, batch):
    network, source = Network(path), numpy.random.default_rng(1)
    os.makedirs(folder, exist_ok=True)

    def save(name, array):
        numpy.save(os.path.join(folder, f"{name}.npy"), array)

    for layer in network.layers:
        for place, (what, shape) in enumerate(layer.weights):
            save(f"{layer.name}.{place}", weight(source, what, shape))
    save("x", source.standard_normal((batch, *network.input), numpy.float32))
    save("y", source.integers(0, network.classes, batch).astype(numpy.int32))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
