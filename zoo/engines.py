"""Lookup of engine files, by path or by the name of one shipped in `zoo/weights/`."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import plans
from zoo.errors import ConfigError

if TYPE_CHECKING:
    from runtime import Encoder, Generator, Mapping, Translator

ONNX = ".onnx"
WEIGHTS = Path(__file__).resolve().parent / "weights"


_COMMANDS = {
    "generator": "makes images from latents: python -m zoo.sample, or zoo.reconstruct",
    "encoder": "makes latents from images: python -m zoo.embed",
    "classifier": "gives images scores",
}


def shipped() -> list[str]:
    """Return the sorted names of the shipped models' main files."""
    return sorted(path.name for path in WEIGHTS.glob("*.onnx") if path.stem.count(".") == 0)


def resolve(
    name: str | os.PathLike[str], precision: str = "fp32", device: str = "auto", **options: Any
) -> Path:
    """Return the path of an engine: an existing file, else the shipped file of that name.

    `.onnx` may be omitted. If `vae.plan` does not exist but `vae.onnx` does, the plan is built
    once, for the `precision` and the GPU `device` (see `zoo.plans.ensure_built`); other options of
    runtime.Generator are ignored.

    Raises runtime.errors.EngineNotFoundError, listing the shipped engines, EngineFileError for a
    folder, and as `zoo.plans.ensure_built`. The content of the file is not checked.
    """
    path = find(name)
    if path is not None:
        return path
    from runtime.errors import EngineFileError, EngineNotFoundError

    if os.path.exists(name):
        raise EngineFileError(f"engine {os.fspath(name)!r} is not a file")
    stem, suffix = os.path.splitext(name)
    source = find(f"{stem}{ONNX}") if suffix == plans.SUFFIX else None
    if source is not None:
        return plans.ensure_built(source, precision, device)
    raise EngineNotFoundError(
        f"engine {os.fspath(name)!r}: no such file, and the shipped engines are: "
        + (", ".join(shipped()) or "none (pip install generator-zoo-weights)")
    )


def find(name: str | os.PathLike[str]) -> Path | None:
    """Return the file `name`, with or without `.onnx`, here or among the shipped ones, or None."""
    names = [os.fspath(name), f"{os.fspath(name)}{ONNX}"]
    paths = [Path(text) for text in names if Path(text).name]
    if not os.path.dirname(name):
        paths += [WEIGHTS / path for path in paths]
    return next((path for path in paths if path.is_file()), None)


def check_prior(generator: Generator, prior: str) -> None:
    """Raise ConfigError for the learned prior if a generator has none."""
    if prior != "normal" and prior not in generator.priors:
        name = Path(generator.path).name
        raise ConfigError(f"{name} has no learned prior; use --prior normal")


def parse_label(text: str, names: Sequence[str] = ()) -> int | str:
    """Return the class that a text means: one of the names, else an integer, else the text itself.

    runtime.Generator refuses classes that do not exist.
    """
    number = text not in names and re.fullmatch("-?[0-9]{1,18}", text)
    return int(text) if number else text


def split_labels(text: str, names: Sequence[str] = ()) -> list[int | str]:
    """Return the classes of a text `A,B,…`, each as `parse_label` does."""
    return [parse_label(part.strip(), names) for part in text.split(",")]


def encoder_path(engine: Path, **options: Any) -> Path:
    """Return the path of a generator's encoder: `vae.onnx` → `vae.encoder.onnx` next to it.

    Next to a plan it may be a plan or an `.onnx` engine. For a plan that `resolve` has built, the
    encoder's plan is built too, with the `options` of runtime.Encoder.

    Raises runtime.errors.EngineNotFoundError, and as `zoo.plans.ensure_built`.
    """
    return sibling_path(engine, "encoder", "its encoder to read images", **options)


def has_encoder(engine: Path) -> bool:
    """Return True if there is an encoder next to a generator."""
    return has_sibling(engine, "encoder")


def has_sibling(engine: Path, role: str) -> bool:
    """Return True if there is an engine of another role of the model next to its main file."""
    return _sibling(engine, role).is_file()


