"""zoo.embed as a process: files read back with NumPy and pyarrow, PCA against scikit-learn."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
from PIL import Image
from sklearn.decomposition import PCA

import zoo
from pictures import save_pictures
from shell import ENGINE, peak_memory, refuses, succeeds
from zoo.applications import embedding
from zoo.applications.scatter import MOST, Scatter
from zoo.data import DataSet
from zoo.engines import encoder_path, open_encoder_for, open_generator
from zoo.errors import ConfigError
from zoo.images import archive

COUNT = 1500
LINEAR = "linear-ae.encoder.onnx"
"""An encoder of few values."""


@pytest.fixture(scope="module")
def images(fashion_mnist: DataSet) -> np.ndarray:
    return fashion_mnist.test.images[:COUNT]


@pytest.fixture(scope="module")
def latents(images: np.ndarray) -> np.ndarray:
    with open_encoder_for(ENGINE) as encoder:
        return encoder.encode(images)[0]


def test_npz_of_a_data_set(tmp_path: Path, latents: np.ndarray, fashion_mnist: DataSet) -> None:
    args = ("--engine", ENGINE, "--data", "fashion-mnist", "-n", COUNT)
    said = succeeds("embed", *args, cwd=tmp_path)
    assert re.fullmatch(r"1,500 images in \S+ s, [\d,]+ images/s \(\w+\): latents\.npz\n", said)
    with np.load(tmp_path / "latents.npz", allow_pickle=False) as found:
        assert found.files == ["latents", "names", "labels", "classes"]
        np.testing.assert_array_equal(found["latents"], latents)
        assert found["latents"].dtype == np.float32
        assert found["names"].tolist() == [str(index) for index in range(COUNT)]
        assert fashion_mnist.test.labels is not None
        np.testing.assert_array_equal(found["labels"], fashion_mnist.test.labels[:COUNT])
        assert found["classes"].tolist() == fashion_mnist.classes
    # The encoder's own file does as well, and the same run gives the same bytes.
    args = ("--engine", "vae.encoder.onnx", *args[2:], "--instances", 1)
    succeeds("embed", *args, "--out", "again.npz", cwd=tmp_path)
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "latents.npz").read_bytes()


def test_parquet_of_a_data_set(tmp_path: Path, latents: np.ndarray, fashion_mnist: DataSet) -> None:
    args = ("--engine", ENGINE, "--data", "fashion-mnist", "-n", COUNT, "--out", "a.parquet")
    succeeds("embed", *args, cwd=tmp_path)
    table = parquet.read_table(tmp_path / "a.parquet")
    assert table.column_names == ["name", "label", *(f"z{i}" for i in range(32))]
    assert [str(field.type) for field in table.schema] == ["string", "int64"] + ["float"] * 32
    found = np.stack([table[f"z{i}"].to_numpy() for i in range(32)], axis=1)
    np.testing.assert_array_equal(found, latents)
    assert table["name"].to_pylist() == [str(index) for index in range(COUNT)]
    assert fashion_mnist.test.labels is not None
    np.testing.assert_array_equal(table["label"].to_numpy(), fashion_mnist.test.labels[:COUNT])
    assert b'"Ankle boot"]' in table.schema.metadata[b"classes"]


@pytest.mark.parametrize("out", ["a.npz", "a.parquet"])
def test_files_without_labels(tmp_path: Path, images: np.ndarray, out: str) -> None:
    for index in range(3):
        Image.fromarray(images[index, ..., 0]).save(tmp_path / f"{'x' * index}é.png")
    np.save(tmp_path / "rest.npy", images[3:50])
    names = ["é.png", "xé.png", "xxé.png"]
    args = ("--engine", LINEAR, *names, "rest.npy", "--out", out)
    assert succeeds("embed", *args, cwd=tmp_path).startswith("50 images in ")
    if out == "a.npz":
        with np.load(tmp_path / out) as file:
            assert file.files == ["latents", "names", "classes"]
            found, its_names = file["latents"], file["names"].tolist()
            assert file["classes"].shape == (0,)
    else:
        table = parquet.read_table(tmp_path / out)
        columns = [f"z{i}" for i in range(16)]
        assert table.column_names == ["name", *columns]
        found = np.stack([table[column].to_numpy() for column in columns], axis=1)
        its_names = table["name"].to_pylist()
    assert its_names == names + [f"rest.npy:{index}" for index in range(47)]
    with open_encoder_for(LINEAR) as encoder:
        np.testing.assert_array_equal(found, encoder.embed(images[:50]))


def test_parquet_has_row_groups_of_bounded_size(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    values = np.random.default_rng(0).normal(size=(150_000, 3)).astype(np.float32)
    with embedding.open_writer(str(path), 3) as write:
        for start in range(0, len(values), 1000):
            rows = values[start : start + 1000]
            write(rows, [str(start + i) for i in range(len(rows))], None)
    file = parquet.ParquetFile(path)
    sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert len(sizes) == 9 and max(sizes) < 20_000 and sum(sizes) == len(values)
    np.testing.assert_array_equal(file.read()["z2"].to_numpy(), values[:, 2])


def test_an_archive_gives_back_any_rows_and_strings(tmp_path: Path) -> None:
    """Blocks of any size, strings of any length and script, larger than the buffers."""
    numbers = np.random.default_rng(3)
    alphabet = np.array(list("aZ 0/.äßж日本🙂\N{COMBINING ACUTE ACCENT}"))
    strings = ["".join(numbers.choice(alphabet, numbers.integers(0, 60))) for _ in range(9000)]
    rows = numbers.normal(size=(9000, 2, 3))
    with archive.create(tmp_path / "a.npz") as file:
        write_strings, write_rows = file.add_strings("s"), file.add_rows("r", np.float64, (2, 3))
        write_none, write_empty = file.add_rows("none", np.int64), file.add_strings("empty")
        done = 0
        while done < len(strings):
            step = int(numbers.integers(1, 700))
            write_strings(strings[done : done + step])
            write_rows(rows[done : done + step])
            done += step
        write_none(np.empty(0, np.int64))
        write_empty([])
        file.add_array("whole", np.arange(4))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as found:
        assert found["s"].tolist() == strings
        np.testing.assert_array_equal(found["r"], rows)
        np.testing.assert_array_equal(found["whole"], np.arange(4))
        assert (found["none"].shape, found["empty"].shape) == ((0,), (0,))
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_scatter_shows_every_class_in_its_colour(tmp_path: Path) -> None:
    args = ("--engine", ENGINE, "--data", "fashion-mnist", "-n", 400, "--scatter", "s.png")
    assert succeeds("embed", *args, cwd=tmp_path).endswith(": latents.npz, s.png\n")
    with Image.open(tmp_path / "s.png") as picture:
        assert min(picture.size) > 800
        colours = {color for _, color in picture.convert("RGB").getcolors(2**24) or []}
    # The ten of tab10, as the dots of the legend have them.
    expected = "1f77b4 ff7f0e 2ca02c d62728 9467bd 8c564b e377c2 7f7f7f bcbd22 17becf"
    assert {tuple(bytes.fromhex(text)) for text in expected.split()} <= colours
    before = (tmp_path / "s.png").read_bytes()
    succeeds("embed", *args, cwd=tmp_path)
    assert (tmp_path / "s.png").read_bytes() == before


def test_scatter_of_wide_latents_is_their_pca(latents: np.ndarray) -> None:
    scatter = Scatter(32)
    for start in range(0, COUNT, 100):
        scatter.add(latents[start : start + 100], None)
    points, share = scatter.points()
    pca = PCA(2, svd_solver="full").fit(latents.astype(np.float64))
    expected = pca.transform(latents.astype(np.float64))
    signs = np.sign((points * expected).sum(axis=0))
    np.testing.assert_allclose(points * signs, expected, atol=1e-9)
    assert share == pytest.approx(pca.explained_variance_ratio_.sum(), abs=1e-12)


def test_scatter_of_two_values_is_those() -> None:
    values = np.random.default_rng(0).normal(size=(90_000, 2)).astype(np.float32)
    scatter = Scatter(2)
    scatter.add(values, None)
    np.testing.assert_array_equal(scatter.points()[0], values)
    # Of very many, a part is drawn: a fair one, of about the size that is announced.
    part = Scatter(2, total=len(values))
    for rows in np.split(values, 90):
        part.add(rows, None)
    points, _ = part.points()
    assert abs(len(points) - MOST) < 5 * MOST**0.5
    assert np.abs(points.mean(axis=0)).max() < 5 / len(points) ** 0.5
    with pytest.raises(ConfigError, match="at least 2 values, got 1"):
        Scatter(1)


@pytest.mark.parametrize("name", ["a.npy", "$x_$.npy", "服.npy", "x" * 200 + ".npy"])
def test_scatter_of_one_image_without_a_class(
    tmp_path: Path, images: np.ndarray, name: str
) -> None:
    np.save(tmp_path / name, images[:1])
    said = succeeds("embed", "--engine", ENGINE, name, "--scatter", "s.png", cwd=tmp_path)
    assert said.startswith("1 image in ")
    assert (tmp_path / "s.png").stat().st_size > 1000


def test_compare_with_pca(tmp_path: Path, fashion_mnist: DataSet) -> None:
    """All numbers against scikit-learn and NumPy."""
    images = fashion_mnist.train.images[:4000], fashion_mnist.test.images[:COUNT]
    np.savez(tmp_path / "data.npz", train_images=images[0], test_images=images[1])
    train, test = (part.reshape(len(part), -1) / 255 for part in images)
    args = ("--engine", "linear-ae.onnx", "--data", "data.npz", "--compare-pca")
    said = succeeds("embed", *args, cwd=tmp_path)
    best = PCA(16, svd_solver="full").fit(train)
    projected = best.inverse_transform(best.transform(test))
    pca_error = np.square(projected.clip(0, 1) - test).mean()
    with open_encoder_for(LINEAR) as encoder, open_generator("linear-ae.onnx") as generator:
        decoded = generator.decode(encoder.embed(images[1]))
    error = np.square(decoded.reshape(COUNT, -1) / 255 - test).mean()
    head, names, row = said.splitlines()[-3:]
    assert head == "mean squared error per pixel on [0, 1], 1,500 images"
    assert names.split("  ")[-3:] == ["PCA error", f"{LINEAR} error", "ratio"]
    k, *numbers = row.split()
    assert k == "16"
    expected = [pca_error, error, error / pca_error]
    assert [float(number) for number in numbers] == pytest.approx(expected, rel=2e-3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, images: np.ndarray) -> Path:
    """Bad input: arrays, a folder with a bad picture, engines."""
    folder = tmp_path_factory.mktemp("bad")
    np.save(folder / "good.npy", images[:20])
    np.save(folder / "nan.npy", np.full((2, 28, 28), np.nan))
    save_pictures(folder / "pictures", images[:3], names="{}")
    (folder / "pictures" / "junk.png").write_bytes(b"junk")
    (folder / "empty").mkdir()
    (folder / "alone.onnx").write_bytes(zoo.engine_path(ENGINE).read_bytes())
    encoder = encoder_path(zoo.engine_path(ENGINE)).read_bytes()
    (folder / "single.encoder.onnx").write_bytes(encoder)
    (folder / "taken.npz").mkdir()
    return folder


REFUSED = {
    "nothing given": ((), "expected IMAGES or --data SET, got neither"),
    "both given": (("good.npy", "--data", "fashion-mnist"), "not both"),
    "no such file": (("nowhere.npy",), "cannot read nowhere.npy: No such file"),
    "an empty folder": (("empty",), "empty holds no pictures"),
    "not finite": (("nan.npy",), "nan.npy: holds values that are not finite"),
    "strict": (("pictures", "--strict"), "junk.png is not a picture"),
    "no such data": (("--data", "nothing"), "nothing is not a data set, folder or file"),
    "another format": (("good.npy", "--out", "a.csv"), "expected a .npz or .parquet file"),
    "a folder in the way": (("good.npy", "--out", "taken.npz"), "is not a regular file"),
    "no folder": (("good.npy", "--out", "no/a.npz"), "there is no folder"),
    "scatter format": (("good.npy", "--scatter", "a.gif"), "the scatter plot must be a .png"),
    "scatter nowhere": (("good.npy", "--scatter", "no/a.png"), "there is no folder"),
    "PCA of what": (("good.npy", "--compare-pca"), "--compare-pca requires --data SET"),
    "no count": (("good.npy", "-n", 0), "expected an integer of at least 1, got 0"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_one_line_and_no_file(folder: Path, case: str) -> None:
    args, message = REFUSED[case]
    assert message in refuses("embed", "--engine", ENGINE, *args, cwd=folder)


def test_bad_engines(folder: Path) -> None:
    for engine, message in (
        ("alone.onnx", "alone.onnx needs its encoder to read images"),
        ("nowhere.onnx", "no such file, and the shipped engines are"),
        ("good.npy", "good.npy"),
    ):
        assert message in refuses("embed", "--engine", engine, "good.npy", cwd=folder)
    args = ("--data", "fashion-mnist", "--compare-pca")
    said = refuses("embed", "--engine", "single.encoder.onnx", *args, cwd=folder)
    assert "single.encoder.onnx needs its generator to make images" in said


@pytest.mark.parametrize("out", ["a.npz", "a.parquet"])
def test_memory_does_not_grow_with_the_images(
    tmp_path: Path, fashion_mnist: DataSet, out: str
) -> None:
    np.save(tmp_path / "all.npy", fashion_mnist.train.images)
    args = ("all.npy", "--engine", LINEAR, "--backend", "onnxruntime", "--out", out)
    peaks = [
        peak_memory("embed", *args, "--scatter", "s.png", "-n", count, cwd=tmp_path)
        for count in (6_000, 60_000)
    ]
    more = 54_000 * 784 / 1024
    assert peaks[1] - peaks[0] < more / 3, f"{peaks} kB, and the images are {more:.0f} kB more"
