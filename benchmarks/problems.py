"""What is timed: networks, convolution problems, their arithmetic, and the files both sides read."""

import array
import math
import os
import random
import struct

# Weight shapes in Keras's order; the kernels' fans follow from the shape.
MODELS = {
    "lenet": [(5, 5, 1, 6), (6,), (5, 5, 6, 16), (16,), (400, 120), (120,), (120, 84), (84,), (84, 10), (10,)],
    "mlp": [(784, 512), (512,), (512, 512), (512,), (512, 10), (10,)],
}

# Multiply-adds of one sample forward, and of the first layer alone (it needs no gradient of its input).
MULTIPLY_ADDS = {
    "lenet": (28 * 28 * 25 * 6 + 10 * 10 * 25 * 6 * 16 + 400 * 120 + 120 * 84 + 84 * 10, 28 * 28 * 25 * 6),
    "mlp": (784 * 512 + 512 * 512 + 512 * 10, 784 * 512),
}


def training_flops(model, batch):
    """Floating-point operations of a training step: forward, to the weights, to the data."""
    total, first = MULTIPLY_ADDS[model]
    return 2 * batch * (3 * total - first)


def convolution_flops(problem):
    """Operations of the direct algorithm, the same in each direction; padding counts."""
    size = {"s": 1, "p": 0, "d": 1, "g": 1}
    for word in problem.split()[1:]:
        letters = word.rstrip("0123456789")
        size[letters] = int(word[len(letters):])
    out = 1
    for axis in "hw":
        span = (size["k" + axis] - 1) * size["d"] + 1
        out *= (size["i" + axis] + 2 * size["p"] - span) // size["s"] + 1
    return 2 * size["n"] * out * size["oc"] * size["kh"] * size["kw"] * size["ic"] // size["g"]


def read_shapes(path):
    """The problem strings of a file; `#` begins a remark."""
    with open(path, encoding="utf-8") as file:
        lines = (line.split("#")[0].split() for line in file)
        return [" ".join(words) for words in lines if words]


def write_npy(path, shape, values):
    """An array.array of floats or 32-bit integers as NPY 1.0."""
    kind = {"f": "<f4", "i": "<i4"}[values.typecode]
    header = repr({"descr": kind, "fortran_order": False, "shape": tuple(shape)})
    header += " " * (-(len(header) + 11) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
        file.write(values.tobytes())


def write_weights(folder, model, seed=1):
    """Glorot-uniform kernels and small biases: 0.npy, 1.npy, ..."""
    os.makedirs(folder)
    source = random.Random(seed)
    for place, shape in enumerate(MODELS[model]):
        if len(shape) == 1:
            limit = 0.05
        else:
            receptive = math.prod(shape[:-2])
            limit = math.sqrt(6 / (receptive * (shape[-2] + shape[-1])))
        values = array.array("f", (source.uniform(-limit, limit) for _ in range(math.prod(shape))))
        write_npy(os.path.join(folder, f"{place}.npy"), shape, values)


def write_batch(folder, count=128, seed=2):
    """Pictures of noise (x.npy) and labels from 0 to 9 (y.npy)."""
    os.makedirs(folder)
    source = random.Random(seed)
    pixels = array.array("f", (source.randrange(256) / 256 for _ in range(count * 784)))
    labels = array.array("i", (source.randrange(10) for _ in range(count)))
    write_npy(os.path.join(folder, "x.npy"), (count, 28, 28, 1), pixels)
    write_npy(os.path.join(folder, "y.npy"), (count,), labels)
