"""Checkpoint in, checked engine files out."""

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
    modules,
    parity,
    parity_generators,
    parity_images,
    parity_styles,
    rows,
    statistics,
    storage,
    throughput,
)
from export.checkpoint import Checkpoint, LatentCheckpoint
from export.checkpoint import load as load_checkpoint
from export.checks import Check
from export.errors import ExportError, ParityError
from export.functions import Mode
from export.manifest import Role, Weights
from export.modules import Graph, ImageFormat, domains, noise_widths
from export.statistics import LatentStatistics
from export.style_modules import MappingGraph, StyleGraph, SynthesisGraph
from zoo import data
from zoo.errors import DataError
from zoo.images.atomic import replacing


@dataclass(frozen=True)
class Options:
    """What to export: how weights and images are stored, and an interpolator's mode if any.

    `data` is what the latents are measured on; None for the set that was trained on, if it is here.
    """

    weights: Weights = "fp16"
    image: ImageFormat = "uint8"
    interpolator: Mode | None = None
    runtime_check: bool = True
    data: str | None = None


@dataclass
class EngineFile:
    """One file that was written: its role and place, its checks, images/s and size in bytes.

    `nodes` counts the operators of its graph; `unfolded` those of the graph of the network as it
    was trained, None where nothing was folded.
    """

    role: Role
    path: Path
    checks: list[Check] = field(default_factory=list)
    throughput: throughput.Throughput = field(default_factory=dict)
    size: int = 0
    nodes: int = 0
    unfolded: int | None = None


def engine_paths(out: Path, checkpoint: Checkpoint, options: Options) -> dict[Role, Path]:
    """Where the files of a family go: `vae.onnx` for the main role, `vae.encoder.onnx`, …

    Raises `ExportError` for an interpolator of what has none.
    """
    entry = checkpoint.entry
    paths: dict[Any, Path] = {
        role: out.with_name(name) for role, name in entry.engine_files(out.stem).items()
    }
    if options.interpolator:
        if not isinstance(checkpoint, LatentCheckpoint):
            raise ExportError(f"an interpolator needs a generator; this is a {entry.roles[0]}")
        if checkpoint.style_based or checkpoint.classes:
            kind = "style-based" if checkpoint.style_based else "conditional"
            raise ExportError(f"an interpolator of a {kind} generator is not made")
        paths["interpolator"] = out.with_name(f"{out.stem}.interpolator.onnx")
    return paths


def make_graph(checkpoint: Checkpoint, role: Role, options: Options) -> Graph:
    """The graph of one engine file."""
    if role == "translator":
        return _translator_graph(checkpoint)
    if role == "classifier":
        return modules.ClassifierGraph(checkpoint.classifier, checkpoint.shape)
    assert isinstance(checkpoint, LatentCheckpoint)
    if role == "encoder":
        assert checkpoint.encoder is not None
        return modules.EncoderGraph(checkpoint.encoder, checkpoint.shape, checkpoint.deterministic)
    decoder, latent, bounded = checkpoint.decoder, checkpoint.latent, checkpoint.bounded
    if role == "mapping":
        return MappingGraph(decoder, latent)
    if role == "synthesis":
        return SynthesisGraph(decoder, options.image, bounded)
    if role == "generator":
        kind: Any = modules.GeneratorGraph
        if checkpoint.classes:
            kind = modules.ConditionalGraph
        elif checkpoint.style_based:
            kind = StyleGraph
        made: Graph = kind(decoder, latent, options.image, bounded)
        return made
    assert options.interpolator is not None
    return modules.InterpolatorGraph(decoder, latent, options.image, bounded, options.interpolator)


def _translator_graph(checkpoint: Checkpoint) -> Graph:
    model: Any = checkpoint.model
    if domains(model) and noise_widths(model):
        raise ExportError("a translator with attributes and noise at once is not exported")
    kind = modules.TranslatorGraph
    if domains(model):
        kind = modules.DomainsGraph
    elif noise_widths(model):
        kind = modules.NoisyTranslatorGraph
    return kind(model, checkpoint.shape)


