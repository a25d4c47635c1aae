"""What an engine is asked in its checks, and its plan too: one way for each thing that it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime import Mapping, noise
from zoo.data import DataSet
from zoo.errors import ZooError

Array = NDArray[Any]

# Above 2^63, and across a carry of the sample's low word.
SEED = 2**63 + 20240229
FIRST = 2**32 - 20

POOL = 64
"""Pictures that are given to what takes pictures, again and again."""


@dataclass(frozen=True)
class Way:
    """One thing that an engine does.

    `run(engine, start, stop)` are its answers to rows start … stop - 1, images uint8 [n, H, W, C]
    or numbers [n, …]; what a row is depends on its index alone.
    """

    name: str
    run: Callable[[Any, int, int], Array]


def ways(engine: Any, data: DataSet | None) -> list[Way]:
    """The ways of an engine of any role.

    Args:
        engine: opened by the runtime, the reference.
        data: pictures of the kind that it was trained on; None for made-up ones.
    """
    role = engine.manifest["role"]
    if role == "generator":
        return _generator(engine)
    if role == "synthesis":
        return [_synthesis(engine)]
    if role == "mapping":
        return [Way("styles", _mapping)]
    if role == "translator":
        return [_translator(engine, data)]
    pool = _pictures(engine.image_shape, data)
    ask = _encode if role == "encoder" else _classify

    def run(opened: Any, start: int, stop: int) -> Array:
        return ask(opened, _rows(pool, start, stop))

    return [Way("latents" if role == "encoder" else "scores", run)]


def _generator(engine: Any) -> list[Way]:
    found = []
    if engine.prior != "none":
        found.append(Way("images", _sample))
        if engine.style_layers:
            found.append(Way("truncated images", _truncated))
    latent = engine.manifest["latent"]
    mean = np.asarray(latent.get("mean", 0.0), np.float32)
    std = np.asarray(latent.get("std", 1.0), np.float32)

    def decode(opened: Any, start: int, stop: int) -> Array:
        latents = noise.normals(SEED, start, stop - start, opened.latent_width) * std + mean
        images: Array = opened.decode(latents, first=start)
        return images

    return [*found, Way("images of latents", decode)]


def _sample(engine: Any, start: int, stop: int) -> Array:
    images: Array = engine.sample(stop - start, seed=SEED, first=FIRST + start)
    return images


def _truncated(engine: Any, start: int, stop: int) -> Array:
    key = {"seed": SEED, "first": FIRST + start}
    images: Array = engine.sample(stop - start, **key, truncation=0.5, noise=0.0)
    return images


def _synthesis(engine: Any) -> Way:
    pool = _styles(engine)

    def decode(opened: Any, start: int, stop: int) -> Array:
        images: Array = opened.decode(_rows(pool, start, stop), seed=SEED, first=FIRST + start)
        return images

    return Way("images", decode)


def _styles(engine: Any) -> Array:
    """Styles of the prior, one for all layers, by the mapping beside the file; else N(0, 1)."""
    path = Path(engine.path)
    beside = path.with_name(path.name.replace(".synthesis.", ".mapping."))
    if beside != path and beside.is_file():
        with Mapping(beside, device="cpu", backend="onnxruntime") as mapping:
            styles = _mapping(mapping, 0, POOL)
        layers, rest = divmod(engine.latent_width, styles.shape[1])
        if not rest:
            return np.tile(styles, layers)
    made: Array = noise.normals(SEED, 0, POOL, engine.latent_width)
    return made


def _mapping(engine: Any, start: int, stop: int) -> Array:
    styles: Array = engine.map(noise.normals(SEED, start, stop - start, engine.latent_width))
    return styles


def _encode(engine: Any, images: Array) -> Array:
    if engine.deterministic:
        mu: Array = engine.embed(images)
        return mu
    return np.concatenate(engine.encode(images), axis=1)


def _classify(engine: Any, images: Array) -> Array:
    scores: Array = engine.classify(images)
    return scores


def _translator(engine: Any, data: DataSet | None) -> Way:
    pool = _inputs(engine, data)
    attributes = np.eye(len(engine.attributes), dtype=np.float32)

    def translate(opened: Any, start: int, stop: int) -> Array:
        given = {"attributes": _rows(attributes, start, stop)} if len(attributes) else {}
        key = {"seed": SEED, "first": FIRST + start}
        images: Array = opened.translate(_rows(pool, start, stop), **given, **key)
        return images

    return Way("images", translate)


def _inputs(engine: Any, data: DataSet | None) -> Array:
    """Inputs of a translator: held-out images damaged, drawn or coloured as it is made for."""
    if data is not None:
        from zoo.evaluation.cases import cases

        try:
            found = cases(engine, data)
            each = -(-POOL // len(found))
            blocks = [block.inputs for case in found for block in case.blocks(engine, each, 0)]
            return np.concatenate(blocks)
        except ZooError:
            # The data are not of its kind.
            pass
    return _made_up(engine.input_shape)


def _pictures(shape: tuple[int, int, int], data: DataSet | None) -> Array:
    if data is not None and data.test.images.shape[1:] == shape and len(data.test):
        return data.test.images[:POOL]
    return _made_up(shape)


def _made_up(shape: tuple[int, int, int]) -> Array:
    """Half noise, half flat patches of many colours."""
    random = np.random.default_rng(3)
    height, width, channels = shape
    random_pixels = random.integers(0, 256, (POOL // 2, *shape), np.uint8)
    small = random.integers(0, 256, (POOL - POOL // 2, 4, 4, channels), np.uint8)
    patches = small.repeat(-(-height // 4), 1).repeat(-(-width // 4), 2)
    return np.concatenate([random_pixels, patches[:, :height, :width]])


def _rows(pool: Array, start: int, stop: int) -> Array:
    """Rows start … stop - 1 of the pool, which begins again at its end."""
    rows: Array = pool[np.arange(start, stop) % len(pool)]
    return rows


__all__ = ["Way", "ways"]
