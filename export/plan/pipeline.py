"""Engine files or a checkpoint in, plans out."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
from onnx import ModelProto

from export.errors import ExportError
from export.manifest import read_digest, with_blank_digest
from export.plan import SUFFIXES, graph, phases, precision, quantization, targets
from export.plan.builder import build
from export.plan.checks import Examiner, NotRun, one_line, why_not
from export.plan.choice import Candidate, choose
from export.plan.precision import EIGHT_BITS, Precision
from export.plan.results import Results
from export.plan.samples import ARRAY
from export.plan.types import MAX_BATCH, Build, Checking, Options, Plan
from export.roles import ROLES
from runtime import manifest
from runtime.errors import Error as RuntimeFailure
from zoo.errors import ZooError
from zoo.images.atomic import check_file, replace_file
from zoo.plans import DIGEST, checks_path

if TYPE_CHECKING:
    from export import pipeline as onnx_pipeline

OF_THE_ONNX_FILE = (DIGEST, "graph", "left_out", "outside", "parity", "throughput")
"""What a manifest says of the graph or the weights of the file that a plan is made from."""

Say = Callable[[str], None]


def export(
    source: Path,
    out: Path,
    options: Options | None = None,
    onnx_options: onnx_pipeline.Options | None = None,
    progress: Say = lambda line: None,
    checking: Checking | None = None,
) -> list[Plan]:
    """Build the plan of an engine file, or those of all files of a checkpoint; all or none is kept.

    What the checks of `a.plan` find goes into `a.plan.checks.json` beside it.

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
    options, checking = options or Options(), checking or Checking()
    if problem := targets.unlisted(options.tensorrt):
        progress(problem)
    _require_choice(options, checking)
    check_file(out)
    if source.suffix in SUFFIXES:
        raise ExportError(f"{source} is a plan already; a plan is made from an .onnx engine")
    with ExitStack() as stack:
        if source.suffix == ".onnx":
            engines = {out: source}
        elif (options.calibrate or "").lower().endswith(ARRAY):
            raise ExportError(
                f"--calibrate {options.calibrate} holds the rows of one engine; export the "
                "checkpoint to .onnx, and make a plan of each file"
            )
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            engines = _family(source, out, folder, onnx_options, progress)
        if checking.run:
            for path in engines:
                check_file(checks_path(path))
        temporary = {path: stack.enter_context(replace_file(path)) for path in engines}
        plans = []
        for path, engine in engines.items():
            plan = _make(engine, path, temporary[path], options, checking, progress)
            plans.append(plan)
            if plan.checked:
                beside = stack.enter_context(replace_file(checks_path(path)))
                digest = {DIGEST: read_digest(temporary[path].read_bytes())}
                beside.write_text(json.dumps(digest | plan.checked.document(), indent=2) + "\n")
    for plan in plans:
        if not plan.checked and checks_path(plan.path).is_file():
            # They are of the plan that was there before.
            checks_path(plan.path).unlink()
    return plans


def _require_choice(options: Options, checking: Checking) -> None:
    """Raise ExportError where a choice was asked for that is made, or cannot be made here."""
    if checking.max_loss is None:
        return
    if options.precision != "fp32":
        raise ExportError(
            f"max-quality-loss chooses the precision: expected none, got {options.precision}"
        )
    if reason := why_not():
        raise ExportError(
            "max-quality-loss: the fastest plan is found by running them, on a GPU of the kind "
            f"that they are for: {reason}; give --precision instead"
        )


def _family(
    source: Path,
    out: Path,
    folder: Path,
    options: onnx_pipeline.Options | None,
    progress: Say,
) -> dict[Path, Path]:
    """The engine files of a checkpoint, in a folder, by the plans that they are to become."""
    from export import pipeline

    if options and options.interpolator:
        raise ExportError("an interpolator is no plan: export it to .onnx")
    files = pipeline.export(source, folder / f"{out.stem}.onnx", options, progress)
    return {out.with_name(f"{file.path.stem}{out.suffix}"): file.path for file in files}


