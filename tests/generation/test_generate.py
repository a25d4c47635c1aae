"""Data sets in shards: the images of the runtime, whatever is killed, missing or damaged."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from runtime import Generator
from shards import contents, make, read_png
from zoo import engine_path


@pytest.fixture(scope="module")
def cgan() -> Iterator[Generator]:
    with Generator(engine_path("cgan.onnx"), instances=1) as generator:
        yield generator


def test_webdataset(tmp_path: Path, cgan: Generator) -> None:
    assert make(tmp_path / "set").startswith(f"{tmp_path}/set: 3 shards made, 0 kept; 100 images")
    images = cgan.sample(100, seed=5, first=7)
    row = 0
    for shard, count in enumerate((40, 40, 20)):
        with tarfile.open(tmp_path / "set" / f"{shard:08}.tar") as archive:
            members = archive.getmembers()
            assert {(m.mtime, m.uid, m.gid, m.mode, m.type) for m in members} == {
                (0, 0, 0, 0o644, tarfile.REGTYPE)
            }
            files = {m.name: archive.extractfile(m).read() for m in members}  # type: ignore[union-attr]
        assert len(files) == 4 * count
        for _ in range(count):
            key, label = f"{7 + row:020}", (7 + row) % 10
            assert np.array_equal(read_png(files[f"{key}.png"]), images[row])
            assert json.loads(files[f"{key}.json"]) == {
                "seed": 5,
                "index": 7 + row,
                "label": label,
                "class": cgan.classes[label],
            }
            assert files[f"{key}.cls"] == str(label).encode()
            assert files[f"{key}.txt"] == cgan.classes[label].encode()
            row += 1


def test_npy_and_png(tmp_path: Path, cgan: Generator) -> None:
    labels = [cgan.classes.index("Bag"), 3]
    images = cgan.sample(100, seed=5, first=7, labels=labels, cycle=True)
    make(tmp_path / "npy", format="npy", labels="Bag,3")
    parts = [np.load(tmp_path / "npy" / f"{shard:08}.npy") for shard in range(3)]
    assert np.array_equal(np.concatenate(parts), images)
    make(tmp_path / "png", format="png", labels="Bag,3")
    row = 0
    for shard in range(3):
        folder = tmp_path / "png" / f"{shard:08}"
        for line in (folder / "images.jsonl").read_text().splitlines():
            about = json.loads(line)
            assert about["index"] == 7 + row and about["label"] == labels[(7 + row) % 2]
            assert np.array_equal(read_png((folder / about["file"]).read_bytes()), images[row])
            row += 1
    assert row == 100


def test_parquet(tmp_path: Path, cgan: Generator) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    make(tmp_path / "set", format="parquet")
    images = cgan.sample(100, seed=5, first=7)
    row = 0
    for shard in range(3):
        table = parquet.read_table(tmp_path / "set" / f"{shard:08}.parquet")
        features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
        assert features["image"] == {"_type": "Image"}
        assert features["label"] == {"names": cgan.classes, "_type": "ClassLabel"}
        for entry in table.to_pylist():
            assert (entry["seed"], entry["index"]) == (5, 7 + row)
            assert entry["label"] == (7 + row) % 10
            assert np.array_equal(read_png(entry["image"]["bytes"]), images[row])
            row += 1
    assert row == 100


@pytest.mark.parametrize("format", ["webdataset", "parquet", "npy", "png"])
def test_what_is_missing_or_damaged_is_made_again(tmp_path: Path, format: str) -> None:
    folder = tmp_path / "set"
    make(folder, format=format)
    before = contents(folder)
    assert "0 shards made, 3 kept" in make(folder, format=format)
    assert "3 shards as they should be" in make(folder, format=format, verify=True)
    name = {"webdataset": "1.tar", "parquet": "1.parquet", "npy": "1.npy", "png": "1"}[format]
    shard = folder / f"0000000{name}"
    damaged = shard if shard.is_file() else sorted(shard.iterdir())[3]
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(Exception, match=f"1 of 3 shards: 0000000{name} is damaged"):
        make(folder, format=format, verify=True)
    assert "1 shard made, 2 kept" in make(folder, format=format)
    assert contents(folder) == before
    if shard.is_dir():
        for path in shard.iterdir():
            path.unlink()
        shard.rmdir()
    else:
        shard.unlink()
    with pytest.raises(Exception, match="is missing"):
        make(folder, format=format, verify=True)
    assert "1 shard made, 2 kept" in make(folder, format=format)
    assert contents(folder) == before


def test_parts_and_workers_make_the_same_bytes(tmp_path: Path) -> None:
    make(tmp_path / "whole", count=250)
    make(tmp_path / "many", count=250, workers=3)
    for part in ("2/3", "0/3", "1/3"):
        make(tmp_path / "parts", count=250, part=part)
    assert contents(tmp_path / "whole") == contents(tmp_path / "many")
    assert contents(tmp_path / "whole") == contents(tmp_path / "parts")
    assert len(list((tmp_path / "parts").glob("index-*-of-00003.jsonl"))) == 3
    assert "7 shards as they" in make(tmp_path / "parts", count=250, verify=True)
    # A longer run keeps all but the last, shorter shard.
    assert "2 shards made, 6 kept" in make(tmp_path / "parts", count=300)


def test_another_run_is_not_overwritten_unasked(tmp_path: Path) -> None:
    make(tmp_path / "set")
    before = contents(tmp_path / "set")
    with pytest.raises(Exception, match="holds a run with another seed: choose another --out"):
        make(tmp_path / "set", seed=6)
    assert contents(tmp_path / "set") == before
    assert "3 shards made, 0 kept" in make(tmp_path / "set", seed=6, overwrite=True)
    assert contents(tmp_path / "set") != before


def test_an_index_with_a_torn_line(tmp_path: Path) -> None:
    make(tmp_path / "set")
    index = tmp_path / "set" / "index.jsonl"
    lines = index.read_text().splitlines(keepends=True)
    index.write_text("".join(lines[:2]) + lines[2][:30])
    assert "1 shard made, 2 kept" in make(tmp_path / "set")
    assert len(index.read_text().splitlines()) == 4
    assert "0 shards made, 3 kept" in make(tmp_path / "set")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-n", "0"], "expected an integer of at least 1"),
        (["-n", "1e"], "expected an integer"),
        (["-n", "10", "--part", "3/3"], "--part: expected i/N"),
        (["-n", "10", "--part", "x"], "--part: expected i/N"),
        (["-n", "10", "--first", str(2**64 - 9)], "--first: the indices"),
        (["-n", "10", "--labels", "Hat"], "labels: expected a class"),
        (["-n", "10", "--truncation", "0.5"], "truncation"),
        (["-n", "10", "--prior", "mixture"], "has no learned prior"),
        (["-n", "10", "--engine", "vae.encoder"], "role"),
        (["-n", "10", "--verify"], "1 of 1 shards: 00000000.tar is not in the index"),
        (["-n", "10", "--out", "/proc/set"], "cannot write"),
    ],
)
def test_bad_input(tmp_path: Path, options: list[str], message: str) -> None:
    command = [sys.executable, "-m", "zoo.generate", "--engine", "cgan"]
    command += ["--out", str(tmp_path / "set"), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("error: ") and message in done.stderr


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "set").write_text("a file")
    with pytest.raises(Exception, match="cannot write"):
        make(tmp_path / "set")
