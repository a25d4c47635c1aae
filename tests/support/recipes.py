"""Models as their recipes make them."""

from __future__ import annotations

from typing import Any

from zoo.data import faces, find_named
from zoo.models import registry
from zoo.training.recipe import FOLDER, Recipe, load_recipe


def shipped(name: str, size: str = "cpu") -> tuple[Recipe, dict[str, Any]]:
    """The recipe of a model, and the options of the model with the shape of its data."""
    recipe = load_recipe(FOLDER / f"{name}.toml", {"size": size})
    shapes: dict[str, dict[str, Any]] = {
        "fashion-mnist": {"image_size": 28, "channels": 1},
        "faces": {"image_size": 64, "channels": 3},
    }
    options = {**shapes[find_named(recipe.data) or ""], **recipe.model}
    if "attributes" in registry.get(name).options():
        options["attributes"] = faces.ATTRIBUTES
    if "classes" in registry.get(name).options():
        options["classes"] = 10
    return recipe, options
