"""Translation of images by engines that take images: repaired, coloured, made of drawn edges."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo import corruption
from zoo.corruption import Corruption
from zoo.corruption.edges import edges as draw_edges
from zoo.errors import ConfigError, DataError
from zoo.images.companions import Companions
from zoo.images.stream import Block

Images = NDArray[np.uint8]
Shape = tuple[int, int, int]

COLOURING = ("colorization", "colour")
"""Tasks of translators that make colour of grey."""


class Preparation:
    """What becomes of images before a translator gets them.

    They are damaged (`corrupt`), made grey (`grey`) or reduced to their edges
    (`edges`) first, or given holes by masks (`masked`). `source_shape` is that of
    the images to read; `takes_alpha`: they come with an alpha channel;
    `knows_truth`: they are whole, and what the translator should give back.
    Raises ConfigError for what does not fit it.
    """

    def __init__(
        self,
        translator: Any,
        corrupt: Corruption | None = None,
        grey: bool = False,
        masked: bool = False,
        edges: bool = False,
    ) -> None:
        self.corrupt = corrupt
        self.grey, self.edges = grey, edges
        self.alpha = translator.alpha
        height, width, channels = translator.input_shape
        colours = channels - self.alpha
        name = Path(translator.path).name
        made = translator.image_shape[2]
        if grey and (colours, made) != (1, 3):
            raise ConfigError(
                f"grey: expected an engine that takes 1 channel and makes 3; "
                f"{name} takes {colours} and makes {made}"
            )
        task = translator.manifest.get("task", "")
        if grey and task == "edges":
            raise ConfigError(f"grey: {name} takes edges")
        if edges and (colours != 1 or task in COLOURING):
            raise ConfigError(f"edges: expected an engine that takes them; {name} does not")
        if edges and (grey or corrupt is not None):
            raise ConfigError("expected edges, or images made grey or damaged, got both")
        if corrupt is not None and corrupt.alpha != self.alpha:
            expected = "holes, because it fills them" if self.alpha else "noise, it fills no holes"
            raise ConfigError(f"corruption {corrupt}: {name} takes {expected}")
        if masked and not self.alpha:
            raise ConfigError(f"mask: {name} takes no masks, because it fills no holes")
        if masked and corrupt is not None:
            raise ConfigError("expected masks or random holes, got both")
        whole = self.alpha and (masked or corrupt is not None)
        read = made if edges else 3 if grey else colours if whole else channels
        self.source_shape: Shape = (height, width, read)
        self.takes_alpha = self.alpha and not whole
        self.knows_truth = (grey or edges or corrupt is not None) and (
            self.source_shape == translator.image_shape
        )

    def apply(
        self, images: Images, seed: int = 0, first: int = 0, masks: Images | None = None
    ) -> Images:
        """Inputs of the translator made from images [n, *source_shape].

        They are images first … first + n - 1 of the run with that seed. masks:
        [n, H, W, 1], 255 where hidden. An alpha channel that is there becomes 255
        where it is 128 or more, and 0 elsewhere, and hidden pixels become 0.
        """
        if self.edges:
            return draw_edges(images)
        if self.grey:
            images = corruption.grey(images)
        if self.corrupt is not None:
            return self.corrupt.apply(images, seed, first)
        if not self.alpha:
            return images
        if masks is not None:
            return corruption.with_alpha(images, _binary(~masks))
        return corruption.with_alpha(images[..., :-1], _binary(images[..., -1:]))


def _binary(images: Images) -> Images:
    return np.where(images >= 128, np.uint8(255), np.uint8(0))


@dataclass(frozen=True)
class Translated:
    """Some images in order: `names`; `inputs` as the translator got them, [k, *input_shape];
    `outputs` [k, *image_shape]; `truths` like outputs, None where unknown. All uint8.

    `hidden`: bool [k, H, W], which pixels of the inputs were hidden; None without alpha.
    `seconds`: how long the translator took.
    """

    names: list[str]
    inputs: Images
    outputs: Images
    truths: Images | None
    hidden: NDArray[np.bool_] | None
    seconds: float

    def before(self) -> Images | None:
        """The inputs as images like the outputs: a single channel in all, hidden pixels 0.

        Of another size, their pixels are repeated; None for other channels.
        """
        colours = self.inputs if self.hidden is None else self.inputs[..., :-1]
        _, height, width, channels = self.outputs.shape
        if colours.shape[3] not in (1, channels):
            return None
        return np.broadcast_to(enlarged(colours, height, width), self.outputs.shape)


def enlarged(images: Images, height: int, width: int) -> Images:
    """Images [n, h, w, c] as [n, height, width, c], pixels repeated."""
    if images.shape[1:3] == (height, width):
        return images
    rows = np.arange(height) * images.shape[1] // height
    columns = np.arange(width) * images.shape[2] // width
    return images[:, rows[:, None], columns]


def _noise(translator: Any, seed: int, first: int) -> dict[str, int]:
    """The noise that a translator draws, if it draws any: that of images `first`, … of a seed."""
    streams = (translator.manifest.get("noise") or {}).get("streams", {})
    return {"seed": seed, "first": first} if streams.get("layers") else {}


def translate(
    translator: Any,
    source: Iterable[Block],
    preparation: Preparation | None = None,
    seed: int = 0,
    first: int = 0,
    truths: Companions | None = None,
    masks: Companions | None = None,
) -> Iterator[Translated]:
    """Translate the images of `source` but the first `first` ones, block by block.

    `preparation`: by default images are taken as they are. Image i of the source
    is image i of the run with `seed`, wherever it begins, for the damage and for
    the noise of a translator that draws some. `truths` and `masks`
    belong to the images by name, or by their index in the source. Raises
    DataError where none is left, and what they, source and translator raise.
    """
    prepare = preparation or Preparation(translator, masked=masks is not None)
    index = 0
    for block in source:
        start = max(0, first - index)
        images, names = block.images[start:], block.names[start:]
        index += len(block.names)
        if not names:
            continue
        position = index - len(names)
        hiding = masks.load(names, position) if masks else None
        inputs = prepare.apply(images, seed, position, hiding)
        known = images if prepare.knows_truth else None
        started = time.perf_counter()
        outputs = translator.translate(inputs, **_noise(translator, seed, position))
        seconds = time.perf_counter() - started
        yield Translated(
            names,
            inputs,
            outputs,
            truths.load(names, position) if truths else known,
            inputs[..., -1] == 0 if translator.alpha else None,
            seconds,
        )
    if index <= first:
        raise DataError(f"first: expected less than the number of images, {index}, got {first}")
