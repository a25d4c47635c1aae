"""Attribute editing by moving latents: h_new = h + α·h_dif.

h_dif of an attribute is the mean latent of training images with it minus the mean latent of those
without: the visual attribute vectors of Larsen et al. 2016, arXiv:1512.09300 (see also White 2016,
arXiv:1609.04468). The export writes them to the engine's manifest, as `directions`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime import Generator, manifest
from zoo.engines import resolve, shipped
from zoo.errors import ConfigError


def direction(latents: ArrayLike, has: ArrayLike) -> NDArray[np.float32]:
    """Return h_dif [D] for latents [n, D] and bool [n], True for images with the attribute.

    Means are taken in float64. Raises ConfigError if no image, or every image, has it.
    """
    rows, mask = np.asarray(latents, np.float64), np.asarray(has, bool)
    if mask.shape != (len(rows),):
        raise ConfigError(f"has: expected shape ({len(rows)},), got {mask.shape}")
    if mask.all() or not mask.any():
        raise ConfigError(f"{mask.sum()} of {len(mask)} images have the attribute: no direction")
    difference: NDArray[np.float64] = rows[mask].mean(0) - rows[~mask].mean(0)
    return difference.astype(np.float32)


def edit(
    latents: ArrayLike, directions: Mapping[str, ArrayLike], amounts: Mapping[str, float]
) -> NDArray[np.float32]:
    """Return h + Σ α·h_dif of latents [n, D], α from `amounts`: float32 [n, D], summed in float64.

    Raises ConfigError for an attribute without a direction, and for an α that is not finite or
    overflows float32.
    """
    return walk(latents, directions, amounts, 1)[:, 1]


def walk(
    latents: ArrayLike,
    directions: Mapping[str, ArrayLike],
    amounts: Mapping[str, float],
    steps: int,
) -> NDArray[np.float32]:
    """Return the path to `edit(…)`: h + i/N · Σ α·h_dif, i = 0 … N = `steps`, [n, N + 1, D].

    Raises as `edit`, and ConfigError for `steps` below 1.
    """
    if steps < 1:
        raise ConfigError(f"steps: expected at least 1, got {steps}")
    offset = np.zeros(_width(latents))
    for name, amount in amounts.items():
        check(directions, [name])
        offset += check_finite(amount, name) * _check_direction(name, directions[name], len(offset))
    return _move(latents, offset, np.arange(steps + 1) / steps)


def strip(
    latents: ArrayLike, direction: ArrayLike, amounts: Sequence[float] | NDArray[np.floating]
) -> NDArray[np.float32]:
    """Return h + α·h_dif of latents [n, D] and one direction [D], for each α: float32 [n, S, D].

    Raises ConfigError for an α that is not finite or overflows float32.
    """
    scales = np.array([check_finite(float(amount), "strip") for amount in amounts])
    return _move(latents, _check_direction("direction", direction, _width(latents)), scales)


def _width(latents: ArrayLike) -> int:
    shape = np.shape(latents)
    if len(shape) != 2:
        raise ConfigError(f"latents: expected shape (n, D), got {shape}")
    return shape[1]


def _check_direction(name: str, values: ArrayLike, width: int) -> NDArray[np.float64]:
    if np.shape(values) != (width,):
        raise ConfigError(
            f"{name}: expected a direction of shape ({width},), got {np.shape(values)}"
        )
    return np.asarray(values, np.float64)


def _move(
    latents: ArrayLike, offset: NDArray[np.float64], scales: NDArray[np.float64]
) -> NDArray[np.float32]:
    start = np.asarray(latents, np.float64)[:, None]
    with np.errstate(over="ignore", invalid="ignore"):
        moved = (start + scales[None, :, None] * offset).astype(np.float32)
    if not np.isfinite(moved).all():
        raise ConfigError("the edit is too large: the latent is no longer finite in float32")
    return moved


def check_finite(amount: float, name: str) -> float:
    """Return `amount`, or raise ConfigError, which starts with `name`, unless it is finite."""
    if not np.isfinite(amount):
        raise ConfigError(f"{name}: expected a finite α, got {amount}")
    return amount


def load_directions(generator: Generator) -> dict[str, NDArray[np.float32]]:
    """Return the directions [D] of an engine, by attribute.

    Raises ConfigError if there are none, naming shipped engines that have them.
    """
    name = Path(generator.path).name
    directions = generator.manifest.get("directions") or {}
    if not directions:
        others = [shipped for shipped in _with_directions() if shipped != name]
        raise ConfigError(
            f"{name} has no attribute directions, which come from training data with "
            f"attributes; shipped engines that have them: {', '.join(others) or 'none'}"
        )
    return {attribute: np.asarray(values, np.float32) for attribute, values in directions.items()}


def _with_directions() -> list[str]:
    return [name for name in shipped() if manifest.read(resolve(name)).get("directions")]


def check(known: Iterable[str], names: Sequence[str]) -> None:
    """Raise ConfigError unless all `names` are `known` and different."""
    known = list(known)
    for name in names:
        if name not in known:
            raise ConfigError(
                f"no attribute {name!r};{_suggest(name, known)} the engine knows {', '.join(known)}"
            )
        if names.count(name) > 1:
            raise ConfigError(f"the attribute {name!r} is given {names.count(name)} times")


def _suggest(name: str, known: list[str]) -> str:
    from difflib import get_close_matches

    # Case-insensitively, as difflib counts another case as another letter.
    by_lower = {entry.lower(): entry for entry in known}
    close = get_close_matches(name.lower(), by_lower, n=1)
    return f" did you mean {by_lower[close[0]]!r}?" if close else ""


def parse(specs: Sequence[str], known: Iterable[str]) -> dict[str, float]:
    """Parse `["Smiling=1.5"]` to {"Smiling": 1.5}.

    Raises ConfigError for another form, an α that is not finite, and an unknown or repeated
    attribute.
    """
    names, amounts = [], []
    for spec in specs:
        name, equals, number = spec.rpartition("=")
        try:
            amounts.append(float(number))
        except ValueError:
            equals = ""
        if not (equals and name):
            raise ConfigError(f"expected NAME=α, such as Smiling=1.5, got {spec!r}")
        names.append(name)
    check(known, names)
    return {name: check_finite(amount, name) for name, amount in zip(names, amounts, strict=True)}
