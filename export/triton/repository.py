"""Writing of model repositories: a folder for each engine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from export.errors import ExportError
from export.plan import SUFFIXES
from export.triton import config, tensorrt
from runtime import manifest
from zoo import engines
from zoo.errors import ConfigError, OutputError
from zoo.images.atomic import check_folder, check_name, replace_folder
from zoo.serving.kserve import layouts
from zoo.serving.kserve.layouts import Layout

MODEL = Path(__file__).with_name("model.py")
"""The Python model, the same in every folder."""

Model = tuple[dict[str, Any], tuple[Path, ...]]
"""Configuration of a model, and the files of its version."""

PRECISIONS = ("fp32", "bf16", "int8")
"""Precisions of .onnx engines on CPUs."""


def write(
    repository: str | os.PathLike[str], names: Sequence[str], precision: str = "fp32"
) -> list[Path]:
    """Write a model for each engine, `<name>/config.pbtxt`, `<name>/1/model.py` and the engine.

    A plan that Triton's TensorRT backend runs (`tensorrt.is_served`) is a model of its own if it
    draws its noise, else part of an ensemble, `<name>`, with `<name>.noise` and `<name>.network`.

    Args:
        repository: folder, which may exist, and may have other models.
        names: engine files or plans by path, or shipped engines by name; a model is named after
            its file.
        precision: that .onnx engines run in.

    Returns:
        The folders of the models, in the order of `names`, those of an ensemble after it. If one
        cannot be written, none is.

    Raises:
        ExportError: an engine cannot be served by Triton.
        zoo.errors.ZooError, runtime.errors.Error: an engine is unusable, two have the same name, or
            a model exists already or cannot be written.
    """
    if precision not in PRECISIONS:
        raise ExportError(f"precision: expected {', '.join(PRECISIONS)}, got {precision!r}")
    check_name(repository)
    folder = Path(repository)
    models: dict[str, Model] = {}
    for name in names:
        path = engines.resolve(name)
        for each, model in _configure(path, precision).items():
            if each in models:
                raise ConfigError(f"two engines have the name {each}")
            models[each] = model
    _check(folder, list(models))
    made = not folder.exists()
    folder.mkdir(exist_ok=True)
    try:
        with ExitStack() as stack:
            for name, (fields, files) in models.items():
                target = stack.enter_context(replace_folder(folder / name))
                (target / "1").mkdir()
                for file in files:
                    shutil.copyfile(file, target / "1" / file.name)
                (target / "config.pbtxt").write_text(config.render(fields), "utf-8")
    except BaseException:
        if made and not any(folder.iterdir()):
            folder.rmdir()
        raise
    return [folder / name for name in models]


def _configure(path: Path, precision: str) -> dict[str, Model]:
    """Return the models of an engine by their names. Raises as `write`."""
    plan = path.suffix in SUFFIXES
    if not plan and path.suffix != engines.ONNX:
        raise ExportError(f"{path}: an engine file ends in {engines.ONNX}, a plan in .plan")
    if plan and precision != "fp32":
        raise ExportError(f"{path.name} is a plan, which has a precision of its own: pass none")
    document = manifest.verify(path)
    try:
        layout = layouts.describe(document)
    except ConfigError as error:
        raise ExportError(f"{path.name} cannot be served: {error}") from error
    dtype = document["image"]["dtype"]
    if dtype != "uint8":
        raise ExportError(f"{path.name} cannot be served: its images are {dtype}, expected uint8")
    if plan and tensorrt.is_served(document["plan"]):
        return _configure_network(path, document, layout)
    if plan and document["plan"].get("plugins"):
        raise ExportError(
            f"{path.name} is a plan of TensorRT for RTX, which Triton's TensorRT backend does not "
            "load: build it with --target tensorrt, or without --plugins"
        )
    fields = config.describe(path, document, layout, precision)
    return {path.stem: (fields, (MODEL, path))}


def _configure_network(path: Path, document: dict[str, Any], layout: Layout) -> dict[str, Model]:
    """Return the models of a plan that Triton's TensorRT backend runs."""
    if document["plan"].get("plugins"):
        fields = tensorrt.describe_network(path.stem, path.name, document["plan"])
        return {path.stem: (fields, (path,))}
    models = tensorrt.describe_ensemble(path.stem, path.name, document, layout)
    return {name: (fields, _files_of(fields, path)) for name, fields in models.items()}


def _files_of(fields: dict[str, Any], path: Path) -> tuple[Path, ...]:
    """Return the files of a model in an ensemble; the ensemble itself has an empty folder."""
    if fields.get("platform") == tensorrt.PLATFORM:
        return (path,)
    return (MODEL,) if "backend" in fields else ()


def _check(folder: Path, names: Sequence[str]) -> None:
    """Raise OutputError unless models of these names can be written."""
    check_folder(folder, overwrite=True)
    for name in names:
        if (folder / name).exists():
            raise OutputError(
                f"cannot write {folder / name}: there is a model of this name already"
            )
