"""Text in pictures, in the one font that comes with Pillow and so is the same everywhere."""

from __future__ import annotations

import functools
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

UNKNOWN = "?"
"""What is drawn for a character that the font lacks and that has no base letter."""

_LETTERS = {"ß": "ss", "×": "x", "–": "-", "—": "-", "Æ": "AE", "æ": "ae", "Ø": "O", "ø": "o"}
_LETTERS |= {"Ł": "L", "ł": "l", "Đ": "D", "đ": "d", "Œ": "OE", "œ": "oe", "ı": "i"}


@functools.cache
def font(size: int) -> FreeTypeFont | ImageFont:
    """Pillow's own font."""
    from PIL import ImageFont

    return ImageFont.load_default(size)


def drawable(text: str) -> str:
    """`text` in characters that the font has: ü becomes u, and 图, for which it has none, ?."""
    return text if text.isascii() else "".join(map(_drawable, text))


def shorten(name: str, most: int = 14, start: int | None = None, gap: str = "..") -> str:
    """`name`, with a `gap` in place of a part where it has more than `most` letters.

    `start` letters stay before it, by default a third of `most`: the end tells most.
    """
    start = most // 3 if start is None else start
    return name if len(name) <= most else f"{name[:start]}{gap}{name[start + len(gap) - most :]}"


@functools.lru_cache(4096)
def _drawable(character: str) -> str:
    if _has(character):
        return character
    if character in _LETTERS:
        return _LETTERS[character]
    parts = unicodedata.normalize("NFKD", character)
    kept = [part for part in parts if not unicodedata.combining(part)]
    return "".join(part if _has(part) else UNKNOWN for part in kept)


def _has(character: str) -> bool:
    return _shape(character) != _shape("\uffff")


def _shape(character: str) -> tuple[bytes, float]:
    mask = font(16).getmask(character)
    return bytes(mask), font(16).getlength(character)


__all__ = ["UNKNOWN", "drawable", "font", "shorten"]
