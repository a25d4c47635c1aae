"""All models of the zoo, by name; importing it does not import PyTorch."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from zoo.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn

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
    says how it is trained. `roles` are its engine files: `generator` is `<name>.onnx`, any other
    role `<name>.<role>.onnx`. Its recipe is `zoo/recipes/<name>.toml`.
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
        config = _load(self.config)
        known = {entry.name for entry in fields(config)}
        for name in options or {}:
            if name not in known:
                raise ConfigError(
                    f"the model {self.name} has no option {name!r}; "
                    f"it has {', '.join(sorted(known))}"
                )
        try:
            made = config(**(options or {}))
        except TypeError as error:
            raise ConfigError(f"the model {self.name} cannot be made so: {error}") from error
        module: nn.Module = _load(self.module)(made)
        return module

    def make_task(self) -> Task:
        """Make the object that trains the model."""
        task: Task = _load(self.task)()
        return task

    def engine_files(self) -> dict[str, str]:
        """File name of the engine of each role."""
        return {
            role: f"{self.name}.onnx" if role == "generator" else f"{self.name}.{role}.onnx"
            for role in self.roles
        }


def _load(place: str) -> Any:
    module, name = place.split(":")
    return getattr(importlib.import_module(module), name)


MODELS = {
    entry.name: entry
    for entry in (
        ModelEntry(
            name="vae",
            summary="convolutional variational autoencoder",
            paper=Paper(
                title="Auto-Encoding Variational Bayes",
                authors="Kingma & Welling",
                year=2013,
                url="https://arxiv.org/abs/1312.6114",
            ),
            module="zoo.models.vae:VAE",
            config="zoo.models.vae:VAEConfig",
            task="zoo.training.elbo:ElboTask",
            roles=("generator", "encoder"),
        ),
    )
}


def get(name: str) -> ModelEntry:
    """The model of a name; raises `ConfigError`, listing the models, when there is none."""
    if name not in MODELS:
        raise ConfigError(f"no model {name!r}; models: {', '.join(MODELS)}")
    return MODELS[name]
