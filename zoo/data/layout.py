"""Detection of a picture folder's layout: its splits, and their classes.

The layout is derived from the names of the pictures, which are listed once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import DataError
from zoo.images.pictures import list_pictures, no_pictures_error

PARTS = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
"""Folder names of each split, in any case."""

RULE = (
    "expected one folder per class, or pictures without folders, either split into train/, test/ "
    "and validation/ or without a split"
)


_PART_PREFIX = re.compile(
    rf"({'|'.join(name for names in PARTS.values() for name in names)})(?![^\W\d_])", re.IGNORECASE
)


@dataclass(frozen=True)
class Part:
    """A folder, and the pictures below it as paths relative to it."""

    folder: Path
    names: list[str]

    @property
    def files(self) -> list[Path]:
        """The pictures, in order."""
        return [self.folder / name for name in self.names]

    def classes(self) -> list[str]:
        """Return the folders in it, which are classes, or none if there are only pictures.

        Raises DataError if there are both.
        """
        tops = _top_folders(self.names)
        loose = sum("/" not in name for name in self.names)
        if tops and loose:
            mixed = f"{_join_names(tops)} and {_count_pictures(loose)}"
            raise DataError(f"{self.folder} holds {mixed} next to each other: {RULE}")
        return tops

    def inside(self, top: str) -> Part:
        """Return the part below one of its folders."""
        start = f"{top}/"
        names = [name.removeprefix(start) for name in self.names if name.startswith(start)]
        return Part(self.folder / top, names)


def find_parts(folder: Path) -> dict[str, Part]:
    """Find the splits of a folder by their names in `PARTS`, or all of it as the part "all".

    A validation split is used for the test if there is no test split. A single folder that contains
    the splits is descended into. Raises DataError for a folder without pictures; for splits without
    a training split, with the same meaning or next to other pictures; and for classes with splits
    of their own.
    """
    names = list_pictures(folder)
    if not names:
        raise no_pictures_error(folder)
    return _split_parts(Part(folder, names))


def _split_parts(whole: Part) -> dict[str, Part]:
    tops = _top_folders(whole.names)
    found: dict[str, str] = {}
    for top in tops:
        part = _part_name(top)
        if part in found:
            raise DataError(f"{whole.folder} holds {found[part]}/ and {top}/, which mean the same")
        if part:
            found[part] = top
    if found:
        return _check_parts(whole, tops, found)
    alike = [top for top in tops if _PART_PREFIX.match(top)]
    if len({_stem(top) for top in alike}) > 1 and "train" in map(_stem, alike):
        raise DataError(
            f"{whole.folder} holds {_join_names(alike)}, which are parts or classes: {RULE}"
        )
    inner: dict[str, set[str]] = {top: set() for top in tops}
    for name in whole.names:
        top, *rest = name.split("/", 2)
        if len(rest) > 1:
            inner[top].add(rest[0])
    split = [top for top, names in inner.items() if "train" in map(_part_name, names)]
    if len(tops) == 1 and not any("/" not in name for name in whole.names):
        if split:
            return _split_parts(whole.inside(tops[0]))
        if inside := sorted(inner[tops[0]]):
            raise DataError(
                f"{whole.folder} holds one folder, {tops[0]}, with {_join_names(inside)} in it: "
                f"{RULE}; if those are the classes, give {whole.folder / tops[0]}"
            )
    if split:
        raise DataError(f"{whole.folder} holds {split[0]}/ with its own parts in it: {RULE}")
    return {"all": whole}


def _check_parts(whole: Part, tops: list[str], found: dict[str, str]) -> dict[str, Part]:
    others = [top for top in tops if top not in found.values()]
    loose = sum("/" not in name for name in whole.names)
    names = _join_names(list(found.values()))
    if others or loose:
        beside = _join_names(others) if others else _count_pictures(loose)
        raise DataError(f"{whole.folder} holds {names} and {beside} next to each other: {RULE}")
    if "train" not in found:
        raise DataError(f"{whole.folder} holds {names} and no train/: {RULE}")
    if "test" not in found and "validation" in found:
        found["test"] = found.pop("validation")
    return {part: whole.inside(top) for part, top in found.items()}


def find_classes(parts: dict[str, Part]) -> list[str]:
    """Find the classes of the training split, or of all; none if there are no class folders.

    Raises DataError if another split has another layout, or additional classes.
    """
    first = parts.get("train") or parts["all"]
    classes = first.classes()
    for part in parts.values():
        part_classes = part.classes()
        if bool(part_classes) != bool(classes):
            holds = [
                f"{p.folder} holds {_join_names(p.classes()) or 'no folders'}"
                for p in (first, part)
            ]
            raise DataError(f"{' and '.join(holds)}: expected classes in both, or in none")
        more = [name for name in part_classes if name not in classes]
        if more:
            raise DataError(f"{part.folder} holds {_join_names(more)}, missing from {first.folder}")
    return classes


def _part_name(folder: str) -> str | None:
    return next((part for part, names in PARTS.items() if folder.casefold() in names), None)


def _stem(folder: str) -> str | None:
    """Return the split that a name like train_images or val2017 begins with."""
    match = _PART_PREFIX.match(folder)
    return match and _part_name(match[1])


def _top_folders(names: Iterable[str]) -> list[str]:
    return sorted({name.partition("/")[0] for name in names if "/" in name})


def _join_names(folders: list[str]) -> str:
    more = f" and {len(folders) - 3:,} more" if len(folders) > 3 else ""
    return ", ".join(f"{name}/" for name in folders[:3]) + more


def _count_pictures(pictures: int) -> str:
    return "1 picture" if pictures == 1 else f"{pictures:,} pictures"
