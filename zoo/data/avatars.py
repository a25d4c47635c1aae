"""Random choice of the parts and attributes of drawn faces.

A pure function of (seed, index), so that a face is the same everywhere; `zoo.data.faces` draws it.
The parts are those of the style Avataaars, by Pablo Stanley (see NOTICE).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

VERSION = 1
"""Version of the drawing recipe, increased when an image or an attribute changes."""

ATTRIBUTES = (
    "Eyeglasses",
    "Sunglasses",
    "Smiling",
    "Mouth_Open",
    "Tongue_Out",
    "Frowning",
    "Beard",
    "Mustache",
    "Long_Hair",
    "Short_Hair",
    "Curly_Hair",
    "Bald",
    "Wearing_Hat",
    "Wearing_Headscarf",
    "Black_Hair",
    "Brown_Hair",
    "Blond_Hair",
    "Red_Hair",
    "Pink_Hair",
    "Gray_Hair",
    "Pale_Skin",
    "Dark_Skin",
    "Eyes_Closed",
    "Wink",
    "Wide_Eyes",
    "Heart_Eyes",
    "Angry_Brows",
    "Raised_Brows",
    "Sad_Brows",
)
"""Attributes of a face, +1 if visible in the picture and else -1.

Hair colours refer to hair on the head, which a hat, a turban or a hijab (`Wearing_Headscarf`)
hides. Sunglasses hide the eyes. `Eyeglasses` are clear; `Mustache` is one without a beard.
`Long_Hair` reaches the shoulders; some hair is neither long nor short.
"""

Choice = tuple[int, tuple[str, ...], tuple[str, ...]]
"""A weight, variants of equal probability, and the attributes that they show."""

_TOPS: tuple[Choice, ...] = (
    (
        17,
        ("straight01", "straight02", "straightAndStrand", "bigHair", "shavedSides"),
        ("Long_Hair",),
    ),
    (9, ("curvy", "dreads"), ("Long_Hair", "Curly_Hair")),
    (
        20,
        (
            "dreads01",
            "frizzle",
            "shaggy",
            "shortFlat",
            "shortRound",
            "shortWaved",
            "theCaesar",
            "theCaesarAndSidePart",
        ),
        ("Short_Hair",),
    ),
    (6, ("dreads02",), ("Short_Hair", "Curly_Hair")),
    (9, ("curly", "fro", "froBand"), ("Curly_Hair",)),
    (5, ("bob", "bun", "longButNotTooLong", "miaWallace"), ()),
    (11, ("",), ("Bald",)),
    (12, ("hat", "winterHat02", "winterHat03", "winterHat04", "winterHat1"), ("Wearing_Hat",)),
    (11, ("hijab", "turban"), ("Wearing_Headscarf",)),
)
_COVERED = ("Bald", "Wearing_Hat", "Wearing_Headscarf")
_HAIR: tuple[Choice, ...] = (
    (1, ("#2c1b18",), ("Black_Hair",)),
    (1, ("#724133", "#5f3a2a"), ("Brown_Hair",)),
    (1, ("#d6b370", "#e3c56f"), ("Blond_Hair",)),
    (1, ("#c93305", "#b83a1b"), ("Red_Hair",)),
    (1, ("#f59797", "#f07fa8"), ("Pink_Hair",)),
    (1, ("#c4bebe", "#a39e9e"), ("Gray_Hair",)),
)
_SKIN: tuple[Choice, ...] = (
    (28, ("#ffdbb4", "#f9dcc4"), ("Pale_Skin",)),
    (40, ("#edb98a", "#d08b5b"), ()),
    (32, ("#614335", "#7d4e37", "#ae5d29"), ("Dark_Skin",)),
)
_GLASSES: tuple[Choice, ...] = (
    (58, ("",), ()),
    (25, ("prescription01", "prescription02", "round"), ("Eyeglasses",)),
    (17, ("kurt", "sunglasses", "wayfarers"), ("Sunglasses",)),
)
_FACIAL_HAIR: tuple[Choice, ...] = (
    (59, ("",), ()),
    (25, ("beardLight", "beardMajestic", "beardMedium"), ("Beard",)),
    (16, ("moustacheFancy", "moustacheMagnum"), ("Mustache",)),
)
_MOUTH: tuple[Choice, ...] = (
    (16, ("default", "smile"), ("Smiling", "Mouth_Open")),
    (13, ("tongue",), ("Smiling", "Mouth_Open", "Tongue_Out")),
    (19, ("twinkle",), ("Smiling",)),
    (24, ("concerned", "screamOpen"), ("Mouth_Open",)),
    (14, ("sad",), ("Frowning",)),
    (14, ("serious",), ()),
)
_EYES: tuple[Choice, ...] = (
    (28, ("default", "side"), ()),
    (23, ("closed", "happy"), ("Eyes_Closed",)),
    (17, ("wink", "winkWacky"), ("Wink",)),
    (18, ("eyeRoll", "surprised"), ("Wide_Eyes",)),
    (14, ("hearts",), ("Heart_Eyes",)),
)
_BROWS: tuple[Choice, ...] = (
    (37, ("defaultNatural", "flatNatural"), ()),
    (21, ("angry", "angryNatural"), ("Angry_Brows",)),
    (21, ("raisedExcited", "raisedExcitedNatural"), ("Raised_Brows",)),
    (21, ("frownNatural", "sadConcernedNatural"), ("Sad_Brows",)),
)
_CLOTHES: tuple[Choice, ...] = (
    (
        1,
        (
            "blazerAndShirt",
            "blazerAndSweater",
            "collarAndSweater",
            "hoodie",
            "overall",
            "shirtCrewNeck",
            "shirtScoopNeck",
            "shirtVNeck",
        ),
        (),
    ),
)
_FABRICS: tuple[Choice, ...] = (
    (
        1,
        (
            "#262e33",
            "#3c4f5c",
            "#25557c",
            "#5199e4",
            "#65c9ff",
            "#929598",
            "#e6e6e6",
            "#a7ffc4",
            "#ffafb9",
            "#ffffb1",
            "#ff488e",
            "#ff5c5c",
        ),
        (),
    ),
)
_FRAMES: tuple[Choice, ...] = ((1, ("#262e33", "#25557c", "#3c4f5c", "#7a1f3d"), ()),)
_BACKGROUNDS: tuple[Choice, ...] = (
    (1, ("#dce9f5", "#f5e1e6", "#e2f1e1", "#f6efd9", "#e7e1f4", "#e4e6ea"), ()),
)
TABLES: dict[str, tuple[Choice, ...]] = {
    "top": _TOPS,
    "accessories": _GLASSES,
    "facialHair": _FACIAL_HAIR,
    "mouth": _MOUTH,
    "eyes": _EYES,
    "eyebrows": _BROWS,
    "clothes": _CLOTHES,
    "hair": _HAIR,
    "skin": _SKIN,
    "fabric": _FABRICS,
    "hat": _FABRICS,
    "frame": _FRAMES,
    "background": _BACKGROUNDS,
}
"""Choices of each draw, in the order of drawing: the parts of a face, then its colours."""

_PARTS = ("top", "accessories", "facialHair", "mouth", "eyes", "eyebrows", "clothes")
_SHOWN = {
    name: {variant: shown for _, variants, shown in choices for variant in variants}
    for name, choices in TABLES.items()
}

Draws = dict[str, str]
"""Variant of each draw, by the names of `TABLES`."""


@dataclass(frozen=True)
class Face:
    """DiceBear's options for a drawing, and the attributes that it shows."""

    options: dict[str, object]
    attributes: frozenset[str]

    def row(self) -> np.ndarray:
        """Return the attributes as int8 [len(ATTRIBUTES)], +1 and -1."""
        return np.array([1 if name in self.attributes else -1 for name in ATTRIBUTES], np.int8)


