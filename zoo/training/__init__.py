"""Training of the models: recipes, the training loop, checkpoints, validation.

PyTorch is imported when the first of the names below is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.evaluation.elbo import evaluate_elbo
    from zoo.models.weights import load_run, load_weights
    from zoo.training.loop import Trainer
    from zoo.training.recipe import Recipe, load_recipe
    from zoo.training.weights import save_weights

_PLACES = {
    "Recipe": "zoo.training.recipe",
    "Trainer": "zoo.training.loop",
    "evaluate_elbo": "zoo.evaluation.elbo",
    "load_recipe": "zoo.training.recipe",
    "load_run": "zoo.models.weights",
    "load_weights": "zoo.models.weights",
    "save_weights": "zoo.training.weights",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)


__all__ = [
    "Recipe",
    "Trainer",
    "evaluate_elbo",
    "load_recipe",
    "load_run",
    "load_weights",
    "save_weights",
]
