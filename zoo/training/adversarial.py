"""Adversarial training: one game, with hooks for the differences between models."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from zoo.data import DataSet
from zoo.errors import ZooError
from zoo.models.generators import to_uint8
from zoo.training import batch_statistics, collapse
from zoo.training.adversarial_options import make_options
from zoo.training.games import GAMES, gradient_penalty, level_term, r1_penalty
from zoo.training.pictures import draw_grid
from zoo.training.projected.discriminator import ProjectedDiscriminator
from zoo.training.projected.game import ProjectedInput, play
from zoo.training.recipe import Recipe
from zoo.training.task import Batch, Update, load_rows
from zoo.training.updates import freeze

DISCRIMINATOR, GENERATOR = 0, 1
"""Indices of the two optimizers."""

SHOWN = 80
"""Number of samples in an epoch's picture."""

ROWS = 200
"""Number of images generated at a time."""

CALIBRATION = 256
"""Number of real images that calibrate a projected discriminator."""

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

SETTLING = 2000
"""Number of images for re-estimating batch statistics."""

HELD_OUT = 500
"""Number of training and of held-out images whose scores are compared."""


class AdversarialTask:
    """Training of a `generator` against a `discriminator`, submodules of one model.

    For another game, override `networks`, `real`, `fake`, `score`, the two `…_extra` or
    `after_step`; for other samples, `generate` or `samples`. A projected discriminator
    (`zoo.training.projected`) is the submodule `projected`, with `projected_input` as its input.
    """

    headline = "generator_loss"
    wrapped = False
    best: str | None = "fid"

    def __init__(self, recipe: Recipe | None = None) -> None:
        self.options = make_options(recipe.adversarial if recipe else {})
        self._precision = recipe.precision if recipe else "fp32"
        self._fid: tuple[str, Any] | None = None
        self._unmeasured: str | None = None

    def networks(self, model: Any) -> tuple[list[nn.Module], list[nn.Module]]:
        """Return the discriminating and the generating modules."""
        return [model.discriminator], [model.generator]

    keeps_discriminator = False
    """True if the paper's discriminator has another objective besides a projected one's."""

    def projected_input(self, model: Any, shown: Tensor, batch: Batch) -> ProjectedInput:
        """Return the projected discriminator's input for a result of `real` or `fake`."""
        return ProjectedInput(shown)

    def condition_width(self, model: Any) -> int:
        """Return the width of the condition in `projected_input`."""
        return 0

    def input_channels(self, model: Any) -> int:
        """Return the channels of the inputs in `projected_input`."""
        return 0

    def real(self, model: Any, batch: Batch) -> Tensor:
        """Return the real examples for the discriminator, [N, …] (by default the images)."""
        return batch.images

    def fake(self, model: Any, batch: Batch) -> Tensor:
        """Generate as many images as the batch has, with noise from PyTorch."""
        images: Tensor = model.generator(self.latents(model, len(batch), batch.levels.device))
        return images

    def score(self, model: Any, images: Tensor, batch: Batch) -> Tensor:
        """Return the discriminator's logits, [N] or [N, …]."""
        scores: Tensor = model.discriminator(images)
        return scores

    def discriminator_extra(
        self, model: Any, batch: Batch, real: Tensor, fake: Tensor
    ) -> dict[str, Tensor]:
        """Return further weighted terms of the discriminator's loss, by their names in the log."""
        return {}

    def generator_extra(self, model: Any, batch: Batch, fake: Tensor) -> dict[str, Tensor]:
        """Return further weighted terms of the generator's loss, by their names in the log."""
        return {}

    def after_step(self, model: Any, batch: Batch) -> None:
        """Advance state that changes with every step; it must be part of the model."""

    def generate(self, model: Any, latents: Tensor, first: int, random: torch.Generator) -> Tensor:
        """Generate images from latents [n, D], for samples first, first + 1, …

        Further noise comes from `random`.
        """
        images: Tensor = model.generator(latents)
        return images

    def samples(self, model: Any, count: int, seed: int) -> Iterator[Tensor]:
        """Generate `count` images [n, C, S, S] from a seed; the model is in evaluation mode."""
        device = next(model.parameters()).device
        random = torch.Generator().manual_seed(seed)
        latents = torch.randn(count, model.config.latent, generator=random)
        for first in range(0, count, ROWS):
            yield self.generate(model, latents[first : first + ROWS].to(device), first, random)

    def equip(self, model: Any) -> None:
        """Add the projected discriminator, if the recipe selects it."""
        if self.options.projected:
            model.projected = ProjectedDiscriminator(
                model.config.image_size,
                model.config.channels,
                self.condition_width(model),
                self.input_channels(model),
                DTYPES[self._precision],
            )

    def players(self, model: Any) -> tuple[list[nn.Module], list[nn.Module]]:
        """Return the trained modules of the discriminating and the generating side."""
        discriminating, generating = self.networks(model)
        if self.options.projected:
            kept = discriminating if self.keeps_discriminator else []
            discriminating = [model.projected, *kept]
        return discriminating, generating

    def latents(self, model: Any, count: int, device: torch.device) -> Tensor:
        """Draw z ~ N(0, I), [count, D]."""
        return torch.randn(count, model.config.latent, device=device)

    def optimizers(self, model: nn.Module, recipe: Recipe) -> list[Optimizer]:
        """Return an optimizer for each side."""
        scales = (self.options.discriminator_rate, 1.0)
        optimizers: list[Optimizer] = []
        for side, scale in zip(self.players(model), scales, strict=True):
            group = {"params": [p for module in side for p in module.parameters()], "scale": scale}
            beta1, beta2 = float(self.options.beta1), float(self.options.beta2)
            if self.options.optimizer == "sgd":
                optimizers.append(SGD([group], recipe.learning_rate, beta1, fused=True))
            else:
                optimizers.append(Adam([group], recipe.learning_rate, (beta1, beta2), fused=True))
        return optimizers

    def prepare(self, model: Any, data: DataSet, recipe: Recipe) -> list[dict[str, float]]:
        """Calibrate a projected discriminator on real images."""
        if self.options.projected:
            device = next(model.parameters()).device
            model.projected.calibrate(load_rows(data.train, device, CALIBRATION).images)
        return []

    def step(self, model: nn.Module, batch: Batch, update: Update) -> dict[str, Tensor]:
        """Run algorithm 1: k discriminator updates on a minibatch each, and a generator update."""
        if self.options.projected:
            terms = play(self, model, batch, update)
            with torch.no_grad():
                self.after_step(model, batch)
            return terms
        discriminating, generating = self.players(model)
        parts = batch.split(self.options.discriminator_steps)
        logged: dict[str, Tensor] = {}
        for part in parts:
            with freeze(generating):
                terms = self._discriminator(model, part, update)
            update(terms["discriminator_loss"], DISCRIMINATOR)
            logged = {k: v.detach() + logged.get(k, 0) for k, v in terms.items()}
        logged = {name: value / len(parts) for name, value in logged.items()}
        with freeze(discriminating):
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
        extra |= options.penalty_terms(
            update.step,
            len(batch),
            lambda shown, _: r1_penalty(lambda images: self.score(model, images, batch), shown),
            real,
            fake,
        )
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

    @torch.no_grad()
    def settle(self, model: Any, data: DataSet) -> None:
        """Re-estimate the generator's batch statistics for the averaged weights."""
        with batch_statistics.reestimate(model.generator) as any_norms:
            if any_norms:
                for _ in self.samples(model, SETTLING, seed=2**32):
                    pass

    @torch.no_grad()
    def draw(self, model: nn.Module, count: int, seed: int) -> np.ndarray:
        """Return samples in the output format of an engine file, uint8 [count, H, W, C]."""
        return np.concatenate([to_uint8(images) for images in self.samples(model, count, seed)])

    @torch.no_grad()
    def evaluate(self, model: nn.Module, data: DataSet) -> dict[str, float]:
        """Measure the Fréchet distance (if its network is installed), diversity and overfitting."""
        images = self.draw(model, int(self.options.fid_images) or 500, seed=1)
        measured = collapse.measure_diversity(images, data.validation.images)
        measured |= self._measure_overfitting(model, data)
        if self.options.fid_images:
            measured |= self._measure_quality(images, data)
        return measured

    def _measure_overfitting(self, model: nn.Module, data: DataSet) -> dict[str, float]:
        """Return mean scores on training, held-out and generated images, and the first two's gap.

        `overfitting` is r_v of Karras et al. 2020 (arXiv:2006.06676), equation 1: 0 if the
        discriminator scores held-out images like training images, 1 if it scores them like fakes.
        Each batch is normalised by its own statistics, as in training, because the running
        statistics do not belong to the averaged weights.
        """
        device = next(model.parameters()).device
        count = min(HELD_OUT, len(data.validation), len(data.train))
        train, held_out = (
            load_rows(split, device, count) for split in (data.train, data.validation)
        )
        with (
            torch.random.fork_rng([device] if device.type == "cuda" else []),
            batch_statistics.use_batch_statistics(*self.networks(model)[DISCRIMINATOR]),
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
        """Return the scores of the discriminator in use."""
        if not self.options.projected:
            return self.score(model, shown, batch)
        judged = self.projected_input(model, shown, batch)
        scores: Tensor = model.projected(judged.images, judged.condition, judged.inputs)
        return scores

    def _measure_quality(self, images: np.ndarray, data: DataSet) -> dict[str, float]:
        from runtime.errors import EngineNotFoundError

        try:
            from zoo.evaluation.quick import QuickFid

            if self._fid is None or self._fid[0] != data.name:
                self._fid = (data.name, QuickFid(data, len(images), part="validation"))
        except (ZooError, EngineNotFoundError, ModuleNotFoundError) as error:
            # Training continues without the packages for evaluation.
            self._unmeasured = f"no Fréchet distance: {error}"
            return {}
        self._unmeasured = None
        measured: dict[str, float] = self._fid[1].measure(images)
        return measured

    def _measure_joint(self, measured: dict[str, float], mse: float) -> dict[str, float]:
        """Return `validation_joint`, the criterion for the best epoch of models with targets.

        It is the geometric mean of the Fréchet distance, if measured, and the root mean squared
        error (`mse` is of values in [0, 1]), so that halving either counts alike, whatever their
        scales.
        """
        return {"validation_joint": math.sqrt(measured.get("fid", 1.0) * math.sqrt(mse))}

    @torch.no_grad()
    def picture(self, model: nn.Module, data: DataSet, seed: int) -> np.ndarray:
        """Draw samples of fixed latents."""
        images = torch.cat(list(self.samples(model, SHOWN, seed)))
        return draw_grid(images.float().cpu().numpy(), 10)

    def notes(self, values: dict[str, float]) -> list[str]:
        """Return advice on mode collapse and balance."""
        problems = collapse.find_problems(values)
        return problems if self._unmeasured is None else [*problems, self._unmeasured]
