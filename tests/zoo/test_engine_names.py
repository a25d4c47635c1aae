"""Engine names: a path or a shipped name, with or without suffix, and plans to be built."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gpus import why_no_gpu
from runtime.errors import EngineFileError, EngineNotFoundError
from shell import refuses, succeeds
from zoo import engines, plans
from zoo.engines import WEIGHTS


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_suffix_may_be_left_out(here: Path) -> None:
    assert engines.resolve("dcgan") == WEIGHTS / "dcgan.onnx"
    assert engines.resolve("vae.encoder") == WEIGHTS / "vae.encoder.onnx"
    (here / "dcgan").mkdir()
    assert engines.resolve("dcgan") == WEIGHTS / "dcgan.onnx", "a folder is no engine"
    with pytest.raises(EngineFileError, match="'./dcgan' is not a file"):
        engines.resolve("./dcgan")
    (here / "dcgan.onnx").touch()
    (here / "sub").mkdir()
    (here / "sub" / "a.b.onnx").touch()
    assert engines.resolve("dcgan") == Path("dcgan.onnx"), "what is here comes first"
    assert engines.resolve("sub/a.b") == Path("sub/a.b.onnx")
    for name in ("sub/vae", "nothing", "", "vae.", "nothing.plan", "../vae.plan"):
        with pytest.raises(EngineNotFoundError, match="the shipped engines are: .*vae.onnx"):
            engines.resolve(name)


def test_commands_take_such_names(here: Path) -> None:
    succeeds("sample", "--engine", "vae", "-n", 3, "--out", "a.npy", cwd=here)
    succeeds("sample", "--engine", "vae.onnx", "-n", 3, "--out", "b.npy", cwd=here)
    assert (here / "a.npy").read_bytes() == (here / "b.npy").read_bytes()
    assert "encoder" in succeeds("inspect", "vae.encoder", cwd=here)


@pytest.mark.skipif(not why_no_gpu(), reason="there is a GPU, so the plan would be built")
@pytest.mark.parametrize("name", ["vae.plan", "./mine.plan"])
def test_a_plan_that_cannot_be_built_here(here: Path, name: str) -> None:
    shutil.copy(WEIGHTS / "linear-ae.onnx", "mine.onnx")
    said = refuses("sample", "--engine", name, "--out", "a.png", cwd=here)
    source = name.removeprefix("./").replace(".plan", ".onnx")
    assert f"no such file; it can be built from {source} on a machine with a GPU" in said
    assert " ".join(why_no_gpu().split()) in said
    out = name.removeprefix("./")
    assert f"Elsewhere: python -m export {source} --out {out}" in said
    assert "needs a GPU; use the .onnx engine" in refuses(
        "sample", "--engine", name, "--device", "cpu", "--out", "a.png", cwd=here
    )


def test_what_tensorrt_needs_is_said(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(EngineNotFoundError) as raised:
        engines.resolve("vae.plan")
    assert "TensorRT is not installed: pip install 'generator-zoo[export,gpu]'" in str(raised.value)
    assert not plans.is_built(Path("vae.plan"))


def test_classes_as_text() -> None:
    """A number is a number unless a class is called so; blanks around commas do not count."""
    assert engines.split_labels("Bag, 3,-1 ,ankle boot") == ["Bag", 3, -1, "ankle boot"]
    assert engines.split_labels("7,8", ["nine", "8"]) == [7, "8"]
    assert engines.split_labels("0,,") == [0, "", ""]
    for text in ("1.5", "٣", "0x1", "9" * 5000, "--1", "1e3"):
        assert engines.parse_label(text) == text
