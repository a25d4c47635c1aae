"""Rules of domains, and the evaluation of domain changes, without networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from zoo.applications.domains import DomainTranslator
from zoo.data import faces
from zoo.data.domains import Domains, Table, domain_names, read_domains
from zoo.data.styles import AVATAAARS
from zoo.errors import ConfigError
from zoo.evaluation import domain_quality

HAIR = ("Black_Hair", "Brown_Hair", "Blond_Hair", "Red_Hair", "Pink_Hair", "Gray_Hair")
DOMAINS = Domains(
    (*HAIR, "Smiling", "Eyeglasses"), groups=(HAIR,), hidden_by={"Eyeglasses": ("Sunglasses",)}
)
GLASSES, SUNGLASSES = DOMAINS.names.index("Eyeglasses"), len(DOMAINS.names)


@pytest.fixture(scope="module")
def own() -> Table:
    """Attributes of 500 faces, without drawing them."""
    table = np.stack([AVATAAARS.row(AVATAAARS.describe(0, index)) for index in range(500)])
    found: Table = table[:, DOMAINS.columns(faces.ATTRIBUTES)] > 0
    return found


def test_seen() -> None:
    assert DOMAINS.seen == (*HAIR, "Smiling", "Eyeglasses", "Sunglasses")
    assert DOMAINS.choices() == [HAIR, ("Smiling",), ("Eyeglasses",)]
    assert DOMAINS.choice("Red_Hair") == HAIR and DOMAINS.choice("Smiling") == ("Smiling",)


def test_permuted_targets_are_those_of_other_images(own: Table) -> None:
    targets = DOMAINS.permute(own)
    assert targets.shape == (500, 8)
    hair, given = own[:, :6], targets[:, :6]
    visible = hair.any(1)
    assert 0.5 < visible.mean() < 0.8
    assert not given[~visible].any() and (given[visible].sum(1) == 1).all()
    # A permutation: as many of each as before, and most of them somewhere else.
    assert np.array_equal(given.sum(0), hair.sum(0))
    assert np.array_equal(targets.sum(0), own[:, :8].sum(0))
    assert 0.7 < (given != hair).any(1)[visible].mean() < 0.95
    hidden = own[:, SUNGLASSES]
    assert hidden.any() and not targets[hidden, GLASSES].any()
    assert (targets[:, 6] != own[:, 6]).mean() > 0.3
    assert np.array_equal(targets, DOMAINS.permute(own)), "a function of the batch alone"


def test_a_batch_in_which_nothing_can_be_exchanged(own: Table) -> None:
    one = own[:1]
    assert np.array_equal(DOMAINS.permute(one), one[:, :8])
    bald = own[~own[:, :6].any(1)][:4]
    assert not DOMAINS.permute(bald)[:, :6].any()


def test_two_of_a_group_at_once_stay() -> None:
    own = np.zeros((3, 9), np.bool_)
    own[0, [0, 1]] = own[1, 2] = own[2, 3] = True
    targets = DOMAINS.permute(own)
    assert np.array_equal(targets[0], own[0, :8])
    assert np.flatnonzero(targets[1]) == 3 and np.flatnonzero(targets[2]) == 2


def test_targets_of_a_request(own: Table) -> None:
    targets, whole = DOMAINS.targets(own, DOMAINS.parse("Blond_Hair,-Eyeglasses"))
    visible, hidden = own[:, :6].any(1), own[:, SUNGLASSES]
    assert np.array_equal(whole, visible & ~hidden)
    assert (targets[visible, :6] == np.eye(6, dtype=bool)[2]).all()
    assert np.array_equal(targets[~visible, :6], own[~visible, :6])
    assert not targets[~hidden, GLASSES].any()
    assert np.array_equal(targets[:, 6], own[:, 6])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Smiling", {"Smiling": True}),
        ("-Eyeglasses", {"Eyeglasses": False}),
        (" Pink_Hair , +Smiling", {"Pink_Hair": True, "Smiling": True}),
    ],
)
def test_parse(text: str, wanted: dict[str, bool]) -> None:
    assert DOMAINS.parse(text) == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Beard", "there is no domain 'Beard'; domains: Black_Hair, .*, Smiling, Eyeglasses$"),
        ("Smiling,", "there is no domain ''"),
        ("Sunglasses", "there is no domain 'Sunglasses'"),
        ("-Red_Hair", "-Red_Hair: add another of its group instead: Black_Hair, Brown"),
        ("Red_Hair,Pink_Hair", "Red_Hair and Pink_Hair exclude each other"),
        ("Smiling,-Smiling", "Smiling occurs twice"),
    ],
)
def test_bad_requests(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DOMAINS.parse(text)


def test_decisions_of_scores() -> None:
    scores = np.zeros((3, 9))
    scores[0, [0, 2, 6, 7]] = 0.6, 0.9, 0.7, 0.4
    scores[1, [1, 8]] = 0.4, 1
    scores[2, [4, 5]] = 0.8
    decided = DOMAINS.decide(scores)
    assert [np.flatnonzero(row).tolist() for row in decided] == [[2, 6], [8], [4]]


def test_edits_change_one_choice(own: Table) -> None:
    edits = list(DOMAINS.edits(own))
    assert [edit.name for edit in edits] == list(DOMAINS.names)
    for name, rows, targets in edits:
        places = DOMAINS.places(DOMAINS.choice(name))
        before, column = own[rows, :8], DOMAINS.names.index(name)
        assert (targets[:, places] != before[:, places]).any(1).all()
        assert np.array_equal(np.delete(targets, places, 1), np.delete(before, places, 1))
        if name in HAIR:
            assert targets[:, column].all() and (targets[:, :6].sum(1) == 1).all()
            assert len(rows) == (own[:, :6].any(1) & ~own[:, column]).sum()
        else:
            assert (targets[:, column] != before[:, column]).all()
    assert not own[edits[GLASSES].rows, SUNGLASSES].any()
    changed, whole = edits[GLASSES].rows, edits[GLASSES].expand(own)
    assert np.array_equal(whole[changed], edits[GLASSES].targets)
    assert np.array_equal(np.delete(whole, changed, 0), np.delete(own[:, :8], changed, 0))


@pytest.mark.parametrize(
    ("names", "groups", "hidden_by", "message"),
    [
        ((), (), {}, "at least 1 attribute, got none"),
        (("a", "a"), (), {}, "domains: a occurs twice"),
        (("a", "b"), (("a", "c"),), {}, "c is not a domain; domains: a, b"),
        (("a", "b"), (("a",),), {}, r"at least 2 domains, got \['a'\]"),
        (("a", "b", "c"), (("a", "b"), ("b", "c")), {}, "groups: b occurs twice"),
        (("a",), (), {"b": ("c",)}, "b is not a domain"),
        (("a", "b"), (), {"a": ("b",)}, "attributes that hide a must not be domains"),
    ],
)
def test_rules_that_cannot_be(names: Any, groups: Any, hidden_by: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Domains(names, groups, hidden_by)


def test_columns() -> None:
    assert DOMAINS.columns(faces.ATTRIBUTES)[-2:] == [0, 1]
    with pytest.raises(ConfigError, match="no attribute 'Black_Hair'; attributes: Bald, Smiling"):
        DOMAINS.columns(["Bald", "Smiling"])
    with pytest.raises(ConfigError, match="attributes: none"):
        DOMAINS.columns([])


# Judging. Images whose pixels are their attributes, which a judge reads off.

JUDGED = [*reversed(DOMAINS.seen), "Bald"]


def images_of(table: Table) -> np.ndarray:
    return (table[:, None, :, None] * 255).astype(np.uint8)


def judge(images: np.ndarray) -> Table:
    """Return the attributes in another order, and one more that no image has."""
    table = images[:, 0, ::-1, 0] > 127
    return np.concatenate([table, np.zeros_like(table[:, :1])], 1)


def apply_targets(images: np.ndarray, targets: Table) -> np.ndarray:
    made = images.copy()
    made[:, 0, :8, 0] = targets * 255
    return made


def frown(images: np.ndarray, targets: Table) -> np.ndarray:
    """Apply the targets, and invert every smile."""
    made = apply_targets(images, targets)
    made[:, 0, 6] = 255 - made[:, 0, 6]
    return made


def evaluate_changes(own: Table, translate: domain_quality.Translate) -> dict[str, Any]:
    blocks = ((images_of(part), part) for part in np.array_split(own, 3))
    effects = domain_quality.evaluate(blocks, DOMAINS, translate, judge, JUDGED)
    return {effect.name: effect for effect in (*effects, domain_quality.total(effects))}


def test_a_perfect_translator(own: Table) -> None:
    effects = evaluate_changes(own, apply_targets)
    counts = {edit.name: len(edit.rows) for edit in DOMAINS.edits(own)}
    assert {name: effects[name].images for name in counts} == counts
    assert effects["all"].images == sum(counts.values())
    for effect in effects.values():
        assert (effect.success, effect.touched, effect.others) == (1, 0, 0)
        assert effect.spilled == 0


def test_a_translator_that_does_nothing(own: Table) -> None:
    for effect in evaluate_changes(own, lambda images, targets: images).values():
        assert (effect.success, effect.touched, effect.others) == (0, 0, 0)


def test_a_translator_that_changes_smiles_too(own: Table) -> None:
    effects = evaluate_changes(own, frown)
    assert (effects["Smiling"].success, effects["Smiling"].touched) == (0, 0)
    hair, glasses = effects["Red_Hair"], effects["Eyeglasses"]
    assert (hair.success, hair.touched, glasses.success, glasses.touched) == (1, 1, 1, 1)
    # One of the judge's ten attributes changed, of the four or nine that should not.
    assert hair.others == pytest.approx(1 / 4) and glasses.others == pytest.approx(1 / 9)
    smiles, images = effects["Smiling"].images, effects["all"].images
    assert effects["all"].success == pytest.approx(1 - smiles / images)


def test_a_translator_that_changes_what_is_no_domain(own: Table) -> None:
    """No domain is touched, but an attribute that the judge knows."""

    def shaded(images: np.ndarray, targets: Table) -> np.ndarray:
        made = apply_targets(images, targets)
        made[::2, 0, SUNGLASSES] = 255 - made[::2, 0, SUNGLASSES]
        return made

    for effect in evaluate_changes(own, shaded).values():
        assert (effect.success, effect.touched) == (1, 0)
        assert effect.spilled == pytest.approx(0.5, abs=0.02) and 0 < effect.others < effect.spilled


def test_images_that_the_judge_sees_otherwise_do_not_count(own: Table) -> None:
    wrong = own.copy()
    wrong[::2, 6] ^= True
    effects = domain_quality.evaluate(
        [(images_of(own), wrong)], DOMAINS, apply_targets, judge, JUDGED
    )
    counted = {effect.name: effect.images for effect in effects}
    assert counted["Smiling"] == 250
    assert counted["Eyeglasses"] == (~own[:, SUNGLASSES]).sum()


def test_report_of_effects(own: Table) -> None:
    blind = own[:20] & False
    effects = domain_quality.evaluate(
        [(images_of(blind), blind)], DOMAINS, apply_targets, judge, JUDGED
    )
    assert effects[0].name == "Black_Hair" and effects[0].images == 0
    assert np.isnan(effects[0].success) and np.isnan(effects[0].spilled)
    everything = domain_quality.total(effects)
    assert (everything.images, everything.success, everything.touched) == (40, 1, 0)
    with pytest.raises(ConfigError, match="does not know Smiling, Eyeglasses"):
        domain_quality.evaluate([], DOMAINS, apply_targets, judge, list(HAIR))


# At sampling time: what is not asked for is read from the picture.


class FakeEngine:
    """A translator of images whose pixels are their attributes."""

    path, backend, alpha = "stargan.onnx", "fake", False
    input_shape = image_shape = (1, 9, 1)
    manifest = {
        "condition": {"kind": "attributes", "names": list(DOMAINS.names)},
        "training": {
            "config": {"groups": [list(HAIR)], "hidden_by": {"Eyeglasses": ["Sunglasses"]}}
        },
    }

    def translate(self, images: np.ndarray, attributes: np.ndarray) -> np.ndarray:
        assert attributes.dtype == np.float32 and attributes.shape == (len(images), 8)
        return apply_targets(images, attributes > 0.5)


class FakeClassifier:
    def classify(self, images: np.ndarray) -> np.ndarray:
        return images[:, 0, :, 0] / np.float32(255)


def test_translator_that_reads_the_rest(own: Table) -> None:
    engine: Any = FakeEngine()
    assert read_domains(engine) == DOMAINS and domain_names(engine) == list(DOMAINS.names)
    wanted = {"Pink_Hair": True, "Smiling": False}
    translator = DomainTranslator(engine, FakeClassifier(), wanted)  # type: ignore[arg-type]
    expected, whole = DOMAINS.targets(own, wanted)
    made = np.concatenate([translator.translate(images_of(part)) for part in (own[:9], own[9:])])
    assert np.array_equal(made, apply_targets(images_of(own), expected))
    assert translator.unchanged == (~whole).sum() > 0
    engine.manifest = {}
    with pytest.raises(ConfigError, match=r"stargan\.onnx does not translate between domains"):
        read_domains(engine)


def test_every_domain_of_an_image(own: Table) -> None:
    translator = DomainTranslator(FakeEngine(), FakeClassifier(), {})  # type: ignore[arg-type]
    changes = list(translator.all_domains(images_of(own)))
    assert len(changes) == 8
    for (images, said), name in zip(changes, DOMAINS.names, strict=True):
        assert set(said) - {""} == {name, f"-{name}"} - ({f"-{name}"} if name in HAIR else set())
        for text, image, row in zip(said, images, own, strict=True):
            wanted = {name: not text.startswith("-")} if text else {}
            expected = DOMAINS.targets(row[None], wanted)[0]
            assert np.array_equal(image[0, :8, 0] > 0, expected[0])
