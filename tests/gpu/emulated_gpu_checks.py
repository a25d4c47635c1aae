"""Checks of new plans, on emulated CUDA devices.

`test_emulated_gpu.py` runs this file, with ZOO_CUDA_LIBRARY set.
"""

from __future__ import annotations

import ctypes
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from onnx import ModelProto

import runtime
from checked_plans import (
    EVERYWHERE,
    IMAGES,
    RTX,
    Spoil,
    add_levels,
    export,
    read_results,
)
from emulated_plans import DEVICE_BYTES
from export.errors import ParityError
from export.plan import precision
from exported import invoke
from fake_tensorrt import FakeTensorRT
from host_cuda import HostCuda
from shell import contents
from zoo import data as sets
from zoo import evaluate, inspect
from zoo.engines import WEIGHTS
from zoo.evaluation import features, sampling, scores

pytest_plugins = ["emulation", "checked_fixtures"]


@pytest.mark.parametrize(
    ("engine", "dtype"),
    [
        *[("vae.encoder.onnx", "fp16"), ("fashion-classifier.onnx", "fp16")],
        *[("stylegan.mapping.onnx", "fp32"), ("stylegan.synthesis.onnx", "fp32")],
        *[("cgan.onnx", "fp32"), ("stargan.onnx", "fp16"), ("overcomplete-ae.onnx", "fp16")],
    ],
)
def test_every_role(engine: str, dtype: str, tmp_path: Path, no_data: None) -> None:
    plan, lines = export(engine, tmp_path / "a.plan", dtype)
    assert plan.checked is not None, lines
    results = read_results(tmp_path / "a.plan")
    assert list(results["throughput"]) == ["1", "4", "16"]
    assert all(rate > 0 for rate in results["throughput"].values())
    assert results["device"] == runtime.cuda.devices()[0].name
    assert results["loss"]["of"] == "RMS" and results["loss"]["percent"] < 1
    role = runtime.manifest.read(WEIGHTS / engine)["role"]
    assert ("fid" in results) == (role == "generator")
    images = role in ("generator", "synthesis", "translator")
    for entry in (*results["parity"].values(), *results["between_batch_sizes"].values()):
        assert entry.keys() == ({"max", "mean"} if images else {"rms"})
    if not images:
        # Half precision rounds, which the checks measure.
        worst = max(entry["rms"] for entry in results["parity"].values())
        assert (worst > 1e-5) == (dtype == "fp16")


def test_encoders_are_checked_with_real_pictures(tmp_path: Path) -> None:
    """The RMS of the loss is that of the held-out images of Fashion-MNIST."""
    plan, lines = export("vae.encoder.onnx", tmp_path / "a.plan", "fp16")
    images = sets.load("fashion-mnist").test.images[:32]
    with runtime.Encoder(WEIGHTS / "vae.encoder.onnx", backend="onnxruntime") as encoder:
        expected = np.concatenate(encoder.encode(images), axis=1)
    with runtime.Encoder(tmp_path / "a.plan") as encoder:
        got = np.concatenate(encoder.encode(images), axis=1)
    rms = 100 * float(np.sqrt(np.mean((got - expected) ** 2)) / expected.std())
    assert plan.checked is not None and plan.checked.rms == pytest.approx(rms, rel=1e-4)
    assert plan.checked.loss == round(rms, 2) > 0
    assert not any("no images" in line for line in lines)


def test_the_fid_equals_that_of_zoo_evaluate(tmp_path: Path) -> None:
    plan, _ = export("vae.onnx", tmp_path / "a.plan", "bf16")
    fid = read_results(tmp_path / "a.plan")["fid"]
    for engine, name in ((WEIGHTS / "vae.onnx", "fp32"), (tmp_path / "a.plan", "plan")):
        arguments = ["--engine", engine, "-n", IMAGES, "--metrics", "fid", "--no-model"]
        arguments += ["--seeds", 1]
        backend = ["--backend", "onnxruntime"] if name == "fp32" else []
        out = tmp_path / "report.json"
        result = CliRunner().invoke(
            evaluate.main, [*map(str, arguments), *backend, "--json", str(out)]
        )
        assert result.exit_code == 0, result.output
        report = json.loads(out.read_text())
        (metric,) = report["reports"][0]["metrics"]
        assert metric["name"] == "FID"
        assert fid[name] == pytest.approx(metric["value"], rel=1e-6)
        assert fid["network"] == metric["network"]
    assert fid["fp32"] != fid["plan"]
    assert fid["images"] == IMAGES and fid["real"] == "fashion-mnist"
    assert plan.checked is not None and plan.checked.loss_of == "FID"
    increase = max(0, round(100 * (fid["plan"] / fid["fp32"] - 1), 2))
    assert plan.checked.loss == read_results(tmp_path / "a.plan")["loss"]["percent"] == increase


def test_without_real_images_plan_and_engine_are_compared(tmp_path: Path, no_data: None) -> None:
    plan, lines = export("vae.onnx", tmp_path / "a.plan", "fp16")
    assert any("no images of fashion-mnist: they are elsewhere" in line for line in lines)
    fid = read_results(tmp_path / "a.plan")["fid"]
    assert fid.keys() == {"network", "images", "between"}
    network = features.load(features.FASHION)
    measured = []
    for path in (WEIGHTS / "vae.onnx", tmp_path / "a.plan"):
        backend = "onnxruntime" if path.suffix == ".onnx" else "auto"
        with runtime.Generator(path, backend=backend) as generator:
            images = np.concatenate(list(sampling.sample_engine(generator, IMAGES, 0)))
        measured.append(network(images)[0])
    assert fid["between"] == pytest.approx(scores.frechet(*measured), rel=1e-3, abs=1e-6)
    assert plan.checked is not None and plan.checked.loss_of == "RMS"


