"""Generators: one engine on several GPUs."""

from __future__ import annotations

import operator
import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime import cuda
from runtime._arguments import (
    UINT64_MAX,
    allocate,
    as_flag,
    as_floats,
    as_integer,
    as_keys,
    as_text,
    describe,
)
from runtime._conditions import as_rows
from runtime._placement import Input, check_on_host, place_output
from runtime.errors import ArgumentError, ClosedError
from runtime.generator import Generator, Stream
from runtime.requests import MOST_ROWS, DecodeRequest, SampleRequest, takes

_STREAM_BATCH = 64
_STEP = 16384
"""Images of a share between two checks for cancellation."""
_AHEAD = 2
"""Concurrent calls on each device: the copies of one overlap the computation of the other."""


class Generators:
    """A Generator on several devices, each of which computes a share of the images.

    Image i of a seed is the same as on one device, bit for bit if `bucket` is set: without it, a
    share may run with another batch size than the whole would. `sample`, `decode` and `stream`
    take the arguments of Generator's methods, except out="device" and arrays in a GPU's memory,
    because the images come from several memories. All other attributes are those of the Generator
    on the first device.

    path: a plan; devices: their names, such as "cuda:0" (None: all devices); options: those of
    Generator. Raises as Generator.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        devices: Sequence[str] | None = None,
        **options: Any,
    ) -> None:
        if devices is None:
            devices = [f"cuda:{index}" for index in range(len(cuda.devices()))]
        try:
            listed = [devices] if isinstance(devices, str) else list(devices)
        except TypeError:
            raise ArgumentError(f"devices: expected names, got {describe(devices)}") from None
        names = [as_text("devices", name) for name in listed]
        if not names or len(set(names)) != len(names):
            raise ArgumentError(f"devices: expected one or more distinct devices, got {names}")
        self._generators = [Generator(path, device=name, **options) for name in names]
        if len(set(self.devices)) != len(names):
            self._generators.clear()
            raise ArgumentError(f"devices: expected distinct devices, got {names}")
        self._closed = False
        self._pool: tuple[int, ThreadPoolExecutor] | None = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._generators[0], name)

    @property
    def _threads(self) -> ThreadPoolExecutor:
        """Thread pool of this process; a forked child starts its own."""
        if self._closed:
            raise ClosedError(f"the engine {describe(self.path)} was closed")
        if self._pool is None or self._pool[0] != os.getpid():
            threads = ThreadPoolExecutor(_AHEAD * len(self._generators), "generators")
            self._pool = os.getpid(), threads
        return self._pool[1]

    @property
    def devices(self) -> list[str]:
        """Names of the devices, in the order of their shares."""
        return [generator.device for generator in self._generators]

    @property
    def instances(self) -> int:
        """Number of instances that work in parallel, over all devices."""
        return sum(generator.instances for generator in self._generators)

    @property
    def peak_device_bytes(self) -> int:
        """The sum over the devices."""
        return sum(generator.peak_device_bytes for generator in self._generators)

    @takes(SampleRequest)
    def sample(self, request: SampleRequest) -> NDArray[Any]:
        """Return the images of Generator.sample; each device computes a contiguous part."""
        n = as_integer("n", request.n, 1, MOST_ROWS)
        for name, value in (("mu", request.mu), ("logvar", request.logvar)):
            check_on_host(name, value)
        whole: Any = replace(
            request,
            first=as_integer("first", request.first, 0, UINT64_MAX),
            mu=None if request.mu is None else as_rows("mu", request.mu, n, self.latent_width),
            logvar=None
            if request.logvar is None
            else as_rows("logvar", request.logvar, n, self.latent_width),
            labels=self._generators[0]._classes.parse(request.labels),
            cycle=as_flag("cycle", request.cycle),
            keys=as_keys(request.keys, n),
        )

        def part(generator: Generator, begin: int, images: NDArray[Any]) -> None:
            generator.sample(_slice_request(whole, begin, len(images), n, images))

        return self._run_shares(n, request.out, part, whole.mu, whole.logvar)

    @takes(DecodeRequest)
    def decode(self, request: DecodeRequest) -> NDArray[Any]:
        """Return the images of Generator.decode; each device decodes a contiguous part."""
        check_on_host("latents", request.latents)
        latents = as_floats("latents", request.latents, (None, self.latent_width))
        first = as_integer("first", request.first, 0, UINT64_MAX)
        classes = self._generators[0]._classes.parse(request.labels)
        keys: Any = as_keys(request.keys, len(latents))

        def part(generator: Generator, begin: int, images: NDArray[Any]) -> None:
            count = len(images)
            generator.decode(
                replace(
                    request,
                    latents=latents[begin : begin + count],
                    first=first if keys is not None else first + begin,
                    labels=_slice_labels(classes, begin, count, len(latents)),
                    keys=None if keys is None else keys[begin : begin + count],
                    out=images,
                )
            )

        return self._run_shares(len(latents), request.out, part, latents)

    @takes(SampleRequest)
    def stream(self, request: SampleRequest) -> Stream:
        """Return the batches of Generator.stream; the devices compute them in turn."""
        n = as_integer("n", request.n, 1, UINT64_MAX)
        whole: Any = replace(
            request,
            first=as_integer("first", request.first, 0, UINT64_MAX),
            labels=self._generators[0]._classes.parse(request.labels),
            cycle=as_flag("cycle", request.cycle),
        )
        generators = self._generators
        # Report any other error in the request now, not with the first batch.
        generators[0].stream(whole).close()
        batch = request.batch or min(_STREAM_BATCH, self.manifest["batch"]["max"])
        size = operator.index(batch)

        def block(index: int) -> NDArray[Any]:
            begin = index * size
            part = _slice_request(whole, begin, min(size, n - begin), n, "numpy")
            images: NDArray[Any] = generators[index % len(generators)].sample(part)
            return images

        blocks = range((n + size - 1) // size)
        return Stream(_Prefetcher(lambda: self._threads, block, blocks, _AHEAD * len(generators)))

    def close(self) -> None:
        """Release the engine on all devices. May be called again."""
        self._closed = True
        if self._pool is not None and self._pool[0] == os.getpid():
            self._pool[1].shutdown(cancel_futures=True)
        for generator in self._generators:
            generator.close()

    def __enter__(self) -> Generators:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Generators({self.path!r}, {', '.join(self.devices)})"

    def _run_shares(
        self, n: int, out: Any, part: Callable[..., None], *inputs: NDArray[Any] | None
    ) -> NDArray[Any]:
        """Return n images; part(generator, first row, images) computes a piece of a share."""
        if isinstance(out, str) and out != "numpy":
            raise ArgumentError(
                f"out: expected 'numpy' or a NumPy array, for the images come from several devices,"
                f" got {describe(out)}"
            )
        threads, stop = self._threads, Event()
        shape, dtype = self._generators[0]._format(n)
        images = allocate("n", shape, dtype) if isinstance(out, str) else out
        if not isinstance(images, np.ndarray):
            raise ArgumentError(f"out: expected 'numpy' or a NumPy array, got {type(out)}")
        operands = [
            Input(rows, len(rows), row_bytes=rows.strides[0]) for rows in inputs if rows is not None
        ]
        place_output(images, "cpu", shape, dtype, *operands)
        generators = self._generators[:n]
        ends = [n * (place + 1) // len(generators) for place in range(len(generators))]

        def share(generator: Generator, begin: int, end: int) -> None:
            for start in range(begin, end, _STEP):
                if not stop.is_set():
                    part(generator, start, images[start : min(start + _STEP, end)])

        running = [
            threads.submit(share, *arguments)
            for arguments in zip(generators, [0, *ends], ends, strict=False)
        ]
        try:
            failures = [error for error in (future.exception() for future in running) if error]
        finally:
            # After Ctrl-C, running threads still write into the images.
            stop.set()
            wait(running)
        if failures:
            raise failures[0]
        return images


class _Prefetcher:
    """Iterator of call(item) for the items in order, some of them computed ahead."""

    def __init__(
        self,
        threads: Callable[[], ThreadPoolExecutor],
        call: Callable[[int], NDArray[Any]],
        items: Iterable[int],
        ahead: int,
    ) -> None:
        self._threads, self._call, self._items = threads, call, iter(items)
        self._running: deque[Future[NDArray[Any]]] = deque()
        for _ in range(ahead):
            self._submit()

    def _submit(self) -> None:
        for item in self._items:
            self._running.append(self._threads().submit(self._call, item))
            break

    def next(self) -> NDArray[Any]:
        """Return the next result. Raises StopIteration at the end."""
        if not self._running:
            raise StopIteration
        try:
            result = self._running[0].result()
        except CancelledError as error:
            raise ClosedError("the engine was closed") from error
        self._running.popleft()
        self._submit()
        return result

    def close(self) -> None:
        """Cancel the calls that have not begun, and wait for the others."""
        self._items = iter(())
        for future in self._running:
            future.cancel()
        for future in self._running:
            if not future.cancelled():
                future.exception()
        self._running.clear()


def _slice_request(whole: SampleRequest, begin: int, count: int, n: int, out: Any) -> Any:
    """Return the request for images begin … begin + count - 1 of a checked request's n."""
    classes: Any = whole.labels
    keys: Any = whole.keys
    return replace(
        whole,
        n=count,
        first=whole.first if keys is not None else whole.first + begin,
        keys=None if keys is None else keys[begin : begin + count],
        mu=_slice_rows(whole.mu, begin, count),
        logvar=_slice_rows(whole.logvar, begin, count),
        labels=classes if whole.cycle else _slice_labels(classes, begin, count, n),
        out=out,
    )


def _slice_labels(
    labels: NDArray[np.int64] | None, begin: int, count: int, n: int
) -> NDArray[np.int64] | None:
    """Return the labels of images begin … begin + count - 1 of n."""
    if labels is None or len(labels) == 1:
        return labels
    if len(labels) != n:
        raise ArgumentError(f"labels: expected 1 or n = {n}, got {len(labels)}")
    return labels[begin : begin + count]


def _slice_rows(operand: Any, begin: int, count: int) -> NDArray[Any] | None:
    if operand is None:
        return None
    return operand[0] if len(operand) == 1 else operand[begin : begin + count]
