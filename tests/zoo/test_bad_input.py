"""Bad input to the commands: one line on stderr, exit code 2, nothing written or changed."""

from __future__ import annotations

import json
import re
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import runtime
import zoo
from gpus import why_no_gpu
from runtime.errors import BackendUnavailableError, DeviceUnavailableError, EngineFileError
from shell import ENGINE, refuses, succeeds, without

PNG = ("--out", "new.png")


@pytest.fixture(scope="module")
def engine_bytes() -> bytes:
    return zoo.engine_path(ENGINE).read_bytes()


def replace_text(engine: bytes, pattern: bytes, by: bytes) -> bytes:
    """Replace a text of the engine by one of the same length, which leaves it valid ONNX."""
    changed, count = re.subn(pattern, by, engine)
    assert count == 1 and len(changed) == len(engine)
    return changed


def bad_engine(kind: str, engine: bytes) -> bytes:
    if kind == "empty":
        return b""
    if kind == "random":
        return np.random.default_rng(0).bytes(50_000)
    if kind == "text":
        return b"<html>404 Not Found</html>\n"
    if kind.startswith("truncated"):
        return engine[: int(len(engine) * float(kind.split()[1]))]
    if kind == "no engine":
        return replace_text(engine, rb"zoo\.manifest", b"foo.manifest")
    if kind == "future":
        return replace_text(engine, rb'"schema": ?\d', lambda match: match[0][:-1] + b"9")
    if kind == "manifest not JSON":
        return replace_text(engine, rb'"schema":', b'"schema";')
    if kind == "manifest incomplete":
        return replace_text(engine, rb'"role"', b'"rule"')
    raise AssertionError(kind)


BAD_ENGINES = {
    "empty": "empty",
    "random": "not an ONNX file",
    "text": "not an ONNX file",
    "truncated 0.01": "truncated",
    "truncated 0.5": "truncated",
    "truncated 0.999": "truncated",
    "no engine": "manifest",
    "future": r"schema 9, .* up to 3",
    "manifest not JSON": "JSON",
    "manifest incomplete": "role",
}


@pytest.mark.parametrize("kind", BAD_ENGINES)
def test_bad_engine_files(tmp_path: Path, engine_bytes: bytes, kind: str) -> None:
    (tmp_path / "bad.onnx").write_bytes(bad_engine(kind, engine_bytes))
    for said in (
        refuses("sample", "--engine", "bad.onnx", *PNG, cwd=tmp_path),
        refuses("inspect", "bad.onnx", cwd=tmp_path),
    ):
        assert "bad.onnx" in said
        assert re.search(BAD_ENGINES[kind], said), said


def test_engines_of_the_wrong_kind(tmp_path: Path) -> None:
    (tmp_path / "folder.onnx").mkdir()
    assert "not a file" in refuses("sample", "--engine", "folder.onnx", *PNG, cwd=tmp_path)
    said = refuses("sample", "--engine", "nothing.onnx", *PNG, cwd=tmp_path)
    assert "nothing.onnx" in said and ENGINE in said, "the shipped engines are listed"
    said = refuses("sample", "--engine", "sub/vae.onnx", *PNG, cwd=tmp_path)
    assert "sub/vae.onnx" in said
    said = refuses("sample", "--engine", "vae.encoder.onnx", *PNG, cwd=tmp_path)
    assert "encoder" in said and "generator" in said


def build_plan(document: bytes, magic: bytes = b"vtrt", missing: int = 0) -> bytes:
    """Return bytes in the layout of a TensorRT plan, with the total length in the header."""
    body = bytes(48) + b"name" + document + bytes(1000)
    header = magic + bytes(4) + (2).to_bytes(8, "little")
    whole = header + (len(body) + 24).to_bytes(8, "little") + body
    return whole[: len(whole) - missing]


def manifest_in_plan(engine: bytes) -> bytes:
    """Return the engine's manifest as it appears in a plan."""
    document = engine[engine.index(b'{"schema"') :]
    whole = json.JSONDecoder().raw_decode(document.decode(errors="replace"))[0]
    # The digest is of another file.
    whole.pop("file_blake2b")
    tensors = {
        "inputs": [{"name": "latent", "dtype": "float32", "shape": ["N", 32]}],
        "outputs": [{"name": "image", "dtype": "uint8", "shape": ["N", 28, 28, 1]}],
    }
    built = {"target": "tensorrt-rtx", "tensorrt": "1.7", "buckets": [1, 64], "fp32_layers": []}
    return b"zoo.manifest:" + json.dumps(whole | {"plan": built | tensors}).encode()


