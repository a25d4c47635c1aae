"""The style Pixel Art, by DiceBear (see NOTICE)."""

from __future__ import annotations

from zoo.data.styles.palettes import BACKGROUNDS, CLOTHES, HAIR, HAIR_NAMES, SKIN, numbered, plain
from zoo.data.styles.style import Draws, Style


class PixelArt(Style):
    """Faces of 16×16 pixels, which at 64 are squares of 4×4.

    Hats hide hair that is not long, long hair hides earrings, and sunglasses how wide the eyes are.
    """

    name = definition = "pixel-art"
    attributes = (
        "Eyeglasses",
        "Sunglasses",
        "Smiling",
        "Mouth_Open",
        "Frowning",
        "Long_Hair",
        "Short_Hair",
        "Curly_Hair",
        "Bald",
        "Wearing_Hat",
        "Wearing_Earrings",
        *HAIR_NAMES,
        "Pale_Skin",
        "Dark_Skin",
        "Wide_Eyes",
    )
    tables = {
        "hair": (
            (38, numbered(1, 2, 3, 7, 8, 9, 12, 13, 20, prefix="long"), ("Long_Hair",)),
            (
                30,
                numbered(1, 2, 3, 4, 6, 8, 9, 10, 14, 15, 16, 17, 19, 22, prefix="short"),
                ("Short_Hair",),
            ),
            (16, ("long15", "short11", "short13"), ("Curly_Hair",)),
            (16, ("",), ("Bald",)),
        ),
        "hat": ((84, ("",), ()), (16, numbered(1, 2, 3, 4, 5, 6, 7, 8, 9, 10), ("Wearing_Hat",))),
        "eyes": ((62, numbered(2, 3, 4, 5, 12), ()), (38, numbered(1, 9, 11), ("Wide_Eyes",))),
        "glasses": (
            (58, ("",), ()),
            (24, numbered(2, 3, 5, 6, 7, prefix="light"), ("Eyeglasses",)),
            (18, numbered(5, 6, 7, prefix="dark"), ("Sunglasses",)),
        ),
        "mouth": (
            (28, numbered(7, 8, 9, 10, 11, prefix="happy"), ("Smiling",)),
            (16, ("happy06",), ("Smiling", "Mouth_Open")),
            (18, ("happy01", "happy12"), ("Mouth_Open",)),
            (22, numbered(1, 2, 3, 8, 9, prefix="sad"), ("Frowning",)),
            (16, numbered(4, 5, 6, 7, prefix="sad"), ()),
        ),
        "accessories": ((72, ("",), ()), (28, numbered(1, 2, 3, 4), ("Wearing_Earrings",))),
        "clothes": plain(*numbered(*range(1, 24))),
        # Beards are nearly transparent.
        "beard": plain(),
        "hairColour": HAIR,
        "skin": SKIN,
        "hatColour": plain("#2663a3", "#3d8a6b", "#cc6192", "#614f8a", "#a62116"),
        "frame": plain("#191919", "#323232", "#43677d", "#a04b5d"),
        "lips": plain("#de0f0d", "#c2203a"),
        "iris": plain("#76778b", "#5b7c8b", "#588387", "#876658"),
        "gold": plain("#daa520", "#ffd700"),
        "fabric": CLOTHES,
        "background": BACKGROUNDS,
    }
    parts = ("hair", "hat", "eyes", "glasses", "mouth", "accessories", "clothes", "beard")
    colours = {
        "hair": "hairColour",
        "skin": "skin",
        "hat": "hatColour",
        "glasses": "frame",
        "mouth": "lips",
        "eyes": "iris",
        "accessories": "gold",
        "clothing": "fabric",
        "background": "background",
    }

    def hidden(self, draws: Draws) -> frozenset[str]:
        """Return what long hair, or the lack of hair, a hat or glasses hides."""
        names = set()
        if "Long_Hair" in self.shows("hair", draws):
            names.add("accessories")
        if "accessories" in names or not draws["accessories"]:
            names.add("gold")
        if not draws["hair"]:
            names.add("hairColour")
        if not draws["hat"]:
            names.add("hatColour")
        if not draws["glasses"]:
            names.add("frame")
        return frozenset(names)

    def obscured(self, draws: Draws) -> frozenset[str]:
        """Return short hair under a hat, and the eyes behind sunglasses."""
        attributes = set()
        hair = self.shows("hair", draws)
        if draws["hat"] and "Long_Hair" not in hair:
            attributes |= {*hair, *self.shows("hairColour", draws)}
        if "Sunglasses" in self.shows("glasses", draws):
            attributes |= set(self.shows("eyes", draws))
        return frozenset(attributes)
