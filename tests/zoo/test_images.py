"""Image files without an engine: grids, GIFs, folders, arrays, and reading."""

from __future__ import annotations

import io
import os
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo.errors import DataError, OutputError
from zoo.images import atomic, grid, rows, sinks, text
from zoo.images.convert import enlarge
from zoo.images.read import read_image, read_images
from zoo.progress import Progress, clock

GREY = (28, 28, 1)
COLOR = (16, 24, 3)


def noise(n: int, shape: tuple[int, int, int] = GREY, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), np.uint8)


def save(path: Path, images: np.ndarray, run: sinks.Run | None = None, **options: bool) -> None:
    run = run or sinks.Run(len(images), images.shape[1:])
    with sinks.open_sink(str(path), run, **options) as write:
        # In uneven blocks, and through a buffer that is reused, as a stream may do.
        buffer = np.empty((3, *images.shape[1:]), np.uint8)
        for start in range(0, len(images), 3):
            block = images[start : start + 3]
            buffer[: len(block)] = block
            write(buffer[: len(block)])


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        array = np.asarray(picture)
    return array[..., None] if array.ndim == 2 else array


@pytest.mark.parametrize("shape", [GREY, COLOR, (4, 8, 4)])
@pytest.mark.parametrize("count", [1, 7, 64])
def test_grid_holds_every_pixel(tmp_path: Path, shape: tuple[int, int, int], count: int) -> None:
    images = noise(count, shape)
    save(tmp_path / "grid.png", images)
    layout = grid.plan(count, *shape[:2])
    picture = pixels(tmp_path / "grid.png")
    assert picture.shape == (layout.height, layout.width, shape[2])
    for index, image in enumerate(images):
        left, top = layout.corner(index)
        tile = picture[top : top + layout.tile_height, left : left + layout.tile_width]
        np.testing.assert_array_equal(tile, enlarge(image, layout.factor))


def test_grid_is_square_and_its_cells_do_not_overlap() -> None:
    layout = grid.plan(64, 28, 28)
    assert (layout.columns, layout.rows, layout.factor) == (8, 8, 3)
    corners = np.array([layout.corner(i) for i in range(64)])
    assert len(np.unique(corners, axis=0)) == 64
    assert np.diff(np.unique(corners[:, 0])).min() > layout.tile_width
    assert np.diff(np.unique(corners[:, 1])).min() > layout.tile_height
    assert corners[:, 0].max() + layout.tile_width < layout.width
    assert corners[:, 1].max() + layout.tile_height < layout.height


def test_labels_and_title_have_room_and_are_drawn() -> None:
    black = np.zeros((4, *GREY), np.uint8)
    blank = np.asarray(grid.draw(black, [" "] * 4, " "))
    labelled = np.asarray(grid.draw(black, ["18446744073709551612"] * 4, " "))
    titled = np.asarray(grid.draw(black, [" "] * 4, "a title " * 20))
    for picture in (labelled, titled):
        assert picture.shape[1] > blank.shape[1]
        assert (picture[:, :16] == 255).all() and (picture[:, -16:] == 255).all()
        assert set(np.unique(picture)) > {0, 255}, "no text"
    assert set(np.unique(blank)) == {0, 255}


def test_text_is_drawn_in_letters_that_the_font_has() -> None:
    assert text.transliterate("ok ·±….png") == "ok ·±….png"
    assert text.transliterate("înălțime Ø ß u\u0308") == "inaltime O ss u"
    assert text.transliterate("图 1") == "? 1"
    black = np.zeros((2, *GREY), np.uint8)
    for drawn, plain in (("șț", "st"), ("图", "?")):
        pictures = [grid.draw(black, [said, "b"], f"{said} title") for said in (drawn, plain)]
        assert pictures[0].tobytes() == pictures[1].tobytes()
        row = [rows.draw([rows.Row(said, black, [said, "b"])], said) for said in (drawn, plain)]
        assert row[0].tobytes() == row[1].tobytes()


