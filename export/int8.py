"""Calibration of engine files for int8 on CPUs, and what int8 costs in quality."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from export.checks import relative_rms
from export.errors import ExportError
from export.manifest import attach
from export.pipeline import save
from export.plan import calibration, graph, quality
from export.plan.calibration_set import SAMPLES, Calibration
from export.plan.probes import Probe
from export.plan.quantization import quantizable_products
from export.plan.samples import gather
from export.plan.sensitivity import LEVELS, SPREAD, Arrays, relative_loss, select_products
from export.roles import ROLES
from export.roles.role import Runner
from zoo.evaluation.quality import decibels
from zoo.images.atomic import check_file, replace_file

FIELD = "int8"
"""Field of the manifest."""

MAX_LOSS = 5.0
"""Default of the greatest loss of quality in percent."""

ROWS = 256
"""Number of rows to compare with fp32."""

Ranges = dict[str, list[float]]


@dataclass(frozen=True)
class Options:
    """Options of a calibration.

    Attributes:
        calibrate, samples: fields of `calibration_set.Calibration`.
        images: number of images for the FID of a generator.
        max_loss: greatest loss of quality in percent, see `Loss`.

    Raises:
        ExportError: an invalid number.
    """

    calibrate: str | None = None
    samples: int = SAMPLES
    images: int = quality.IMAGES
    max_loss: float = MAX_LOSS

    def __post_init__(self) -> None:
        quality.check_limits(self.images, self.max_loss)
        _ = self.calibration

    @property
    def calibration(self) -> Calibration:
        return Calibration(self.calibrate, self.samples)


@dataclass(frozen=True)
class Calibrated:
    """A calibrated file, and the field `int8` of its manifest."""

    path: Path
    field: dict[str, Any]

    def summary(self) -> str:
        """Describe the result in one line."""
        if reason := self.field.get("refused"):
            return f"{self.path}: no int8: {reason}"
        loss, fid = self.field["loss"], self.field.get("fid", {})
        parts = [f"{self.path}: {len(self.field['ranges'])} layers in int8"]
        if "psnr_db" in self.field:
            parts.append(f"{self.field['psnr_db']:.1f} dB from fp32")
        if "int8" in fid:
            parts.append(f"FID {fid['int8']:.5g} (fp32 {fid['fp32']:.5g})")
        return "; ".join([*parts, f"loss {loss['percent']:g} % of {loss['of']}"])


def calibrate(
    source: Path, out: Path, options: Options, say: Callable[[str], None] = lambda line: None
) -> Calibrated:
    """Copy an engine file with the ranges that int8 needs, and the measured cost of int8.

    Each product with constant weights that the runtime computes in int8 gets the range of its
    operand over the calibration samples. Those that change the outputs by more than `sensitivity`
    allows are left out. If the others still lose too much quality, the manifest says so and has no
    ranges, and the runtime refuses int8.

    Args:
        source: an engine file of a role with a runner.
        out: the file to write, possibly the same one.
        options: of the calibration.
        say: called with one line before each step, and if there is no data for the FID.

    Raises:
        ExportError: the role has no runner, or there are no samples.
        runtime.errors.Error: the file is unusable, or this CPU has no int8.
    """
    check_file(out)
    with _Calibrator(source, options, say) as calibrator:
        field = calibrator.measure()
        with replace_file(out) as temporary:
            save(calibrator.model, calibrator.document | {FIELD: field}, temporary)
    return Calibrated(out, field)


class _Calibrator:
    """State of the calibration of one engine."""

    def __init__(self, path: Path, options: Options, say: Callable[[str], None]) -> None:
        import runtime

        self._path, self._options, self._say = path, options, say
        self.document = runtime.manifest.verify(path)
        self.document.pop(FIELD, None)
        role = ROLES.get(self.document["role"])
        if role is None or role.runner is None:
            raise ExportError(
                f"{path.name}: engines of the role {self.document['role']} have no int8"
            )
        self._runner: Runner = role.runner
        self._engine_class = getattr(runtime, self._runner.engine_class)
        self.model = onnx.load(path)
        self._stack = ExitStack()

    def __enter__(self) -> _Calibrator:
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def measure(self) -> dict[str, Any]:
        """Return the field of the manifest."""
        prepared = graph.prepare(self.model, self.document)
        samples = gather(
            list(prepared.graph.input), self.document, self._path, self._options.calibration
        )
        self._say(f"calibrating {self._path.name} with {samples.count} samples: {samples.source}")
        measured = self._measure_ranges(prepared, samples)
        ranges = {name: ends for name, ends in measured.items() if self._uses_int8(name, ends)}
        field: dict[str, Any] = {
            "calibration": {
                "method": calibration.METHOD,
                "source": samples.source,
                "samples": samples.count,
            }
        }
        if not ranges:
            return field | {"refused": "no layer of it would gain"}
        fp32 = self._stack.enter_context(self._open(self._path, "fp32"))
        has_fid = self._runner.has_fid and fp32.prior != "none"
        needs_data = has_fid or self._runner.takes_images
        data = quality.load_training_data(self.document, self._say) if needs_data else None
        probes = self._runner.probes(fp32, data)

        def run(names: Collection[str] | None, rows: int) -> Arrays:
            if names is None:
                return _run(probes, fp32, rows)
            with self._open_int8({name: ranges[name] for name in names}) as engine:
                return _run(probes, engine, rows)

        names = select_products([*ranges], run)
        if dropped := len(ranges) - len(names):
            self._say(f"{dropped} of {len(ranges)} layers would lose too much quality in int8")
        if not names:
            loss = relative_loss(run(None, ROWS), run([*ranges], ROWS))
            return field | {
                "refused": f"int8 changes its outputs by {loss:.2g} times what is tolerated, "
                f"{LEVELS:g} levels on average or an RMS difference of {SPREAD:.0%}"
            }
        ranges = {name: ranges[name] for name in names}
        int8 = self._stack.enter_context(self._open_int8(ranges))
        field |= _compare(probes[0], fp32, int8)
        if has_fid:
            distances = quality.Distances(fp32, data, self._options.images).measure(int8)
            field["fid"] = {"int8" if key == "plan" else key: distances[key] for key in distances}
            if (increase := quality.fid_increase(distances)) is not None:
                field["loss"] = {"percent": round(increase, 2), "of": "FID"}
        loss = field["loss"]
        if loss["percent"] > self._options.max_loss:
            what = "raises the FID by" if loss["of"] == "FID" else "has an RMS difference of"
            return field | {
                "refused": f"int8 {what} {loss['percent']:g} %, at most "
                f"{self._options.max_loss:g} % allowed"
            }
        return field | {"ranges": ranges}

    def _measure_ranges(self, prepared: onnx.ModelProto, samples: Any) -> Ranges:
        """Measure the ranges of the operands of products, by the names of the products' results."""
        names = set(quantizable_products(prepared, inner=False))
        results = {name for node in self.model.graph.node for name in node.output}
        operands = {
            node.output[0]: node.input[0]
            for node in prepared.graph.node
            if node.name in names and node.output[0] in results
        }
        ranges = calibration.measure_ranges(prepared, [*dict.fromkeys(operands.values())], samples)
        return {
            result: [float(f"{end:.7g}") for end in ranges[operand]]
            for result, operand in operands.items()
        }

    def _uses_int8(self, name: str, ends: list[float]) -> bool:
        """Return True if the runtime computes a layer in int8, given its range."""
        from runtime.errors import ArgumentError

        try:
            self._open_int8({name: ends}).close()
        except ArgumentError:
            return False
        return True

    def _open(self, path: Path, precision: str) -> Any:
        return self._engine_class(path, device="cpu", backend="native", precision=precision)

    def _open_int8(self, ranges: Ranges) -> Any:
        """Open a temporary copy of the engine with some ranges."""
        path = self._folder / self._path.name
        attach(self.model, self.document | {FIELD: {"ranges": ranges}})
        path.write_bytes(self.model.SerializeToString(deterministic=True))
        return self._open(path, "int8")


def _run(probes: list[Probe], engine: Any, rows: int) -> Arrays:
    return {probe.name: probe.run(engine, 0, rows) for probe in probes}


def _compare(probe: Probe, fp32: Any, int8: Any) -> dict[str, Any]:
    """Return the RMS difference of a probe as the loss, and the PSNR if it makes images."""
    expected, got = probe.run(fp32, 0, ROWS), probe.run(int8, 0, ROWS)
    field: dict[str, Any] = {
        "loss": {"percent": round(100 * relative_rms(got, expected), 2), "of": "RMS"}
    }
    if expected.dtype == np.uint8:
        psnr = decibels(float(np.square(got.astype(np.float64) - expected).mean()))
        if math.isfinite(psnr):
            field["psnr_db"] = round(psnr, 2)
    return field
