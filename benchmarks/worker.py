"""One side of the benchmark as a process that answers requests (see protocol.md)."""

import os
import subprocess
import threading
import time


class WorkerError(Exception):
    """The worker said no, or is gone."""


class Worker:
    """A child process; `ask` sends one line and returns the words of the answer."""

    def __init__(self, label, command, environment=None, patience=600, log=None):
        self.label, self.command, self.patience = label, command, patience
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, bufsize=1,
            env={**os.environ, **(environment or {})})

    def ask(self, *words):
        line = " ".join(str(word) for word in words)
        watchdog = threading.Timer(self.patience, self.process.kill)
        watchdog.start()
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            reply = self.process.stdout.readline().split()
        except OSError as error:
            raise WorkerError(f"{self.label}: {error} at: {line}") from error
        finally:
            watchdog.cancel()
        if not reply:
            raise WorkerError(f"{self.label}: ended (status {self.process.wait()}) at: {line}")
        if reply[0] != "ok":
            raise WorkerError(f"{self.label}: {' '.join(reply[1:]) or reply[0]} at: {line}")
        return reply[1:]

    def numbers(self, *words):
        return [float(word) for word in self.ask(*words)]

    def seconds(self, identity, count):
        """Wall-clock time of one of `count` runs; a request's round trip (some 30 us) is shared by them."""
        begin = time.perf_counter()
        self.ask("run", identity, count)
        return (time.perf_counter() - begin) / count

    def reset_peak(self):
        """Peaks count from here on; from the start of the process where the system cannot forget."""
        try:
            with open(f"/proc/{self.process.pid}/clear_refs", "w", encoding="utf-8") as file:
                file.write("5")
        except OSError:
            pass

    def peak_megabytes(self):
        """The most memory that was resident, or None where the system does not tell."""
        try:
            with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as file:
                line = next(line for line in file if line.startswith("VmHWM:"))
            return int(line.split()[1]) / 1024
        except (OSError, StopIteration):
            return None

    def close(self):
        if self.process.poll() is None:
            try:
                self.process.stdin.write("quit\n")
                self.process.stdin.close()
                self.process.wait(timeout=20)
            except (OSError, subprocess.TimeoutExpired):
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
