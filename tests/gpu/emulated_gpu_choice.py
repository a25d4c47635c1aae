"""Choice of the fastest plan that is good enough, on emulated CUDA devices that are slowed down.

`test_emulated_gpu.py` runs this file, with ZOO_CUDA_LIBRARY set.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto

import runtime
from checked_plans import (
    Spoil,
    add_levels,
    export,
    read_document,
    read_results,
)
from export.errors import ExportError, ParityError
from export.plan import precision
from fake_tensorrt import FakeTensorRT

pytest_plugins = ["emulation", "checked_fixtures"]


def precision_of(graph: ModelProto) -> str:
    return str(read_document(graph)["precision"])


def slow(**seconds: float) -> Spoil:
    """Delay each run of 16 rows, by precision."""

    def spoil(graph: ModelProto, rows: int, outputs: list[Any]) -> None:
        if rows == 16:
            time.sleep(seconds[precision_of(graph)])

    return spoil


@pytest.mark.parametrize(
    ("seconds", "loss", "winner"),
    [
        ({"fp32": 0.04, "tf32": 0, "fp16": 0.04, "bf16": 0.04}, 10, "tf32"),
        # bf16 is the fastest but loses too much; fp16 is the fastest of the others.
        ({"fp32": 0.08, "tf32": 0.08, "fp16": 0.04, "bf16": 0}, 0.1, "fp16"),
    ],
)
def test_the_fastest_that_is_good_enough(
    seconds: dict[str, float], loss: float, winner: str, tmp_path: Path, tensorrt: FakeTensorRT
) -> None:
    """The loss of an encoder depends on rounding: fp16 0.04 %, bf16 0.3 %."""
    tensorrt.spoil = slow(**seconds)
    plan, _ = export("vae.encoder.onnx", tmp_path / "a.plan", loss=loss)
    document = runtime.manifest.read(tmp_path / "a.plan")
    assert plan.precision == document["precision"] == winner
    assert read_results(tmp_path / "a.plan")["loss"]["percent"] <= loss
    table = [line.split() for line in plan.candidates.splitlines()]
    assert [row[0] for row in table] == ["precision", "fp32", "tf32", "fp16", "bf16"]
    assert [row[0] for row in table if row[-1] == "kept"] == [winner]
    losses = {row[0]: float(row[1]) for row in table[1:]}
    assert losses["fp32"] == losses["tf32"] == 0 < losses["fp16"] < losses["bf16"]
    assert {row[0] for row in table[1:] if row[3:] and "above" in row} == {
        name for name, value in losses.items() if value > loss
    }


def test_eight_bits_may_be_chosen(
    tmp_path: Path, tensorrt: FakeTensorRT, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "PRECISIONS", ("fp32", "int8"))
    tensorrt.spoil = slow(fp32=0.04, int8=0)
    plan, _ = export("vae.encoder.onnx", tmp_path / "a.plan", loss=50)
    assert plan.precision == "int8" and plan.fp16_layers
    assert 0 < read_results(tmp_path / "a.plan")["loss"]["percent"] <= 50
    assert runtime.manifest.read(tmp_path / "a.plan")["plan"]["calibration"]["samples"] == 256


def test_eight_bits_without_layers_are_not_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The encoder's one product stays in fp16, so the plan would be that of another candidate."""
    monkeypatch.setattr(precision, "PRECISIONS", ("fp32", "int8"))
    plan, _ = export("linear-ae.encoder.onnx", tmp_path / "a.plan", loss=50)
    assert plan.precision == "fp32"
    (row,) = [line for line in plan.candidates.splitlines() if line.startswith("int8")]
    assert row.endswith("no layer in eight bits")


def test_generators_are_chosen_by_their_fid(
    tmp_path: Path, tensorrt: FakeTensorRT, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bf16 is the fastest, but its images have stripes, which its tolerance allows."""
    monkeypatch.setattr(precision, "PRECISIONS", ("fp32", "fp16", "bf16"))
    stripes = add_levels(lambda graph, _: precision_of(graph) == "bf16", 24, np.s_[:, ::16])
    late = slow(fp32=0.08, fp16=0.04, bf16=0)

    def spoil(graph: ModelProto, rows: int, outputs: list[Any]) -> None:
        stripes(graph, rows, outputs)
        late(graph, rows, outputs)

    tensorrt.spoil = spoil
    plan, _ = export("vae.onnx", tmp_path / "a.plan", loss=3)
    (bf16,) = [line.split() for line in plan.candidates.splitlines() if line.startswith("bf16")]
    assert float(bf16[1]) > 3 and bf16[2] == "FID" and "above 3 %" in " ".join(bf16)
    assert plan.precision == "fp16"
    loss = read_results(tmp_path / "a.plan")["loss"]
    assert loss == {"percent": plan.checked and plan.checked.loss, "of": "FID"}


def test_none_is_good_enough(tmp_path: Path, tensorrt: FakeTensorRT) -> None:
    """Each plan adds two levels, which is within the tolerance of half precision, not of fp32."""
    tensorrt.spoil = add_levels(lambda graph, rows: True, 2, np.s_[:, ::9])
    with pytest.raises(ParityError, match=r"no precision of a\.plan loses at most 0 %") as caught:
        export("vae.onnx", tmp_path / "a.plan", loss=0)
    assert list(tmp_path.iterdir()) == []
    rows = caught.value.report.splitlines()
    assert len(rows) == 5 and "a.plan fails" in rows[1]
    assert all("above 0 %" in row for row in rows[3:])


def test_a_given_precision_conflicts_with_a_choice(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="expected none, got fp16"):
        export("vae.onnx", tmp_path / "a.plan", "fp16", loss=1)
