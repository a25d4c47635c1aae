"""The table of roles: a new role is a module of `export.roles` and one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import runtime
from adversarial_runs import write_run
from export import pipeline
from export.checks import Check
from export.modules import Graph, ImageGraph, to_unit_range
from export.parity import ROWS, CheckedFile, compare_floats, mixed_images
from export.pipeline import Options
from export.roles import ROLES
from export.roles.role import Role
from export.stock import Session
from repository import ROOT
from zoo.models import registry

SMALL = {"image_size": 8, "latent": 4, "widths": (8,), "discriminator_widths": (8,)}


def test_every_module_is_in_the_table() -> None:
    files = (ROOT / "export/roles").glob("*.py")
    modules = {file.stem for file in files if "\nROLE = " in file.read_text("utf-8")}
    assert modules == ROLES.keys()
    used = {role for entry in registry.MODELS.values() for role in entry.roles}
    assert used | {"interpolator"} == modules
    known = (ROOT / "csrc/format/roles.h").read_text("utf-8")
    assert all(f'{{"{role}", io::' in known for role in modules), "the runtime has a row for each"


class DiscriminatorGraph(ImageGraph):
    """image uint8 [N,H,W,C] -> logits [N]."""

    outputs = ("logits",)

    def __init__(self, model: Any, shape: tuple[int, int, int]) -> None:
        super().__init__(shape)
        self.model = model

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.model(to_unit_range(image))


def graph(checkpoint: Any, options: Options) -> Graph:
    return DiscriminatorGraph(checkpoint.trained.discriminator, checkpoint.shape)


def check(file: CheckedFile) -> list[Check]:
    images = mixed_images(file.checkpoint.shape)
    with torch.no_grad():
        expected = file.checkpoint.trained.discriminator(
            to_unit_range(torch.from_numpy(images))
        ).numpy()
    got = Session(file.path.read_bytes()).run(image=images)["logits"]
    return [compare_floats(file.name, "logits: PyTorch", got, expected)]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Any]:
    """A GAN whose discriminator has an engine file of its own."""
    entry = replace(registry.MODELS["gan"], roles=("generator", "discriminator"))
    monkeypatch.setitem(registry.MODELS, "gan", entry)
    fields = {"scores": {"names": ["real"], "kind": "multilabel"}}
    role = Role(graph, lambda checkpoint, statistics: fields, check)
    monkeypatch.setitem(ROLES, "discriminator", role)
    return tmp_path / "run", write_run(tmp_path / "run", "gan", SMALL)


def test_a_new_role_is_one_entry(run: tuple[Path, Any], tmp_path: Path) -> None:
    folder, model = run
    options = Options(weights="fp32", runtime_check=False)
    files = pipeline.export(folder, tmp_path / "a.onnx", options)
    assert [file.role for file in files] == ["generator", "discriminator"]
    assert [check.name for check in files[1].checks] == ["logits: PyTorch"]
    document = runtime.manifest.read(tmp_path / "a.discriminator.onnx")
    assert document["role"] == "discriminator" and document["scores"]["names"] == ["real"]
    assert document["batch"]["min"] == 1 and document["image"]["dtype"] == "uint8"
    images = np.random.default_rng(0).integers(0, 256, (ROWS, 8, 8, 1), np.uint8)
    got = Session((tmp_path / "a.discriminator.onnx").read_bytes()).run(image=images)["logits"]
    with torch.no_grad():
        expected = model.discriminator(torch.from_numpy(images / 255).float().permute(0, 3, 1, 2))
    assert np.allclose(got, expected.numpy(), atol=1e-4)
