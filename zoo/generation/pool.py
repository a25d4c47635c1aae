"""Several workers, each a process with an engine of its own, and what happens if one is killed."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zoo.errors import OutputError
from zoo.generation.plan import Plan

TRIES = 3
"""How often a shard is begun whose worker dies."""


class Worker:
    """A process of `zoo.generation.worker`."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        self._stderr = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", "from zoo.generation import worker; worker.work()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            env=os.environ | {"PYTHONPATH": path},
        )
        self._send(json.dumps({"plan": asdict(plan), "folder": str(folder)}))

    def make(self, shard: int) -> dict[str, Any] | None:
        """Make a shard, and return its entry; None if the process has died. Raises OutputError."""
        self._send(str(shard))
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            return None
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise OutputError(answer["error"])
        entry: dict[str, Any] = answer["entry"]
        return entry

    def reason(self) -> str:
        """Return why the process has ended."""
        status = self.process.wait()
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit status {status}"

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue
        self._stderr.close()

    def _send(self, line: str) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return  # make() sees that the process has ended


def make_shards(
    plan: Plan, folder: Path, shards: Iterable[int], workers: int
) -> Generator[dict[str, Any], None, None]:
    """Make shards with that many processes, and yield their entries as they are done.

    A worker that dies is replaced, and its shard begun again. Raises OutputError.
    """
    todo: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    count = 0
    for shard in shards:
        todo.put(shard)
        count += 1
    done: queue.SimpleQueue[dict[str, Any] | BaseException] = queue.SimpleQueue()
    stop = threading.Event()
    running: list[Worker] = []

    def run() -> None:
        worker = None
        try:
            while not stop.is_set():
                try:
                    shard = todo.get_nowait()
                except queue.Empty:
                    return
                assert shard is not None
                for attempt in range(TRIES):
                    if worker is None:
                        worker = Worker(plan, folder)
                        running.append(worker)
                    entry = worker.make(shard)
                    if entry is not None:
                        done.put(entry)
                        break
                    if stop.is_set():
                        return
                    reason = worker.reason()
                    running.remove(worker)
                    worker.close()
                    worker = None
                    if attempt == TRIES - 1:
                        raise OutputError(f"a process that makes shards has failed: {reason}")
        except BaseException as error:
            done.put(error)
        finally:
            if worker is not None and not stop.is_set():
                running.remove(worker)
                worker.close()

    threads = [threading.Thread(target=run, daemon=True) for _ in range(min(workers, count))]
    for thread in threads:
        thread.start()
    try:
        for _ in range(count):
            entry = done.get()
            if isinstance(entry, BaseException):
                raise entry
            yield entry
    finally:
        stop.set()
        for worker in list(running):
            worker.process.kill()
        for thread in threads:
            thread.join()
        for worker in running:
            worker.close()
