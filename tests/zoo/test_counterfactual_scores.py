"""Scores of edits against the truth: by hand-made arrays, and for drawn faces with a real judge."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

import runtime
from zoo import data, engine_path
from zoo.data import counterfactuals, drawing
from zoo.data.styles import AVATAAARS
from zoo.errors import DataError
from zoo.evaluation import counterfactual, face_edits
from zoo.evaluation.counterfactual import THRESHOLD, Score, Scored, compare, score, summarise
from zoo.evaluation.face_edits import Block, Change
from zoo.evaluation.intervals import interval

Images = NDArray[np.uint8]


def image(*levels: int) -> Images:
    """Return an image of one row, with grey pixels in RGB."""
    return np.repeat(np.array(levels, np.uint8)[None, :, None], 3, axis=2)


# Pixels


def test_pixels_by_hand() -> None:
    original = image(100, 100, 100, 100, 100, 100)
    answer = image(250, 250, 250, 100, 100, 110)
    edited = image(250, 176, 174, 100, 117, 116)
    wanted, right, close, spilled = compare(original, original, edited, answer)
    assert wanted.tolist() == [[True, True, True, False, False, False]]
    assert right.tolist() == [[True, True, False, False, False, False]]
    assert close.tolist() == [[True, False, False, False, False, False]]
    assert spilled.tolist() == [[False, False, False, False, True, False]]
    found = score(original, original, edited, answer[None])
    assert found == Score(pytest.approx(2 / 3), pytest.approx(1 / 3), pytest.approx(1 / 3), 0)
    assert not found.takes


def test_changes_are_compared_not_images() -> None:
    """A reconstruction that is darker everywhere does not matter, if its change is right."""
    original, answer = image(100, 100, 100), image(100, 200, 100)
    found = score(original, image(80, 80, 80), image(80, 180, 80), answer[None])
    assert found == Score(1, 1, 0, 0)
    found = score(original, image(80, 80, 80), original, answer[None])
    assert found is not None and (found.right, found.spilled) == (0, 1)


def test_a_change_in_one_channel_counts() -> None:
    original = np.full((1, 2, 3), 100, np.uint8)
    answer, edited = original.copy(), original.copy()
    answer[0, 0, 2] += THRESHOLD + 1
    edited[0, 1, 0] += THRESHOLD + 1
    wanted, right, _, spilled = compare(original, original, edited, answer)
    assert wanted.tolist() == [[True, False]] and spilled.tolist() == [[False, True]]
    assert not right.any()
    # The wrong colour is nearer to none than to the one wanted.
    edited[0, 0] = 100, 160, 100 + THRESHOLD // 2
    assert not compare(original, original, edited, answer).right.any()


def test_the_nearest_answer_counts() -> None:
    original = image(100, 100, 100)
    answers = np.stack([image(200, 100, 100), image(100, 200, 100), image(0, 100, 100)])
    for number, answer in enumerate(answers):
        assert score(original, original, answer, answers) == Score(1, 1, 0, number)
    found = score(original, original, image(100, 180, 110), answers)
    assert found is not None and found.answer == 1 and found.takes


def test_answers_that_nobody_sees_do_not_count() -> None:
    original = image(100, 100)
    hidden, seen = image(100 + THRESHOLD, 100), image(150, 100)
    assert score(original, original, seen, hidden[None]) is None
    found = score(original, original, original, np.stack([hidden, seen]))
    assert found == Score(0, 0, 0, 1)
    everywhere = score(original, original, image(150, 150), image(150, 150)[None])
    assert everywhere == Score(1, 1, 0, 0), "no other pixels"


@pytest.mark.parametrize(
    ("original", "edited"),
    [
        (image(1, 2), image(1)),
        (image(1, 2), image(1, 2).astype(np.float32)),
        (image(1, 2), image(1, 2)[0]),
    ],
)
def test_bad_images(original: Images, edited: Images) -> None:
    for call in (
        lambda: compare(original, original, edited, original),
        lambda: score(original, original, edited, original[None]),
    ):
        with pytest.raises(DataError, match=r"expected images uint8 \[H, W, C\] of one shape, got"):
            call()


# Intervals


def test_intervals_of_single_edits_are_wilsons() -> None:
    """Published: Newcombe, Statistics in Medicine 17 (1998), table I, method 3."""
    for hits, count, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605)):
        shares = [1.0] * hits + [0.0] * (count - hits)
        found = interval(shares, range(count))
        assert found.mean == pytest.approx(hits / count)
        # The variance has n - 1 in its denominator.
        assert (found.low, found.high) == pytest.approx((low, high), abs=3e-4)


def test_no_failure_is_no_certainty() -> None:
    found = interval([1.0] * 20, range(20))
    assert (found.mean, found.high) == (1, 1) and found.low == pytest.approx(0.8389, abs=1e-4)
    assert interval([0.0], [3]).high > 0.7


def test_edits_of_one_face_are_not_independent() -> None:
    random = np.random.default_rng(0)
    shares = (random.random(100) < 0.6).astype(float)
    alone = interval(shares, range(100))
    # Copies of the same edits say nothing new.
    copied = interval(np.repeat(shares, 5), np.repeat(np.arange(100), 5))
    assert (copied.low, copied.high) == pytest.approx((alone.low, alone.high))
    spread = interval(np.repeat(shares, 5), range(500))
    assert spread.high - spread.low < 0.5 * (alone.high - alone.low)


def test_intervals_cover_the_truth() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(300):
        rates = random.beta(6, 2, 60)
        edits = (random.random((60, 4)) < rates[:, None]).astype(float)
        found = interval(edits.ravel(), np.repeat(np.arange(60), 4))
        covered += found.low <= 0.75 <= found.high
    assert 0.92 < covered / 300 < 0.98


def test_summary() -> None:
    def edit(name: str, face: int, right: float, flipped: bool) -> Scored:
        return Scored(name, face, Score(right, 0.5, 0.02 * face, 0), flipped, True)

    edits = [edit("Hat", 0, 0.8, False), edit("Beard", 1, 0.79, True), edit("Hat", 2, 0.1, True)]
    hat, beard, everything = summarise(edits)
    assert (hat.name, beard.name, everything.name) == ("Hat", "Beard", "all")
    assert (hat.edits, beard.edits, everything.edits) == (2, 1, 3)
    assert hat.takes.mean == 0.5 and everything.takes.mean == pytest.approx(1 / 3)
    assert hat.spilled.mean == pytest.approx(0.02) and everything.flipped.mean == pytest.approx(
        2 / 3
    )
    assert everything.seen.mean == 1 and everything.close.mean == 0
    lines = counterfactual.table([hat, beard, everything])
    assert lines[0].split()[:3] == ["attribute", "edits", "take"] and len(lines) == 4
    assert lines[1].startswith("Hat") and "50.0% [" in lines[1]
    document = counterfactual.document([hat])
    assert document["effects"][0]["takes"]["mean"] == 0.5 and math.isclose(
        document["takes_at"], 0.8
    )
    assert summarise([]) == [] and len(counterfactual.table([])) == 1
    with pytest.raises(DataError, match="expected at least one edit"):
        interval([], [])


# Drawn faces, with the shipped judge

NAMES = ("Smiling", "Eyeglasses", "Red_Hair", "Wink", "Dark_Skin")
COUNT = 20


@pytest.fixture(scope="module")
def originals() -> Images:
    places = [counterfactuals.locate("test", row) for row in range(COUNT)]
    return drawing.draw([AVATAAARS.describe(*place) for place in places], 64)


def edit_faces(originals: Images, editor: str) -> dict[str, counterfactual.Effect]:
    """Score an editor that gives the last right answer, the original, or another face."""
    changes, renderer = [], drawing.Renderer()
    for name in NAMES:
        edited, values = originals.copy(), []
        for row in range(COUNT):
            draws = AVATAAARS.draw(*counterfactuals.locate("test", row))
            values.append(name not in AVATAAARS.assemble(draws).attributes)
            answers = counterfactuals.answers(draws, name, values[-1])
            if editor == "perfect" and answers:
                edited[row] = renderer.render(answers[-1], 64)
            elif editor == "stranger":
                edited[row] = originals[(row + 1) % COUNT]
        changes.append(Change(name, np.arange(COUNT), np.array(values), edited))
    blocks = [
        Block(
            originals[rows],
            originals[rows],
            [
                Change(change.attribute, np.arange(10), change.values[rows], change.images[rows])
                for change in changes
            ],
        )
        for rows in (slice(0, 10), slice(10, COUNT))
    ]
    with runtime.Classifier(engine_path("face-attributes.onnx")) as classifier:
        truth = face_edits.measure(
            blocks,
            "faces",
            "test",
            COUNT,
            lambda images: classifier.classify(images) > 0.5,
            classifier.names,
        )
    assert truth.reason is None and truth.lines()[0].startswith(f"{COUNT} images of faces test")
    assert truth.document()["images"] == COUNT
    return {effect.name: effect for effect in truth.effects}


@pytest.fixture(scope="module")
def idle(originals: Images) -> dict[str, counterfactual.Effect]:
    """Effects of an editor that changes nothing."""
    return edit_faces(originals, "idle")


def test_the_truth_is_perfect(originals: Images) -> None:
    effects = edit_faces(originals, "perfect")
    assert list(effects) == [*NAMES, "all"]
    for effect in effects.values():
        assert (effect.takes.mean, effect.close.mean, effect.spilled.mean) == (1, 1, 0)
    # The judge errs in 0.2 % of its decisions.
    assert effects["all"].seen.mean > 0.95 and effects["all"].flipped.mean < 0.1


def test_the_original_is_no_edit(idle: dict[str, counterfactual.Effect]) -> None:
    for effect in idle.values():
        measures = (effect.takes, effect.close, effect.spilled, effect.flipped)
        assert [measure.mean for measure in measures] == [0, 0, 0, 0]
        assert effect.seen.mean < 0.1


def test_another_face_is_no_edit(originals: Images) -> None:
    found = edit_faces(originals, "stranger")["all"]
    assert (
        found.takes.mean < 0.4
        and found.close.mean < 0.2
        and found.spilled.mean > 0.3
        and found.flipped.mean > 0.95
    )


def test_edits_that_cannot_be_seen_do_not_count(idle: dict[str, counterfactual.Effect]) -> None:
    described = [AVATAAARS.describe(*counterfactuals.locate("test", row)) for row in range(COUNT)]
    covered = {"Bald", "Wearing_Hat", "Wearing_Headscarf"}
    hair = sum(not covered & face.attributes for face in described)
    eyes = sum("Sunglasses" not in face.attributes for face in described)
    assert 0 < hair < COUNT and idle["Red_Hair"].edits == hair
    assert 0 < eyes < COUNT and idle["Wink"].edits == eyes
    assert idle["Dark_Skin"].edits == COUNT


def test_other_data_have_no_truth() -> None:
    truth = face_edits.measure([], "fashion-mnist", "test", 3, None, [])
    (line,) = truth.lines()
    assert line.startswith("edits are not scored against the truth: fashion-mnist has none")
    assert truth.document()["effects"] == [] and truth.document()["reason"]
    truth = face_edits.measure([], "faces", "test", 3, None, [])
    assert "no shipped classifier" in truth.lines()[0]


def test_small_faces_are_those_of_the_data_set() -> None:
    whole = data.load("faces").test.images[4:5]
    face = AVATAAARS.describe(*counterfactuals.locate("test", 4))
    assert np.array_equal(face_edits.draw([face], 64), whole)
    assert np.array_equal(
        face_edits.draw([face], 32), data.resize(data.Split(whole), 32, None).images
    )
