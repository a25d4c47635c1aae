"""Picture of images translated to every domain, as in the figures of Choi et al. 2017."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime import Translator
from zoo.applications.domains import DomainTranslator, open_classifier
from zoo.images import atomic
from zoo.images.grid import draw, tile_label
from zoo.inference.inputs import Source

ROWS = 16
"""Largest number of images in a picture."""


def write(path: str, translator: Translator, source: Source, first: int = 0, **options: Any) -> int:
    """Draw a row for each image of `source` from `first` on, at most ROWS; return their number.

    Every row has the image, and its translations to all domains that can be changed; `options` are
    those of the classifier next to the translator. Raises as `open_classifier`, `source`, and
    `zoo.images.atomic.replace_file`.
    """
    images, names = _first(source, first)
    with open_classifier(translator, **options) as classifier:
        changed = list(DomainTranslator(translator, classifier, {}).all_domains(images))
    tiles: list[NDArray[np.uint8]] = []
    labels: list[str] = []
    for row, name in enumerate(names):
        tiles.append(images[row])
        labels.append(tile_label(name))
        for outputs, edits in changed:
            # Impossible and unnecessary changes stay blank.
            tiles.append(outputs[row] if edits[row] else np.full_like(outputs[row], 255))
            labels.append(edits[row])
    title = f"{Path(translator.path).name}  ·  {source.name}"
    with atomic.replace_file(path) as temporary:
        draw(tiles, labels, title, 1 + len(changed)).save(temporary, format="PNG")
    return len(names)


def _first(source: Source, first: int) -> tuple[NDArray[np.uint8], list[str]]:
    images: list[NDArray[np.uint8]] = []
    names: list[str] = []
    index = 0
    for block in source:
        start = max(0, first - index)
        images.append(block.images[start : start + ROWS - len(names)].copy())
        names += block.names[start : start + ROWS - len(names)]
        index += len(block.names)
        if len(names) == ROWS:
            break
    return np.concatenate(images), names
