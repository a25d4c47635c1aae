"""Fixtures shared by the tests of zoo."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from shell import ENGINE

if TYPE_CHECKING:
    from zoo.evaluation.features import FeatureNetwork
    from zoo.inference.pairs import Pair


@pytest.fixture(scope="session")
def network() -> FeatureNetwork:
    """The default feature network of grey images."""
    from zoo.evaluation import features

    return features.load("fashion-classifier", threads=1)


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """The shipped VAE."""
    from zoo.inference.pairs import Pair

    with Pair(ENGINE) as pair:
        yield pair
