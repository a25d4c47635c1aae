"""Conversion of engine files, or of a checkpoint, to plans."""

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

from export.errors import ExportError, one_line
from export.manifest import read_digest, with_blank_digest
from export.plan import SUFFIXES, graph, phases, plugins, precision, quantization, targets
from export.plan.builder import build
from export.plan.checks import CannotRun, PlanChecker, reason_unavailable
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

ONNX_FIELDS = (DIGEST, "graph", "int8", "left_out", "outside", "parity", "throughput")
"""Fields of a manifest about the graph or the weights of the .onnx file."""

Say = Callable[[str], None]


def export(
    source: Path,
    out: Path,
    options: Options | None = None,
    onnx_options: onnx_pipeline.Options | None = None,
    progress: Say = lambda line: None,
    checking: Checking | None = None,
) -> list[Plan]:
    """Build the plan of an engine file, or those of all files of a checkpoint; keep all or none.

    The results of the checks of `a.plan` are written to `a.plan.checks.json`.

    Args:
        source: an engine file; or the folder of a run, or a weights file, whose engine files are
            first exported to a temporary folder and checked.
        out: plan of the (main) engine file; others are named after it.
        options: of the plans.
        onnx_options: of the export of a checkpoint.
        progress: called with a line of text before each step, and for options without effect.
        checking: of the plans; by default they are checked if they can run here.

    Raises:
        ParityError: a plan disagrees with its engine, or no precision is good enough.
        ExportError: an option is unusable, or TensorRT is not installed or refuses a graph.
        zoo.errors.ZooError, runtime.errors.Error: the source or the output path is unusable.
    """
    options, checking = options or Options(), checking or Checking()
    if problem := targets.unlisted_warning(options.tensorrt):
        progress(problem)
    _require_choice(options, checking)
    check_file(out)
    if source.suffix in SUFFIXES:
        raise ExportError(f"{source} is already a plan; plans are built from .onnx engines")
    if options.plugins and source.suffix != ".onnx":
        raise ExportError(f"--plugins: expected an engine file, got {source}")
    with ExitStack() as stack:
        if source.suffix == ".onnx":
            engines = {out: source}
        elif (options.calibrate or "").lower().endswith(ARRAY):
            raise ExportError(
                f"--calibrate {options.calibrate} contains rows for one engine; export the "
                "checkpoint to .onnx, and build a plan from each file"
            )
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            engines = _export_family(source, out, folder, onnx_options, progress)
        if checking.run:
            for path in engines:
                check_file(checks_path(path))
        temporary = {path: stack.enter_context(replace_file(path)) for path in engines}
        plans = []
        for path, engine in engines.items():
            plan = _make_plan(engine, path, temporary[path], options, checking, progress)
            plans.append(plan)
            if plan.checked:
                beside = stack.enter_context(replace_file(checks_path(path)))
                digest = {DIGEST: read_digest(temporary[path].read_bytes())}
                beside.write_text(json.dumps(digest | plan.checked.document(), indent=2) + "\n")
    for plan in plans:
        if not plan.checked and checks_path(plan.path).is_file():
            # These results belong to an earlier plan.
            checks_path(plan.path).unlink()
    return plans


def _require_choice(options: Options, checking: Checking) -> None:
    """Raise ExportError if a choice of the precision is impossible or conflicts with an option."""
    if checking.max_loss is None:
        return
    if options.plugins:
        raise ExportError("max-quality-loss: this runtime cannot compare plans with --plugins")
    if options.precision != "fp32":
        raise ExportError(
            f"max-quality-loss chooses the precision: expected none, got {options.precision}"
        )
    if reason := reason_unavailable():
        raise ExportError(
            "max-quality-loss: plans are compared by running them on a GPU of their kind: "
            f"{reason}; pass --precision instead"
        )


def _export_family(
    source: Path,
    out: Path,
    folder: Path,
    options: onnx_pipeline.Options | None,
    progress: Say,
) -> dict[Path, Path]:
    """Export a checkpoint to a folder; return its engine files by the paths of their plans."""
    from export import pipeline

    if options and options.interpolator:
        raise ExportError("interpolators have no plans: export to .onnx")
    files = pipeline.export(source, folder / f"{out.stem}.onnx", options, progress)
    return {out.with_name(f"{file.path.stem}{out.suffix}"): file.path for file in files}


