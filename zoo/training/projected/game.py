"""The updates of a game against a projected discriminator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from zoo.training.adversarial_options import Options
from zoo.training.games import GAMES, level_term
from zoo.training.projected.discriminator import ProjectedDiscriminator
from zoo.training.task import Batch, Update
from zoo.training.updates import frozen


@dataclass(frozen=True)
class Judged:
    """What is judged: images [N, C, S, S], and what belongs to them.

    `condition` [N, K] is a vector, `inputs` [N, C', S, S] the picture that they were made from.
    """

    images: Tensor
    condition: Tensor | None = None
    inputs: Tensor | None = None

    def features(self, discriminator: ProjectedDiscriminator) -> list[Tensor]:
        """The maps that the heads see."""
        return discriminator.features(self.images, self.inputs)


class Task(Protocol):
    """What a game asks of `zoo.training.adversarial.AdversarialTask`."""

    options: Options

    def players(self, model: Any) -> tuple[list[nn.Module], list[nn.Module]]:
        """The modules of the two sides."""
        ...

    def real(self, model: Any, batch: Batch) -> Tensor:
        """What is shown as real."""
        ...

    def fake(self, model: Any, batch: Batch) -> Tensor:
        """What is made."""
        ...

    def judged(self, model: Any, shown: Tensor, batch: Batch) -> Judged:
        """What of it is judged."""
        ...

    def discriminator_extra(
        self, model: Any, batch: Batch, real: Tensor, fake: Tensor
    ) -> dict[str, Tensor]:
        """Further terms of the discriminator's loss."""
        ...

    def generator_extra(self, model: Any, batch: Batch, fake: Tensor) -> dict[str, Tensor]:
        """Further terms of the generator's loss."""
        ...


def play(task: Task, model: Any, batch: Batch, update: Update) -> dict[str, Tensor]:
    """The updates of a step; returns the terms of both losses.

    One batch of generated images teaches both players: the discriminator sees their features
    without the way back, the generator is led through them to the heads as they are afterwards.
    Before it come the k - 1 further updates of the discriminator (`discriminator_steps`).
    """
    parts = batch.split(task.options.discriminator_steps)
    for part in parts[:-1]:
        with torch.no_grad(), update.autocast():
            real, fake = _shown(task, model, part)
        _update_discriminator(task, model, part, update, real, fake)
    with frozen(task.players(model)[0]), update.autocast():
        real, fake = _shown(task, model, parts[-1])
    terms = _update_discriminator(task, model, parts[-1], update, real, fake)
    with frozen(task.players(model)[0]):
        terms |= _update_generator(task, model, parts[-1], update, real, fake)
    return terms


@dataclass(frozen=True)
class _Shown:
    """What was judged of a batch, `raw` as the task has it, and its features."""

    raw: Tensor
    judged: Judged
    maps: list[Tensor]

    def detached(self) -> tuple[list[Tensor], Tensor | None]:
        """The features and the condition, without the way back."""
        condition = self.judged.condition
        maps = [x.detach() for x in self.maps]
        return maps, None if condition is None else condition.detach()


def _shown(task: Task, model: Any, batch: Batch) -> tuple[_Shown, _Shown]:
    shown = []
    for raw in (task.real(model, batch), task.fake(model, batch)):
        judged = task.judged(model, raw, batch)
        shown.append(_Shown(raw, judged, judged.features(model.projected)))
    return shown[0], shown[1]


def _update_discriminator(
    task: Task, model: Any, batch: Batch, update: Update, real: _Shown, fake: _Shown
) -> dict[str, Tensor]:
    options, discriminator = task.options, model.projected
    game = GAMES[options.loss]
    with update.autocast():
        scores = [
            [verdict.float() for verdict in discriminator.judge(*shown.detached())]
            for shown in (real, fake)
        ]
        extra = task.discriminator_extra(model, batch, real.raw.detach(), fake.raw.detach())
    heads = list(zip(*scores, strict=True))
    loss = torch.stack([game.discriminator(r, f) for r, f in heads]).sum()
    if options.level:
        extra["level"] = options.level * torch.stack([level_term(r, f) for r, f in heads]).sum()
    if update.step % options.r1_every == 0:
        seen = update.step * len(batch) * options.discriminator_steps
        for name, shown, weight in (("r1", real, options.r1), ("r2", fake, options.r2)):
            if weight:
                penalty = _penalty(discriminator, shown, options, seen, update)
                extra[name] = options.annealed(weight, seen) * options.r1_every / 2 * penalty
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
    task: Task, model: Any, batch: Batch, update: Update, real: _Shown, fake: _Shown
) -> dict[str, Tensor]:
    options, discriminator = task.options, model.projected
    with update.autocast():
        # The real images' verdicts as of now, since the heads have changed.
        maps, _ = real.detached()
        real_scores = discriminator.judge(maps, real.judged.condition)
        fake_scores = discriminator.judge(fake.maps, fake.judged.condition)
        extra = task.generator_extra(model, batch, fake.raw)
    game = GAMES[options.loss]
    losses = [
        game.generator(f.float(), r.float()) for r, f in zip(real_scores, fake_scores, strict=True)
    ]
    loss = options.adversarial_weight * torch.stack(losses).sum() + sum(extra.values())
    update(loss, 1)
    return {"generator_loss": loss, **extra}


def _penalty(
    discriminator: ProjectedDiscriminator,
    shown: _Shown,
    options: Options,
    seen: int,
    update: Update,
) -> Tensor:
    """Σ over the heads of n E ‖∂ mean logit / ∂ map‖², n being the values of the map.

    With it γ means the same for maps of any size. That of pixels has a weight of its own.
    """
    detached, condition = shown.detached()
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
