"""How often a change of domain takes, and what else it changes, as a classifier sees it."""

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
"""`judge(images)`: which attributes they have, bool [k, J]."""


@dataclass(frozen=True)
class DomainEffect:
    """What changing one domain does, as a judge sees it.

    A change takes (`success`) when the judge sees what was wanted, of a group in all its domains.
    `touched` is the share of the changes after which it decides otherwise on any other domain,
    `spilled` that on any other attribute that it knows; `others` is the mean share of all its other
    attributes on which it does. A share of no images is NaN.
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
    """Change every image in every domain that it shows, and ask the judge, who knows `judged`.

    `blocks` gives images [k, H, W, C] and what they have of `domains.seen`, bool [k, S]. Counted
    are the images that the judge sees as labelled in what is to change. Raises ConfigError for a
    judge who does not know a domain.
    """
    unknown = [name for name in domains.names if name not in judged]
    if unknown:
        raise ConfigError(f"the classifier does not know {', '.join(unknown)}")
    # Images, changes that took, those that touched another domain, decisions that changed, changes
    # with any such decision.
    counts = {name: np.zeros(5) for name in domains.names}
    for images, own in blocks:
        before = judge(images)
        for name, rows, targets in domains.edits(own):
            choice = domains.choice(name)
            changed = [judged.index(other) for other in choice]
            others = [judged.index(other) for other in domains.names if other not in choice]
            places = domains.places(choice)
            right = (before[rows][:, changed] == own[rows][:, places]).all(axis=1)
            rows, targets = rows[right], targets[right]
            if not len(rows):
                continue
            after = judge(translate(images[rows], targets))
            flips = after != before[rows]
            took = (after[:, changed] == targets[:, places]).all(axis=1)
            touched = flips[:, others].any(axis=1)
            rest = np.delete(flips, changed, axis=1)
            spilled = rest.any(axis=1)
            counts[name] += len(rows), took.sum(), touched.sum(), rest.sum(), spilled.sum()
    return [_effect(name, counts[name], len(judged) - len(domains.choice(name))) for name in counts]


def _effect(name: str, counts: NDArray[np.float64], others: int) -> DomainEffect:
    images, took, touched, flips, spilled = counts.tolist()
    if not images:
        return DomainEffect(name, 0, np.nan, np.nan, np.nan, np.nan)
    rest = flips / images / others if others else 0.0
    return DomainEffect(name, int(images), took / images, touched / images, rest, spilled / images)


def total(effects: Sequence[DomainEffect]) -> DomainEffect:
    """All changes together: each share is that of all changes of all domains."""
    known = [effect for effect in effects if effect.images]
    images = sum(effect.images for effect in known)
    shares = (
        sum(getattr(effect, share) * effect.images for effect in known) / images
        if images
        else np.nan
        for share in ("success", "touched", "others", "spilled")
    )
    return DomainEffect("all", images, *shares)


__all__ = ["DomainEffect", "evaluate", "total"]
