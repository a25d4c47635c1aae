"""Training of the models: recipes, the loop, checkpoints, and what is measured on the way.

Importing this package imports PyTorch, with the first of its names that is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.training.elbo import evaluate_elbo
    from zoo.training.loop import Trainer
    from zoo.training.recipe import Recipe, load_recipe
    from zoo.training.weights import load_run, load_weights, save_weights

_PLACES = {
    "Recipe": "recipe",
    "Trainer": "loop",
    "evaluate_elbo": "elbo",
    "load_recipe": "recipe",
    "load_run": "weights",
    "load_weights": "weights",
    "save_weights": "weights",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)


__all__ = [
    "Recipe",
    "Trainer",
    "evaluate_elbo",
    "load_recipe",
    "load_run",
    "load_weights",
    "save_weights",
]
