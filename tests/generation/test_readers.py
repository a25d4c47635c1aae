"""Shards as the packages read them that people train with: webdataset, datasets, pyarrow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime import Generator
from shards import make
from zoo import engine_path


@pytest.fixture(scope="module", params=["cgan", "vae-faces"])
def engine(request: pytest.FixtureRequest) -> str:
    """A grey engine with classes, and one in colour without."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def expected(engine: str) -> list[dict[str, Any]]:
    """The images of the data set and what is known of them, from the runtime."""
    with Generator(engine_path(f"{engine}.onnx"), instances=1) as generator:
        rows = []
        for row, image in enumerate(generator.sample(100, seed=5, first=7)):
            about: dict[str, Any] = {"seed": 5, "index": 7 + row}
            if generator.class_count:
                about["label"] = (7 + row) % generator.class_count
                about["class"] = generator.classes[about["label"]]
            rows.append({"image": image, "about": about})
        return rows


def as_array(picture: Any) -> np.ndarray:
    image = np.asarray(picture)
    return image[:, :, None] if image.ndim == 2 else image


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Folder for the caches of `datasets`, which asks nobody for anything."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    return tmp_path / "cache"


def test_webdataset(tmp_path: Path, engine: str, expected: list[dict[str, Any]]) -> None:
    import webdataset

    make(tmp_path / "set", engine=engine)
    urls = str(tmp_path / "set" / "{00000000..00000002}.tar")
    samples = list(webdataset.WebDataset(urls, shardshuffle=False).decode("pil"))
    assert len(samples) == len(expected)
    for sample, row in zip(samples, expected, strict=True):
        about = row["about"]
        assert sample["__key__"] == f"{about['index']:020}"
        # The package makes colours of grey.
        height, width, _ = row["image"].shape
        colours = np.broadcast_to(row["image"], (height, width, 3))
        assert np.array_equal(sample["png"], colours)
        assert sample["json"] == about
        assert sample.get("cls") == about.get("label")
        assert sample.get("txt") == about.get("class")


def test_webdataset_in_a_loader_with_workers(tmp_path: Path) -> None:
    import webdataset
    from torch.utils.data import DataLoader

    make(tmp_path / "set")
    urls = str(tmp_path / "set" / "{00000000..00000002}.tar")
    shards = webdataset.WebDataset(urls, shardshuffle=False)
    loader = DataLoader(shards.decode("torch").to_tuple("png", "cls", "json"), None, num_workers=2)
    indices = [about["index"] for image, label, about in loader]
    assert sorted(indices) == list(range(7, 107))


@pytest.mark.parametrize("format", ["parquet", "webdataset"])
def test_datasets(
    tmp_path: Path, offline: Path, engine: str, expected: list[dict[str, Any]], format: str
) -> None:
    import datasets

    make(tmp_path / "set", engine=engine, format=format)
    suffix = {"parquet": "parquet", "webdataset": "tar"}[format]
    read = datasets.load_dataset(
        format,
        data_files=str(tmp_path / "set" / f"*.{suffix}"),
        split="train",
        cache_dir=str(offline),
    )
    assert len(read) == len(expected)
    if format == "parquet":
        classes = [row["about"].get("class") for row in expected[:10]]
        label = read.features.get("label")
        assert label is None or [label.int2str((7 + r) % 10) for r in range(10)] == classes
        assert (label is None) == (classes[0] is None)
    for sample, row in zip(read, expected, strict=True):
        image = sample["image"] if format == "parquet" else sample["png"]
        assert np.array_equal(as_array(image), row["image"])
        about = sample if format == "parquet" else sample["json"]
        for name in {"seed", "index", "label"} & row["about"].keys():
            assert about[name] == row["about"][name]


def test_datasets_streams_parquet(tmp_path: Path, offline: Path) -> None:
    import datasets

    make(tmp_path / "set", format="parquet")
    files = str(tmp_path / "set" / "*.parquet")
    read = datasets.load_dataset("parquet", data_files=files, split="train", streaming=True)
    assert [sample["index"] for sample in read.skip(38).take(4)] == [45, 46, 47, 48]


def test_pyarrow_finds_a_class(tmp_path: Path) -> None:
    import pyarrow.dataset

    make(tmp_path / "set", format="parquet")
    files = sorted(map(str, (tmp_path / "set").glob("*.parquet")))
    read = pyarrow.dataset.dataset(files, format="parquet")
    assert read.count_rows() == 100
    bags = read.to_table(columns=["index"], filter=pyarrow.dataset.field("label") == 8)
    assert bags["index"].to_pylist() == list(range(8, 107, 10))
    assert read.schema.field("seed").type == read.schema.field("index").type == pyarrow.uint64()
