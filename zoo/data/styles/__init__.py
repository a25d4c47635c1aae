"""The drawing styles, by the names of their data sets."""

from __future__ import annotations

from zoo.data.styles.avataaars import Avataaars
from zoo.data.styles.lorelei import Lorelei
from zoo.data.styles.open_peeps import OpenPeeps
from zoo.data.styles.pixel_art import PixelArt
from zoo.data.styles.style import Draws, Face, Style

AVATAAARS = Avataaars()
"""Style of the data set `faces`."""

STYLES: dict[str, Style] = {
    style.name: style for style in (AVATAAARS, Lorelei(), OpenPeeps(), PixelArt())
}

__all__ = ["AVATAAARS", "STYLES", "Draws", "Face", "Style"]
