"""Drawing styles: the random choice of a face's parts and colours, and the attributes they show.

A face is a pure function of (seed, index), the same everywhere; `zoo.data.drawing` draws it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

Choice = tuple[int, tuple[str, ...], tuple[str, ...]]
"""A weight, variants of equal probability ("" draws nothing), and the attributes they show."""

Draws = dict[str, str]
"""Variant of each draw, by the names of a style's `tables`."""


@dataclass(frozen=True)
class Face:
    """DiceBear's options for a drawing, and the attributes that it shows."""

    options: dict[str, object]
    attributes: frozenset[str]


class Style:
    """A style of DiceBear, and what is drawn in it.

    Subclasses set `name`, that of the data set; `definition`, that of the style; `version`,
    increased when an image or an attribute changes; `attributes`, +1 if visible in the picture and
    else -1; `tables`, the choices of each draw in the order of drawing; `parts`, the draws that are
    components of DiceBear; `colours`, the draws of its colours; `stand_ins`, the variants that
    replace hidden parts, which else are left out; and `view`, the view box shown (None: the whole
    drawing).
    """

    name: ClassVar[str]
    definition: ClassVar[str]
    version: ClassVar[int] = 1
    attributes: ClassVar[tuple[str, ...]]
    tables: ClassVar[Mapping[str, tuple[Choice, ...]]]
    parts: ClassVar[tuple[str, ...]]
    colours: ClassVar[Mapping[str, str]]
    stand_ins: ClassVar[Mapping[str, str]] = {}
    view: ClassVar[str | None] = None

    def __init__(self) -> None:
        self._shown = {
            name: {variant: shown for _, variants, shown in choices for variant in variants}
            for name, choices in self.tables.items()
        }

    def hidden(self, draws: Draws) -> frozenset[str]:
        """Return the names of the draws that do not influence the picture."""
        return frozenset()

    def obscured(self, draws: Draws) -> frozenset[str]:
        """Return further attributes that are not visible, although their draw is."""
        return frozenset()

    def draw(self, seed: int, index: int) -> Draws:
        """Draw the variants of face `index` of `seed`, both of 64 bits, the hidden ones too."""
        # NumPy guarantees the raw stream of this bit generator across versions.
        random = np.random.Philox(key=seed + (index << 64))
        words = iter(random.random_raw(2 * len(self.tables)).tolist())

        def choose(choices: tuple[Choice, ...]) -> str:
            # With the high half of a word the bias is below 1e-7.
            place = (next(words) >> 32) % sum(weight for weight, _, _ in choices)
            pick = next(words) >> 32
            for weight, variants, _ in choices:
                if place < weight:
                    return variants[pick % len(variants)]
                place -= weight
            raise AssertionError("a weight was drawn beyond the last choice")

        return {name: choose(choices) for name, choices in self.tables.items()}

    def variants(self, name: str) -> list[str]:
        """Return all variants of a draw."""
        return list(self._shown[name])

    def shows(self, name: str, draws: Draws) -> tuple[str, ...]:
        """Return the attributes that the variant of a draw shows."""
        return self._shown[name][draws[name]]

    def assemble(self, draws: Draws) -> Face:
        """Return the face of given draws."""
        hidden = self.hidden(draws)
        shown = {a for name in draws if name not in hidden for a in self.shows(name, draws)}
        options: dict[str, object] = {"seed": "zoo"}
        for part in self.parts:
            variant = self.stand_ins.get(part, "") if part in hidden else draws[part]
            options[f"{part}Probability"] = 100 if variant else 0
            if variant:
                options[f"{part}Variant"] = [variant]
        options |= {f"{part}Color": [draws[name]] for part, name in self.colours.items()}
        return Face(options, frozenset(shown) - self.obscured(draws))

    def describe(self, seed: int, index: int) -> Face:
        """Choose the parts of face `index` of `seed`, both of 64 bits."""
        return self.assemble(self.draw(seed, index))

    def row(self, face: Face) -> np.ndarray:
        """Return the attributes of a face as int8 [len(attributes)], +1 and -1."""
        return np.array([1 if name in face.attributes else -1 for name in self.attributes], np.int8)
