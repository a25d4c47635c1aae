"""Real inputs of a network, to learn from them how far its numbers reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, ValueInfoProto

from export.errors import ExportError
from runtime import noise
from zoo.errors import DataError, ZooError
from zoo.images import arrays

Arrays = dict[str, NDArray[Any]]
Shape = tuple[int, ...]

SAMPLES = 256
FEWEST = 16
MOST = 4096
SEED = 0x5CA1E5
"""Of the latents and the damage that are drawn for calibration, so that a file has one set."""

IMAGES = ("image", "input")
"""Names of the inputs that take images; `latent` is the other one that `--calibrate` can fill."""

ARRAY = ".npy"


@dataclass(frozen=True)
class Calibration:
    """Where the samples come from, and how many are taken.

    `source` is a data set's name, a folder of pictures, an `.npz` file, or an `.npy` file that
    holds the rows themselves: latents float32 [n, D] or images uint8 [n, H, W, C]. None stands for
    latents of the prior, else for the images that the model was trained on.

    Raises:
        ExportError: too few samples, or too many.
    """

    source: str | None = None
    count: int = SAMPLES

    def __post_init__(self) -> None:
        if not FEWEST <= self.count <= MOST:
            raise ExportError(f"calibration samples: expected {FEWEST} to {MOST}, got {self.count}")


@dataclass(frozen=True)
class Samples:
    """Rows for each input of a prepared graph, and in words where they come from."""

    feed: Arrays
    source: str
    count: int

    def blocks(self, rows: int) -> Iterator[Arrays]:
        """The same in parts; what has one value for all rows goes with each."""
        for start in range(0, self.count, rows):
            yield {
                name: values[start : start + rows] if len(values) == self.count else values
                for name, values in self.feed.items()
            }


def gather(
    inputs: list[ValueInfoProto], manifest: dict[str, Any], engine: Path, calibration: Calibration
) -> Samples:
    """Samples for the inputs of a prepared graph.

    Latents are of the prior; those of a model without one are encodings of its images, by the
    encoder beside it, and the styles of a synthesis network are made by the mapping beside it.
    Noise of layers is N(0, 1), classes and attributes take turns, all of one seed.

    Args:
        inputs: of `graph.prepare`'s model.
        manifest: of the engine file, and `engine` its place.
        calibration: where the samples come from, and how many.

    Raises:
        ExportError: there are no samples, with what helps; or they do not fit the network.
    """
    shapes = {entry.name: _row(entry) for entry in inputs}
    main = next((name for name in ("latent", *IMAGES) if name in shapes), None)
    if main is None:
        raise ExportError(f"{engine.name} has no input of latents or images to calibrate with")
    if calibration.source is not None and calibration.source.lower().endswith(ARRAY):
        rows = _array(Path(calibration.source), main, shapes[main], calibration.count)
        source = Path(calibration.source).name
    elif main in IMAGES:
        rows, source = _images(manifest, engine, calibration)
        if main == "input":
            rows = _as_input(rows, manifest, engine)
    else:
        rows, source = _latents(manifest, engine, calibration, shapes[main][0])
    _check(rows, main, shapes[main], source)
    feed: Arrays = {main: rows}
    for entry in inputs:
        if entry.name != main:
            feed[entry.name] = _other(entry, manifest, len(rows))
    return Samples(feed, source, len(rows))


def _row(entry: ValueInfoProto) -> Shape:
    return tuple(axis.dim_value for axis in entry.type.tensor_type.shape.dim)[1:]


def _array(path: Path, main: str, shape: Shape, count: int) -> NDArray[Any]:
    """The rows of a user's file."""
    try:
        values = arrays.read(path)
    except DataError as error:
        raise ExportError(f"--calibrate: {error}") from error
    dtype = np.uint8 if main in IMAGES else np.float32
    if values.dtype != dtype or values.shape[1:] != shape or values.ndim != len(shape) + 1:
        raise ExportError(
            f"--calibrate {path}: expected {np.dtype(dtype)} {['n', *shape]}".replace("'n'", "n")
            + f" for the input {main}, got {values.dtype} {list(values.shape)}"
        )
    if len(values) < FEWEST:
        raise ExportError(
            f"--calibrate {path}: {len(values)} rows are too few; expected {FEWEST} or more"
        )
    return values[:count]


def _check(rows: NDArray[Any], main: str, shape: Shape, source: str) -> None:
    if rows.shape[1:] != shape:
        raise ExportError(
            f"{source}: rows of {list(rows.shape[1:])} do not fit the input {main} of {list(shape)}"
        )
    if len(rows) < FEWEST:
        raise ExportError(f"{source}: {len(rows)} samples are too few; expected {FEWEST} or more")
    if not np.isfinite(rows).all():
        raise ExportError(f"{source}: the samples for {main} are not all finite")


