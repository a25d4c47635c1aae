"""Several workers, each a process with an engine of its own, and what happens if one is killed."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Generator, Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zoo.errors import OutputError
from zoo.generation.plan import Plan
from zoo.processes import PipedProcess

TRIES = 3
"""How often a shard is begun whose worker dies."""


class Worker:
    """A process of `zoo.generation.worker`."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.process = PipedProcess("from zoo.generation import worker; worker.work()")
        self._send(json.dumps({"plan": asdict(plan), "folder": str(folder)}))

    def make(self, shard: int) -> dict[str, Any] | None:
        """Make a shard, and return its entry; None if the process has died. Raises OutputError."""
        self._send(str(shard))
        line = self.process.stdout.readline()
        if not line:
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
                    reason = worker.process.reason()
                    running.remove(worker)
                    worker.process.close()
                    worker = None
                    if attempt == TRIES - 1:
                        raise OutputError(f"a process that makes shards has failed: {reason}")
        except BaseException as error:
            done.put(error)
        finally:
            if worker is not None and not stop.is_set():
                running.remove(worker)
                worker.process.close()

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
            worker.process.close()
