#!/usr/bin/env python3
"""Times libdl beside its peers, in turns, after checking that all compute the same numbers (see README.md).

Needs the standard library alone; the peers live in the interpreter that --python names.
"""

import argparse
import datetime
import glob
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
import traceback

import report
from rows import Rows, read_rows
from sides import HERE, PEERS, Sides

PARTS = ("train", "infer", "epoch", "start", "scaling", "convolutions")


def processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            words = dict(line.split(":", 1) for line in file.read().split("\n\n")[0].splitlines() if ":" in line)
        found = {key.strip(): value.strip() for key, value in words.items()}
        return f"{found['model name']} (family {found['cpu family']}, model {found['model']})"
    except (OSError, KeyError):
        return platform.processor() or platform.machine()


def peak(program, threads):
    """Vector level and GFLOP/s of multiply-adds on so many threads; None where the program is missing or fails."""
    try:
        level, rate = subprocess.run([program, str(threads)], capture_output=True, text=True, check=True).stdout.split()
        return level, float(rate)
    except (OSError, TypeError, ValueError, subprocess.SubprocessError):
        return None


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


class Bench:
    """The rows measured so far, and the file they are kept in."""

    def __init__(self, options):
        self.options, self.begin = options, time.perf_counter()
        self.rows, self.earlier, before = [], {}, {}
        self.log = open(os.path.join(options.output, "workers.log"), "w", encoding="utf-8")
        self.path = os.path.join(options.output, "results.json")
        if (options.resume or options.merge) and os.path.exists(self.path):
            with open(self.path, encoding="utf-8") as file:
                before = json.load(file)
            self.earlier = {self.key(row): row for row in before["rows"]}
        self.sides = Sides(options, self.log)
        self.machine = {"processor": processor(), "threads": options.threads, "date": now(),
                        "load": os.getloadavg()[0]}
        rates = {count: peak(options.peak, count) for count in sorted({1, options.threads})}
        self.machine["peak"] = {str(count): rate[1] for count, rate in rates.items() if rate}
        self.machine["vectors"] = next((rate[0] for rate in rates.values() if rate), "unknown")
        # The rows kept were measured beside these sides; a peak is what the machine has reached in any of the runs.
        self.versions = {**before.get("versions", {}), **self.sides.versions}
        for count, rate in before.get("machine", {}).get("peak", {}).items():
            self.machine["peak"][count] = max(rate, self.machine["peak"].get(count, 0))
        self.print_head()

    def print_head(self):
        print(self.machine["processor"])
        for count, rate in self.machine["peak"].items():
            print(f"FMA peak, {self.machine['vectors']}, {count} threads: {rate:.0f} GFLOP/s")
        for name, version in self.sides.versions.items():
            print(f"{name} {version}")
        for name, why in self.sides.absent.items():
            print(f"{name} takes no part: {why[:200]}")
        load = os.getloadavg()[0]
        if load > 0.7:
            print(f"This machine is busy (load {load:.1f}): the figures below show that, and little else.")
        sys.stdout.flush()

    @staticmethod
    def key(row):
        return row["part"], row["network"], str(row["batch"])

    def known(self, *key):
        return self.options.resume and tuple(map(str, key)) in {tuple(map(str, known)) for known in self.earlier}

    def late(self):
        return time.perf_counter() - self.begin > 60 * self.options.minutes

    def keep(self, row):
        """A finished row goes to the table and to the file, so that nothing is lost if a later one ends the run."""
        row["date"], row["load"] = now(), os.getloadavg()[0]
        self.rows.append(row)
        print(report.line(row, self.machine), flush=True)
        self.write()

    def all_rows(self):
        merged = {**self.earlier, **{self.key(row): row for row in self.rows}}
        return sorted(merged.values(), key=report.order)

    def write(self):
        results = {"machine": self.machine, "versions": self.versions, "absent": self.sides.absent,
                   "rows": self.all_rows()}
        temporary = self.path + ".new"
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)
        os.replace(temporary, self.path)
        report.write(results, self.options.output)

    def attempt(self, part, network, batch, measure):
        """A row that fails is reported and never ends the run."""
        if self.known(part, network, batch) or self.late():
            return
        print(f"{part} {network} {batch if batch is not None else ''}".rstrip(), flush=True)
        try:
            self.keep(measure())
        except KeyboardInterrupt:
            raise
        except Exception as error:
            traceback.print_exc(file=self.log)
            self.keep({"part": part, "network": network, "batch": batch, "target": None, "flops": None, "sides": {},
                       "ratio": None, "ours": None, "peer": None, "failures": {"row": f"{type(error).__name__}: {error}"}})

    def run(self, rows):
        options = self.options
        wanted = read_rows(os.path.join(HERE, "rows.txt"))
        for part in options.parts:
            if part == "start":
                self.attempt("start", "empty program", None, rows.start)
            elif part == "convolutions":
                self.convolutions(rows)
            else:
                for kind, network, batch, target in wanted:
                    if kind == part and (not options.only or network in options.only):
                        measure = getattr(rows, kind)
                        self.attempt(kind, network, batch, lambda m=measure, n=network, b=batch, t=target: m(n, b, t))

    def convolutions(self, rows):
        for path in self.options.shapes:
            name = os.path.splitext(os.path.basename(path))[0]
            if self.options.only and name not in self.options.only:
                continue
            print(f"convolutions of {name}", flush=True)
            try:
                for row in rows.convolutions(path, lambda *key: self.known(*key) or self.late()):
                    self.keep(row)
            except Exception as error:  # the next file may do better
                traceback.print_exc(file=self.log)
                print(f"  {name}: {error}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} (default: all)")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[],
                        help="networks, or files of shapes: resnet50,vgg16")
    parser.add_argument("--peers", type=lambda text: [name for name in text.split(",") if name], default=list(PEERS),
                        help="of " + ",".join(PEERS))
    parser.add_argument("--slow", action="store_true", 
                        help="also what needs minutes before its first step: torch.compile, XLA")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15, help="turns for each of the last three")
    parser.add_argument("--seconds", type=float, default=25, help="after which turns end, once there are five")
    parser.add_argument("--block", type=float, default=0.06, help="seconds in one turn, where a step is shorter")
    parser.add_argument("--patience", type=float, default=400, help="seconds that a worker may take for one answer")
    parser.add_argument("--minutes", type=float, default=1e9, help="no row begins later than this")
    parser.add_argument("--resume", action="store_true", help="measure only what the results do not have yet")
    parser.add_argument("--merge", action="store_true", help="keep the other rows of earlier results")
    parser.add_argument("--output", default=None, help="folder of results.json, ratios.svg and RESULTS.md")
    parser.add_argument("--fashion-mnist", default=os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--shapes", nargs="*", default=sorted(glob.glob(os.path.join(HERE, "shapes", "*.txt"))))
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has the peers")
    parser.add_argument("--dlua", default=None, help="our interpreter")
    parser.add_argument("--ours-c", type=shlex.split, default=None, help="the command of our worker in C")
    parser.add_argument("--dlib", type=shlex.split, default=None, help="the command of dlib's worker")
    parser.add_argument("--peak", default=None, help="the program that measures the processor's peak")
    options = parser.parse_args()
    for name in options.parts:
        if name not in PARTS:
            parser.error(f"no part {name!r}; there are {', '.join(PARTS)}")
    for name in options.peers:
        if name not in PEERS:
            parser.error(f"no peer {name!r}; there are {', '.join(PEERS)}")
    # A partial run must not take the place of the whole one.
    whole = not options.parts and not options.only and options.peers == list(PEERS)
    if options.output is None:
        options.output = HERE if whole or options.merge else os.path.join(os.path.dirname(HERE), "build", "benchmarks")
    options.parts = options.parts or list(PARTS)
    options.ours = [options.dlua, os.path.join(HERE, "ours.lua")] if options.dlua else None
    return options


def main():
    options = arguments()
    os.makedirs(options.output, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="dl-bench-") as folder:
        bench = Bench(options)
        bench.run(Rows(options, bench.sides, folder, lambda text: print(text, flush=True)))
    print()
    print(report.summary(bench.all_rows(), bench.machine))
    print(f"{(time.perf_counter() - bench.begin) / 60:.0f} minutes; figures in", os.path.relpath(options.output))
    return 1 if any(report.failed(row) for row in bench.rows) else 0


if __name__ == "__main__":
    sys.exit(main())