def _make_plan(
    engine: Path, path: Path, temporary: Path, options: Options, checking: Checking, say: Say
) -> Plan:
    """Make the plan of one engine: prepare the graph, build, check, choose, write.

    Args:
        engine: the .onnx file.
        path: final path of the plan.
        temporary: path to write to.
        options: of the build; the precision is ignored if `checking` has a `max_loss`.
        checking: of the plan.
        say: called with one line before each step, and if the plan is not checked.
    """
    source, name = manifest.verify(engine), path.name
    role = ROLES.get(source["role"])
    if role is None or role.runner is None:
        raise ExportError(f"{engine.name}: engines of the role {source['role']} have no plans")
    if options.plugins:
        plugins.check(engine.name, source)
    loss, table = checking.max_loss, ""
    candidates = [Candidate(options)]
    if loss is not None:
        candidates = [Candidate(replace(options, precision=p)) for p in precision.PRECISIONS]
    with PlanChecker(engine, role.runner, checking.images, say) as checker:
        if loss is not None:
            try:
                checker.open()
            except CannotRun as error:
                raise ExportError(f"max-quality-loss: {name} cannot be checked: {error}") from error
        for candidate in candidates:
            options = candidate.options
            if loss is not None:
                say(f"trying {options.precision} for {name}")
            try:
                say(f"building {name} for {options.tensorrt.title}")
                model, document = prepare(engine, source, options, say)
                eight_bits = options.precision in EIGHT_BITS
                if loss is not None and eight_bits and "calibration" not in document["plan"]:
                    # The plan would equal that of fp16.
                    raise CannotRun("no layer in eight bits")
                candidate.build = build(model, name, document, options, say)
                temporary.write_bytes(candidate.build.data)
                if with_blank_digest(manifest.verify(temporary)) != candidate.build.document:
                    raise ExportError(
                        f"{options.tensorrt.title} does not keep the manifest in {name}"
                    )
                if not checking.run:
                    continue
                if options.plugins:
                    raise CannotRun("TensorRT runs plans with plugins, not this runtime")
                if reason := reason_unavailable():
                    raise CannotRun(reason)
                if loss is None:
                    say(f"checking {name}")
                candidate.results = checker.check(temporary, name, options)
            except CannotRun as error:
                candidate.problem = one_line(error)
            except (ZooError, RuntimeFailure) as error:
                if loss is None:
                    raise
                candidate.problem = one_line(error)
    if loss is None:
        (chosen,) = candidates
        if chosen.problem:
            say(f"{name} is not checked: {chosen.problem}")
    else:
        chosen, table = choose(candidates, loss, name)
    assert chosen.build is not None
    temporary.write_bytes(chosen.build.data)
    return _describe(path, chosen.options, chosen.build, chosen.results, table)


def prepare(
    engine: Path, source: dict[str, Any], options: Options, say: Say
) -> tuple[ModelProto, dict[str, Any]]:
    """Prepare the graph of an engine file for TensorRT, and the manifest of its plan.

    Args:
        engine: the .onnx file.
        source: its manifest.
        options: of the plan.
        say: called with a line before a calibration, and if no layer is in the precision.

    Raises:
        ExportError: as `graph.prepare` and `quantization.lower`.
    """
    fields: dict[str, Any] = {}
    if options.precision == "int8" or options.precision == "fp8":
        prepared, calibration = graph.prepare(onnx.load(engine), source), options.calibration
        quantized = quantization.lower(
            prepared, source, engine, options.precision, calibration, say
        )
        model, fp32, fields = quantized.model, quantized.fp32, quantized.fields()
        if not quantized.eight:
            say(f"no layer of {engine.name} runs in {options.precision}: products are in fp16")
    else:
        model, fp32 = lower(onnx.load(engine), source, options.precision)
    if precision.is_all_fp32(model, options.precision):
        say(f"no layer of {engine.name} can run in {options.precision}: all are in fp32")
    if options.plugins:
        plugins.draw_noise(model, source)
    return model, _build_manifest(source, options, fp32, fields)


def lower(
    model: ModelProto, source: dict[str, Any], dtype: Precision
) -> tuple[ModelProto, list[str]]:
    """Prepare a graph for TensorRT; return it with the names of the nodes that stay in fp32.

    Args:
        model: of an engine file.
        source: its manifest.
        dtype: precision of the plan, except int8 and fp8.
    """
    prepared = graph.prepare(model, source)
    if dtype != "bf16":
        return precision.lower(prepared, dtype)
    # TensorRT's compiler has no transposed convolutions in bf16 (precision.NO_BFLOAT16).
    lowered, in_fp32 = precision.lower(phases.rewrite_all(prepared), dtype)
    names = {node.name for node in prepared.graph.node}
    return lowered, [name for name in in_fp32 if name in names]


def _build_manifest(
    source: dict[str, Any], options: Options, fp32: list[str], fields: dict[str, Any]
) -> dict[str, Any]:
    """Build the manifest of a plan from that of its engine file; `build` fills in the tensors."""
    tensorrt = options.tensorrt
    plan: dict[str, Any] = {
        "target": tensorrt.target,
        "tensorrt": tensorrt.version,
        "buckets": list(options.buckets),
        "inputs": [],
        "outputs": [],
        "fp32_layers": fp32,
    }
    if options.plugins:
        plan["plugins"] = True
    elif options.any_batch:
        plan["any_batch"] = True
    if not tensorrt.portable and not options.compatible:
        plan["compute_capability"] = targets.compute_capability()
    common = {name: value for name, value in source.items() if name not in ONNX_FIELDS}
    if "latent" in common:
        # The learned prior would not fit into the names of a small network.
        common["latent"] = {k: v for k, v in common["latent"].items() if k != "mixture"}
    return common | {
        "precision": options.precision,
        "batch": {"min": 1, "max": options.buckets[-1]},
        "plan": plan | fields,
    }


def _describe(
    path: Path, options: Options, build: Build, results: Results | None, table: str
) -> Plan:
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


__all__ = ["MAX_BATCH", "Checking", "Options", "Plan", "export", "lower", "prepare"]
