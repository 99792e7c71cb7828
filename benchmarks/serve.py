"""The worker's half of protocol.md for sides written in Python: requests in, answers out."""

import ctypes
import gc
import os
import sys
import zlib

import numpy

SKIP = 8 << 20  # elements: a copy of a larger kernel would count as the worker's memory


def load(folder, name):
    return numpy.load(os.path.join(folder, f"{name}.npy"))


def initial(folder, layer):
    """A layer's weights by what they are, in Keras's shapes."""
    return {what: load(folder, f"{layer.name}.{place}") for place, (what, _) in enumerate(layer.weights)}


def compared(network):
    """(layer, place, what) of the weights whose change is told, in the file's order."""
    for layer in network.layers:
        for place, (what, shape) in enumerate(layer.weights):
            if what not in ("mean", "variance") and numpy.prod(shape) <= SKIP:
                yield layer, place, what


def batch_of(folder, count):
    return load(folder, "x")[:count], load(folder, "y")[:count]


def read_idx(folder, name):
    """One of Fashion-MNIST's files."""
    with open(os.path.join(folder, f"{name}.gz"), "rb") as file:
        data = zlib.decompress(file.read(), 31)
    shape = [int.from_bytes(data[4 + 4 * axis:8 + 4 * axis], "big") for axis in range(data[3])]
    return numpy.frombuffer(data, numpy.uint8, offset=4 + 4 * data[3]).reshape(shape)


def ramp(modulus, *shape):
    """The operands of single convolutions: small integers."""
    values = numpy.arange(int(numpy.prod(shape)), dtype=numpy.int64) % modulus - modulus // 2
    return values.astype(numpy.float32).reshape(shape)


def sums(array):
    """The checksum of a result."""
    flat = numpy.ascontiguousarray(array).reshape(-1).astype(numpy.float64)
    factors = numpy.arange(flat.size) % 31 - 15
    return [flat.sum(), numpy.abs(flat).sum(), (flat * factors).sum()]


def norm(after, before):
    return float(numpy.sqrt(numpy.square((after - before).astype(numpy.float64)).sum()))


def answer(words, store, side):
    command = words[0]
    if command == "hello":
        return side.hello(*words[1:])
    if command == "threads":
        side.threads(int(words[1]))
    elif command == "prepare":
        store[words[1]] = side.prepared(words[2:])
    elif command == "drop":
        del store[words[1]]
    else:
        case = store[words[1]]
        reply = getattr(case, command)(*map(int, words[2:]))
        if command == "update":
            give_back()
        return [] if reply is None else reply
    return []


def give_back():
    """What the checks used goes back to the system, so that the peaks counted from here on are those of the work."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):
        pass


def main(side):
    """`side` has hello(), threads(n) and prepared(words); a case has run, losses, update, outputs or checksum."""
    # Libraries that print would spoil the answers.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    store = {}
    for line in sys.stdin:
        words = line.split()
        if words == ["quit"]:
            break
        try:
            reply = ["ok"] + [repr(float(v)) if hasattr(v, "__float__") else str(v) for v in answer(words, store, side)]
        except Exception as error:  # the driver reports it; the worker lives on
            reply = ["error", " ".join(f"{type(error).__name__}: {error}".split())[:400]]
        print(" ".join(reply), file=out, flush=True)
