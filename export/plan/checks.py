"""A plan that was just built, run on this machine's GPU and compared with its engine in fp32."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export import throughput
from export.checks import Check, compare_close, compare_exact, format_table
from export.errors import ExportError, ParityError
from export.plan.probes import Probe
from export.plan.quality import Distances
from export.plan.results import BETWEEN, DIFFERENT, LEVELS, NUMBERS, NUMBERS_UNIT, Results
from export.plan.types import Options
from export.roles.role import Runner
from runtime.plans import HOST_CODE
from zoo import data as sets
from zoo.data import DataSet
from zoo.errors import ZooError

Array = NDArray[Any]

DEVICE = "cuda:0"

COMPARED = 32
"""Rows from either end of a batch that are compared with the engine's."""

LEAST = 16
"""Rows of the smallest batch sizes that are looked at, in several requests."""


class NotRun(Exception):
    """A plan cannot be run here, which says nothing about it; `str(error)` is the reason."""


def why_not() -> str:
    """Why no plan can be run here; empty where one can, as far as is known without one."""
    from runtime import cuda
    from runtime.errors import BackendUnavailableError

    try:
        cuda.devices()
    except BackendUnavailableError as error:
        return one_line(error)
    return ""


class Examiner:
    """Compares the plans of one engine with it, which ONNX Runtime runs on the CPU.

    Use it in a with statement. The first check opens the engine, and loads images for it.

    Args:
        engine: the .onnx file, and `runner` that of its role.
        images: how many a generator's FID is of.
        say: called with one line where images are missing.
    """

    def __init__(
        self, engine: Path, runner: Runner, images: int, say: Callable[[str], None]
    ) -> None:
        import runtime

        self._path, self._say, self._images = engine, say, images
        self._runner = runner
        self.document: dict[str, Any] = runtime.manifest.read(engine)
        self._kind = getattr(runtime, runner.engine_class)
        self._engine: Any = None
        self._expected: dict[tuple[str, int, int], Array] = {}
        self._distances: Distances | None = None

    def __enter__(self) -> Examiner:
        return self

    def __exit__(self, *_: object) -> None:
        if self._engine is not None:
            self._engine.close()

    def open(self) -> None:
        """Open the engine; raise NotRun where there is no ONNX Runtime to compare with."""
        from runtime.errors import BackendUnavailableError

        if self._engine is not None:
            return
        try:
            self._engine = self._kind(self._path, device="cpu", backend="onnxruntime")
        except BackendUnavailableError as error:
            raise NotRun(one_line(error)) from error
        self._data = self._at_hand() if self._needs_images() else None
        self._probes = self._runner.probes(self._engine, self._data)

    def check(self, plan: Path, name: str, options: Options) -> Results:
        """All checks of a plan.

        Args:
            plan: where it lies, maybe under a temporary name.
            name: of the file, for messages.
            options: how it was built.

        Raises:
            NotRun: this machine cannot run it, or has no ONNX Runtime.
            ParityError: it does not do what the engine does; `report` is the table.
            ExportError: TensorRT does not run what it built for this very GPU.
        """
        from runtime import cuda

        self.open()
        results = Results(cuda.devices()[0].name)
        with ExitStack() as stack:
            opened = stack.enter_context(self._open_plan(plan, name, options))
            self._compare_all(results, opened, name, options)
            failed = [check for check in results.checks if not check.passed]
            if failed:
                first = failed[0]
                raise ParityError(
                    f"{name} fails {len(failed)} of its checks on {results.device} and was not "
                    f"kept; the first is {first.name!r}: {first.worst:g} {first.unit} where "
                    f"{first.limit:g} is allowed, {_remedy(first)}",
                    format_table(results.checks),
                )
            if self._runner.has_fid:
                results.distance = self._distance(opened)
            run = partial(self._runner.run, opened)
            for rows in options.buckets:
                n = rows * max(4, -(-64 // rows))
                rate = throughput.race({"plan": run}, n, rows, throughput.SECONDS)["plan"]
                results.throughput[str(rows)] = rate
        return results

    def _open_plan(self, plan: Path, name: str, options: Options) -> Any:
        """The plan, opened, after one row has run in it."""
        from runtime.errors import (
            BackendUnavailableError,
            EngineFileError,
            ExecutionError,
            OutOfMemoryError,
        )

        opened = None
        try:
            opened = self._kind(plan, device=DEVICE)
            self._probes[0].run(opened, 0, 1)
            return opened
        except (BackendUnavailableError, EngineFileError, ExecutionError) as error:
            if opened is not None:
                opened.close()
            if options.compatible and isinstance(error, EngineFileError) and not _host_code():
                raise NotRun(
                    f"a compatible plan holds code for the host, which runs with {HOST_CODE}=1 "
                    f"only: {one_line(error)}"
                ) from error
            # A portable plan may be for other GPUs than this one.
            elsewhere = isinstance(error, (BackendUnavailableError, OutOfMemoryError))
            if elsewhere or options.tensorrt.portable:
                raise NotRun(one_line(error)) from error
            raise ExportError(
                f"{name} was built, but does not run: {one_line(error)}; "
                "--no-runtime-check keeps it"
            ) from error

    def _needs_images(self) -> bool:
        samples = self._runner.has_fid and self._engine.prior != "none"
        return samples or self._runner.takes_images

    def _at_hand(self) -> DataSet | None:
        """The images that the engine was trained on, if they are here."""
        image = self.document["image"]
        name = (self.document.get("training") or {}).get("data")
        if not name:
            return None
        try:
            return sets.load(str(name), image["height"], image["channels"], download=False)
        except (ZooError, ImportError) as error:
            self._say(f"the checks have no images of {name}: {one_line(error)}")
            return None

    def _distance(self, opened: Any) -> dict[str, Any]:
        if self._distances is None:
            self._distances = Distances(self._engine, self._data, self._images)
        return self._distances.measure(opened)

    def _whole(self, probe: Probe, opened: Any, rows: int) -> Array:
        """Rows 0, 1, … in requests of one batch size."""
        return np.concatenate([probe.run(opened, *part) for part in _requests(rows)])

    def _compare_all(self, results: Results, opened: Any, name: str, options: Options) -> None:
        """Raise NotRun where a batch size has no room in the device's memory."""
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            for probe in self._probes:
                self._compare(results, probe, opened, name, options)
        for warning in said:
            # A smaller batch size ran in its place.
            if warning.category is RuntimeWarning:
                raise NotRun(" ".join(str(warning.message).split()))

    def _compare(
        self, results: Results, probe: Probe, opened: Any, name: str, options: Options
    ) -> None:
        """Compare what one probe gives in each batch size: with fp32, with itself, with others."""
        largest, wholes = options.buckets[-1], {}
        for least, rows in zip((0, *options.buckets), options.buckets, strict=False):
            whole = wholes[rows] = self._whole(probe, opened, rows)
            title = f"{probe.name}, batch {rows}"
            places = _ends(len(whole))
            got = np.concatenate([whole[start:stop] for start, stop in places])
            expected = np.concatenate([self._reference(probe, *place) for place in places])
            compared = _compared(name, f"{title}: fp32", got, expected, options.precision)
            results.checks.append(compared)
            if probe is self._probes[0]:
                results.rms = 100 * _rms(got, expected)
            again = [*_requests(rows), *_requests(rows, max(1, rows // 2)), (1, least + 2)]
            with ThreadPoolExecutor(2) as pool:
                parts = list(pool.map(lambda part: probe.run(opened, *part), again))
            repeated = np.concatenate([whole[start:stop] for start, stop in again])
            check = compare_exact(name, f"{title}: its own again", np.concatenate(parts), repeated)
            results.checks.append(check)
        for rows in options.buckets[:-1]:
            length = min(len(wholes[rows]), len(wholes[largest]))
            one, other = wholes[rows][:length], wholes[largest][:length]
            title = f"{probe.name}, batch {rows}: {BETWEEN} {largest}"
            results.checks.append(_compared(name, title, one, other, options.precision))

    def _reference(self, probe: Probe, start: int, stop: int) -> Array:
        key = (probe.name, start, stop)
        if key not in self._expected:
            self._expected[key] = probe.run(self._engine, start, stop)
        return self._expected[key]


def _requests(rows: int, first: int = 0) -> list[tuple[int, int]]:
    """Requests of one size that follow each other from `first` on: two, or `LEAST` rows of them."""
    stop = max(2 * rows, LEAST)
    return [(start, start + rows) for start in range(first, stop - rows + 1, rows)]


def _ends(length: int) -> list[tuple[int, int]]:
    if length <= 2 * COMPARED:
        return [(0, length)]
    return [(0, COMPARED), (length - COMPARED, length)]


def _compared(engine: str, title: str, got: Array, expected: Array, precision: str) -> Check:
    """Levels by their greatest and mean difference, numbers by the RMS of theirs, over σ."""
    if expected.dtype == np.uint8:
        return compare_close(engine, title, got, expected, *LEVELS[precision], "levels")
    limit, rms = NUMBERS[precision], _rms(got, expected)
    return Check(engine, title, rms, rms, limit, limit, NUMBERS_UNIT)


def _rms(got: Array, expected: Array) -> float:
    """RMS difference in parts of the standard deviation of what is expected."""
    if got.shape != expected.shape:
        return float("inf")
    one, other = got.astype(np.float64), expected.astype(np.float64)
    rms, spread = float(np.sqrt(np.mean((one - other) ** 2))), float(other.std())
    return rms / spread if spread else (0.0 if rms == 0 else float("inf"))


def _remedy(failed: Check) -> str:
    """More of what failed, and what helps."""
    if failed.unit == DIFFERENT:
        return (
            "as rows of one batch size differ between requests; --no-runtime-check keeps the plan"
        )
    return (
        f"and in the mean {failed.mean:.3g} where {failed.mean_limit:g} is; "
        "build it in another --precision"
    )


def _host_code() -> bool:
    return os.environ.get(HOST_CODE) == "1"


def one_line(error: BaseException) -> str:
    """The message of an error, without line breaks."""
    return " ".join(str(error).split())
