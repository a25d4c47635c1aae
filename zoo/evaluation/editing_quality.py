"""Success and side effects of attribute edits, measured by a classifier."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime import Classifier, Generator, noise
from zoo.data import DataSet
from zoo.errors import ConfigError
from zoo.evaluation import face_edits
from zoo.inference.inputs import Source

Block = tuple[NDArray[np.float32], NDArray[np.bool_]]
"""Latents [k, D], and the attributes of their images, bool [k, A]."""

_ROWS = 250
_EDITED = 32


class Embedder(Protocol):
    """Encoder, or another way to get latents [k, D] of images uint8 [k, H, W, C]."""

    def embed(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the latents of images."""


@dataclass(frozen=True)
class Effect:
    """Effect of moving along one attribute's direction, measured by a classifier.

    An edit succeeds if the score crosses 0.5 in the intended direction; `added` images were edited
    towards the attribute and `removed` away from it. `others` is the mean share of the other
    attributes whose decision differs from that of the unedited reconstruction. Shares of no images
    are NaN.
    """

    name: str
    added: int
    added_success: float
    removed: int
    removed_success: float
    others: float

    @property
    def success(self) -> float:
        """Share of all edits that succeed."""
        ways = ((self.added, self.added_success), (self.removed, self.removed_success))
        images = self.added + self.removed
        return sum(count * share for count, share in ways if count) / images if images else np.nan


def evaluate(
    blocks: Iterable[Block],
    names: Sequence[str],
    generator: Generator,
    classifier: Classifier,
    directions: Mapping[str, ArrayLike],
    amount: float = 1.0,
) -> list[Effect]:
    """Flip every attribute of every image, and measure the effect with the classifier.

    `blocks` yields latents [k, D] and the attributes `names` of their images, bool [k, A]. Images
    with the attribute are moved by -`amount`, others by +`amount`. Only images whose reconstruction
    the classifier decides correctly count. Returns effects sorted by success, best first.
    """
    columns = [classifier.names.index(name) for name in names]
    unlike = [np.arange(len(classifier.names)) != column for column in columns]
    # Numbers of images, successes and flips, by attribute, for edits towards and away from it.
    counts = np.zeros((3, len(names), 2))
    for latents, has in blocks:
        before = classifier.classify(generator.decode(latents)) > 0.5
        for index, (name, column) in enumerate(zip(names, columns, strict=True)):
            signs = np.where(has[:, index], -amount, amount)[:, None]
            moved = latents + signs * np.asarray(directions[name], np.float32)
            after = classifier.classify(generator.decode(moved)) > 0.5
            flips = (after != before)[:, unlike[index]].sum(1)
            for way in (0, 1):
                rows = (has[:, index] == way) & (before[:, column] == way)
                success = after[rows, column] != way
                counts[:, index, way] += rows.sum(), success.sum(), flips[rows].sum()
    others = max(len(classifier.names) - 1, 1)
    effects = [_effect(name, counts[:, index], others) for index, name in enumerate(names)]
    return sorted(effects, key=lambda effect: (-np.nan_to_num(effect.success, nan=-1), effect.name))


def _effect(name: str, counts: NDArray[np.float64], others: int) -> Effect:
    images, successes, flips = counts
    with np.errstate(invalid="ignore"):
        added, removed = (successes / images).tolist()
        changed = flips.sum() / (images.sum() * others)
    return Effect(name, int(images[0]), added, int(images[1]), removed, float(changed))


def shared_attributes(
    directions: Collection[str], classifier_names: Sequence[str], source: Source | None = None
) -> list[str]:
    """Return the attributes shared by an engine's directions, a classifier, and the data's labels.

    Raises ConfigError, listing all attributes, if there are none.
    """
    labels = classifier_names if source is None else _label_names(source)
    names = [name for name in directions if name in classifier_names and name in labels]
    if not names:
        data = f"; {source.name} {', '.join(labels) or 'none'}" if source else ""
        raise ConfigError(
            f"no attribute is known to {'all three' if source else 'both'}: "
            f"the engine has {', '.join(directions)}; "
            f"the classifier {', '.join(classifier_names)}{data}"
        )
    return names


