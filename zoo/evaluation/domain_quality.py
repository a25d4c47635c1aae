"""Success and side effects of domain changes, measured by a classifier."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.data.domains import Domains, Table
from zoo.errors import ConfigError

Images = NDArray[np.uint8]
Translate = Callable[[Images, Table], Images]
"""`translate(images [k, H, W, C], targets [k, K])`."""
Judge = Callable[[Images], Table]
"""`judge(images)` returns attributes bool [k, J]."""


@dataclass(frozen=True)
class DomainEffect:
    """Effect of changing one domain, as shares of images that a judge measures.

    `success`: the judge sees the target, for a group in all its domains. `touched`: its decision on
    any other domain changes. `spilled`: its decision on any other attribute changes. `others` is
    the mean share of other attributes whose decision changes. Shares of no images are NaN.
    """

    name: str
    images: int
    success: float
    touched: float
    others: float
    spilled: float


def evaluate(
    blocks: Iterable[tuple[Images, Table]],
    domains: Domains,
    translate: Translate,
    judge: Judge,
    judged: Sequence[str],
) -> list[DomainEffect]:
    """Change every image in every visible domain, and measure the effect with the judge.

    `blocks` yields images [k, H, W, C] and their attributes `domains.seen`, bool [k, S]; `judged`
    names the judge's attributes. Only images on which the judge agrees with the labels of the
    changed domains count. Raises ConfigError for a judge that does not know a domain.
    """
    unknown = [name for name in domains.names if name not in judged]
    if unknown:
        raise ConfigError(f"the classifier does not know {', '.join(unknown)}")
    # Numbers of images, successes, touched ones, changed decisions, and spilled ones.
    counts = {name: np.zeros(5) for name in domains.names}
    for images, own in blocks:
        before = judge(images)
        for name, rows, targets in domains.edits(own):
            choice = domains.choice(name)
            changed = [judged.index(other) for other in choice]
            others = [judged.index(other) for other in domains.names if other not in choice]
            places = domains.places(choice)
            agrees = (before[rows][:, changed] == own[rows][:, places]).all(axis=1)
            rows, targets = rows[agrees], targets[agrees]
            if not len(rows):
                continue
            after = judge(translate(images[rows], targets))
            flips = after != before[rows]
            success = (after[:, changed] == targets[:, places]).all(axis=1)
            touched = flips[:, others].any(axis=1)
            rest = np.delete(flips, changed, axis=1)
            spilled = rest.any(axis=1)
            counts[name] += len(rows), success.sum(), touched.sum(), rest.sum(), spilled.sum()
    return [_effect(name, counts[name], len(judged) - len(domains.choice(name))) for name in counts]


def _effect(name: str, counts: NDArray[np.float64], others: int) -> DomainEffect:
    images, successes, touched, flips, spilled = counts.tolist()
    if not images:
        return DomainEffect(name, 0, np.nan, np.nan, np.nan, np.nan)
    rest = flips / images / others if others else 0.0
    return DomainEffect(
        name, int(images), successes / images, touched / images, rest, spilled / images
    )


def total(effects: Sequence[DomainEffect]) -> DomainEffect:
    """Combine the effects of all domains, weighted by their numbers of images."""
    known = [effect for effect in effects if effect.images]
    images = sum(effect.images for effect in known)
    shares = (
        sum(getattr(effect, share) * effect.images for effect in known) / images
        if images
        else np.nan
        for share in ("success", "touched", "others", "spilled")
    )
    return DomainEffect("all", images, *shares)
