"""The digest of an engine file: any damage is noticed, and Python computes it too."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest

import runtime
from changed_engines import manifest_of
from export import manifest
from export.manifest import attach, read_digest, seal, with_blank_digest
from export.plan import builder, pipeline
from runtime.errors import EngineFileError, ManifestError
from shell import succeeds
from zoo.engines import WEIGHTS
from zoo.evaluation.engine_features import EngineFeatures
from zoo.models import weights
from zoo.plans import DIGEST

OPTIONS = pipeline.Options("tensorrt-rtx", batch=(1,))
SHIPPED = sorted(WEIGHTS.glob("*.onnx"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_files(path: Path) -> None:
    """By hashlib, and by the runtime."""
    content = path.read_bytes()
    digest = runtime.manifest.verify(path)[DIGEST]
    assert content.count(digest.encode()) == 1
    blank = content.replace(digest.encode(), b"0" * 64)
    assert hashlib.blake2b(blank, digest_size=32).hexdigest() == digest


@pytest.mark.parametrize("length", [0, 1, 63, 64, 127, 128, 129, 255, 256, 257, 1000])
def test_files_of_any_length(length: int, tmp_path: Path) -> None:
    """Blocks are of 128 bytes; a last one that is full is treated as one that is not."""
    model = onnx.load(WEIGHTS / "linear-ae.onnx")
    document = json.loads(manifest_of(model).value)
    attach(model, document | {"filling": "x" * length})
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    assert runtime.manifest.verify(tmp_path / "a.onnx")["filling"] == "x" * length


def test_damage_anywhere(tmp_path: Path) -> None:
    """One bit, a block of zeros, two bytes in each other's place: no such file gives images."""
    whole = (WEIGHTS / "linear-ae.onnx").read_bytes()
    random = np.random.default_rng(5)
    path = tmp_path / "damaged.onnx"
    tried = 0
    for place in random.integers(0, len(whole) - 8, 300):
        content = bytearray(whole)
        kind = tried % 3
        if kind == 0:
            content[place] ^= 1 << int(random.integers(8))
        elif kind == 1:
            content[place : place + 8] = bytes(8)
        else:
            content[place], content[place + 5] = content[place + 5], content[place]
        if content == whole:
            continue
        path.write_bytes(content)
        with pytest.raises(EngineFileError):
            runtime.Generator(path)
        tried += 1
    assert tried > 200


def test_a_changed_manifest(tmp_path: Path) -> None:
    model = onnx.load(WEIGHTS / "linear-ae.onnx")
    entry = manifest_of(model)
    entry.value = json.dumps(json.loads(entry.value) | {"attributes": ["old"]})
    path = tmp_path / "a.onnx"
    onnx.save(model, path)
    with pytest.raises(EngineFileError, match=r"a\.onnx' is damaged, or was changed .* digest"):
        runtime.Generator(path)
    assert runtime.manifest.read(path)["attributes"] == ["old"], "it can be looked at"
    output = succeeds("inspect", path, cwd=tmp_path)
    assert "old" in output and "unusable  engine file" in output and "digest" in output


def test_what_reads_weights_looks_at_the_digest(tmp_path: Path) -> None:
    """PyTorch's model of an engine, an engine as a feature network, and what a plan is made of."""
    pytest.importorskip("tensorrt_rtx_bindings")
    for name, read in (
        ("vae.onnx", weights.load_engine),
        ("fashion-classifier.onnx", lambda path: EngineFeatures(str(path))),
        ("linear-ae.onnx", lambda path: pipeline.export(path, tmp_path / "a.plan", OPTIONS)),
    ):
        content = bytearray((WEIGHTS / name).read_bytes())
        content[len(content) // 2] ^= 1
        (tmp_path / name).write_bytes(content)
        with pytest.raises(EngineFileError, match="digest"):
            read(tmp_path / name)


@pytest.mark.parametrize("digest", ["", "0" * 63, "g" * 64, "A" * 64, 5, None])
def test_what_is_no_digest(digest: object) -> None:
    document = runtime.manifest.read(WEIGHTS / "linear-ae.onnx")
    with pytest.raises(ManifestError, match="'file_blake2b': expected 64 hexadecimal digits"):
        runtime.manifest.validate(document | {DIGEST: digest})


def test_plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorRT builds the same plan around other digits, so that they may be filled in afterwards;
    and a plan with one bit wrong is refused, without a GPU."""
    pytest.importorskip("tensorrt_rtx_bindings")
    built = []
    monkeypatch.setattr(builder, "seal", lambda content: built.append(content) or seal(content))
    path = tmp_path / "a.plan"
    for digit in "07":
        monkeypatch.setattr(manifest, "_BLANK", 64 * digit)
        if digit == "7":
            # The digest is of a file with zeros.
            with pytest.raises(EngineFileError, match="digest"):
                pipeline.export(WEIGHTS / "linear-ae.onnx", path, OPTIONS)
        else:
            pipeline.export(WEIGHTS / "linear-ae.onnx", path, OPTIONS)
    first, second = built
    assert second.count(b"7" * 64) == 1
    assert second.replace(b"7" * 64, b"0" * 64) == first
    whole = path.read_bytes()
    digest = runtime.manifest.verify(path)[DIGEST]
    assert whole.replace(digest.encode(), b"0" * 64) == first
    for place in range(100, len(whole), len(whole) // 20):
        content = bytearray(whole)
        content[place] ^= 16
        path.write_bytes(content)
        with pytest.raises(EngineFileError):
            runtime.manifest.verify(path)


def test_seal_fills_every_copy() -> None:
    text = json.dumps(with_blank_digest({"schema": 2, "model": "a", DIGEST: "f" * 64})).encode()
    content = b"head" + text + b"middle" + text
    sealed = seal(content)
    digest = read_digest(sealed)
    assert sealed.count(digest.encode()) == 2
    assert hashlib.blake2b(content, digest_size=32).hexdigest() == digest
