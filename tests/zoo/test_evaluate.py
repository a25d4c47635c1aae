"""`python -m zoo.evaluate`: generators and translators, compared with their models and a floor."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import runtime
from shell import refuses_here
from zoo import engine_path, evaluate
from zoo.data import DataSet
from zoo.engines import WEIGHTS
from zoo.evaluation import engine, features, output, references, sampling
from zoo.evaluation.yardstick import Yardstick


def run(*arguments: object) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(evaluate.main, [str(part) for part in arguments])


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """Output and JSON document of the VAE's evaluation."""
    out = tmp_path_factory.mktemp("evaluate") / "vae.json"
    result = run("--engine", "vae.onnx", "-n", 400, "--seed", 5, "--seeds", 2, "--json", out)
    assert result.exit_code == 0, result.output
    return result.output, json.loads(out.read_text())


def test_table_of_a_generator(measured: tuple[str, dict[str, Any]]) -> None:
    text, _ = measured
    assert (
        "vae.onnx: 400 images, each of seeds 5 to 6 (± 95 %; differences within it are none), "
        in text
    )
    assert "against 400 test images of fashion-mnist" in text
    assert "network fashion-classifier " in text and "a frame cut off, else resized" in text
    head = next(line for line in text.splitlines() if line.startswith("metric"))
    assert head.split() == ["metric", "value", "PyTorch", "difference", "floor", "network"]
    for name in ("FID", "KID × 1000", "Inception score", "precision", "recall", "class coverage"):
        assert any(line.startswith(name) for line in text.splitlines()), name


def test_document_of_a_generator(measured: tuple[str, dict[str, Any]]) -> None:
    document = measured[1]
    (whole,) = document["reports"]
    assert document["model"] == "vae" and document["role"] == "generator"
    assert document["network"]["name"] == "fashion-classifier"
    assert (whole["count"], whole["seed"], whole["seeds"]) == (400, 5, 2)
    found = {metric["name"]: metric for metric in whole["metrics"]}
    model = {metric["name"]: metric for metric in whole["pytorch"]["metrics"]}
    assert found["FID"]["value"] > 5 * found["FID"]["baseline"] > 0
    assert found["precision"]["value"] < found["precision"]["baseline"]
    assert found["Inception score"]["value"] < found["Inception score"]["baseline"]
    identity = document["network"]["weights_sha256"]
    assert all(metric["network"].endswith(identity) for metric in found.values())
    # The export changed next to nothing: the model draws the same noise.
    for name, difference in whole["differences"].items():
        assert abs(difference) < 0.01 * abs(found[name]["value"]) + 1e-3
        assert difference == pytest.approx(found[name]["value"] - model[name]["value"])
    # Two numbers: Student's t of one degree of freedom.
    for metric in found.values():
        one, other = metric["values"]
        assert metric["value"] == pytest.approx((one + other) / 2)
        assert metric["interval"] == pytest.approx(12.7062 * abs(one - other) / 2, rel=1e-4)
    assert found["FID"]["interval"] > 0
    (row,) = (line.split() for line in measured[0].splitlines() if line.startswith("FID"))
    assert row[2] == "±" and "none" in row, "the export's difference is inside the interval"


def test_numbers_are_those_of_the_engines_images(
    measured: tuple[str, dict[str, Any]], fashion_mnist: DataSet
) -> None:
    """The command prints the functions' results for runtime.Generator's images."""
    network = features.load("fashion-classifier")
    yardstick = Yardstick(network, references.choose(fashion_mnist, 400), names=["fid", "modes"])
    with runtime.Generator(engine_path("vae.onnx")) as generator:
        images = [generator.sample(400, seed=seed) for seed in (5, 6)]
    told = {metric["name"]: metric["values"] for metric in measured[1]["reports"][0]["metrics"]}
    for number, drawn in enumerate(images):
        for metric in yardstick.metrics(yardstick.measure([drawn[:150], drawn[150:]], 400)):
            assert told[metric.name][number] == pytest.approx(metric.value, rel=1e-6)


