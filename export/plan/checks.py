"""Checks of newly built plans on this machine's GPU, against their engines in fp32."""

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
from export.checks import Check, compare_close, compare_exact, format_table, relative_rms
from export.errors import ExportError, ParityError, one_line
from export.plan.probes import Probe
from export.plan.quality import Distances, load_training_data
from export.plan.results import BETWEEN, DIFFERENT, LEVELS, NUMBERS, NUMBERS_UNIT, Results
from export.plan.types import Options
from export.roles.role import Runner
from runtime.plans import HOST_CODE

Array = NDArray[Any]

DEVICE = "cuda:0"

COMPARED = 32
"""Rows at each end of a batch to compare with the engine."""

LEAST = 16
"""Least number of rows to compare, in several requests if the batch size is smaller."""


class CannotRun(Exception):
    """The reason why a plan cannot be run here, which is not a fault of the plan."""


def reason_unavailable() -> str:
    """Return the reason why no plan can run here; empty if nothing is known to prevent it."""
    from runtime import cuda
    from runtime.errors import BackendUnavailableError

    try:
        cuda.devices()
    except BackendUnavailableError as error:
        return one_line(error)
    return ""


class PlanChecker:
    """Comparison of the plans of one engine with it, run by ONNX Runtime on the CPU.

    Use it in a with statement. The first check opens the engine and loads images.

    Args:
        engine: the .onnx file.
        runner: of its role.
        images: number of images for the FID of a generator.
        say: called with one line if images are missing.
    """

    def __init__(
        self, engine: Path, runner: Runner, images: int, say: Callable[[str], None]
    ) -> None:
        import runtime

        self._path, self._say, self._images = engine, say, images
        self._runner = runner
        self.document: dict[str, Any] = runtime.manifest.read(engine)
        self._engine_class = getattr(runtime, runner.engine_class)
        self._engine: Any = None
        self._expected: dict[tuple[str, int, int], Array] = {}
        self._distances: Distances | None = None

    def __enter__(self) -> PlanChecker:
        return self

    def __exit__(self, *_: object) -> None:
        if self._engine is not None:
            self._engine.close()

    def open(self) -> None:
        """Open the engine; raise CannotRun if there is no ONNX Runtime to compare with."""
        from runtime.errors import BackendUnavailableError

        if self._engine is not None:
            return
        try:
            self._engine = self._engine_class(self._path, device="cpu", backend="onnxruntime")
        except BackendUnavailableError as error:
            raise CannotRun(one_line(error)) from error
        has_fid = self._runner.has_fid and self._engine.prior != "none"
        needs_data = has_fid or self._runner.takes_images
        self._data = load_training_data(self.document, self._say) if needs_data else None
        self._probes = self._runner.probes(self._engine, self._data)

    def check(self, plan: Path, name: str, options: Options) -> Results:
        """Run all checks of a plan.

        Args:
            plan: path of the plan, possibly a temporary one.
            name: of the file, for messages.
            options: of its build.

        Raises:
            CannotRun: this machine cannot run it, or has no ONNX Runtime.
            ParityError: it disagrees with its engine; `report` is the table.
            ExportError: TensorRT does not run the plan that it built for this GPU.
        """
        from runtime import cuda

        self.open()
        results = Results(cuda.devices()[0].name)
        with ExitStack() as stack:
            engine = stack.enter_context(self._open_plan(plan, name, options))
            self._compare_all(results, engine, name, options)
            failed = [check for check in results.checks if not check.passed]
            if failed:
                first = failed[0]
                raise ParityError(
                    f"{name} fails {len(failed)} of its checks on {results.device} and was not "
                    f"kept; the first is {first.name!r}: {first.worst:g} {first.unit}, at most "
                    f"{first.limit:g} allowed; {_suggest_remedy(first)}",
                    format_table(results.checks),
                )
            if self._runner.has_fid:
                results.distance = self._measure_distance(engine)
            run = partial(self._runner.run, engine)
            for rows in options.buckets:
                n = rows * max(4, -(-64 // rows))
                rate = throughput.race({"plan": run}, n, rows, throughput.SECONDS)["plan"]
                results.throughput[str(rows)] = rate
        return results

    def _open_plan(self, plan: Path, name: str, options: Options) -> Any:
        """Open a plan and run one row."""
        from runtime.errors import (
            BackendUnavailableError,
            EngineFileError,
            ExecutionError,
            OutOfMemoryError,
        )

        engine = None
        try:
            engine = self._engine_class(plan, device=DEVICE)
            self._probes[0].run(engine, 0, 1)
            return engine
        except (BackendUnavailableError, EngineFileError, ExecutionError) as error:
            if engine is not None:
                engine.close()
            allowed = os.environ.get(HOST_CODE) == "1"
            if options.compatible and isinstance(error, EngineFileError) and not allowed:
                raise CannotRun(
                    f"a compatible plan contains host code, which is run only with {HOST_CODE}=1: "
                    f"{one_line(error)}"
                ) from error
            # A portable plan may be for other GPUs than this one.
            elsewhere = isinstance(error, (BackendUnavailableError, OutOfMemoryError))
            if elsewhere or options.tensorrt.portable:
                raise CannotRun(one_line(error)) from error
            raise ExportError(
                f"{name} was built, but does not run: {one_line(error)}; "
                "--no-runtime-check keeps it"
            ) from error

    def _measure_distance(self, engine: Any) -> dict[str, Any]:
        if self._distances is None:
            self._distances = Distances(self._engine, self._data, self._images)
        return self._distances.measure(engine)

    def _compare_all(self, results: Results, engine: Any, name: str, options: Options) -> None:
        """Run all probes; raise CannotRun if a batch size does not fit into the device's memory."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for probe in self._probes:
                self._compare(results, probe, engine, name, options)
        for warning in caught:
            # A smaller batch size was used instead.
            if warning.category is RuntimeWarning:
                raise CannotRun(one_line(warning.message))

    def _compare(
        self, results: Results, probe: Probe, engine: Any, name: str, options: Options
    ) -> None:
        """Compare the results of a probe in each batch size with fp32, repetitions, other sizes."""
        largest, wholes = options.buckets[-1], {}
        for smaller, rows in zip((0, *options.buckets), options.buckets, strict=False):
            whole = np.concatenate([probe.run(engine, *part) for part in _row_ranges(rows)])
            wholes[rows] = whole
            title = f"{probe.name}, batch {rows}"
            ends = _end_ranges(len(whole))
            got = np.concatenate([whole[start:stop] for start, stop in ends])
            expected = np.concatenate([self._reference(probe, *part) for part in ends])
            results.checks.append(
                _compare_outputs(name, f"{title}: fp32", got, expected, options.precision)
            )
            if probe is self._probes[0]:
                results.rms = 100 * relative_rms(got, expected)
            again = [*_row_ranges(rows), *_row_ranges(rows, max(1, rows // 2)), (1, smaller + 2)]
            with ThreadPoolExecutor(2) as pool:
                parts = list(pool.map(lambda part: probe.run(engine, *part), again))
            repeated = np.concatenate([whole[start:stop] for start, stop in again])
            results.checks.append(
                compare_exact(name, f"{title}: repeated", np.concatenate(parts), repeated)
            )
        for rows in options.buckets[:-1]:
            length = min(len(wholes[rows]), len(wholes[largest]))
            one, other = wholes[rows][:length], wholes[largest][:length]
            title = f"{probe.name}, batch {rows}: {BETWEEN} {largest}"
            results.checks.append(_compare_outputs(name, title, one, other, options.precision))

    def _reference(self, probe: Probe, start: int, stop: int) -> Array:
        key = (probe.name, start, stop)
        if key not in self._expected:
            self._expected[key] = probe.run(self._engine, start, stop)
        return self._expected[key]


def _row_ranges(rows: int, first: int = 0) -> list[tuple[int, int]]:
    """Return ranges of `rows` rows from `first` on: at least two, and at least `LEAST` rows."""
    stop = max(2 * rows, LEAST)
    return [(start, start + rows) for start in range(first, stop - rows + 1, rows)]


def _end_ranges(length: int) -> list[tuple[int, int]]:
    if length <= 2 * COMPARED:
        return [(0, length)]
    return [(0, COMPARED), (length - COMPARED, length)]


def _compare_outputs(engine: str, title: str, got: Array, expected: Array, precision: str) -> Check:
    """Compare levels by greatest and mean difference, numbers by relative RMS difference."""
    if expected.dtype == np.uint8:
        return compare_close(engine, title, got, expected, *LEVELS[precision], "levels")
    limit, rms = NUMBERS[precision], relative_rms(got, expected)
    return Check(engine, title, rms, rms, limit, limit, NUMBERS_UNIT)


def _suggest_remedy(failed: Check) -> str:
    """Return details of a failed check, with a remedy."""
    if failed.unit == DIFFERENT:
        return "rows of one batch size differ between requests; --no-runtime-check keeps the plan"
    return (
        f"the mean is {failed.mean:.3g}, at most {failed.mean_limit:g} allowed; "
        "build it in another --precision"
    )
