"""The style Lorelei, by Lisa Wischofsky (see NOTICE)."""

from __future__ import annotations

from zoo.data.styles.palettes import BACKGROUNDS, HAIR, HAIR_NAMES, SKIN, numbered, plain
from zoo.data.styles.style import Draws, Style


class Lorelei(Style):
    """Heads in three-quarter view.

    `Bald` heads may have a tuft of hair. A beard hides the mouth, sunglasses the eyes.
    """

    name = definition = "lorelei"
    attributes = (
        "Eyeglasses",
        "Sunglasses",
        "Smiling",
        "Mouth_Open",
        "Frowning",
        "Beard",
        "Long_Hair",
        "Short_Hair",
        "Curly_Hair",
        "Tied_Hair",
        "Bald",
        "Wearing_Flowers",
        *HAIR_NAMES,
        "Pale_Skin",
        "Dark_Skin",
        "Eyes_Closed",
        "Wink",
    )
    tables = {
        "hair": (
            (24, numbered(13, 15, 16, 21, 23), ("Long_Hair",)),
            (26, numbered(1, 2, 3, 4, 7, 8, 9, 12, 22, 43, 47), ("Short_Hair",)),
            (8, numbered(5, 39), ("Short_Hair", "Curly_Hair")),
            (10, numbered(24, 35), ("Long_Hair", "Curly_Hair")),
            (18, numbered(14, 26, 31, 33, 36, 38, 42, 46, 48), ("Tied_Hair",)),
            (14, numbered(25, 34), ("Bald",)),
        ),
        "hairAccessories": ((84, ("",), ()), (16, ("flowers",), ("Wearing_Flowers",))),
        "head": plain(*numbered(1, 2, 3, 4)),
        "eyes": (
            (58, numbered(4, 6, 10, 14, 16, 20, 21, 24), ()),
            (24, numbered(1, 19, 22), ("Eyes_Closed",)),
            (18, numbered(15, 18), ("Wink",)),
        ),
        "eyebrows": plain(*numbered(1, 2, 5, 6, 7, 9, 11, 12)),
        "glasses": (
            (60, ("",), ()),
            (24, numbered(1, 3, 4, 5), ("Eyeglasses",)),
            (16, numbered(2), ("Sunglasses",)),
        ),
        "nose": plain(*numbered(1, 2, 3, 4, 5, 6)),
        "mouth": (
            (28, numbered(1, 2, 3, 15, prefix="happy"), ("Smiling",)),
            (26, numbered(5, 6, 12, 16, prefix="happy"), ("Smiling", "Mouth_Open")),
            (16, ("happy18", "sad01", "sad06"), ("Mouth_Open",)),
            (18, ("sad04", "sad05"), ("Frowning",)),
            (12, ("sad03", "sad09"), ()),
        ),
        "beard": ((80, ("",), ()), (20, numbered(1, 2), ("Beard",))),
        "earrings": plain(),
        "freckles": plain(),
        "hairColour": HAIR,
        "skin": SKIN,
        "ink": plain("#000000"),
        "flower": plain("#ffffff"),
        "background": BACKGROUNDS,
    }
    parts = (
        "hair",
        "hairAccessories",
        "head",
        "eyes",
        "eyebrows",
        "glasses",
        "nose",
        "mouth",
        "beard",
        "earrings",
        "freckles",
    )
    colours = {
        "hair": "hairColour",
        "skin": "skin",
        "hairAccessories": "flower",
        "background": "background",
    } | dict.fromkeys(
        ("outline", "eyes", "eyebrows", "glasses", "nose", "mouth", "earrings", "freckles"), "ink"
    )
    stand_ins = {"eyes": "variant13"}
    view = "90 60 840 840"

    def hidden(self, draws: Draws) -> frozenset[str]:
        """Return the eyes behind sunglasses."""
        return frozenset({"eyes"} if "Sunglasses" in self.shows("glasses", draws) else ())

    def obscured(self, draws: Draws) -> frozenset[str]:
        """Return the mouth under a beard, and the colour of a tuft."""
        attributes = set(self.shows("mouth", draws) if draws["beard"] else ())
        if "Bald" in self.shows("hair", draws):
            attributes |= set(self.shows("hairColour", draws))
        return frozenset(attributes)
