"""Picture files: unusual metadata, modes, transparency, and damage."""

from __future__ import annotations

import io
import re
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from zoo import data
from zoo.errors import DataError
from zoo.images import pictures
from zoo.images.companions import Companions
from zoo.images.read import read_images
from zoo.images.stream import ImageStream

GREY = (np.arange(64, dtype=np.uint8) * 4).reshape(8, 8)
TURNED = (0x112, 3, 1, struct.pack(">HH", 6, 0))


def tiff(*entries: tuple[int, int, int, object], data: bytes = b"") -> bytes:
    """Build a big-endian TIFF directory of (tag, type, count, bytes or integer), with data."""
    packed = b"".join(
        struct.pack(">HHI", *entry[:3])
        + (entry[3] if isinstance(entry[3], bytes) else struct.pack(">I", entry[3]))
        for entry in sorted(entries, key=lambda entry: entry[0])
    )
    return b"MM\0*" + struct.pack(">IH", 8, len(entries)) + packed + bytes(4) + data


def data_offset(entries: int) -> int:
    """Return the offset of the data after a directory."""
    return 8 + 2 + 12 * entries + 4


ODD = {
    "none": [],
    "negative rational": [(0x11A, 10, 1, data_offset(2))],
    "NaN": [(0x11A, 11, 1, struct.pack(">f", float("nan")))],
    "long for a short": [(0x128, 4, 1, 0xFFFFFFF0)],
    "text for a short": [(0x128, 2, 4, b"two\0")],
    "undefined": [(0x100, 7, 4, b"\1\2\3\4")],
    "negative long": [(0x100, 9, 1, struct.pack(">i", -5))],
    "a pointer to itself": [(0x8769, 4, 1, 8)],
    "a pointer beyond": [(0x8769, 4, 1, 0x7FFFFFFF)],
    "a pointer of text": [(0x8825, 2, 4, b"abc\0")],
    "no such type": [(0x9C9B, 99, 4, b"abcd")],
}


@pytest.mark.parametrize("name", ODD)
def test_odd_exif_does_not_spoil_the_orientation(tmp_path: Path, name: str) -> None:
    exif = b"Exif\0\0" + tiff(TURNED, *ODD[name], data=struct.pack(">ii", -7, 0))
    Image.fromarray(GREY).save(tmp_path / "a.png", exif=exif)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = pictures.decode_picture(tmp_path / "a.png")
    # Orientation 6: what was written is to be turned by 90° to the right.
    assert np.array_equal(picture, np.rot90(GREY, -1))


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0MM\0",
        b"Exif\0\0" + tiff(TURNED)[:14],
        b"Exif\0\0" + bytes(range(64)),
        b"Exif\0\0" + tiff((0x112, 3, 1, struct.pack(">HH", 99, 0))),
        b"Exif\0\0" + tiff((0x112, 2, 2, b"6\0\0\0")),
    ],
)
def test_exif_without_an_orientation(tmp_path: Path, exif: bytes) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(pictures.decode_picture(tmp_path / "a.png"), GREY)


def grey_tiff(*extra: tuple[int, int, int, object]) -> bytes:
    def short(tag: int, value: int) -> tuple[int, int, int, object]:
        return tag, 3, 1, struct.pack(">HH", value, 0)

    place = data_offset(9 + len(extra))
    shorts = ((256, 8), (257, 8), (258, 8), (259, 1), (262, 1), (277, 1), (278, 8))
    strips = ((273, 4, 1, place), (279, 4, 1, 64))
    return tiff(*(short(*entry) for entry in shorts), *strips, *extra, data=GREY.tobytes())


