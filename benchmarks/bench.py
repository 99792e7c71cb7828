#!/usr/bin/env python3
"""Times libdl beside PyTorch, in turns, after checking that both compute the same numbers.

Both sides are workers (protocol.md). Every measurement goes A B A B between them, so that a
change of the machine's mood strikes both; the clock is this process's. PyTorch runs in both
memory formats, as shipped and with glibc told to keep its heap; the fastest counts.
Needs the standard library alone; PyTorch is asked for in the interpreter named by --python.
"""

import argparse
import datetime
import glob
import json
import os
import platform
import shlex
import shutil
import statistics
import sys
import tempfile
import time

import problems
from worker import Worker, WorkerError

HERE = os.path.dirname(os.path.abspath(__file__))
KEEP_HEAP = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "100000000000"}
BATCHES = (1, 32, 128)
OPTIMIZERS = ("sgd", "adam")
DIRECTIONS = ("forward", "backward_data", "backward_weights")
PAUSE = 0.01  # lets the threads of the worker that has just answered fall asleep


class Bench:
    """The workers, the files they read, and the rows measured so far."""

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.rows, self.failures, self.peers = [], [], {}
        self.ours = self.ours_convolutions = None
        interpreter = [options.python, os.path.join(HERE, "peer_torch.py")]
        self.peers["torch"] = self.start("torch", interpreter)
        self.peers["torch+heap"] = self.start("torch+heap", interpreter, KEEP_HEAP)
        if options.ours and options.parts != ["convolutions"]:
            self.ours = self.start("dl", shlex.split(options.ours))
        if options.ours_convolutions and "convolutions" in options.parts:
            self.ours_convolutions = self.start("dl", shlex.split(options.ours_convolutions))
        self.weights = {name: os.path.join(folder, name) for name in problems.MODELS}
        for name, path in self.weights.items():
            problems.write_weights(path, name)
        self.batch = os.path.join(folder, "batch")
        problems.write_batch(self.batch, max(BATCHES))

    def start(self, label, command, environment=None):
        worker = Worker(label, command, environment)
        print(f"{label}: {' '.join(worker.ask('hello'))}", flush=True)
        worker.ask("threads", self.options.threads)
        return worker

    def close(self):
        for worker in {*self.peers.values(), self.ours, self.ours_convolutions} - {None}:
            worker.close()

    def candidates(self, variants, ours):
        """(label, worker, variant) of everybody who takes part; ours first."""
        everybody = [("dl", ours, "default")] if ours else []
        for label, worker in self.peers.items():
            everybody += [(f"{label} {variant}", worker, variant) for variant in variants]
        return everybody

    def prepare(self, identity, variants, words):
        """Prepares a case everywhere; a side that refuses is left out and reported."""
        taking_part = []
        ours = self.ours_convolutions if words[0] == "conv" else self.ours
        for label, worker, variant in self.candidates(variants, ours):
            name = f"{identity}/{variant}"
            try:
                worker.ask("prepare", name, *[variant if word == "VARIANT" else word for word in words])
                taking_part.append((label, worker, name))
            except WorkerError as error:
                self.fail(str(error))
        return taking_part

    def fail(self, message):
        self.failures.append(message)
        print("FAILED", message, flush=True)

    # Numbers first

    def check_training(self, model, optimizer):
        """Both sides see the same losses from the same start, batch 32, ten steps."""
        variants = ("nchw", "channels_last") if model == "lenet" else ("default",)
        words = ("train", model, 32, optimizer, "VARIANT", self.weights[model], self.batch)
        found = {}
        for label, worker, name in self.prepare("check", variants, words):
            found[label] = worker.numbers("losses", name, 10)
            worker.ask("drop", name)
        self.compare(f"{model} {optimizer}, losses of 10 steps", found, 1e-4)

    def check_convolution(self, parts, what):
        self.compare(what, {label: worker.numbers("checksum", name) for label, worker, name in parts}, None)

    def compare(self, what, found, tolerance):
        """Everybody against the first peer. A checksum's scale is the sum of the magnitudes."""
        base = next((label for label in found if label != "dl"), None)
        if base is None:
            return
        for label, values in found.items():
            expected = found[base]
            if tolerance is None:
                scale = [(15 if place == 2 else 1) * abs(expected[1]) * 1e-6 + 1e-6 for place in range(3)]
            else:
                scale = [tolerance * max(1, abs(value)) for value in expected]
            differences = [abs(a - b) for a, b in zip(values, expected)]
            if len(values) != len(expected) or not all(d <= s for d, s in zip(differences, scale)):
                self.fail(f"{what}: {label} gives {values}, {base} {expected}")
                return
        if tolerance is not None:
            print(f"same numbers: {what} ({', '.join(found)})", flush=True)

    # Then times

    def measure(self, parts, what, flops, rounds=None, block=None):
        """Median time of one run for each candidate, the candidates taking turns."""
        rounds = rounds or self.options.rounds
        counts, times = {}, {label: [] for label, _, _ in parts}
        for label, worker, name in parts:
            counts[label] = 1 if block == 1 else self.calibrated(worker, name)
        for turn in range(rounds):
            shift = turn % len(parts)
            for label, worker, name in parts[shift:] + parts[:shift]:
                time.sleep(PAUSE)
                times[label].append(worker.seconds(name, counts[label]) / counts[label])
        for _, worker, name in parts:
            worker.ask("drop", name)
        medians = {label: statistics.median(values) for label, values in times.items()}
        peer = min((label for label in medians if label != "dl"), key=medians.get, default=None)
        row = {
            "what": what, "flops": flops, "times": times, "medians": medians,
            "ours": medians.get("dl"), "peer": medians.get(peer), "peer_name": peer,
        }
        row["ratio"] = row["ratio_of_minima"] = None
        if row["peer"] and row["ours"]:
            row["ratio"] = row["peer"] / row["ours"]
            row["ratio_of_minima"] = min(min(v) for k, v in times.items() if k != "dl") / min(times["dl"])
        self.rows.append(row)
        print(line_of(row), flush=True)

    def calibrated(self, worker, name):
        """How many runs fill a block of --block seconds; warms up on the way."""
        count = 1
        worker.seconds(name, 2)
        while True:
            taken = worker.seconds(name, count)
            if taken >= self.options.block / 4 or count >= 1 << 20:
                return max(1, min(1 << 20, round(count * self.options.block / taken)))
            count *= 4

    def train(self):
        for model in problems.MODELS:
            for optimizer in OPTIMIZERS:
                self.check_training(model, optimizer)
        print(HEADING, flush=True)
        for model in problems.MODELS:
            variants = ("nchw", "channels_last") if model == "lenet" else ("default",)
            for optimizer in OPTIMIZERS:
                for batch in BATCHES:
                    words = ("train", model, batch, optimizer, "VARIANT", self.weights[model], self.batch)
                    parts = self.prepare("step", variants, words)
                    if parts:
                        what = f"{model} step, batch {batch}, {optimizer}"
                        self.measure(parts, what, problems.training_flops(model, batch))

    def epoch(self):
        folder = self.options.fashion_mnist
        if not os.path.exists(os.path.join(folder, "train-images-idx3-ubyte.gz")):
            self.fail(f"no Fashion-MNIST in {folder} (Debian's package dataset-fashion-mnist, or --fashion-mnist)")
            return
        words = ("epoch", "lenet", 128, "adam", "VARIANT", self.weights["lenet"], folder)
        parts = self.prepare("epoch", ("nchw", "channels_last"), words)
        if parts:
            print(HEADING, flush=True)
            self.measure(parts, "lenet epoch, batch 128, adam", problems.training_flops("lenet", 60000), 3, 1)

    def convolutions(self):
        print(HEADING, flush=True)
        for path in self.options.shapes:
            for problem in problems.read_shapes(path):
                for direction in DIRECTIONS:
                    parts = self.prepare("conv", ("nchw", "channels_last"), ("conv", direction, "VARIANT", problem))
                    if parts:
                        self.check_convolution(parts, f"{problem} {direction}")
                        self.measure(parts, f"{problem} {direction}", problems.convolution_flops(problem))


