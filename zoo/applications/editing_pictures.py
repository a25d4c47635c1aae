"""Output of zoo.edit: edits, paths to an edit, and strips over α, in any format."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime import Generator
from zoo.applications import editing
from zoo.applications.points import Point
from zoo.errors import ConfigError
from zoo.images import atomic, grid, sinks
from zoo.images.convert import mode_of
from zoo.images.grid import tile_label

if TYPE_CHECKING:
    from PIL.Image import Image

Images = NDArray[np.uint8]
Latents = NDArray[np.float32]

_ROWS = 256
_COLUMNS = 16
_RECONSTRUCTION = "reconstruction"
_LOW, _HIGH, _STRIP_STEPS = -2.0, 2.0, 8


@dataclass(frozen=True)
class Plan:
    """Plan of the images to make from every latent: R rows of S, named by `labels`.

    `apply` maps latents [k, D] to [k, R, S, D]. A grid also shows the `reconstruction`, unless rows
    begin with it. A .gif steps through the rows if `animated`.
    """

    title: str
    labels: list[list[str]]
    apply: Callable[[Latents], Latents]
    reconstruction: bool = True
    animated: bool = True

    @property
    def count(self) -> int:
        """Number of images per latent."""
        return len(self.labels) * len(self.labels[0])


def choose_plan(
    directions: Mapping[str, ArrayLike],
    amounts: Mapping[str, float],
    names: Sequence[str],
    low: float | None,
    high: float | None,
    steps: int | None,
) -> Plan:
    """Plan strips for `names`, or else the edit by `amounts` with `steps` on the way to it.

    Raises ConfigError for `low` and `high` without `names`, and as `plan_strips`.
    """
    if not names and (low is not None or high is not None):
        raise ConfigError("--from and --to require --strip")
    if names:
        ends = (_LOW if low is None else low, _HIGH if high is None else high)
        return plan_strips(directions, amounts, names, *ends, steps or _STRIP_STEPS)
    return plan_walk(directions, amounts, steps) if steps else plan_edit(directions, amounts)


def plan_edit(directions: Mapping[str, ArrayLike], amounts: Mapping[str, float]) -> Plan:
    """Plan the edit itself."""

    def apply(latents: Latents) -> Latents:
        return editing.edit(latents, directions, amounts)[:, None, None]

    return Plan(_title(amounts), [[_title(amounts)]], apply, animated=False)


def plan_walk(
    directions: Mapping[str, ArrayLike], amounts: Mapping[str, float], steps: int
) -> Plan:
    """Plan `steps` + 1 images from the reconstruction to the edit."""

    def apply(latents: Latents) -> Latents:
        return editing.walk(latents, directions, amounts, steps)[:, None]

    labels = [[f"{i}/{steps}" for i in range(steps + 1)]]
    return Plan(f"to {_title(amounts)}", labels, apply, reconstruction=False)


def plan_strips(
    directions: Mapping[str, ArrayLike],
    amounts: Mapping[str, float],
    names: Sequence[str],
    low: float,
    high: float,
    steps: int,
) -> Plan:
    """Plan a row for each of `names`: α from `low` to `high` in `steps` steps, on top of `amounts`.

    Raises ConfigError for ends that are not finite.
    """
    editing.check_finite(low, "--from")
    editing.check_finite(high, "--to")
    scales = low + (high - low) * (np.arange(steps + 1) / steps)

    def apply(latents: Latents) -> Latents:
        base = editing.edit(latents, directions, amounts)
        rows = [editing.strip(base, directions[name], scales) for name in names]
        return np.stack(rows, axis=1)

    several = len(names) > 1
    labels = [[(f"{name} " if several else "") + _signed(a) for a in scales] for name in names]
    after = f"{_title(amounts)}, then " if amounts else ""
    return Plan(f"{after}{', '.join(names)} from {low:+g} to {high:+g}", labels, apply)


def _signed(amount: float) -> str:
    return f"{amount:+.3g}" if amount else "0"


def _title(amounts: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {amount:+g}" for name, amount in amounts.items())


def write(
    generator: Generator, points: Sequence[Point], plan: Plan, out: str, overwrite: bool = False
) -> None:
    """Make the images of every point and write them to `out`, in the format of its suffix.

    A .png is a grid with originals and reconstructions; an animated .gif has all rows side by side
    in one frame; other formats contain the images [n·R·S, H, W, C]. Raises OutputError.
    """
    kind = sinks.format_of(out)
    if kind == ".png":
        _write_grid(generator, points, plan, out)
        return
    height, width, channels = generator.image_shape
    if kind == ".gif" and plan.animated:
        count, across = len(plan.labels[0]), len(points) * len(plan.labels)
        blocks: Iterator[Images] = _frames(_decode_blocks(generator, points, plan))
        run = sinks.Run(count, (height, width * across, channels))
    else:
        run = sinks.Run(len(points) * plan.count, generator.image_shape)
        blocks = (
            block.reshape(-1, height, width, channels)
            for block in _decode_blocks(generator, points, plan)
        )
    with sinks.open_sink(out, run, overwrite) as write_images:
        for block in blocks:
            write_images(block)


def _decode_blocks(generator: Generator, points: Sequence[Point], plan: Plan) -> Iterator[Images]:
    """Yield the images [k, R, S, H, W, C] of blocks of points."""
    rows = max(1, _ROWS // plan.count)
    for start in range(0, len(points), rows):
        latents = plan.apply(np.stack([point.latent for point in points[start : start + rows]]))
        flat = latents.reshape(-1, latents.shape[-1])
        images = [generator.decode(flat[at : at + _ROWS]) for at in range(0, len(flat), _ROWS)]
        yield np.concatenate(images).reshape(*latents.shape[:-1], *generator.image_shape)


def _frames(blocks: Iterator[Images]) -> Iterator[Images]:
    """Yield frames [S, H, n·R·W, C], each with one image of every row side by side."""
    images = np.concatenate(list(blocks))
    points, rows, steps, height, width, channels = images.shape
    aside = images.transpose(2, 3, 0, 1, 4, 5)
    yield aside.reshape(steps, height, points * rows * width, channels)


def _write_grid(generator: Generator, points: Sequence[Point], plan: Plan, out: str) -> None:
    check_grid(points, plan, generator.image_shape)
    with atomic.replace_file(out) as temporary:
        images = np.concatenate(list(_decode_blocks(generator, points, plan)))
        latents = np.stack([point.latent for point in points])
        unedited = [
            generator.decode(latents[at : at + _ROWS]) for at in range(0, len(points), _ROWS)
        ]
        picture = draw_grid(
            title_of(generator, plan), points, plan, images, np.concatenate(unedited)
        )
        picture.save(temporary, format="PNG")


def title_of(generator: Generator, plan: Plan) -> str:
    """Return the title of a grid of edits."""
    return f"{Path(generator.path).name}  ·  {plan.title}"


def check_grid(points: Sequence[Point], plan: Plan, shape: tuple[int, int, int]) -> None:
    """Raise OutputError if edits of images [H, W, C] are too large for a picture."""
    rows, across = len(points) * len(plan.labels), _across(points, plan)
    mode_of(shape[2])
    grid.plan(rows * across, *shape[:2], _columns(rows, across))


def draw_grid(
    title: str, points: Sequence[Point], plan: Plan, images: Images, reconstructions: Images
) -> Image:
    """Draw each point's picture, if any has one, its reconstruction, and its edits.

    images: uint8 [n, R, S, H, W, C], the edits of the plan; reconstructions: of the n points,
    uint8 [n, H, W, C]. Raises OutputError.
    """
    originals = any(point.image is not None for point in points)
    tiles: list[Images] = []
    labels: list[str] = []
    blank = np.full_like(reconstructions[0], 255)
    for point, unedited, rows in zip(points, reconstructions, images, strict=True):
        for row, row_labels in zip(rows, plan.labels, strict=True):
            if originals:
                tiles.append(blank if point.image is None else point.image)
                labels.append("" if point.image is None else tile_label(point.name))
            if plan.reconstruction:
                tiles.append(unedited)
                labels.append(tile_label(point.name) if point.image is None else _RECONSTRUCTION)
            tiles += list(row)
            labels += row_labels
    columns = _columns(len(points) * len(plan.labels), _across(points, plan))
    return grid.draw(tiles, labels, title, columns)


def _across(points: Sequence[Point], plan: Plan) -> int:
    """Return the number of images in a row."""
    originals = any(point.image is not None for point in points)
    return originals + plan.reconstruction + len(plan.labels[0])


def _columns(rows: int, across: int) -> int:
    """Return the columns of a roughly square grid of `rows` unbroken rows of `across` images."""
    if rows == 1:
        return min(across, _COLUMNS + 2)
    return across * max(1, round(math.sqrt(rows / across)))
