"""Engine files or a checkpoint in, plans out."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
from onnx import ModelProto

from export.errors import ExportError
from export.manifest import DIGEST, seal, unsealed
from export.plan import SUFFIXES, checked, flavours, graph, phases, precision, quantization
from export.plan.builder import Built, Settings, Tensor, build
from export.plan.checked import Checking
from export.plan.precision import PRECISIONS, Precision
from export.plan.results import Results
from export.plan.samples import ARRAY, SAMPLES, Wanted
from runtime import manifest
from zoo.images.atomic import check_file, replacing

if TYPE_CHECKING:
    from export import pipeline as onnx_pipeline

MAX_BATCH = 4096
ROLES = ("generator", "encoder", "translator", "classifier", "mapping", "synthesis")
OF_THE_ONNX_FILE = (DIGEST, "graph", "left_out", "outside", "parity", "throughput")
"""What a manifest says of the graph or the weights of the file that a plan is made from."""


@dataclass(frozen=True)
class Options:
    """What plans to build; `target` None is the TensorRT that is installed.

    `calibrate` and `samples` are the fields of `samples.Wanted`, for int8 and fp8.

    Raises:
        ExportError: a precision, a batch size or a calibration that is not made.
    """

    target: str | None = None
    precision: str = "fp32"
    batch: tuple[int, ...] = (1, 64, 512)
    cache: Path | None = None
    compatible: bool = False
    calibrate: str | None = None
    samples: int = SAMPLES

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ExportError(
                f"precision: expected one of {', '.join(PRECISIONS)}, got {self.precision!r}"
            )
        if not self.batch or not all(1 <= rows <= MAX_BATCH for rows in self.batch):
            text = ",".join(map(str, self.batch)) or "none"
            raise ExportError(f"batch: expected numbers from 1 to {MAX_BATCH}, got {text}")
        Wanted(self.calibrate, self.samples)

    def settings(self) -> Settings:
        """For the builder; raises ExportError as `flavours.choose`."""
        wanted: Precision = next(known for known in PRECISIONS if known == self.precision)
        buckets = tuple(sorted(set(self.batch)))
        flavour = flavours.choose(self.target)
        calibrate = Wanted(self.calibrate, self.samples)
        return Settings(flavour, wanted, buckets, self.cache, self.compatible, calibrate)


@dataclass(frozen=True)
class Plan:
    """A plan that was written: its place, size in bytes, and how it came to be.

    `checked` is what its checks found, None where it was not checked; `candidates` the table of the
    precisions that were compared, if one was to be chosen.
    """

    path: Path
    size: int
    seconds: float
    layers: int
    target: str
    precision: str
    fp32_layers: list[str]
    buckets: tuple[int, ...]
    fp16_layers: list[str] = field(default_factory=list)
    checked: Results | None = None
    candidates: str = ""

    def summary(self) -> str:
        """One line for people."""
        sizes = ", ".join(map(str, self.buckets))
        text = (
            f"{self.path}: {self.size:,} bytes in {self.seconds:.2f} s by {self.target}; "
            f"{self.layers} layers; {self.precision}; batch {sizes}"
        )
        if self.fp32_layers:
            text += f"; in fp32: {', '.join(self.fp32_layers)}"
        if self.fp16_layers:
            text += f"; in fp16: {', '.join(self.fp16_layers)}"
        if self.checked:
            text += f"; {self.checked.summary()}"
        return text


def export(
    source: Path,
    out: Path,
    options: Options | None = None,
    onnx_options: onnx_pipeline.Options | None = None,
    progress: Callable[[str], None] = lambda line: None,
    checking: Checking | None = None,
) -> list[Plan]:
    """Build the plan of an engine file, or those of all files of a checkpoint; all or none is kept.

    Args:
        source: an engine file; or the folder of a run, or a weights file, whose engine files are
            exported and checked first, in a temporary folder.
        out: the plan of the file, or of the family's main file; others are named after it.
        options: what plans to build.
        onnx_options: of the export of a checkpoint.
        progress: called with a line of text before each step, and for what is done differently.
        checking: how plans are checked; by default wherever one can run.

    Raises:
        ParityError: a plan does not do what its engine does, or no precision is good enough.
        ExportError: an option is unusable, TensorRT is not installed, or refuses a graph.
        zoo.errors.ZooError, runtime.errors.Error: the source or the place is unusable.
    """
    settings, checking = (options or Options()).settings(), checking or Checking()
    if problem := flavours.unlisted(settings.flavour):
        progress(problem)
    checking.require(settings)
    check_file(out)
    if source.suffix in SUFFIXES:
        raise ExportError(f"{source} is a plan already; a plan is made from an .onnx engine")
    with ExitStack() as stack:
        if source.suffix == ".onnx":
            engines = {out: source}
        elif (settings.calibrate.source or "").lower().endswith(ARRAY):
            raise ExportError(
                f"--calibrate {settings.calibrate.source} holds the rows of one engine; export the "
                "checkpoint to .onnx, and make a plan of each file"
            )
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            engines = _family(source, out, folder, onnx_options, progress)
        temporary = {plan: stack.enter_context(replacing(plan)) for plan in engines}
        return [
            checked.write(
                partial(_write, engine, plan, progress),
                *(engine, temporary[plan], plan.name, settings, checking, progress),
            )
            for plan, engine in engines.items()
        ]


def _family(
    source: Path,
    out: Path,
    folder: Path,
    options: onnx_pipeline.Options | None,
    progress: Callable[[str], None],
) -> dict[Path, Path]:
    """The engine files of a checkpoint, in a folder, by the plans that they are to become."""
    from export import pipeline

    if options and options.interpolator:
        raise ExportError("an interpolator is no plan: export it to .onnx")
    files = pipeline.export(source, folder / f"{out.stem}.onnx", options, progress)
    return {out.with_name(f"{file.path.stem}{out.suffix}"): file.path for file in files}


def _write(
    engine: Path,
    plan: Path,
    progress: Callable[[str], None],
    temporary: Path,
    settings: Settings,
    checks: dict[str, Any] | None = None,
) -> Plan:
    source = manifest.verify(engine)
    if source["role"] not in ROLES:
        raise ExportError(f"{engine.name} has the role {source['role']}, which is no plan")
    progress(f"building {plan.name} for {settings.flavour.title}")
    fields: dict[str, Any] = {}
    if settings.precision == "int8" or settings.precision == "fp8":
        prepared, wanted = graph.prepare(onnx.load(engine), source), settings.precision
        made = quantization.lower(prepared, source, engine, wanted, settings.calibrate, progress)
        model, kept, fields = made.model, made.fp32, made.fields()
        if not made.eight:
            progress(f"no layer of {engine.name} runs in {wanted}: products are in fp16")
    else:
        model, kept = lowered(onnx.load(engine), source, settings.precision)
    if precision.only_fp32(model, settings.precision):
        progress(f"no layer of {engine.name} can run in {settings.precision}: all are in fp32")

    described: list[dict[str, Any]] = []

    def describe(inputs: list[Tensor], outputs: list[Tensor]) -> str:
        described.append(document(source, settings, inputs, outputs, kept, checks))
        described[-1]["plan"] |= fields
        described[-1] = unsealed(described[-1])
        return json.dumps(described[-1])

    built = build(model, plan.name, describe, settings, progress)
    # Where a plan has its network's name, nothing in it counts on the letters: TensorRT takes it
    # with others of the same number (tests/export/test_plan.py).
    temporary.write_bytes(seal(built.data))
    if unsealed(manifest.verify(temporary)) != described[-1]:
        raise ExportError(f"{settings.flavour.title} does not keep the manifest in {plan.name}")
    return _report(plan, built, settings, kept, fields.get("fp16_layers", []))


def lowered(
    model: ModelProto, source: dict[str, Any], wanted: Precision
) -> tuple[ModelProto, list[str]]:
    """The graph that TensorRT is given, and the names of its nodes that stay in fp32.

    Args:
        model: of an engine file, and `source` its manifest.
        wanted: the precision of the plan.
    """
    prepared = graph.prepare(model, source)
    if wanted != "bf16":
        return precision.lower(prepared, wanted)
    # TensorRT's compiler has no transposed convolutions in it (precision.NO_BFLOAT16).
    made, kept = precision.lower(phases.where_they_fit(prepared), wanted)
    names = {node.name for node in prepared.graph.node}
    return made, [name for name in kept if name in names]


def document(
    source: dict[str, Any],
    settings: Settings,
    inputs: list[Tensor],
    outputs: list[Tensor],
    kept: list[str],
    checks: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The manifest of a plan, from that of the engine file that it is made from."""
    flavour = settings.flavour
    plan: dict[str, Any] = {
        "target": flavour.target,
        "tensorrt": flavour.version,
        "buckets": list(settings.buckets),
        "inputs": inputs,
        "outputs": outputs,
        "fp32_layers": kept,
    }
    if not flavour.portable and not settings.compatible:
        plan["compute_capability"] = flavours.compute_capability()
    if checks:
        plan["checks"] = checks
    kept_fields = {name: value for name, value in source.items() if name not in OF_THE_ONNX_FILE}
    return kept_fields | {
        "precision": settings.precision,
        "batch": {"min": 1, "max": settings.buckets[-1]},
        "plan": plan,
    }


def _report(plan: Path, built: Built, settings: Settings, kept: list[str], half: list[str]) -> Plan:
    return Plan(
        path=plan,
        size=len(built.data),
        seconds=built.seconds,
        layers=built.layers,
        target=settings.flavour.title,
        precision=settings.precision,
        fp32_layers=kept,
        buckets=settings.buckets,
        fp16_layers=half,
    )


__all__ = ["Options", "Plan", "document", "export", "lowered"]
