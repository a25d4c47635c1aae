"""What a run generates: the images of a source, divided into shards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from zoo.errors import ConfigError
from zoo.generation.source import UINT64_MAX, Source

SUFFIXES = {"webdataset": ".tar", "parquet": ".parquet", "npy": ".npy", "png": ""}
"""Formats of shards, and what their names end with; shards of PNG files are folders."""

MOST_SHARDS = 10_000_000
"""More files than one folder should have; their names have eight digits."""


@dataclass(frozen=True)
class Plan(Source):
    """Images `first` … `first + count - 1` of a source, in shards of `shard_size`."""

    count: int
    first: int
    format: str
    shard_size: int

    def __post_init__(self) -> None:
        if self.first > UINT64_MAX - self.count + 1:
            raise ConfigError("--first: the indices of all images must be below 2**64")
        if self.shards > MOST_SHARDS:
            raise ConfigError(
                f"--shard-size: {self.shard_size:,} images would give {self.shards:,} shards, "
                f"expected at most {MOST_SHARDS:,}"
            )

    @property
    def shards(self) -> int:
        """Number of shards; the last one may have fewer images."""
        return -(-self.count // self.shard_size)

    def rows(self, shard: int) -> tuple[int, int]:
        """Return the index of a shard's first image, and its number of images."""
        begin = shard * self.shard_size
        return self.first + begin, min(self.shard_size, self.count - begin)

    def name(self, shard: int) -> str:
        """Return the name of a shard's file or folder."""
        return f"{shard:08}{SUFFIXES[self.format]}"

    def entry(self, shard: int) -> dict[str, Any]:
        """Return what an index says of a shard, before it is made."""
        first, count = self.rows(shard)
        return {
            "shard": shard,
            "file": self.name(shard),
            "engine": self.digest,
            "seed": self.seed,
            "first": first,
            "count": count,
            "format": self.format,
            "labels": self.labels,
            "prior": self.prior,
            "truncation": self.truncation,
            "backend": self.options.get("backend", "auto"),
            "precision": self.options.get("precision", "fp32"),
        }

    def to_json(self) -> str:
        """Return the plan as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Return the plan of a line."""
        return cls(**json.loads(text))


def parse_part(text: str | None) -> tuple[int, int]:
    """Parse `--part i/N`, i from 0 to N - 1; None is all. Raises ConfigError."""
    if text is None:
        return 0, 1
    index, _, of = text.partition("/")
    valid = index.isascii() and index.isdecimal() and of.isascii() and of.isdecimal()
    if not (valid and len(text) < 20 and int(index) < int(of)):
        raise ConfigError(f"--part: expected i/N with i from 0 to N - 1, got {text}")
    return int(index), int(of)


def shards_of_part(plan: Plan, part: tuple[int, int]) -> Iterator[int]:
    """Yield the shards of part i of N: i, i + N, i + 2 N, …."""
    yield from range(part[0], plan.shards, part[1])