def _sibling(engine: Path, role: str) -> Path:
    """Return where the file of another role lies: for a plan its plan if any, else the `.onnx`."""
    same = engine.with_name(f"{engine.stem}.{role}{engine.suffix}")
    return same if same.is_file() else same.with_suffix(ONNX)


def sibling_path(
    engine: Path,
    role: str,
    what: str,
    precision: str = "fp32",
    device: str = "auto",
    **options: Any,
) -> Path:
    """Return the path of an engine's file of another `role`, named `what` in errors.

    Raises as `encoder_path`.
    """
    path = _sibling(engine, role)
    if not path.is_file():
        from runtime.errors import EngineNotFoundError

        raise EngineNotFoundError(f"{engine.name} needs {what}, but {path} does not exist")
    if path.suffix == ONNX and plans.is_built(engine):
        return plans.ensure_built(path, precision, device)
    return path


def open_generator(name: str, **options: Any) -> Generator:
    """Load a generator by file or shipped name, with the `options` of runtime.Generator.

    Several devices, "cuda:0,cuda:1", give a runtime.Generators.

    Raises the errors of `resolve` and of runtime.Generator, and ConfigError for
    an engine that makes float images, which no command can write.
    """
    from runtime import Generator, Generators

    generator: Any
    devices = options.pop("device", "auto").split(",")
    path = resolve(name, **{**options, "device": devices[0]})
    if len(devices) > 1:
        generator = Generators(path, devices, **options)
    else:
        generator = Generator(path, devices[0], **options)
    dtype = generator.manifest["image"]["dtype"]
    if dtype != "uint8":
        raise ConfigError(f"{name} makes {dtype} images; the commands need an engine for uint8")
    return generator


def open_encoder(generator: Generator, **options: Any) -> Encoder:
    """Load the encoder of a generator. Raises as `encoder_path` and the runtime."""
    from runtime import Encoder

    return Encoder(encoder_path(Path(generator.path), **options), **options)


def open_halves(generator: Generator, **options: Any) -> tuple[Mapping, Generator]:
    """Load the mapping and the synthesis network of a style-based generator.

    Raises runtime.errors.EngineNotFoundError and as the runtime.
    """
    from runtime import Generator

    path = Path(generator.path)
    synthesis = sibling_path(path, "synthesis", "its synthesis network to mix styles", **options)
    return open_mapping(path, **options), Generator(synthesis, **options)


def open_mapping(engine: Path, **options: Any) -> Mapping:
    """Load the mapping network of a style-based generator, given its main or synthesis file.

    Raises runtime.errors.EngineNotFoundError and as the runtime.
    """
    from runtime import Mapping

    main = engine.with_name(f"{engine.stem.removesuffix('.synthesis')}{engine.suffix}")
    path = sibling_path(main, "mapping", "its mapping network to make styles", **options)
    return Mapping(path, **options)


def open_encoder_for(name: str, **options: Any) -> Encoder:
    """Load the encoder of a model, given its file or its generator's, or a shipped name.

    Raises the errors of `resolve`, `encoder_path` and runtime.Encoder, and ConfigError
    for a file of another role.
    """
    from runtime import Encoder, manifest

    path = resolve(name, **options)
    role = manifest.read(path)["role"]
    if role not in ("generator", "encoder"):
        raise ConfigError(f"{name} is a {role}; expected an encoder, or a generator with one")
    return Encoder(path if role == "encoder" else encoder_path(path, **options), **options)


def open_translator(name: str, **options: Any) -> Translator:
    """Load a translator by file or shipped name, with the `options` of runtime.Translator.

    Raises the errors of `resolve` and of runtime.Translator, and ConfigError for an engine of
    another role or for float images.
    """
    from runtime import Translator, manifest

    path = resolve(name, **options)
    document = manifest.read(path)
    role = document["role"]
    if role != "translator":
        does = _COMMANDS.get(role, "does not translate images")
        raise ConfigError(f"{name}: expected a translator, got the {role} of a model; it {does}")
    if document["image"]["dtype"] != "uint8":
        raise ConfigError(f"{name}: expected an engine for uint8 images, got float32")
    return Translator(path, **options)
