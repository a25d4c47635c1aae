"""Training of adversarial models: one game, with places where models differ."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from zoo.data import DataSet, Split
from zoo.errors import ZooError
from zoo.models.generators import to_uint8
from zoo.training import batch_statistics, collapse
from zoo.training.adversarial_options import make_options
from zoo.training.games import GAMES, gradient_penalty, level_term, r1_penalty
from zoo.training.pictures import grid
from zoo.training.projected.discriminator import ProjectedDiscriminator
from zoo.training.projected.game import Judged, play
from zoo.training.recipe import Recipe
from zoo.training.task import Batch, Update
from zoo.training.updates import frozen

DISCRIMINATOR, GENERATOR = 0, 1
"""Numbers of the two optimizers."""

SHOWN = 80
"""Images in the picture of an epoch."""

ROWS = 200
"""Images that are generated at a time."""

CALIBRATION = 256
"""Real images that a projected discriminator is calibrated on."""

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

SETTLING = 2000
"""Images by which batch statistics are measured."""

HELD_OUT = 500
"""Training and held-out images whose scores are compared."""


class AdversarialTask:
    """Training of a `generator` against a `discriminator`, submodules of one model.

    A model that plays another game overrides what differs: `networks`, `real`, `fake`, `score`,
    the two `…_extra`, `after_step`; and what is looked at: `generate` or `samples`. Where a
    projected discriminator judges (`zoo.training.projected`), it is a submodule `projected`, and
    what it is shown is `judged`.
    """

    headline = "generator_loss"
    wrapped = False
    best: str | None = "fid"

    def __init__(self, recipe: Recipe | None = None) -> None:
        self.options = make_options(recipe.adversarial if recipe else {})
        self._precision = recipe.precision if recipe else "fp32"
        self._fid: tuple[str, Any] | None = None
        self._unmeasured: str | None = None

    # Where models differ

    def networks(self, model: Any) -> tuple[list[nn.Module], list[nn.Module]]:
        """The modules of the discriminating side and those of the generating side."""
        return [model.discriminator], [model.generator]

    keeps_discriminator = False
    """Whether the paper's discriminator learns something else too, beside a projected one."""

    def judged(self, model: Any, shown: Tensor, batch: Batch) -> Judged:
        """What a projected discriminator sees of what `real` or `fake` gave."""
        return Judged(shown)

    def condition_width(self, model: Any) -> int:
        """Width of the condition in `judged`."""
        return 0

    def input_channels(self, model: Any) -> int:
        """Channels of the inputs in `judged`."""
        return 0

    def real(self, model: Any, batch: Batch) -> Tensor:
        """What the discriminator is shown as real, [N, …] (default: the images)."""
        return batch.images

    def fake(self, model: Any, batch: Batch) -> Tensor:
        """Images made for this batch, as many as it has, from PyTorch's noise."""
        images: Tensor = model.generator(self.latents(model, len(batch), batch.levels.device))
        return images

    def score(self, model: Any, images: Tensor, batch: Batch) -> Tensor:
        """The discriminator's logits, [N] or any shape that begins so."""
        scores: Tensor = model.discriminator(images)
        return scores

    def discriminator_extra(
        self, model: Any, batch: Batch, real: Tensor, fake: Tensor
    ) -> dict[str, Tensor]:
        """Further weighted terms of the discriminator's loss, by the names they are logged by."""
        return {}

    def generator_extra(self, model: Any, batch: Batch, fake: Tensor) -> dict[str, Tensor]:
        """Further weighted terms of the generator's loss."""
        return {}

    def after_step(self, model: Any, batch: Batch) -> None:
        """What advances with every step; it must live in the model."""

    def generate(self, model: Any, latents: Tensor, first: int, random: torch.Generator) -> Tensor:
        """Images of latents [n, D], those of samples first, first + 1, …; `random` draws more."""
        images: Tensor = model.generator(latents)
        return images

    def samples(self, model: Any, count: int, seed: int) -> Iterator[Tensor]:
        """Images [n, C, S, S] of the model in evaluation mode, `count` in all, by a seed."""
        device = next(model.parameters()).device
        random = torch.Generator().manual_seed(seed)
        latents = torch.randn(count, model.config.latent, generator=random)
        for first in range(0, count, ROWS):
            yield self.generate(model, latents[first : first + ROWS].to(device), first, random)

    # What they share

    def equip(self, model: Any) -> None:
        """Add the projected discriminator, if the recipe asks for one."""
        if self.options.projected:
            model.projected = ProjectedDiscriminator(
                model.config.image_size,
                model.config.channels,
                self.condition_width(model),
                self.input_channels(model),
                DTYPES[self._precision],
            )

    def players(self, model: Any) -> tuple[list[nn.Module], list[nn.Module]]:
        """The modules that learn on either side."""
        discriminating, generating = self.networks(model)
        if self.options.projected:
            kept = discriminating if self.keeps_discriminator else []
            discriminating = [model.projected, *kept]
        return discriminating, generating

    def latents(self, model: Any, count: int, device: torch.device) -> Tensor:
        """Draw z of N(0, I), [count, D]."""
        return torch.randn(count, model.config.latent, device=device)

    def optimizers(self, model: nn.Module, recipe: Recipe) -> list[Optimizer]:
        """Adam for each of the two sides."""
        scales = (self.options.discriminator_rate, 1.0)
        made: list[Optimizer] = []
        for side, scale in zip(self.players(model), scales, strict=True):
            group = {"params": [p for module in side for p in module.parameters()], "scale": scale}
            betas = (float(self.options.beta1), float(self.options.beta2))
            made.append(Adam([group], recipe.learning_rate, betas, fused=True))
        return made

    def prepare(self, model: Any, data: DataSet, recipe: Recipe) -> list[dict[str, float]]:
        """Calibrate a projected discriminator on real images."""
        if self.options.projected:
            rows = min(CALIBRATION, len(data.train))
            device = next(model.parameters()).device
            model.projected.calibrate(_batch(data.train, rows, device).images)
        return []

    def step(self, model: nn.Module, batch: Batch, update: Update) -> dict[str, Tensor]:
        """Algorithm 1: k updates of the discriminator on a minibatch each, one of the generator."""
        if self.options.projected:
            terms = play(self, model, batch, update)
            with torch.no_grad():
                self.after_step(model, batch)
            return terms
        discriminating, generating = self.players(model)
        parts = batch.split(self.options.discriminator_steps)
        logged: dict[str, Tensor] = {}
        for part in parts:
            with frozen(generating):
                terms = self._discriminator(model, part, update)
            update(terms["discriminator_loss"], DISCRIMINATOR)
            logged = {k: v.detach() + logged.get(k, 0) for k, v in terms.items()}
        logged = {name: value / len(parts) for name, value in logged.items()}
        with frozen(discriminating):
            terms = self._generator(model, parts[-1], update)
        update(terms["generator_loss"], GENERATOR)
        with torch.no_grad():
            self.after_step(model, batch)
        return logged | terms

    def _discriminator(self, model: nn.Module, batch: Batch, update: Update) -> dict[str, Tensor]:
        options = self.options
        with update.autocast():
            with torch.no_grad():
                real, fake = self.real(model, batch), self.fake(model, batch)
            real_scores = self.score(model, real, batch).float()
            fake_scores = self.score(model, fake, batch).float()
            extra = self.discriminator_extra(model, batch, real, fake)
        loss = GAMES[options.loss].discriminator(real_scores, fake_scores)
        if options.r1 and update.step % options.r1_every == 0:
            penalty = r1_penalty(lambda images: self.score(model, images, batch), real)
            extra["r1"] = penalty * (options.r1 / 2 * options.r1_every)
        if options.r2 and update.step % options.r1_every == 0:
            penalty = r1_penalty(lambda images: self.score(model, images, batch), fake)
            extra["r2"] = penalty * (options.r2 / 2 * options.r1_every)
        if options.gradient_penalty:
            penalty = gradient_penalty(lambda images: self.score(model, images, batch), real, fake)
            extra["gradient_penalty"] = penalty * options.gradient_penalty
        if options.level:
            extra["level"] = level_term(real_scores, fake_scores) * options.level
        if options.drift:
            extra["drift"] = real_scores.square().mean() * options.drift
        right = (real_scores > 0).float().mean() + (fake_scores < 0).float().mean()
        return {
            "discriminator_loss": loss + sum(extra.values()),
            **extra,
            "real_probability": torch.sigmoid(real_scores).mean(),
            "fake_probability": torch.sigmoid(fake_scores).mean(),
            "discriminator_accuracy": right / 2,
        }

    def _generator(self, model: nn.Module, batch: Batch, update: Update) -> dict[str, Tensor]:
        with update.autocast():
            fake = self.fake(model, batch)
            scores = self.score(model, fake, batch).float()
            extra = self.generator_extra(model, batch, fake)
            real_scores = None
            if GAMES[self.options.loss].relative:
                real_scores = self.score(model, self.real(model, batch), batch).float()
        loss = GAMES[self.options.loss].generator(scores, real_scores)
        loss = self.options.adversarial_weight * loss + sum(extra.values())
        return {"generator_loss": loss, **extra}

    # Measuring

    @torch.no_grad()
    def settle(self, model: Any, data: DataSet) -> None:
        """Measure the generator's batch statistics anew, as they are with the averaged weights."""
        with batch_statistics.measured_anew(model.generator) as anything:
            if anything:
                for _ in self.samples(model, SETTLING, seed=2**32):
                    pass

    @torch.no_grad()
    def draw(self, model: nn.Module, count: int, seed: int) -> np.ndarray:
        """Samples as an engine file gives them, uint8 [count, H, W, C]."""
        return np.concatenate([to_uint8(images) for images in self.samples(model, count, seed)])

    @torch.no_grad()
    def evaluate(self, model: nn.Module, data: DataSet) -> dict[str, float]:
        """Fréchet distance where the feature network is installed, diversity, and overfitting."""
        images = self.draw(model, int(self.options.fid_images) or 500, seed=1)
        measured = collapse.diversity(images, data.validation.images)
        measured |= self._overfitting(model, data)
        if self.options.fid_images:
            measured |= self._quality(images, data)
        return measured

    def _overfitting(self, model: nn.Module, data: DataSet) -> dict[str, float]:
        """Mean scores on training, held-out and generated images, and how far the first two part.

        `overfitting` is r_v of Karras et al. 2020 (arXiv:2006.06676), equation 1: 0 where the
        discriminator takes held-out images for training images, 1 where it takes them for fakes.
        It normalises by each of these batches, as in training: the running statistics that lie
        beside averaged weights are those of other weights.
        """
        device = next(model.parameters()).device
        count = min(HELD_OUT, len(data.validation), len(data.train))
        train, held_out = (_batch(split, count, device) for split in (data.train, data.validation))
        with (
            torch.random.fork_rng([device] if device.type == "cuda" else []),
            batch_statistics.of_the_batch(*self.networks(model)[DISCRIMINATOR]),
        ):
            torch.manual_seed(0)
            known, unknown, fake = (
                float(self._judge(model, images, batch).float().mean())
                for images, batch in (
                    (self.real(model, train), train),
                    (self.real(model, held_out), held_out),
                    (self.fake(model, train), train),
                )
            )
        gap = (known - unknown) / (known - fake) if known > fake else 0.0
        return {
            "train_score": known,
            "held_out_score": unknown,
            "fake_score": fake,
            "overfitting": min(max(gap, -1.0), 1.0),
        }

    def _judge(self, model: Any, shown: Tensor, batch: Batch) -> Tensor:
        """The scores of whichever discriminator judges."""
        if not self.options.projected:
            return self.score(model, shown, batch)
        judged = self.judged(model, shown, batch)
        scores: Tensor = model.projected(judged.images, judged.condition, judged.inputs)
        return scores

    def _quality(self, images: np.ndarray, data: DataSet) -> dict[str, float]:
        from runtime.errors import EngineNotFoundError

        try:
            from zoo.evaluation.quick import QuickFid

            if self._fid is None or self._fid[0] != data.name:
                self._fid = (data.name, QuickFid(data, len(images), part="validation"))
        except (ZooError, EngineNotFoundError, ModuleNotFoundError) as error:
            # Training must not end for want of a package that only measures.
            self._unmeasured = f"no Fréchet distance: {error}"
            return {}
        self._unmeasured = None
        measured: dict[str, float] = self._fid[1].measure(images)
        return measured

    def _joint(self, measured: dict[str, float], mse: float) -> dict[str, float]:
        """`validation_joint`, by which an epoch is best whose images are like real ones and right.

        The geometric mean of the Fréchet distance, where it is measured, and of the root mean
        squared error, `mse` in units of 1: halving either counts alike, on whatever scale it is.
        """
        return {"validation_joint": math.sqrt(measured.get("fid", 1.0) * math.sqrt(mse))}

    @torch.no_grad()
    def picture(self, model: nn.Module, data: DataSet, seed: int) -> np.ndarray:
        """Samples of fixed latents."""
        images = torch.cat(list(self.samples(model, SHOWN, seed)))
        return grid(images.float().cpu().numpy(), 10)

    def notes(self, values: dict[str, float]) -> list[str]:
        """What these numbers say about mode collapse and balance, and what to try."""
        found = collapse.notes(values)
        return found if self._unmeasured is None else [*found, self._unmeasured]


def _batch(split: Split, count: int, device: torch.device) -> Batch:
    """The first images of a split."""
    tables = (split.images, split.labels, split.attributes, split.inputs)
    levels, *rest = (
        None if t is None else torch.from_numpy(np.array(t[:count])).to(device) for t in tables
    )
    assert levels is not None
    return Batch(levels, *rest)
