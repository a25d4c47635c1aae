"""Tiles of translated images, their inputs and the ground truth, for a grid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zoo.evaluation import quality
from zoo.images.grid import tile_label
from zoo.inference.translation import TranslatedBlock, enlarge

Images = NDArray[np.uint8]

SHOWN = 64
COLUMNS = 16


class Tiles:
    """Collector of the first images of a run: inputs above outputs above the truth, if known.

    most: the number of images after which others are not collected.
    """

    def __init__(self, most: int = SHOWN) -> None:
        self._most = most
        self._rows: list[list[tuple[Images, str]]] = []

    def add(self, block: TranslatedBlock) -> None:
        """Add images until there are `most`."""
        missing = self._most - len(self._rows)
        if missing <= 0:
            return
        inputs = display_inputs(block)
        for index, name in enumerate(block.names[:missing]):
            output, truth = block.outputs[index], None
            label = "output"
            if block.truths is not None:
                truth = block.truths[index]
                label = f"{quality.psnr(output[None], truth[None])[0]:.1f} dB"
            tiles = [(inputs[index].copy(), tile_label(name)), (output.copy(), label)]
            if truth is not None:
                tiles.append((truth.copy(), "truth"))
            self._rows.append(tiles)

    def arrange(self) -> tuple[list[Images], list[str], int]:
        """Return tiles [H, W, C] and labels in the order of a grid, and its number of columns."""
        columns = min(COLUMNS, len(self._rows))
        blank = (np.full_like(self._rows[0][0][0], 255), "")
        cells: list[tuple[Images, str]] = []
        for start in range(0, len(self._rows), columns):
            part = self._rows[start : start + columns]
            for row in range(len(part[0])):
                cells += [tiles[row] for tiles in part] + [blank] * (columns - len(part))
        return [tile for tile, _ in cells], [label for _, label in cells], columns

    def __len__(self) -> int:
        return len(self._rows)


def display_inputs(block: TranslatedBlock) -> Images:
    """Return the inputs as images like the outputs, with a chequered pattern where hidden."""
    before = block.before()
    if before is None:
        return np.full_like(block.outputs, 255)
    if block.hidden is None:
        return before
    _, height, width, _ = before.shape
    squares = np.indices((height, width)) // (2 * max(1, min(height, width) // 28))
    pattern = np.where(squares.sum(axis=0) % 2, np.uint8(104), np.uint8(152))[..., None]
    hidden = enlarge(block.hidden[..., None].astype(np.uint8), height, width)
    return np.where(hidden, pattern, before)
