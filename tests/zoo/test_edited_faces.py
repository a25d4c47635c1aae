"""Edits of drawn faces by shipped engines, scored against the truth by the commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

import runtime
from zoo import data, edit, engine_path, evaluate
from zoo.applications import inverting
from zoo.data import counterfactuals, drawing
from zoo.data.styles import AVATAAARS
from zoo.evaluation import cases, editing_quality
from zoo.evaluation.counterfactual import score

JUDGE = ("--evaluate", "face-attributes.onnx", "--data", "faces")
Images = NDArray[np.uint8]


def run(command: Any, *arguments: object) -> list[str]:
    """Run a command in this process; its lines."""
    result = CliRunner().invoke(command.main, [str(part) for part in arguments])
    assert result.exit_code == 0, result.output
    lines: list[str] = result.output.splitlines()
    return lines


def read_effects(path: Path) -> dict[str, Any]:
    document = json.loads(path.read_text())["counterfactuals"]
    assert document["reason"] is None and document["threshold"] == 16
    return {effect["name"]: effect for effect in document["effects"]}


def test_domains_against_the_truth(tmp_path: Path) -> None:
    """The command's numbers for validation faces equal those of a loop over edits."""
    out = tmp_path / "out.json"
    lines = run(
        *(evaluate, "--engine", "stargan.onnx", "--data", "faces", "--split", "validation"),
        *("-n", 12, "--no-model", "--json", out),
    )
    assert "12 images of faces validation, edits against the truth" in lines
    assert any("12 validation images" in line or "12 training images" in line for line in lines)
    effects = read_effects(out)
    split = data.load("faces").validation
    images, shares = split.images[:12], []
    with runtime.Translator(engine_path("stargan.onnx")) as translator:
        names = translator.manifest["condition"]["names"]
        assert set(effects) == {*names, "all"}
        own = split.attributes[:12] > 0  # type: ignore[index]
        column = list(AVATAAARS.attributes).index("Smiling")
        domains = own[:, [list(AVATAAARS.attributes).index(name) for name in names]]
        for row in range(12):
            target = domains[row : row + 1].astype(np.float32)
            target[0, names.index("Smiling")] = not own[row, column]
            edited = translator.translate(images[row : row + 1], attributes=target)[0]
            draws = AVATAAARS.draw(*counterfactuals.locate("validation", row))
            answers = counterfactuals.answers(draws, "Smiling", not own[row, column])
            found = score(images[row], images[row], edited, drawing.draw(answers, 64))
            if found is not None:
                shares.append(found)
    assert effects["Smiling"]["edits"] == len(shares) >= 10
    assert effects["Smiling"]["takes"]["mean"] == pytest.approx(
        np.mean([share.takes for share in shares])
    )
    assert effects["Smiling"]["spilled"]["mean"] == pytest.approx(
        np.mean([share.spilled for share in shares])
    )


def test_directions_against_the_truth(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    lines = run(edit, "--engine", "vae-faces.onnx", *JUDGE, "-n", 8, "--amount", 2, "--json", out)
    assert "8 images of faces test, edits against the truth" in lines
    effects = read_effects(out)
    assert len(effects) == 30 and effects["Dark_Skin"]["edits"] == 8
    # Skin is easy.
    assert effects["Dark_Skin"]["takes"]["mean"] > effects["Angry_Brows"]["takes"]["mean"]


def test_the_base_of_a_direction_is_the_reconstruction() -> None:
    engine, faces = engine_path("vae-faces.onnx"), data.load("faces")
    with (
        runtime.Generator(engine) as generator,
        runtime.Encoder(engine.with_suffix(".encoder.onnx")) as encoder,
    ):
        direction = np.asarray(generator.manifest["directions"]["Bald"], np.float32)
        (block,) = editing_quality.edit_blocks(
            generator, encoder, faces, "test", 5, {"Bald": direction}, 3.0
        )
        latents = encoder.embed(faces.test.images[:5])
        assert np.array_equal(block.originals, faces.test.images[:5])
        assert np.array_equal(block.bases, generator.decode(latents))
        (change,) = block.changes
        bald = faces.test.attributes[:5, faces.attributes.index("Bald")] > 0  # type: ignore[index]
        assert np.array_equal(change.values, ~bald) and change.rows.tolist() == [0, 1, 2, 3, 4]
        moved = latents + np.where(bald, -3, 3)[:, None].astype(np.float32) * direction
        assert np.array_equal(change.images, generator.decode(moved))


def test_blocks_of_a_translator_cover_the_split() -> None:
    faces = data.load("faces")
    with runtime.Translator(engine_path("stargan.onnx")) as translator:
        blocks = list(cases.edit_domains(translator, faces, "test", 70))
    assert [len(block.originals) for block in blocks] == [64, 6]
    assert np.array_equal(np.concatenate([b.bases for b in blocks]), faces.test.images[:70])
    for block in blocks:
        for change in block.changes:
            assert len(change.rows) == len(change.values) == len(change.images) > 0


def test_faces_of_engines_without_an_encoder_are_inverted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each image once; the edits begin at the image of its latent."""
    inverted: list[int] = []

    def find_latents(generator: Any, images: Images, *_: Any, **__: Any) -> NDArray[np.float32]:
        inverted.append(len(images))
        return np.zeros((len(images), generator.latent_width), np.float32)

    monkeypatch.setattr(inverting, "find_latents", find_latents)
    out = tmp_path / "out.json"
    lines = run(edit, "--engine", "dcgan-faces.onnx", *JUDGE, "--json", out)
    assert inverted == [16] and "16 images of faces test, edits against the truth" in lines
    assert read_effects(out)["all"]["edits"] > 200
    lines = run(edit, "--engine", "dcgan-faces.onnx", *JUDGE[:2], "-n", 5)
    assert lines[-1].startswith("edits are not scored against the truth: ")