def _make(
    engine: Path, path: Path, place: Path, options: Options, checking: Checking, say: Say
) -> Plan:
    """Make the plan of one engine: prepare the graph, build, check, choose, write.

    Args:
        engine: the .onnx file.
        path: the plan's name.
        place: where to write it, a temporary name.
        options: how to build it, but for the precision where `checking` leaves that to `choose`.
        checking: how to check it.
        say: called with one line before each step, and where there is no check.
    """
    source, name = manifest.verify(engine), path.name
    role = ROLES.get(source["role"])
    if role is None or role.runner is None:
        raise ExportError(f"{engine.name} has the role {source['role']}, which is no plan")
    loss, table = checking.max_loss, ""
    candidates = [Candidate(options)]
    if loss is not None:
        candidates = [Candidate(replace(options, precision=it)) for it in precision.PRECISIONS]
    with Examiner(engine, role.runner, checking.images, say) as examiner:
        if loss is not None:
            _open(examiner, name)
        for candidate in candidates:
            options = candidate.options
            if loss is not None:
                say(f"trying {options.precision} for {name}")
            try:
                say(f"building {name} for {options.tensorrt.title}")
                model, document = prepare(engine, source, options, say)
                if loss is not None and _in_fp16(document):
                    # The same as another candidate.
                    raise NotRun("no layer in eight bits")
                candidate.build = build(model, name, document, options, say)
                place.write_bytes(candidate.build.data)
                if with_blank_digest(manifest.verify(place)) != candidate.build.document:
                    raise ExportError(
                        f"{options.tensorrt.title} does not keep the manifest in {name}"
                    )
                if not checking.run:
                    continue
                if reason := why_not():
                    raise NotRun(reason)
                if loss is None:
                    say(f"checking {name}")
                candidate.results = examiner.check(place, name, options)
            except NotRun as error:
                candidate.problem = one_line(error)
            except (ZooError, RuntimeFailure) as error:
                if loss is None:
                    raise
                candidate.problem = one_line(error)
    if loss is None:
        (kept,) = candidates
        if kept.problem:
            say(f"{name} is not checked: {kept.problem}")
    else:
        kept, table = choose(candidates, loss, name)
    assert kept.build is not None
    place.write_bytes(kept.build.data)
    return _plan(path, kept.options, kept.build, kept.results, table)


def _open(examiner: Examiner, name: str) -> None:
    try:
        examiner.open()
    except NotRun as error:
        raise ExportError(f"max-quality-loss: {name} cannot be checked: {error}") from error


def prepare(
    engine: Path, source: dict[str, Any], options: Options, say: Say
) -> tuple[ModelProto, dict[str, Any]]:
    """The graph of an engine file that TensorRT is given, and the manifest of its plan.

    Args:
        engine: the .onnx file, and `source` its manifest.
        options: how to build the plan.
        say: called with a line before a calibration, and where no layer is in that precision.

    Raises:
        ExportError: as `graph.prepare` and `quantization.lower`.
    """
    quantized: dict[str, Any] = {}
    if options.precision == "int8" or options.precision == "fp8":
        prepared, calibration = graph.prepare(onnx.load(engine), source), options.calibration
        made = quantization.lower(prepared, source, engine, options.precision, calibration, say)
        model, fp32, quantized = made.model, made.fp32, made.fields()
        if not made.eight:
            say(f"no layer of {engine.name} runs in {options.precision}: products are in fp16")
    else:
        model, fp32 = lowered(onnx.load(engine), source, options.precision)
    if precision.only_fp32(model, options.precision):
        say(f"no layer of {engine.name} can run in {options.precision}: all are in fp32")
    return model, _document(source, options, fp32, quantized)


def lowered(
    model: ModelProto, source: dict[str, Any], wanted: Precision
) -> tuple[ModelProto, list[str]]:
    """The graph that TensorRT is given, and the names of its nodes that stay in fp32.

    Args:
        model: of an engine file, and `source` its manifest.
        wanted: the precision of the plan, but for int8 and fp8.
    """
    prepared = graph.prepare(model, source)
    if wanted != "bf16":
        return precision.lower(prepared, wanted)
    # TensorRT's compiler has no transposed convolutions in it (precision.NO_BFLOAT16).
    made, kept = precision.lower(phases.where_they_fit(prepared), wanted)
    names = {node.name for node in prepared.graph.node}
    return made, [name for name in kept if name in names]


def _document(
    source: dict[str, Any], options: Options, fp32: list[str], quantized: dict[str, Any]
) -> dict[str, Any]:
    """The manifest of a plan, from that of its engine file; `build` fills in the tensors."""
    tensorrt = options.tensorrt
    plan: dict[str, Any] = {
        "target": tensorrt.target,
        "tensorrt": tensorrt.version,
        "buckets": list(options.buckets),
        "inputs": [],
        "outputs": [],
        "fp32_layers": fp32,
    }
    if not tensorrt.portable and not options.compatible:
        plan["compute_capability"] = targets.compute_capability()
    kept = {name: value for name, value in source.items() if name not in OF_THE_ONNX_FILE}
    return kept | {
        "precision": options.precision,
        "batch": {"min": 1, "max": options.buckets[-1]},
        "plan": plan | quantized,
    }


def _in_fp16(document: dict[str, Any]) -> bool:
    """Whether a plan for eight bits has no layer in them."""
    return document["precision"] in EIGHT_BITS and "calibration" not in document["plan"]


def _plan(path: Path, options: Options, build: Build, results: Results | None, table: str) -> Plan:
    return Plan(
        path=path,
        size=len(build.data),
        seconds=build.seconds,
        layers=build.layers,
        target=options.tensorrt.title,
        precision=options.precision,
        fp32_layers=build.document["plan"]["fp32_layers"],
        buckets=options.buckets,
        fp16_layers=build.document["plan"].get("fp16_layers", []),
        checked=results,
        candidates=table,
    )


__all__ = ["MAX_BATCH", "Checking", "Options", "Plan", "export", "lowered", "prepare"]
