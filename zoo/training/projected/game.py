"""Updates of the game against a projected discriminator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from zoo.training.adversarial_options import Options
from zoo.training.games import GAMES, level_term
from zoo.training.projected.discriminator import ProjectedDiscriminator
from zoo.training.task import Batch, Update
from zoo.training.updates import freeze


@dataclass(frozen=True)
class ProjectedInput:
    """Input of a projected discriminator: images [N, C, S, S], and what they belong to.

    `condition` [N, K] is a vector, `inputs` [N, C', S, S] the images they were translated from.
    """

    images: Tensor
    condition: Tensor | None = None
    inputs: Tensor | None = None

    def features(self, discriminator: ProjectedDiscriminator) -> list[Tensor]:
        """Return the input of each head."""
        return discriminator.features(self.images, self.inputs)


class Task(Protocol):
    """Interface of `zoo.training.adversarial.AdversarialTask` that the game uses."""

    options: Options

    def players(self, model: Any) -> tuple[list[nn.Module], list[nn.Module]]: ...

    def real(self, model: Any, batch: Batch) -> Tensor: ...

    def fake(self, model: Any, batch: Batch) -> Tensor: ...

    def projected_input(self, model: Any, shown: Tensor, batch: Batch) -> ProjectedInput: ...

    def discriminator_extra(
        self, model: Any, batch: Batch, real: Tensor, fake: Tensor
    ) -> dict[str, Tensor]: ...

    def generator_extra(self, model: Any, batch: Batch, fake: Tensor) -> dict[str, Tensor]: ...


def play(task: Task, model: Any, batch: Batch, update: Update) -> dict[str, Tensor]:
    """Update both players; returns the terms of both losses.

    One batch of generated images trains both players: the discriminator on detached features, then
    the generator through the same features to the updated heads. The other k - 1 updates of the
    discriminator (`discriminator_steps`) come first.
    """
    parts = batch.split(task.options.discriminator_steps)
    for part in parts[:-1]:
        with torch.no_grad(), update.autocast():
            real, fake = _show(task, model, part)
        _update_discriminator(task, model, part, update, real, fake)
    with freeze(task.players(model)[0]), update.autocast():
        real, fake = _show(task, model, parts[-1])
    terms = _update_discriminator(task, model, parts[-1], update, real, fake)
    with freeze(task.players(model)[0]):
        terms |= _update_generator(task, model, parts[-1], update, real, fake)
    return terms


@dataclass(frozen=True)
class _Examples:
    """The examples a discriminator was shown: `raw` from the task, its input and its features."""

    raw: Tensor
    judged: ProjectedInput
    maps: list[Tensor]

    def detach_features(self) -> tuple[list[Tensor], Tensor | None]:
        """Return the features and the condition, detached."""
        condition = self.judged.condition
        maps = [x.detach() for x in self.maps]
        return maps, None if condition is None else condition.detach()


def _show(task: Task, model: Any, batch: Batch) -> tuple[_Examples, _Examples]:
    shown = []
    for raw in (task.real(model, batch), task.fake(model, batch)):
        judged = task.projected_input(model, raw, batch)
        shown.append(_Examples(raw, judged, judged.features(model.projected)))
    return shown[0], shown[1]


def _update_discriminator(
    task: Task, model: Any, batch: Batch, update: Update, real: _Examples, fake: _Examples
) -> dict[str, Tensor]:
    options, discriminator = task.options, model.projected
    game = GAMES[options.loss]
    with update.autocast():
        scores = [
            [verdict.float() for verdict in discriminator.judge(*shown.detach_features())]
            for shown in (real, fake)
        ]
        extra = task.discriminator_extra(model, batch, real.raw.detach(), fake.raw.detach())
    heads = list(zip(*scores, strict=True))
    loss = torch.stack([game.discriminator(r, f) for r, f in heads]).sum()
    if options.level:
        extra["level"] = options.level * torch.stack([level_term(r, f) for r, f in heads]).sum()
    extra |= options.penalty_terms(
        update.step,
        len(batch),
        lambda shown, seen: _penalty(discriminator, shown, options, seen, update),
        real,
        fake,
    )
    loss = loss + torch.stack(list(extra.values())).sum() if extra else loss
    update(loss, 0)
    with torch.no_grad():
        right = torch.stack([(r > f).float().mean() for r, f in heads]).mean()
        means = [torch.stack([s.mean() for s in part]).mean() for part in scores]
    return {
        "discriminator_loss": loss,
        **extra,
        "real_score": means[0],
        "fake_score": means[1],
        "discriminator_accuracy": right,
    }


def _update_generator(
    task: Task, model: Any, batch: Batch, update: Update, real: _Examples, fake: _Examples
) -> dict[str, Tensor]:
    options, discriminator = task.options, model.projected
    with update.autocast():
        # Score the real images again with the updated heads.
        maps, _ = real.detach_features()
        real_scores = discriminator.judge(maps, real.judged.condition)
        fake_scores = discriminator.judge(fake.maps, fake.judged.condition)
        extra = task.generator_extra(model, batch, fake.raw)
    game = GAMES[options.loss]
    weights = [options.pixel_weight if pixels else 1.0 for pixels in discriminator.sees_pixels()]
    losses = [
        weight * game.generator(f.float(), r.float())
        for weight, r, f in zip(weights, real_scores, fake_scores, strict=True)
    ]
    loss = options.adversarial_weight * torch.stack(losses).sum() + sum(extra.values())
    update(loss, 1)
    return {"generator_loss": loss, **extra}


def _penalty(
    discriminator: ProjectedDiscriminator,
    shown: _Examples,
    options: Options,
    seen: int,
    update: Update,
) -> Tensor:
    """Return Σ over the heads of n E ‖∂ mean logit / ∂ map‖², n being the map's number of values.

    The factor n makes γ independent of a map's size. The penalty on pixels is weighted separately.
    """
    detached, condition = shown.detach_features()
    maps = [x.float().requires_grad_(True) for x in detached]
    with torch.enable_grad(), update.autocast():
        verdicts = discriminator.judge(maps, condition)
    total = torch.stack([verdict.float().mean(1).sum() for verdict in verdicts]).sum()
    gradients = torch.autograd.grad(total, maps, create_graph=True)
    terms = []
    for x, gradient, pixels in zip(maps, gradients, discriminator.sees_pixels(), strict=True):
        squares = gradient.float().square().flatten(1).sum(1).mean() * x[0].numel()
        terms.append(squares * (options.pixel_penalty_at(seen) if pixels else 1.0))
    return torch.stack(terms).sum()
