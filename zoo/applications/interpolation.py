"""Interpolation between two latents."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime import Generator, ops
from zoo.applications import conditions, points
from zoo.applications.conditions import Conditions
from zoo.engines import open_generator
from zoo.images import sinks

_COLUMNS = 16
_NAMED = 6


def path(ends: ArrayLike, steps: int, mode: str = "linear") -> NDArray[np.float32]:
    """Return the latents on the path through `ends` [p, D], all of them included.

    There are `steps` from each point to the next: float32 [(p - 1) · steps + 1, D], or [1, D] for a
    single point. mode is "linear" or "spherical", as in runtime.InterpolateRequest. Raises
    runtime.errors.ArgumentError.
    """
    ends = np.asarray(ends, np.float32)
    if len(ends) == 1:
        return ends
    parts = ops.batched_interpolate(ends[:-1], ends[1:], np.arange(steps + 1) / steps, mode)
    inner = parts[:, :-1].reshape(-1, ends.shape[1])
    return np.concatenate([inner, parts[-1, -1:]])


def run_of_path(
    generator: Generator,
    names: Sequence[str],
    steps: int,
    mode: str = "linear",
    conditioning: Conditions | None = None,
) -> sinks.Run:
    """Return the run of the images on the path through points of these names, as it is drawn.

    Each image is labelled with its place on the path, of which `steps` lead from point to point.
    """
    count = (len(names) - 1) * steps + 1
    named = names if len(names) <= _NAMED else [*names[: _NAMED - 2], "...", names[-1]]
    title = f"{Path(generator.path).name}  ·  {' to '.join(named)}  ·  {mode}"
    return sinks.Run(
        count,
        generator.image_shape,
        title=title + (conditioning.title() if conditioning else ""),
        columns=min(count, _COLUMNS),
        label=lambda i: f"{i}/{steps}",
    )


def interpolate_images(
    a: str,
    b: str,
    engine: str,
    *,
    steps: int = 10,
    mode: str = "linear",
    seed: int = 0,
    out: str = "interpolation.png",
    label: str | None = None,
    truncation: float | None = None,
    resize: bool = False,
    overwrite: bool = False,
    **options: Any,
) -> str:
    """Interpolate between the points `a` and `b` (see `zoo.applications.points`), and write images.

    The arguments are the options of `zoo.interpolate`, `options` those of runtime.Generator.
    Returns a summary line. Raises ConfigError, DataError, OutputError, and the errors of
    zoo.engines.open_generator.
    """
    sinks.check(out, steps + 1, overwrite)
    with open_generator(engine, **options) as generator:
        conditioning = conditions.parse(generator, label, None, truncation, None)
        start, end = (points.read_one(generator, at, seed, resize, **options) for at in (a, b))
        run = run_of_path(generator, [start.name, end.name], steps, mode, conditioning)
        with sinks.open_sink(out, run, overwrite) as write:
            ends = start.latent, end.latent
            write(generator.interpolate(*ends, steps, mode, **conditioning.interpolation_options()))
    return f"{steps + 1} images from {start.name} to {end.name}: {out}"