@pytest.mark.parametrize("pointer", [8, 0x7FFFFFFF, struct.pack(">i", -5)])
def test_tiff_with_odd_exif(tmp_path: Path, pointer: object) -> None:
    kind = 9 if isinstance(pointer, bytes) else 4
    (tmp_path / "a.tif").write_bytes(grey_tiff(TURNED, (0x8769, kind, 1, pointer)))
    assert np.array_equal(pictures.decode_picture(tmp_path / "a.tif"), np.rot90(GREY, -1))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_training_obeys_the_orientation(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    for index in range(2):
        for part in ("train", "test"):
            (tmp_path / part).mkdir(exist_ok=True)
            file = tmp_path / part / f"{index}.png"
            Image.fromarray(GREY).save(file, exif=exif)
    with Image.open(file) as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture))[..., None]
    loaded = data.load(str(tmp_path))
    streamed, _ = read_images([str(file)], (8, 8, 1))
    for image in (*loaded.seen.images, *loaded.test.images, *streamed):
        assert np.array_equal(image, expected)


def save_and_decode(picture: Image.Image, path: Path, **options: object) -> np.ndarray:
    picture.save(path, **options)
    return np.asarray(pictures.decode_picture(path))


def test_sixteen_bits_of_every_kind(tmp_path: Path) -> None:
    deep = (np.arange(64, dtype=np.uint16) * 1040).reshape(8, 8)
    for name in ("a.png", "a.tif"):
        assert np.array_equal(save_and_decode(Image.fromarray(deep), tmp_path / name), deep >> 8)
    (tmp_path / "a.pgm").write_bytes(b"P5 8 8 65535\n" + deep.astype(">u2").tobytes())
    assert np.array_equal(pictures.decode_picture(tmp_path / "a.pgm"), deep >> 8)


def little_tiff(path: Path, levels: np.ndarray, tags: dict[int, int], content: bytes) -> None:
    """Write a 16-bit TIFF with other tag values and pixels."""
    Image.fromarray(levels).save(path)
    whole = path.read_bytes()
    with Image.open(path) as picture:
        place = picture.tag_v2[273][0]  # type: ignore[attr-defined]
    for tag, value in tags.items():
        start = re.search(
            re.escape(struct.pack("<H", tag)) + rb"[\x03\x04]\x00\x01\x00\x00\x00", whole
        )
        assert start
        whole = whole[: start.end()] + struct.pack("<I", value) + whole[start.end() + 4 :]
    path.write_bytes(whole[:place] + content + whole[place + len(content) :])


def test_tiffs_of_12_bits_and_of_white_at_zero(tmp_path: Path) -> None:
    deep = (np.arange(64, dtype=np.uint16) * 1040).reshape(8, 8)
    little_tiff(tmp_path / "white.tif", deep, {262: 0}, deep.astype("<u2").tobytes())
    assert np.array_equal(pictures.decode_picture(tmp_path / "white.tif"), 255 - (deep >> 8))
    twelve = deep >> 4
    a, b = twelve.ravel()[::2], twelve.ravel()[1::2]
    packed = np.stack([a >> 4, (a & 15) << 4 | b >> 8, b & 255], 1).astype(np.uint8).tobytes()
    little_tiff(tmp_path / "twelve.tif", deep, {258: 12, 279: 96}, packed)
    assert np.array_equal(pictures.decode_picture(tmp_path / "twelve.tif"), deep >> 8)


def test_measurements_and_programs_are_no_pictures(tmp_path: Path) -> None:
    cards = ("SIMPLE  =  T", "BITPIX  = 16", "NAXIS   =  2", "NAXIS1  =  8", "NAXIS2  =  8", "END")
    header = "".join(card.ljust(80) for card in cards).ljust(2880).encode()
    (tmp_path / "a.fits").write_bytes(header + bytes(2880))
    with pytest.raises(DataError, match="16-bit integers, whose range is not known"):
        pictures.decode_picture(tmp_path / "a.fits")
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n"
    (tmp_path / "a.png").write_bytes(program)
    with pytest.raises(DataError, match="a.png is EPS, which is not supported: it is a program"):
        pictures.decode_picture(tmp_path / "a.png")


