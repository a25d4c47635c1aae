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
from zoo.training.pictures import grid
from zoo.training.task import Batch

IMAGES = 200
"""How many of the validation images are changed to every domain, and measured, after each epoch."""

SHOWN = 8
"""Rows of the picture of an epoch."""


class DomainTask(AdversarialTask):
    """Training of a `StarGAN`: equations 5 and 6.

    The targets of a batch are its own attributes, permuted: a function of the batch alone.
    """

    best: str | None = "validation_spoilt"
    keeps_discriminator = True

    def fake(self, model: Any, batch: Batch) -> Tensor:
        """The images, translated to what other images of the batch are."""
        images: Tensor = model.generator(batch.images, _targets(model, batch))
        return images

    def discriminator_extra(
        self, model: Any, batch: Batch, real: Tensor, fake: Tensor
    ) -> dict[str, Tensor]:
        """Equation 2, on real images, and the penalty that keeps the classifier smooth."""
        config, own = model.config, _own(model, batch)
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
        """Equation 3, on translated images; equation 4, on what they are translated back to."""
        config = model.config
        count = len(config.domains)
        own = _own(model, batch)
        # What hides a domain is to stay as it is.
        wanted = torch.cat([_targets(model, batch), own[:, count:]], 1)
        back = model.generator(fake, own[:, :count])
        named = classification_loss(model.discriminator.domains(fake), wanted)
        terms = {
            "classification": config.classification * named,
            "reconstruction": config.reconstruction * reconstruction_loss(batch.images, back),
        }
        if config.change:
            terms["change"] = config.change * reconstruction_loss(batch.images, fake)
        return terms

    @torch.no_grad()
    def evaluate(self, model: Any, data: DataSet) -> dict[str, float]:
        """Shares of the changes of images that take, or touch another domain, and accuracy.

        The judge is the shipped classifier where it knows the attributes, else the model's own.
        `validation_spoilt` is the share of the changes that failed plus that of those that touched
        another domain. With `fid_images`, the Fréchet distance of translated validation images.
        """
        domains: Domains = model.config.table
        measured: dict[str, float] = {}
        with ExitStack() as stack:
            judge, judged = _judge(model, data, stack)
            effects = domain_quality.evaluate(
                _blocks(model, data, IMAGES), domains, _translator(model), judge, judged
            )
        everything = domain_quality.total(effects)
        if everything.images:
            measured = {
                "validation_success": everything.success,
                "validation_touched": everything.touched,
                "validation_others": everything.others,
                "validation_spoilt": 1 - everything.success + everything.touched,
            }
        measured["validation_accuracy"] = _accuracy(model, data)
        measured |= self._overfitting(model, data)
        if self.options.fid_images:
            measured |= self._quality(_permuted(model, data, int(self.options.fid_images)), data)
        return measured

    @torch.no_grad()
    def picture(self, model: Any, data: DataSet, seed: int) -> np.ndarray:
        """A row for each of some validation images: the image, and its change to every domain."""
        domains: Domains = model.config.table
        images, own = next(_blocks(model, data, SHOWN))
        columns = [images]
        for edit in domains.edits(own):
            columns.append(_translator(model)(images, edit.expand(own)))
        sheet = np.stack(columns, 1).reshape(-1, *images.shape[1:])
        return grid(normalise(sheet), len(columns))


def _table(model: Any, attributes: Any) -> tuple[Domains, Table]:
    """The domains, and what images with these attributes, [N, K] of ±1, have of those `seen`."""
    if attributes is None:
        raise ConfigError("translation between domains needs a data set with attributes")
    domains: Domains = model.config.table
    columns = domains.columns(model.config.attributes)
    return domains, np.asarray(attributes)[:, columns] > 0


def _own(model: Any, batch: Batch) -> Tensor:
    attributes = None if batch.attributes is None else batch.attributes.cpu()
    own = _table(model, attributes)[1]
    return torch.from_numpy(own).to(batch.levels.device, torch.float32)


def _targets(model: Any, batch: Batch) -> Tensor:
    attributes = None if batch.attributes is None else batch.attributes.cpu()
    domains, own = _table(model, attributes)
    return torch.from_numpy(domains.permute(own)).to(batch.levels.device, torch.float32)


def _blocks(
    model: Any, data: DataSet, count: int, rows: int = 100
) -> Iterator[tuple[np.ndarray, Table]]:
    """The first validation images, and what they have of the domains."""
    own = _table(model, data.validation.attributes)[1]
    for start in range(0, min(count, len(data.validation)), rows):
        place = slice(start, min(start + rows, count))
        yield data.validation.images[place], own[place]


def _translator(model: Any) -> Callable[[np.ndarray, Table], np.ndarray]:
    """The model as a function of levels, which computes what its engine file does."""
    device = next(model.parameters()).device

    def translate(images: np.ndarray, targets: Table) -> np.ndarray:
        given = torch.from_numpy(normalise(images)).to(device)
        return to_uint8(model.translate(given, torch.from_numpy(targets).to(device, torch.float32)))

    return translate


def _classifier(model: Any) -> Callable[[np.ndarray], Table]:
    device, classifier = next(model.parameters()).device, model.classifier

    def judge(images: np.ndarray) -> Table:
        scores = classifier.scores(torch.from_numpy(normalise(images)).to(device)).float()
        decided: Table = model.config.table.decide(scores.cpu().numpy())
        return decided

    return judge


def _judge(
    model: Any, data: DataSet, stack: ExitStack
) -> tuple[Callable[[np.ndarray], Table], list[str]]:
    """Who tells which attributes images have, and their names."""
    if may_know(data):
        from runtime.errors import Error

        with suppress(Error):
            judge = stack.enter_context(shipped_judge(data))
            if judge is not None:
                return judge, judge.names
    return _classifier(model), list(model.config.table.seen)


def _accuracy(model: Any, data: DataSet) -> float:
    """Share of the decisions of the model's own classifier that are right, on validation images."""
    judge = _classifier(model)
    right = [judge(images) == own for images, own in _blocks(model, data, IMAGES)]
    return float(np.concatenate(right).mean())


def _permuted(model: Any, data: DataSet, count: int) -> np.ndarray:
    """Validation images with attributes of others, as in training, uint8 [n, H, W, C]."""
    translate, domains = _translator(model), model.config.table
    blocks = _blocks(model, data, count)
    return np.concatenate([translate(images, domains.permute(own)) for images, own in blocks])
