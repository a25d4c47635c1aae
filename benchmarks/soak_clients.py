"""The clients of a soak test that compare every answer, and what all clients have seen."""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from threading import Event, Lock

import grpc
import numpy as np

from benchmarks.soak_requests import FORMATS, Asked, Client, draw
from runtime import Generator

KEPT = 20
"""Faults of which the words are kept."""
RECEIVED = 1.0
"""Seconds in which the service has surely received a request that was sent."""


class Tally:
    """What the clients have seen. Safe to use from their threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.seconds: defaultdict[str, list[float]] = defaultdict(list)
        """Latencies of right answers, by format."""
        self.images = 0
        self.faults: Counter[str] = Counter()
        """Numbers of answers that were wrong, or lost, and of misbehaviour that was not refused."""
        self.words: list[str] = []
        self.others: Counter[str] = Counter()
        """What else was seen, which is as it should be."""

    def answer(self, format: str, seconds: float, count: int, right: bool, what: object) -> None:
        """Count an answer that was compared."""
        with self._lock:
            if right:
                self.seconds[format].append(seconds)
                self.images += count
                return
        self.fault("wrong", f"{format} {what}")

    def fault(self, kind: str, words: str) -> None:
        """Count what should not be."""
        with self._lock:
            self.faults[kind] += 1
            if len(self.words) < KEPT:
                self.words.append(f"{kind}: {words}")

    def see(self, kind: str) -> None:
        """Count what is as it should be."""
        with self._lock:
            self.others[kind] += 1

    @property
    def answers(self) -> int:
        """Number of right answers."""
        with self._lock:
            return sum(map(len, self.seconds.values()))


class Load:
    """What the threads of the clients share, and the work of those that behave.

    over: set, they end; ended: time at which the service was told to end, which turns away what
    comes later.
    """

    def __init__(self, http: str, rpc: str, generators: Mapping[str, Generator]) -> None:
        self.http, self.rpc, self.generators = http, rpc, generators
        self.tally = Tally()
        self.over = Event()
        self.ended: float | None = None

    def behave(self, chance: random.Random, rate: float) -> None:
        """Send about `rate` requests a second, at random moments, and compare every answer."""
        client, due = Client(self.http, self.rpc), time.monotonic()
        while True:
            due += chance.expovariate(rate)
            if self.over.wait(max(0.0, due - time.monotonic())):
                break
            if not self.compare(client, *draw(chance)):
                break
        client.close()

    def compare(self, client: Client, name: str, asked: Asked) -> bool:
        """Send a request and compare the answer; return False if the service has ended."""
        format, begun = FORMATS[name], time.monotonic()
        try:
            images = format.ask(client, asked)
        # Whatever it is, the client has no answer.
        except Exception as error:
            client.close()
            if self._turned_away(client, error, begun):
                self.tally.see("turned away at the end")
                return False
            self.tally.fault("lost", f"{name} {asked}: {type(error).__name__} {error}")
            return True
        seconds = time.monotonic() - begun
        right = np.array_equal(images, format.local(asked, self.generators))
        self.tally.answer(name, seconds, asked.count, right, asked)
        return True

    def _turned_away(self, client: Client, error: Exception, begun: float) -> bool:
        """Return True if a service that ends may not have accepted a request."""
        if isinstance(error, grpc.RpcError):
            away = error.code() == grpc.StatusCode.UNAVAILABLE
        else:
            away = isinstance(error, OSError) and not client.answering
        return away and self.ended is not None and begun > self.ended - RECEIVED