@pytest.mark.parametrize("kind", [np.float32, np.int32])
@pytest.mark.parametrize("scale", [1, 1 / 255, 257])
def test_pixels_of_unknown_range_are_left_out(tmp_path: Path, kind: type, scale: float) -> None:
    Image.fromarray((GREY * float(scale)).astype(kind)).save(tmp_path / "a.tif")
    Image.fromarray(GREY).save(tmp_path / "b.png")
    for resize in (False, True):
        stream = ImageStream([str(tmp_path)], (8, 8, 1), resize)
        (block,) = stream
        assert np.array_equal(block.images[0, ..., 0], GREY)
        ((name, reason),) = stream.skipped
        assert name.endswith("a.tif") and "whose range is not known; expected 8 or 16" in reason


def test_signed_bytes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(grey_tiff((339, 3, 1, struct.pack(">HH", 2, 0))))
    with pytest.raises(DataError, match=r"the picture .*a.tif: its pixels are signed integers"):
        pictures.decode_picture(tmp_path / "a.tif")


@pytest.mark.parametrize(("mode", "suffix"), [("CMYK", "jpg"), ("LAB", "tif"), ("P", "png")])
def test_other_modes_look_the_same(tmp_path: Path, mode: str, suffix: str) -> None:
    ramp = np.linspace(20, 230, 32).astype(np.uint8)
    colours = np.broadcast_to(ramp[:, None, None], (32, 32, 3)).copy()
    colours[..., 1] = 128
    picture = Image.fromarray(colours)
    picture = picture.quantize(32) if mode == "P" else picture.convert(mode)
    found = save_and_decode(picture, tmp_path / f"a.{suffix}")
    assert found.shape == colours.shape
    assert np.abs(found.astype(int) - colours).mean() < 3


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparent_pictures_are_put_on_white(tmp_path: Path, mode: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, len(mode)), np.uint8)
    pixels[:4, ..., -1], pixels[7, ..., -1] = 255, 0
    colours, alpha = pixels[..., :-1] / 255, pixels[..., -1:] / 255
    expected = (colours * alpha + 1 - alpha) * 255
    for index in range(12):
        Image.fromarray(pixels, mode).save(tmp_path / f"{index}.png")
    shape = 8, 8, len(mode) - 1
    read, _ = read_images([str(tmp_path)], shape, resize=True)
    assert np.abs(read - expected).max() <= 1
    loaded = data.load(str(tmp_path))
    assert loaded.train.images.shape[1:] == shape
    assert np.array_equal(loaded.train.images[0], read[0])
    # Where the engine takes transparency it stays.
    kept, _ = read_images([str(tmp_path)], (8, 8, len(mode)))
    assert np.array_equal(kept[0], pixels)
    with pytest.raises(DataError, match=f"got 8×8, mode {mode} "):
        read_images([str(tmp_path)], shape)


@pytest.mark.parametrize(("mode", "hidden"), [("L", 7), ("P", 7), ("RGB", (7, 7, 7))])
def test_a_colour_may_be_transparent(tmp_path: Path, mode: str, hidden: object) -> None:
    pixels = np.where(np.eye(8) > 0, 7, 200).astype(np.uint8)
    picture = Image.fromarray(pixels)
    if mode == "P":
        picture = Image.frombytes("P", (8, 8), pixels.tobytes())
        picture.putpalette(np.repeat(np.arange(256, dtype=np.uint8), 3).tobytes())
    picture.convert(mode).save(tmp_path / "a.png", transparency=hidden)
    read, _ = read_images([str(tmp_path)], (8, 8, 1), resize=True)
    assert np.array_equal(read[0, ..., 0], np.where(np.eye(8) > 0, 255, 200))
    with pytest.raises(DataError, match=f"mode L; got 8×8, mode {mode} with transparency"):
        read_images([str(tmp_path)], (8, 8, 1))


