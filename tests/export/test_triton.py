"""Model repositories for Triton: their files, and what is refused. Served: tests/serving."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import export
from export import pipeline
from exported import GREY, invoke, write_run
from shell import contents
from zoo.engines import WEIGHTS

MODEL = Path(export.__file__).parent / "triton" / "model.py"


def test_files_of_a_repository(tmp_path: Path) -> None:
    """Each engine has a folder; models of an earlier call stay."""
    repository = tmp_path / "repository"
    done = invoke("--triton", repository, "vae", WEIGHTS / "vae.encoder.onnx")
    assert done.exit_code == 0, done.output
    assert done.stdout.split() == [str(repository / name) for name in ("vae", "vae.encoder")]
    before = contents(repository)
    assert invoke("--triton", repository, "cgan").exit_code == 0
    files = {str(file.relative_to(repository)) for file in repository.rglob("*") if file.is_file()}
    assert files == {
        f"{name}/{file}"
        for name in ("vae", "vae.encoder", "cgan")
        for file in ("config.pbtxt", "1/model.py", f"1/{name}.onnx")
    }
    assert before.items() <= contents(repository).items()
    for name in ("vae", "vae.encoder", "cgan"):
        folder = repository / name / "1"
        assert (folder / "model.py").read_bytes() == MODEL.read_bytes()
        assert (folder / f"{name}.onnx").read_bytes() == (WEIGHTS / f"{name}.onnx").read_bytes()


def other_suffix(folder: Path) -> str:
    """A plan or engine under a name that says nothing."""
    (folder / "other.trt").write_bytes((WEIGHTS / "vae.onnx").read_bytes())
    return "other.trt"


def no_plan(folder: Path) -> str:
    """Bytes that are not those of a plan."""
    (folder / "other.plan").write_bytes(b"none" * 1000)
    return "other.plan"


def damaged(folder: Path) -> str:
    """An engine with a changed byte."""
    content = bytearray((WEIGHTS / "vae.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "damaged.onnx").write_bytes(content)
    return "damaged.onnx"


def float_images(folder: Path) -> str:
    """An engine whose images are floats."""
    write_run(folder / "run", GREY)
    options = pipeline.Options(image="float", runtime_check=False)
    pipeline.export(folder / "run", folder / "float.onnx", options)
    return "float.onnx"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: "nothing.onnx", "no such file"),
        (lambda folder: "nothing.plan", "no such file"),
        (lambda folder: ".", "is not a file"),
        (lambda folder: "stylegan.mapping", "stylegan.mapping.onnx cannot be served: "),
        (lambda folder: "stylegan.synthesis", "the role synthesis, expected generator"),
        (other_suffix, "other.trt: an engine file ends in .onnx, a plan in .plan"),
        (no_plan, "other.plan"),
        (damaged, "damaged.onnx"),
        pytest.param(
            float_images,
            "float.onnx cannot be served: its images are float32, expected uint8",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_refused_engines(
    make: Callable[[Path], str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, and no model is written, not even that of a good engine before it."""
    monkeypatch.chdir(tmp_path)
    name = make(tmp_path)
    before = contents(tmp_path)
    done = invoke("--triton", "repository", "vae", name)
    assert done.exit_code == 2 and done.stdout == ""
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert words in done.stderr
    assert contents(tmp_path) == before and not (tmp_path / "repository").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--triton", "r", "vae", "vae.onnx"], "two engines have the name vae"),
        (["--triton", "r"], "SOURCES"),
        (["vae"], "expected --out FILE or --triton REPO"),
        (["vae", "--out", "a.onnx", "--triton", "r"], "expected --out FILE or --triton REPO"),
        (["vae", "dcgan", "--out", "a.plan"], "expected one SOURCE for --out, got 2"),
        (["--triton", "r", "vae", "--batch", "4"], "--batch does not apply to --triton"),
        (["--triton", "r", "vae", "--target", "tensorrt"], "--target does not apply"),
        (["--triton", "r", "vae", "--precision", "tf32"], "expected fp32, bf16, int8, got 'tf32'"),
        (["--triton", "", "vae"], "the name is empty"),
        (["--triton", "-", "vae"], "results go to files"),
        (["--triton", "missing/r", "vae"], "there is no folder"),
        (["--triton", "file", "vae"], "it exists and is not a folder"),
        (["--triton", "taken", "dcgan", "vae"], "there is a model of this name already"),
    ],
)
def test_bad_options(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, and nothing is written: an existing model stays as it is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / "taken" / "vae").mkdir(parents=True)
    before = contents(tmp_path)
    done = invoke(*arguments)
    assert done.exit_code == 2 and done.stdout == ""
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert words in done.stderr
    assert contents(tmp_path) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_folders_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    done = invoke("--triton", tmp_path / "repository", "vae")
    assert done.exit_code == 2 and "permission denied" in done.stderr


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of the repository, too, is gone if it was not there."""
    import shutil

    copy = shutil.copyfile

    def fail(source: Path, target: Path) -> None:
        if Path(source).name == "dcgan.onnx":
            raise OSError(28, "No space left on device")
        copy(source, target)

    monkeypatch.setattr(shutil, "copyfile", fail)
    done = invoke("--triton", tmp_path / "repository", "vae", "dcgan")
    assert done.exit_code == 2 and "No space left on device" in done.stderr
    assert list(tmp_path.iterdir()) == []
