"""Data sets: formats, damage, locations, and downloads."""

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo import data
from zoo.data import sets, sources
from zoo.errors import DataError


def idx_bytes(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (20, 8, 8), np.uint8)


def write_set(folder: Path, images: np.ndarray, compress: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    labels = np.arange(len(images), dtype=np.uint8) % 10
    for part in ("train", "t10k"):
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            content = idx_bytes(array)
            name = f"{part}-{kind}-ubyte"
            if compress:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without data sets, whose cache is in the returned folder."""
    monkeypatch.delenv("ZOO_DATA", raising=False)
    monkeypatch.setattr(sources, "SYSTEM_FOLDER", tmp_path / "system")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


# Fashion-MNIST itself


def test_fashion_mnist_is_the_published_one() -> None:
    loaded = data.load("fashion-mnist")
    training = loaded.seen
    assert training.images.shape == (60_000, 28, 28, 1)
    assert loaded.test.images.shape == (10_000, 28, 28, 1)
    assert training.images.dtype == np.uint8
    assert training.labels is not None and loaded.test.labels is not None
    assert np.array_equal(np.bincount(training.labels), [6_000] * 10)
    assert np.array_equal(np.bincount(loaded.test.labels), [1_000] * 10)
    assert len(loaded.classes) == 10 and loaded.classes[9] == "Ankle boot"
    pixels = training.images / 255
    assert pixels.mean() == pytest.approx(0.2860, abs=1e-4)
    assert pixels.std() == pytest.approx(0.3530, abs=1e-4)


# IDX


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file"),
        (b"\x89PNG\r\n\x1a\n", "not an IDX file"),
        (b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0", "elements of type 0x0d"),
        (b"\0\0\x08\x03\0\0\0\x01", "ends inside its header"),
        (b"\0\0\x08\0", "ends inside its header"),
        (b"\0\0\x08\x01\0\0\0\x05abc", "shorter than its header says"),
        (b"\0\0\x08\x01\0\0\0\x02abc", "longer than its header says"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x02ab", mtime=0)[:-6], "cannot read"),
        (b"\x1f\x8b" + bytes(30), "cannot read"),
    ],
)
def test_damaged_idx(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        data.read_idx(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


# Where named sets are found


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize(
    "place", ["home/mnist", "home", "system/mnist", "cache/generator-zoo/mnist"]
)
def test_set_is_found(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch, images: np.ndarray, place: str, compress: bool
) -> None:
    monkeypatch.setenv("ZOO_DATA", str(nowhere / "home"))
    write_set(nowhere / place, images, compress)
    loaded = data.load("mnist", download=False)
    assert np.array_equal(loaded.seen.images[..., 0], images)
    assert loaded.classes[3] == "3"


def test_absent_set_says_where_and_how(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_DATA", str(nowhere / "home"))
    with pytest.raises(DataError) as caught:
        data.load("fashion-mnist", download=False)
    message = str(caught.value)
    for part in ("home", "system", "cache", "ZOO_DATA", "apt install dataset-fashion-mnist"):
        assert part in message
    assert "\n" not in message


def serve(folder: Path, images: np.ndarray) -> sources.Source:
    """Return a source with `file://` addresses."""
    write_set(folder, images, compress=True)
    names = sources.SOURCES["mnist"].sha256
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    return sources.Source("served", folder.as_uri() + "/", digests, [])


def test_download_is_checked_and_kept(
    nowhere: Path, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = serve(nowhere / "server", images)
    monkeypatch.setitem(data.SOURCES, "served", source)
    assert np.array_equal(data.load("served").test.images[..., 0], images)
    cached = nowhere / "cache" / "generator-zoo" / "served"
    assert sorted(file.name for file in cached.iterdir()) == sorted(source.sha256)
    (nowhere / "server").rename(nowhere / "gone")
    assert len(data.load("served").seen) == len(images)


def test_download_with_a_wrong_checksum_leaves_nothing(nowhere: Path, images: np.ndarray) -> None:
    source = serve(nowhere / "server", images)
    name = "t10k-images-idx3-ubyte.gz"
    (nowhere / "server" / name).write_bytes(b"something else")
    with pytest.raises(DataError, match=f"{name} has SHA-256 .*, expected {source.sha256[name]}"):
        sources.locate(source)
    cached = nowhere / "cache" / "generator-zoo" / "served"
    assert name not in [file.name for file in cached.iterdir()]
    assert not list(cached.glob(".*"))


def test_failed_download_says_so(nowhere: Path, images: np.ndarray) -> None:
    source = serve(nowhere / "server", images)
    (nowhere / "server").rename(nowhere / "gone")
    with pytest.raises(DataError, match="the download of file:.* failed"):
        sources.locate(source)


def test_checksums_are_sha256() -> None:
    for source in data.SOURCES.values():
        assert all(len(bytes.fromhex(digest)) == 32 for digest in source.sha256.values())


@pytest.mark.parametrize("form", ["plain", "gz", "dots"])
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_set_in_a_folder_that_is_given(
    nowhere: Path, images: np.ndarray, name: str, form: str
) -> None:
    folder = nowhere / "mine"
    write_set(folder, images, compress=form == "gz")
    for file in list(folder.iterdir()) if form == "dots" else []:
        file.rename(folder / file.name.replace("-idx", ".idx"))
    loaded = data.load(f"{name}:{folder}")
    assert loaded.name == name and loaded.classes == sources.SOURCES[name].classes
    assert np.array_equal(loaded.seen.images[..., 0], images)
    assert np.array_equal(loaded.test.labels, np.arange(len(images)) % 10)  # type: ignore[arg-type]
    assert data.load(f"{name}:{folder}", size=10, channels=3).train.images.shape[1:] == (10, 10, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("no folder", "mnist:.*mine: there is no such folder"),
        ("no test", r"mine has no t10k-images-idx3-ubyte\.gz, t10k-labels-idx1-ubyte\.gz \(with"),
        ("labels", "train-images-idx3-ubyte and train-labels-idx1-ubyte: 20 images but labels"),
        ("swapped", "mine/train-images-idx3-ubyte"),
        ("cut", "mine/train-images-idx3-ubyte is shorter than its header says"),
        ("class", "10 classes but a label 11"),
    ],
)
def test_bad_folder_of_a_set(nowhere: Path, images: np.ndarray, change: str, message: str) -> None:
    folder = nowhere / "mine"
    if change != "no folder":
        write_set(folder, images, compress=False)
    train, labels = folder / "train-images-idx3-ubyte", folder / "train-labels-idx1-ubyte"
    if change == "no test":
        for file in folder.glob("t10k-*"):
            file.unlink()
    elif change == "labels":
        labels.write_bytes(idx_bytes(np.zeros(19, np.uint8)))
    elif change == "swapped":
        train.write_bytes(labels.read_bytes())
    elif change == "cut":
        train.write_bytes(train.read_bytes()[:-1])
    elif change == "class":
        labels.write_bytes(idx_bytes(np.full(20, 11, np.uint8)))
    with pytest.raises(DataError, match=message) as caught:
        data.load(f"mnist:{folder}")
    assert "\n" not in str(caught.value)


def test_empty_name_of_a_folder() -> None:
    with pytest.raises(DataError, match="mnist: expected mnist:FOLDER"):
        data.load("mnist:")


# Folders and .npz


def save_pictures(folder: Path, count: int, mode: str = "RGB", size: tuple[int, int] = (12, 8)):
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        Image.new(mode, size, index * 10).save(folder / f"{index:02d}.png")


def test_folder_of_classes(tmp_path: Path) -> None:
    save_pictures(tmp_path / "set" / "cats", 12)
    save_pictures(tmp_path / "set" / "dogs", 8)
    loaded = data.load(str(tmp_path / "set"), size=4)
    assert loaded.name == "set" and loaded.classes == ["cats", "dogs"]
    assert loaded.seen.images.shape == (18, 4, 4, 3) and len(loaded.test) == 2
    assert loaded.seen.labels is not None and loaded.test.labels is not None
    labels = np.concatenate([loaded.seen.labels, loaded.test.labels])
    assert np.array_equal(np.bincount(labels), [12, 8])


def test_folder_with_its_own_split(tmp_path: Path) -> None:
    save_pictures(tmp_path / "train", 3, "L")
    save_pictures(tmp_path / "test", 2, "L", (20, 20))
    loaded = data.load(str(tmp_path), size=8)
    assert loaded.seen.images.shape == (3, 8, 8, 1)
    assert loaded.test.images.shape == (2, 8, 8, 1)
    assert loaded.classes == [] and loaded.train.labels is None


def test_picture_is_cropped_to_its_centre(tmp_path: Path) -> None:
    picture = np.zeros((4, 8), np.uint8)
    picture[:, 2:6] = np.arange(16).reshape(4, 4)
    fitted = sets.fit(Image.fromarray(picture), None, None)
    assert np.array_equal(fitted[..., 0], np.arange(16).reshape(4, 4))


def test_folder_with_a_broken_picture(tmp_path: Path) -> None:
    """It is left out together with its label, and listed."""
    for name, count in (("cats", 3), ("dogs", 4)):
        save_pictures(tmp_path / "train" / name, count)
        save_pictures(tmp_path / "test" / name, count)
    (tmp_path / "train" / "cats" / "01.png").write_bytes(b"not a picture")
    loaded = data.load(str(tmp_path))
    training = loaded.seen
    assert training.labels is not None
    pairs = zip(training.labels.tolist(), training.images[:, 0, 0, 0].tolist(), strict=True)
    assert sorted(pairs) == [(0, 0), (0, 20), (1, 0), (1, 10), (1, 20), (1, 30)]
    reason = "is not a picture, .npy, .npz or IDX file"
    assert loaded.skipped == [(f"{tmp_path}/train/cats/01.png", reason)]
    for file in (tmp_path / "test").rglob("*.png"):
        file.write_bytes(b"")
    with pytest.raises(DataError, match="no image can be used: 7 skipped, the first of them .*00"):
        data.load(str(tmp_path))


def test_folder_with_a_picture_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (40, 40)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match=r"a.png: .*exceeds limit"):
        data.load(str(tmp_path))


def test_npz_with_its_own_split(tmp_path: Path, images: np.ndarray) -> None:
    path = tmp_path / "toy.npz"
    np.savez(
        path,
        train_images=images,
        test_images=images[:5],
        train_labels=np.zeros(20, np.uint8),
        classes=np.array(["thing"]),
    )
    loaded = data.load(str(path))
    assert loaded.name == "toy" and loaded.classes == ["thing"]
    assert sorted(map(bytes, loaded.seen.images)) == sorted(map(bytes, images))
    assert len(loaded.test) == 5 and loaded.test.labels is None


def test_npz_is_split_the_same_every_time(tmp_path: Path, images: np.ndarray) -> None:
    path = tmp_path / "toy.npz"
    np.savez(path, images=images)
    first, second = data.load(str(path)), data.load(str(path))
    assert [len(part) for part in first.parts.values()] == [16, 2, 2]
    for name, part in first.parts.items():
        assert np.array_equal(part.images, second.parts[name].images)
    together = np.concatenate([part.images for part in first.parts.values()])[..., 0]
    assert np.array_equal(np.sort(together, 0), np.sort(images, 0))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pixels": np.zeros(3)}, "holds pixels; expected `images`"),
        ({"images": np.zeros((20, 8, 8))}, "must be uint8, got float64"),
        ({"images": np.zeros((20, 8), np.uint8)}, r"shape \[20, 8\]"),
        ({"images": np.zeros((20, 8, 8, 2), np.uint8)}, "1 or 3 channels"),
        ({"images": np.zeros((20, 8, 8), np.uint8), "labels": np.zeros(3)}, "20 images but labels"),
        ({"images": np.zeros((0, 8, 8), np.uint8)}, "no images"),
        ({"images": np.zeros((1, 8, 8), np.uint8)}, "cannot hold"),
        ({"images": np.array([{}], object)}, "Python objects, which are never read"),
    ],
)
def test_bad_npz(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=message):
        data.load(str(path))


def test_unknown_set_lists_the_known() -> None:
    with pytest.raises(DataError, match="mnist, fashion-mnist, faces"):
        data.load("no-such-set")


# Attributes and classes


ATTRIBUTES = np.array([[1, -1], [-1, -1], [1, 1]] * 10, np.int8)[:20]


def with_row_numbers(count: int = 20) -> data.Split:
    """Return a split whose images, labels and attributes all encode their row number."""
    rows = np.arange(count)
    images = np.broadcast_to(rows.astype(np.uint8)[:, None, None, None], (count, 4, 4, 1))
    bits = np.where(rows[:, None] >> np.arange(5) & 1, 1, -1)
    return data.Split(images, rows, bits.astype(np.int8))


def rows_of(split: data.Split) -> np.ndarray:
    """Return the rows of `with_row_numbers` in a split, after checking that all three agree."""
    assert split.labels is not None and split.attributes is not None
    by_bits = (split.attributes > 0) @ (1 << np.arange(5))
    by_images = split.images.reshape(len(split), -1).max(1)
    assert np.array_equal(by_bits, split.labels) and np.array_equal(by_images, split.labels)
    return split.labels


def test_attributes_stay_with_their_images() -> None:
    train, test = data.split_by_seed(with_row_numbers())
    assert sorted([*rows_of(train), *rows_of(test)]) == list(range(20)) and len(test) == 2
    assert np.array_equal(rows_of(data.resize(train, 8, 3)), rows_of(train))
    left = data.DataSet("toy", train, test, [str(row) for row in range(20)], list("abcde"))
    kept = left.without(["3", "12"])
    assert sorted(rows_of(kept.seen)) == sorted(set(rows_of(train)) - {3, 12})
    assert kept.test is test and kept.classes == left.classes and kept.attributes == list("abcde")
    assert left.without([]) is left


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        (ATTRIBUTES[:19], r"20 images but attributes of shape \[19, 2\]"),
        (ATTRIBUTES[:, 0], r"must be int8 \[N, K\], got int8 \[20\]"),
        (ATTRIBUTES.astype(np.int64), r"must be int8 \[N, K\], got int64"),
        (ATTRIBUTES * np.int8(2), "must be 1 or -1, got 2 in row 0, column 0"),
        (np.maximum(ATTRIBUTES, 0), "must be 1 or -1, got 0 in row 0, column 1"),
    ],
)
def test_bad_attributes(images: np.ndarray, attributes: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        data.Split(images[..., None], attributes=attributes)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "toy: 0 attribute names but 2 columns of attributes in train"),
        (["a"], "toy: 1 attribute names but 2 columns of attributes in train"),
        (["a", "a"], "toy: attributes has a twice"),
        (["a", "b"], "toy: 2 attribute names but 0 columns of attributes in test"),
    ],
)
def test_bad_attribute_names(images: np.ndarray, names: list[str], message: str) -> None:
    train = data.Split(images[..., None], attributes=ATTRIBUTES)
    test = data.Split(images[..., None], attributes=None if len(set(names)) == 2 else ATTRIBUTES)
    with pytest.raises(DataError, match=message):
        data.DataSet("toy", train, test, attributes=names)


def test_without_what_is_not_there(images: np.ndarray) -> None:
    bare = data.Split(images[..., None])
    with pytest.raises(DataError, match="toy has no class 'Bag'; its classes: none"):
        data.DataSet("toy", bare, bare).without(["Bag"])
    labelled = data.Split(images[..., None], np.zeros(20, np.int64))
    two = data.DataSet("toy", labelled, bare, ["Bag", "Hat"])
    with pytest.raises(DataError, match="toy has no class 'bag'; its classes: Bag, Hat"):
        two.without(["Hat", "bag"])
    with pytest.raises(DataError, match="toy has no training images without Bag"):
        two.without(["Bag"])


@pytest.mark.parametrize("kind", [np.int8, np.int64, np.float32])
def test_npz_with_attributes(tmp_path: Path, kind: type) -> None:
    split = with_row_numbers()
    path = tmp_path / "toy.npz"
    arrays = {"images": split.images, "labels": split.labels}
    assert split.attributes is not None
    np.savez(path, attributes=split.attributes.astype(kind), **arrays)
    loaded = data.load(str(path))
    assert loaded.attributes == [f"attribute_{k}" for k in range(5)]
    assert sorted([*rows_of(loaded.seen), *rows_of(loaded.test)]) == list(range(20))
    names = np.array(["Hat", "Beard", "Bald", "Wink", "Smiling"])
    np.savez(path, attributes=split.attributes, attribute_names=names, **arrays)
    assert data.load(str(path), size=8).attributes == names.tolist()
    parts = {
        f"{part}_{name}": array[rows]
        for part, rows in (("train", slice(15)), ("test", slice(15, 20)))
        for name, array in (*arrays.items(), ("attributes", split.attributes))
        if array is not None
    }
    np.savez(path, attribute_names=names, **parts)
    loaded = data.load(str(path))
    assert np.array_equal(rows_of(loaded.test), np.arange(15, 20))
    assert sorted(rows_of(loaded.seen)) == list(range(15))
    np.savez(
        path,
        attribute_names=names,
        **parts,
        **{
            name.replace("test", "validation"): array[:3]
            for name, array in parts.items()
            if name.startswith("test")
        },
    )
    loaded = data.load(str(path))
    assert np.array_equal(rows_of(loaded.train), np.arange(15))
    assert len(loaded.validation) == 3 and len(loaded.test) == 5


def test_what_is_for_validation() -> None:
    fashion, again = data.load("fashion-mnist"), data.load("fashion-mnist", size=32)
    assert [len(part) for part in fashion.parts.values()] == [55_000, 5_000, 10_000]
    files = sources.locate(sources.SOURCES["fashion-mnist"])
    published = data.read_idx(files[0])[..., None]
    assert np.array_equal(fashion.train.images, published[:55_000]), "images keep their numbers"
    assert np.array_equal(fashion.validation.images, published[55_000:])
    assert np.array_equal(fashion.validation.labels, data.read_idx(files[1])[55_000:])
    assert np.array_equal(again.validation.images[:, 2:30, 2:30], fashion.validation.images)
    assert fashion.mapped(lambda part: part) == fashion
    one = data.Split(fashion.test.images[:1])
    assert data.DataSet("one", one, one).validation is one


def test_a_class_that_alone_is_for_validation_is_replaced(images: np.ndarray) -> None:
    split = data.Split(images[..., None], np.zeros(20, np.int64))
    only = data.Split(images[:3, ..., None], np.ones(3, np.int64))
    loaded = data.DataSet("toy", split, split, ["a", "b"], validation=only)
    kept = loaded.without(["b"])
    assert [len(part) for part in kept.parts.values()] == [18, 2, 20]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"attributes": np.full((20, 2), 257)}, "bad.npz: attributes must be 1 or -1, got 257"),
        ({"attributes": ATTRIBUTES > 0}, r"must be 1 or -1, got False \(bool\)"),
        ({"attributes": ATTRIBUTES.astype(str)}, r"must be 1 or -1, got 1 \(<U"),
        ({"attributes": np.array("hat")}, "must be 1 or -1, got hat"),
    ],
)
def test_npz_with_bad_attributes(
    tmp_path: Path, images: np.ndarray, arrays: dict[str, np.ndarray], message: str
) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, images=images, **arrays)
    with pytest.raises(DataError, match=message):
        data.load(str(path))


# Size and normalisation


def test_normalise() -> None:
    images = np.array([0, 51, 255], np.uint8).reshape(3, 1, 1, 1)
    normal = data.normalise(images)
    assert normal.dtype == np.float32 and normal.shape == (3, 1, 1, 1)
    assert np.array_equal(normal.ravel(), np.float32([0, 0.2, 1]))
    picture = np.arange(24, dtype=np.uint8).reshape(1, 2, 4, 3)
    assert np.array_equal(data.normalise(picture)[0, 2] * 255, picture[0, :, :, 2])


def test_resize_and_channels(images: np.ndarray) -> None:
    split = data.Split(images[..., None])
    assert data.resize(split, 8, 1) is split
    larger = data.resize(split, 16, 3)
    assert larger.images.shape == (20, 16, 16, 3)
    assert np.array_equal(larger.images[..., 0], larger.images[..., 2])
    assert data.resize(larger, None, 1).images.shape == (20, 16, 16, 1)


@pytest.mark.parametrize("name", ["x" * 300, "pairs:" + "x" * 300, "a:" + "x" * 300, "a\0.npz"])
def test_names_that_no_file_can_have(name: str) -> None:
    with pytest.raises(DataError, match="x is no|is not a data set|is not a folder"):
        data.load(name)
