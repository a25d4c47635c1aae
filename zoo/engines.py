"""Finding engine files: by path, or by name among the ones that are shipped in `zoo/weights/`."""

from __future__ import annotations

import os
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
    """Names of the shipped models' main files, sorted; an encoder is found with `encoder_of`."""
    return sorted(path.name for path in WEIGHTS.glob("*.onnx") if path.stem.count(".") == 0)


def resolve(
    name: str | os.PathLike[str], precision: str = "fp32", device: str = "auto", **options: Any
) -> Path:
    """Path of the engine file `name`: a file that exists, else the shipped file of that name.

    `.onnx` may be left out. Where there is an engine file `vae.onnx` and no `vae.plan`, the plan is
    built once, for that precision and the GPU of that device, options of runtime.Generator, which
    may have others (`zoo.plans.built`).

    Raises runtime.errors.EngineNotFoundError, listing the shipped engines,
    EngineFileError for a folder, and as `zoo.plans.built`. What is in the file is not
    looked at.
    """
    found = find(name)
    if found is not None:
        return found
    from runtime.errors import EngineFileError, EngineNotFoundError

    if os.path.exists(name):
        raise EngineFileError(f"engine {os.fspath(name)!r} is not a file")
    stem, suffix = os.path.splitext(name)
    source = find(f"{stem}{ONNX}") if suffix == plans.SUFFIX else None
    if source is not None:
        return plans.built(source, precision, device)
    raise EngineNotFoundError(
        f"engine {os.fspath(name)!r}: no such file, and the shipped engines are: "
        + (", ".join(shipped()) or "none")
    )


def find(name: str | os.PathLike[str]) -> Path | None:
    """The file of that name, with or without `.onnx`, here or among the shipped ones."""
    names = [os.fspath(name), f"{os.fspath(name)}{ONNX}"]
    paths = [Path(text) for text in names if Path(text).name]
    if not os.path.dirname(name):
        paths += [WEIGHTS / path for path in paths]
    return next((path for path in paths if path.is_file()), None)


def encoder_of(engine: Path, **options: Any) -> Path:
    """Path of the encoder that belongs to a generator: `vae.onnx` → `vae.encoder.onnx` beside it.

    Beside a plan it may be a plan or an `.onnx` engine; that of a plan which was built by `resolve`
    is built too, by the `options` of runtime.Encoder.

    Raises runtime.errors.EngineNotFoundError, and as `zoo.plans.built`.
    """
    return beside(engine, "encoder", "its encoder to read images", **options)


def has_encoder(engine: Path) -> bool:
    """Whether there is an encoder beside a generator."""
    return _place(engine, "encoder").is_file()


def _place(engine: Path, role: str) -> Path:
    """Beside a plan its plan, else the engine file."""
    same = engine.with_name(f"{engine.stem}.{role}{engine.suffix}")
    return same if same.is_file() else same.with_suffix(ONNX)


def beside(
    engine: Path,
    role: str,
    what: str,
    precision: str = "fp32",
    device: str = "auto",
    **options: Any,
) -> Path:
    """Path of the file of another `role` that belongs to an engine, for which it is `what`.

    Raises as `encoder_of`, which is one.
    """
    path = _place(engine, role)
    if not path.is_file():
        from runtime.errors import EngineNotFoundError

        raise EngineNotFoundError(f"{engine.name} needs {what}, and {path} is not there")
    if path.suffix == ONNX and plans.is_built(engine):
        return plans.built(path, precision, device)
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
    """The encoder that belongs to `generator`, loaded. Raises as `encoder_of` and the runtime."""
    from runtime import Encoder

    return Encoder(encoder_of(Path(generator.path), **options), **options)


def open_halves(generator: Generator, **options: Any) -> tuple[Mapping, Generator]:
    """The mapping and the synthesis network of a style-based generator, loaded, from beside it.

    Raises runtime.errors.EngineNotFoundError and as the runtime.
    """
    from runtime import Generator

    path = Path(generator.path)
    synthesis = beside(path, "synthesis", "its synthesis network to mix styles", **options)
    return open_mapping(path, **options), Generator(synthesis, **options)


def open_mapping(engine: Path, **options: Any) -> Mapping:
    """The mapping network of a style-based generator, given its main or its synthesis file.

    Raises runtime.errors.EngineNotFoundError and as the runtime.
    """
    from runtime import Mapping

    main = engine.with_name(f"{engine.stem.removesuffix('.synthesis')}{engine.suffix}")
    found = beside(main, "mapping", "its mapping network to make styles", **options)
    return Mapping(found, **options)


def open_encoder_for(name: str, **options: Any) -> Encoder:
    """The encoder of a model, loaded, given its own file or its generator's, or a shipped name.

    Raises the errors of `resolve`, `encoder_of` and runtime.Encoder, and ConfigError
    for a file of another role, which has no encoder.
    """
    from runtime import Encoder, manifest

    path = resolve(name, **options)
    role = manifest.read(path)["role"]
    if role not in ("generator", "encoder"):
        raise ConfigError(f"{name} is a {role}; expected an encoder, or the generator beside one")
    return Encoder(path if role == "encoder" else encoder_of(path, **options), **options)


def open_translator(name: str, **options: Any) -> Translator:
    """The translator of that file or shipped name, with the `options` of runtime.Translator.

    Raises the errors of resolve and of runtime.Translator, and
    ConfigError for an engine of another role.
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


__all__ = [
    "ONNX",
    "WEIGHTS",
    "beside",
    "encoder_of",
    "find",
    "has_encoder",
    "open_encoder",
    "open_encoder_for",
    "open_generator",
    "open_halves",
    "open_mapping",
    "open_translator",
    "resolve",
    "shipped",
]
