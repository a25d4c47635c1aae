"""Scores of edits against the truth: the same image with only the attribute changed.

Several images may be right answers (`zoo.data.counterfactuals`), of which the nearest counts.
Scores compare changes: the one made, from the `base` to the edited image, with the one wanted, from
the original to the answer. The base is the image that the editor was given, or its own
reconstruction of it, whose errors are no changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError
from zoo.evaluation.intervals import Interval, interval
from zoo.tables import align_columns

Images = NDArray[np.uint8]
Mask = NDArray[np.bool_]

THRESHOLD = 16
"""Smallest visible change of a pixel: more than this in any channel, in levels of 255.

The colours of different attributes are at least 42 levels apart. The ripples that a network leaves
all over an image, and that a viewer does not notice, are smaller.
"""

CLOSE = 64
"""Largest error of a pixel that looks right, in any channel.

With less, glasses that look right would fail, because the edges of thin frames are soft.
"""

TAKES = 0.8
"""Share of the pixels to be changed that must be changed right for an edit to take."""


class Pixels(NamedTuple):
    """Masks bool [H, W] of the pixels of an edit.

    wanted: the pixels that should change, because the answer differs visibly from the original.
    right: of these, the ones whose change is nearer to the one wanted than to none, in RGB.
    close: of these, the ones that also look right.
    spilled: other pixels that visibly change.
    """

    wanted: Mask
    right: Mask
    close: Mask
    spilled: Mask


@dataclass(frozen=True)
class Score:
    """Score of an edit.

    right, close: shares of the pixels that should change; spilled: share of the others; answer: the
    index of the nearest right answer.
    """

    right: float
    close: float
    spilled: float
    answer: int

    @property
    def takes(self) -> bool:
        """True if enough pixels are changed right."""
        return self.right >= TAKES


def compare(
    original: Images, base: Images, edited: Images, answer: Images, threshold: int = THRESHOLD
) -> Pixels:
    """Compare the change from `base` to `edited` with that from `original` to `answer`.

    All are images uint8 [H, W, C]. Raises `DataError` for other arrays or different shapes.
    """
    _check(original, base, edited, answer)
    made, aim = _change(base, edited), _change(original, answer)
    wanted, error = np.abs(aim).max(-1) > threshold, made - aim
    right = wanted & (np.square(error).sum(-1) < np.square(made).sum(-1))
    close = right & (np.abs(error).max(-1) <= CLOSE)
    return Pixels(wanted, right, close, ~wanted & (np.abs(made).max(-1) > threshold))


def score(
    original: Images,
    base: Images,
    edited: Images,
    answers: Images,
    threshold: int = THRESHOLD,
) -> Score | None:
    """Score an edit by the nearest of the right `answers` [m, H, W, C].

    Nearest is the answer whose change differs least from the one made, in squared levels. Answers
    that look like the original, since another part covers the change, do not count; without any
    other the score is None. Raises `DataError` as `compare`.
    """
    _check(original, base, edited, *answers)
    aims = _change(original, answers)
    seen = np.flatnonzero((np.abs(aims).max(-1) > threshold).any((1, 2)))
    if not len(seen):
        return None
    errors = np.square(aims[seen] - _change(base, edited)).sum((1, 2, 3), dtype=np.int64)
    nearest = int(seen[np.argmin(errors)])
    wanted, right, close, spilled = compare(original, base, edited, answers[nearest], threshold)
    count, rest = wanted.sum(), (~wanted).sum()
    return Score(
        float(right.sum() / count),
        float(close.sum() / count),
        float(spilled.sum() / rest) if rest else 0.0,
        nearest,
    )


def _change(before: Images, after: Images) -> NDArray[np.int32]:
    return after.astype(np.int32) - before


def _check(*images: Images) -> None:
    for image in images:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape != images[0].shape:
            shapes = ", ".join(f"{one.dtype} {list(one.shape)}" for one in images)
            raise DataError(f"expected images uint8 [H, W, C] of one shape, got {shapes}")


class Scored(NamedTuple):
    """Score of the edit of an attribute of a face, by its number, and what a judge says of it.

    flipped: the judge's decision on an attribute that the answer does not change differs between
    base and edited image; seen: it sees the attribute as wanted.
    """

    name: str
    face: int
    score: Score
    flipped: bool
    seen: bool


@dataclass(frozen=True)
class Effect:
    """Effect of edits of one attribute: shares of the edits, and for `spilled` of their pixels.

    takes, close: at least `TAKES` of the pixels that should change are right, or look right;
    spilled: other pixels that change; flipped, seen: as in `Scored`.
    """

    name: str
    edits: int
    takes: Interval
    close: Interval
    spilled: Interval
    flipped: Interval
    seen: Interval


def summarise(edits: Iterable[Scored]) -> list[Effect]:
    """Return the effect of each attribute, in the order of appearance, and of all, if any."""
    by_name: dict[str, list[Scored]] = {}
    for edit in edits:
        by_name.setdefault(edit.name, []).append(edit)
    everything = [edit for group in by_name.values() for edit in group]
    groups = [*by_name.items(), *([("all", everything)] if everything else [])]
    return [_effect(name, group) for name, group in groups]


def _effect(name: str, edits: Sequence[Scored]) -> Effect:
    faces = [edit.face for edit in edits]
    columns = (
        [edit.score.takes for edit in edits],
        [edit.score.close >= TAKES for edit in edits],
        [edit.score.spilled for edit in edits],
        [edit.flipped for edit in edits],
        [edit.seen for edit in edits],
    )
    return Effect(name, len(edits), *(interval(column, faces) for column in columns))


def table(effects: Sequence[Effect]) -> list[str]:
    """Format effects as lines of text."""
    rows: list[tuple[str, ...]] = [
        ("attribute", "edits", "take", "look right", "other pixels", "flips another", "seen")
    ]
    for effect in effects:
        measures = (effect.takes, effect.close, effect.spilled, effect.flipped, effect.seen)
        rows.append((effect.name, f"{effect.edits:,}", *map(str, measures)))
    return align_columns(rows, right=range(1, len(rows[0])))


def document(effects: Sequence[Effect]) -> dict[str, Any]:
    """Return effects as a JSON document."""
    return {"threshold": THRESHOLD, "takes_at": TAKES, "effects": [asdict(e) for e in effects]}