BAD_PLANS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda text: b"", "empty"),
    "zeros": (lambda text: bytes(1000), "not a TensorRT plan"),
    "header only": (lambda text: build_plan(text)[:30], "truncated at byte 30"),
    "last byte missing": (lambda text: build_plan(text, missing=1), "truncated at byte"),
    "half": (lambda text: build_plan(text, missing=len(text) // 2), "truncated at byte"),
    "length of 2^63": (
        lambda text: build_plan(text)[:16] + (2**63).to_bytes(8, "little") + text,
        "truncated at byte",
    ),
    "longer": (lambda text: build_plan(text) + b"more", "bytes long, but the plan in it"),
    "no manifest": (lambda text: build_plan(b"network"), "no zoo.manifest"),
    "manifest without end": (lambda text: build_plan(text[:-9]), "manifest is incomplete"),
    "manifest not JSON": (
        lambda text: build_plan(text.replace(b":", b";").replace(b";", b":", 1)),
        "JSON",
    ),
    "manifest of an ONNX file": (
        lambda text: build_plan(text.replace(b'"plan"', b'"idea"')),
        "'plan': a plan's manifest must have this field",
    ),
    "manifest of the future": (
        lambda text: build_plan(re.sub(rb'"schema": \d', b'"schema": 9', text)),
        "schema 9",
    ),
}


@pytest.mark.parametrize("kind", BAD_PLANS)
def test_bad_plans(tmp_path: Path, engine_bytes: bytes, kind: str) -> None:
    make, problem = BAD_PLANS[kind]
    (tmp_path / "a.plan").write_bytes(make(manifest_in_plan(engine_bytes)))
    for args in (("sample", "--engine", "a.plan", *PNG), ("inspect", "a.plan")):
        said = refuses(*args, cwd=tmp_path)
        assert "a.plan" in said and re.search(problem, said), said


@pytest.mark.parametrize("name", ["a.plan", "a.engine", "a.part"])
@pytest.mark.parametrize("magic", [b"vtrt", b"ftrt"])
def test_plan_without_a_gpu(tmp_path: Path, engine_bytes: bytes, name: str, magic: bytes) -> None:
    """A plan can be described everywhere; running it is refused with the reason."""
    (tmp_path / name).write_bytes(build_plan(manifest_in_plan(engine_bytes), magic))
    missing = re.escape(why_no_gpu())
    said = refuses("sample", "--engine", name, *PNG, cwd=tmp_path)
    assert name in said and re.search(missing, said)
    assert "role" in succeeds("inspect", name, cwd=tmp_path)
    # Where there is a GPU, TensorRT refuses what is no network.
    kinds = DeviceUnavailableError if missing else (BackendUnavailableError, EngineFileError)
    with pytest.raises(kinds, match=missing):
        runtime.Generator(tmp_path / name)
    with pytest.raises(DeviceUnavailableError, match=r"use the \.onnx engine"):
        runtime.Generator(tmp_path / name, device="cpu")


def test_encoder_is_missing(tmp_path: Path, engine_bytes: bytes) -> None:
    (tmp_path / "alone.onnx").write_bytes(engine_bytes)
    Image.new("L", (28, 28)).save(tmp_path / "in.png")
    for args in (
        ("sample", "--from", "in.png", *PNG),
        ("interpolate", "in.png", "seed:1", *PNG),
        ("reconstruct", "in.png", *PNG),
    ):
        assert "alone.encoder.onnx" in refuses(*args, "--engine", "alone.onnx", cwd=tmp_path)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("-n", 0), "-n.*0"),
        (("-n", -1), "-n.*-1"),
        (("-n", "many"), "-n.*many"),
        (("-n", 10**30), "-n.*1000000"),
        (("--seed", 2**64), "--seed.*18446744073709551616"),
        (("--seed", -1), "--seed.*-1"),
        (("--first", 2**64), "--first.*18446744073709551616"),
        (("--first", 2**64 - 3, "-n", 4), "first.*64 bits"),
        (("--batch", 0), "--batch.*0"),
        (("--batch", 10**6), "batch.*1000000"),
        (("--instances", 0), "--instances.*0"),
        (("--backend", "abacus"), "backend.*abacus"),
        (("--precision", "fp7"), "precision.*fp7"),
        (("--device", "toaster"), "device.*toaster"),
        (("-n", 10**6), r"at most 4096.*\.npy"),
        (("--out", "new.jpg"), r"new\.jpg: expected \.png"),
        (("--out", "full"), "full.*not empty"),
        (("--out", "/proc/new.npy"), "/proc/new.npy"),
        (("--out", ""), "an argument is empty, after '--out'"),
        (("--from", "missing.png"), "missing.png.*No such file"),
        (("--from", "large.png"), "28×28 pixels, mode L; got 30×28, mode L .*--resize"),
        (("--from", "color.png"), "28×28 pixels, mode L; got 28×28, mode RGB .*--resize"),
        (("--from", "broken.png"), "broken.png"),
        (("--from", "text.png"), "text.png is not a picture"),
        (("--from", "empty.png"), "empty.png is empty"),
        (("--from", "nan.npy"), "nan.npy.*not finite"),
        (("--from", "two.npy"), "two.npy holds 2 images"),
        (("--frum", "a.png"), "--frum"),
    ],
)
def test_sample(tmp_path: Path, options: tuple[object, ...], problem: str) -> None:
    write_inputs(tmp_path)
    said = refuses("sample", "--engine", ENGINE, *PNG, *options, cwd=tmp_path)
    assert re.search(problem, said), said


