"""Who takes part: the commands of the workers, and the ways each can do a thing."""

import os
from dataclasses import dataclass

from worker import Worker, WorkerError

HERE = os.path.dirname(os.path.abspath(__file__))
# glibc gives large blocks back after each step and faults them in again at the next; told not to, peers are faster.
KEEP_HEAP = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "100000000000"}
RECURRENT = ("rnn", "lstm", "gru")
SMALL = ("lenet", "mlp", *RECURRENT)
OURS = ("libdl", "libdl (C)")


@dataclass(frozen=True)
class Candidate:
    """A side, one of its ways, and whether glibc keeps its heap."""

    side: str
    variant: str
    heap: bool = False

    @property
    def label(self):
        words = [self.side] + ([self.variant] if self.variant != "default" else []) + (["+heap"] if self.heap else [])
        return " ".join(words)

    @property
    def ours(self):
        return self.side in OURS


# The Python peers: the worker's file. What needs seconds to minutes before its first step waits for --slow.
PEERS = {
    "torch": "peer_torch.py", "keras": "peer_keras.py", "jax": "peer_jax.py", "onnxruntime": "peer_onnx.py",
    "openvino": "peer_onnx.py", "dlib": None,
}


def training(network, slow):
    """(side, variant, heap) of all that train, what is likely to be fastest first."""
    flat = network == "mlp" or network in RECURRENT
    torch = ["default"] if flat else ["channels_last", "nchw"]
    ways = [("torch", variant, heap) for heap in (True, False) for variant in torch]
    if slow:
        ways += [("torch", "compiled", True)] + ([] if flat else [("torch", "compiled_cl", True)])
    small = network in SMALL
    # Keras's own loop and tf.function, compiled by XLA or not. Large networks take XLA up to minutes, and the loop adds
    # to the function's time, so those mostly wait for --slow.
    if small or slow:
        keras = ["train", "function", "train_jit", "function_jit"]
    else:
        keras = ["function"] + (["function_jit"] if network.startswith("vgg") else [])
    ways += [("keras", variant, True) for variant in keras]
    if small:
        ways += [("keras", "function_jit", False), ("jax", "jit", True), ("jax", "jit", False)]
    if network == "lenet":
        ways += [("dlib", "default", True), ("dlib", "default", False)]
    return [Candidate(*way) for way in ways]


def inferring(slow):
    ways = [("onnxruntime", "onnxruntime", True), ("onnxruntime", "onnxruntime", False), ("openvino", "openvino", True),
            ("openvino", "openvino", False), ("torch", "channels_last", True)]
    if slow:
        ways += [("torch", "nchw", True), ("torch", "compiled_cl", True)]
    return [Candidate(*way) for way in ways]


class Sides:
    """Starts workers, and knows which sides are there."""

    def __init__(self, options, log):
        self.options, self.log = options, log
        self.versions, self.absent = {}, {}
        self.commands = {name: [options.python, os.path.join(HERE, file)] for name, file in PEERS.items() if file}
        self.commands["dlib"] = options.dlib
        self.commands["libdl"] = options.ours
        self.commands["libdl (C)"] = options.ours_c
        for name in ("libdl", "libdl (C)", *options.peers):
            if not self.commands[name]:
                self.absent[name] = "no program"
                continue
            try:
                with self.start(Candidate(name, "default")) as worker:
                    self.versions[name] = worker.ask("hello", name)[1]
            except (WorkerError, OSError) as error:
                self.absent[name] = str(error)

    def here(self, candidate):
        return candidate.side in self.versions

    def start(self, candidate):
        worker = Worker(candidate.label, self.commands[candidate.side], KEEP_HEAP if candidate.heap else None,
                        self.options.patience, self.log)
        try:
            worker.ask("threads", self.options.threads)
        except WorkerError:
            worker.close()
            raise
        return worker