def _latents(
    manifest: dict[str, Any], engine: Path, calibration: Calibration, width: int
) -> tuple[NDArray[Any], str]:
    if manifest["role"] == "synthesis":
        return _styles(engine, calibration, width)
    if manifest["latent"]["prior"] == "normal" and calibration.source is None:
        return noise.normals(SEED, 0, calibration.count, width), "prior"
    import runtime
    from zoo.engines import encoder_of

    try:
        encoder = runtime.Encoder(encoder_of(engine), backend="onnxruntime")
    except runtime.errors.Error as error:
        if manifest["latent"]["prior"] == "normal":
            raise ExportError(
                f"--calibrate {calibration.source}: images become latents by the encoder of "
                f"{engine.name}, which has to lie beside it; without --calibrate the latents are "
                f"of the prior ({error})"
            ) from error
        raise ExportError(
            f"{engine.name} has no prior to calibrate with; put its encoder beside it, or give "
            f"--calibrate a file of latents float32 [n, {width}], .npy ({error})"
        ) from error
    with encoder:
        images, source = _images(encoder.manifest, engine, calibration)
        if images.shape[1:] != encoder.image_shape:
            raise ExportError(
                f"{source}: images of {list(images.shape[1:])} do not fit the encoder of "
                f"{engine.name}, which takes {list(encoder.image_shape)}"
            )
        return encoder.encode(images)[0], f"encodings of {source}"


def _styles(engine: Path, calibration: Calibration, width: int) -> tuple[NDArray[Any], str]:
    """Styles of the prior for all layers."""
    import runtime
    from zoo.engines import open_mapping

    remedy = f"--calibrate a file of styles float32 [n, {width}], .npy"
    if calibration.source is not None:
        raise ExportError(f"{engine.name} takes styles, not images; give {remedy}")
    try:
        mapping = open_mapping(engine, backend="onnxruntime")
    except runtime.errors.Error as error:
        raise ExportError(
            f"{engine.name} is calibrated with styles, which its mapping makes; put that beside "
            f"it, or give {remedy} ({error})"
        ) from error
    with mapping:
        styles = mapping.map(noise.normals(SEED, 0, calibration.count, mapping.latent_width))
    return np.tile(styles, width // styles.shape[1]), "prior, mapped"


def _images(
    manifest: dict[str, Any], engine: Path, calibration: Calibration
) -> tuple[NDArray[np.uint8], str]:
    """Images [n, H, W, C] to learn from, none of those to measure on."""
    name = calibration.source or (manifest.get("training") or {}).get("data")
    remedy = (
        "give --calibrate a data set, a folder of pictures, or an .npy file of the input's rows"
    )
    if not name:
        raise ExportError(f"{engine.name} does not say what it was trained on; {remedy}")
    shape = manifest["image"]
    try:
        images = _load(name, calibration.count, shape["height"], shape["channels"])
    except (ZooError, OSError) as error:
        raise ExportError(
            f"{engine.name} is calibrated with images, and {name} cannot be had: {error}; {remedy}"
        ) from error
    # Where a folder is goes into no manifest.
    return images, Path(name).name


def _load(name: str, count: int, size: int, channels: int) -> NDArray[np.uint8]:
    from zoo import data

    if name == "faces" and (size, channels) == (64, 3):
        from zoo.data import faces

        # As many as are needed; every tenth is to measure on.
        drawn = faces.make(0, count + count // 9 + 1, processes=1)[0]
        return drawn[np.arange(len(drawn)) % 10 != 9][:count]
    loaded = data.load(name, size, channels, download=False)
    return loaded.train.images[:count]


def _as_input(
    images: NDArray[np.uint8], manifest: dict[str, Any], engine: Path
) -> NDArray[np.uint8]:
    """What a translator takes in the place of whole images, as in its training."""
    from zoo import corruption
    from zoo.corruption.edges import edges

    draw: dict[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
        "edges": edges,
        "colour": corruption.grey,
        "colorization": corruption.grey,
    }
    task = manifest.get("task", "")
    if task in draw:
        return draw[task](images)
    if task == "pairs":
        raise ExportError(
            f"{engine.name} was trained on pairs; give --calibrate a file of its inputs, .npy"
        )
    kinds = [corruption.parse(spec) for spec in manifest.get("corruption") or []]
    if not kinds:
        return images
    damaged = np.empty((*images.shape[:3], manifest["input"]["channels"]), np.uint8)
    for index, kind in enumerate(kinds):
        damaged[index :: len(kinds)] = kind.apply(images[index :: len(kinds)], SEED)
    return damaged


def _other(entry: ValueInfoProto, manifest: dict[str, Any], rows: int) -> NDArray[Any]:
    """Noise of a layer, classes, attributes; a scale is 1."""
    kind = entry.type.tensor_type
    if kind.shape.dim[0].dim_value:
        return np.ones([axis.dim_value for axis in kind.shape.dim], np.float32)
    shape = _row(entry)
    if kind.elem_type == TensorProto.INT64:
        return np.arange(rows) % int(manifest["condition"]["count"])
    if entry.name.startswith("noise."):
        return noise.normals(SEED, 0, rows, shape[0], int(entry.name.removeprefix("noise.")))
    # Attributes: one at a time.
    return np.resize(np.eye(*shape * 2, dtype=np.float32), (rows, *shape))


__all__ = ["FEWEST", "MOST", "SAMPLES", "Calibration", "Samples", "gather"]