def write_inputs(folder: Path) -> None:
    np.save(folder / "old.npy", np.zeros(3))
    (folder / "full").mkdir()
    (folder / "full" / "notes.txt").write_text("mine")
    Image.new("L", (30, 28)).save(folder / "large.png")
    Image.new("RGB", (28, 28)).save(folder / "color.png")
    (folder / "broken.png").write_bytes((folder / "color.png").read_bytes()[:50])
    (folder / "text.png").write_text("no picture")
    (folder / "empty.png").touch()
    np.save(folder / "nan.npy", np.full((28, 28), np.nan, np.float32))
    np.save(folder / "two.npy", np.zeros((2, 28, 28), np.uint8))


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("interpolate", "seed:x", "seed:1"), "seed:x"),
        (("interpolate", "seed:1", f"sample:{2**64}"), "sample:18446744073709551616"),
        (("interpolate", "seed:1", "missing.png"), "missing.png"),
        (("interpolate", "seed:1", "color.png"), "color.png.*mode RGB"),
        (("interpolate", "seed:1"), "argument 'B'"),
        (("interpolate", "seed:1", "seed:2", "--steps", 0), "--steps.*0"),
        (("interpolate", "seed:1", "seed:2", "--steps", 50_000), r"at most 4096.*\.npy"),
        (("interpolate", "seed:1", "seed:2", "--mode", "cubic"), "--mode.*cubic"),
        (("reconstruct", "nan.npy"), "nan.npy.*not finite"),
        (("reconstruct", "large.png"), "28×28 pixels, mode L; got 30×28"),
        (("reconstruct", "full"), "full holds no pictures"),
        (("reconstruct", "empty.png", "text.png"), "no image can be used: 2 skipped.*empty.png"),
        (("reconstruct", "two.npy", "-n", 0), "-n.*0"),
        (("reconstruct",), "'IMAGES...'"),
        (("reconstruct", "two.npy", "--out", "new.npy"), r"reconstructions must be a \.png"),
    ],
)
def test_other_commands(tmp_path: Path, arguments: tuple[object, ...], problem: str) -> None:
    write_inputs(tmp_path)
    name, *rest = arguments
    said = refuses(str(name), "--engine", ENGINE, *PNG, *rest, cwd=tmp_path)
    assert re.search(problem, said), said


def test_no_engine_given(tmp_path: Path) -> None:
    assert "--engine" in refuses("sample", cwd=tmp_path)


@pytest.mark.parametrize("out", ["new.npy", "new.npz", "new.gif", "new.png"])
def test_no_room_for_the_file(tmp_path: Path, out: str) -> None:
    # The file size limit of the process stands in for a full disk: write() fails half way.
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, 16_384))

    args = ("sample", "--engine", ENGINE, "-n", 300, "--out", out)
    said = refuses(*args, cwd=tmp_path, before=limit)
    assert re.search(rf"cannot write {out}: File too large", said), said


@pytest.mark.parametrize(
    ("module", "args"), [("train", ["vae", "--dry-run"]), ("elbo", ["vae.onnx"])]
)
def test_training_commands_say_what_they_need(module: str, args: list[str], tmp_path: Path) -> None:
    said = without("torch", module, *args, cwd=tmp_path)
    assert said == "error: this needs torch: pip install 'generator-zoo[train]'\n"
