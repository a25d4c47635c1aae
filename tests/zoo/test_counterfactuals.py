"""Right answers to edits of drawn faces: which there are, and what they look like."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from zoo import data
from zoo.data import counterfactuals, drawing
from zoo.data.styles import AVATAAARS, Draws, Face
from zoo.errors import DataError

ATTRIBUTES = AVATAAARS.attributes

HAIR = ("Black_Hair", "Brown_Hair", "Blond_Hair", "Red_Hair", "Pink_Hair", "Gray_Hair")


def face(**changes: str) -> Draws:
    """Return the draws of a plain face with short black hair, after changes."""
    plain = {
        **{"top": "shortFlat", "accessories": "", "facialHair": "", "mouth": "serious"},
        **{"eyes": "default", "eyebrows": "flatNatural", "clothes": "hoodie", "hair": "#2c1b18"},
        **{"skin": "#edb98a", "fabric": "#929598", "hat": "#ff488e", "frame": "#262e33"},
        "background": "#e4e6ea",
    }
    assert plain.keys() == AVATAAARS.tables.keys() and changes.keys() <= plain.keys()
    return plain | changes


def options_of(answers: list[Face], name: str) -> set[str]:
    """Return the values that DiceBear's option takes among the answers."""
    return {"".join(answer.options.get(name, [])) for answer in answers}  # type: ignore[call-overload]


def test_glasses() -> None:
    answers = counterfactuals.answers(face(), "Eyeglasses", True)
    assert options_of(answers, "accessoriesVariant") == {
        "prescription01",
        "prescription02",
        "round",
    }
    assert len(answers) == 3 * 4 and len(options_of(answers, "accessoriesColor")) == 4
    (without,) = counterfactuals.answers(face(accessories="round"), "Eyeglasses", False)
    assert without.attributes == AVATAAARS.assemble(face()).attributes
    # The frame keeps its colour. The eyes behind sunglasses are unknown, but not remarkable.
    answers = counterfactuals.answers(face(accessories="kurt", eyes="wink"), "Eyeglasses", True)
    assert len(answers) == 3 * 2 and options_of(answers, "accessoriesColor") == {"#262e33"}
    assert options_of(answers, "eyesVariant") == {"default", "side"}


def test_smiles() -> None:
    def mouths(mouth: str, value: bool) -> set[str]:
        answers = counterfactuals.answers(face(mouth=mouth), "Smiling", value)
        return options_of(answers, "mouthVariant")

    assert mouths("serious", True) == mouths("sad", True) == {"twinkle"}
    assert mouths("concerned", True) == {"default", "smile"}
    assert mouths("twinkle", False) == {"serious"}
    assert mouths("smile", False) == mouths("tongue", False) == {"concerned", "screamOpen"}


def test_colours_of_hair() -> None:
    (draws,) = (face(facialHair="beardLight"),)
    for name in HAIR[1:]:
        answers = counterfactuals.answers(draws, name, True)
        shown = {choice[2][0]: set(choice[1]) for choice in AVATAAARS.tables["hair"]}
        assert options_of(answers, "hairColor") == shown[name]
        for answer in answers:
            assert answer.options["hairColor"] == answer.options["facialHairColor"]
            assert answer.attributes ^ AVATAAARS.assemble(draws).attributes == {"Black_Hair", name}
    assert len(counterfactuals.answers(draws, "Black_Hair", False)) == 10


def test_what_is_under_a_hat() -> None:
    """The colour of hidden hair is unknown, unless a beard shows it."""
    answers = counterfactuals.answers(face(top="hat"), "Long_Hair", True)
    assert len(answers) == 5 * 11
    answers = counterfactuals.answers(face(top="hat", facialHair="beardLight"), "Long_Hair", True)
    assert len(answers) == 5 and options_of(answers, "hairColor") == {"#2c1b18"}
    (bald,) = counterfactuals.answers(face(), "Bald", True)
    assert "Bald" in bald.attributes and bald.options["topProbability"] == 0
    # Nobody knows of a beard under a hijab.
    answers = counterfactuals.answers(face(top="hijab", facialHair="beardLight"), "Bald", True)
    assert options_of(answers, "facialHairVariant") == {""}


@pytest.mark.parametrize(
    ("changes", "attribute"),
    [
        ({"top": "hat"}, "Red_Hair"),
        ({"top": ""}, "Red_Hair"),
        ({"top": "turban", "facialHair": "beardLight"}, "Red_Hair"),
        ({"top": "hijab"}, "Beard"),
        ({"accessories": "kurt"}, "Wink"),
    ],
)
def test_changes_that_would_be_hidden(changes: dict[str, str], attribute: str) -> None:
    assert counterfactuals.answers(face(**changes), attribute, True) == []


