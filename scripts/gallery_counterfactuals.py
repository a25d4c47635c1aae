"""Draws the figure of docs/counterfactuals.md: edits beside the truth; see scripts/gallery.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime import Classifier, Encoder, Generator, Translator
from zoo import data, engine_path
from zoo.applications.editing import load_directions
from zoo.engines import encoder_path
from zoo.evaluation import cases, editing_quality, face_edits
from zoo.evaluation.counterfactual import Scored, compare
from zoo.evaluation.face_edits import Block, Pictures
from zoo.images.rows import Row, draw

FACES = 60
LABELS = ("original", "edited", "truth", "pixels")
RIGHT, MISSED, SPILLED = (60, 160, 90), (200, 30, 40), (240, 150, 20)
EDITED_BY = {
    "stargan.onnx": ("Blond_Hair", "Eyeglasses", "Smiling"),
    "vae-faces.onnx": ("Sunglasses", "Beard"),
}
"""Attributes in the figure."""

Edit = tuple[Scored, Pictures]


def edit_faces(engine: str) -> Iterator[Block]:
    """Yield test faces and their edits by a shipped engine."""
    faces, path = data.load("faces"), engine_path(engine)
    if engine.startswith("stargan"):
        with Translator(path) as translator:
            yield from cases.edit_domains(translator, faces, "test", FACES)
        return
    with Generator(path) as generator, Encoder(encoder_path(path)) as encoder:
        known = load_directions(generator)
        directions = {name: known[name] for name in EDITED_BY[engine]}
        yield from editing_quality.edit_blocks(
            generator, encoder, faces, "test", FACES, directions, 1.5
        )


def mark_pixels(pictures: Pictures) -> NDArray[np.uint8]:
    """Return the edited image in pale grey, with the pixels that count in colour."""
    wanted, right, _, spilled = compare(*pictures)
    grey = pictures.edited.mean(-1, keepdims=True) / 3 + 170
    marked = np.repeat(grey, 3, axis=-1).astype(np.uint8)
    for mask, colour in ((wanted & right, RIGHT), (wanted & ~right, MISSED), (spilled, SPILLED)):
        marked[mask] = colour
    return marked


def draw_edits(path: Path) -> None:
    """Draw a good and a bad edit of each attribute: the 9th and 1st decile of right pixels."""
    rows = []
    with Classifier(engine_path("face-attributes.onnx")) as classifier:
        for engine, names in EDITED_BY.items():
            edits: list[Edit] = list(
                face_edits.score(
                    edit_faces(engine),
                    "test",
                    lambda images: classifier.classify(images) > 0.5,
                    classifier.names,
                )
            )
            for name in names:
                own = [edit for edit in edits if edit[0].name == name]
                own.sort(key=lambda edit: edit[0].score.right)
                rows.append(_row(engine, name, own[9 * len(own) // 10], own[len(own) // 10]))
    title = "Edits of held-out faces beside the truth: good ones, and bad ones on the right"
    picture = draw(rows, title, 2 * len(LABELS))
    picture.quantize(128).save(path, optimize=True)


def _row(engine: str, name: str, *edits: Edit) -> Row:
    shares = [
        f"{edit.score.right:.0%} right, {edit.score.spilled:.1%} of the others changed"
        for edit, _ in edits
    ]
    tiles = [
        tile
        for _, pictures in edits
        for tile in (pictures.original, pictures.edited, pictures.answer, mark_pixels(pictures))
    ]
    heading = f"{engine.removesuffix('.onnx')}, {name}: {'; '.join(shares)}"
    return Row(heading, tiles, LABELS * len(edits))
