"""Batcher: requests of many callers, computed together."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from runtime._arguments import allocate, as_integer, as_scale, describe
from runtime._library import native
from runtime.errors import ArgumentError, ClosedError
from runtime.generator import Generator
from runtime.requests import DecodeRequest, SampleRequest

_MOST = 2**40


@dataclass(frozen=True)
class BatcherStatistics:
    """What a `Batcher` has done so far.

    images and runs: those computed; rejected, cancelled, expired: requests; waiting: images that
    wait now; run_sizes: numbers of runs of 1, 2, 3 to 4, 5 to 8, … images.
    """

    images: int
    runs: int
    rejected: int
    cancelled: int
    expired: int
    waiting: int
    run_sizes: tuple[int, ...]


class Batcher:
    """Gathers the requests of many callers into runs of one generator, for asyncio.

    An image is the same as if the generator got its request alone. Requests share a run if they
    have the same kind, prior, truncation and noise; those with more images than a run are computed
    in parts, between those of others.

    - images: the most images of a run.
    - delay: seconds that images wait for others at most while a run could begin.
    - queue: the most images that wait; a single request may have more.

    All calls come from one event loop; the generator may be used elsewhere at the same time. Raises
    ArgumentError.
    """

    def __init__(
        self, generator: Generator, images: int = 64, delay: float = 0.0, queue: int = 4096
    ) -> None:
        if not isinstance(generator, Generator):
            raise ArgumentError(f"generator: expected a Generator, got {describe(generator)}")
        self.generator = generator
        self._waiting: dict[int, tuple[asyncio.Future[NDArray[Any]], NDArray[Any]]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._native = native.Batcher(
            generator._native,
            as_integer("images", images, 1, _MOST),
            as_scale("delay", delay),
            as_integer("queue", queue, 1, _MOST),
        )

    async def sample(self, request: SampleRequest, timeout: float | None = None) -> NDArray[Any]:
        """Return the images of `Generator.sample`; `mu`, `logvar` and `out` keep their defaults.

        timeout: seconds after which images that have not begun are given up. A cancelled call
        computes no further image. Raises what `Generator.sample` raises; BusyError if too many
        images wait; DeadlineError; ClosedError.
        """
        generator = self.generator
        if request.mu is not None or request.logvar is not None:
            raise ArgumentError("mu and logvar: expected none: a batcher samples from the prior")
        checked = request._validate(generator.latent_width, generator._classes)
        return await self._submit(self._native.sample, checked, checked.n, timeout)

    async def decode(self, request: DecodeRequest, timeout: float | None = None) -> NDArray[Any]:
        """Return the images of `Generator.decode`; `out` keeps its default. Raises as `sample`."""
        generator = self.generator
        checked = request._validate(generator.latent_width, generator._classes)
        return await self._submit(self._native.decode, checked, checked.latents.rows, timeout)

    def statistics(self) -> BatcherStatistics:
        """Return what the batcher has done so far."""
        counts = self._native.statistics()
        return BatcherStatistics(
            counts.images,
            counts.runs,
            counts.rejected,
            counts.cancelled,
            counts.expired,
            counts.waiting,
            tuple(counts.run_sizes),
        )

    async def close(self, finish: bool = True) -> None:
        """Accept no further request, and complete those accepted, or else cancel them.

        May be called again.
        """
        self._closed = True
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._native.close, bool(finish))
        self._take()
        if self._loop is not None:
            self._loop.remove_reader(self._native.fileno())
            self._loop = None

    async def _submit(
        self, submit: Any, checked: Any, count: int, timeout: float | None
    ) -> NDArray[Any]:
        if self._closed:
            raise ClosedError("the batcher was closed")
        if not (isinstance(checked.out, str) and checked.out == "numpy"):
            raise ArgumentError("out: a batcher's images are new NumPy arrays, expected 'numpy'")
        seconds = None if timeout is None else _seconds(timeout)
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._native.fileno(), self._take)
        shape, dtype = self.generator._format(count)
        images = allocate("n", shape, dtype)
        token = submit(checked, images, seconds)
        future: asyncio.Future[NDArray[Any]] = self._loop.create_future()
        self._waiting[token] = future, images
        try:
            return await future
        except asyncio.CancelledError:
            self._native.cancel(token)
            raise

    def _take(self) -> None:
        """Complete the calls whose requests have ended."""
        for token, error in self._native.take():
            future, images = self._waiting.pop(token)
            if future.done():
                continue
            if error is None:
                future.set_result(images)
            else:
                future.set_exception(error)


def _seconds(timeout: Any) -> float:
    if isinstance(timeout, (int, float)) and not isinstance(timeout, bool) and timeout >= 0:
        # Longer than any process runs.
        return min(float(timeout), 1e9) if not math.isnan(timeout) else 0.0
    raise ArgumentError(f"timeout: expected seconds of at least 0, got {describe(timeout)}")
