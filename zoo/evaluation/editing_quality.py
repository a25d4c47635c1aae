"""How often an edit of an attribute takes, and what else it changes, as a classifier sees it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime import Classifier, Encoder, Generator, noise
from zoo.errors import ConfigError
from zoo.inference.inputs import Source

Block = tuple[NDArray[np.float32], NDArray[np.bool_]]
"""Latents [k, D], and whether their images have each attribute, [k, A]."""

_ROWS = 250


@dataclass(frozen=True)
class Effect:
    """What moving along one attribute's direction does, as a classifier sees it.

    An edit succeeds when the score crosses 0.5 to the wanted side; `added` images were edited
    towards the attribute and `removed` away from it. `others` is the share of the other
    attributes whose decision is not that of the unedited reconstruction, mean over both. A share
    of no images is NaN.
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
    """Edit every image in every attribute, to what it is not, and ask the classifier.

    `blocks` gives latents [k, D] and whether their images have each of `names`, bool [k, A]; an
    image that has the attribute is moved by -`amount`, one that has not by +`amount`. Counted
    are the images whose reconstruction the classifier still puts on the true side. Memory is
    that of a block. The effects are sorted by success, best first.
    """
    columns = [classifier.names.index(name) for name in names]
    unlike = [np.arange(len(classifier.names)) != column for column in columns]
    # Images, successes and flips, by attribute, of edits towards it and away from it.
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
        took = successes / images
        changed = flips.sum() / (images.sum() * others)
    return Effect(
        name, int(images[0]), float(took[0]), int(images[1]), float(took[1]), float(changed)
    )


def shared(
    directions: Collection[str], classifier_names: Sequence[str], source: Source | None = None
) -> list[str]:
    """The attributes that an engine can edit, a classifier knows, and the data are labelled with.

    Raises ConfigError where there are none, saying who knows what.
    """
    labels = classifier_names if source is None else _labels_of(source)
    names = [name for name in directions if name in classifier_names and name in labels]
    if not names:
        whose = f"; {source.name} {', '.join(labels) or 'none'}" if source else ""
        raise ConfigError(
            f"no attribute is known to {'all three' if source else 'both'}: "
            f"the engine has {', '.join(directions)}; "
            f"the classifier {', '.join(classifier_names)}{whose}"
        )
    return names


def _labels_of(source: Source) -> list[str]:
    names = list(source.attribute_names) if source.attributes is not None else []
    return names + (list(source.classes) if source.labels is not None else [])


def labelled(
    source: Source,
    names: Sequence[str],
    encoder: Encoder,
    seen: Callable[[int], None] = lambda count: None,
) -> Iterator[Block]:
    """The encoder's μ of the images of `source`, and what the data say of them.

    Of a set without the attribute, the class of that name counts. `seen` is told the number of
    images after each block.
    """
    first = 0
    for images, _ in source:
        rows = slice(first, first + len(images))
        has = np.stack([_has(source, name, rows) for name in names], axis=1)
        yield encoder.embed(images), has
        first += len(images)
        seen(len(images))


def drawn(
    generator: Generator,
    names: Sequence[str],
    classifier: Classifier,
    count: int,
    seed: int,
    seen: Callable[[int], None] = lambda count: None,
) -> Iterator[Block]:
    """Latents of samples 0 … count - 1 of a seed, and what the classifier says of their images."""
    columns = [classifier.names.index(name) for name in names]
    stream: int = generator.manifest["noise"]["streams"]["latent"]
    for first in range(0, count, _ROWS):
        rows = min(_ROWS, count - first)
        latents = noise.normals(seed, first, rows, generator.latent_width, stream)
        yield latents, classifier.classify(generator.decode(latents))[:, columns] > 0.5
        seen(rows)


def _has(source: Source, name: str, rows: slice) -> NDArray[np.bool_]:
    has: NDArray[np.bool_]
    if source.attributes is not None and name in source.attribute_names:
        has = source.attributes[rows, source.attribute_names.index(name)] > 0
    else:
        assert source.labels is not None
        has = source.labels[rows] == source.classes.index(name)
    return has


def summary(effects: Sequence[Effect]) -> dict[str, Any]:
    """`attributes`, a list of the effects, and `mean`, of each share; NaN becomes None."""

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
        "mean": {name: float(np.mean(found)) if found else None for name, found in known.items()},
    }


__all__ = ["Effect", "drawn", "evaluate", "labelled", "shared", "summary"]
