"""Location of the named data sets: local folders, or a verified download."""

from __future__ import annotations

import http.client
import os
import shutil
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from zoo import cache
from zoo.errors import ConfigError, DataError, ZooError
from zoo.images.atomic import lock_output, replace_file
from zoo.images.reading import sha256

SYSTEM_FOLDER = Path("/usr/share/datasets")
"""Folder in which Debian's `dataset-*` packages install their files."""

TIMEOUT_S = 30.0
"""Seconds without a response after which a download fails."""


@dataclass(frozen=True)
class Source:
    """Data set in IDX files: name, address, class names, and SHA-256 by file name.

    The files are in the order train images, train labels, test images, test labels. `hint` is
    another way to get them.
    """

    name: str
    address: str
    sha256: dict[str, str]
    classes: list[str]
    hint: str = ""


SOURCES = {
    source.name: source
    for source in (
        Source(
            name="mnist",
            address="https://ossci-datasets.s3.amazonaws.com/mnist/",
            sha256={
                "train-images-idx3-ubyte.gz": (
                    "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
                ),
                "train-labels-idx1-ubyte.gz": (
                    "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
                ),
                "t10k-images-idx3-ubyte.gz": (
                    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
                ),
                "t10k-labels-idx1-ubyte.gz": (
                    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
                ),
            },
            classes=[str(digit) for digit in range(10)],
        ),
        Source(
            name="fashion-mnist",
            address="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            sha256={
                "train-images-idx3-ubyte.gz": (
                    "08dc20ab1689590a0bcd66e874647b6ee8464e2d501b5a3f1f78831db19a3fdc"
                ),
                "train-labels-idx1-ubyte.gz": (
                    "b0197879cbda89f3dc7b894f9fd52b858e68ea4182b6947c9d8c2b67e5f18dcc"
                ),
                "t10k-images-idx3-ubyte.gz": (
                    "78dcbbfb5a27efaf1b6c1d616caca68560be8766c5bffcb2791df9273a534229"
                ),
                "t10k-labels-idx1-ubyte.gz": (
                    "42bd18137a62d5998cdeae52bf3a0676ac6b706f5cf8439b47bb5b151ae3dccf"
                ),
            },
            classes=[
                "T-shirt/top",
                "Trouser",
                "Pullover",
                "Dress",
                "Coat",
                "Sandal",
                "Shirt",
                "Sneaker",
                "Bag",
                "Ankle boot",
            ],
            hint="apt install dataset-fashion-mnist",
        ),
    )
}


def locate(source: Source, download: bool = True) -> list[Path]:
    """Return the four files of a data set, compressed or plain, downloading them if needed.

    Searches `$ZOO_DATA/<name>`, `$ZOO_DATA`, the system's folder and the cache, in that order, for
    a folder with all four. Raises `DataError`, with the folders and other ways to get the files, if
    there is none and a download fails or is not allowed.
    """
    folders = [SYSTEM_FOLDER / source.name]
    if home := os.environ.get("ZOO_DATA"):
        folders = [Path(home) / source.name, Path(home), *folders]
    downloads, problem = None, "it may not be downloaded"
    try:
        downloads = cache.folder() / source.name
        folders.append(downloads)
    except ConfigError as error:
        problem = str(error)
    for folder in folders:
        files = [file for name in source.sha256 if (file := _find_file(folder / name))]
        if len(files) == len(source.sha256):
            return files
    if download and downloads:
        try:
            return [fetch(source, name, downloads) for name in source.sha256]
        except (OSError, ZooError) as error:
            problem = str(error)
    ways = [f"`{source.hint}`"] if source.hint else []
    ways.append(f"set ZOO_DATA to a folder that holds {', '.join(source.sha256)}")
    raise DataError(
        f"no {source.name} in {', '.join(map(str, folders))}, and {problem}. "
        f"To get it: {', or '.join(ways)}"
    )


def locate_in(source: Source, folder: Path) -> list[Path]:
    """Return the four files of a data set in a folder, compressed or plain.

    Raises `DataError`, with the missing names, unless all are there.
    """
    if not folder.is_dir():
        raise DataError(f"{source.name}:{folder}: there is no such folder")
    files = {name: _find_file(folder / name) for name in source.sha256}
    missing = [name for name, file in files.items() if file is None]
    if missing:
        raise DataError(
            f"{folder} has no {', '.join(missing)} (with or without .gz), needed for {source.name}"
        )
    return [file for file in files.values() if file is not None]


def _find_file(path: Path) -> Path | None:
    """Return a file of this name, without .gz, or with a dot before `idx`."""
    plain = path.with_suffix("")
    dotted = plain.with_name(plain.name.replace("-idx", ".idx"))
    files = (path, plain, Path(f"{dotted}.gz"), dotted)
    return next((file for file in files if file.is_file()), None)


def fetch(source: Source, name: str, folder: Path) -> Path:
    """Download one file of a source to `folder`, verifying its SHA-256.

    Raises `DataError` for a wrong checksum or a failed transfer, and `OSError` or `OutputError`
    if the folder cannot be written.
    """
    target = folder / name
    if target.is_file():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with lock_output(target, wait=True):
        if not target.is_file():
            _download(source.address + name, target, source.sha256[name])
    return target


def _download(address: str, target: Path, expected: str) -> None:
    with replace_file(target, locked=True) as temporary, temporary.open("wb") as file:
        try:
            with urllib.request.urlopen(address, timeout=TIMEOUT_S) as response:
                shutil.copyfileobj(response, file)
        except (OSError, http.client.HTTPException) as error:
            raise DataError(f"the download of {address} failed: {error}") from error
        file.flush()
        digest = sha256(temporary)
        if digest != expected:
            raise DataError(f"the download of {address} has SHA-256 {digest}, expected {expected}")
