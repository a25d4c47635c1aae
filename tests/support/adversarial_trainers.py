"""Trainers of small adversarial models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from trainers import make_trainer
from zoo.data import DataSet
from zoo.training.loop import Trainer
from zoo.training.recipe import Recipe

SIZES: dict[str, dict[str, Any]] = {
    "gan": {"latent": 4, "widths": (16,), "discriminator_widths": (16,), "image_size": 8},
    "dcgan": {"latent": 4, "widths": (8,), "discriminator_widths": (8,), "image_size": 8},
    "cgan": {
        "latent": 4,
        "widths": (8,),
        "discriminator_widths": (8,),
        "image_size": 8,
        "classes": 2,
    },
    "bigan": {
        "latent": 4,
        "widths": (8,),
        "discriminator_widths": (8,),
        "encoder_widths": (8,),
        "joint": 16,
        "image_size": 8,
    },
}


def trainer(name: str, toy: DataSet, recipe: Recipe, out: Path) -> Trainer:
    return make_trainer(name, SIZES[name], toy, recipe, out)


def assert_resumes(make: Callable[[Path], Trainer], folder: Path, steps: int) -> Path:
    """Check that a run interrupted after `steps` steps ends like a whole one; return its folder.

    The interrupted epoch is repeated.
    """
    make(folder / "whole").run()
    stopped = make(folder / "parts")
    step, count = stopped.task.step, iter(range(steps))

    def stop(*arguments: Any) -> Any:
        if next(count, None) is None:
            raise KeyboardInterrupt
        return step(*arguments)

    stopped.task.step = stop  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        stopped.run()
    resumed = make(folder / "parts")
    resumed.resume()
    assert 0 < resumed.progress.step <= steps
    resumed.run()
    for name in ("checkpoint", "last/state"):
        one, two = (load_file(folder / f / f"{name}.safetensors") for f in ("whole", "parts"))
        assert one.keys() == two.keys()
        assert all(torch.equal(one[key], two[key]) for key in one)
    return folder / "parts"


class Counting:
    """An update that changes nothing and remembers what it was asked for."""

    step = 0

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.gradients: list[set[str]] = []
        self.model: nn.Module | None = None

    def __call__(self, loss: Tensor, index: int) -> None:
        assert self.model is not None
        self.model.zero_grad()
        loss.backward()
        self.calls.append(index)
        self.gradients.append(
            {name.split(".")[0] for name, p in self.model.named_parameters() if p.grad is not None}
        )

    def autocast(self) -> Any:
        return torch.autocast("cpu", enabled=False)
