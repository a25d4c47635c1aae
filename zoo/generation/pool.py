"""Several workers, each a process with an engine of its own, and what happens if one is killed."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from zoo.errors import OutputError
from zoo.generation.plan import Plan
from zoo.generation.worker import remove_leftovers
from zoo.processes import PipedProcess

TRIES = 3
"""How often a shard is begun whose worker dies."""


class WorkerProcess:
    """A process of `zoo.generation.worker`; `shard` is what it makes, or made last.

    Raises OutputError if it cannot be begun.
    """

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.shard: int | None = None
        try:
            self.process = PipedProcess("from zoo.generation import worker; worker.work()")
        except OSError as error:
            raise _no_further(error.strerror or str(error)) from error
        self._send(plan.to_json())
        self._send(json.dumps(str(folder)))

    def make(self, shard: int) -> dict[str, Any] | None:
        """Make a shard, and return its entry; None if the process has died. Raises OutputError."""
        self.shard = shard
        self._send(str(shard))
        line = self.process.stdout.readline()
        if not line.endswith(b"\n"):
            return None
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise OutputError(answer["error"])
        entry: dict[str, Any] = answer["entry"]
        return entry

    def _send(self, line: str) -> None:
        # That the process has ended, make() sees.
        with suppress(BrokenPipeError):
            self.process.send_line(line)


def _start(thread: threading.Thread) -> None:
    """Start a thread. Raises OutputError if there is no memory for it, or no process number."""
    try:
        thread.start()
    except RuntimeError as error:
        raise _no_further(str(error)) from error


def _no_further(reason: str) -> OutputError:
    return OutputError(f"no further process can make shards: {reason}")


def make_shards(
    plan: Plan, folder: Path, shards: Sequence[int], workers: int
) -> Generator[dict[str, Any], None, None]:
    """Make shards with that many processes, and yield their entries as they are done.

    A worker that dies is replaced, and its shard begun again. What is unfinished at the end is
    removed. Raises OutputError.
    """
    todo: queue.SimpleQueue[int] = queue.SimpleQueue()
    for shard in shards:
        todo.put(shard)
    done: queue.SimpleQueue[dict[str, Any] | BaseException] = queue.SimpleQueue()
    stop = threading.Event()
    running: list[WorkerProcess] = []

    def run() -> None:
        worker = None
        try:
            while not stop.is_set():
                try:
                    shard = todo.get_nowait()
                except queue.Empty:
                    return
                for attempt in range(TRIES):
                    if worker is None:
                        worker = WorkerProcess(plan, folder)
                        running.append(worker)
                    entry = worker.make(shard)
                    if entry is not None:
                        done.put(entry)
                        break
                    if stop.is_set():
                        return
                    reason = worker.process.reason()
                    running.remove(worker)
                    worker.process.close()
                    worker = None
                    if attempt == TRIES - 1:
                        remove_leftovers(plan, folder, shard)
                        raise OutputError(f"a process that makes shards has failed: {reason}")
        except BaseException as error:
            done.put(error)
        finally:
            if worker is not None and not stop.is_set():
                running.remove(worker)
                worker.process.close()

    threads: list[threading.Thread] = []
    try:
        for _ in range(min(workers, len(shards))):
            thread = threading.Thread(target=run, daemon=True)
            _start(thread)
            threads.append(thread)
        for _ in shards:
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
            worker.process.close()
            if worker.shard is not None:
                remove_leftovers(plan, folder, worker.shard)
