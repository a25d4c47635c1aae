"""The images that commands work on: every format in blocks, against the arrays they are made of."""

from __future__ import annotations

import gzip
import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

import runtime
from zoo import optional
from zoo.cli import source_options
from zoo.data import DataSet, Split
from zoo.engines import open_encoder_for
from zoo.errors import ConfigError, DataError
from zoo.inference import inputs, latents
from zoo.inference.inputs import Block, ImageStream

SHAPE = (28, 28, 1)


@pytest.fixture(scope="module")
def images(fashion_mnist: DataSet) -> np.ndarray:
    return fashion_mnist.test.images[:300]


@pytest.fixture(scope="module")
def encoder() -> Iterator[runtime.Encoder]:
    with open_encoder_for("vae.onnx") as encoder:
        yield encoder


def idx(images: np.ndarray) -> bytes:
    return struct.pack(">IIII", 0x803, *images.shape[:3]) + images.tobytes()


def whole(blocks: list[Block]) -> np.ndarray:
    return np.concatenate([block.images for block in blocks])


def save_folder(folder: Path, images: np.ndarray) -> None:
    """Pictures at the top, and in two folders below; the order by name is that of `images`."""
    for index, image in enumerate(images):
        place = folder / ("" if index < 2 else "a" if index < 5 else "b/c")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(place / f"{index:03}.png")


FORMATS = {
    "a.npy": lambda path, x: np.save(path, x),
    "grey.npy": lambda path, x: np.save(path, x[..., 0]),
    "fortran.npy": lambda path, x: np.save(path, np.asfortranarray(x)),
    "float64.npy": lambda path, x: np.save(path, x / 255),
    "float16.npy": lambda path, x: np.save(path, (x / 255).astype(np.float16)),
    "stored.npz": lambda path, x: np.savez(path, images=x, labels=np.arange(len(x))),
    "deflated.npz": lambda path, x: np.savez_compressed(path, anything=x),
    "plain-idx3-ubyte": lambda path, x: path.write_bytes(idx(x)),
    "packed-idx3-ubyte.gz": lambda path, x: path.write_bytes(gzip.compress(idx(x))),
    "folder": save_folder,
}


@pytest.mark.parametrize("block", [7, 300, 1024])
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_images_in_blocks(
    tmp_path: Path, images: np.ndarray, name: str, block: int
) -> None:
    images = images[:40] if name == "folder" else images
    FORMATS[name](tmp_path / name, images)
    stream = ImageStream([str(tmp_path / name)], SHAPE, block=block)
    assert stream.total == len(images)
    for _ in range(2):  # it starts again
        blocks = list(stream)
        np.testing.assert_array_equal(whole(blocks), images)
        sizes = [len(part.images) for part in blocks]
        assert sizes[:-1] == [block] * (len(sizes) - 1) and 0 < sizes[-1] <= block
        assert all(len(part.names) == len(part.images) for part in blocks)
        names = [name for part in blocks for name in part.names]
        assert len(set(names)) == len(images)
        if name != "folder":
            assert names == [str(index) for index in range(len(images))]
    assert stream.skipped == []


def test_folders_come_by_name_with_all_that_is_below(tmp_path: Path, images: np.ndarray) -> None:
    save_folder(tmp_path / "d", images[:7])
    (tmp_path / "d" / "notes.txt").write_text("not a picture")
    (block,) = ImageStream([str(tmp_path / "d")], SHAPE)
    paths = ["000", "001", "a/002", "a/003", "a/004", "b/c/005", "b/c/006"]
    assert block.names == [f"{path}.png" for path in paths]


