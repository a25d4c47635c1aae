"""A stand-in for Ray's core: actors are threads, some of which die or wait for room.

Only what `zoo.generation.ray_actors` calls. tests/clusters runs the same with Ray itself.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from types import SimpleNamespace
from typing import Any


class ActorDied(Exception):
    """The error of a call of an actor that has died."""


class FakeRay:
    """A cluster with room for `room` actors at a time.

    dies(actor, method, *arguments): True if the actor with this number dies in this call.
    """

    def __init__(self, room: int, dies: Callable[..., bool] = lambda *_: False) -> None:
        self.exceptions = SimpleNamespace(RayActorError=ActorDied, OutOfMemoryError=MemoryError)
        self.dies = dies
        self.room = threading.Semaphore(room)
        self.resources = {"CPU": float(room)}
        self.started: list[_Actor] = []
        self.options: dict[str, Any] = {}
        self.initialized = False

    def is_initialized(self) -> bool:
        return self.initialized

    def init(self, address: str, **options: Any) -> None:
        if address != "local":
            raise ConnectionError(f"nobody listens\nat {address}")
        self.initialized = True

    def shutdown(self) -> None:
        self.initialized = False

    def cluster_resources(self) -> dict[str, float]:
        return self.resources

    def remote(self, **options: Any) -> Any:
        self.options = options
        return lambda kind: SimpleNamespace(remote=lambda *args: _Actor(self, kind, args))

    def wait(self, futures: list[Future[Any]], num_returns: int) -> tuple[list[Any], list[Any]]:
        assert num_returns == 1 and wait(futures, 60, FIRST_COMPLETED).done, "waits for ever"
        ready = next(future for future in futures if future.done())
        return [ready], [future for future in futures if future is not ready]

    def get(self, future: Future[Any]) -> Any:
        return future.result(0)

    def kill(self, actor: Any) -> None:
        actor.end()


class _Actor:
    def __init__(self, ray: FakeRay, kind: type, arguments: tuple[Any, ...]) -> None:
        self.ray, self.kind, self.arguments = ray, kind, arguments
        self.number = len(ray.started)
        ray.started.append(self)
        self.calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.ended = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Future[Any]:
            future: Future[Any] = Future()
            self.calls.put((future, name, arguments))
            return future

        return SimpleNamespace(remote=call)

    def end(self) -> None:
        self.ended.set()
        self.calls.put(None)

    def _run(self) -> None:
        with self.ray.room:
            instance = self.kind(*self.arguments)
            while (call := self.calls.get()) and not self.ended.is_set():
                future, name, arguments = call
                if self.ray.dies(self.number, name, *arguments):
                    future.set_exception(ActorDied("it has died\nof something"))
                    return
                with suppress(Exception):
                    future.set_result(getattr(instance, name)(*arguments))
