"""How a folder of pictures is laid out: its parts, and in each its classes; or why that is unclear.

Everything is told from the names of the pictures, listed once.
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
"""Names of the folders of each part, in any case."""

RULE = (
    "expected one folder a class, or pictures without folders, either of them in train/, test/ and "
    "validation/ or held out by chance"
)


_ALIKE = re.compile(
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
        """The folders in it, which are the classes; none where the pictures are in no folder.

        Raises DataError where there are both.
        """
        tops = _tops(self.names)
        loose = sum("/" not in name for name in self.names)
        if tops and loose:
            raise DataError(f"{self.folder} holds {_some(tops)} and {_count(loose)} beside: {RULE}")
        return tops

    def inside(self, top: str) -> Part:
        """What is below one of its folders."""
        start = f"{top}/"
        names = [name.removeprefix(start) for name in self.names if name.startswith(start)]
        return Part(self.folder / top, names)


def parts_of(folder: Path) -> dict[str, Part]:
    """The parts of a folder by their names in `PARTS`, or all of it as the part "all".

    Where there is no test part the validation part is that for the test. A single folder that holds
    the parts stands for them. Raises DataError for a folder without pictures, for parts without a
    training part, of one meaning or beside other pictures, and for classes that are split by
    themselves.
    """
    names = list_pictures(folder)
    if not names:
        raise no_pictures_error(folder)
    return _parts(Part(folder, names))


def _parts(whole: Part) -> dict[str, Part]:
    tops = _tops(whole.names)
    found: dict[str, str] = {}
    for top in tops:
        part = _meaning(top)
        if part in found:
            raise DataError(f"{whole.folder} holds {found[part]}/ and {top}/, which mean the same")
        if part:
            found[part] = top
    if found:
        return _checked(whole, tops, found)
    alike = [top for top in tops if _ALIKE.match(top)]
    if len({_stem(top) for top in alike}) > 1 and "train" in map(_stem, alike):
        raise DataError(f"{whole.folder} holds {_some(alike)}, which are parts or classes: {RULE}")
    inner: dict[str, set[str]] = {top: set() for top in tops}
    for name in whole.names:
        top, *rest = name.split("/", 2)
        if len(rest) > 1:
            inner[top].add(rest[0])
    split = [top for top, names in inner.items() if "train" in map(_meaning, names)]
    if len(tops) == 1 and not any("/" not in name for name in whole.names):
        if split:
            return _parts(whole.inside(tops[0]))
        if inside := sorted(inner[tops[0]]):
            raise DataError(
                f"{whole.folder} holds one folder, {tops[0]}, with {_some(inside)} in it: "
                f"{RULE}; if those are the classes, give {whole.folder / tops[0]}"
            )
    if split:
        raise DataError(f"{whole.folder} holds {split[0]}/ with its own parts in it: {RULE}")
    return {"all": whole}


def _checked(whole: Part, tops: list[str], found: dict[str, str]) -> dict[str, Part]:
    others = [top for top in tops if top not in found.values()]
    loose = sum("/" not in name for name in whole.names)
    names = _some(list(found.values()))
    if others or loose:
        beside = _some(others) if others else _count(loose)
        raise DataError(f"{whole.folder} holds {names} and {beside} beside: {RULE}")
    if "train" not in found:
        raise DataError(f"{whole.folder} holds {names} and no train/: {RULE}")
    if "test" not in found and "validation" in found:
        found["test"] = found.pop("validation")
    return {part: whole.inside(top) for part, top in found.items()}


def classes_of(parts: dict[str, Part]) -> list[str]:
    """The classes of the training part, or of all; none where there are none.

    Raises DataError where another part is laid out otherwise, or has a class more.
    """
    first = parts.get("train") or parts["all"]
    classes = first.classes()
    for part in parts.values():
        its_classes = part.classes()
        if bool(its_classes) != bool(classes):
            holds = [
                f"{p.folder} holds {_some(p.classes()) or 'no folders'}" for p in (first, part)
            ]
            raise DataError(f"{' and '.join(holds)}: expected classes in both, or in none")
        more = [name for name in its_classes if name not in classes]
        if more:
            raise DataError(f"{part.folder} holds {_some(more)}, which {first.folder} has not")
    return classes


def _meaning(folder: str) -> str | None:
    return next((part for part, names in PARTS.items() if folder.casefold() in names), None)


def _stem(folder: str) -> str | None:
    """What a name like train_images or val2017 begins with."""
    match = _ALIKE.match(folder)
    return match and _meaning(match[1])


def _tops(names: Iterable[str]) -> list[str]:
    return sorted({name.partition("/")[0] for name in names if "/" in name})


def _some(folders: list[str]) -> str:
    more = f" and {len(folders) - 3:,} more" if len(folders) > 3 else ""
    return ", ".join(f"{name}/" for name in folders[:3]) + more


def _count(pictures: int) -> str:
    return "1 picture" if pictures == 1 else f"{pictures:,} pictures"


__all__ = ["PARTS", "RULE", "Part", "classes_of", "parts_of"]