def export(
    source: Path,
    out: Path,
    options: Options | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> list[EngineFile]:
    """Export a checkpoint, check every file, and keep all of them or none.

    Args:
        source: the folder of a run, a weights file, or an engine file.
        out: the main role's file; the others are named after it.
        options: what to export.
        progress: called with a line of text before each step.

    Raises:
        ParityError: a file fails a check; its `report` is the table.
        ExportError, zoo.errors.ZooError: the checkpoint or the place is unusable.
    """
    options = options or Options()
    runtime = parity.runtime_module() if options.runtime_check else None
    progress(f"loading {source}")
    checkpoint = load_checkpoint(source)
    with ExitStack() as stack:
        paths = engine_paths(out, checkpoint, options)
        temporary = {role: stack.enter_context(replacing(path)) for role, path in paths.items()}
        if options.weights == "fp16":
            storage.round_weights(checkpoint.model)
        latents = None
        if isinstance(checkpoint, LatentCheckpoint):
            latents = _statistics(checkpoint, options, runtime, progress)
        files = []
        for role, path in paths.items():
            progress(f"exporting {path.name}")
            files.append(_write(checkpoint, role, path, temporary[role], options, latents, runtime))
        failed = [check for file in files for check in file.checks if not check.passed]
        if failed:
            first = failed[0]
            raise ParityError(
                f"{first.engine} fails {len(failed)} of its checks and was not kept; the first is "
                f"{first.name!r}: {first.worst:g} {first.unit} where {first.limit:g} is allowed",
                checks.table([check for file in files for check in file.checks]),
            )
    return files


def _statistics(
    checkpoint: LatentCheckpoint,
    options: Options,
    runtime: Any | None,
    progress: Callable[[str], None],
) -> LatentStatistics | None:
    """Of the training images; None where they are not at hand and nobody asked for them.

    Without an encoder: of samples, if there is a runtime to judge them.
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


def _write(
    checkpoint: Checkpoint,
    role: Role,
    path: Path,
    temporary: Path,
    options: Options,
    latents: LatentStatistics | None,
    runtime: Any | None,
) -> EngineFile:
    made = make_graph(checkpoint, role, options)
    model = graph.build(made)
    file = EngineFile(role, path, nodes=len(model.graph.node))
    count, equals = graph.parameters(model, made), graph.left_out(model, made)
    if options.weights == "fp16":
        storage.store_half(model)
    # What is not a generator takes or makes levels whatever its generator gives.
    makes_images = role in ("generator", "synthesis", "interpolator")
    image: ImageFormat = options.image if makes_images else "uint8"
    # An interpolator is for other programs, which choose its batches.
    least = 1 if role == "interpolator" else rows.fewest(model)
    document = manifest.build(checkpoint, role, image, options.weights, latents, least, count)
    if role in ("generator", "translator"):
        file.unfolded = _unfolded_nodes(checkpoint, role, options)
    if equals:
        document["left_out"] = equals
    if file.unfolded is not None:
        document["graph"] = {"nodes": file.nodes, "nodes_before_folding": file.unfolded}
    save(model, document, temporary)

    file.checks = _check(file, temporary, model, checkpoint, options, runtime)
    if all(check.passed for check in file.checks):
        document["parity"] = checks.summary(file.checks)
        if runtime is not None and role != "interpolator":
            file.throughput = throughput.measure(temporary, role, runtime)
            document["throughput"] = file.throughput
        save(model, document, temporary)
        if runtime is not None:
            runtime.manifest.read(temporary)
    file.size = temporary.stat().st_size
    return file


def _unfolded_nodes(checkpoint: Checkpoint, role: Role, options: Options) -> int | None:
    """Operators of the network as it was trained, if it was folded since, none left out."""
    if checkpoint.trained is None:
        return None
    trained: Any = graph.without_counters(checkpoint.trained)
    before = replace(checkpoint, model=trained)
    if isinstance(before, LatentCheckpoint):
        before = replace(before, decoder=trained.generator)
    try:
        return len(graph.build(make_graph(before, role, options), optimize=False).graph.node)
    except ExportError:
        # Training may use what cannot be exported.
        return None


def save(model: ModelProto, document: dict[str, Any], path: Path) -> None:
    """Write a model with its manifest."""
    manifest.attach(model, document)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _check(
    file: EngineFile,
    path: Path,
    model: ModelProto,
    checkpoint: Checkpoint,
    options: Options,
    runtime: Any | None,
) -> list[Check]:
    name = file.path.name
    if file.role == "translator":
        return parity_images.check_translator(name, path, model, checkpoint, runtime)
    if file.role == "classifier":
        shape, classifier = checkpoint.shape, checkpoint.classifier
        return parity_images.check_classifier(name, path, classifier, shape, runtime)
    assert isinstance(checkpoint, LatentCheckpoint)
    if file.role == "generator":
        folding = parity_generators.check_folding(name, checkpoint)
        return folding + parity_generators.check_generator(name, path, model, checkpoint, runtime)
    if file.role == "encoder":
        return parity.check_encoder(name, path, checkpoint, runtime)
    if file.role == "mapping":
        return parity_styles.check_mapping(name, path, checkpoint, runtime)
    if file.role == "synthesis":
        return parity_styles.check_synthesis(name, path, model, checkpoint, runtime)
    assert options.interpolator is not None
    return parity.check_interpolator(name, path, model, checkpoint, options.interpolator)
