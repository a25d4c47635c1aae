"""The engines of a service: each with those beside it, a batcher, and threads."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from runtime import Batcher, Classifier, Encoder, Generator, Mapping
from zoo import engines
from zoo.applications.domains import open_classifier
from zoo.data.domains import domain_names, read_domains
from zoo.errors import ConfigError
from zoo.images.reading import sha256
from zoo.inference.pairs import check_pair
from zoo.serving.pool import Pool


@dataclass(frozen=True)
class BatchOptions:
    """How requests are gathered; see `runtime.Batcher`."""

    images: int = 64
    delay: float = 0.0
    queue: int = 4096


class Model:
    """A served engine: `identity` changes with whatever its answers depend on."""

    def __init__(
        self, name: str, engine: Any, options: dict[str, Any], batch: BatchOptions
    ) -> None:
        self.name = name
        self.batch = batch
        self.manifest: dict[str, Any] = engine.manifest
        self.backend: str = engine.backend
        self.precision = str(options.get("precision", "fp32"))
        self.pool = Pool(engine.instances, batch.queue)
        self._open = ExitStack()
        self.files: list[Path] = []
        self._digests: list[str] = []
        self._own(engine)

    def _own(self, engine: Any) -> Any:
        """Close an engine with the model, whose answers depend on its file."""
        self._note(engine.path)
        return self._open.enter_context(engine)

    def _note(self, path: str) -> None:
        self.files.append(Path(path))
        self._digests.append(sha256(path))

    @cached_property
    def identity(self) -> str:
        """Name of these files, computed in this way."""
        parts = (*self._digests, self.backend, self.precision)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def describe(self) -> dict[str, Any]:
        """Return what clients see of the model."""
        return {
            "name": self.name,
            "role": self.manifest["role"],
            "model": self.manifest["model"],
            "image": _describe_image(self.manifest["image"]),
            "backend": self.backend,
            "precision": self.precision,
            "identity": self.identity,
        }

    async def close(self) -> None:
        """Complete what was accepted, then release the engines."""
        await self.pool.close()
        self._open.close()


class GeneratorModel(Model):
    """A generator, with its encoder, and the halves of a style-based one, if they lie beside it."""

    def __init__(self, name: str, path: Path, options: dict[str, Any], batch: BatchOptions) -> None:
        self.generator = engines.open_generator(str(path), **options)
        super().__init__(name, self.generator, options, batch)
        self.batcher = Batcher(self.generator, batch.images, batch.delay, batch.queue)
        self.directions: dict[str, list[float]] = self.manifest.get("directions") or {}
        self.encoder: Encoder | None = None
        self.halves: tuple[Mapping, Generator] | None = None
        if engines.has_encoder(path):
            self.encoder = self._own(engines.open_encoder(self.generator, **options))
            check_pair(self.encoder, self.generator)
        if all(engines.has_sibling(path, role) for role in ("mapping", "synthesis")):
            mapping, synthesis = engines.open_halves(self.generator, **options)
            self.halves = self._own(mapping), self._own(synthesis)

    def describe(self) -> dict[str, Any]:
        """Return what clients see of the model."""
        generator = self.generator
        return {
            **super().describe(),
            "latent": {"width": generator.latent_width, "priors": generator.priors},
            "classes": generator.classes or generator.class_count,
            "styles": generator.style_layers,
            "attributes": list(self.directions),
        }

    async def close(self) -> None:
        """Complete what was accepted, then release the engines."""
        await self.batcher.close()
        await super().close()


class TranslatorModel(Model):
    """A translator, with the classifier of domains if one lies beside it."""

    def __init__(self, name: str, path: Path, options: dict[str, Any], batch: BatchOptions) -> None:
        self.translator = engines.open_translator(str(path), **options)
        super().__init__(name, self.translator, options, batch)
        self.classifier: Classifier | None = None
        if domain_names(self.translator):
            classifier = self._open.enter_context(open_classifier(self.translator, **options))
            self._note(classifier.path)
            self.classifier = classifier

    def describe(self) -> dict[str, Any]:
        """Return what clients see of the model."""
        domains = read_domains(self.translator) if self.classifier else None
        return {
            **super().describe(),
            "task": self.manifest.get("task"),
            "input": {**_describe_image(self.manifest["input"]), "alpha": self.translator.alpha},
            "domains": list(domains.names) if domains else [],
            "groups": [list(group) for group in domains.groups] if domains else [],
        }


class EncoderModel(Model):
    """An encoder by itself."""

    def __init__(self, name: str, path: Path, options: dict[str, Any], batch: BatchOptions) -> None:
        self.encoder = Encoder(path, **options)
        super().__init__(name, self.encoder, options, batch)

    def describe(self) -> dict[str, Any]:
        """Return what clients see of the model."""
        return {**super().describe(), "latent": {"width": self.encoder.latent_width}}


class ClassifierModel(Model):
    """A classifier by itself."""

    def __init__(self, name: str, path: Path, options: dict[str, Any], batch: BatchOptions) -> None:
        self.classifier = Classifier(path, **options)
        super().__init__(name, self.classifier, options, batch)

    def describe(self) -> dict[str, Any]:
        """Return what clients see of the model."""
        scores = {"kind": self.classifier.kind, "names": self.classifier.names}
        return {**super().describe(), "scores": scores}


def _describe_image(image: dict[str, Any]) -> dict[str, int]:
    return {side: image[side] for side in ("height", "width", "channels")}


ROLES = {
    "generator": GeneratorModel,
    "translator": TranslatorModel,
    "encoder": EncoderModel,
    "classifier": ClassifierModel,
}
"""How the engines of each role are served."""


def load(names: Sequence[str], options: dict[str, Any], batch: BatchOptions) -> dict[str, Model]:
    """Load engines, by path or as shipped; a model is named after its file.

    Raises ConfigError for two of one name, or an engine of another role than `ROLES`; the errors of
    the runtime.
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
        models[name] = ROLES[role](name, path, options, batch)
    return models