@pytest.mark.parametrize("count", [grid.MAX_TILES + 1, 10**6, 10**12])
def test_huge_grid_is_refused_and_says_what_to_do(tmp_path: Path, count: int) -> None:
    for refuse in (
        lambda: sinks.check(str(tmp_path / "grid.png"), count),
        lambda: sinks.open_sink(str(tmp_path / "grid.png"), sinks.Run(count, GREY)).__enter__(),
    ):
        with pytest.raises(OutputError, match=r"at most 4096.*folder, \.npy or \.npz"):
            refuse()
    assert not list(tmp_path.iterdir())
    with pytest.raises(OutputError, match="pixels.*folder"):
        grid.plan(2000, 1024, 1024)


@pytest.mark.parametrize("count", [1, 10])
def test_arrays(tmp_path: Path, count: int) -> None:
    images = noise(count, COLOR)
    save(tmp_path / "images.npy", images)
    save(tmp_path / "images.npz", images)
    loaded = np.load(tmp_path / "images.npy")
    assert loaded.dtype == np.uint8
    np.testing.assert_array_equal(loaded, images)
    with np.load(tmp_path / "images.npz") as archive:
        assert archive.files == ["images"]
        np.testing.assert_array_equal(archive["images"], images)


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_arrays_without_room_are_refused_at_once(tmp_path: Path, name: str) -> None:
    """Free space is checked before the first image."""
    with (
        pytest.raises(OutputError, match=r"a\.np[yz]: needs 784,000,000,000,000 bytes, but "),
        sinks.open_sink(str(tmp_path / name), sinks.Run(10**12, (28, 28, 1))),
    ):
        pytest.fail("there is no such disk")
    assert list(tmp_path.iterdir()) == []


