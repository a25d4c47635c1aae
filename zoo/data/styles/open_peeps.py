"""The style Open Peeps, by Pablo Stanley (see NOTICE)."""

from __future__ import annotations

from zoo.data.styles.palettes import BACKGROUNDS, CLOTHES, SKIN, plain
from zoo.data.styles.style import Draws, Style


class OpenPeeps(Style):
    """Ink drawings in three-quarter view, whose hair is black.

    A beard or a moustache hides the mouth, and sunglasses the eyes.
    """

    name = definition = "open-peeps"
    attributes = (
        "Eyeglasses",
        "Sunglasses",
        "Smiling",
        "Mouth_Open",
        "Frowning",
        "Beard",
        "Mustache",
        "Long_Hair",
        "Short_Hair",
        "Curly_Hair",
        "Tied_Hair",
        "Bald",
        "Wearing_Hat",
        "Wearing_Headscarf",
        "Pale_Skin",
        "Dark_Skin",
        "Eyes_Closed",
        "Wide_Eyes",
        "Heart_Eyes",
    )
    tables = {
        "head": (
            (
                18,
                ("bangs2", "long", "longBangs", "medium3", "mediumBangs"),
                ("Long_Hair",),
            ),
            (10, ("longAfro", "longCurly"), ("Long_Hair", "Curly_Hair")),
            (
                18,
                ("flatTop", "pomp", "shaved2", "short1", "short2", "short5", "twists2"),
                ("Short_Hair",),
            ),
            (8, ("twists", "dreads2"), ("Short_Hair", "Curly_Hair")),
            (8, ("afro", "dreads1"), ("Curly_Hair",)),
            (12, ("bun", "bun2", "cornrows", "cornrows2"), ("Tied_Hair",)),
            (10, ("noHair1", "noHair2"), ("Bald",)),
            (8, ("hatBeanie", "hatHip"), ("Wearing_Hat",)),
            (8, ("hijab", "turban"), ("Wearing_Headscarf",)),
        ),
        "expression": (
            (14, ("smile", "cheeky"), ("Smiling",)),
            (12, ("calm", "cute"), ("Smiling", "Eyes_Closed")),
            (14, ("smileBig", "smileLOL"), ("Smiling", "Mouth_Open", "Eyes_Closed")),
            (8, ("smileTeethGap",), ("Smiling", "Mouth_Open")),
            (12, ("lovingGrin1", "lovingGrin2"), ("Smiling", "Mouth_Open", "Heart_Eyes")),
            (8, ("explaining", "concernedFear"), ("Mouth_Open",)),
            (8, ("hectic", "rage"), ("Mouth_Open", "Wide_Eyes")),
            (6, ("awe", "fear"), ("Wide_Eyes",)),
            (18, ("solemn", "veryAngry"), ("Frowning",)),
        ),
        "facialHair": (
            (70, ("",), ()),
            (18, ("full", "full2", "full3"), ("Beard",)),
            (12, ("moustache2", "moustache3", "moustache5", "moustache6"), ("Mustache",)),
        ),
        "accessories": (
            (60, ("",), ()),
            (22, ("glasses", "glasses2", "glasses3", "glasses5"), ("Eyeglasses",)),
            (18, ("sunglasses", "sunglasses2"), ("Sunglasses",)),
        ),
        "mask": plain(),
        "skin": SKIN,
        "fabric": CLOTHES,
        "ink": plain("#000000"),
        "contrast": plain("#2c1b18", "#724133"),
        "background": BACKGROUNDS,
    }
    parts = ("head", "expression", "facialHair", "accessories", "mask")
    colours = {
        "skin": "skin",
        "clothing": "fabric",
        "ink": "ink",
        "headContrast": "contrast",
        "background": "background",
    }

    def obscured(self, draws: Draws) -> frozenset[str]:
        """Return the mouth under facial hair, and the eyes behind sunglasses."""
        attributes: set[str] = set()
        if draws["facialHair"]:
            attributes |= {"Smiling", "Mouth_Open", "Frowning"}
        if "Sunglasses" in self.shows("accessories", draws):
            attributes |= {"Eyes_Closed", "Wide_Eyes", "Heart_Eyes"}
        return frozenset(attributes)
