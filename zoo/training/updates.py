"""Optimizer steps: backward pass, averaging over processes, clipping."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor, nn

PROJECTED = "projected."
"""Prefix of the names of a projected discriminator's weights, which only training needs."""


class Updater:
    """The `zoo.training.task.Update` of a run; `optimizers` are those that accelerate prepared.

    `average` averages the gradients over the processes, for a model that is not wrapped; `clip`
    limits their norm (0: no limit).
    """

    def __init__(
        self, accelerator: Accelerator, optimizers: list[Any], clip: float, average: bool
    ) -> None:
        self.accelerator, self.optimizers = accelerator, optimizers
        self.clip, self.average = clip, average and accelerator.num_processes > 1
        self.step = 0

    def __call__(self, loss: Tensor, index: int) -> None:
        optimizer = self.optimizers[index]
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        optimizer.zero_grad()
        self.accelerator.backward(loss)
        if self.average:
            average([p.grad for p in parameters if p.grad is not None], self.accelerator)
        if self.clip:
            self.accelerator.clip_grad_norm_(parameters, self.clip)
        optimizer.step()

    def autocast(self) -> AbstractContextManager[Any]:
        context: AbstractContextManager[Any] = self.accelerator.autocast()
        return context

    def set_learning_rate(self, rate: float) -> None:
        """Set the learning rate of every parameter group, times its `scale` if it has one."""
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * group.get("scale", 1.0)


def average(tensors: list[Tensor], accelerator: Accelerator) -> None:
    """Replace each tensor by its mean over the processes, all in one exchange."""
    if not tensors:
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    parts = accelerator.reduce(flat, "mean").split([tensor.numel() for tensor in tensors])
    for tensor, part in zip(tensors, parts, strict=True):
        tensor.copy_(part.view_as(tensor))


@torch.no_grad()
def copy_from_first(model: nn.Module, accelerator: Accelerator) -> None:
    """Copy the model's weights from the first process."""
    if accelerator.num_processes > 1:
        for tensor in model.state_dict().values():
            tensor.copy_(broadcast(tensor, from_process=0))


@torch.no_grad()
def average_buffers(model: nn.Module, accelerator: Accelerator) -> None:
    """Average batch statistics, which differ between unwrapped copies."""
    if accelerator.num_processes > 1:
        buffers = [
            buffer
            for name, buffer in model.named_buffers()
            if buffer.is_floating_point() and not name.startswith(PROJECTED)
        ]
        average(buffers, accelerator)


@contextmanager
def freeze(modules: list[nn.Module]) -> Iterator[None]:
    """Exclude the parameters of these modules from gradients."""
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
