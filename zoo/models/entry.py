"""Registry entry of a model; importing it does not import PyTorch."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from zoo.errors import ConfigError, is_out_of_memory

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Paper:
    """The publication that a model comes from."""

    title: str
    authors: str
    year: int
    url: str


@dataclass(frozen=True)
class ModelEntry:
    """A model: its paper, and its classes as `module:name`.

    `module` is the model's class, built from an instance of the dataclass `config`; `task` is the
    class that trains it (`zoo.training.task.make_task`). Each of the `roles` has an engine file:
    the first `<name>.onnx`, the others `<name>.<role>.onnx`. The recipe is
    `zoo/recipes/<name>.toml`.
    """

    name: str
    summary: str
    paper: Paper
    module: str
    config: str
    task: str
    roles: tuple[str, ...]

    def make(self, options: dict[str, Any] | None = None) -> nn.Module:
        """Build the model with random weights; `options` are fields of its config.

        Raises `ConfigError` for an unknown field or an invalid value.
        """
        config, known = load_class(self.config), self.options()
        for name in options or {}:
            if name not in known:
                raise ConfigError(
                    f"the model {self.name} has no option {name!r}; "
                    f"its options are {', '.join(sorted(known))}"
                )
        try:
            module: nn.Module = load_class(self.module)(config(**(options or {})))
        except (TypeError, ValueError, OverflowError, RuntimeError, MemoryError) as error:
            # PyTorch rejects some sizes that pass the config's checks.
            problem = str(error).partition("\n")[0]
            if is_out_of_memory(error):
                problem = f"out of memory ({problem})"
            raise ConfigError(f"cannot build the model {self.name}: {problem}") from error
        return module

    def options(self) -> set[str]:
        """Return the names of the config's fields."""
        return {entry.name for entry in fields(load_class(self.config))}

    def engine_files(self, stem: str | None = None) -> dict[str, str]:
        """Return each role's engine file name, in a family whose main file is `<stem>.onnx`."""
        stem = stem or self.name
        return {
            role: f"{stem}.onnx" if role == self.roles[0] else f"{stem}.{role}.onnx"
            for role in self.roles
        }


def load_class(place: str) -> Any:
    """Import and return the class `module:name`."""
    module, name = place.split(":")
    return getattr(importlib.import_module(module), name)
