"""Translation between domains: changing attributes of images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime import Classifier, Translator
from zoo.data.domains import domain_names, read_domains
from zoo.engines import sibling_path
from zoo.errors import ConfigError

Images = NDArray[np.uint8]
Shape = tuple[int, int, int]


@contextmanager
def open_classifier(translator: Translator, **options: Any) -> Iterator[Classifier]:
    """Open the classifier next to a translator: `stargan.onnx` → `stargan.classifier.onnx`.

    Raises EngineNotFoundError, the errors of runtime.Classifier, and ConfigError for other domains.
    """
    path = Path(translator.path)
    what = "its classifier to see attributes"
    classifier_path = sibling_path(path, "classifier", what, **options)
    with Classifier(classifier_path, **options) as classifier:
        expected = read_domains(translator).seen
        if tuple(classifier.names) != expected or classifier.image_shape != translator.input_shape:
            raise ConfigError(f"{classifier_path} is not the classifier of {path.name}")
        yield classifier


class DomainTranslator:
    """Translator with fixed target domains and the interface of one that takes only images.

    All other attributes are read from each image by the classifier, and preserved. `unchanged`
    counts the images so far in which not all of `request` could be changed.
    """

    def __init__(
        self, translator: Translator, classifier: Classifier, request: Mapping[str, bool]
    ) -> None:
        self.domains = read_domains(translator)
        self.domains.check(request)
        self._translator, self._classifier, self._request = translator, classifier, dict(request)
        self.path, self.manifest, self.backend = (
            translator.path,
            translator.manifest,
            translator.backend,
        )
        self.alpha: bool = translator.alpha
        self.input_shape: Shape = translator.input_shape
        self.image_shape: Shape = translator.image_shape
        self.unchanged = 0

    @property
    def title(self) -> str:
        """The requested changes, as in `Blond_Hair, -Eyeglasses`."""
        return ", ".join(name if value else f"-{name}" for name, value in self._request.items())

    def translate(self, images: Images) -> Images:
        """Translate images uint8 [n, H, W, C] to the requested domains."""
        own = self.domains.decide(self._classifier.classify(images))
        targets, complete = self.domains.targets(own, self._request)
        self.unchanged += int((~complete).sum())
        return self._translator.translate(images, attributes=targets.astype(np.float32))

    def all_domains(self, images: Images) -> Iterator[tuple[Images, list[str]]]:
        """Yield images translated to each domain, and the change of each image.

        A domain of a group is set, any other one is flipped. The change is "" if it is impossible,
        or the image already has it.
        """
        own = self.domains.decide(self._classifier.classify(images))
        for edit in self.domains.edits(own):
            targets = edit.expand(own)
            column = self.domains.names.index(edit.name)
            changes = [""] * len(images)
            for row in edit.rows.tolist():
                changes[row] = edit.name if targets[row, column] else f"-{edit.name}"
            values = targets.astype(np.float32)
            yield self._translator.translate(images, attributes=values), changes


@contextmanager
def open_domain_translator(translator: Translator, to: str | None, **options: Any) -> Iterator[Any]:
    """Yield the translator, or if it has domains, a DomainTranslator for those of `to`.

    `options` are those of the classifier. Raises ConfigError for `to` without domains or domains
    without `to`, and as `Domains.parse` and `open_classifier`.
    """
    if not domain_names(translator):
        if to is not None:
            name = Path(translator.path).name
            raise ConfigError(f"--to: {name} does not translate between domains")
        yield translator
        return
    domains = read_domains(translator)
    if to is None:
        names = ", ".join(domains.names)
        raise ConfigError(f"nothing to change: expected --to DOMAIN,… or only --grid, of {names}")
    request = domains.parse(to)
    with open_classifier(translator, **options) as classifier:
        yield DomainTranslator(translator, classifier, request)
