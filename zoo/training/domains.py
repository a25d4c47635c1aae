"""Training of translators between domains (Choi et al. 2017, arXiv:1711.09020)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.data import DataSet, normalise
from zoo.data.domains import Domains, Table
from zoo.errors import ConfigError
from zoo.evaluation import domain_quality
from zoo.evaluation.attributes import may_know, shipped_judge
from zoo.models.generators import to_uint8
from zoo.models.stargan import classification_loss, reconstruction_loss
from zoo.training.adversarial import AdversarialTask
from zoo.training.games import r1_penalty
from zoo.training.pictures import draw_grid
from zoo.training.task import Batch, to_input

IMAGES = 200
"""Number of validation images that are translated to every domain and measured after each epoch."""

SHOWN = 8
"""Number of rows of an epoch's picture."""


class DomainTask(AdversarialTask):
    """Training of a `StarGAN`: equations 5 and 6.

    A batch's targets are its own attributes, permuted, which makes them a function of the batch
    alone.
    """

    best: str | None = "validation_spoilt"
    keeps_discriminator = True

    def fake(self, model: Any, batch: Batch) -> Tensor:
        """Translate the images to attributes of other images of the batch."""
        images: Tensor = model.generator(batch.images, _target_attributes(model, batch))
        return images

    def discriminator_extra(
        self, model: Any, batch: Batch, real: Tensor, fake: Tensor
    ) -> dict[str, Tensor]:
        """Return equation 2 on real images, and the smoothness penalty of the classifier."""
        config, own = model.config, _own_attributes(model, batch)
        loss = classification_loss(model.discriminator.domains(real), own)
        terms = {"real_classification": config.classification * loss}
        if config.smoothness:
            signs = 2 * own - 1
            terms["smoothness"] = (
                config.smoothness
                / 2
                * r1_penalty(lambda x: (model.discriminator.domains(x) * signs).sum(1), real)
            )
        return terms

    def generator_extra(self, model: Any, batch: Batch, fake: Tensor) -> dict[str, Tensor]:
        """Return equation 3 on translated images, and equation 4 on their back-translations."""
        config = model.config
        count = len(config.domains)
        own = _own_attributes(model, batch)
        # Attributes that hide a domain must not change.
        targets = torch.cat([_target_attributes(model, batch), own[:, count:]], 1)
        back = model.generator(fake, own[:, :count])
        named = classification_loss(model.discriminator.domains(fake), targets)
        terms = {
            "classification": config.classification * named,
            "reconstruction": config.reconstruction * reconstruction_loss(batch.images, back),
        }
        if config.change:
            terms["change"] = config.change * reconstruction_loss(batch.images, fake)
        return terms

    @torch.no_grad()
    def evaluate(self, model: Any, data: DataSet) -> dict[str, float]:
        """Measure which translations succeed, which touch other domains, and accuracy.

        The judge is the shipped classifier if it knows the attributes, else the model's own.
        `validation_spoilt` is the share of translations that failed plus the share that touched
        another domain. With `fid_images`, also the Fréchet distance of translated validation
        images.
        """
        domains: Domains = model.config.table
        measured: dict[str, float] = {}
        with ExitStack() as stack:
            judge, judged = _open_judge(model, data, stack)
            effects = domain_quality.evaluate(
                _iterate_blocks(model, data, IMAGES),
                domains,
                _make_translator(model),
                judge,
                judged,
            )
        everything = domain_quality.total(effects)
        if everything.images:
            measured = {
                "validation_success": everything.success,
                "validation_touched": everything.touched,
                "validation_others": everything.others,
                "validation_spoilt": 1 - everything.success + everything.touched,
            }
        measured["validation_accuracy"] = _measure_accuracy(model, data)
        measured |= self._measure_overfitting(model, data)
        if self.options.fid_images:
            measured |= self._measure_quality(
                _translate_permuted(model, data, int(self.options.fid_images)), data
            )
        return measured

    @torch.no_grad()
    def picture(self, model: Any, data: DataSet, seed: int) -> np.ndarray:
        """Draw a row for each of some validation images: the image, translated to every domain."""
        domains: Domains = model.config.table
        images, own = next(_iterate_blocks(model, data, SHOWN))
        columns = [images]
        for edit in domains.edits(own):
            columns.append(_make_translator(model)(images, edit.expand(own)))
        sheet = np.stack(columns, 1).reshape(-1, *images.shape[1:])
        return draw_grid(normalise(sheet), len(columns))


def _load_domains(model: Any, attributes: Any) -> tuple[Domains, Table]:
    """Return the domains, and which of `seen` images with attributes [N, K] of ±1 have."""
    if attributes is None:
        raise ConfigError("translation between domains needs a data set with attributes")
    domains: Domains = model.config.table
    columns = domains.columns(model.config.attributes)
    return domains, np.asarray(attributes)[:, columns] > 0


def _own_attributes(model: Any, batch: Batch) -> Tensor:
    attributes = None if batch.attributes is None else batch.attributes.cpu()
    own = _load_domains(model, attributes)[1]
    return torch.from_numpy(own).to(batch.levels.device, torch.float32)


def _target_attributes(model: Any, batch: Batch) -> Tensor:
    attributes = None if batch.attributes is None else batch.attributes.cpu()
    domains, own = _load_domains(model, attributes)
    return torch.from_numpy(domains.permute(own)).to(batch.levels.device, torch.float32)


def _iterate_blocks(
    model: Any, data: DataSet, count: int, rows: int = 100
) -> Iterator[tuple[np.ndarray, Table]]:
    """Yield the first validation images and their domains."""
    own = _load_domains(model, data.validation.attributes)[1]
    for start in range(0, min(count, len(data.validation)), rows):
        place = slice(start, min(start + rows, count))
        yield data.validation.images[place], own[place]


def _make_translator(model: Any) -> Callable[[np.ndarray, Table], np.ndarray]:
    """Return the model as a function of uint8 images, equal to its engine file."""

    def translate(images: np.ndarray, targets: Table) -> np.ndarray:
        x = to_input(images, model)
        return to_uint8(model.translate(x, torch.from_numpy(targets).to(x)))

    return translate


def _make_classifier(model: Any) -> Callable[[np.ndarray], Table]:
    def judge(images: np.ndarray) -> Table:
        scores = model.classifier.scores(to_input(images, model)).float()
        decided: Table = model.config.table.decide(scores.cpu().numpy())
        return decided

    return judge


def _open_judge(
    model: Any, data: DataSet, stack: ExitStack
) -> tuple[Callable[[np.ndarray], Table], list[str]]:
    """Return the judge of attributes and the names of what it judges."""
    if may_know(data):
        from runtime.errors import Error

        with suppress(Error):
            judge = stack.enter_context(shipped_judge(data))
            if judge is not None:
                return judge, judge.names
    return _make_classifier(model), list(model.config.table.seen)


def _measure_accuracy(model: Any, data: DataSet) -> float:
    """Return the validation accuracy of the model's own classifier."""
    judge = _make_classifier(model)
    right = [judge(images) == own for images, own in _iterate_blocks(model, data, IMAGES)]
    return float(np.concatenate(right).mean())


def _translate_permuted(model: Any, data: DataSet, count: int) -> np.ndarray:
    """Translate validation images to attributes of others, as in training, uint8 [n, H, W, C]."""
    translate, domains = _make_translator(model), model.config.table
    blocks = _iterate_blocks(model, data, count)
    return np.concatenate([translate(images, domains.permute(own)) for images, own in blocks])
