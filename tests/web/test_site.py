"""`python -m zoo.page`: the folder that it writes, and what it refuses."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from base64 import b64encode
from pathlib import Path

import pytest

import shell
from runtime import manifest
from zoo import engine_path
from zoo.errors import ConfigError, OutputError
from zoo.web import PAGE, onnxruntime_web
from zoo.web.site import write_site


@pytest.fixture
def ort(tmp_path: Path) -> Path:
    folder = tmp_path / "package"
    (folder / "dist").mkdir(parents=True)
    for name in onnxruntime_web.FILES:
        (folder / "dist" / name).write_bytes(name.encode())
    return folder


def test_a_page_has_the_engines_with_their_companions(tmp_path: Path, ort: Path) -> None:
    site = tmp_path / "site"
    summary = write_site(["vae", "stylegan.onnx", "stargan"], str(site), ort=ort)
    assert summary.startswith("3 models, ")
    engines = json.loads((site / "engines" / "index.json").read_text())
    companions = {
        "vae.encoder",
        "stylegan.mapping",
        "stylegan.synthesis",
        "stargan.classifier",
    }
    assert set(engines) == {"vae", "stylegan", "stargan"} | companions
    for name, entry in engines.items():
        file = site / "engines" / f"{name}.onnx"
        shipped = engine_path(f"{name}.onnx")
        assert file.read_bytes() == shipped.read_bytes() and entry["bytes"] == file.stat().st_size
        described = json.loads((site / "engines" / f"{name}.json").read_text())
        assert described == manifest.read(shipped)
    sizes = json.loads((site / "ort" / "index.json").read_text())
    assert sizes == {name: len(name) for name in onnxruntime_web.FILES}
    page = (site / "index.html").read_text()
    assert 'data-source="local"' in page and "Content-Security-Policy" in page
    assert {path.name for path in (site / "page").iterdir()} == {p.name for p in PAGE.iterdir()}
    with pytest.raises(OutputError, match="not empty"):
        write_site(["vae"], str(site), ort=ort)
    write_site(["gan"], str(site), ort=ort, overwrite=True)
    assert {path.stem for path in (site / "engines").iterdir()} == {"gan", "index"}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["fashion-classifier"], "is a classifier, expected generator or translator"),
        (["vae", "vae.onnx"], "two engines have the name vae"),
        (["vae.encoder"], "is a encoder"),
        (["nothing"], "no such file"),
    ],
)
def test_engines_that_no_page_shows(
    tmp_path: Path, ort: Path, names: list[str], message: str
) -> None:
    with pytest.raises(Exception, match=message):
        write_site(names, str(tmp_path / "site"), ort=ort)
    assert not (tmp_path / "site").exists()


def fake_npm(folder: Path, archive: bytes | None) -> None:
    """A program `npm` that packs this archive, or fails as without a network."""
    folder.mkdir()
    (folder / "archive").write_bytes(archive or b"")
    script = f'for last; do :; done; cp {folder}/archive "$last/package.tgz"'
    if archive is None:
        script = 'echo "npm ERR! code ENOTFOUND" >&2; exit 1'
    (folder / "npm").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "npm").chmod(0o755)


def packed() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name in onnxruntime_web.FILES:
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = 3
            archive.addfile(member, io.BytesIO(b"abc"))
    return file.getvalue()


def test_the_package_is_downloaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = packed()
    fake_npm(tmp_path / "bin", archive)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(ConfigError, match="the checksum of the download is"):
        onnxruntime_web.locate()
    digest = b64encode(hashlib.sha512(archive).digest()).decode()
    monkeypatch.setattr(onnxruntime_web, "INTEGRITY", digest)
    place = onnxruntime_web.locate()
    assert [(place / name).read_bytes() for name in onnxruntime_web.FILES] == [b"abc"] * 3
    monkeypatch.setenv("PATH", "")
    assert onnxruntime_web.locate() == place


def test_what_to_do_without_npm_or_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fake_npm(tmp_path / "bin", None)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    with pytest.raises(ConfigError, match="ENOTFOUND.*is there a network.*--ort"):
        onnxruntime_web.locate()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match="npm, .*is not installed.*--ort"):
        onnxruntime_web.locate()
    with pytest.raises(ConfigError, match="--ort: expected ort.wasm.min.mjs"):
        onnxruntime_web.locate(tmp_path)


def test_the_command(tmp_path: Path, ort: Path) -> None:
    options = ("--engine", "linear-ae", "--ort", ort, "--out", "site")
    assert shell.succeeds("page", *options, cwd=tmp_path).startswith("1 models, ")
    assert "not empty" in shell.refuses("page", *options, cwd=tmp_path)
