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
from runtime._arguments import UINT64_MAX, flag, floats, integer, new, shown, text
from runtime._conditions import rows
from runtime._placement import Given, of_host, target
from runtime.errors import ArgumentError, ClosedError
from runtime.generator import Generator, Stream
from runtime.requests import MOST_ROWS, DecodeRequest, SampleRequest, takes

_STREAM_BATCH = 64
_STEP = 16384
"""Images of a share between two looks at whether they are still wanted."""
_AHEAD = 2
"""Calls under way on each device: the copies of one overlap the computing of the other."""


class Generators:
    """A Generator on several devices, each of which makes a share of the images.

    Image i of a seed is what it is on one device, bit for bit with `bucket`: a share may run in
    another batch size than the whole would. `sample`, `decode` and `stream` take the
    arguments of Generator's, but for out="device" and arrays in a GPU's memory, for the images come
    from several memories. All else is that of the Generator on the first device.

    path: a plan; devices: their names, "cuda:0" and so on (None: all that there are); options:
    those of Generator. Raises as Generator.
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
            given = [devices] if isinstance(devices, str) else list(devices)
        except TypeError:
            raise ArgumentError(f"devices: expected names, got {shown(devices)}") from None
        names = [text("devices", name) for name in given]
        if not names or len(set(names)) != len(names):
            raise ArgumentError(f"devices: expected one or more different ones, got {names}")
        self._generators = [Generator(path, device=name, **options) for name in names]
        if len(set(self.devices)) != len(names):
            self._generators.clear()
            raise ArgumentError(f"devices: expected different ones, got {names}")
        self._closed = False
        self._made: tuple[int, ThreadPoolExecutor] | None = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._generators[0], name)

    @property
    def _threads(self) -> ThreadPoolExecutor:
        """Threads of this process: a forked child does not inherit them."""
        if self._closed:
            raise ClosedError(f"the engine {shown(self.path)} was closed")
        if self._made is None or self._made[0] != os.getpid():
            threads = ThreadPoolExecutor(_AHEAD * len(self._generators), "generators")
            self._made = os.getpid(), threads
        return self._made[1]

    @property
    def devices(self) -> list[str]:
        """The devices, in the order of their shares."""
        return [generator.device for generator in self._generators]

    @property
    def instances(self) -> int:
        """Instances that work in parallel, on all devices."""
        return sum(generator.instances for generator in self._generators)

    @property
    def peak_device_bytes(self) -> int:
        """The sum over the devices."""
        return sum(generator.peak_device_bytes for generator in self._generators)

    @takes(SampleRequest)
    def sample(self, request: SampleRequest) -> NDArray[Any]:
        """As Generator.sample; each device makes a contiguous part of the images."""
        n = integer("n", request.n, 1, MOST_ROWS)
        for name, value in (("mu", request.mu), ("logvar", request.logvar)):
            of_host(name, value)
        whole: Any = replace(
            request,
            first=integer("first", request.first, 0, UINT64_MAX),
            mu=None if request.mu is None else rows("mu", request.mu, n, self.latent_width),
            logvar=None
            if request.logvar is None
            else rows("logvar", request.logvar, n, self.latent_width),
            labels=self._generators[0]._classes.numbers(request.labels),
            cycle=flag("cycle", request.cycle),
        )

        def part(generator: Generator, begin: int, images: NDArray[Any]) -> None:
            generator.sample(_part_of(whole, begin, len(images), n, images))

        return self._shared(n, request.out, part, whole.mu, whole.logvar)

    @takes(DecodeRequest)
    def decode(self, request: DecodeRequest) -> NDArray[Any]:
        """As Generator.decode; each device decodes a contiguous part of the latents."""
        of_host("latents", request.latents)
        latents = floats("latents", request.latents, (None, self.latent_width))
        first = integer("first", request.first, 0, UINT64_MAX)
        classes = self._generators[0]._classes.numbers(request.labels)

        def part(generator: Generator, begin: int, images: NDArray[Any]) -> None:
            count = len(images)
            generator.decode(
                replace(
                    request,
                    latents=latents[begin : begin + count],
                    first=first + begin,
                    labels=_of_part(classes, begin, count, len(latents)),
                    out=images,
                )
            )

        return self._shared(len(latents), request.out, part, latents)

    @takes(SampleRequest)
    def stream(self, request: SampleRequest) -> Stream:
        """As Generator.stream; the devices take turns at the batches."""
        n = integer("n", request.n, 1, UINT64_MAX)
        whole: Any = replace(
            request,
            first=integer("first", request.first, 0, UINT64_MAX),
            labels=self._generators[0]._classes.numbers(request.labels),
            cycle=flag("cycle", request.cycle),
        )
        generators = self._generators
        # What else is wrong with the request is said now, not with the first batch.
        generators[0].stream(whole).close()
        batch = request.batch or min(_STREAM_BATCH, self.manifest["batch"]["max"])
        size = operator.index(batch)

        def block(index: int) -> NDArray[Any]:
            begin = index * size
            part = _part_of(whole, begin, min(size, n - begin), n, "numpy")
            images: NDArray[Any] = generators[index % len(generators)].sample(part)
            return images

        blocks = range((n + size - 1) // size)
        return Stream(_Ahead(lambda: self._threads, block, blocks, _AHEAD * len(generators)))

    def close(self) -> None:
        """Lets go of the engine on all devices. May be called again."""
        self._closed = True
        if self._made is not None and self._made[0] == os.getpid():
            self._made[1].shutdown(cancel_futures=True)
        for generator in self._generators:
            generator.close()

    def __enter__(self) -> Generators:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Generators({self.path!r}, {', '.join(self.devices)})"

    def _shared(
        self, n: int, out: Any, part: Callable[..., None], *inputs: NDArray[Any] | None
    ) -> NDArray[Any]:
        """The n images, each device's share by part(generator, its first row, its images)."""
        if isinstance(out, str) and out != "numpy":
            raise ArgumentError("out: several devices make them, expected 'numpy' or a NumPy array")
        threads, stop = self._threads, Event()
        shape, dtype = self._generators[0]._format(n)
        images = new("n", shape, dtype) if isinstance(out, str) else out
        if not isinstance(images, np.ndarray):
            raise ArgumentError(f"out: expected 'numpy' or a NumPy array, got {type(out)}")
        given = [
            Given(rows, len(rows), row_bytes=rows.strides[0]) for rows in inputs if rows is not None
        ]
        target(images, "cpu", shape, dtype, *given)
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
            # Ctrl-C, say: what is under way still writes into the images.
            stop.set()
            wait(running)
        if failures:
            raise failures[0]
        return images


