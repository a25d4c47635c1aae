"""Text in pictures, in the font bundled with Pillow, which is the same everywhere."""

from __future__ import annotations

import functools
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

UNKNOWN = "?"
"""Replacement of a character that the font lacks and that has no base letter."""

_LETTERS = {"ß": "ss", "×": "x", "–": "-", "—": "-", "Æ": "AE", "æ": "ae", "Ø": "O", "ø": "o"}
_LETTERS |= {"Ł": "L", "ł": "l", "Đ": "D", "đ": "d", "Œ": "OE", "œ": "oe", "ı": "i"}


@functools.cache
def font(size: int) -> FreeTypeFont | ImageFont:
    """Return Pillow's default font."""
    from PIL import ImageFont

    return ImageFont.load_default(size)


def transliterate(text: str) -> str:
    """Replace characters that the font lacks: ü becomes u, and 图, without a counterpart, ?."""
    return text if text.isascii() else "".join(map(_replacement, text))


def shorten(name: str, most: int = 14, start: int | None = None, gap: str = "..") -> str:
    """Shorten a name to at most `most` letters, with a `gap` after its first `start` letters.

    By default a third of the letters stay before the gap, as the ends of names differ most.
    """
    start = most // 3 if start is None else start
    return name if len(name) <= most else f"{name[:start]}{gap}{name[start + len(gap) - most :]}"


@functools.lru_cache(4096)
def _replacement(character: str) -> str:
    if _font_has(character):
        return character
    if character in _LETTERS:
        return _LETTERS[character]
    parts = unicodedata.normalize("NFKD", character)
    kept = [part for part in parts if not unicodedata.combining(part)]
    return "".join(part if _font_has(part) else UNKNOWN for part in kept)


def _font_has(character: str) -> bool:
    return _glyph(character) != _glyph("\uffff")


def _glyph(character: str) -> tuple[bytes, float]:
    mask = font(16).getmask(character)
    return bytes(mask), font(16).getlength(character)
