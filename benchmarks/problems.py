"""Problem strings of single convolutions: conv2d n8 ih56 iw56 ic64 oc64 kh3 kw3 s1 p1. Standard library alone."""

import math
from dataclasses import dataclass

AXES = {"conv1d": "w", "conv2d": "hw", "conv3d": "dhw"}


@dataclass
class Problem:
    text: str
    axes: int
    n: int
    ic: int
    oc: int
    input: tuple
    kernel: tuple
    output: tuple
    s: int
    p: int
    d: int
    g: int

    @property
    def flops(self):
        """Operations of the direct algorithm, the same in each direction; padding counts."""
        return 2 * self.n * math.prod(self.output) * self.oc * math.prod(self.kernel) * self.ic // self.g


def parsed(text):
    words = text.split()
    size = {"s": 1, "p": 0, "d": 1, "g": 1}
    for word in words[1:]:
        letters = word.rstrip("0123456789")
        size[letters] = int(word[len(letters):])
    axes = AXES[words[0]]
    picture = tuple(size["i" + axis] for axis in axes)
    kernel = tuple(size["k" + axis] for axis in axes)
    out = tuple((side + 2 * size["p"] - (k - 1) * size["d"] - 1) // size["s"] + 1 for side, k in zip(picture, kernel))
    return Problem(text, len(axes), size["n"], size["ic"], size["oc"], picture, kernel, out, *(size[key] for key in "spdg"))


def read_shapes(path):
    """The problem strings of a file; `#` begins a remark."""
    with open(path, encoding="utf-8") as file:
        lines = (line.split("#")[0].split() for line in file)
        return [" ".join(words) for words in lines if words]
