"""Edits of drawn faces, scored against drawings of the right answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo.data import counterfactuals, drawing, faces
from zoo.data.domains import Table
from zoo.data.sets import Split, resize
from zoo.data.styles import AVATAAARS, Draws, Face
from zoo.evaluation import counterfactual
from zoo.evaluation.counterfactual import Effect, Images, Scored

BLOCK = 64
"""Number of faces that an editor should put into a block."""

Judge = Callable[[Images], Table]
"""`judge(images)` returns attributes bool [k, J]."""


class Change(NamedTuple):
    """An attribute set to `values` bool [r] in faces `rows` [r] of a block: images [r, H, W, C]."""

    attribute: str
    rows: NDArray[np.intp]
    values: NDArray[np.bool_]
    images: Images


class Block(NamedTuple):
    """Drawn faces [k, H, W, C], their bases (see `zoo.evaluation.counterfactual`), and changes."""

    originals: Images
    bases: Images
    changes: Sequence[Change]


class Pictures(NamedTuple):
    """Images [H, W, C] of an edit: its arguments of `zoo.evaluation.counterfactual.compare`."""

    original: Images
    base: Images
    edited: Images
    answer: Images


@dataclass(frozen=True)
class Truth:
    """Effects of edits of `count` images of `data`, or the `reason` why they are not scored."""

    data: str
    count: int
    effects: Sequence[Effect] = ()
    reason: str | None = None

    def lines(self) -> list[str]:
        """Return lines of text."""
        if self.reason is not None:
            return [f"edits are not scored against the truth: {self.reason}"]
        title = f"{self.count:,} images of {self.data}, edits against the truth"
        return [title, *counterfactual.table(self.effects)]

    def document(self) -> dict[str, Any]:
        """Return a JSON document."""
        effects = counterfactual.document(self.effects)
        return {"data": self.data, "images": self.count, "reason": self.reason, **effects}


def measure(
    blocks: Iterable[Block],
    data: str,
    split: str,
    count: int,
    judge: Judge | None,
    judged: Sequence[str],
    seen: Callable[[int], None] = lambda count: None,
) -> Truth:
    """Score the edits of the first `count` images of a split, which `blocks` yields in order.

    `judged` are the names of the judge's attributes; `seen` is called with the number of images of
    each block. Edits without a visible answer are left out. Raises `DataError` if the packages that
    draw faces are missing.
    """
    title = f"{data} {split}"
    if not counterfactuals.are_drawn(data):
        return Truth(title, count, reason=f"{data} has none, unlike drawn faces (--data faces)")
    if judge is None:
        return Truth(title, count, reason="no shipped classifier takes images of this size")
    counted = _count(blocks, seen)
    edits = [edit for edit, _ in score(counted, split, judge, judged)]
    return Truth(title, count, counterfactual.summarise(edits))


def _count(blocks: Iterable[Block], seen: Callable[[int], None]) -> Iterator[Block]:
    for block in blocks:
        yield block
        seen(len(block.originals))


def score(
    blocks: Iterable[Block], split: str, judge: Judge, judged: Sequence[str]
) -> Iterator[tuple[Scored, Pictures]]:
    """Yield the score of each edit of `measure`, and its pictures."""
    first = 0
    for block in blocks:
        rows = range(first, first + len(block.originals))
        draws = [AVATAAARS.draw(*counterfactuals.locate(split, row)) for row in rows]
        yield from _score(block, draws, first, judge, judged)
        first += len(rows)


def _score(
    block: Block, draws: Sequence[Draws], first: int, judge: Judge, judged: Sequence[str]
) -> Iterator[tuple[Scored, Pictures]]:
    own = [_attributes(AVATAAARS.assemble(face), judged) for face in draws]
    before = judge(block.bases)
    for change, drawn in zip(block.changes, _draw_answers(block, draws), strict=True):
        column, after = judged.index(change.attribute), judge(change.images)
        edits = zip(change.rows, change.values, change.images, after, drawn, strict=True)
        for row, value, edited, decided, right in edits:
            if not right:
                continue
            answers = np.stack([picture for picture, _ in right])
            original, base = block.originals[row], block.bases[row]
            scored = counterfactual.score(original, base, edited, answers)
            if scored is not None:
                answer, face = right[scored.answer]
                kept = _attributes(face, judged) == own[row]
                flipped = bool((kept & (decided != before[row])).any())
                seen = bool(decided[column] == value)
                edit = Scored(change.attribute, first + int(row), scored, flipped, seen)
                yield edit, Pictures(original, base, edited, answer)


def _attributes(face: Face, names: Sequence[str]) -> Table:
    return np.array([name in face.attributes for name in names])


def _draw_answers(block: Block, draws: Sequence[Draws]) -> list[list[list[tuple[Images, Face]]]]:
    """Return the right answers and their pictures, by change and row."""
    answers = [
        [
            counterfactuals.answers(draws[row], change.attribute, bool(value))
            for row, value in zip(change.rows, change.values, strict=True)
        ]
        for change in block.changes
    ]
    every = [face for rows in answers for row in rows for face in row]
    pictures = iter(draw(every, block.originals.shape[1]))
    return [[[(next(pictures), face) for face in row] for row in rows] for rows in answers]


def draw(drawn: Sequence[Face], size: int) -> Images:
    """Draw faces as the data set `faces` has them at `size` pixels, uint8 [n, size, size, 3]."""
    images: Images = drawing.draw(drawn, max(size, faces.SIZE))
    return resize(Split(images), size, None).images if len(images) else images
