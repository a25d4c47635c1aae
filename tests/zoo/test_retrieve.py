"""zoo.retrieve as a process: neighbours against brute force; other files are refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import cv2
import faiss
import numpy as np
import pytest
from PIL import Image

import zoo
from shell import ENGINE, peak_memory, refuses, run, succeeds
from zoo.applications import retrieval
from zoo.applications.retrieval import Index
from zoo.data import DataSet
from zoo.engines import encoder_path, open_encoder_for
from zoo.errors import ConfigError, DataError
from zoo.inference.inputs import open_source

HELD = 2000
SHAPE = (28, 28, 1)
DATA = ("--data", "fashion-mnist")
LINEAR = "linear-ae.encoder.onnx"
"""Another encoder, of fewer values."""


def brute_force(queries: np.ndarray, held: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return distances and rows [n, k] of the nearest, in float64, ties in order."""
    apart = queries[:, None].astype(np.float64) - held[None].astype(np.float64)
    distances = np.sqrt(np.square(apart).sum(axis=2))
    rows = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, rows, 1), rows


@pytest.fixture(scope="module")
def latents(fashion_mnist: DataSet) -> tuple[np.ndarray, np.ndarray]:
    """Latents of the indexed images and of 50 queries."""
    with open_encoder_for(ENGINE) as encoder:
        held = encoder.encode(fashion_mnist.train.images[:HELD])[0]
        return held, encoder.encode(fashion_mnist.test.images[:50])[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an index of each kind."""
    folder = tmp_path_factory.mktemp("indexes")
    for kind in ("flat", "hnsw", "ivf"):
        args = ("--engine", ENGINE, *DATA, "--split", "train", "-n", HELD, "--kind", kind)
        said = succeeds("retrieve", "build", *args, "--out", f"{kind}.index", cwd=folder)
        words = rf"2,000 images in \S+ s, [\d,]+ images/s \(\w+\): {kind}.index, {kind}, \S+ MB\n"
        assert re.fullmatch(words, said)
    return folder


def parse_tables(said: str) -> list[list[list[str]]]:
    """Split a query's output into tables of cells."""
    return [
        [re.split(r"\s{2,}", line.strip()) for line in block.splitlines()]
        for block in said.rstrip("\n").split("\n\n")
    ]


def test_query_prints_the_nearest(
    folder: Path, latents: tuple[np.ndarray, np.ndarray], fashion_mnist: DataSet
) -> None:
    args = ("--engine", ENGINE, "--index", "flat.index", *DATA, "-n", 3, "-k", 7)
    tables = parse_tables(succeeds("retrieve", "query", *args, cwd=folder))
    distances, rows = brute_force(latents[1][:3], latents[0], 7)
    labels = fashion_mnist.train.labels
    assert labels is not None and len(tables) == 3
    for query, (name, head, *hits) in enumerate(tables):
        assert (name, head) == ([str(query)], ["rank", "name", "label", "distance"])
        assert [int(hit[0]) for hit in hits] == list(range(1, 8))
        assert [int(hit[1]) for hit in hits] == rows[query].tolist()
        expected = [fashion_mnist.classes[label] for label in labels[rows[query]]]
        assert [hit[2] for hit in hits] == expected
        assert [float(hit[3]) for hit in hits] == pytest.approx(distances[query], abs=6e-5)


def test_query_shows_the_nearest(
    folder: Path, tmp_path: Path, latents: tuple[np.ndarray, np.ndarray], fashion_mnist: DataSet
) -> None:
    """OpenCV finds them in the picture: the query at the left, then the hits in order."""
    args = ("--engine", ENGINE, "--index", folder / "flat.index", *DATA, "-n", 2, "-k", 4)
    said = succeeds("retrieve", "query", *args, "--out", "hits.png", cwd=tmp_path)
    assert said.endswith("\n\nhits.png\n")
    with Image.open(tmp_path / "hits.png") as opened:
        picture = np.asarray(opened.convert("L"))
    _, rows = brute_force(latents[1][:2], latents[0], 4)
    heights = []
    for query, hits in enumerate(rows):
        images = [fashion_mnist.test.images[query], *fashion_mnist.train.images[hits]]
        places = []
        for image in images:
            tile = image[..., 0].repeat(3, 0).repeat(3, 1)
            apart = cv2.matchTemplate(picture, tile, cv2.TM_SQDIFF)
            _, _, (left, top), _ = cv2.minMaxLoc(apart)
            np.testing.assert_array_equal(picture[top : top + 84, left : left + 84], tile)
            places.append((left, top))
        lefts, tops = zip(*places, strict=True)
        assert len(set(tops)) == 1 and len(set(np.diff(lefts))) == 1 and lefts[0] < lefts[1]
        heights.append(tops[0])
    assert heights[0] < heights[1]


def test_query_by_pictures_against_a_folder(tmp_path: Path, fashion_mnist: DataSet) -> None:
    """Names are paths, there are no labels, and an image has distance 0 to itself."""
    (tmp_path / "d" / "deep").mkdir(parents=True)
    for index in range(12):
        place = tmp_path / "d" / ("deep" if index % 2 else "") / f"{index}.png"
        Image.fromarray(fashion_mnist.test.images[index, ..., 0]).save(place)
    (tmp_path / "d" / "junk.png").write_bytes(b"junk")
    build = ("build", "--engine", ENGINE, "--out", "a.index", "d")
    assert "junk.png is not a picture" in refuses("retrieve", *build, "--strict", cwd=tmp_path)
    done = run("retrieve", *build, cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.startswith("12 images in ")
    assert done.stderr == "skipped d/junk.png: is not a picture, .npy, .npz or IDX file\n"
    args = ("query", "--engine", ENGINE, "--index", "a.index", "d/deep/3.png", "-k", 12)
    ((name, head, *hits),) = parse_tables(succeeds("retrieve", *args, cwd=tmp_path))
    assert (name, head) == (["3.png"], ["rank", "name", "distance"])
    assert hits[0] == ["1", "deep/3.png", "0.0000"]
    expected = {f"{'deep/' if i % 2 else ''}{i}.png" for i in range(12)}
    assert {hit[1] for hit in hits} == expected
    assert "-k 13 is more than the 12 images of a.index" in refuses(
        "retrieve", *args[:-1], 13, cwd=tmp_path
    )


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivf"])
@pytest.mark.parametrize("k", [1, 10, 300])
def test_search_is_that_of_brute_force(
    folder: Path, latents: tuple[np.ndarray, np.ndarray], kind: str, k: int
) -> None:
    index = Index(str(folder / f"{kind}.index"))
    distances, rows = index.search(latents[1], k)
    expected, nearest = brute_force(latents[1], latents[0], k)
    own = np.sqrt(np.square(latents[0][rows].astype(np.float64) - latents[1][:, None]).sum(axis=2))
    np.testing.assert_allclose(distances, own, rtol=1e-6)
    assert (np.diff(distances, axis=1) >= 0).all() and rows.shape == (50, k)
    found = np.mean([len(np.intersect1d(a, b)) / k for a, b in zip(rows, nearest, strict=True)])
    if kind == "flat":
        np.testing.assert_allclose(distances, expected, rtol=1e-6)
        assert found > 0.9999
    else:
        assert found > 0.85


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivf"])
def test_queries_that_are_no_latents_are_refused(
    folder: Path, latents: tuple[np.ndarray, np.ndarray], kind: str
) -> None:
    index, queries = Index(str(folder / f"{kind}.index")), latents[1][:2]
    for wrong in (queries[:, :5], queries[0], queries[:0]):
        with pytest.raises(ConfigError, match="latents: expected shape"):
            index.search(wrong, 3)
    for value in (np.nan, np.inf):
        with pytest.raises(ConfigError, match="latents: expected finite numbers"):
            index.search(np.full_like(queries, value), 3)


@pytest.mark.parametrize("kind", ["flat", "hnsw", "ivf"])
def test_all_images_can_be_asked_for(
    folder: Path, latents: tuple[np.ndarray, ...], kind: str
) -> None:
    """If an approximate index finds too few, the rest is found exactly."""
    _, rows = Index(str(folder / f"{kind}.index")).search(latents[1][:5], HELD)
    assert all(sorted(found) == list(range(HELD)) for found in rows)


def test_equal_images_come_in_their_order_at_no_distance(
    tmp_path: Path, fashion_mnist: DataSet
) -> None:
    same = np.repeat(fashion_mnist.test.images[:40], 3, axis=0)
    np.save(tmp_path / "same.npy", same)
    with open_encoder_for(ENGINE) as encoder:
        source = open_source([str(tmp_path / "same.npy")], None, "test", SHAPE)
        assert retrieval.build(encoder, source, str(tmp_path / "a.index")) == 120
        queries = encoder.embed(same[::3])
    distances, rows = Index(str(tmp_path / "a.index")).search(queries, 3)
    np.testing.assert_array_equal(rows, np.arange(120).reshape(40, 3))
    assert not distances.any(), "exactly 0, though faiss expands the square"


def test_the_file_is_plain_arrays(folder: Path, tmp_path: Path, fashion_mnist: DataSet) -> None:
    with np.load(folder / "flat.index", allow_pickle=False) as held:
        np.testing.assert_array_equal(held["pictures"], fashion_mnist.train.images[:HELD])
        assert fashion_mnist.train.labels is not None
        np.testing.assert_array_equal(held["labels"], fashion_mnist.train.labels[:HELD])
        assert held["names"].tolist() == [str(index) for index in range(HELD)]
        assert faiss.deserialize_index(held["index"]).ntotal == HELD
        about = json.loads(str(held["about"]))
    encoder = encoder_path(zoo.engine_path(ENGINE))
    assert about["encoder"]["sha256"] == sha256sum(encoder)
    assert (about["encoder"]["file"], about["encoder"]["model"]) == ("vae.encoder.onnx", "vae")
    assert about["source"] == "fashion-mnist train"
    assert about["versions"] == {"generator-zoo": zoo.__version__, "faiss": faiss.__version__}
    args = ("build", "--engine", ENGINE, *DATA, "--split", "train", "-n", HELD, "--out")
    succeeds("retrieve", *args, "again.index", cwd=tmp_path)
    assert (tmp_path / "again.index").read_bytes() == (folder / "flat.index").read_bytes()
    succeeds("retrieve", *args, "small.index", "--no-pictures", cwd=tmp_path)
    sizes = [(tmp_path / name).stat().st_size for name in ("again.index", "small.index")]
    assert sizes[0] - sizes[1] >= HELD * 784
    small = Index(str(tmp_path / "small.index"))
    with pytest.raises(DataError, match="holds no pictures"):
        small.pictures(np.arange(2))
    query = ("--engine", ENGINE, "--index", "small.index", *DATA, "-n", 1)
    succeeds("retrieve", "query", *query, cwd=tmp_path)
    said = refuses("retrieve", "query", *query, "--out", "a.png", cwd=tmp_path)
    assert "small.index was built with --no-pictures" in said


def sha256sum(path: Path) -> str:
    return subprocess.run(
        ["sha256sum", str(path)], capture_output=True, text=True, check=True
    ).stdout.split()[0]


# What is not an index


def test_an_index_of_another_engine_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "flat.index", tmp_path)
    args = ("--engine", LINEAR, "--index", "flat.index", *DATA)
    said = refuses("retrieve", "query", *args, cwd=tmp_path)
    ours, theirs = (
        sha256sum(path)[:12]
        for path in (encoder_path(zoo.engine_path(ENGINE)), zoo.engine_path(LINEAR))
    )
    assert f"built with vae.encoder.onnx (SHA-256 {ours}…)" in said
    assert f"not with {LINEAR} ({theirs}…)" in said
    # A copy under another name is the same engine.
    shutil.copy(encoder_path(zoo.engine_path(ENGINE)), tmp_path / "copy.encoder.onnx")
    args = ("--engine", "copy.encoder.onnx", *args[2:], "-n", 1)
    succeeds("retrieve", "query", *args, cwd=tmp_path)


def test_damaged_files_are_refused(folder: Path, tmp_path: Path) -> None:
    """Truncated anywhere or with a flipped bit, a file never gives another answer."""
    os.mkfifo(tmp_path / "pipe.index")
    with pytest.raises(DataError, match=r"pipe\.index is not a file"):
        Index(str(tmp_path / "pipe.index"))
    random_ = np.random.default_rng(1)
    for kind in ("flat", "hnsw", "ivf"):
        content = (folder / f"{kind}.index").read_bytes()
        path = tmp_path / "bad.index"
        for place in random_.integers(0, len(content) - 1, 20):
            path.write_bytes(content[:place])
            with pytest.raises(DataError, match=r"bad\.index"):
                Index(str(path))
        for place in random_.integers(1000, len(content) - 2000, 20):
            damaged = bytearray(content)
            damaged[place] ^= 1 << random_.integers(8)
            path.write_bytes(damaged)
            with pytest.raises(DataError, match=r"bad\.index"):
                Index(str(path)).pictures(np.arange(HELD))


def forge(folder: Path, tmp_path: Path, kind: str = "flat", **arrays: object) -> Path:
    """Write an index with some arrays replaced and valid checksums."""
    with np.load(folder / f"{kind}.index", allow_pickle=False) as held:
        parts = {name: held[name] for name in held.files}
    path = tmp_path / "forged.npz"
    np.savez(path, **(parts | arrays))  # type: ignore[arg-type]
    return path


def test_files_whose_parts_do_not_fit_are_refused(folder: Path, tmp_path: Path) -> None:
    with np.load(folder / "flat.index") as held:
        about = json.loads(str(held["about"]))
    other = faiss.IndexFlatIP(32)
    other.add(np.zeros((HELD, 32), np.float32))
    short = faiss.IndexFlatL2(32)
    short.add(np.zeros((HELD - 1, 32), np.float32))
    cases: list[tuple[dict[str, object], str]] = [
        ({"index": faiss.serialize_index(other)}, "not contain an index of the kind flat"),
        ({"index": faiss.serialize_index(short)}, "parts are inconsistent"),
        ({"index": np.zeros(3)}, "not contain an index of the kind flat"),
        ({"names": np.array(["one"])}, "parts are inconsistent"),
        ({"labels": np.zeros(3, np.int64)}, "parts are inconsistent"),
        ({"about": np.array("{}")}, "is not an index"),
        ({"about": np.array("not JSON")}, "cannot read"),
        ({"about": np.array("[" * 100_000)}, "cannot read the index"),
        (
            {"about": np.array(json.dumps(about | {"version": 2}))},
            "has version 2, expected version 1",
        ),
        ({"about": np.array(json.dumps(about | {"kind": "hnsw"}))}, "an index of the kind hnsw"),
        ({"about": np.array(json.dumps(about | {"count": "many"}))}, "is damaged"),
        ({"about": np.array(json.dumps({**about, "encoder": {}}))}, "is damaged"),
    ]
    for arrays, message in cases:
        with pytest.raises(DataError, match=message):
            Index(str(forge(folder, tmp_path, **arrays)))
    with pytest.raises(DataError, match="its pictures are"):
        Index(str(forge(folder, tmp_path, pictures=np.zeros((3, 2, 2, 1), np.uint8)))).pictures(
            np.arange(1)
        )


def test_a_graph_that_leads_nowhere_is_not_followed(folder: Path, tmp_path: Path) -> None:
    with np.load(folder / "hnsw.index", allow_pickle=False) as held:
        content = held["index"]
    index = faiss.deserialize_index(content)
    graph = index.hnsw
    links = faiss.vector_to_array(graph.neighbors)
    levels = faiss.vector_to_array(graph.levels)
    start = content.tobytes().index(links.tobytes())
    ends = faiss.vector_to_array(graph.cum_nneighbor_per_level)
    offsets = faiss.vector_to_array(graph.offsets)
    high = int(np.flatnonzero(levels > 1)[0])
    low = int(np.flatnonzero(levels == 1)[0])
    for slot, target in ((0, HELD), (0, -2), (int(offsets[high] + ends[1]), low)):
        bad = links.copy()
        bad[slot] = target
        forgery = content.copy()
        forgery[start : start + bad.nbytes] = np.frombuffer(bad.tobytes(), np.uint8)
        with pytest.raises(DataError, match="is damaged"):
            Index(str(forge(folder, tmp_path, "hnsw", index=forgery)))
    Index(str(forge(folder, tmp_path, "hnsw", index=content)))


REFUSED = {
    "nothing to index": (("build", "--out", "a.index"), "expected IMAGES or --data SET"),
    "no name": (("build", "good.npy"), "Missing option '--out'"),
    "not a number": (("build", "nan.npy", "--out", "a.index"), "values that are not finite"),
    "empty folder": (("build", "empty", "--out", "a.index"), "empty holds no pictures"),
    "nowhere": (("build", "good.npy", "--out", "no/a.index"), "there is no folder"),
    "in the way": (("build", "good.npy", "--out", "empty"), "is not a regular file"),
    "no such kind": (("build", "good.npy", "--out", "a.index", "--kind", "lsh"), "'lsh'"),
    "no file": (("query", "good.npy", "--index", "no.index"), "cannot read no.index"),
    "a folder": (("query", "good.npy", "--index", "empty"), "empty is not a file"),
    "an array": (("query", "good.npy", "--index", "good.npy"), "good.npy is not an index"),
    "an archive": (("query", "good.npy", "--index", "a.npz"), "a.npz is not an index"),
    "nothing in it": (("query", "good.npy", "--index", "none"), "none is not an index"),
    "no query": (("query", "--index", "flat.index"), "expected IMAGES or --data SET"),
    "bad query": (("query", "nan.npy", "--index", "flat.index"), "values that are not finite"),
    "too many": (("query", "good.npy", "--index", "flat.index", "-k", 2001), "the 2000 images"),
    "none at all": (("query", "good.npy", "--index", "flat.index", "-k", 0), "at least 1, got 0"),
    "not a picture": (
        ("query", "good.npy", "--index", "flat.index", "--out", "a.gif"),
        "the picture of hits must be a .png",
    ),
    "too large": (
        ("query", "good.npy", "--index", "flat.index", "--out", "a.png", "-k", 2000),
        "images",
    ),
    "no data": (("evaluate",), "Missing option '--data'"),
    "no classes": (("evaluate", "--data", "data.npz"), "has no classes"),
    "no such command": (("find", "good.npy"), "No such command 'find'"),
    "no command": ((), "Missing command"),
}


@pytest.fixture(scope="module")
def bad(folder: Path, fashion_mnist: DataSet) -> Path:
    images = fashion_mnist.test.images[:20]
    np.save(folder / "good.npy", images[:3])
    np.save(folder / "nan.npy", np.full((2, 28, 28), np.nan))
    np.savez(folder / "a.npz", images=images)
    np.savez(folder / "data.npz", train_images=images, test_images=images)
    (folder / "none").touch()
    (folder / "empty").mkdir()
    (folder / "alone.onnx").write_bytes(zoo.engine_path(ENGINE).read_bytes())
    return folder


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_one_line_and_no_file(bad: Path, case: str) -> None:
    args, message = REFUSED[case]
    engine = ("--engine", ENGINE) if args and args[0] != "find" else ()
    assert message in refuses("retrieve", *args, *engine, cwd=bad)


# evaluate


def test_precision_is_that_of_brute_force(tmp_path: Path, fashion_mnist: DataSet) -> None:
    train, test = fashion_mnist.train, fashion_mnist.test
    assert train.labels is not None and test.labels is not None
    np.savez(
        tmp_path / "data.npz",
        train_images=train.images[:1200],
        train_labels=train.labels[:1200],
        test_images=test.images[:150],
        test_labels=test.labels[:150],
        validation_images=train.images[1200:1210],
        validation_labels=train.labels[1200:1210],
        classes=np.array(fashion_mnist.classes),
    )
    args = ("--engine", LINEAR, "--data", "data.npz", "-k", 5, "-n", 100)
    said = succeeds("retrieve", "evaluate", *args, cwd=tmp_path)
    head, *lines = said.splitlines()
    assert head == "precision@5: 100 test images of data among 1,200 training images"
    table = {cells[0]: cells[1:] for cells in (re.split(r"\s{2,}", line) for line in lines)}
    assert table.pop("class") == ["latents (16)", "pixels (784)"]
    assert all(float(cell.replace(",", "")) > 0 for cell in table.pop("queries/s"))
    with open_encoder_for(LINEAR) as encoder:
        latents = encoder.embed(test.images[:100]), encoder.embed(train.images[:1200])
    pixels = [
        part.reshape(len(part), -1) / 255 for part in (test.images[:100], train.images[:1200])
    ]
    for column, (queries, held) in enumerate((latents, pixels)):
        _, rows = brute_force(queries, held, 5)
        right = (train.labels[rows] == test.labels[:100, None]).mean(axis=1)
        assert float(table["all"][column]) == pytest.approx(right.mean(), abs=0.0026)
        for label, name in enumerate(fashion_mnist.classes):
            mean = right[test.labels[:100] == label].mean()
            assert float(table[name][column]) == pytest.approx(mean, abs=0.021)
    assert list(table) == [*fashion_mnist.classes, "all"]
    with pytest.raises(ConfigError, match="k: expected 1 to 1200"):
        from zoo.evaluation.precision import evaluate
        from zoo.inference.inputs import load_data, split_source

        with open_encoder_for(LINEAR) as encoder:
            data = load_data(str(tmp_path / "data.npz"), SHAPE)
            evaluate(encoder, split_source(data, "train"), split_source(data, "test"), 1201)


# Processes


def test_pictures_pass_through_the_disk(tmp_path: Path, fashion_mnist: DataSet) -> None:
    """Peak memory grows by less than the pictures in the file."""
    np.save(tmp_path / "all.npy", fashion_mnist.train.images)
    args = ("--engine", LINEAR, "--backend", "onnxruntime", "--out", "a.index")
    peaks = [
        peak_memory("retrieve", "build", "all.npy", *args, "-n", count, cwd=tmp_path)
        for count in (6_000, 60_000)
    ]
    more = 54_000 * 784 / 1024
    assert peaks[1] - peaks[0] < more / 3, f"{peaks} kB, and the pictures are {more:.0f} kB more"
