"""Options of adversarial training, the table `adversarial` of a recipe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from zoo.errors import ConfigError
from zoo.models.options import check_choice, check_counts, check_numbers
from zoo.training.games import GAMES

DISCRIMINATORS = ("paper", "projected")
"""The discriminator of the model's paper, or one on projected features."""

OPTIMIZERS = ("adam", "sgd")


@dataclass(frozen=True)
class Options:
    """The table `adversarial` of a recipe. Raises `ConfigError` for invalid values.

    `loss` is a game of `zoo.training.games`. `discriminator_steps` is k of algorithm 1 (Goodfellow
    et al. 2014): a step's batch is split into k minibatches, one for each discriminator update.
    `optimizer` is one of `OPTIMIZERS`: Adam with `beta1` and `beta2`, or gradient descent with the
    momentum `beta1`; `discriminator_rate` multiplies the recipe's learning rate for the
    discriminator. `r1` is γ of the R1 penalty, applied every `r1_every` steps and multiplied by
    that number; `r2` is γ of the same penalty on generated images. `gradient_penalty` is λ of
    WGAN-GP, `drift` the weight of the mean squared real score (Karras et al. 2017, appendix A.1).
    `level` is the weight of `zoo.training.games.level_term`, `adversarial_weight` that of the game
    in the generator's loss. Penalties are on images in [0, 1], where gradients are twice those in
    the papers' [-1, 1]: γ is four times theirs, and a norm of 1 is their ½. `fid_images` are
    generated after each epoch for the Fréchet distance (0: not measured).

    `discriminator` is one of `DISCRIMINATORS`. The penalties of a projected one are on its feature
    maps, normalised for their size; `pixel_penalty` multiplies the penalty on pixels. Over the
    first `anneal_images`, γ of R1 and R2 changes geometrically to `penalty_end` times its initial
    value, and `pixel_penalty` to `pixel_penalty_end`. `pixel_weight` multiplies the part of the
    heads of pixels in the generator's loss, whose gradients may be ten times smaller than those
    through the frozen network, which hardly sees colours.
    """

    loss: str = "nonsaturating"
    discriminator: str = "paper"
    discriminator_steps: int = 1
    optimizer: str = "adam"
    beta1: float = 0.5
    beta2: float = 0.999
    discriminator_rate: float = 1.0
    r1: float = 0.0
    r2: float = 0.0
    r1_every: int = 1
    gradient_penalty: float = 0.0
    drift: float = 0.0
    level: float = 0.0
    adversarial_weight: float = 1.0
    anneal_images: int = 0
    penalty_end: float = 1.0
    pixel_penalty: float = 1.0
    pixel_penalty_end: float = 1.0
    pixel_weight: float = 1.0
    fid_images: int = 2000

    def __post_init__(self) -> None:
        check_choice(self, "loss", *GAMES)
        check_counts(self, "discriminator_steps", "r1_every")
        check_choice(self, "discriminator", *DISCRIMINATORS)
        check_choice(self, "optimizer", *OPTIMIZERS)
        check_numbers(self, "beta1", "beta2", "r1", "r2", "gradient_penalty", "drift", "level")
        check_numbers(self, "adversarial_weight", "anneal_images", "fid_images")
        check_numbers(self, "discriminator_rate", "penalty_end", positive=True)
        check_numbers(self, "pixel_penalty", "pixel_penalty_end", positive=True)
        check_numbers(self, "pixel_weight")
        if self.discriminator == "projected" and (self.gradient_penalty or self.drift):
            raise ConfigError(
                "a projected discriminator has no gradient_penalty and no drift: "
                "use r1, r2 and level"
            )
        if self.beta1 >= 1 or self.beta2 >= 1:
            raise ConfigError(f"beta1 and beta2 must be below 1, got {self.beta1}, {self.beta2}")

    @property
    def projected(self) -> bool:
        """True if the discriminator is a projected one."""
        return self.discriminator == "projected"

    def anneal(self, weight: float, seen: int) -> float:
        """Return γ after `seen` images, from its initial value `weight`."""
        return weight * self._interpolate(1.0, self.penalty_end, seen)

    def pixel_penalty_at(self, seen: int) -> float:
        """Return the factor of the penalty on pixels after `seen` images."""
        return self._interpolate(self.pixel_penalty, self.pixel_penalty_end, seen)

    def penalty_terms(
        self, step: int, images: int, penalise: Callable[[Any, int], Any], real: Any, fake: Any
    ) -> dict[str, Any]:
        """Return the weighted terms `r1` and `r2` of the discriminator's loss in a step.

        `images` is the number of images of a discriminator update, and `penalise(shown, seen)` the
        penalty on what is shown as real or as generated, after `seen` images. There are no terms in
        the steps between those of `r1_every`.
        """
        if step % self.r1_every:
            return {}
        seen = step * images * self.discriminator_steps
        return {
            name: self.anneal(weight, seen) * self.r1_every / 2 * penalise(shown, seen)
            for name, shown, weight in (("r1", real, self.r1), ("r2", fake, self.r2))
            if weight
        }

    def _interpolate(self, start: float, end: float, seen: int) -> float:
        if not self.anneal_images:
            return start
        share = min(1.0, seen / self.anneal_images)
        return float(start * (end / start) ** share)


def make_options(table: dict[str, Any]) -> Options:
    """Return the options of a recipe's table; raises `ConfigError` for an unknown option."""
    known = {entry.name for entry in fields(Options)}
    for name in table:
        if name not in known:
            raise ConfigError(
                f"unknown option adversarial.{name}; known: {', '.join(sorted(known))}"
            )
    return Options(**table)