def test_a_damaged_picture_is_one_skipped_line(tmp_path: Path) -> None:
    """Whatever its decoder raises, such as AVIF's for a file named .jpg."""
    for index in range(20):
        Image.fromarray(GREY).save(tmp_path / f"{index:02}.png")
    content = io.BytesIO()
    Image.fromarray(GREY).save(content, "AVIF")
    start = content.getvalue().find(b"mdat") + 4
    whole = content.getvalue()
    (tmp_path / "web.jpg").write_bytes(whole[:start] + bytes(len(whole) - start))
    skipped: list[tuple[str, str]] = []
    read, _ = read_images([str(tmp_path)], (8, 8, 1), skipped=skipped)
    loaded = data.load(str(tmp_path))
    assert len(read) == len(loaded.seen) + len(loaded.test) == 20
    assert skipped == loaded.skipped and skipped[0][0] == f"{tmp_path}/web.jpg"
    assert "\n" not in skipped[0][1]
    with pytest.raises(DataError, match=r"cannot read the picture .*web.jpg"):
        read_images([str(tmp_path)], (8, 8, 1))


def test_a_run_never_reads_what_it_writes(tmp_path: Path) -> None:
    """Files that appear in the folder during a run are not inputs."""
    for index in range(5):
        Image.fromarray(GREY + np.uint8(index)).save(tmp_path / f"{index}.png")
    stream = ImageStream([str(tmp_path)], (8, 8, 1), block=1)
    assert stream.total == 5
    for _ in range(2):
        names = []
        for block in stream:
            names += block.names
            part = tmp_path / ".zoo-1-aaaa.part"
            part.mkdir(exist_ok=True)
            for place in (part, tmp_path):
                Image.fromarray(block.images[0, ..., 0]).save(place / f"made-{block.names[0]}")
        assert names == [f"{index}.png" for index in range(5)]


def test_an_array_that_has_grown_meanwhile_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((4, 8, 8), np.uint8))
    stream = ImageStream([str(tmp_path / "a.npy")], (8, 8, 1))
    assert len(list(stream)) == 1
    np.save(tmp_path / "a.npy", np.zeros((5, 8, 8), np.uint8))
    with pytest.raises(DataError, match="a.npy has changed: it held 4 images, now 5"):
        list(stream)


def test_pictures_of_one_name_whatever_their_kind(tmp_path: Path) -> None:
    """a.png belongs to a.png itself, else to another picture type, in any case."""
    (tmp_path / "b").mkdir()
    for index, name in enumerate(("a.Png", "b/c.TIFF", "d.bmp", "d.png", "e.jpeg", "e.gif")):
        Image.fromarray(GREY + np.uint8(index)).save(tmp_path / name, format="PNG")
    found = Companions(str(tmp_path), (8, 8, 1)).load(
        ["a.png", "b/c.jpg", "d.bmp", "d.gif", "e.x"], 0
    )
    assert (found[:, 0, 0, 0] - GREY[0, 0]).tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(DataError, match="has no truth for f.png, g.png"):
        Companions(str(tmp_path), (8, 8, 1)).load(["a.png", "f.png", "g.png"], 0)


def test_a_picture_that_breaks_between_two_readings_is_an_error(tmp_path: Path) -> None:
    """Otherwise indices would refer to other images."""
    for index in range(4):
        Image.fromarray(GREY).save(tmp_path / f"{index}.png")
    whole = (tmp_path / "1.png").read_bytes()
    (tmp_path / "1.png").write_bytes(whole[:40])
    stream = ImageStream([str(tmp_path)], (8, 8, 1))
    assert [len(list(stream)[0].names), len(list(stream)[0].names)] == [3, 3]
    (tmp_path / "2.png").unlink()
    with pytest.raises(DataError, match="2.png has changed: is not a file"):
        list(stream)
    Image.fromarray(GREY).save(tmp_path / "2.png")
    (tmp_path / "1.png").write_bytes(whole)
    with pytest.raises(DataError, match="1.png has changed: it can be read now"):
        list(stream)
