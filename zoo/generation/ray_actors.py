"""Shards made by the actors of a Ray cluster, each with an engine and a core or GPU of its own.

Only Ray's core is used: an actor that dies, alone or with its machine, is replaced, and its shard
begun again.
"""

from __future__ import annotations

import logging
import os
import socket
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zoo.errors import ConfigError, OutputError
from zoo.generation.plan import Plan
from zoo.generation.pool import TRIES
from zoo.generation.worker import Worker, remove_leftovers
from zoo.optional import require


class Actor(Worker):
    """The worker of an actor, which starts when a machine has room for it."""

    def __init__(self, plan: str, folder: str) -> None:
        super().__init__(Plan.from_json(plan), Path(folder))

    def wait(self) -> dict[str, Any]:
        """Return nothing, once the actor runs."""
        return {}


def make_shards(
    plan: Plan, folder: Path, shards: Sequence[int], workers: int | None, address: str
) -> Generator[dict[str, Any], None, None]:
    """Make shards with the actors of a cluster, and yield their entries as they are done.

    workers: number of actors, by default one for each core or GPU; more than one share a GPU.
    address: of the cluster, as ray.init takes it. Shards are handed out in order, to actors that
    run: one that waits for room in the cluster holds none back. All machines need the folder and
    the engine at the same paths. Raises ConfigError, OutputError.
    """
    ray = require("ray", "ray")
    if not shards:
        return
    with _connection(ray, address):
        count, gpus = _layout(ray, plan, workers, address)
        count = min(count, len(shards))
        kind = ray.remote(num_cpus=1, num_gpus=gpus, scheduling_strategy="SPREAD")
        actors = kind(Actor)
        todo, tries, lost = deque(shards), Counter[int](), 0
        running: dict[Any, tuple[Any, int | None]] = {}

        def start_actor() -> None:
            actor = actors.remote(plan.to_json(), str(folder))
            running[actor.wait.remote()] = actor, None

        for _ in range(count):
            start_actor()
        try:
            while todo or any(shard is not None for _, shard in running.values()):
                (ready,), _ = ray.wait(list(running), num_returns=1)
                actor, shard = running.pop(ready)
                try:
                    answer = ray.get(ready)
                except (ray.exceptions.RayActorError, ray.exceptions.OutOfMemoryError) as error:
                    ray.kill(actor)
                    if shard is None:
                        lost += 1
                    else:
                        tries[shard] += 1
                        todo.appendleft(shard)
                    if lost > count or max(tries.values(), default=0) == TRIES:
                        reason = str(error).strip().partition("\n")[0]
                        raise OutputError(
                            f"an actor that makes shards has failed: {reason}"
                        ) from error
                    start_actor()
                    continue
                lost = 0
                if shard is not None:
                    yield _entry_of(plan, folder, shard, answer)
                if todo:
                    shard = todo.popleft()
                    running[actor.make.remote(shard)] = actor, shard
                else:
                    # Room for one that begins the shard of a lost actor again.
                    ray.kill(actor)
        finally:
            for actor, _ in running.values():
                ray.kill(actor)
            for _, shard in running.values():
                if shard is not None:
                    remove_leftovers(plan, folder, shard)


def _entry_of(plan: Plan, folder: Path, shard: int, answer: dict[str, Any]) -> dict[str, Any]:
    """Return the entry of an answer. Raises OutputError."""
    if "error" in answer:
        raise OutputError(answer["error"])
    path = folder / plan.name(shard)
    if not path.exists():
        raise OutputError(
            f"{path} has been made on another machine, but is not here: "
            "expected a folder that all machines of the cluster share"
        )
    entry: dict[str, Any] = answer["entry"]
    return entry


def _layout(ray: Any, plan: Plan, workers: int | None, address: str) -> tuple[int, float]:
    """Return the number of actors, and what each takes of a GPU.

    Raises ConfigError if the cluster has room for none.
    """
    resource = "GPU" if plan.uses_gpu else "CPU"
    room = int(ray.cluster_resources().get(resource, 0))
    if not room:
        raise ConfigError(f"--ray {address}: the cluster has no {resource}")
    count = workers or room
    # Ray counts parts of a GPU in ten thousandths.
    return count, min(1.0, room * 10_000 // count / 10_000) if plan.uses_gpu else 0.0


def _check_address(address: str) -> None:
    """Raise ConfigError if nothing listens at HOST:PORT, where Ray would try for minutes."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if not (host and port.isdecimal()):
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"--ray {address}: there is no cluster: {reason}") from error


@contextmanager
def _connection(ray: Any, address: str) -> Iterator[None]:
    """Connect to a cluster, unless this process is connected to one. Raises ConfigError."""
    if ray.is_initialized():
        yield
        return
    _check_address(address)
    # Ray reports the use of a cluster that is started here to its makers, unless told not to.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    # Some errors of ray.init have no class of their own.
    except Exception as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"--ray {address}: there is no cluster: {reason}") from error
    try:
        yield
    finally:
        ray.shutdown()