def test_answers_keep_what_the_picture_shows() -> None:
    """They differ in the carrier only, and change no more attributes than its best variant."""
    possible = 0
    for index, name in itertools.product(range(25), ATTRIBUTES):
        draws = AVATAAARS.draw(5, index)
        own = AVATAAARS.assemble(draws)
        value = name not in own.attributes
        answers = counterfactuals.answers(draws, name, value)
        (carrier,) = (
            draw
            for draw, choices in AVATAAARS.tables.items()
            if any(name in shown for _, _, shown in choices)
        )
        alone = [
            AVATAAARS.assemble(draws | {carrier: variant})
            for variant in AVATAAARS.variants(carrier)
        ]
        fewest = [
            len(face.attributes ^ own.attributes)
            for face in alone
            if (name in face.attributes) == value
        ]
        assert bool(answers) == bool(fewest)
        possible += bool(answers)
        shown = {"skin", "mouth", "eyebrows", "clothes", "background"} - {carrier}
        for answer in answers:
            assert (name in answer.attributes) == value
            assert len(answer.attributes ^ own.attributes) <= min(fewest)
            for draw in shown:
                for option in (f"{draw}Variant", f"{draw}Color"):
                    assert answer.options.get(option) == own.options.get(option), (name, draw)
    assert 0.7 < possible / (25 * len(ATTRIBUTES)) < 1


def test_a_reversed_change_leads_back() -> None:
    for index in range(40):
        draws = AVATAAARS.draw(6, index)
        own = AVATAAARS.assemble(draws)
        if "Sunglasses" not in own.attributes and not draws["accessories"]:
            changed = draws | {"accessories": "round"}
            (back,) = counterfactuals.answers(changed, "Eyeglasses", False)
            assert back.attributes == own.attributes


def test_known_draws_are_described() -> None:
    for index in range(50):
        draws = AVATAAARS.draw(7, index)
        assert AVATAAARS.assemble(draws) == AVATAAARS.describe(7, index)
        assert draws.keys() == AVATAAARS.tables.keys()


def test_hidden_draws_do_not_influence_the_picture() -> None:
    renderer = drawing.Renderer()
    seen = set()
    for draws in [face(top="hijab"), *(AVATAAARS.draw(8, index) for index in range(12))]:
        picture = renderer.render(AVATAAARS.assemble(draws), 64)
        for name in AVATAAARS.tables:
            for variant in AVATAAARS.variants(name)[:3]:
                changed = AVATAAARS.assemble(draws | {name: variant})
                same = np.array_equal(renderer.render(changed, 64), picture)
                if name in AVATAAARS.hidden(draws):
                    assert same and changed.attributes == AVATAAARS.assemble(draws).attributes
                    seen.add(name)
    assert seen == {"facialHair", "eyes", "frame", "hat", "hair"}


def test_rows_of_the_data_set() -> None:
    faces = data.load("faces")
    for split, rows in (
        ("train", [0, 8, 9, 10, 17_999]),
        ("validation", [0, 1_999]),
        ("test", [0, 1, 1_999]),
    ):
        places = [counterfactuals.locate(split, row) for row in rows]
        images = drawing.draw([AVATAAARS.describe(*place) for place in places], 64)
        assert np.array_equal(images, faces.parts[split].images[rows]), split
    assert counterfactuals.locate("train", 18_000) == (0, 20_000)
    assert counterfactuals.are_drawn("faces") and counterfactuals.are_drawn("faces:20")
    assert not counterfactuals.are_drawn("fashion-mnist") and not counterfactuals.are_drawn(
        "./faces"
    )


def test_drawing_in_processes_is_the_same() -> None:
    faces = [AVATAAARS.describe(9, index) for index in range(300)]
    images = drawing.draw(faces, 32, processes=2)
    assert images.shape == (300, 32, 32, 3)
    assert np.array_equal(images, drawing.draw(faces, 32, processes=1))
    assert drawing.draw([], 32).shape == (0, 32, 32, 3)


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("Young", True, "there is no attribute 'Young'; attributes: Eyeglasses, Sunglasses"),
        ("Black_Hair", True, "Black_Hair: the face has it already"),
        ("Smiling", False, "Smiling: the face lacks it already"),
    ],
)
def test_bad_requests(attribute: str, value: bool, message: str) -> None:
    with pytest.raises(DataError, match=message):
        counterfactuals.answers(face(), attribute, value)