class _Ahead:
    """Results of call(item) for the items in order, some of them computed ahead."""

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
        """The next result; StopIteration at the end."""
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
        """Drops what has not begun, and waits for what has."""
        self._items = iter(())
        for future in self._running:
            future.cancel()
        for future in self._running:
            if not future.cancelled():
                future.exception()
        self._running.clear()


def _part_of(whole: SampleRequest, begin: int, count: int, n: int, out: Any) -> Any:
    """The request for images begin … begin + count - 1 of the n of one whose arrays are checked."""
    classes: Any = whole.labels
    return replace(
        whole,
        n=count,
        first=whole.first + begin,
        mu=_part(whole.mu, begin, count),
        logvar=_part(whole.logvar, begin, count),
        labels=classes if whole.cycle else _of_part(classes, begin, count, n),
        out=out,
    )


def _of_part(
    labels: NDArray[np.int64] | None, begin: int, count: int, n: int
) -> NDArray[np.int64] | None:
    """Those of the images begin … begin + count - 1 of n."""
    if labels is None or len(labels) == 1:
        return labels
    if len(labels) != n:
        raise ArgumentError(f"labels: expected 1 or n = {n}, got {len(labels)}")
    return labels[begin : begin + count]


def _part(operand: Any, begin: int, count: int) -> NDArray[Any] | None:
    if operand is None:
        return None
    return operand[0] if len(operand) == 1 else operand[begin : begin + count]
