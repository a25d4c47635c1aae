"""Export of a checkpoint to checked engine files."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto

from export import (
    checks,
    directions,
    graph,
    manifest,
    parity,
    rows,
    statistics,
    storage,
    throughput,
)
from export.checkpoint import Checkpoint, LatentCheckpoint
from export.checkpoint import load as load_checkpoint
from export.checks import Check
from export.errors import ExportError, ParityError
from export.modules import ImageFormat
from export.options import Options
from export.roles import ROLES, interpolator
from export.roles.role import Role
from export.statistics import LatentStatistics
from zoo import data
from zoo.errors import DataError
from zoo.images.atomic import replace_file


@dataclass
class EngineFile:
    """An exported file: its role and path, its checks, images/s and size in bytes.

    `nodes` is the number of operators in its graph, `unfolded` that before folding, None if nothing
    was folded.
    """

    role: str
    path: Path
    checks: list[Check] = field(default_factory=list)
    throughput: throughput.Throughput = field(default_factory=dict)
    size: int = 0
    nodes: int = 0
    unfolded: int | None = None


def engine_paths(out: Path, checkpoint: Checkpoint, options: Options) -> dict[str, Path]:
    """Return the paths of a family by role: `vae.onnx` for the main one, `vae.encoder.onnx`, …

    Raises `ExportError` if the options ask for an interpolator that the model cannot have.
    """
    entry = checkpoint.entry
    paths = {role: out.with_name(name) for role, name in entry.engine_files(out.stem).items()}
    if options.interpolator:
        interpolator.check_supported(checkpoint)
        paths[interpolator.NAME] = out.with_name(f"{out.stem}.{interpolator.NAME}.onnx")
    return paths


def export(
    source: Path,
    out: Path,
    options: Options | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> list[EngineFile]:
    """Export a checkpoint, check every file, and keep all of them or none.

    Args:
        source: the folder of a run, a weights file, or an engine file.
        out: file of the main role; the others are named after it.
        options: of the export.
        progress: called with a line of text before each step.

    Raises:
        ParityError: a file fails a check; `report` is the table.
        ExportError, zoo.errors.ZooError: the checkpoint or the output path is unusable.
    """
    options = options or Options()
    runtime = parity.import_runtime() if options.runtime_check else None
    progress(f"loading {source}")
    checkpoint = load_checkpoint(source)
    with ExitStack() as stack:
        paths = engine_paths(out, checkpoint, options)
        temporary = {role: stack.enter_context(replace_file(path)) for role, path in paths.items()}
        if options.weights == "fp16":
            storage.round_weights(checkpoint.model)
        latents = None
        if isinstance(checkpoint, LatentCheckpoint):
            latents = _measure_statistics(checkpoint, options, runtime, progress)
            if latents and latents.mixture:
                checkpoint = replace(checkpoint, mixture=latents.mixture)
        files = []
        for role, path in paths.items():
            progress(f"exporting {path.name}")
            files.append(
                _export_role(checkpoint, role, path, temporary[role], options, latents, runtime)
            )
        failed = [check for file in files for check in file.checks if not check.passed]
        if failed:
            first = failed[0]
            raise ParityError(
                f"{first.engine} fails {len(failed)} of its checks and was not kept; the first is "
                f"{first.name!r}: {first.worst:g} {first.unit}, at most {first.limit:g} allowed",
                checks.format_table([check for file in files for check in file.checks]),
            )
    return files


def _measure_statistics(
    checkpoint: LatentCheckpoint,
    options: Options,
    runtime: Any | None,
    progress: Callable[[str], None],
) -> LatentStatistics | None:
    """Measure statistics over the training images, or over samples if there is no encoder.

    Returns None if the data is unavailable and `options.data` does not require it, or if there is
    no runtime to classify samples.
    """
    if checkpoint.encoder is None:
        return directions.measure(checkpoint, runtime, progress) if runtime else None
    recipe = checkpoint.config.get("recipe") or {}
    size, _, channels = checkpoint.shape
    try:
        loaded = data.load(options.data or str(recipe.get("data")), size, channels, download=False)
        loaded = loaded.without(recipe.get("exclude") or [])
    except DataError as error:
        if options.data:
            raise
        progress(f"no latent statistics: {error}")
        return None
    progress(f"encoding the {len(loaded.train):,} training images of {loaded.name}")
    return statistics.measure(checkpoint, loaded)


def _export_role(
    checkpoint: Checkpoint,
    role: str,
    path: Path,
    temporary: Path,
    options: Options,
    latents: LatentStatistics | None,
    runtime: Any | None,
) -> EngineFile:
    kind = ROLES[role]
    module = kind.graph(checkpoint, options)
    model = graph.build(module)
    file = EngineFile(role, path, nodes=len(model.graph.node))
    parameters = graph.count_parameters(model, module)
    omitted = graph.find_omitted_weights(model, module)
    if options.weights == "fp16":
        storage.store_half(model)
    image: ImageFormat = options.image if kind.makes_images else "uint8"
    # Engines without a runner are for other programs, which choose their own batches.
    min_rows = rows.measure_min_rows(model) if kind.runner else 1
    fields = kind.fields(checkpoint, latents)
    document = manifest.build(
        checkpoint, role, image, options.weights, fields, min_rows, parameters
    )
    if kind.counts_folding:
        file.unfolded = _count_unfolded_nodes(checkpoint, kind, options)
    if omitted:
        document["left_out"] = omitted
    if file.unfolded is not None:
        document["graph"] = {"nodes": file.nodes, "nodes_before_folding": file.unfolded}
    save(model, document, temporary)

    file.checks = kind.checks(
        parity.CheckedFile(path.name, temporary, model, checkpoint, options, runtime)
    )
    if all(check.passed for check in file.checks):
        document["parity"] = checks.summarise(file.checks)
        if runtime is not None and kind.runner:
            file.throughput = throughput.measure(temporary, kind.runner, runtime)
            document["throughput"] = file.throughput
        save(model, document, temporary)
        if runtime is not None:
            runtime.manifest.read(temporary)
    file.size = temporary.stat().st_size
    return file


def _count_unfolded_nodes(checkpoint: Checkpoint, role: Role, options: Options) -> int | None:
    """Count the operators of the network before folding; None if it cannot be exported so."""
    if checkpoint.trained is None:
        return None
    trained: Any = graph.freeze_counters(checkpoint.trained)
    before = replace(checkpoint, model=trained)
    if isinstance(before, LatentCheckpoint):
        before = replace(before, decoder=trained.generator)
    try:
        return len(graph.build(role.graph(before, options), optimize=False).graph.node)
    except ExportError:
        # Layers of training may have no ONNX form.
        return None


def save(model: ModelProto, document: dict[str, Any], path: Path) -> None:
    """Write a model with its manifest."""
    manifest.attach(model, document)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


__all__ = ["EngineFile", "Options", "engine_paths", "export", "save"]
