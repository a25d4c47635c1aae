"""Names of sets of drawn faces: `faces`, `lorelei:200000`, `faces:endless@5`."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.data import faces
from zoo.data.styles import STYLES, Style
from zoo.errors import DataError

LARGEST = 10_000_000
"""Limit on the number of training faces."""

REFERENCE, REFERENCE_SEED = 50_000, 3
"""Number of faces that generators are compared with, and their seed."""

ENDLESS = "endless"

FORM = "COUNT, COUNT@SEED or endless"
"""What may follow the name of a style and a colon."""


@dataclass(frozen=True)
class DrawnName:
    """A set of faces of a `style`: the `count` and `seed` of the training faces.

    An `endless` set has any number of them.
    """

    style: Style
    count: int
    seed: int = 0
    endless: bool = False

    def index(self, number: int) -> int:
        """Return the index, under its seed, of training face `number`.

        Every tenth of the first faces of seed 0 is held out for the test.
        """
        return number + (0 if self.seed else min(number // 9, faces.COUNT // 10))


def is_drawn(name: str) -> bool:
    """Return True for the names of drawn faces, valid or not."""
    return _style_name(name) in STYLES


def parse(name: str) -> DrawnName:
    """Parse STYLE, STYLE:COUNT, STYLE:endless, and each with @SEED.

    Raises `DataError` for invalid counts and seeds, and for seeds whose faces are not to be trained
    on.
    """
    style = STYLES[_style_name(name)]
    text, at, digits = name.removeprefix(style.name).removeprefix(":").partition("@")
    whole = ":" not in name
    count = faces.COUNT - faces.COUNT // 10
    if not whole and text != ENDLESS:
        given = _parse_number(text, LARGEST)
        if given is None or given < 10:
            raise DataError(
                f"{name}: expected {style.name}:COUNT, a number from 10 to {LARGEST:,}, or "
                f"{style.name}:{ENDLESS}"
            )
        count = given
    seed = _parse_number(digits, 2**64 - 1) if at else 0
    if seed is None:
        raise DataError(f"{name}: expected {style.name}:COUNT@SEED, a seed from 0 to 2^64 - 1")
    if seed in (faces.VALIDATION_SEED, REFERENCE_SEED):
        raise DataError(f"{name}: seed {seed} draws faces to measure with, not to train on")
    return DrawnName(style, count, seed, text == ENDLESS)


def _style_name(name: str) -> str:
    return name.partition(":")[0].partition("@")[0]


def _parse_number(text: str, most: int) -> int | None:
    """Return a decimal number of at most `most`, or None for any other text."""
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(most))):
        return None
    return int(text) if int(text) <= most else None