def describe(seed: int, index: int) -> Face:
    """Choose the parts of face `index` of `seed`, both of 64 bits."""
    return assemble(draw(seed, index))


def draw(seed: int, index: int) -> Draws:
    """Draw the variants of face `index` of `seed`, including those that its picture hides."""
    # NumPy guarantees the raw stream of this bit generator across versions.
    words = iter(np.random.Philox(key=seed + (index << 64)).random_raw(32).tolist())

    def choose(choices: tuple[Choice, ...]) -> str:
        # With the high half of a word the bias is below 1e-7.
        place = (next(words) >> 32) % sum(weight for weight, _, _ in choices)
        pick = next(words) >> 32
        for weight, variants, _ in choices:
            if place < weight:
                return variants[pick % len(variants)]
            place -= weight
        raise AssertionError("a weight was drawn beyond the last choice")

    return {name: choose(choices) for name, choices in TABLES.items()}


def variants(name: str) -> list[str]:
    """Return all variants of a draw."""
    return list(_SHOWN[name])


def hidden(draws: Draws) -> frozenset[str]:
    """Return the names of the draws that do not influence the picture.

    A hijab hides facial hair, sunglasses the eyes; the colours of hair, hats and frames are hidden
    if nothing has them. The colour of hair is also that of facial hair.
    """
    top, glasses = _SHOWN["top"][draws["top"]], draws["accessories"]
    names = set()
    if draws["top"] == "hijab":
        names.add("facialHair")
    if "Sunglasses" in _SHOWN["accessories"][glasses]:
        names.add("eyes")
    if not glasses:
        names.add("frame")
    if not {"Wearing_Hat", "Wearing_Headscarf"} & set(top):
        names.add("hat")
    if set(top) & set(_COVERED) and ("facialHair" in names or not draws["facialHair"]):
        names.add("hair")
    return frozenset(names)


def assemble(draws: Draws) -> Face:
    """Return the face of given draws."""
    unseen = hidden(draws)
    shown = {
        attribute
        for name, variant in draws.items()
        if name not in unseen
        for attribute in _SHOWN[name][variant]
    }
    if shown & set(_COVERED):
        # The beard may still show the colour.
        shown -= set(_SHOWN["hair"][draws["hair"]])
    parts = {name: draws[name] for name in _PARTS}
    if "facialHair" in unseen:
        parts["facialHair"] = ""
    if "eyes" in unseen:
        parts["eyes"] = "default"
    colours = {
        "skin": draws["skin"],
        "hair": draws["hair"],
        "facialHair": draws["hair"],
        "clothes": draws["fabric"],
        "hat": draws["hat"],
        "accessories": draws["frame"],
        "background": draws["background"],
    }
    options: dict[str, object] = {"seed": "zoo"}
    for part, variant in parts.items():
        options[f"{part}Probability"] = 100 if variant else 0
        if variant:
            options[f"{part}Variant"] = [variant]
    options |= {f"{part}Color": [colour] for part, colour in colours.items()}
    return Face(options, frozenset(shown))