def test_a_model_draws_the_noise_of_its_engine() -> None:
    with runtime.Generator(engine_path("vae.onnx"), backend="onnxruntime") as generator:
        expected = generator.sample(300, seed=2**63)
    model = sampling.TorchGenerator(engine_path("vae.onnx"))
    batches = list(model.images(300, 2**63))
    assert [len(batch) for batch in batches] == [250, 50]
    difference = np.abs(np.concatenate(batches).astype(int) - expected)
    assert difference.max() <= 1 and difference.mean() < 0.01


def test_metrics_may_be_chosen(tmp_path: Path) -> None:
    out = tmp_path / "modes.json"
    chosen = ("--metrics", "modes, fid", "--no-model", "--seeds", 1)
    result = run("--engine", "vae.onnx", "-n", 100, *chosen, "--json", out)
    assert result.exit_code == 0, result.output
    (whole,) = json.loads(out.read_text())["reports"]
    assert [metric["name"] for metric in whole["metrics"]] == [
        "FID", "class coverage", "class divergence",
    ]  # fmt: skip
    assert whole["pytorch"] is None and "PyTorch" not in result.output


def test_translator_beside_its_input(tmp_path: Path) -> None:
    out = tmp_path / "denoising.json"
    result = run("--engine", "denoising-ae.onnx", "-n", 60, "--json", out)
    assert result.exit_code == 0, result.output
    reports = json.loads(out.read_text())["reports"]
    kinds = runtime.manifest.read(engine_path("denoising-ae.onnx"))["corruption"]
    assert [report["subject"] for report in reports] == [f"denoising-ae.onnx, {k}" for k in kinds]
    for report in reports:
        found = {metric["name"]: metric for metric in report["metrics"]}
        assert found["PSNR [dB]"]["value"] > found["PSNR [dB]"]["baseline"] + 3
        assert found["L1 [levels]"]["value"] < found["L1 [levels]"]["baseline"]
        assert found["SSIM"]["value"] > found["SSIM"]["baseline"]
        assert found["FID"]["network"].startswith("fashion-classifier ")
        assert found["PSNR [dB]"]["network"] == ""
        assert abs(report["differences"]["PSNR [dB]"]) < 0.01


