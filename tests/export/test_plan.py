"""Plans, really built by TensorRT-RTX, which needs no GPU to build; read back without it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import runtime
import small_inputs
from adversarial_runs import STYLEGAN, write_run
from export.errors import ExportError
from export.pipeline import Options as OnnxOptions
from export.plan import name, pipeline, quantization
from export.plan.pipeline import Options
from export.plan.precision import EIGHT_BITS
from exported import GREY, invoke, refuse_plan
from exported import write_run as write_vae
from plan_cases import CASES, quantize
from repository import ROOT
from runtime.errors import DeviceUnavailableError, EngineFileError
from shell import contents, refuses, succeeds
from zoo.engines import WEIGHTS, resolve

RTX = "tensorrt-rtx"
KEY = {"mu", "logvar", "seed", "first"}


def tensors(document: dict[str, Any], which: str) -> dict[str, tuple[str, list[Any]]]:
    return {entry["name"]: (entry["dtype"], entry["shape"]) for entry in document["plan"][which]}


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16", "int8", "fp8"])
@pytest.mark.parametrize("engine", CASES)
def test_every_shipped_engine(
    engine: str, precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "a.plan"
    eight = precision in EIGHT_BITS
    if eight:
        # The tests of an engine share one calibration, which other tests examine.
        quantized = quantize(WEIGHTS / engine, precision)
        monkeypatch.setattr(quantization, "lower", lambda *_: quantized)
    plan = pipeline.export(WEIGHTS / engine, out, Options(RTX, precision, (8,)))[0]
    print(f"{engine} {precision}: {plan.seconds:.2f} s, {plan.size:,} bytes")
    assert plan.size == out.stat().st_size > 0 and plan.layers > 0
    source, document = runtime.manifest.read(WEIGHTS / engine), runtime.manifest.read(out)
    # Plans leave the learned prior out.
    source.get("latent", {}).pop("mixture", None)
    for field in ("model", "role", "image", "schema", "latent", "directions", "scores", "input"):
        assert document.get(field) == source.get(field), field
    assert document["precision"] == precision
    assert document["batch"] == {"min": 1, "max": 8}
    fields = document["plan"]
    assert (fields["target"], fields["buckets"]) == (RTX, [8])
    assert fields["fp32_layers"] == plan.fp32_layers
    assert bool(plan.fp32_layers) == (precision != "fp32")
    assert fields.get("fp16_layers", []) == plan.fp16_layers
    assert bool(plan.fp16_layers) == eight, "the first and the last product at least"
    if eight:
        assert fields.get("calibration") == quantized.calibration
        assert quantized.calibration is None or quantized.calibration["samples"] == 256
    assert "compute_capability" not in fields, "plans of TensorRT-RTX are not bound to a GPU"

    inputs, outputs, image = (
        tensors(document, "inputs"),
        tensors(document, "outputs"),
        source["image"],
    )
    shape = ["N", image["height"], image["width"], image["channels"]]
    assert not KEY & inputs.keys()
    if source["role"] == "generator":
        assert inputs["latent"] == ("float32", ["N", source["latent"]["width"]])
    if source["role"] in ("encoder", "classifier"):
        assert inputs["image"] == ("uint8", shape)
    if source["role"] in ("generator", "synthesis", "translator"):
        assert outputs == {"image": ("uint8", shape)}
    else:
        assert {dtype for dtype, _ in outputs.values()} == {"float32"}


def test_from_a_shell(tmp_path: Path) -> None:
    """A shipped name and three batch sizes; the summary, inspect, and the error without a GPU."""
    done = subprocess.run(
        [sys.executable, "-m", "export", "vae.onnx", "--out", "my.plan", "--target", RTX]
        + ["--precision", "fp16", "--batch", "64,1,8"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    building, unchecked = done.stderr.splitlines()[-2:]
    assert building.startswith("building my.plan for TensorRT-RTX")
    assert unchecked.startswith("my.plan is not checked: ") and "NVIDIA" in unchecked
    size = (tmp_path / "my.plan").stat().st_size
    for part in (f"{size:,} bytes", "layers", "fp16", "batch 1, 8, 64", "in fp32: node_sigmoid"):
        assert part in done.stdout
    assert list(tmp_path.iterdir()) == [tmp_path / "my.plan"]
    printed = succeeds("inspect", "my.plan", cwd=tmp_path)
    assert "latent  float32 [N, 32]" in printed and "image  uint8 [N, 28, 28, 1]" in printed
    assert "buckets" in printed and "none, none" not in printed
    document = json.loads(succeeds("inspect", "my.plan", "--json", cwd=tmp_path))
    assert document["plan"]["buckets"] == [1, 8, 64] and document["batch"]["max"] == 64
    assert "plan" in refuses("sample", "--engine", "my.plan", "--out", "a.png", cwd=tmp_path)
    with pytest.raises(DeviceUnavailableError, match=r"my\.plan"):
        runtime.Generator(tmp_path / "my.plan")


def test_truncated_plans(tmp_path: Path) -> None:
    """A missing byte is detected."""
    pipeline.export(resolve("linear-ae.onnx"), tmp_path / "a.plan", Options(RTX, batch=(1,)))
    whole = (tmp_path / "a.plan").read_bytes()
    assert whole.count(name.MARKER.encode()) == 1
    (tmp_path / "b.plan").write_bytes(whole[:-1])
    with pytest.raises(EngineFileError, match="truncated"):
        runtime.manifest.read(tmp_path / "b.plan")
    # The format is known from the content, not the name.
    (tmp_path / "c.onnx").write_bytes(whole)
    assert runtime.manifest.read(tmp_path / "c.onnx") == runtime.manifest.read(tmp_path / "a.plan")


@pytest.mark.slow
def test_a_whole_family(tmp_path: Path) -> None:
    """The checkpoint of a StyleGAN becomes three plans; layer noise is an input of the network."""
    write_run(tmp_path / "run", "stylegan", STYLEGAN, gain=1.0)
    out = tmp_path / "out"
    out.mkdir()
    result = invoke(
        *(tmp_path / "run", "--out", out / "s.plan", "--no-runtime-check"),
        *("--target", RTX, "--precision", "fp16", "--batch", 4),
    )
    assert result.exit_code == 0, result.stderr
    plans = sorted(path.name for path in out.iterdir())
    assert plans == ["s.mapping.plan", "s.plan", "s.synthesis.plan"]
    documents = {plan: runtime.manifest.read(out / plan) for plan in plans}
    assert [documents[plan]["role"] for plan in plans] == ["mapping", "generator", "synthesis"]
    noise = documents["s.plan"]["noise"]["streams"]["layers"]
    inputs = tensors(documents["s.plan"], "inputs")
    assert inputs["latent"] == ("float32", ["N", 16])
    assert inputs["truncation"] == inputs["noise"] == ("float32", [1])
    for layer in noise:
        assert inputs[f"noise.{layer['stream']}"] == ("float32", ["N", layer["width"]])
    assert noise == [{"stream": 1, "width": 160}] and len(inputs) == 3 + len(noise)
    assert len(result.stdout.splitlines()) == 3


@pytest.mark.parametrize("precision", EIGHT_BITS)
def test_eight_bits_from_a_shell(precision: str, tmp_path: Path) -> None:
    """Latents of the user; the lines printed, the manifest and the output of `inspect`."""
    latents = np.random.default_rng(0).normal(size=(50, 32)).astype(np.float32)
    np.save(tmp_path / "mine.npy", latents)
    out = tmp_path / "a.plan"
    result = invoke(
        *("vae.onnx", "--out", out, "--target", RTX, "--precision", precision, "--batch", 4),
        *("--calibrate", tmp_path / "mine.npy", "--calibration-samples", 40),
    )
    assert result.exit_code == 0, result.stderr
    assert result.stderr.splitlines()[1] == "calibrating vae.onnx with 40 samples: mine.npy"
    assert result.stdout.rstrip("\n").endswith("in fp16: node_linear, node_conv2d")
    document = runtime.manifest.read(out)
    assert document["precision"] == precision
    calibration = document["plan"]["calibration"]
    assert calibration == {"method": "percentile 99.999", "source": "mine.npy", "samples": 40}
    printed = succeeds("inspect", "a.plan", cwd=tmp_path)
    assert "fp16_layers  node_linear, node_conv2d" in printed and "mine.npy" in printed
    assert tensors(document, "inputs") == {"latent": ("float32", ["N", 32])}


@pytest.mark.slow
def test_eight_bits_of_a_family(tmp_path: Path) -> None:
    """Pictures calibrate the encoder, and their encodings the decoder."""
    write_vae(tmp_path / "run", GREY)
    pictures = np.random.default_rng(0).integers(0, 256, (40, 12, 12, 1), np.uint8)
    np.savez(tmp_path / "set.npz", images=pictures)
    out = tmp_path / "out"
    out.mkdir()
    arguments = (tmp_path / "run", "--out", out / "v.plan", "--no-runtime-check", "--target", RTX)
    data = tmp_path / "set.npz"
    result = invoke(*arguments, "--precision", "int8", "--calibrate", data, "--batch", 2)
    assert result.exit_code == 0, result.stderr
    plans = {path.name: runtime.manifest.read(path)["plan"] for path in out.iterdir()}
    assert sorted(plans) == ["v.encoder.plan", "v.plan"]
    assert plans["v.encoder.plan"]["calibration"]["source"] == "set.npz"
    assert plans["v.plan"]["calibration"]["source"] == "encodings of set.npz"


def test_engines_without_layers_for_eight_bits(tmp_path: Path) -> None:
    """Nothing is between the first and the last product; no samples are read."""
    small_inputs.conditional(tmp_path / "a.onnx")
    lines: list[str] = []
    options = Options(RTX, "int8", (3,))
    plans = pipeline.export(
        tmp_path / "a.onnx", tmp_path / "a.plan", options, progress=lines.append
    )
    assert "no layer of a.onnx runs in int8: products are in fp16" in lines
    assert len(plans[0].fp16_layers) == 1
    assert "calibration" not in runtime.manifest.read(tmp_path / "a.plan")["plan"]


def test_without_a_gpu_nothing_is_chosen(tmp_path: Path) -> None:
    """The choice fails before anything is built; without checks, the GPU is not mentioned."""
    arguments = ("vae.onnx", "--out", tmp_path / "a.plan", "--target", RTX, "--batch", 1)
    result = invoke(*arguments, "--max-quality-loss", 1)
    assert result.exit_code == 2 and list(tmp_path.iterdir()) == []
    assert result.stderr.startswith("error: max-quality-loss: ") and "NVIDIA" in result.stderr
    assert "pass --precision instead" in result.stderr and result.stderr.count("\n") == 1
    result = invoke(*arguments, "--no-runtime-check")
    assert result.exit_code == 0 and "not checked" not in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.plan"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--precision", "fp7"], "fp32, tf32, fp16, bf16, int8, fp8, got 'fp7'"),
        (["--batch", "0"], "1 and 4096, got 0"),
        (["--batch", "1,5000"], "1 and 4096, got 1,5000"),
        (["--batch", "1,,2"], "expected integers like 1,64,512, got '1,,2'"),
        (["--batch", "many"], "got 'many'"),
        (["--max-quality-loss", "-1"], "at least 0, got -1"),
        (["--max-quality-loss", "nan"], "at least 0, got nan"),
        (["--max-quality-loss", "inf"], "at least 0, got inf"),
        (["--max-quality-loss", "much"], "max-quality-loss"),
        (["--max-quality-loss", "1", "--no-runtime-check"], "checks, which are turned off"),
        (["--max-quality-loss", "1", "--precision", "fp16"], "--precision is chosen by"),
        (["--check-images", "9"], "10 and 1,000,000, got 9"),
        (
            ["--check-images", "50", "--no-runtime-check"],
            "--check-images conflicts with --no-runtime-check",
        ),
        (["--target", "abacus"], "tensorrt or tensorrt-rtx, got 'abacus'"),
        (["--weights", "fp32"], "--weights applies to checkpoints"),
        (["--data", "faces"], "--data applies to checkpoints"),
    ],
)
def test_bad_options(arguments: list[str], words: str, tmp_path: Path) -> None:
    assert words in refuse_plan(tmp_path, *arguments)


@pytest.mark.parametrize(
    ("source", "out", "options", "words"),
    [
        ("nothing.onnx", "a.plan", [], "the shipped engines are"),
        ("nothing", "a.plan", [], "no such file or folder"),
        ("vae.onnx", "a.trt", [], "a plan in .plan"),
        ("vae.onnx", "folder.plan", [], "not a regular file"),
        ("vae.onnx", "a.onnx", ["--precision", "fp16"], "fp16 is a precision of plans"),
        ("vae.onnx", "a.onnx", ["--timing-cache", "c"], "--timing-cache applies to plans"),
        ("vae.onnx", "a.onnx", ["--calibrate", "faces"], "--calibrate applies to plans"),
        (
            *("vae.onnx", "a.onnx", ["--calibration-samples", "64"]),
            "--calibration-samples applies to plans",
        ),
        ("vae.onnx", "a.onnx", ["--max-quality-loss", "1"], "--max-quality-loss applies to plans"),
        ("folder.plan", "a.plan", [], "is already a plan"),
    ],
)
def test_bad_places(
    source: str,
    out: str,
    options: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.plan").mkdir()
    result = invoke(source, "--out", out, *options)
    assert result.exit_code == 2 and words in result.stderr.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["folder.plan"]


def test_interpolators_have_no_plans(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"export to \.onnx"):
        options = OnnxOptions(interpolator="linear")
        pipeline.export(tmp_path / "run", tmp_path / "a.plan", Options(RTX), options)


def test_a_refused_graph_keeps_the_old_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorRT's message with the node; here the engine's graph, which transposes bytes."""
    (tmp_path / "a.plan").write_bytes(b"older")
    monkeypatch.setattr(pipeline, "lower", lambda model, source, dtype: (model, []))
    with pytest.raises(ExportError, match=r"refuses .* a\.plan: node node_permute \(Transpose\)"):
        pipeline.export(resolve("vae.encoder.onnx"), tmp_path / "a.plan", Options(RTX))
    assert contents(tmp_path).keys() == {str(tmp_path), str(tmp_path / "a.plan")}
    assert (tmp_path / "a.plan").read_bytes() == b"older"


def test_a_failed_build_keeps_the_old_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A family is kept as a whole or not at all: here the second file fails."""
    for plan in ("a.plan", "a.encoder.plan"):
        (tmp_path / plan).write_bytes(b"older")
    engines = {tmp_path / "a.plan": "linear-ae.onnx", tmp_path / "a.encoder.plan": "vae.onnx"}
    monkeypatch.setattr(
        pipeline,
        "_export_family",
        lambda *_: {plan: resolve(engine) for plan, engine in engines.items()},
    )
    # Leave a transposed convolution in bfloat16, which its compiler does not support.
    monkeypatch.setattr("export.plan.precision.NO_BFLOAT16", frozenset())
    monkeypatch.setattr("export.plan.phases.rewrite_all", lambda model: model)
    with pytest.raises(ExportError, match=r"cannot build a\.encoder\.plan: .*Myelin"):
        pipeline.export(tmp_path, tmp_path / "a.plan", Options(RTX, "bf16", (1,)))
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"older"}