HEADING = f"{'':74} {'dl ms':>9} {'GFLOP/s':>8} {'torch ms':>9} {'GFLOP/s':>8} {'ratio':>6} {'(min)':>6}  fastest PyTorch"


def line_of(row):
    def pair(seconds):
        if seconds is None:
            return f"{'-':>9} {'-':>8}"
        return f"{seconds * 1e3:9.4g} {row['flops'] / seconds / 1e9:8.1f}"

    ratio = " ".join(f"{row[key]:6.2f}" if row[key] else f"{'-':>6}" for key in ("ratio", "ratio_of_minima"))
    return f"{row['what']:74} {pair(row['ours'])} {pair(row['peer'])} {ratio}  {row['peer_name'] or '-'}"


def processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="train, epoch, convolutions (default: all three)")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has PyTorch")
    parser.add_argument("--ours", default=None, help="the command of our worker; without one PyTorch runs alone")
    parser.add_argument("--ours-convolutions", default=None, help="the command of our worker for single convolutions")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=11, help="turns for each candidate")
    parser.add_argument("--block", type=float, default=0.05, help="seconds in one turn")
    parser.add_argument("--shapes", nargs="*", default=sorted(glob.glob(os.path.join(HERE, "shapes", "*.txt"))))
    parser.add_argument("--fashion-mnist", default=os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--json", default=os.path.join(HERE, "results.json"), help="where the figures go")
    options = parser.parse_args()
    known = ("train", "epoch", "convolutions")
    options.parts = options.parts or list(known)
    for part in options.parts:
        if part not in known:
            parser.error(f"no part {part!r}; there are {', '.join(known)}")
    return options


def main():
    options = arguments()
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"This machine is busy (load {load:.1f}); PyTorch's threads suffer most from it. Do not trust the ratios.")
    folder, bench = tempfile.mkdtemp(prefix="dl-bench-"), None
    try:
        bench = Bench(options, folder)
        for part in options.parts:
            getattr(bench, part)()
    except WorkerError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    finally:
        if bench:
            bench.close()
        shutil.rmtree(folder, ignore_errors=True)
    report = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "processor": processor(), "load_before": load, "threads": options.threads, "rounds": options.rounds,
        "rows": bench.rows, "failures": bench.failures,
    }
    with open(options.json, "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
    print("\nratio = PyTorch's median time / ours (and the same of the shortest times); figures in", os.path.relpath(options.json))
    for row in bench.rows:
        if row["ratio"] and row["ratio"] < 1:
            print("slower than PyTorch:", row["what"], f"{row['ratio']:.2f}")
    for failure in bench.failures:
        print("FAILED", failure)
    return 1 if bench.failures else 0


if __name__ == "__main__":
    sys.exit(main())
