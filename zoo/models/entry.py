"""What the registry knows of a model; importing it does not import PyTorch."""

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
    """A model: its paper, and where its classes are, as `module:name`.

    `module` is the class of the model, made from an instance of the dataclass `config`; `task`
    that of how it is trained (`zoo.training.task.make_task`). `roles` are its engine files: the
    first is `<name>.onnx`, any other `<name>.<role>.onnx`. Its recipe is
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
        """Make the model with random weights; `options` are fields of its config.

        Raises `ConfigError` for an unknown field or an invalid value.
        """
        config, known = load_class(self.config), self.options()
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
            module: nn.Module = load_class(self.module)(made)
        except (TypeError, ValueError, OverflowError, RuntimeError, MemoryError) as error:
            # What the checks of the config let pass, PyTorch may refuse: sizes, most of all.
            problem = str(error).partition("\n")[0]
            if is_out_of_memory(error):
                problem = f"out of memory ({problem})"
            raise ConfigError(f"the model {self.name} cannot be made so: {problem}") from error
        return module

    def options(self) -> set[str]:
        """Names of the fields of its config."""
        return {entry.name for entry in fields(load_class(self.config))}

    def engine_files(self, stem: str | None = None) -> dict[str, str]:
        """File name of the engine of each role, of a family whose main file is `<stem>.onnx`."""
        stem = stem or self.name
        return {
            role: f"{stem}.onnx" if role == self.roles[0] else f"{stem}.{role}.onnx"
            for role in self.roles
        }


def load_class(place: str) -> Any:
    """The class `module:name`, imported."""
    module, name = place.split(":")
    return getattr(importlib.import_module(module), name)
