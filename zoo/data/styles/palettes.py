"""Colours that the drawing styles have in common, with the attributes that they show."""

from __future__ import annotations

from zoo.data.styles.style import Choice

HAIR: tuple[Choice, ...] = (
    (1, ("#221814", "#2c1b18"), ("Black_Hair",)),
    (1, ("#6b3d25", "#7a4a2b"), ("Brown_Hair",)),
    (1, ("#e0bd58", "#ecd27c"), ("Blond_Hair",)),
    (1, ("#c93305", "#d9552b"), ("Red_Hair",)),
    (1, ("#f59797", "#f07fa8"), ("Pink_Hair",)),
    (1, ("#c4bebe", "#a39e9e"), ("Gray_Hair",)),
)
HAIR_NAMES = tuple(attribute for _, _, names in HAIR for attribute in names)
"""The attributes of `HAIR`."""

SKIN: tuple[Choice, ...] = (
    (34, ("#ffdbb4", "#fae0cc"), ("Pale_Skin",)),
    (33, ("#edb98a", "#e0a878"), ()),
    (33, ("#a9683c", "#8f5631"), ("Dark_Skin",)),
)

CLOTHES: tuple[Choice, ...] = (
    (
        1,
        ("#25557c", "#5199e4", "#65c9ff", "#a7ffc4", "#ffafb9", "#ffffb1", "#ff488e", "#ff5c5c"),
        (),
    ),
)

BACKGROUNDS: tuple[Choice, ...] = (
    (1, ("#dce9f5", "#f5e1e6", "#e2f1e1", "#f6efd9", "#e7e1f4", "#e4e6ea"), ()),
)


def plain(*variants: str) -> tuple[Choice, ...]:
    """Return the choices of a draw that shows no attribute; without variants, of nothing."""
    return ((1, variants or ("",), ()),)


def numbered(*numbers: int, prefix: str = "variant") -> tuple[str, ...]:
    """Return the variants of these numbers, `variant01` and so on."""
    return tuple(f"{prefix}{number:02}" for number in numbers)
