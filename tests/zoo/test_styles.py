"""The drawing styles: attributes against pixels, licences, reproducibility, data sets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shell
from repository import ROOT
from zoo import data
from zoo.data import drawing, faces
from zoo.data.styles import STYLES, Style

NAMES = list(STYLES)
OTHERS = [name for name in NAMES if name != "faces"]
COUNT, KNOWN = 1_000, 750


@pytest.fixture(scope="module", params=OTHERS)
def style(request: pytest.FixtureRequest) -> Style:
    return STYLES[request.param]


def definition(style: Style) -> Any:
    text = resources.files("dicebear_styles").joinpath(f"{style.definition}.json").read_text()
    return json.loads(text)


def changed(style: Style, name: str, variant: str, count: int = 40) -> Iterator[np.ndarray]:
    """Yield which pixels of faces, bool [64, 64], change when one draw becomes `variant`."""
    renderer = drawing.Renderer(style)
    for index in range(count):
        draws = style.draw(1, index)
        without = style.assemble(draws | {name: ""})
        with_it = style.assemble(draws | {name: variant})
        if name in style.hidden(draws | {name: variant}):
            continue
        pictures = [renderer.render(face, 64).astype(int) for face in (without, with_it)]
        yield (np.abs(pictures[0] - pictures[1]) > 40).any(-1)


def test_variants_are_those_of_the_definition(style: Style) -> None:
    parts = definition(style)["components"]
    colours = {*definition(style)["colors"], "background"}
    assert set(style.parts) <= set(parts) and set(style.colours) <= colours
    for part in style.parts:
        assert set(style.variants(part)) - {""} <= set(parts[part]["variants"]), part
        assert style.stand_ins.get(part, "") in {"", *parts[part]["variants"]}
    for part in set(parts) - set(style.parts):
        raise AssertionError(f"DiceBear chooses {part} by itself")
    shown = {a for choices in style.tables.values() for _, _, names in choices for a in names}
    assert shown == set(style.attributes)


def test_art_is_in_the_public_domain_and_named(style: Style) -> None:
    meta = definition(style)["meta"]
    assert meta["license"]["name"] == "CC0 1.0"
    notice = (ROOT / "NOTICE").read_text()
    assert meta["source"]["name"] in notice and meta["creator"]["name"] in notice


DIGESTS = {
    "lorelei": "578ed18d8d11b2b5",
    "open-peeps": "9e8aebd9f2403d69",
    "pixel-art": "852c2ac268feb5cf",
}


def test_known_faces(style: Style) -> None:
    # Of the package versions in constraints.txt; other ones may draw other pixels.
    images, attributes = faces.make(0, 3, style=style)
    digest = hashlib.sha256(images.tobytes() + attributes.tobytes()).hexdigest()
    assert digest[:16] == DIGESTS[style.name]
    (last, _), (again, _) = (faces.make(2, 130, processes=p, style=style) for p in (1, 2))
    assert np.array_equal(last, again) and np.array_equal(last[0], images[2])


def test_nothing_is_transparent(style: Style) -> None:
    import dicebear
    import pylunasvg

    whole = dicebear.Style(definition(style))
    for index in range(5):
        svg = dicebear.Avatar(whole, style.describe(2, index).options).to_string()
        picture = np.array(pylunasvg.Document.loadFromData(svg).renderToBitmap(64, 64))
        assert (picture[..., 3] == 255).all()


def test_attributes_are_neither_rare_nor_common(style: Style) -> None:
    rows = np.stack([style.row(style.describe(0, index)) for index in range(10_000)])
    shares = dict(zip(style.attributes, (rows > 0).mean(0), strict=True))
    assert {name: share for name, share in shares.items() if not 0.07 <= share <= 0.65} == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_every_attribute_shows_in_the_pixels(name: str) -> None:
    """Ridge regression on 750 pictures predicts each attribute of the other 250.

    The kernel has products of two pixels too: brown hair is neither the darkest nor the lightest.
    """
    images, attributes = faces.make(0, COUNT, style=STYLES[name])
    pixels = images.reshape(COUNT, -1).astype(np.float32) / 255
    pixels -= pixels[:KNOWN].mean(0)
    kernel = pixels @ pixels[:KNOWN].T
    kernel += kernel**2 / np.diag(kernel[:KNOWN]).mean()
    targets = attributes[:KNOWN] - attributes[:KNOWN].mean(0)
    scores = kernel[KNOWN:] @ np.linalg.solve(kernel[:KNOWN] + 30 * np.eye(KNOWN), targets)
    for attribute, score, truth in zip(
        STYLES[name].attributes, scores.T, attributes[KNOWN:].T, strict=True
    ):
        area = (score[truth > 0][:, None] > score[truth < 0]).mean()
        assert area > 0.75, (attribute, area)


def test_glasses_change_the_eyes_alone(style: Style) -> None:
    part = "accessories" if style.name in ("faces", "open-peeps") else "glasses"
    for variant in filter(None, style.variants(part)):
        pixels = np.stack(list(changed(style, part, variant, 6)))
        assert pixels.any((1, 2)).all(), variant
        rows = np.flatnonzero(pixels.any((0, 2)))
        assert 10 <= rows[0] and rows[-1] <= 46 and rows[-1] - rows[0] <= 26, variant


def test_hidden_draws_do_not_matter(style: Style) -> None:
    renderer = drawing.Renderer(style)
    tried: set[str] = set()
    for index in range(60):
        draws = style.draw(3, index)
        for name in sorted(style.hidden(draws) - tried):
            tried.add(name)
            face = style.assemble(draws)
            other = next(v for v in style.variants(name) if v not in (draws[name], ""))
            changed_face = style.assemble(draws | {name: other})
            assert changed_face.attributes == face.attributes
            pictures = [renderer.render(f, 64) for f in (face, changed_face)]
            assert np.array_equal(*pictures), (name, index)


def test_set_of_a_style(style: Style, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(faces, "COUNT", 40)
    monkeypatch.setattr(faces, "VALIDATION", 6)
    found = data.load(style.name)
    images, attributes = faces.make(0, 40, style=style)
    held_out = np.arange(40) % 10 == 9
    assert found.attributes == list(style.attributes)
    for split, rows in ((found.train, ~held_out), (found.test, held_out)):
        assert np.array_equal(split.images, images[rows])
        assert np.array_equal(split.attributes, attributes[rows])  # type: ignore[arg-type]
    assert np.array_equal(found.validation.images, faces.make(0, 6, seed=2, style=style)[0])
    assert len(data.load(f"{style.name}:50").train) == 50
    assert data.find_named(f"{style.name}:50") == style.name


def test_command_draws_a_style(tmp_path: Path) -> None:
    shell.succeeds("faces", "--out", "set", "-n", 10, "--style", "lorelei", cwd=tmp_path)
    loaded = data.load(str(tmp_path / "set"))
    images, _ = faces.make(0, 10, style=STYLES["lorelei"])
    assert sorted(map(bytes, loaded.seen.images)) == sorted(map(bytes, images[:9]))
    assert loaded.attributes == list(STYLES["lorelei"].attributes)
    message = shell.refuses("faces", "--out", "no", "--style", "cubist", cwd=tmp_path)
    assert "style must be one of avataaars, lorelei" in message
