"""Domains: attributes that a translator sets, some of which exclude one another.

A domain of a group (hair colours) stands for all of the group: where one is set the others are not.
What cannot be seen cannot be set: an image that has none of a group (a bald head has no hair
colour), or an attribute that hides a domain (sunglasses hide whether there are glasses), keeps what
it has.
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
    """One domain, the rows of the images in which it can be changed, and what they become."""

    name: str
    rows: NDArray[np.intp]
    targets: Table

    def whole(self, own: Table) -> Table:
        """Targets of all images, [n, K]: those of the others are what they have."""
        targets: Table = own[:, : self.targets.shape[1]].copy()
        targets[self.rows] = self.targets
        return targets


@dataclass(frozen=True)
class Domains:
    """The domains `names`, `groups` of them that exclude one another, and what hides them.

    `hidden_by` maps a domain to the attributes that hide it. Tables of an image's own attributes
    are bool [n, len(seen)], in the order of `seen`; tables of targets are bool [n, K], in the order
    of `names`. Raises `ConfigError` for names that do not fit together.
    """

    names: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...] = ()
    hidden_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.names:
            raise ConfigError("domains must be 1 or more attributes, got none")
        grouped = [name for group in self.groups for name in group]
        for what, names in (("domains", list(self.names)), ("groups", grouped)):
            twice = [name for name in names if names.count(name) > 1]
            if twice:
                raise ConfigError(f"{what}: {twice[0]} is there twice")
        for name in (*grouped, *self.hidden_by):
            if name not in self.names:
                raise ConfigError(f"{name} is no domain; domains: {', '.join(self.names)}")
        for group in self.groups:
            if len(group) < 2:
                raise ConfigError(f"a group has 2 or more domains, got {list(group)}")
        for name, hiding in self.hidden_by.items():
            if set(hiding) & set(self.names):
                raise ConfigError(f"hidden_by: what hides {name} must not be a domain itself")

    @property
    def seen(self) -> tuple[str, ...]:
        """The domains, and after them the attributes that hide one."""
        hiding = (name for names in self.hidden_by.values() for name in names)
        return tuple(dict.fromkeys((*self.names, *hiding)))

    def columns(self, attributes: Sequence[str]) -> list[int]:
        """Where those `seen` are in a table of `attributes`; ConfigError for one that is not."""
        for name in self.seen:
            if name not in attributes:
                known = ", ".join(attributes) or "none"
                raise ConfigError(f"there is no attribute {name!r}; attributes: {known}")
        return [attributes.index(name) for name in self.seen]

    def choice(self, name: str) -> tuple[str, ...]:
        """The group of a domain, or the domain alone. Raises ConfigError for another name."""
        if name not in self.names:
            raise ConfigError(f"there is no domain {name!r}; domains: {', '.join(self.names)}")
        return next((group for group in self.groups if name in group), (name,))

    def choices(self) -> list[tuple[str, ...]]:
        """All groups and all domains of no group, in the order of `names`."""
        return list(dict.fromkeys(self.choice(name) for name in self.names))

    def places(self, choice: Sequence[str]) -> list[int]:
        """The columns of some domains."""
        return [self.names.index(name) for name in choice]

    def settable(self, own: Table, choice: Sequence[str]) -> NDArray[np.bool_]:
        """Which images show this choice, bool [n]: nothing hides it, and one of a group is set."""
        hiding = [self.seen.index(n) for name in choice for n in self.hidden_by.get(name, ())]
        shown = np.logical_not(own[:, hiding].any(axis=1))
        if len(choice) > 1:
            shown &= own[:, self.places(choice)].sum(axis=1) == 1
        return shown

    def permuted(self, own: Table) -> Table:
        """Targets for training: each image gets what another image of the batch has, [n, K].

        Every choice moves on by one image, among those in which it can be set.
        """
        targets = own[:, : len(self.names)].copy()
        for choice in self.choices():
            rows, columns = np.flatnonzero(self.settable(own, choice)), self.places(choice)
            targets[rows[:, None], columns] = own[np.roll(rows, 1)[:, None], columns]
        return targets

    def targets(self, own: Table, wanted: Mapping[str, bool]) -> tuple[Table, NDArray[np.bool_]]:
        """What images become where these domains are asked for (True) or asked away (False).

        Returns targets [n, K], and which images show all of it, bool [n]; what an image does not
        show stays as it is. Raises ConfigError as `check`.
        """
        self.check(wanted)
        targets = own[:, : len(self.names)].copy()
        whole = np.ones(len(own), np.bool_)
        for name, value in wanted.items():
            choice = self.choice(name)
            settable = self.settable(own, choice)
            whole &= settable
            for column in self.places(choice):
                targets[settable, column] = False
            targets[settable, self.names.index(name)] = value
        return targets, whole

    def check(self, wanted: Mapping[str, bool]) -> None:
        """Raise ConfigError for a domain that there is not, or two of a group, or one taken away.

        A hair colour is not taken away but given another.
        """
        taken: dict[tuple[str, ...], str] = {}
        for name, value in wanted.items():
            choice = self.choice(name)
            others = ", ".join(other for other in choice if other != name)
            if len(choice) > 1 and not value:
                raise ConfigError(f"-{name}: expected another of its group in its place: {others}")
            if choice in taken:
                raise ConfigError(f"{taken[choice]} and {name} exclude each other")
            taken[choice] = name

    def parse(self, text: str) -> dict[str, bool]:
        """`Blond_Hair,-Eyeglasses` as {"Blond_Hair": True, "Eyeglasses": False}.

        Raises ConfigError as `check`, and for a domain that is named twice.
        """
        wanted: dict[str, bool] = {}
        for part in text.split(","):
            sign, name = part.strip()[:1], part.strip().lstrip("+-")
            self.choice(name)
            if name in wanted:
                raise ConfigError(f"{name} is asked for twice in {text!r}")
            wanted[name] = sign != "-"
        self.check(wanted)
        return wanted

    def decide(self, scores: NDArray[Any]) -> Table:
        """What images have, bool [n, len(seen)], by a classifier's probabilities of `seen`.

        Of a group it is the most probable one, if any is more probable than not.
        """
        own: Table = np.asarray(scores) > 0.5
        for group in self.groups:
            columns = self.places(group)
            best = np.argmax(scores[:, columns], axis=1)[:, None] == np.arange(len(columns))
            own[:, columns] &= best
        return own

    def edits(self, own: Table) -> Iterator[Edit]:
        """Every domain in turn, changed in all images that show it.

        One of a group is given to the images that have another; any other one is flipped.
        """
        for name in self.names:
            choice, column = self.choice(name), self.names.index(name)
            can = self.settable(own, choice)
            rows = np.flatnonzero(can & ~own[:, column] if len(choice) > 1 else can)
            targets = own[rows, : len(self.names)].copy()
            targets[:, self.places(choice)] = False
            targets[:, column] = ~own[rows, column]
            yield Edit(name, rows, targets)


def names_of(translator: Any) -> list[str]:
    """The domains of a translator; none for one that asks for no attributes."""
    condition = translator.manifest.get("condition") or {}
    return list(condition.get("names", [])) if condition.get("kind") == "attributes" else []


def domains_of(translator: Any) -> Domains:
    """The domains of a translator and their rules. Raises ConfigError for one that has none."""
    names = names_of(translator)
    if not names:
        raise ConfigError(f"{Path(translator.path).name} does not translate between domains")
    config = translator.manifest.get("training", {}).get("config", {})
    groups = tuple(map(tuple, config.get("groups", [])))
    hidden_by = {name: tuple(hiding) for name, hiding in config.get("hidden_by", {}).items()}
    return Domains(tuple(names), groups, hidden_by)


__all__ = ["Domains", "Edit", "domains_of", "names_of"]
