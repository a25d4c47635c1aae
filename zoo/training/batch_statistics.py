"""Batch normalisation outside of training: statistics measured anew, or those of each batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def norms(*modules: nn.Module) -> list[_BatchNorm]:
    """The batch normalisations in some modules."""
    return [part for module in modules for part in module.modules() if isinstance(part, _BatchNorm)]


@contextmanager
def measured_anew(module: nn.Module) -> Iterator[bool]:
    """Forget the running statistics of a module; they become the means over what it is given here.

    The "standing statistics" of Brock et al. 2018 (arXiv:1809.11096), section 4.1. Yields whether
    there is anything to measure, and leaves the module in evaluation mode.
    """
    found = norms(module)
    momenta = [norm.momentum for norm in found]
    for norm in found:
        norm.reset_running_stats()
        norm.momentum = None  # the mean of all batches
        norm.train()
    try:
        yield bool(found)
    finally:
        for norm, momentum in zip(found, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()


@contextmanager
def of_the_batch(*modules: nn.Module) -> Iterator[None]:
    """Let modules normalise each batch by its own statistics, as in training, and remember none."""
    found = norms(*modules)
    before = [(norm.training, norm.track_running_stats) for norm in found]
    for norm in found:
        norm.train()
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm, (training, tracks) in zip(found, before, strict=True):
            norm.train(training)
            norm.track_running_stats = tracks
