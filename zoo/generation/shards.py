"""Writers of shards, whose bytes are a function of the images and of the libraries' versions."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from zoo.images import png
from zoo.images.npy import write_header
from zoo.optional import require

_BLOCK = 512
"""Bytes of a block of a tar file."""


@dataclass(frozen=True)
class Block:
    """Images [n, H, W, C] of a shard, of which the first has this index.

    labels: their classes, None for a model without classes; names: of the classes, if known.
    """

    images: NDArray[np.uint8]
    seed: int
    first: int
    labels: NDArray[np.int64] | None = None
    names: tuple[str, ...] = ()

    def describe(self, row: int) -> dict[str, Any]:
        """Return what is known of an image."""
        about: dict[str, Any] = {"seed": self.seed, "index": self.first + row}
        if self.labels is not None:
            about["label"] = int(self.labels[row])
            if self.names:
                about["class"] = self.names[about["label"]]
        return about


def write_webdataset(path: Path, blocks: Iterable[Block], count: int) -> None:
    """Write a tar file with INDEX.png, INDEX.json and, where there are classes, INDEX.cls, .txt."""
    with path.open("wb") as file:
        for block in blocks:
            for row, image in enumerate(block.images):
                about = block.describe(row)
                key = f"{about['index']:020}"
                _add(file, f"{key}.png", png.encode(image))
                _add(file, f"{key}.json", json.dumps(about).encode())
                if "label" in about:
                    _add(file, f"{key}.cls", str(about["label"]).encode())
                if "class" in about:
                    _add(file, f"{key}.txt", about["class"].encode())
        file.write(bytes(2 * _BLOCK))
        _sync(file)


def _add(file: IO[bytes], name: str, content: bytes) -> None:
    """Add a member to a tar file, without owner and time (POSIX.1-1988, "ustar")."""
    header = bytearray(_BLOCK)
    encoded = name.encode()
    header[: len(encoded)] = encoded
    header[100:136] = b"0000644\0" + b"0000000\0" + b"0000000\0" + b"%011o\0" % len(content)
    header[136:148] = b"00000000000\0"
    header[148:157] = b"        0"
    header[257:265] = b"ustar\x0000"
    header[148:156] = b"%06o\0 " % sum(header)
    file.write(header)
    file.write(content)
    file.write(bytes(-len(content) % _BLOCK))


def write_parquet(path: Path, blocks: Iterable[Block], count: int) -> None:
    """Write a Parquet file whose column `image` the package datasets decodes."""
    arrow, parquet = require("pyarrow"), require("pyarrow.parquet")
    writer: Any = None
    try:
        for block in blocks:
            rows = [block.describe(row) for row in range(len(block.images))]
            files = [
                {"bytes": png.encode(image), "path": f"{about['index']:020}.png"}
                for image, about in zip(block.images, rows, strict=True)
            ]
            fields = [
                ("image", arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())]))
            ]
            fields += [("seed", arrow.uint64()), ("index", arrow.uint64())]
            features: dict[str, Any] = {
                "image": {"_type": "Image"},
                "seed": {"dtype": "uint64", "_type": "Value"},
                "index": {"dtype": "uint64", "_type": "Value"},
            }
            columns: list[list[Any]] = [files, *([r[k] for r in rows] for k in ("seed", "index"))]
            if block.labels is not None:
                fields.append(("label", arrow.int64()))
                columns.append([about["label"] for about in rows])
                features["label"] = (
                    {"names": list(block.names), "_type": "ClassLabel"}
                    if block.names
                    else {"dtype": "int64", "_type": "Value"}
                )
            metadata = {"huggingface": json.dumps({"info": {"features": features}})}
            schema = arrow.schema(fields, metadata=metadata)
            arrays = [
                arrow.array(column, kind) for column, (_, kind) in zip(columns, fields, strict=True)
            ]
            if writer is None:
                # PNG files are compressed already.
                writer = parquet.ParquetWriter(path, schema, compression="none")
            writer.write_table(arrow.Table.from_arrays(arrays, schema=schema))
    finally:
        if writer is not None:
            writer.close()


def write_npy(path: Path, blocks: Iterable[Block], count: int) -> None:
    """Write an array uint8 [count, H, W, C]."""
    with path.open("wb") as file:
        for number, block in enumerate(blocks):
            if number == 0:
                write_header(file, (count, *block.images.shape[1:]))
            file.write(block.images.tobytes())
        _sync(file)


def write_png(path: Path, blocks: Iterable[Block], count: int) -> None:
    """Write INDEX.png into a folder, and `images.jsonl` with a line for each."""
    with (path / "images.jsonl").open("w", encoding="utf-8") as lines:
        for block in blocks:
            for row, image in enumerate(block.images):
                about = block.describe(row)
                name = f"{about['index']:020}.png"
                (path / name).write_bytes(png.encode(image))
                lines.write(json.dumps({"file": name, **about}) + "\n")


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


WRITERS: dict[str, Callable[[Path, Iterable[Block], int], None]] = {
    "webdataset": write_webdataset,
    "parquet": write_parquet,
    "npy": write_npy,
    "png": write_png,
}
"""Writers of a shard of `count` images, by format."""
