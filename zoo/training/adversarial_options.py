"""Options of an adversarial game, as a recipe gives them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from zoo.errors import ConfigError
from zoo.models.options import check_choice, check_counts, check_numbers
from zoo.training.games import GAMES


@dataclass(frozen=True)
class Options:
    """The table `adversarial` of a recipe. Raises `ConfigError` for values that cannot work.

    `loss` is a game of `zoo.training.games`. `discriminator_steps` is k of Algorithm 1 (Goodfellow
    et al. 2014): a step's batch is cut into k minibatches, one an update of the discriminator.
    `beta1` and `beta2` are Adam's; `discriminator_rate` is the discriminator's learning rate in
    parts of the recipe's. `r1` is γ of the R1 penalty, taken every `r1_every` steps and weighted by
    as much; `gradient_penalty` is λ of WGAN-GP, and `drift` the weight of the mean squared real
    score (Karras et al. 2017, appendix A.1). `fid_images` are drawn after each epoch for the
    Fréchet distance (0: not measured).
    """

    loss: str = "nonsaturating"
    discriminator_steps: int = 1
    beta1: float = 0.5
    beta2: float = 0.999
    discriminator_rate: float = 1.0
    r1: float = 0.0
    r1_every: int = 1
    gradient_penalty: float = 0.0
    drift: float = 0.0
    fid_images: int = 2000

    def __post_init__(self) -> None:
        check_choice(self, "loss", *GAMES)
        check_counts(self, "discriminator_steps", "r1_every")
        check_numbers(self, "beta1", "beta2", "r1", "gradient_penalty", "drift", "fid_images")
        check_numbers(self, "discriminator_rate", positive=True)
        if self.beta1 >= 1 or self.beta2 >= 1:
            raise ConfigError(f"beta1 and beta2 must be below 1, got {self.beta1}, {self.beta2}")


def make_options(table: dict[str, Any]) -> Options:
    """The options of a recipe's table; raises `ConfigError` for a name that they have not."""
    known = {entry.name for entry in fields(Options)}
    for name in table:
        if name not in known:
            raise ConfigError(
                f"unknown option adversarial.{name}; known: {', '.join(sorted(known))}"
            )
    return Options(**table)
