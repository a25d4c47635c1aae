"""Checkpoint in, checked engine files out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto

from export import checks, graph, manifest, parity, storage, throughput
from export.checkpoint import Checkpoint
from export.checkpoint import load as load_checkpoint
from export.checks import Check
from export.errors import ParityError
from export.functions import Mode
from export.manifest import Role, Weights
from export.modules import EncoderGraph, GeneratorGraph, Graph, ImageFormat, InterpolatorGraph
from zoo.images.atomic import replacing


@dataclass(frozen=True)
class Options:
    """What to export: how weights and images are stored, and an interpolator's mode if any."""

    weights: Weights = "fp16"
    image: ImageFormat = "uint8"
    interpolator: Mode | None = None
    runtime_check: bool = True


@dataclass
class EngineFile:
    """One file that was written: its role and place, its checks, images/s and size in bytes."""

    role: Role
    path: Path
    checks: list[Check] = field(default_factory=list)
    throughput: throughput.Throughput = field(default_factory=dict)
    size: int = 0


def engine_paths(out: Path, options: Options) -> dict[Role, Path]:
    """Where the files of a family go: `vae.onnx`, `vae.encoder.onnx`, …"""
    paths: dict[Role, Path] = {
        "generator": out,
        "encoder": out.with_name(f"{out.stem}.encoder.onnx"),
    }
    if options.interpolator:
        paths["interpolator"] = out.with_name(f"{out.stem}.interpolator.onnx")
    return paths


def make_graph(checkpoint: Checkpoint, role: Role, options: Options) -> Graph:
    """The graph of one engine file."""
    if role == "encoder":
        return EncoderGraph(checkpoint.encoder, checkpoint.shape)
    decoder, latent, bounded = checkpoint.decoder, checkpoint.latent, checkpoint.bounded
    if role == "generator":
        return GeneratorGraph(decoder, latent, options.image, bounded)
    assert options.interpolator is not None
    return InterpolatorGraph(decoder, latent, options.image, bounded, options.interpolator)


def export(
    source: Path,
    out: Path,
    options: Options | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> list[EngineFile]:
    """Export a checkpoint, check every file, and keep all of them or none.

    Args:
        source: the folder of a run, or a weights file.
        out: the generator's file; the others are named after it.
        options: what to export.
        progress: called with a line of text before each step.

    Raises:
        ParityError: a file fails a check; its `report` is the table.
        ExportError, zoo.errors.ZooError: the checkpoint or the place is unusable.
    """
    options = options or Options()
    runtime = parity.runtime_module() if options.runtime_check else None
    with ExitStack() as stack:
        paths = engine_paths(out, options)
        temporary = {role: stack.enter_context(replacing(path)) for role, path in paths.items()}
        progress(f"loading {source}")
        checkpoint = load_checkpoint(source)
        if options.weights == "fp16":
            storage.round_weights(checkpoint.model)
        files = []
        for role, path in paths.items():
            progress(f"exporting {path.name}")
            files.append(_write(checkpoint, role, path, temporary[role], options, runtime))
        failed = [check for file in files for check in file.checks if not check.passed]
        if failed:
            first = failed[0]
            raise ParityError(
                f"{first.engine} fails {len(failed)} of its checks and was not kept; the first is "
                f"{first.name!r}: {first.worst:g} {first.unit} where {first.limit:g} is allowed",
                checks.table([check for file in files for check in file.checks]),
            )
    return files


def _write(
    checkpoint: Checkpoint,
    role: Role,
    path: Path,
    temporary: Path,
    options: Options,
    runtime: Any | None,
) -> EngineFile:
    made = make_graph(checkpoint, role, options)
    model = graph.build(made)
    if options.weights == "fp16":
        storage.store_half(model)
    # An encoder takes levels whatever its generator gives.
    image: ImageFormat = "uint8" if role == "encoder" else options.image
    document = manifest.build(checkpoint, role, made, image, options.weights)
    save(model, document, temporary)

    file = EngineFile(role, path)
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
    if file.role == "generator":
        return parity.check_generator(name, path, model, checkpoint, runtime)
    if file.role == "encoder":
        return parity.check_encoder(name, path, checkpoint, runtime)
    assert options.interpolator is not None
    return parity.check_interpolator(name, path, model, checkpoint, options.interpolator)