def test_room_is_what_others_may_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    atomic.check_free_space(tmp_path / "a", min(free // 2, 10**6))
    with pytest.raises(OutputError, match="are free"):
        atomic.check_free_space(tmp_path / "a", 2 * free + 10**12)
    unknown = os.statvfs_result([0] * 10)
    monkeypatch.setattr(os, "statvfs", lambda path: unknown)
    atomic.check_free_space(tmp_path / "a", 10**15)


def test_same_images_give_the_same_bytes(tmp_path: Path) -> None:
    images = noise(5)
    for name in ("a.npy", "a.npz", "a.gif", "a.png"):
        save(tmp_path / name, images)
        before = (tmp_path / name).read_bytes()
        save(tmp_path / name, images)
        assert (tmp_path / name).read_bytes() == before


def test_gif_keeps_all_frames_even_equal_ones(tmp_path: Path) -> None:
    images = noise(6)
    images[3] = images[2]
    save(tmp_path / "a.gif", images)
    factor = sinks.gif_factor(28, 28)
    with Image.open(tmp_path / "a.gif") as animation:
        assert animation.n_frames == 6
        assert animation.info["loop"] == 0
        assert animation.info["duration"] == 120
        for index, image in enumerate(images):
            animation.seek(index)
            frame = np.asarray(animation.convert("L"))[..., None]
            np.testing.assert_array_equal(frame, enlarge(image, factor))


def test_color_gif_keeps_up_to_256_colors(tmp_path: Path) -> None:
    palette = noise(2, (1, 200, 3)).reshape(2, 200, 3)
    images = np.stack([palette[i][noise(1, (20, 30, 1), i)[0, ..., 0] % 200] for i in range(2)])
    save(tmp_path / "a.gif", images)
    factor = sinks.gif_factor(20, 30)
    with Image.open(tmp_path / "a.gif") as animation:
        for index, image in enumerate(images):
            animation.seek(index)
            frame = np.asarray(animation.convert("RGB"))[::factor, ::factor]
            np.testing.assert_array_equal(frame, image)


def test_folder_names_are_indices_of_the_run(tmp_path: Path) -> None:
    images = noise(5, COLOR)
    save(tmp_path / "out", images, sinks.Run(5, COLOR, first=98))
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [f"000000{i:02}.png" if i < 100 else f"00000{i}.png" for i in range(98, 103)]
    for name, image in zip(names, images, strict=True):
        np.testing.assert_array_equal(pixels(tmp_path / "out" / name), image)


def test_folder_names_sort_beyond_eight_digits(tmp_path: Path) -> None:
    save(tmp_path / "out", noise(2), sinks.Run(2, GREY, first=2**64 - 2))
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["18446744073709551614.png", "18446744073709551615.png"]


def test_folder_that_is_not_empty_needs_overwrite(tmp_path: Path) -> None:
    out = tmp_path / "out"
    save(out, noise(3))
    (out / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty"):
        save(out, noise(3))
    save(out, noise(3, seed=1), overwrite=True)
    np.testing.assert_array_equal(pixels(out / "00000002.png"), noise(3, seed=1)[2])
    assert (out / "notes.txt").read_text() == "mine"
    assert len(list(out.iterdir())) == 4
    empty = tmp_path / "empty"
    empty.mkdir()
    save(empty, noise(1))
    assert [path.name for path in empty.iterdir()] == ["00000000.png"]


@pytest.mark.parametrize("name", ["a.png", "a.gif", "a.npy", "a.npz", "folder/", "folder"])
@pytest.mark.parametrize("error", [RuntimeError("stop"), KeyboardInterrupt(), SystemExit(143)])
def test_nothing_is_left_of_what_was_not_finished(
    tmp_path: Path, name: str, error: BaseException
) -> None:
    with (
        pytest.raises(type(error)),
        sinks.open_sink(str(tmp_path) + "/" + name, sinks.Run(9, GREY)) as write,
    ):
        write(noise(3))
        raise error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.png", "a.gif", "a.npy", "a.npz"])
def test_the_old_file_survives_a_failure(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"old")
    with (
        pytest.raises(ZeroDivisionError),
        sinks.open_sink(str(tmp_path / name), sinks.Run(9, GREY)) as write,
    ):
        write(noise(3))
        raise ZeroDivisionError
    assert (tmp_path / name).read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.gif"])
def test_memory_does_not_grow_with_the_run(tmp_path: Path, name: str) -> None:
    block = noise(64)
    save(tmp_path / f"warm{name}", block)

    def peak(blocks: int) -> int:
        tracemalloc.start()
        run = sinks.Run(64 * blocks, GREY)
        with sinks.open_sink(str(tmp_path / name), run) as write:
            for _ in range(blocks):
                write(block)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    few, many = (3, 12) if name == "a.gif" else (10, 400)
    assert peak(many) < peak(few) + 64 * 1024


def test_links_are_followed_and_kept(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "a.npy"
    target.write_bytes(b"old")
    link = tmp_path / "a.npy"
    link.symlink_to(target)
    save(link, noise(2))
    assert link.is_symlink()
    np.testing.assert_array_equal(np.load(target), noise(2))


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("device.npy", "not a regular file"),
        ("missing/a.png", "no folder"),
        ("file.npy/a.png", "no folder"),
        ("a.jpg", r"a\.jpg: expected \.png"),
        ("file.npy/", "not a folder"),
    ],
)
def test_outputs_that_cannot_be(tmp_path: Path, path: str, problem: str) -> None:
    (tmp_path / "file.npy").touch()
    # A rename onto a device, as root, would replace the device itself.
    (tmp_path / "device.npy").symlink_to("/dev/null")
    with pytest.raises(OutputError, match=problem):
        sinks.check(f"{tmp_path}/{path}", 1)
    with pytest.raises(OutputError, match=problem):
        sinks.open_sink(f"{tmp_path}/{path}", sinks.Run(1, GREY)).__enter__()
    assert Path("/dev/null").is_char_device()


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Conditions of the system, which lets root write anywhere: so the answer is replaced.
    monkeypatch.setattr("os.access", lambda path, mode: False)
    for name in ("a.png", "folder/"):
        with pytest.raises(OutputError, match=rf"cannot write .*{name}: permission denied"):
            sinks.check(f"{tmp_path}/{name}", 1)


def test_two_channels_fit_no_picture(tmp_path: Path) -> None:
    for name in ("a.png", "a.gif", "folder"):
        with pytest.raises(OutputError, match=r"1, 3 or 4 channels.*makes 2: write \.npy"):
            save(tmp_path / name, noise(1, (8, 8, 2)))
    save(tmp_path / "a.npy", noise(1, (8, 8, 2)))
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


# What is read.


def test_all_images_of_several_files(tmp_path: Path) -> None:
    """tests/runtime/test_inputs.py has the formats, the orders and the damages."""
    images = noise(5)
    Image.fromarray(images[0, ..., 0]).save(tmp_path / "a.png")
    np.save(tmp_path / "b.npy", images[1:])
    np.save(tmp_path / "one.npy", images[0, ..., 0])
    both, labels = read_images([str(tmp_path / "a.png"), str(tmp_path / "b.npy")], GREY)
    np.testing.assert_array_equal(both, images)
    assert labels == ["a", "0", "1", "2", "3"]
    for name in ("a.png", "one.npy"):
        np.testing.assert_array_equal(read_image(str(tmp_path / name), GREY), images[0])


def test_resize_fits_size_and_mode(tmp_path: Path) -> None:
    Image.new("RGB", (60, 40), (10, 200, 30)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"expected 28×28.*mode L; got 60×40, mode RGB .*--resize"):
        read_image(str(tmp_path / "a.png"), GREY)
    fitted = read_image(str(tmp_path / "a.png"), GREY, resize=True)
    grey = np.asarray(Image.new("RGB", (1, 1), (10, 200, 30)).convert("L"))[0, 0]
    np.testing.assert_array_equal(fitted, np.full(GREY, grey))
    np.save(tmp_path / "b.npy", noise(2, (14, 14, 1)))
    assert read_images([str(tmp_path / "b.npy")], GREY, resize=True)[0].shape == (2, *GREY)


def test_large_pictures_are_measured_before_they_are_decoded(tmp_path: Path) -> None:
    side = 10_000
    Image.new("L", (side, side)).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[:-2000])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match=f"expected 28×28 pixels, mode L; got {side}×{side}"):
            read_image(str(tmp_path / "a.png"), GREY)


def test_missing_inputs(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no images"):
        read_images([], GREY)
    np.save(tmp_path / "two.npy", noise(2))
    with pytest.raises(DataError, match="holds 2 images, expected one"):
        read_image(str(tmp_path / "two.npy"), GREY)


# Progress.


class Screen(io.StringIO):
    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.mark.parametrize(
    ("terminal", "verbose", "shown"), [(True, False, True), (False, True, True), (False, False, 0)]
)
def test_progress(
    monkeypatch: pytest.MonkeyPatch, terminal: bool, verbose: bool, shown: bool
) -> None:
    now = [100.0]
    screen = Screen(terminal)
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr("zoo.progress.time.perf_counter", lambda: now[0])
    with Progress(100_000, verbose) as progress:
        progress.advance(10)
        assert screen.getvalue() == "", "short work shows nothing"
        now[0] += 10
        progress.advance(24_990)
    text = screen.getvalue()
    assert ("25,000 of 100,000 (25%)  2,500 images/s  0:30 left" in text) == bool(shown)
    assert text.endswith("\r\x1b[K" if terminal else "\n" if shown else "")


def test_clock() -> None:
    assert [clock(s) for s in (0, 75, 3599, 3700)] == ["0:00", "1:15", "59:59", "1:01:40"]
