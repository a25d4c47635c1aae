"""The engines of a service, each with its batcher."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime import Batcher, Generator
from zoo import engines
from zoo.errors import ConfigError
from zoo.images.reading import sha256

ROLES = ("generator",)
"""Roles of engines that are served."""


@dataclass(frozen=True)
class BatchOptions:
    """How requests are gathered; see `runtime.Batcher`."""

    images: int = 64
    delay: float = 0.0
    queue: int = 4096


class Model:
    """A served engine: `identity` changes with whatever its images depend on."""

    def __init__(self, name: str, path: Path, options: dict[str, Any], batch: BatchOptions) -> None:
        self.name = name
        self.generator = Generator(path, **options)
        self.batcher = Batcher(self.generator, batch.images, batch.delay, batch.queue)
        self.batch = batch
        self.manifest = self.generator.manifest
        self.precision = str(options.get("precision", "fp32"))
        parts = (sha256(path), self.generator.backend, self.precision)
        self.identity = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def describe(self) -> dict[str, Any]:
        """Return what clients see of the model."""
        generator = self.generator
        height, width, channels = generator.image_shape
        return {
            "name": self.name,
            "role": self.manifest["role"],
            "model": self.manifest["model"],
            "image": {"height": height, "width": width, "channels": channels},
            "latent": {"width": generator.latent_width, "priors": generator.priors},
            "classes": generator.classes or generator.class_count,
            "styles": generator.style_layers,
            "backend": generator.backend,
            "precision": self.precision,
            "identity": self.identity,
        }

    async def close(self) -> None:
        """Complete what was accepted, then release the engine."""
        await self.batcher.close()
        self.generator.close()


def load(names: Sequence[str], options: dict[str, Any], batch: BatchOptions) -> dict[str, Model]:
    """Load engines, by path or as shipped; a model is named after its file.

    Raises ConfigError for two of one name, or an engine that draws no images; the errors of
    runtime.Generator.
    """
    from runtime import manifest

    models: dict[str, Model] = {}
    for each in names:
        path = engines.resolve(each, **options)
        name = path.stem
        role = manifest.read(path)["role"]
        if role not in ROLES:
            raise ConfigError(f"{path.name} has the role {role}, expected {' or '.join(ROLES)}")
        if name in models:
            raise ConfigError(f"two engines have the name {name}")
        models[name] = Model(name, path, options, batch)
    return models
