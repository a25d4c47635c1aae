"""Editing an attribute of an image by moving its latent: h_new = h + α·h_dif.

h_dif of an attribute is the mean latent of the training images that have it minus the mean of
those that have not: the visual attribute vectors of Larsen et al. 2016, arXiv:1512.09300 (see
also White 2016, arXiv:1609.04468). The export writes them into the engine file, as `directions`
of its manifest.
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
    """h_dif [D] of latents [n, D] and whether each image has the attribute, bool [n].

    Means are taken in float64. Raises ConfigError where no image, or every image, has it.
    """
    rows, mask = np.asarray(latents, np.float64), np.asarray(has, bool)
    if mask.shape != (len(rows),):
        raise ConfigError(f"has: expected one truth value a latent, {len(rows)}, got {mask.shape}")
    if mask.all() or not mask.any():
        raise ConfigError(f"{mask.sum()} of {len(mask)} images have the attribute: no direction")
    difference: NDArray[np.float64] = rows[mask].mean(0) - rows[~mask].mean(0)
    return difference.astype(np.float32)


def edit(
    latents: ArrayLike, directions: Mapping[str, ArrayLike], amounts: Mapping[str, float]
) -> NDArray[np.float32]:
    """h + Σ α·h_dif of latents [n, D], for α of `amounts`: float32 [n, D], summed in float64.

    Raises ConfigError for an attribute without a direction, and an α that is not finite or leads
    out of what float32 holds.
    """
    return walk(latents, directions, amounts, 1)[:, 1]


def walk(
    latents: ArrayLike,
    directions: Mapping[str, ArrayLike],
    amounts: Mapping[str, float],
    steps: int,
) -> NDArray[np.float32]:
    """The way to `edit(…)`: h + i/N · Σ α·h_dif, i = 0 … N = `steps`, float32 [n, N + 1, D].

    Raises as `edit`, and ConfigError for `steps` below 1.
    """
    if steps < 1:
        raise ConfigError(f"steps: expected at least 1, got {steps}")
    offset = np.zeros(_width(latents))
    for name, amount in amounts.items():
        check(directions, [name])
        offset += check_finite(amount, name) * _direction(name, directions[name], len(offset))
    return _moved(latents, offset, np.arange(steps + 1) / steps)


def strip(
    latents: ArrayLike, direction: ArrayLike, amounts: Sequence[float] | NDArray[np.floating]
) -> NDArray[np.float32]:
    """h + α·h_dif of latents [n, D] and one direction [D], for each α: float32 [n, S, D].

    Raises ConfigError for an α that is not finite or leads out of what float32 holds.
    """
    scales = np.array([check_finite(float(amount), "strip") for amount in amounts])
    return _moved(latents, _direction("direction", direction, _width(latents)), scales)


def _width(latents: ArrayLike) -> int:
    shape = np.shape(latents)
    if len(shape) != 2:
        raise ConfigError(f"latents: expected shape (n, D), got {shape}")
    return shape[1]


def _direction(name: str, values: ArrayLike, width: int) -> NDArray[np.float64]:
    if np.shape(values) != (width,):
        raise ConfigError(
            f"{name}: expected a direction of shape ({width},), as the latents have, "
            f"got {np.shape(values)}"
        )
    return np.asarray(values, np.float64)


def _moved(
    latents: ArrayLike, offset: NDArray[np.float64], scales: NDArray[np.float64]
) -> NDArray[np.float32]:
    start = np.asarray(latents, np.float64)[:, None]
    with np.errstate(over="ignore", invalid="ignore"):
        moved = (start + scales[None, :, None] * offset).astype(np.float32)
    if not np.isfinite(moved).all():
        raise ConfigError("the edit is too large: the latent is no longer finite in float32")
    return moved


def check_finite(amount: float, name: str) -> float:
    """`amount`; ConfigError, which begins with `name`, unless it is finite."""
    if not np.isfinite(amount):
        raise ConfigError(f"{name}: expected a finite α, got {amount}")
    return amount


def of_engine(generator: Generator) -> dict[str, NDArray[np.float32]]:
    """The directions [D] of an engine file, by attribute.

    Raises ConfigError for a file without any, naming shipped engines that have them.
    """
    name = Path(generator.path).name
    found = generator.manifest.get("directions") or {}
    if not found:
        others = [shipped for shipped in _with_directions() if shipped != name]
        raise ConfigError(
            f"{name} has no attribute directions, which come from training data with "
            f"attributes; shipped engines that have them: {', '.join(others) or 'none'}"
        )
    return {attribute: np.asarray(values, np.float32) for attribute, values in found.items()}


def _with_directions() -> list[str]:
    return [name for name in shipped() if manifest.read(resolve(name)).get("directions")]


def check(known: Iterable[str], names: Sequence[str]) -> None:
    """Raise ConfigError unless all `names` are `known` and none is there twice."""
    known = list(known)
    for name in names:
        if name not in known:
            raise ConfigError(f"no attribute {name!r};{_meant(name, known)} {_listed(known)}")
        if names.count(name) > 1:
            raise ConfigError(f"the attribute {name!r} is given {names.count(name)} times")


def _meant(name: str, known: list[str]) -> str:
    from difflib import get_close_matches

    # Without regard to case, which difflib counts as another letter.
    by_lower = {entry.lower(): entry for entry in known}
    close = get_close_matches(name.lower(), by_lower, n=1)
    return f" did you mean {by_lower[close[0]]!r}?" if close else ""


def _listed(known: list[str]) -> str:
    return f"the engine knows {', '.join(known)}"


def parse(specs: Sequence[str], known: Iterable[str]) -> dict[str, float]:
    """`["Smiling=1.5"]` as {"Smiling": 1.5}.

    Raises ConfigError for another form, an α that is no finite number, an attribute that is not
    `known`, and one that is given twice.
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


__all__ = ["check", "check_finite", "direction", "edit", "of_engine", "parse", "strip", "walk"]
