"""Checks that sides compute the same numbers, then times them in turns."""

import statistics
import time

from worker import WorkerError

PAUSE = 0.02  # lets the threads of the worker that has just answered fall asleep


def same_numbers(values, expected, tolerance, scale=None):
    """None, or what differs. The tolerance is relative to `scale`, by default to the largest value."""
    if len(values) != len(expected):
        return f"{len(values)} numbers instead of {len(expected)}"
    scale = scale or max(map(abs, expected))
    for place, (value, other) in enumerate(zip(values, expected)):
        # A NaN is never the same.
        if not abs(value - other) <= tolerance * max(scale, abs(other)):
            return f"number {place} is {value:.6g}, not {other:.6g}"
    return None


def same_training(found, expected, deep, weighted):
    """Losses of the first steps, and how far the first step has moved each weight.

    Batch norm of few samples doubles a rounding error in every few layers, so deep networks get more room, later losses
    more than the first: PyTorch's gradient of ResNet-152, batch 2, is 9 to 14 % off its own in float64, and its second loss
    6.73 or 6.82, by memory format, where float64 has 7.04 (and libdl 7.03). Without it a large first step does the like in a
    small way where more than 16 layers have weights: VGG-19, batch 2, goes from 16.19 to 2.620 in float64 and in PyTorch, to
    2.628 in its channels-last format, and to 2.636 here.
    """
    losses, lengths = found
    first = same_numbers(losses[:1], expected[0][:1], 1e-4)
    rest = same_numbers(losses[1:], expected[0][1:], 6e-2 if deep else 1e-2 if weighted > 16 else 1e-3)
    if first or rest:
        return f"losses {losses}, not {expected[0]}"
    tolerance = 0.06 if deep else 2e-3
    if len(lengths) != len(expected[1]):
        return f"{len(lengths)} weights instead of {len(expected[1])}"
    floor = max(expected[1]) * 2e-3
    for place, (value, other) in enumerate(zip(lengths, expected[1])):
        if not abs(value - other) <= tolerance * (other + floor):
            return f"weight {place} has gone {value:.6g}, not {other:.6g}"
    return None


class Runner:
    """A candidate with its case prepared in a worker."""

    def __init__(self, candidate, worker, identity="case", count=1):
        self.candidate, self.worker, self.identity, self.count = candidate, worker, identity, count
        self.times = []

    @property
    def label(self):
        return self.candidate.label

    def calibrate(self, block):
        """How many runs fill a block of that many seconds; warms up on the way."""
        self.count = 1
        while True:
            taken = self.worker.seconds(self.identity, self.count) * self.count
            if taken >= block / 4 or self.count >= 1 << 20:
                self.count = max(1, min(1 << 20, round(self.count * block / taken)))
                # What loading and checking took is not what a step takes.
                self.worker.reset_peak()
                return
            self.count *= 4

    def turn(self):
        time.sleep(PAUSE)
        self.times.append(self.worker.seconds(self.identity, self.count))

    def figures(self):
        return {"median": statistics.median(self.times), "least": min(self.times), "times": self.times,
                "megabytes": self.worker.peak_megabytes()}


def take_turns(runners, rounds, seconds):
    """Everybody in turn, each round beginning with another; fewer rounds, but five, where they would take too long.

    A runner that fails is left out from then on; gives {label: why}.
    """
    failures, begin, done, alive = {}, time.perf_counter(), 0, list(runners)
    while done < rounds and alive:
        shift = done % len(alive)
        for runner in alive[shift:] + alive[:shift]:
            try:
                runner.turn()
            except WorkerError as error:
                failures[runner.label] = str(error)
                alive.remove(runner)
        done += 1
        if done >= 5 and (time.perf_counter() - begin) * (done + 1) / done > seconds:
            break
    return failures
