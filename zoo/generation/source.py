"""The images of a seed: what an image is a function of, and how those of a range are generated."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from runtime import Generator
from zoo.engines import check_prior, resolve, split_labels
from zoo.errors import ConfigError
from zoo.generation.shards import Block
from zoo.images.reading import sha256

UINT64_MAX = 2**64 - 1


@dataclass(frozen=True)
class Source:
    """Everything but its index that an image depends on.

    engine: path of the file; digest: its SHA-256; labels: classes that the images have in turn;
    options: those of runtime.Generator.
    """

    engine: str
    digest: str
    seed: int
    labels: list[int] | None
    prior: str
    truncation: float
    options: dict[str, Any]

    @property
    def uses_gpu(self) -> bool:
        """True if the engine runs on a GPU."""
        device = str(self.options.get("device", "auto"))
        return device.startswith("cuda") or self.engine.endswith(".plan")

    def open(self) -> Generator:
        """Load the engine. Raises ConfigError if the file has changed, and as runtime.Generator."""
        generator = Generator(self.engine, **self.options)
        if sha256(self.engine) != self.digest:
            generator.close()
            raise ConfigError(f"{self.engine} is not the engine that the run began with")
        return generator

    def block(self, generator: Generator, first: int, count: int) -> Block:
        """Return images `first` … `first + count - 1`, with their classes."""
        labels = None if self.labels is None else np.array(self.labels, np.int64)
        images = generator.sample(
            count,
            self.seed,
            first,
            prior=self.prior,
            truncation=self.truncation,
            labels=labels,
            cycle=labels is not None,
        )
        classes = None
        if generator.class_count:
            turn = labels if labels is not None else np.arange(generator.class_count)
            # Indices have 64 bits: Python's integers do not overflow.
            classes = turn[[(first + row) % len(turn) for row in range(count)]]
        return Block(images, self.seed, first, classes, tuple(generator.classes))


def open_source(
    engine: str | os.PathLike[str],
    seed: int = 0,
    labels: Sequence[int | str] | str | None = None,
    prior: str = "normal",
    truncation: float = 1.0,
    **options: Any,
) -> Source:
    """Return the source of an engine's images, with checked arguments.

    labels: classes by number or name, also as a text with commas between them; `options`: those of
    runtime.Generator, by default one instance. Raises ConfigError, and the
    errors of `resolve` and of runtime.Generator.
    """
    path = os.path.abspath(resolve(engine, **options))
    options = {name: value for name, value in options.items() if value is not None}
    options.setdefault("instances", 1)
    # An image is made here, so that a wrong argument is reported before any work.
    with Generator(path, **options) as generator:
        check_prior(generator, prior)
        if generator.manifest["image"]["dtype"] != "uint8":
            raise ConfigError(f"{engine} generates floats, expected uint8 images")
        if isinstance(labels, str):
            labels = split_labels(labels, generator.classes)
        classes = generator._classes.parse(labels)
        turn = None if classes is None else classes.tolist()
        source = Source(path, sha256(path), seed, turn, prior, truncation, options)
        source.block(generator, 0, 1)
    return source
