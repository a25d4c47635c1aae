"""Commands on folders that contain a broken picture, or that they write to."""

from __future__ import annotations

import importlib
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

from pictures import save_pictures
from zoo.data import DataSet
from zoo.errors import DataError

COUNT = 30


@pytest.fixture
def folder(fashion_mnist: DataSet, tmp_path: Path) -> Path:
    """30 good pictures and a truncated one."""
    folder = tmp_path / "photos"
    save_pictures(folder, fashion_mnist.test.images[:COUNT], names="{:02}")
    (folder / "07-cut.png").write_bytes((folder / "07.png").read_bytes()[:80])
    return folder


def call(name: str, *arguments: object) -> None:
    """Run a command in this process, with its errors as exceptions."""
    main: click.Command = importlib.import_module(f"zoo.{name}").main
    main([str(argument) for argument in arguments], standalone_mode=False)


DRY_RUN = ("--cpu", "--dry-run")
ONE_THREAD = ("--instances", 1, "--backend", "onnxruntime")

COMMANDS = {
    "embed": ("--engine", "linear-ae.onnx", "FOLDER", "--out", "OUT/a.npz"),
    "embed of data": ("--engine", "linear-ae.onnx", "--data", "FOLDER", "--out", "OUT/a.npz"),
    "reconstruct": ("FOLDER", "--engine", "linear-ae.onnx", "--out", "OUT/a.png"),
    "anomaly": ("--engine", "linear-ae.onnx", "FOLDER", "--out", "OUT/a.png"),
    "translate": ("--engine", "denoising-ae.onnx", "FOLDER", "--out", "OUT/a.npy"),
    "nearest": ("--engine", "gan.onnx", "--data", "FOLDER", "-n", 3, "--out", "OUT/a.png"),
    "elbo": ("vae.onnx", "--data", "FOLDER"),
    "evaluate": ("--engine", "gan.onnx", "--data", "FOLDER", "-n", 10, "--no-model"),
    "train": ("linear-ae", "--data", "FOLDER", *"--batch-size 8 --threads 1".split(), *DRY_RUN),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_broken_picture_is_one_line(
    folder: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = COMMANDS[name]
    own = ONE_THREAD if "--engine" in options else ()
    named = {"FOLDER": str(folder)}
    given = [
        named.get(part, str(tmp_path / part[4:]) if part.startswith("OUT/") else part)
        for part in map(str, options)
    ]
    call(name.partition(" ")[0], *given, *own)
    said = [line for line in capsys.readouterr().err.splitlines() if "skipped" in line]
    assert said == [f"skipped {folder}/07-cut.png: image file is truncated"]


@pytest.mark.parametrize(
    "name", ["embed", "reconstruct", "anomaly", "translate", "invert", "tangents"]
)
def test_a_broken_picture_among_others_is_one_line(
    folder: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broken file in a list is skipped; alone it is an error."""
    options = (
        COMMANDS.get(name)
        or {
            "invert": ("--engine", "linear-ae.onnx", "FOLDER", "--steps", 4, "--out", "OUT/a.png"),
            "tangents": ("FOLDER", "--engine", "linear-ae.onnx", "-k", 1, "--out", "OUT/a.png"),
        }[name]
    )
    own = () if name == "invert" else ONE_THREAD
    (folder / "empty.png").touch()

    def given(*files: str) -> list[object]:
        parts: list[object] = []
        for part in map(str, options):
            if part == "FOLDER":
                parts += [folder / file for file in files]
            else:
                parts.append(tmp_path / part[4:] if part.startswith("OUT/") else part)
        return [*parts, *own]

    call(name, *given("03.png", "07-cut.png", "04.png", "empty.png"))
    said = [line for line in capsys.readouterr().err.splitlines() if "skipped" in line]
    assert said == [
        f"skipped {folder}/07-cut.png: image file is truncated",
        f"skipped {folder}/empty.png: is empty",
    ]
    for files in (("07-cut.png",), ("07-cut.png", "empty.png")):
        with pytest.raises(DataError, match=r"07-cut.png: image file is truncated"):
            call(name, *given(*files))
    with pytest.raises(DataError, match=r"none.png"):
        call(name, *given("03.png", "none.png"))


def test_strict_refuses_data_with_a_broken_picture(folder: Path, tmp_path: Path) -> None:
    for given in ((folder,), ("--data", folder)):
        arguments = ("--engine", "linear-ae.onnx", *given, "--out", tmp_path / "a.npz", "--strict")
        with pytest.raises(DataError, match=r"cannot read the picture .*07-cut.png: image file is"):
            call("embed", *arguments)
        assert not (tmp_path / "a.npz").exists()


def test_a_folder_may_be_translated_in_its_place(folder: Path) -> None:
    """Each picture is read once, as it was when the run began."""
    (folder / "07-cut.png").unlink()
    before = {file.name: np.asarray(Image.open(file)) for file in folder.iterdir()}
    call("translate", "--engine", "denoising-ae.onnx", folder, "--out", folder, "--overwrite")
    after = {file.name: np.asarray(Image.open(file)) for file in folder.iterdir()}
    assert after.keys() == before.keys() and len(after) == COUNT
    assert not any(np.array_equal(after[name], before[name]) for name in before)
