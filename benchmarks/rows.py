"""The rows of the table: each checks, times, and gives a dictionary for results.json."""

import os
import shutil
import subprocess
import time

import problems
import sides
from network import Network
from sides import Candidate, HERE
from turns import Runner, same_numbers, same_training, take_turns
from worker import WorkerError

DIRECTIONS = ("forward", "backward_data", "backward_weights")


def read_rows(path):
    """(part, network, batch, target) of every line."""
    with open(path, encoding="utf-8") as file:
        lines = (line.split("#")[0].split() for line in file)
        return [(words[0], words[1], int(words[2]), float(words[3])) for words in lines if words]


class Rows:
    def __init__(self, options, everybody, folder, say):
        self.options, self.sides, self.folder, self.say = options, everybody, folder, say
        self.data = None

    # What all sides read

    def network(self, name, batch):
        """The path of a network file, and a folder with its weights and a batch. One such folder exists at a time."""
        path = os.path.join(HERE, "networks", f"{name}.txt")
        folder = os.path.join(self.folder, f"{name}-{batch}")
        if folder != self.data:
            if self.data:
                shutil.rmtree(self.data, ignore_errors=True)
            self.data = folder
            subprocess.run([self.options.python, os.path.join(HERE, "data.py"), path, folder, str(batch)], check=True)
        return path, folder

    def wanted(self, candidates, ours):
        peers = [candidate for candidate in candidates if candidate.side in self.options.peers]
        return [candidate for candidate in peers + ours if self.sides.here(candidate)]

    # Training steps

    def train(self, name, batch, target):
        path, folder = self.network(name, batch)
        deep = batch_normalised(path)
        weighted = sum(1 for layer in Network(path).layers if layer.weights)

        def prepare(candidate, worker):
            worker.ask("prepare", "case", "train", path, batch, "sgd", candidate.variant, folder)
            losses = worker.numbers("losses", "case", 1)
            lengths = worker.numbers("update", "case")
            return losses + worker.numbers("losses", "case", 4 if name in sides.SMALL else 1), lengths

        def check(found, expected):
            return same_training(found, expected, deep, weighted)

        everybody = self.wanted(sides.training(name, self.options.slow), [Candidate("libdl", "default")])
        flops = Network(path).training_flops(batch)
        row = self.contest("train", name, batch, target, flops, everybody, prepare, check)
        try:
            with self.sides.start(Candidate("libdl", "default")) as worker:
                worker.ask("application", path)
        except (WorkerError, OSError) as error:
            row["failures"]["libdl"] = str(error)
        return row

    # Inference

    def infer(self, name, batch, target):
        path, folder = self.network(name, batch)

        def prepare(candidate, worker):
            if candidate.side == "libdl (C)":
                saved = os.path.join(folder, "model.safetensors")
                if not os.path.exists(saved):
                    with self.sides.start(Candidate("libdl", "default")) as helper:
                        helper.ask("prepare", "case", "infer", path, batch, "default", folder)
                        helper.ask("save", "case", saved)
                worker.ask("prepare", "case", "infer", saved, batch, "default", folder)
            else:
                worker.ask("prepare", "case", "infer", path, batch, candidate.variant, folder)
            return worker.numbers("outputs", "case")

        def check(found, expected):
            return same_numbers(found, expected, 1e-3)

        ours = [Candidate("libdl", "default"), Candidate("libdl (C)", "default")]
        everybody = self.wanted(sides.inferring(self.options.slow), ours)
        flops = Network(path).forward_flops(batch)
        return self.contest("infer", name, batch, target, flops, everybody, prepare, check)

    # How a row is measured

    def contest(self, part, name, batch, target, flops, everybody, prepare, check):
        """Everybody alone for a few steps; then the two fastest peers and ours in turns, each in a process of its own."""
        row = {"part": part, "network": name, "batch": batch, "target": target, "flops": flops, "failures": {},
               "trials": {}, "reference": None}
        expected, finalists, outrun = None, [], set()
        try:
            for candidate in everybody:
                # As shipped, PyTorch is worth its time in the faster memory format alone.
                if candidate.side == "torch" and not candidate.heap and candidate.variant in outrun:
                    continue
                begin, worker = time.perf_counter(), None
                try:
                    worker = self.sides.start(candidate)
                    found = prepare(candidate, worker)
                    if expected is None and not candidate.ours:
                        expected, row["reference"] = found, candidate.label
                    wrong = check(found, expected) if expected is not None else None
                    if wrong:
                        # Wrong numbers in no time are no competition; ours are timed all the same, and the row is marked.
                        row["failures"][candidate.label] = f"other numbers than {row['reference']}: {wrong}"
                        self.say(f"  {candidate.label}: {row['failures'][candidate.label]}")
                        if not candidate.ours:
                            worker.close()
                            continue
                    runner = Runner(candidate, worker)
                    runner.calibrate(self.options.block)
                    for _ in range(3):
                        runner.turn()
                    row["trials"][candidate.label] = {**runner.figures(), "start": time.perf_counter() - begin}
                    self.say(f"  {candidate.label}: {min(runner.times) * 1e3:.4g} ms")
                    finalists = self.chosen(finalists + [runner])
                    outrun = slower_formats(row["trials"])
                except (WorkerError, OSError) as error:
                    row["failures"][candidate.label] = str(error)
                    self.say(f"  {candidate.label}: {error}")
                    if worker:
                        worker.close()
            for runner in finalists:
                runner.times = []
            row["failures"].update(take_turns(finalists, self.options.rounds, self.options.seconds))
            row["sides"] = {runner.label: runner.figures() for runner in finalists if runner.times}
        finally:
            for runner in finalists:
                runner.worker.close()
        return finished(row)

    @staticmethod
    def chosen(runners):
        """Ours and the two fastest peers; the others' processes end."""
        peers = sorted((runner for runner in runners if not runner.candidate.ours), key=lambda runner: min(runner.times))
        for runner in peers[2:]:
            runner.worker.close()
        return peers[:2] + [runner for runner in runners if runner.candidate.ours]

    # From one thread to two

    def scaling(self, name, batch, target):
        path, folder = self.network(name, batch)
        row = {"part": "scaling", "network": name, "batch": batch, "target": target, "failures": {}, "ratio": None,
               "flops": Network(path).training_flops(batch)}
        candidate = Candidate("libdl", "default")
        if not self.sides.here(candidate):
            return {**row, "sides": {}, "failures": {"libdl": self.sides.absent.get("libdl", "left out")}}
        try:
            with self.sides.start(candidate) as worker:
                worker.ask("prepare", "case", "train", path, batch, "sgd", "default", folder)
                times = {1: [], 2: []}
                for threads in times:
                    worker.ask("threads", threads)
                    worker.seconds("case", 1)
                for _ in range(5):
                    for threads, list_of in times.items():
                        worker.ask("threads", threads)
                        time.sleep(0.02)
                        list_of.append(worker.seconds("case", 1))
        except WorkerError as error:
            return {**row, "sides": {}, "failures": {"libdl": str(error)}}
        row["sides"] = {f"{count} threads": figures(list_of) for count, list_of in times.items()}
        row["ratio"] = row["sides"]["1 threads"]["median"] / row["sides"]["2 threads"]["median"]
        return row

    # Whole programs

    def epoch(self, name, batch, target):
        """Process start to the accuracy printed, one epoch of LeNet on Fashion-MNIST."""
        pictures = self.options.fashion_mnist
        if not os.path.exists(os.path.join(pictures, "train-images-idx3-ubyte.gz")):
            raise WorkerError(f"no Fashion-MNIST in {pictures} (Debian's package dataset-fashion-mnist, or --fashion-mnist)")
        programs = {"libdl": (self.options.dlua and [self.options.dlua, os.path.join(HERE, "epoch.lua")], None)}
        for side, formats in (("torch", ("nchw", "channels_last")), ("keras", ("default",))):
            if side in self.options.peers and side in self.sides.versions:
                for variant in formats:
                    candidate = Candidate(side, variant, True)
                    script = os.path.join(HERE, f"epoch_{side}.py")
                    programs[candidate.label] = ([self.options.python, script, variant], sides.KEEP_HEAP)
        row = {"part": "epoch", "network": name, "batch": batch, "target": target, "failures": {}, "trials": {},
               "flops": None, "sides": {}, "accuracy": {}}
        for turn in range(3):
            for label, (command, environment) in programs.items():
                # The peers need long, and vary little beside that.
                if not command or label in row["failures"] or turn and label.startswith("keras"):
                    continue
                begin = time.perf_counter()
                try:
                    done = subprocess.run(
                        command + [pictures, str(batch), str(self.options.threads)], capture_output=True, text=True,
                        check=True, timeout=self.options.patience, env={**os.environ, **(environment or {})})
                    taken, accuracy = time.perf_counter() - begin, float(done.stdout.split()[-1])
                except (subprocess.SubprocessError, OSError, ValueError, IndexError) as error:
                    row["failures"][label] = (getattr(error, "stderr", None) or str(error)).strip()[-300:]
                    self.say(f"  {label}: {row['failures'][label]}")
                    continue
                row["accuracy"].setdefault(label, []).append(accuracy)
                row["sides"].setdefault(label, figures([]))["times"].append(taken)
                self.say(f"  {label}: {taken:.2f} s, accuracy {accuracy:.4f}")
        for label, entry in row["sides"].items():
            row["sides"][label] = figures(entry["times"])
            # The same network and optimizer, but other random numbers: 0.779 to 0.837 were seen of the peers.
            if min(row["accuracy"][label]) < 0.75:
                row["failures"][label] = f"accuracy {min(row['accuracy'][label]):.4f} after an epoch"
        return finished(row)

    def start(self):
        """The time an empty program needs."""
        programs = {"libdl": self.options.dlua and [self.options.dlua, "-e", ""]}
        for side, module in (("torch", "torch"), ("keras", "keras"), ("jax", "jax"), ("onnxruntime", "onnxruntime")):
            if side in self.options.peers and side in self.sides.versions:
                programs[side] = [self.options.python, "-c", f"import {module}"]
        row = {"part": "start", "network": "empty program", "batch": None, "target": None, "limit": 0.03, "failures": {},
               "flops": None, "sides": {}}
        for label, command in programs.items():
            if not command:
                continue
            times = []
            for _ in range(20 if label == "libdl" else 3):
                begin = time.perf_counter()
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                times.append(time.perf_counter() - begin)
            row["sides"][label] = figures(times)
        return finished(row)

    # Single convolutions

    def convolutions(self, path, done):
        """Yields a row for each shape and direction of a file, but for those that `done` knows."""
        everybody = self.wanted(
            [Candidate("torch", variant, heap) for heap in (True, False) for variant in ("nchw", "channels_last")],
            [Candidate("libdl (C)", "default")])
        workers = {}
        try:
            for problem in problems.read_shapes(path):
                for direction in DIRECTIONS:
                    if not done("convolution", problem, direction):
                        yield self.convolution(problem, direction, everybody, workers)
        finally:
            for worker in workers.values():
                worker.close()

    def convolution(self, problem, direction, everybody, workers):
        row = {"part": "convolution", "network": problem, "batch": direction, "target": 1.0, "failures": {},
               "flops": problems.parsed(problem).flops}
        runners, expected = [], None
        for candidate in everybody:
            try:
                # One process for a side, as shipped or not, whatever the format.
                place = (candidate.side, candidate.heap)
                if place not in workers or workers[place].process.poll() is not None:
                    workers[place] = self.sides.start(candidate)
                worker, identity = workers[place], candidate.label.replace(" ", "_")
                if candidate.variant == "channels_last" and not problem.startswith("conv2d"):
                    continue
                worker.ask("prepare", identity, "conv", direction, candidate.variant, problem)
                runner = Runner(candidate, worker, identity)
                found = worker.numbers("checksum", identity)
                if expected is None:
                    expected, row["reference"] = found, candidate.label
                # The operands are small integers: sums differ by nothing, or by the rounding of the largest.
                wrong = same_numbers(found[:2], expected[:2], 2e-6, expected[1]) or same_numbers(
                    found[2:], expected[2:], 2e-6, 15 * expected[1])
                if wrong:
                    row["failures"][candidate.label] = f"other numbers than {row['reference']}: {wrong}"
                runner.calibrate(self.options.block / 2)
                runners.append(runner)
            except (WorkerError, OSError) as error:
                row["failures"][candidate.label] = str(error)
        row["failures"].update(take_turns(runners, min(5, self.options.rounds), self.options.seconds))
        row["sides"] = {runner.label: {**runner.figures(), "megabytes": None} for runner in runners if runner.times}
        for runner in runners:
            try:
                runner.worker.ask("drop", runner.identity)
            except WorkerError:
                pass
        return finished(row)


def slower_formats(trials):
    """Of PyTorch's memory formats with the heap kept, the slower one."""
    least = {variant: trials[f"torch {variant} +heap"]["least"] for variant in ("nchw", "channels_last")
             if f"torch {variant} +heap" in trials}
    return {max(least, key=least.get)} if len(least) == 2 else set()


def batch_normalised(path):
    return any(layer.kind == "bn" for layer in Network(path).layers)


def figures(times):
    ordered = sorted(times)
    middle = ordered[len(ordered) // 2] if ordered else None
    return {"median": middle, "least": ordered[0] if ordered else None, "times": times, "megabytes": None}


def finished(row):
    """Adds who was fastest, and the ratio."""
    medians = {label: entry["median"] for label, entry in row["sides"].items() if entry["median"]}
    ours = min((label for label in medians if label.startswith(sides.OURS)), key=medians.get, default=None)
    peer = min((label for label in medians if not label.startswith(sides.OURS)), key=medians.get, default=None)
    row.update(ours=ours, peer=peer, ratio=medians[peer] / medians[ours] if ours and peer else None)
    return row