def test_a_generator_without_a_prior_has_no_fid(tmp_path: Path) -> None:
    export("linear-ae.onnx", tmp_path / "a.plan")
    results = read_results(tmp_path / "a.plan")
    assert "no prior" in results["fid"]["missing"]
    assert results["parity"].keys() == {"images of latents"}


count = itertools.count()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (add_levels(lambda graph, rows: True, 3, EVERYWHERE), "images, batch 1: fp32"),
        (add_levels(lambda graph, rows: rows == 16, 2, EVERYWHERE), "images, batch 16: fp32"),
        (add_levels(lambda graph, rows: rows == 4, 1, np.s_[:, ::3]), "images, batch 4: fp32"),
        # Images that depend on their place in the batch, or on earlier runs.
        (
            add_levels(lambda graph, rows: rows == 4, 1, np.s_[0, 0, 0]),
            "images, batch 4: repeated",
        ),
        (
            add_levels(lambda graph, rows: rows == 16 and next(count) % 3 == 1, 1, np.s_[:, 0, 0]),
            "images, batch 16: repeated",
        ),
    ],
)
def test_a_wrong_plan_is_refused(
    spoil: Spoil, words: str, tmp_path: Path, tensorrt: FakeTensorRT
) -> None:
    (tmp_path / "a.plan").write_bytes(b"older")
    before = contents(tmp_path)
    tensorrt.spoil = spoil
    with pytest.raises(ParityError, match=f"a.plan fails .*the first is '{words}'") as caught:
        export("vae.onnx", tmp_path / "a.plan")
    assert contents(tmp_path).keys() == before.keys()
    assert (tmp_path / "a.plan").read_bytes() == b"older"
    (line,) = [line for line in caught.value.report.splitlines() if f" {words} " in line]
    assert line.endswith("FAILED")


def test_results_that_are_not_finite(tmp_path: Path, tensorrt: FakeTensorRT) -> None:
    def spoil(graph: ModelProto, rows: int, outputs: list[Any]) -> None:
        outputs[0][rows - 1] = np.nan

    tensorrt.spoil = spoil
    with pytest.raises(ParityError, match="latents, batch 1: fp32'.*nan"):
        export("vae.encoder.onnx", tmp_path / "a.plan")
    assert list(tmp_path.iterdir()) == []


def test_a_plan_is_built_and_checked_once(tmp_path: Path) -> None:
    """The file of results is beside the plan and has its digest; `zoo.inspect` shows it."""
    plan, lines = export("vae.onnx", tmp_path / "a.plan")
    assert [line.split(" ")[0] for line in lines] == ["building", "checking"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.plan", "a.plan.checks.json"]
    document = runtime.manifest.read(tmp_path / "a.plan")
    assert "checks" not in document["plan"]
    assert plan.checked is not None and read_results(tmp_path / "a.plan") == plan.checked.document()
    result = CliRunner().invoke(inspect.main, [str(tmp_path / "a.plan")])
    assert result.exit_code == 0
    for part in ("checks", "between_batch_sizes", "throughput", "fashion-classifier", "loss"):
        assert part in result.output


def test_plans_that_are_not_checked(tmp_path: Path, tensorrt: FakeTensorRT) -> None:
    export("vae.onnx", tmp_path / "a.plan")
    plan, lines = export("vae.onnx", tmp_path / "a.plan", run=False)
    assert plan.checked is None and len(lines) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.plan"], "older results are removed"
    # A portable plan may be for other GPUs.
    tensorrt.find = lambda plan: None
    plan, lines = export("vae.onnx", tmp_path / "b.plan")
    assert plan.checked is None
    assert lines[-1].startswith("b.plan is not checked: ") and "unknown plan" in lines[-1]


def test_a_batch_size_without_room(
    tmp_path: Path, tensorrt: FakeTensorRT, device: HostCuda
) -> None:
    """The results of a smaller batch size in its place are not used."""
    tensorrt.scratch_per_row = 2**16
    held = device.allocate(DEVICE_BYTES - 2**21)
    try:
        plan, lines = export("vae.onnx", tmp_path / "a.plan")
        assert plan.checked is None and lines[-1].startswith("a.plan is not checked: ")
        assert "fewer images at a time than 16" in lines[-1]
        with pytest.raises(ParityError, match="no precision") as caught:
            export("vae.onnx", tmp_path / "b.plan", loss=1)
        assert caught.value.report.count("fewer images at a time than 16") == 4
    finally:
        device.call("release", ctypes.c_void_p(held))


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "PRECISIONS", ("fp32", "fp16"))
    arguments = ("--target", RTX, "--batch", "1,4,16", "--check-images", IMAGES)
    result = invoke("vae.onnx", "--out", tmp_path / "a.plan", *arguments)
    assert result.exit_code == 0, result.stderr
    assert "images, batch 16: fp32" in result.stdout and "FAILED" not in result.stdout
    assert "levels of fp32; FID " in result.stdout.splitlines()[-1]
    result = invoke(
        *("vae.onnx", "--out", tmp_path / "b.plan", *arguments, "--max-quality-loss", "5")
    )
    assert result.exit_code == 0, result.stderr
    assert "kept" in result.stdout and "loss %" in result.stdout
    unchecked = ("--target", RTX, "--batch", "1,4,16", "--no-runtime-check")
    result = invoke("vae.onnx", "--out", tmp_path / "c.plan", *unchecked)
    assert result.exit_code == 0 and len(result.stdout.splitlines()) == 1
