"""Counterfactuals of drawn faces: the same face with one attribute changed.

A drawn face is a function of its draws (`zoo.data.styles`), so the right answer to an edit is
known exactly. In the terms of Pearl, "Causality" (2nd ed. 2009), section 7.1: the draw that carries
the attribute is set to another variant, and all others stay. Several faces are right, for there are
several pairs of glasses, and several values of what the picture of the original hides.
"""

from __future__ import annotations

from itertools import product

from zoo.data import drawn_names, faces
from zoo.data.styles import AVATAAARS, Draws, Face
from zoo.errors import DataError

_CARRIERS = {
    attribute: name
    for name, choices in AVATAAARS.tables.items()
    for _, _, shown in choices
    for attribute in shown
}
_LEFT = faces.COUNT // 10
"""Number of faces left out of the training split."""


def answers(draws: Draws, attribute: str, value: bool) -> list[Face]:
    """Return all faces that are right answers to adding (True) or removing an attribute.

    They differ from the face of `draws` in the draw that carries the attribute, and in those that
    its picture hides and the answer shows (the eyes behind sunglasses, the colour of hair under a
    hat), which may have any value. Of all such faces with the attribute as wanted, those with the
    fewest other attributes changed are right: a closed mouth smiles closed. Beards have the colour
    of the hair, and change with it.

    There are none if the change would be hidden: eyes behind sunglasses, facial hair under a
    hijab, the colour of hair under a hat or of a bald head. Raises `DataError` for an unknown
    attribute, or one that the face has already (or does not have).
    """
    if attribute not in _CARRIERS:
        known = ", ".join(AVATAAARS.attributes)
        raise DataError(f"there is no attribute {attribute!r}; attributes: {known}")
    own = AVATAAARS.assemble(draws).attributes
    if (attribute in own) == value:
        raise DataError(f"{attribute}: the face {'has' if value else 'lacks'} it already")
    carrier, unknown = _CARRIERS[attribute], AVATAAARS.hidden(draws)
    found: dict[int, list[Face]] = {}
    for variant in AVATAAARS.variants(carrier):
        changed = draws | {carrier: variant}
        shown = sorted(unknown - AVATAAARS.hidden(changed) - {carrier})
        for values in product(*map(AVATAAARS.variants, shown)):
            face = AVATAAARS.assemble(changed | dict(zip(shown, values, strict=True)))
            if (attribute in face.attributes) == value:
                others = len(face.attributes ^ own) - 1
                found.setdefault(others, []).append(face)
    return found[min(found)] if found else []


def are_drawn(data: str) -> bool:
    """Return True for the names of data sets of drawn faces whose answers are known."""
    if not drawn_names.is_drawn(data):
        return False
    name = drawn_names.parse(data)
    return name.style is AVATAAARS and not name.seed


def locate(split: str, row: int) -> tuple[int, int]:
    """Return the (seed, index) of the drawn face in a row of a split."""
    if split == "validation":
        return faces.VALIDATION_SEED, row
    if split == "test":
        return 0, 10 * row + 9
    # Every tenth of the first faces is left out.
    return 0, row + min(row // 9, _LEFT)
