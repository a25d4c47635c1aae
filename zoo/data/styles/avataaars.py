"""The style of the data set `faces`: Avataaars, by Pablo Stanley (see NOTICE)."""

from __future__ import annotations

from zoo.data.styles.style import Choice, Draws, Style

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
"""Attributes of a face.

Hair colours refer to hair on the head, which a hat, a turban or a hijab (`Wearing_Headscarf`)
hides. Sunglasses hide the eyes. `Eyeglasses` are clear; `Mustache` is one without a beard.
`Long_Hair` reaches the shoulders; some hair is neither long nor short.
"""

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


class Avataaars(Style):
    """Faces with 29 attributes (`ATTRIBUTES`)."""

    name, definition = "faces", "avataaars"
    attributes = ATTRIBUTES
    tables = {
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
    parts = ("top", "accessories", "facialHair", "mouth", "eyes", "eyebrows", "clothes")
    colours = {
        "skin": "skin",
        "hair": "hair",
        "facialHair": "hair",
        "clothes": "fabric",
        "hat": "hat",
        "accessories": "frame",
        "background": "background",
    }
    stand_ins = {"eyes": "default"}
    # The head is larger than in the whole drawing.
    view = "24 0 232 232"

    def hidden(self, draws: Draws) -> frozenset[str]:
        """Return the names of the draws that do not influence the picture.

        A hijab hides facial hair, sunglasses the eyes; the colours of hair, hats and frames are
        hidden if nothing has them. The colour of hair is also that of facial hair.
        """
        names = set()
        if draws["top"] == "hijab":
            names.add("facialHair")
        if "Sunglasses" in self.shows("accessories", draws):
            names.add("eyes")
        if not draws["accessories"]:
            names.add("frame")
        if not {"Wearing_Hat", "Wearing_Headscarf"} & set(self.shows("top", draws)):
            names.add("hat")
        beard = "facialHair" not in names and draws["facialHair"]
        if self.obscured(draws) and not beard:
            names.add("hair")
        return frozenset(names)

    def obscured(self, draws: Draws) -> frozenset[str]:
        """Return the colour of the hair if only a beard shows it."""
        covered = {"Bald", "Wearing_Hat", "Wearing_Headscarf"} & set(self.shows("top", draws))
        return frozenset(self.shows("hair", draws) if covered else ())
