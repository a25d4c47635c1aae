"""Steps of the optimizers: backward pass, averaging over processes, clipping."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor, nn

PROJECTED = "projected."
"""How the names of a projected discriminator's weights begin, which only training needs."""


class Updater:
    """The `zoo.training.task.Update` of a run; `optimizers` are those that accelerate prepared.

    With `average` the gradients are averaged over the processes here, for a model that is not
    wrapped; `clip` bounds their norm (0: no bound).
    """

    def __init__(
        self, accelerator: Accelerator, optimizers: list[Any], clip: float, average: bool
    ) -> None:
        self.accelerator, self.optimizers = accelerator, optimizers
        self.clip, self.average = clip, average and accelerator.num_processes > 1
        self.step = 0

    def __call__(self, loss: Tensor, index: int) -> None:
        """Back-propagate a loss and let optimizer number `index` take a step."""
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
        """The recipe's precision, for the forward passes inside."""
        context: AbstractContextManager[Any] = self.accelerator.autocast()
        return context

    def set_learning_rate(self, rate: float) -> None:
        """Give every group of parameters this rate, times its `scale` if it has one."""
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
def copy_first(model: nn.Module, accelerator: Accelerator) -> None:
    """Give the model the weights that it has in the first process."""
    if accelerator.num_processes > 1:
        for tensor in model.state_dict().values():
            tensor.copy_(broadcast(tensor, from_process=0))


@torch.no_grad()
def average_buffers(model: nn.Module, accelerator: Accelerator) -> None:
    """Average what layers measure of their batches, which differs between unwrapped copies."""
    if accelerator.num_processes > 1:
        buffers = [
            buffer
            for name, buffer in model.named_buffers()
            if buffer.is_floating_point() and not name.startswith(PROJECTED)
        ]
        average(buffers, accelerator)


@contextmanager
def frozen(modules: list[nn.Module]) -> Iterator[None]:
    """Let no gradients reach the parameters of these modules."""
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