def _label_names(source: Source) -> list[str]:
    names = list(source.attribute_names) if source.attributes is not None else []
    return names + (list(source.classes) if source.labels is not None else [])


def encode_blocks(
    source: Source,
    names: Sequence[str],
    encoder: Embedder,
    seen: Callable[[int], None] = lambda count: None,
) -> Iterator[Block]:
    """Yield the encoder's μ of the images of `source`, and their attributes by the data's labels.

    Classes serve as attributes if the data have no attribute of that name. `seen` is called with
    the number of images of each block.
    """
    first = 0
    for images, _ in source:
        rows = slice(first, first + len(images))
        has = np.stack([_has_attribute(source, name, rows) for name in names], axis=1)
        yield encoder.embed(images), has
        first += len(images)
        seen(len(images))


def edit_blocks(
    generator: Generator,
    encoder: Embedder,
    data: DataSet,
    split: str,
    count: int,
    directions: Mapping[str, ArrayLike],
    amount: float = 1.0,
) -> Iterator[face_edits.Block]:
    """Yield the first `count` images of a split, with every attribute of `directions` flipped.

    The base of an edit is the reconstruction. Images with an attribute are moved by -`amount` along
    its direction, others by +`amount`.
    """
    part = data.parts[split]
    assert part.attributes is not None
    columns = [data.attributes.index(name) for name in directions]
    for start in range(0, count, _EDITED):
        rows = slice(start, min(start + _EDITED, count))
        latents, has = encoder.embed(part.images[rows]), part.attributes[rows][:, columns] > 0
        changes = []
        for (name, direction), own in zip(directions.items(), has.T, strict=True):
            signs = np.where(own, -amount, amount).astype(np.float32)[:, None]
            moved = generator.decode(latents + signs * np.asarray(direction, np.float32))
            changes.append(face_edits.Change(name, np.arange(len(own)), ~own, moved))
        yield face_edits.Block(part.images[rows], generator.decode(latents), changes)


def sample_blocks(
    generator: Generator,
    names: Sequence[str],
    classifier: Classifier,
    count: int,
    seed: int,
    seen: Callable[[int], None] = lambda count: None,
) -> Iterator[Block]:
    """Yield latents of samples 0 … count - 1 of a seed, and attributes by the classifier."""
    columns = [classifier.names.index(name) for name in names]
    stream: int = generator.manifest["noise"]["streams"]["latent"]
    for first in range(0, count, _ROWS):
        rows = min(_ROWS, count - first)
        latents = noise.normals(seed, first, rows, generator.latent_width, stream)
        yield latents, classifier.classify(generator.decode(latents))[:, columns] > 0.5
        seen(rows)


def _has_attribute(source: Source, name: str, rows: slice) -> NDArray[np.bool_]:
    has: NDArray[np.bool_]
    if source.attributes is not None and name in source.attribute_names:
        has = source.attributes[rows, source.attribute_names.index(name)] > 0
    else:
        assert source.labels is not None
        has = source.labels[rows] == source.classes.index(name)
    return has


def summary(effects: Sequence[Effect]) -> dict[str, Any]:
    """Return `attributes`, a list of the effects, and their `mean`, with None for NaN."""

    def plain(value: float) -> float | None:
        return None if np.isnan(value) else float(value)

    shares = ("added_success", "removed_success", "success", "others")
    entries = [{**asdict(effect), "success": effect.success} for effect in effects]
    known = {name: [e[name] for e in entries if not np.isnan(e[name])] for name in shares}
    return {
        "attributes": [
            {key: plain(value) if key in shares else value for key, value in entry.items()}
            for entry in entries
        ],
        "mean": {name: float(np.mean(known)) if known else None for name, known in known.items()},
    }
