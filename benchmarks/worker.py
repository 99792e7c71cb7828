"""One side of the benchmark as a process that answers requests (see protocol.md)."""

import os
import subprocess
import threading
import time


class WorkerError(Exception):
    """The worker said no, or is gone."""


class Worker:
    """A child process; `ask` sends one line and returns the words of the answer."""

    def __init__(self, label, command, environment=None, patience=900):
        self.label, self.command, self.patience = label, command, patience
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
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
        """Wall-clock time of `count` runs, one request's round trip (some 30 us) included."""
        begin = time.perf_counter()
        self.ask("run", identity, count)
        return time.perf_counter() - begin

    def close(self):
        if self.process.poll() is None:
            try:
                self.process.stdin.write("quit\n")
                self.process.stdin.close()
                self.process.wait(timeout=20)
            except (OSError, subprocess.TimeoutExpired):
                self.process.kill()
                self.process.wait()
