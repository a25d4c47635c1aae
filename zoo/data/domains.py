"""Domains: attributes that a translator can set, some of which exclude one another.

Setting one domain of a group (hair colours) unsets the others. Attributes that are not visible
cannot be set: an image keeps its attributes if it has none of a group (a bald head has no hair
colour), or has an attribute that hides the domain (sunglasses hide clear glasses).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zoo.errors import ConfigError

Table = NDArray[np.bool_]


class Edit(NamedTuple):
    """Edit of one domain: the rows of images in which it can be changed, and their targets."""

    name: str
    rows: NDArray[np.intp]
    targets: Table

    def expand(self, own: Table) -> Table:
        """Return targets of all images [n, K], which for other rows are their own attributes."""
        targets: Table = own[:, : self.targets.shape[1]].copy()
        targets[self.rows] = self.targets
        return targets


@dataclass(frozen=True)
class Domains:
    """Domains `names` with `groups` of mutually exclusive ones.

    `hidden_by` maps a domain to the attributes that hide it. Tables of an image's own attributes
    are bool [n, len(seen)], in the order of `seen`; tables of targets are bool [n, K], in the order
    of `names`. Raises `ConfigError` for inconsistent names.
    """

    names: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...] = ()
    hidden_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.names:
            raise ConfigError("domains must be at least 1 attribute, got none")
        grouped = [name for group in self.groups for name in group]
        for what, names in (("domains", list(self.names)), ("groups", grouped)):
            twice = [name for name in names if names.count(name) > 1]
            if twice:
                raise ConfigError(f"{what}: {twice[0]} occurs twice")
        for name in (*grouped, *self.hidden_by):
            if name not in self.names:
                raise ConfigError(f"{name} is not a domain; domains: {', '.join(self.names)}")
        for group in self.groups:
            if len(group) < 2:
                raise ConfigError(f"a group must have at least 2 domains, got {list(group)}")
        for name, hiding in self.hidden_by.items():
            if set(hiding) & set(self.names):
                raise ConfigError(f"hidden_by: attributes that hide {name} must not be domains")

    @property
    def seen(self) -> tuple[str, ...]:
        """The domains, followed by the attributes that hide one."""
        hiding = (name for names in self.hidden_by.values() for name in names)
        return tuple(dict.fromkeys((*self.names, *hiding)))

    def columns(self, attributes: Sequence[str]) -> list[int]:
        """Return the columns of `seen` in a table of `attributes`. Raises ConfigError."""
        for name in self.seen:
            if name not in attributes:
                known = ", ".join(attributes) or "none"
                raise ConfigError(f"there is no attribute {name!r}; attributes: {known}")
        return [attributes.index(name) for name in self.seen]

    def choice(self, name: str) -> tuple[str, ...]:
        """Return the group of a domain, or the domain alone. Raises ConfigError."""
        if name not in self.names:
            raise ConfigError(f"there is no domain {name!r}; domains: {', '.join(self.names)}")
        return next((group for group in self.groups if name in group), (name,))

    def choices(self) -> list[tuple[str, ...]]:
        """Return all groups, and domains without a group, in the order of `names`."""
        return list(dict.fromkeys(self.choice(name) for name in self.names))

    def places(self, choice: Sequence[str]) -> list[int]:
        """Return the columns of domains."""
        return [self.names.index(name) for name in choice]

    def settable(self, own: Table, choice: Sequence[str]) -> NDArray[np.bool_]:
        """Return bool [n], True for images in which a choice is visible, and so can be set."""
        hiding = [self.seen.index(n) for name in choice for n in self.hidden_by.get(name, ())]
        shown = np.logical_not(own[:, hiding].any(axis=1))
        if len(choice) > 1:
            shown &= own[:, self.places(choice)].sum(axis=1) == 1
        return shown

    def permute(self, own: Table) -> Table:
        """Return training targets [n, K], taken from other images of the batch.

        Every choice is rotated by one image among those in which it can be set.
        """
        targets = own[:, : len(self.names)].copy()
        for choice in self.choices():
            rows, columns = np.flatnonzero(self.settable(own, choice)), self.places(choice)
            targets[rows[:, None], columns] = own[np.roll(rows, 1)[:, None], columns]
        return targets

    def targets(self, own: Table, request: Mapping[str, bool]) -> tuple[Table, NDArray[np.bool_]]:
        """Return targets for adding (True) or removing (False) domains.

        Returns targets [n, K], and bool [n], True for images in which all of `request` can be
        set; other images keep what cannot be set. Raises ConfigError as `check`.
        """
        self.check(request)
        targets = own[:, : len(self.names)].copy()
        complete = np.ones(len(own), np.bool_)
        for name, value in request.items():
            choice = self.choice(name)
            settable = self.settable(own, choice)
            complete &= settable
            for column in self.places(choice):
                targets[settable, column] = False
            targets[settable, self.names.index(name)] = value
        return targets, complete

    def check(self, request: Mapping[str, bool]) -> None:
        """Raise ConfigError for an unknown domain, two of a group, or removal of one of a group.

        A hair colour can only be replaced by another.
        """
        chosen: dict[tuple[str, ...], str] = {}
        for name, value in request.items():
            choice = self.choice(name)
            others = ", ".join(other for other in choice if other != name)
            if len(choice) > 1 and not value:
                raise ConfigError(f"-{name}: add another of its group instead: {others}")
            if choice in chosen:
                raise ConfigError(f"{chosen[choice]} and {name} exclude each other")
            chosen[choice] = name

    def parse(self, text: str) -> dict[str, bool]:
        """Parse `Blond_Hair,-Eyeglasses` to {"Blond_Hair": True, "Eyeglasses": False}.

        Raises ConfigError as `check`, and for a repeated domain.
        """
        request: dict[str, bool] = {}
        for part in text.split(","):
            sign, name = part.strip()[:1], part.strip().lstrip("+-")
            self.choice(name)
            if name in request:
                raise ConfigError(f"{name} occurs twice in {text!r}")
            request[name] = sign != "-"
        self.check(request)
        return request

    def decide(self, scores: NDArray[Any]) -> Table:
        """Return the attributes bool [n, len(seen)] for a classifier's probabilities of `seen`.

        Of a group only the most probable one is set, if its probability is above one half.
        """
        own: Table = np.asarray(scores) > 0.5
        for group in self.groups:
            columns = self.places(group)
            best = np.argmax(scores[:, columns], axis=1)[:, None] == np.arange(len(columns))
            own[:, columns] &= best
        return own

    def edits(self, own: Table) -> Iterator[Edit]:
        """Yield an edit of every domain in all images in which it is visible.

        A domain of a group is set in the images that have another one; any other domain is flipped.
        """
        for name in self.names:
            choice, column = self.choice(name), self.names.index(name)
            settable = self.settable(own, choice)
            rows = np.flatnonzero(settable & ~own[:, column] if len(choice) > 1 else settable)
            targets = own[rows, : len(self.names)].copy()
            targets[:, self.places(choice)] = False
            targets[:, column] = ~own[rows, column]
            yield Edit(name, rows, targets)


def domain_names(translator: Any) -> list[str]:
    """Return the names of a translator's domains, or none."""
    condition = translator.manifest.get("condition") or {}
    return list(condition.get("names", [])) if condition.get("kind") == "attributes" else []


def read_domains(translator: Any) -> Domains:
    """Return the domains of a translator. Raises ConfigError if it has none."""
    names = domain_names(translator)
    if not names:
        raise ConfigError(f"{Path(translator.path).name} does not translate between domains")
    config = translator.manifest.get("training", {}).get("config", {})
    groups = tuple(map(tuple, config.get("groups", [])))
    hidden_by = {name: tuple(hiding) for name, hiding in config.get("hidden_by", {}).items()}
    return Domains(tuple(names), groups, hidden_by)