def test_paths_of_many_kinds_come_in_the_order_given(tmp_path: Path, images: np.ndarray) -> None:
    np.save(tmp_path / "x.npy", images[:5])
    Image.fromarray(images[5, ..., 0]).save(tmp_path / "y.bmp")
    save_folder(tmp_path / "z", images[6:10])
    paths = [str(tmp_path / name) for name in ("x.npy", "y.bmp", "z")]
    blocks = list(ImageStream(paths, SHAPE, block=4))
    np.testing.assert_array_equal(whole(blocks), images[:10])
    assert [len(block.images) for block in blocks] == [4, 4, 2]
    assert blocks[1].names == ["x.npy:4", "y.bmp", "000.png", "001.png"]


def test_bad_pictures_of_a_folder_are_left_out_and_listed(
    tmp_path: Path, images: np.ndarray
) -> None:
    folder = tmp_path / "d"
    save_folder(folder, images[:4])
    (folder / "0-junk.png").write_bytes(b"junk")
    (folder / "1-empty.jpg").touch()
    Image.new("L", (30, 28)).save(folder / "2-wide.png")
    png = (folder / "000.png").read_bytes()
    (folder / "3-cut.png").write_bytes(png[: len(png) // 2])
    os.mkfifo(folder / "4-pipe.png")
    (folder / "5-nowhere.png").symlink_to("missing")
    stream = ImageStream([str(folder)], SHAPE)
    assert stream.total == 10
    for _ in range(2):
        np.testing.assert_array_equal(whole(list(stream)), images[:4])
        reasons = {Path(name).name: reason for name, reason in stream.skipped}
        assert list(reasons) == sorted(reasons) and len(reasons) == 6
    assert reasons["2-wide.png"].startswith("expected 28×28 pixels, mode L; got 30×28, mode L")
    assert reasons["4-pipe.png"] == reasons["5-nowhere.png"] == "is not a file"
    assert not any(str(folder) in reason for reason in reasons.values())
    with pytest.raises(DataError, match="0-junk.png is not a picture"):
        list(ImageStream([str(folder)], SHAPE, strict=True))
    # Named by itself it is left out beside others, and an error alone.
    named = ImageStream([str(folder / "000.png"), str(folder / "2-wide.png")], SHAPE)
    np.testing.assert_array_equal(whole(list(named)), images[:1])
    assert [Path(name).name for name, _ in named.skipped] == ["2-wide.png"]
    with pytest.raises(DataError, match="2-wide.png: expected 28×28"):
        list(ImageStream([str(folder / "2-wide.png")], SHAPE))
    with pytest.raises(DataError, match="no image can be used: 10 skipped, the first of them"):
        list(ImageStream([str(folder)], (29, 28, 1)))


def test_skipped_pictures_are_reported_one_a_line(
    tmp_path: Path, images: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    save_folder(tmp_path, images[:3])
    (tmp_path / "x.png").write_bytes(b"junk")
    source = inputs.open_source([str(tmp_path)], None, "test", SHAPE)
    list(source)
    inputs.report_skipped(source)
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == f"skipped {tmp_path}/x.png: is not a picture, .npy, .npz or IDX file\n"


def test_names_in_another_encoding_become_valid_text(tmp_path: Path, images: np.ndarray) -> None:
    save_folder(tmp_path, images[:1])
    os.rename(tmp_path / "000.png", os.fsencode(tmp_path) + b"/caf\xe9.png")
    (block,) = ImageStream([str(tmp_path)], SHAPE)
    assert block.names == ["caf\N{REPLACEMENT CHARACTER}.png"]
    block.names[0].encode()


# tests/zoo/test_array_files.py has files that are damaged inside.
DAMAGED = {
    "missing": (None, "No such file"),
    "empty": (lambda path, x: path.touch(), "is empty"),
    "text": (lambda path, x: path.write_text("hello world"), "is not a picture"),
    "none": (lambda path, x: path.mkdir(), "holds no pictures"),
    "cut.npy": (lambda path, x: cut(path, FORMATS["a.npy"], x, -5), "shorter than its header"),
    "long.npy": (lambda path, x: cut(path, FORMATS["a.npy"], x, None), "longer than its header"),
    "no-arrays.npz": (lambda path, x: np.savez(path), "holds no arrays; expected one array"),
    "two.npz": (lambda path, x: np.savez(path, a=x, b=x), "holds a, b; expected one array"),
    "nan.npy": (lambda path, x: np.save(path, np.where(x > 200, np.nan, x / 255)), "not finite"),
    "bytes.npy": (lambda path, x: np.save(path, x.astype(float)), r"in \[0, 1\]; got float64"),
    "int.npy": (lambda path, x: np.save(path, x.astype(np.int32)), r"got int32 \[300, 28, 28, 1\]"),
    "size.npy": (lambda path, x: np.save(path, x[:, :20]), r"got uint8 \[300, 20, 28, 1\]"),
    "rank.npy": (lambda path, x: np.save(path, x[..., None]), r"got uint8 \[300, 28, 28, 1, 1\]"),
    "no-rows.npy": (lambda path, x: np.save(path, x[:0]), r"got uint8 \[0, 28, 28, 1\]"),
}


def cut(path: Path, save: object, images: np.ndarray, end: int | None) -> None:
    """Write with `save`, and cut the file off at `end`; None appends a byte."""
    assert callable(save)
    save(path, images)
    content = path.read_bytes()
    path.write_bytes(content + b"!" if end is None else content[:end])


@pytest.mark.parametrize("name", DAMAGED)
def test_what_is_no_images_is_refused_in_one_line(
    tmp_path: Path, images: np.ndarray, name: str
) -> None:
    make, message = DAMAGED[name]
    if make is not None:
        make(tmp_path / name, images)
    with pytest.raises(DataError, match=message) as raised:
        list(ImageStream([str(tmp_path / name)], SHAPE))
    assert str(tmp_path / name) in str(raised.value)


def test_a_data_set_by_name(fashion_mnist: DataSet) -> None:
    source = inputs.open_source((), "fashion-mnist", "test", SHAPE)
    blocks = list(source)
    np.testing.assert_array_equal(whole(blocks), fashion_mnist.test.images)
    assert source.labels is not None and fashion_mnist.test.labels is not None
    np.testing.assert_array_equal(source.labels, fashion_mnist.test.labels)
    assert (source.classes, source.total) == (fashion_mnist.classes, 10_000)
    assert (source.name, source.skipped) == ("fashion-mnist test", [])
    assert blocks[-1].names[-1] == "9999"
    assert source.attributes is None


def test_a_source_knows_attributes(images: np.ndarray) -> None:
    signs = np.where(np.arange(20).reshape(10, 2) % 3, 1, -1).astype(np.int8)
    part = Split(images[:10], attributes=signs)
    data = DataSet("toy", part, part, attributes=["hat", "smile"])
    source = inputs.split_source(data, "train", 4)
    assert source.attribute_names == ["hat", "smile"] and source.labels is None
    np.testing.assert_array_equal(source.attributes, signs[:4])
    assert (source.total, len(whole(list(source)))) == (4, 4)


@pytest.mark.parametrize("limit", [1, 1023, 1024, 1025, 99_999])
def test_a_limit_cuts_images_names_and_labels(fashion_mnist: DataSet, limit: int) -> None:
    source = inputs.open_source((), "fashion-mnist", "test", SHAPE, limit=limit)
    count = min(limit, 10_000)
    for _ in range(2):
        blocks = list(source)
        np.testing.assert_array_equal(whole(blocks), fashion_mnist.test.images[:count])
        assert sum(len(block.names) for block in blocks) == count
    assert source.total == count
    assert source.labels is not None and len(source.labels) == count


def test_nothing_is_read_beyond_the_limit(tmp_path: Path, images: np.ndarray) -> None:
    save_folder(tmp_path / "d", images[:4])
    (tmp_path / "d" / "0000.png").write_bytes(b"junk")
    (tmp_path / "d" / "a" / "zzz.png").write_bytes(b"junk")
    np.save(tmp_path / "a.npy", images[4:9])
    for limit, block in ((1, 2), (4, 4), (4, 9), (6, 5)):
        paths = [str(tmp_path / "d"), str(tmp_path / "a.npy")]
        stream = ImageStream(paths, SHAPE, block=block, limit=limit)
        expected = images[:limit]
        np.testing.assert_array_equal(whole(list(stream)), expected)
        assert len(stream.skipped) == {1: 0, 4: 1, 6: 2}[limit]
    source = inputs.open_source((str(tmp_path / "d"),), None, "test", SHAPE, limit=4)
    assert len(list(source)[0].names) == 4 and len(source.skipped) == 1


def test_images_or_data_but_not_both_and_not_neither() -> None:
    for arguments in (((), None), (("a.png",), "fashion-mnist")):
        with pytest.raises(ConfigError, match="expected IMAGES or --data SET"):
            inputs.open_source(*arguments, "test", SHAPE)


def test_data_of_another_size_need_resize() -> None:
    with pytest.raises(DataError, match=r"28×28×1, but the engine takes 16×16×3 \(--resize"):
        inputs.open_source((), "fashion-mnist", "test", (16, 16, 3))
    source = inputs.open_source((), "fashion-mnist", "test", (16, 16, 3), resize=True, limit=2)
    assert whole(list(source)).shape == (2, 16, 16, 3)


def test_options_arrive_as_a_selection(images: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", images)
    got: list[np.ndarray] = []

    @click.command()
    @source_options
    def main(selection: inputs.Selection) -> None:
        """Help."""
        got.append(whole(list(selection.open(SHAPE))))

    main([str(tmp_path / "a.npy"), "-n", "12"], standalone_mode=False)
    main(["--data", "fashion-mnist", "--split", "train", "--count", "3"], standalone_mode=False)
    np.testing.assert_array_equal(got[0], images[:12])
    assert got[1].shape == (3, *SHAPE)


@pytest.mark.parametrize("block", [1, 17, 300])
def test_latents_are_those_of_the_encoder(
    tmp_path: Path, images: np.ndarray, encoder: runtime.Encoder, block: int
) -> None:
    np.save(tmp_path / "a.npy", images[:60])
    stream = ImageStream([str(tmp_path / "a.npy")], SHAPE, block=block)
    result, names = latents.embed(encoder, stream)
    assert result.dtype == np.float32 and names == [str(index) for index in range(60)]
    # In bits, whatever the blocks: the runtime is invariant to the batch size.
    np.testing.assert_array_equal(result, encoder.encode(images[:60])[0])


def test_latents_that_are_not_finite_are_refused() -> None:
    class Broken:
        path = "broken.encoder.onnx"

        def embed(self, images: np.ndarray) -> np.ndarray:
            result = np.zeros((len(images), 3), np.float32)
            result[1, 2] = np.inf
            return result

    block = Block(np.zeros((3, *SHAPE), np.uint8), ["first", "second", "third"])
    with pytest.raises(DataError, match="gives image second a latent that is not finite"):
        latents.embed(Broken(), [block])  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["vae.onnx", "vae.encoder.onnx"])
def test_an_encoder_by_its_own_file_or_its_generators(name: str) -> None:
    with open_encoder_for(name, instances=1) as encoder:
        assert Path(encoder.path).name == "vae.encoder.onnx"
        assert encoder.instances == 1


def test_a_missing_package_comes_with_the_way_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"needs faissx: pip install 'generator-zoo\[apps\]'"):
        optional.require("faissx.inner")
    with pytest.raises(ConfigError, match=r"pip install 'generator-zoo\[faces\]'"):
        optional.require("dicebearx", "faces")
    assert optional.require("os.path") is os.path
    # A package that is there and lacks one of its own is another problem.
    (tmp_path / "half.py").write_text("import not_there_either\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="not_there_either"):
        optional.require("half")
    assert "half" not in sys.modules