@pytest.mark.slow
def test_translator_of_faces_is_judged_by_attributes(tmp_path: Path) -> None:
    out = tmp_path / "inpainting.json"
    result = run("--engine", "inpainting-ae.onnx", "-n", 60, "--no-model", "--json", out)
    assert result.exit_code == 0, result.output
    (report,) = json.loads(out.read_text())["reports"]
    found = {metric["name"]: metric for metric in report["metrics"]}
    accuracy = found["attribute accuracy"]
    assert accuracy["network"].startswith("face-attributes ")
    assert 0.85 < accuracy["value"] <= accuracy["baseline"] <= 1
    assert found["PSNR in holes [dB]"]["value"] < found["PSNR [dB]"]["value"]
    assert "attribute gap" in found and found["FID"]["network"].startswith("efficientnet-lite0@64")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--engine", "vae.onnx", "-n", 40_000], "enough to compare 32,500 with as many others"),
        (["--engine", "vae.onnx", "-n", 1], "expected at least 10 images, got 1"),
        (["--engine", "vae.onnx", "--data", "gone"], "gone is not a data set, folder or file"),
        (["--engine", "vae.onnx", "--features", "vgg"], "got 'vgg'"),
        (["--engine", "vae.onnx", "--features", "inception"], "expected --weights FILE"),
        (["--engine", "vae.onnx", "--features", "inception", "--weights", "no"], "no such file"),
        (["--engine", "vae.onnx", "--metrics", "fdi"], "expected some of fid, .*, got 'fdi'"),
        (["--engine", "vae.onnx", "--metrics", "attributes"], "attributes cannot be measured on"),
        (["--engine", "vae.onnx", "--run", "r", "--no-model"], "--run or --no-model, got both"),
        (["--engine", "vae.onnx", "-n", 20, "--run", "gone"], "gone is not a run's folder"),
        (["--engine", "gone.onnx"], "no such file, and the shipped engines are"),
        (["--engine", "vae.encoder.onnx"], "expected a generator or a translator, got the encoder"),
        (["--engine", "linear-ae.onnx"], "has no prior, so it cannot sample"),
        (["--engine", "denoising-ae.onnx", "-n", 10_001], "has 10,000 test images to translate"),
        (["--engine", "denoising-ae.onnx", "--metrics", "fid"], "--metrics requires a generator"),
        (["--engine", "denoising-ae.onnx", "--seeds", 2], "--seeds requires a generator"),
        (["--engine", "vae.onnx", "--seed", 2**64 - 2], "expected 3 seeds below 2.64, got 1844"),
        (["--engine", "vae.onnx", "--json", "no/folder.json"], "no/folder.json"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[object], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert re.search(message, refuses_here(evaluate.main, capfd, *arguments))


def test_data_of_another_size_is_resized(tmp_path: Path, toy: DataSet) -> None:
    """An unknown data set has no class metrics."""
    np.savez(tmp_path / "toy.npz", images=np.concatenate([toy.train.images, toy.test.images]))
    result = run(
        "--engine", "vae.onnx", "--data", tmp_path / "toy.npz", "-n", 50, "--no-model", "--seeds", 1
    )
    assert result.exit_code == 0, result.output
    assert "class coverage" not in result.output and "of toy" in result.output
    assert "Inception score" not in result.output


def test_an_engine_without_a_model_is_measured_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing package costs the comparison only."""
    monkeypatch.setitem(sys.modules, "onnx", None)
    result = run("--engine", "vae.onnx", "-n", 50, "--metrics", "modes", "--seeds", 1)
    assert result.exit_code == 0, result.output
    assert "the PyTorch model is left out" in result.output


def test_the_model_of_a_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The weights come from the engine file that the plan was built from, if it is found."""
    document = runtime.manifest.read(engine_path("vae.onnx"))
    plan = document | {"plan": {}}
    assert engine._find_weights(engine_path("vae.onnx"), document) == engine_path("vae.onnx")
    assert engine._find_weights(tmp_path / "vae.plan", plan) == engine_path("vae.onnx")
    assert capsys.readouterr().err == ""
    for name in ("mine", "dcgan"):
        assert engine._find_weights(tmp_path / f"{name}.plan", plan) is None
        said = capsys.readouterr().err
        assert f"left out: {name}.plan is a plan" in said and f"no {name}.onnx of the same" in said
    (tmp_path / "mine.onnx").write_bytes(engine_path("vae.onnx").read_bytes())
    assert engine._find_weights(tmp_path / "mine.plan", plan) == tmp_path / "mine.onnx"


def test_the_run_of_another_model_shows(tmp_path: Path) -> None:
    """--run evaluates that folder's weights."""
    import torch
    from safetensors.torch import save_file

    from zoo.models.weights import load_engine

    model, config = load_engine(WEIGHTS / "vae.onnx")
    tensors = {name: value.clone() for name, value in model.state_dict().items()}
    tensors = {
        name: value + 0.02 * torch.randn_like(value) if "decoder" in name else value
        for name, value in tensors.items()
    }
    save_file(tensors, tmp_path / "checkpoint.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config))
    out = tmp_path / "out.json"
    chosen = ("--metrics", "fid", "--seeds", 1)
    result = run("--engine", "vae.onnx", "--run", tmp_path, "-n", 100, *chosen, "--json", out)
    assert result.exit_code == 0, result.output
    assert abs(json.loads(out.read_text())["reports"][0]["differences"]["FID"]) > 1


@pytest.mark.parametrize(
    ("recipe", "measured_on", "noted"),
    [
        ({"adversarial": {"loss": "nonsaturating"}}, None, True),
        ({"adversarial": {"loss": "nonsaturating"}}, "validation", False),
        ({"adversarial": {}}, None, False),
    ],
)
def test_weights_that_were_chosen_on_the_test_images_are_told(
    recipe: dict[str, Any], measured_on: str | None, noted: bool
) -> None:
    training = {"data": "faces", "recipe": recipe, "measured_on": measured_on}
    found = output.note({"training": training})
    assert (found is not None and "on the test images of faces" in found) == noted
