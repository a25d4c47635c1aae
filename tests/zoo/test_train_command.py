"""The training command: a run, Ctrl-C, several processes, valid and invalid options."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from shell import refuses_here
from zoo import train
from zoo.data import DataSet
from zoo.training import checkpoint
from zoo.training.metrics import read_metrics


def train_command(*options: object, module: str = "zoo.train") -> list[str]:
    return [sys.executable, "-m", module, *map(str, options)]


def run_training(*options: object, module: str = "zoo.train") -> subprocess.CompletedProcess[str]:
    return subprocess.run(train_command(*options, module=module), capture_output=True, text=True)


def toy_options(toy_file: Path, out: Path) -> list[object]:
    return ["vae", "--data", toy_file, "--out", out, "--batch-size", 32, "--cpu", "--threads", 1]


@pytest.fixture
def toy_file(toy: DataSet, tmp_path: Path) -> Path:
    path = tmp_path / "toy.npz"
    np.savez(
        path,
        train_images=toy.train.images,
        validation_images=toy.validation.images,
        validation_labels=toy.validation.labels,
        test_images=toy.test.images,
        train_labels=toy.train.labels,
        test_labels=toy.test.labels,
        classes=np.array(toy.classes),
    )
    return path


def test_command_trains_and_measures(toy_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = run_training(*toy_options(toy_file, out), "--epochs", 2, "--precision", "fp32")
    assert done.returncode == 0, done.stderr
    assert "epoch 2/2" in done.stderr and "parameters" in done.stdout
    printed = float(re.findall(r"validation_nelbo +([\d.]+)", done.stdout)[0])
    measured = run_training(out, "--split", "validation", module="zoo.elbo")
    assert measured.returncode == 0, measured.stderr
    again = float(re.findall(r"nelbo +([\d.]+) nats", measured.stdout)[0])
    assert again == pytest.approx(printed, abs=0.002)
    refused = run_training(*toy_options(toy_file, out), "--epochs", 2)
    assert refused.returncode == 2 and "--resume" in refused.stderr
    longer = run_training(
        *toy_options(toy_file, out), "--epochs", 3, "--precision", "fp32", "--resume"
    )
    assert longer.returncode == 0, longer.stderr
    assert len(read_metrics(out / "metrics.jsonl")) == 3


def test_dry_run_writes_nothing(toy_file: Path, tmp_path: Path) -> None:
    done = run_training(*toy_options(toy_file, tmp_path / "run"), "--dry-run")
    assert done.returncode == 0, done.stderr
    assert (
        "first step: loss" in done.stdout
        and "160 training, 32 validation and 32 test" in done.stdout
    )
    assert sorted(file.name for file in tmp_path.iterdir()) == ["toy.npz"]


def test_ctrl_c_saves_and_exits_130(toy_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(
        train_command(*toy_options(toy_file, out), "--epochs", 100_000),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    limit = time.monotonic() + 120
    while not (out / "metrics.jsonl").exists() or not read_metrics(out / "metrics.jsonl"):
        assert process.poll() is None and time.monotonic() < limit
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; saved" in errors and "Traceback" not in errors
    _, values = checkpoint.load_state(out / "last" / "state.safetensors")
    assert values["progress"]["step"] >= 5
    assert not [file for file in out.rglob("*") if file.name.startswith(".")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["cvae"], "unknown model 'cvae'; models: linear-ae"),
        (["vae", "--data", "nowhere"], "nowhere is not a data set"),
        (["vae", "--epochs", "0"], "at least 1, got 0"),
        (["vae", "--precision", "fp8"], "precision must be one of"),
        (["vae", "--precision", "fp16", "--cpu"], "fp16"),
        (["vae", "--image-size", "30"], "multiple of 4"),
        (["vae", "--recipe", "none.toml"], "cannot read the recipe none.toml"),
        (["vae", "--resume", "--out", "none"], "cannot read none/last/state.safetensors"),
        (["vae", "--learning-rate", "-1"], "learning_rate"),
        (["vae", "--seed", "-1"], "-1 is not in the range"),
        (["vae", "--out", "/proc/none"], "/proc/none"),
        (["vae", "--bogus"], "No such option"),
        (["vae", "--set", "channels=2"], "channels must be 1 or 3"),
        (["vae", "--max-seconds", "nan"], "--max-seconds"),
        (["vae", "--out", "-"], "cannot write -: results go to files"),
        (["sparse-ae", "--set", "strength"], "--set strength: expected NAME=VALUE"),
        (["sparse-ae", "--set", "depth=3"], "the model sparse-ae has no option 'depth'"),
        (["sparse-ae", "--set", "sparsity=l7"], "sparsity must be 'l1' or 'kl', got 'l7'"),
        (["sparse-ae", "--exclude", "middle"], "middle"),
    ],
)
def test_bad_options(
    options: list[str],
    message: str,
    toy_file: Path,
    tmp_path: Path,
    monkeypatch: Any,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Run in this process, because a new one would import PyTorch."""
    monkeypatch.chdir(tmp_path)
    if "--data" not in options:
        options = [*options, "--data", str(toy_file)]
    assert message in refuses_here(train.main, capfd, *options, "--batch-size", 32)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["toy.npz"]


@pytest.mark.parametrize(
    ("labels", "message"),
    [(True, "has labels without their names: the array `classes` is missing"), (False, "has none")],
)
def test_a_model_of_classes_says_what_is_missing(
    labels: bool, message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (60, 28, 28), np.uint8)
    numbers = {"labels": np.arange(60) % 3} if labels else {}
    np.savez(tmp_path / "toy.npz", images=images, **numbers)
    for model in ("cgan", "fashion-classifier"):
        args = (model, "--data", tmp_path / "toy.npz", "--dry-run", "--cpu")
        assert f"{model} learns classes, and toy {message}" in refuses_here(
            train.main, capfd, *args
        )


def test_two_processes_train_together(toy_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    options = [*toy_options(toy_file, out), "--epochs", 2, "--precision", "fp32"]
    done = subprocess.run(
        [*launch, "-m", "zoo.train", *map(str, options)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "2 process(es)" in done.stdout
    tensors, values = checkpoint.load_state(out / "last" / "state.safetensors")
    assert values["processes"] == 2
    assert not torch.equal(tensors["random0.cpu"], tensors["random1.cpu"])
    assert [entry["step"] for entry in read_metrics(out / "metrics.jsonl")] == [5, 10]
    more = subprocess.run(
        [*launch, "-m", "zoo.train", *map(str, options), "--epochs", "3", "--resume"],
        capture_output=True,
        text=True,
    )
    assert more.returncode == 0, more.stderr
    single = run_training(*options, "--epochs", 4, "--resume")
    assert single.returncode == 2 and "was trained with 2 processes" in single.stderr


def test_command_sets_model_options_and_leaves_classes_out(
    toy: DataSet, toy_file: Path, tmp_path: Path
) -> None:
    done = run_training(
        "sparse-ae", "--data", toy_file, "--epochs", 1, "--batch-size", 16,
        "--set", "strength=0.25", "--set", 'sparsity="kl"', "--exclude", "right", "--latent", 9,
        "--out", tmp_path / "run", "--cpu", "--quiet",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["config"]["strength"] == 0.25 and config["config"]["sparsity"] == "kl"
    assert config["config"]["latent"] == 9
    assert config["recipe"]["exclude"] == ["right"]
    steps = read_metrics(tmp_path / "run" / "metrics.jsonl")[-1]["step"]
    assert steps == int((np.asarray(toy.train.labels) == 0).sum()) // 16
