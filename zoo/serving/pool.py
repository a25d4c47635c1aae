"""Threads for what a batcher cannot run together: encoders, translators, decoding of pictures."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from numpy.typing import NDArray

from runtime.errors import BusyError, ClosedError, DeadlineError

T = TypeVar("T")
Rows = TypeVar("Rows", bound=NDArray[Any])

BLOCK = 256
"""Images of an answer that are computed at a time: what a client that goes away can waste."""


class Pool:
    """A few threads with a bounded queue, for asyncio.

    Requests are counted in images. `images` were computed; `waiting` have not begun; `rejected`,
    `cancelled` and `expired` count requests, as those of runtime.BatcherStatistics.
    """

    def __init__(self, threads: int, queue: int) -> None:
        self._executor = ThreadPoolExecutor(threads, "pool")
        self._queue = queue
        self._closed = False
        self._lock = threading.Lock()
        self.images = self.waiting = self.rejected = self.cancelled = self.expired = 0

    async def run(
        self, rows: int, seconds: float | None, call: Callable[..., T], *values: Any
    ) -> T:
        """Return `call(*values)`, computed in one of the threads.

        rows: its images; seconds: after which it is given up unless it has begun. Raises what the
        call raises; BusyError if too many images wait; DeadlineError; ClosedError. A cancelled call
        that has not begun is not computed.
        """
        if self._closed:
            raise ClosedError("the pool was closed")
        # A request with more images than may wait is accepted if it waits alone.
        if self.waiting and self.waiting + rows > self._queue:
            self.rejected += 1
            raise BusyError(
                f"the model is busy: {self.waiting} images wait, at most {self._queue} may"
            )
        return await self._run(rows, seconds, call, values)

    async def blocks(
        self, count: int, seconds: float | None, arrays: Iterator[Rows]
    ) -> AsyncGenerator[Rows, None]:
        """Yield the arrays of an iterator, `count` rows in all, each computed in a thread.

        Other calls run between them. Raises as `run`, before the first one.
        """
        rows = await self.run(min(count, BLOCK), seconds, next, arrays)
        yield rows
        done = len(rows)
        while done < count:
            rows = await self._run(min(count - done, BLOCK), None, next, (arrays,))
            yield rows
            done += len(rows)

    async def close(self) -> None:
        """Accept no further call, and complete those accepted."""
        self._closed = True
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._executor.shutdown)

    async def _run(
        self, rows: int, seconds: float | None, call: Callable[..., T], values: tuple[Any, ...]
    ) -> T:
        def begin() -> T:
            self._count(waiting=-rows, images=rows)
            return call(*values)

        self._count(waiting=rows)
        job = self._executor.submit(begin)
        future = asyncio.wrap_future(job)
        try:
            await asyncio.wait((future,), timeout=seconds)
            if future.done() or not job.cancel():
                return await asyncio.shield(future)
        except asyncio.CancelledError:
            if job.cancel():
                self._count(waiting=-rows)
            self.cancelled += 1
            # Its result, or error, is not wanted any more.
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
            raise
        self._count(waiting=-rows)
        self.expired += 1
        raise DeadlineError("the deadline of the request has passed")

    def _count(self, **changes: int) -> None:
        with self._lock:
            for name, change in changes.items():
                setattr(self, name, getattr(self, name) + change)
