"""What the registry knows of a model; importing it does not import PyTorch."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from zoo.errors import ConfigError, is_out_of_memory

if TYPE_CHECKING:
    from torch import nn

    from zoo.training.recipe import Recipe
    from zoo.training.task import Task


@dataclass(frozen=True)
class Paper:
    """The publication that a model comes from."""

    title: str
    authors: str
    year: int
    url: str


@dataclass(frozen=True)
class ModelEntry:
    """A model: its paper, and where its classes are, as `module:name`.

    `module` is the class of the model, made from an instance of the dataclass `config`; `task`
    says how it is trained. `roles` are its engine files: the first is `<name>.onnx`, any other
    `<name>.<role>.onnx`. Its recipe is `zoo/recipes/<name>.toml`.
    """

    name: str
    summary: str
    paper: Paper
    module: str
    config: str
    task: str
    roles: tuple[str, ...]

    def make(self, options: dict[str, Any] | None = None) -> nn.Module:
        """Make the model with random weights; `options` are fields of its config.

        Raises `ConfigError` for a field that it has not, or a value that cannot work.
        """
        config, known = _load(self.config), self.options()
        for name in options or {}:
            if name not in known:
                raise ConfigError(
                    f"the model {self.name} has no option {name!r}; "
                    f"it has {', '.join(sorted(known))}"
                )
        try:
            made = config(**(options or {}))
        except (TypeError, ValueError) as error:
            raise ConfigError(f"the model {self.name} cannot be made so: {error}") from error
        try:
            module: nn.Module = _load(self.module)(made)
        except (TypeError, ValueError, OverflowError, RuntimeError, MemoryError) as error:
            # What the checks of the config let pass, PyTorch may refuse: sizes, most of all.
            problem = str(error).partition("\n")[0]
            if is_out_of_memory(error):
                problem = f"out of memory ({problem})"
            raise ConfigError(f"the model {self.name} cannot be made so: {problem}") from error
        return module

    def options(self) -> set[str]:
        """Names of the fields of its config."""
        return {entry.name for entry in fields(_load(self.config))}

    def make_task(self, recipe: Recipe | None = None) -> Task:
        """Make the object that trains the model, as the recipe says (None: by defaults).

        Raises `ConfigError` for an option in the recipe's tables that the task has not.
        """
        task: Task = _load(self.task)(recipe)
        return task

    def engine_files(self, stem: str | None = None) -> dict[str, str]:
        """File name of the engine of each role, of a family whose main file is `<stem>.onnx`."""
        stem = stem or self.name
        return {
            role: f"{stem}.onnx" if role == self.roles[0] else f"{stem}.{role}.onnx"
            for role in self.roles
        }


def _load(place: str) -> Any:
    module, name = place.split(":")
    return getattr(importlib.import_module(module), name)
