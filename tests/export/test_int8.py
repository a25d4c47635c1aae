"""Calibration of engine files for int8 on CPUs: ranges, cost, refusal, and bad options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import runtime
from export import int8
from export.errors import ExportError
from export.plan import calibration
from export.plan.samples import Samples
from export.stock import Session
from exported import GREY, invoke, write_run
from oracles.noise import normals
from plan_cases import build_model, make_node
from runtime._library import native
from runtime.errors import ArgumentError, BackendUnavailableError
from shell import contents
from zoo.engines import WEIGHTS

SAMPLES = 16
FEW = ("--calibration-samples", str(SAMPLES), "--check-images", "20")

pytestmark = pytest.mark.usefixtures("quick_throughput")

HAS_INT8 = bool(native.native_isas("int8"))


def calibrate(source: str | Path, out: Path, *options: str) -> Any:
    """Run the command, which a CPU without int8 must refuse; then end the test."""
    result = invoke(str(source), "--out", str(out), "--precision", "int8", *FEW, *options)
    if not HAS_INT8:
        assert result.exit_code == 2 and "no int8" in result.stderr
        assert isinstance(result.exception, (SystemExit, BackendUnavailableError))
        pytest.xfail("this CPU has no int8, and the command says so")
    return result


def psnr(got: Any, expected: Any) -> float:
    return float(10 * np.log10(255**2 / np.square(got.astype(float) - expected).mean()))


def test_ranges_are_percentiles_of_both_ends_and_include_zero() -> None:
    """Compared with a sort."""
    x = np.random.default_rng(0).normal(0.5, 1, (1000, 300)).astype(np.float32)
    model = build_model(
        [make_node("Neg", "x", "half"), make_node("Exp", "half", "y")], {}, ["n", 300]
    )
    ranges = calibration.measure_ranges(model, ["half", "y"], Samples({"x": x}, "", len(x)))
    low, high = np.sort(-x.ravel())[[3, -4]]
    assert ranges["half"] == (pytest.approx(float(low)), pytest.approx(float(high)))
    assert ranges["y"][0] == 0 and ranges["y"][1] == pytest.approx(float(np.exp(high)), rel=1e-6)


def test_a_generator_gets_ranges_and_keeps_its_images(tmp_path: Path) -> None:
    out = tmp_path / "mine.onnx"
    result = calibrate("dcgan", out)
    assert result.exit_code == 0, result.output
    field = runtime.manifest.verify(out)["int8"]
    model = onnx.load(out)
    operands = {node.output[0]: node.input[0] for node in model.graph.node}
    # The first and the last of the four products gain nothing from bytes.
    assert len(field["ranges"]) == 2
    assert field["calibration"] == {
        "method": "percentile 99.999",
        "source": "prior",
        "samples": SAMPLES,
    }
    names = [operands[name] for name in field["ranges"]]
    latents = normals(0x5CA1E5, 0, SAMPLES, 64).astype(np.float32)
    values = Session(model, names).decode(latents)
    for name, operand in zip(field["ranges"], names, strict=True):
        low, high = field["ranges"][name]
        # Behind a ReLU.
        assert low == 0 and 0.5 * values[operand].max() < high <= values[operand].max() * 1.001
    with (
        runtime.Generator(out, precision="int8") as eight,
        runtime.Generator(out, backend="native") as fp32,
        runtime.Generator(WEIGHTS / "dcgan.onnx", backend="native") as shipped,
    ):
        np.testing.assert_array_equal(fp32.sample(20, seed=3), shipped.sample(20, seed=3))
        assert psnr(eight.sample(40, seed=3), fp32.sample(40, seed=3)) > 38
    # The FID of 20 images says little; that it was measured on int8 images does.
    assert field["psnr_db"] > 38 and field["loss"]["of"] == "FID"
    assert field["fid"]["int8"] != field["fid"]["fp32"] and field["fid"]["images"] == 20
    assert "2 layers in int8" in result.stdout and "FID" in result.stdout


def test_the_cost_is_that_of_the_written_file(tmp_path: Path) -> None:
    """The RMS difference of an encoder, from its own outputs for held-out images."""
    out = tmp_path / "encoder.onnx"
    calibrate("vae.encoder", out, "--max-quality-loss", "50")
    field = runtime.manifest.read(out)["int8"]
    assert "psnr_db" not in field and field["loss"]["of"] == "RMS"
    images = np.random.default_rng(0).integers(0, 256, (64, 28, 28, 1), np.uint8)
    with (
        runtime.Encoder(out, precision="int8") as eight,
        runtime.Encoder(out, backend="onnxruntime") as fp32,
    ):
        got, expected = eight.encode(images)[0], fp32.encode(images)[0]
    rms = 100 * np.sqrt(np.square(got - expected).mean()) / expected.std()
    # Noise is harder for an encoder than pictures, but of the same order.
    assert 0 < field["loss"]["percent"] < 5 and rms < 10 * field["loss"]["percent"]


def test_int8_that_costs_too_much_is_refused_with_the_number(tmp_path: Path) -> None:
    out = tmp_path / "vae.encoder.onnx"
    result = calibrate("vae.encoder", out, "--max-quality-loss", "0.01")
    assert result.exit_code == 0 and "no int8: int8 has an RMS difference of" in result.stdout
    field = runtime.manifest.verify(out)["int8"]
    assert "ranges" not in field
    reason = f"RMS difference of {field['loss']['percent']:g} %, at most 0.01 % allowed"
    with pytest.raises(ArgumentError, match=reason):
        runtime.Encoder(out, precision="int8")
    # A calibration replaces the one before.
    calibrate(out, out, "--max-quality-loss", "50")
    assert "ranges" in runtime.manifest.verify(out)["int8"]


def test_every_file_of_a_checkpoint(tmp_path: Path) -> None:
    run = tmp_path / "run"
    write_run(run, GREY)
    np.savez(tmp_path / "set.npz", images=np.zeros((40, 12, 12, 1), np.uint8) + 9)
    options = ("--calibrate", str(tmp_path / "set.npz"), "--interpolator", "linear")
    result = calibrate(run, tmp_path / "vae.onnx", *options)
    assert result.exit_code == 0, result.output
    for name in ("vae.onnx", "vae.encoder.onnx"):
        field = runtime.manifest.verify(tmp_path / name)["int8"]
        assert "refused" in field or "ranges" in field
        assert str(tmp_path / name) in result.stdout
    other = tmp_path / "vae.interpolator.onnx"
    assert "int8" not in runtime.manifest.read(other)
    with pytest.raises(ExportError, match="interpolator have no int8"):
        int8.calibrate(other, other, int8.Options())


def test_a_failure_keeps_the_old_file(tmp_path: Path) -> None:
    out = tmp_path / "a.onnx"
    out.write_bytes(b"older")
    before = contents(tmp_path)
    result = calibrate("sparse-ae", out, "--calibrate", "no-such-set")
    assert result.exit_code == 2 and "no-such-set" in result.stderr
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--precision", "bf16"], "bf16 is a precision of plans"),
        (["--precision", "int8", "--no-runtime-check"], "conflicts with --no-runtime-check"),
        (["--precision", "int8", "--batch", "1"], "--batch applies to plans only"),
        (["--precision", "int8", "--weights", "fp32"], "--weights applies to checkpoints only"),
        (["--precision", "int8", "--calibration-samples", "3"], "between 16 and 4096, got 3"),
        (["--precision", "int8", "--check-images", "1"], "between 10 and 1,000,000, got 1"),
        (["--precision", "int8", "--max-quality-loss", "-1"], "at least 0, got -1"),
        (["--precision", "int8", "--max-quality-loss", "nan"], "at least 0, got nan"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_options(options: list[str], words: str, tmp_path: Path) -> None:
    result = invoke("vae", "--out", str(tmp_path / "a.onnx"), *options)
    assert result.exit_code == 2 and words in result.stderr.splitlines()[-1]
    assert not list(tmp_path.iterdir())
