"""Image-to-image translation by engines: restoration, colouring, edges to images."""

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


class Preparation:
    """Conversion of images to a translator's input.

    Images are corrupted (`corrupt`), converted to grey (`grey`) or to edges (`edges`), or masked
    (`masked`). `source_shape` is the shape of the images to read; with `takes_alpha` they include
    an alpha channel; with `knows_truth` they are the translator's targets. Raises ConfigError for a
    conversion that does not fit the translator.
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
        outputs = translator.image_shape[2]
        if grey and (colours, outputs) != (1, 3):
            raise ConfigError(
                f"grey: expected an engine that takes 1 channel and makes 3; "
                f"{name} takes {colours} and makes {outputs}"
            )
        task = translator.manifest.get("task", "")
        if grey and task == "edges":
            raise ConfigError(f"grey: {name} takes edges, not grey images")
        if edges and (colours != 1 or task in COLOURING):
            raise ConfigError(f"edges: {name} does not take edges")
        if edges and (grey or corrupt is not None):
            raise ConfigError("edges cannot be combined with grey or a corruption")
        if corrupt is not None and corrupt.alpha != self.alpha:
            expected = "holes" if self.alpha else "noise"
            raise ConfigError(f"corruption {corrupt}: {name} takes {expected}")
        if masked and not self.alpha:
            raise ConfigError(f"mask: {name} takes no masks")
        if masked and corrupt is not None:
            raise ConfigError("masks cannot be combined with a corruption")
        whole = self.alpha and (masked or corrupt is not None)
        read = outputs if edges else 3 if grey else colours if whole else channels
        self.source_shape: Shape = (height, width, read)
        self.takes_alpha = self.alpha and not whole
        self.knows_truth = (grey or edges or corrupt is not None) and (
            self.source_shape == translator.image_shape
        )

    def apply(
        self, images: Images, seed: int = 0, first: int = 0, masks: Images | None = None
    ) -> Images:
        """Convert images [n, *source_shape] to the translator's input.

        They are images first … first + n - 1 of the run with that seed. masks: [n, H, W, 1], 255
        where hidden. An existing alpha channel is binarised at 128, and hidden pixels become 0.
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
            return corruption.with_alpha(images, _binarise(~masks))
        return corruption.with_alpha(images[..., :-1], _binarise(images[..., -1:]))


def _binarise(images: Images) -> Images:
    return np.where(images >= 128, np.uint8(255), np.uint8(0))


@dataclass(frozen=True)
class TranslatedBlock:
    """TranslatedBlock images in order, uint8: `names`, `inputs` [k, *input_shape], `outputs`
    [k, *image_shape], `truths` [k, *image_shape] or None if unknown.

    `hidden`: bool [k, H, W], the hidden pixels of the inputs; None without alpha. `seconds`: the
    translator's run time.
    """

    names: list[str]
    inputs: Images
    outputs: Images
    truths: Images | None
    hidden: NDArray[np.bool_] | None
    seconds: float

    def before(self) -> Images | None:
        """Return the inputs in the shape of the outputs, for comparison; hidden pixels are 0.

        A single channel is repeated, and smaller images are enlarge; None for other channels.
        """
        colours = self.inputs if self.hidden is None else self.inputs[..., :-1]
        _, height, width, channels = self.outputs.shape
        if colours.shape[3] not in (1, channels):
            return None
        return np.broadcast_to(enlarge(colours, height, width), self.outputs.shape)


def enlarge(images: Images, height: int, width: int) -> Images:
    """Enlarge images [n, h, w, c] to [n, height, width, c] by repeating pixels."""
    if images.shape[1:3] == (height, width):
        return images
    rows = np.arange(height) * images.shape[1] // height
    columns = np.arange(width) * images.shape[2] // width
    return images[:, rows[:, None], columns]


def _noise_arguments(translator: Any, seed: int, first: int) -> dict[str, int]:
    """Return the noise arguments of a translator with noise: images `first`, … of a seed."""
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
) -> Iterator[TranslatedBlock]:
    """Translate the images of `source` from index `first` on, block by block.

    `preparation` defaults to none. Image i of the source is image i of the run with `seed`, for
    corruption and noise, whatever `first` is. `truths` and `masks` are matched to images by name,
    or by index. Raises DataError if no image is left, and the errors of the arguments.
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
        truth = truths.load(names, position) if truths else None
        yield translate_block(
            translator, prepare, Block(images, names), seed, position, hiding, truth
        )
    if index <= first:
        raise DataError(f"first must be below the number of images, {index}, got {first}")


def translate_block(
    translator: Any,
    preparation: Preparation,
    block: Block,
    seed: int,
    first: int,
    masks: Images | None = None,
    truths: Images | None = None,
) -> TranslatedBlock:
    """Translate images `first`, first + 1, … of the run with `seed`.

    masks: [k, H, W, 1], 255 where hidden; truths: [k, *image_shape] if known. Raises the errors of
    `Preparation.apply` and the translator.
    """
    inputs = preparation.apply(block.images, seed, first, masks)
    if truths is None and preparation.knows_truth:
        truths = block.images
    started = time.perf_counter()
    outputs = translator.translate(inputs, **_noise_arguments(translator, seed, first))
    seconds = time.perf_counter() - started
    hidden = inputs[..., -1] == 0 if translator.alpha else None
    return TranslatedBlock(block.names, inputs, outputs, truths, hidden, seconds)
