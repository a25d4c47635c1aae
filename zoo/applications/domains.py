"""Translation between domains: pictures with other attributes, all else being equal."""

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
def opened_classifier(translator: Translator, **options: Any) -> Iterator[Classifier]:
    """The classifier beside a translator: `stargan.onnx` → `stargan.classifier.onnx`.

    Raises EngineNotFoundError, the errors of runtime.Classifier, and ConfigError for one of other
    domains.
    """
    path = Path(translator.path)
    what = "its classifier to see what pictures have"
    found = sibling_path(path, "classifier", what, **options)
    with Classifier(found, **options) as classifier:
        expected = read_domains(translator).seen
        if tuple(classifier.names) != expected or classifier.image_shape != translator.input_shape:
            raise ConfigError(f"{found} is not the classifier of {path.name}")
        yield classifier


class DomainTranslator:
    """A translator that is told what to change, as one that takes images only.

    What is not asked for is read from each image by the classifier and kept. `kept` counts the
    images so far that do not show all that was asked to change.
    """

    def __init__(
        self, translator: Translator, classifier: Classifier, wanted: Mapping[str, bool]
    ) -> None:
        self.domains = read_domains(translator)
        self.domains.check(wanted)
        self._translator, self._classifier, self._wanted = translator, classifier, dict(wanted)
        self.path, self.manifest, self.backend = (
            translator.path,
            translator.manifest,
            translator.backend,
        )
        self.alpha: bool = translator.alpha
        self.input_shape: Shape = translator.input_shape
        self.image_shape: Shape = translator.image_shape
        self.kept = 0

    @property
    def title(self) -> str:
        """What is changed, as in `Blond_Hair, -Eyeglasses`."""
        return ", ".join(name if value else f"-{name}" for name, value in self._wanted.items())

    def translate(self, images: Images) -> Images:
        """Images uint8 [n, H, W, C] with what is wanted."""
        own = self.domains.decide(self._classifier.classify(images))
        targets, whole = self.domains.targets(own, self._wanted)
        self.kept += int((~whole).sum())
        return self._translator.translate(images, attributes=targets.astype(np.float32))

    def all_domains(self, images: Images) -> Iterator[tuple[Images, list[str]]]:
        """Images changed to one domain after the other, and what each change was.

        Those of a group are given, any other one is flipped; "" where an image does not show it or
        has it already.
        """
        own = self.domains.decide(self._classifier.classify(images))
        for edit in self.domains.edits(own):
            targets = edit.expand(own)
            column = self.domains.names.index(edit.name)
            said = [""] * len(images)
            for row in edit.rows.tolist():
                said[row] = edit.name if targets[row, column] else f"-{edit.name}"
            values = targets.astype(np.float32)
            yield self._translator.translate(images, attributes=values), said


@contextmanager
def told(opened: Translator, to: str | None, **options: Any) -> Iterator[Any]:
    """The translator, told what to change if it has domains; `options` are the classifier's.

    Raises ConfigError for `to` without domains or domains without `to`, and as `Domains.parse` and
    `opened_classifier`.
    """
    if not domain_names(opened):
        if to is not None:
            raise ConfigError(f"--to: {Path(opened.path).name} does not translate between domains")
        yield opened
        return
    domains = read_domains(opened)
    if to is None:
        names = ", ".join(domains.names)
        raise ConfigError(f"nothing to change: expected --to DOMAIN,… or only --grid, of {names}")
    wanted = domains.parse(to)
    with opened_classifier(opened, **options) as classifier:
        yield DomainTranslator(opened, classifier, wanted)


__all__ = ["DomainTranslator", "opened_classifier", "told"]
