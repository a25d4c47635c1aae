"""Finding engine files: by path, or by name among the ones that are shipped in `zoo/weights/`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ConfigError

if TYPE_CHECKING:
    from runtime import Encoder, Generator, Mapping

WEIGHTS = Path(__file__).resolve().parent / "weights"


def shipped() -> list[str]:
    """Names of the shipped models' main files, sorted; an encoder is found with `encoder_of`."""
    return sorted(path.name for path in WEIGHTS.glob("*.onnx") if path.stem.count(".") == 0)


def resolve(name: str | os.PathLike[str]) -> Path:
    """Path of the engine file `name`: a file that exists, else the shipped file of that name.

    Raises runtime.errors.EngineNotFoundError, listing the shipped engines, and
    EngineFileError for a folder. What is in the file is not looked at.
    """
    path = Path(name)
    if path.is_file():
        return path
    from_zoo = WEIGHTS / path.name
    if path.parent == Path() and path.name and from_zoo.is_file():
        return from_zoo
    from runtime.errors import EngineFileError, EngineNotFoundError

    if path.exists():
        raise EngineFileError(f"engine {os.fspath(name)!r} is not a file")
    raise EngineNotFoundError(
        f"engine {os.fspath(name)!r}: no such file, and the shipped engines are: "
        + (", ".join(shipped()) or "none")
    )


def encoder_of(engine: Path) -> Path:
    """Path of the encoder that belongs to a generator: `vae.onnx` → `vae.encoder.onnx` beside it.

    Beside a plan it may be a plan or an `.onnx` engine.

    Raises runtime.errors.EngineNotFoundError.
    """
    return _beside(engine, "encoder", "its encoder to read images")


def has_encoder(engine: Path) -> bool:
    """Whether there is an encoder beside a generator."""
    return _place(engine, "encoder").is_file()


def _place(engine: Path, role: str) -> Path:
    """Beside a plan its plan, else the engine file."""
    same = engine.with_name(f"{engine.stem}.{role}{engine.suffix}")
    return same if same.is_file() else same.with_suffix(".onnx")


def _beside(engine: Path, role: str, what: str) -> Path:
    path = _place(engine, role)
    if not path.is_file():
        from runtime.errors import EngineNotFoundError

        raise EngineNotFoundError(f"{engine.name} needs {what}, and {path} is not there")
    return path


def open_generator(name: str, **options: Any) -> Generator:
    """The generator of that file or name, loaded; `options` are those of runtime.Generator.

    A device with commas, "cuda:0,cuda:1", is several: runtime.Generators.

    Raises the errors of `resolve` and of runtime.Generator, and ConfigError for
    an engine that was exported to make float images, which no command can write.
    """
    from runtime import Generator, Generators

    generator: Any
    devices = options.pop("device", "auto").split(",")
    if len(devices) > 1:
        generator = Generators(resolve(name), devices, **options)
    else:
        generator = Generator(resolve(name), devices[0], **options)
    dtype = generator.manifest["image"]["dtype"]
    if dtype != "uint8":
        raise ConfigError(f"{name} makes {dtype} images; the commands need an engine for uint8")
    return generator


def open_encoder(generator: Generator, **options: Any) -> Encoder:
    """The encoder that belongs to `generator`, loaded. Raises as `encoder_of` and the runtime."""
    from runtime import Encoder

    return Encoder(encoder_of(Path(generator.path)), **options)


def open_halves(generator: Generator, **options: Any) -> tuple[Mapping, Generator]:
    """The mapping and the synthesis network of a style-based generator, loaded, from beside it.

    Raises runtime.errors.EngineNotFoundError and as the runtime.
    """
    from runtime import Generator

    path = Path(generator.path)
    synthesis = _beside(path, "synthesis", "its synthesis network to mix styles")
    return open_mapping(path, **options), Generator(synthesis, **options)


def open_mapping(engine: Path, **options: Any) -> Mapping:
    """The mapping network of a style-based generator, given its main or its synthesis file.

    Raises runtime.errors.EngineNotFoundError and as the runtime.
    """
    from runtime import Mapping

    main = engine.with_name(f"{engine.stem.removesuffix('.synthesis')}{engine.suffix}")
    return Mapping(_beside(main, "mapping", "its mapping network to make styles"), **options)


def open_encoder_for(name: str, **options: Any) -> Encoder:
    """The encoder of a model, loaded, given its own file or its generator's, or a shipped name.

    Raises the errors of `resolve`, `encoder_of` and runtime.Encoder, and ConfigError
    for a file of another role, which has no encoder.
    """
    from runtime import Encoder, manifest

    path = resolve(name)
    role = manifest.read(path)["role"]
    if role not in ("generator", "encoder"):
        raise ConfigError(f"{name} is a {role}; expected an encoder, or the generator beside one")
    return Encoder(path if role == "encoder" else encoder_of(path), **options)


__all__ = [
    "WEIGHTS",
    "encoder_of",
    "has_encoder",
    "open_encoder",
    "open_encoder_for",
    "open_generator",
    "open_halves",
    "open_mapping",
    "resolve",
    "shipped",
]
