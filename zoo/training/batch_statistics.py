"""Context managers for the statistics of batch normalisation outside of training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def find_norms(*modules: nn.Module) -> list[_BatchNorm]:
    """Return the batch normalisations in some modules."""
    return [part for module in modules for part in module.modules() if isinstance(part, _BatchNorm)]


@contextmanager
def reestimate(module: nn.Module) -> Iterator[bool]:
    """Re-estimate a module's running statistics as means over the inputs it gets in the context.

    These are the "standing statistics" of Brock et al. 2018 (arXiv:1809.11096), section 4.1. Yields
    True if there are any; leaves the normalisations in evaluation mode.
    """
    module_norms = find_norms(module)
    momenta = [norm.momentum for norm in module_norms]
    for norm in module_norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative mean
        norm.train()
    try:
        yield bool(module_norms)
    finally:
        for norm, momentum in zip(module_norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()


@contextmanager
def use_batch_statistics(*modules: nn.Module) -> Iterator[None]:
    """Normalise each batch by its own statistics, as in training, without recording them."""
    module_norms = find_norms(*modules)
    before = [(norm.training, norm.track_running_stats) for norm in module_norms]
    for norm in module_norms:
        norm.train()
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm, (training, tracks) in zip(module_norms, before, strict=True):
            norm.train(training)
            norm.track_running_stats = tracks
