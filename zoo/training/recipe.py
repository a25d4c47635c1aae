"""Recipes: all settings that determine the result of a training run, read from TOML."""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from zoo.errors import ConfigError
from zoo.models.options import is_number

FOLDER = Path(__file__).parent.parent / "recipes"
"""Folder of the shipped recipes, `<model>.toml`."""

PRECISIONS = ("fp32", "bf16", "fp16")
"""Precisions of the forward pass; weights and optimizer stay fp32."""

SIZES = ("cpu", "gpu")
"""Sizes of a run: trainable on a CPU in about an hour, or worth a GPU."""

SCHEDULES = ("cosine", "linear", "late", "constant")
"""Learning rate schedules after the warm-up."""


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters of a run. Raises `ConfigError` for invalid values.

    `learning_rate` rises linearly for `warmup_steps` and then follows the `schedule`: "cosine"
    falls to zero at the end of `epochs`, "linear" stays for half of them and then falls linearly to
    zero, "late" stays for three quarters and then falls to 2 %, "constant" stays. `batch_size` is
    the number of images per step over all processes. `ema_decay` is the decay of the averaged
    weights, which are the ones evaluated and shipped (0: no averaging). `gradient_clip` limits the
    norm of the gradient (0: no limit). `exclude` names classes that are left out of training.
    `epoch_images` is the number of images per epoch, after which the model is evaluated (0: one
    pass over the data). `mirror` flips every training image sideways with probability ½, anew in
    every pass. `model` overrides fields of the model's config, `adversarial` those of
    `zoo.training.adversarial_options.Options`. `size` is "cpu" for the file as it is, or "gpu" to
    apply its table of that name.
    """

    data: str = "fashion-mnist"
    epochs: int = 20
    batch_size: int = 128
    epoch_images: int = 0
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    warmup_steps: int = 0
    weight_decay: float = 0.0
    ema_decay: float = 0.0
    gradient_clip: float = 0.0
    mirror: bool = False
    precision: str = "fp32"
    seed: int = 0
    size: str = "cpu"
    exclude: list[str] = field(default_factory=list)
    model: dict[str, Any] = field(default_factory=dict)
    adversarial: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lowest_values = {"epochs": 1, "batch_size": 1}
        for name in ("epochs", "batch_size", "epoch_images", "warmup_steps", "seed"):
            lowest = lowest_values.get(name, 0)
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
                raise ConfigError(f"{name} must be an integer of at least {lowest}, got {value!r}")
            if value >= 2**63:
                raise ConfigError(f"{name} must be below 2**63, got {value}")
        for name in ("learning_rate", "weight_decay", "ema_decay", "gradient_clip"):
            value = getattr(self, name)
            if not is_number(value) or value < 0:
                raise ConfigError(f"{name} must be a number of at least 0, got {value!r}")
        if self.learning_rate == 0 or self.ema_decay >= 1:
            raise ConfigError("learning_rate must be above 0 and ema_decay below 1")
        if self.precision not in PRECISIONS:
            raise ConfigError(
                f"precision must be one of {', '.join(PRECISIONS)}, got {self.precision!r}"
            )
        if self.size not in SIZES:
            raise ConfigError(f"size must be one of {', '.join(SIZES)}, got {self.size!r}")
        if self.schedule not in SCHEDULES:
            raise ConfigError(
                f"schedule must be one of {', '.join(SCHEDULES)}, got {self.schedule!r}"
            )
        tables = (self.model, self.adversarial)
        if type(self.mirror) is not bool:
            raise ConfigError(f"mirror must be true or false, got {self.mirror!r}")
        if not isinstance(self.data, str) or not all(isinstance(t, dict) for t in tables):
            raise ConfigError("data must be a name or a path, and model and adversarial tables")
        if not isinstance(self.exclude, list) or not all(isinstance(c, str) for c in self.exclude):
            raise ConfigError(f"exclude must be a list of class names, got {self.exclude!r}")

    def learning_rate_at(self, step: int, steps: int) -> float:
        """Return the learning rate of update `step` (from 0) of `steps`."""
        warm = min(1.0, (step + 1) / (self.warmup_steps + 1))
        course = {
            "cosine": 0.5 * (1 + math.cos(math.pi * step / steps)),
            "linear": min(1.0, 2 * (1 - step / steps)),
            "late": min(1.0, 0.02 + 0.98 * 4 * (1 - step / steps)),
            "constant": 1.0,
        }
        return self.learning_rate * warm * course[self.schedule]


def from_dict(values: dict[str, Any]) -> Recipe:
    """Build a recipe from a table of its fields; raises `ConfigError` for an unknown field."""
    known = {entry.name for entry in fields(Recipe)}
    for name in values:
        if name not in known:
            raise ConfigError(f"unknown recipe field {name!r}; known: {', '.join(sorted(known))}")
    return Recipe(**values)


def load_recipe(path: Path, overrides: dict[str, Any] | None = None) -> Recipe:
    """Read a TOML recipe; `overrides` replace its fields, and are merged into its tables.

    If they set `size` to "gpu", the file's table `gpu` is applied first.
    """
    try:
        # Some editors write a UTF-8 byte order mark.
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"cannot read the recipe {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    overrides = dict(overrides or {})
    larger = values.pop("gpu", None)
    if overrides.get("size") == "gpu":
        if not isinstance(larger, dict):
            raise ConfigError(f"{path.name} has no table 'gpu'")
        values = merge_tables(values, larger)
    return from_dict(merge_tables(values, overrides))


def merge_tables(values: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Merge a recipe's table with overrides; the tables inside are merged field by field."""
    tables = {}
    for name in ("model", "adversarial"):
        parts = values.get(name, {}), over.get(name, {})
        for part in parts:
            if not isinstance(part, dict):
                raise ConfigError(f"{name} must be a table, got {part!r}")
        tables[name] = {**parts[0], **parts[1]}
    return {**values, **over, **tables}


def to_dict(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe's fields for `from_dict`, in types that survive JSON."""
    values: dict[str, Any] = json.loads(json.dumps(asdict(recipe)))
    return values
