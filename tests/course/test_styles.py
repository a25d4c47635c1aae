"""Truncation and noise of the shipped style-based generator, as the course draws them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from scripts.course import styles
from zoo import engine_path
from zoo.models.generators import FIRST_LAYER_STREAM, to_uint8
from zoo.models.stylegan import noise_widths
from zoo.models.weights import load_synthesis
from zoo.training import collapse


@pytest.fixture(scope="module")
def halves() -> Iterator[styles.Halves]:
    with styles.Halves() as opened:
        yield opened


def test_images_become_alike_towards_the_mean_and_differ_beyond_it(halves: styles.Halves) -> None:
    spread = [
        collapse.measure_distances(halves.synthesis.decode(halves.styles(30, psi)))[0]
        for psi in styles.TRUNCATIONS
    ]
    middle = styles.TRUNCATIONS.index(0)
    assert spread[middle] < 1e-6
    assert (np.diff(spread[: middle + 1]) < 0).all() and (np.diff(spread[middle:]) > 0).all()


def test_negative_truncation_mirrors_styles_at_the_mean(halves: styles.Halves) -> None:
    one, other = halves.styles(3, 1.0), halves.styles(3, -1.0)
    mean = np.tile(halves.mapping.style_mean, halves.layers)
    np.testing.assert_allclose((one + other) / 2, np.stack([mean] * 3), atol=1e-5)
    assert np.abs(one - other).max() > 0.1


def test_deviation_is_that_of_mean_colours() -> None:
    levels = np.zeros((4, 1, 2, 3), np.uint8)
    levels[:, 0, 1] = [[0, 0, 0], [30, 0, 0], [0, 30, 0], [10, 10, 10]]
    np.testing.assert_allclose(styles.deviation(levels), [[0, np.std([0, 10, 10, 10])]])


def test_noise_changes_details_and_styles_faces(halves: styles.Halves) -> None:
    """Faces with the same styles differ less than faces with other styles."""
    w = halves.styles(8, styles.TRUNCATION)
    by_noise = styles.deviation(halves.vary(w[0], 8)).mean()
    by_style = styles.deviation(halves.synthesis.decode(w)).mean()
    assert 0 < by_noise < by_style / 3


@torch.no_grad()
def test_noise_of_all_layers_and_of_none_is_the_engines(halves: styles.Halves) -> None:
    network: Any = load_synthesis(engine_path("stylegan.synthesis.onnx"))
    w, layers = halves.styles(2, styles.TRUNCATION), range(halves.layers)
    inputs = torch.from_numpy(w).unflatten(1, (halves.layers, -1))
    for shown, key in ((layers, {"seed": styles.SEED}), ((), {})):
        source = styles.limit_noise(styles.contract_noise(2), network, shown)
        expected = halves.synthesis.decode(w, **key).astype(int)
        assert np.abs(to_uint8(network(inputs, source)) - expected).max() <= 1


@pytest.mark.parametrize("streams", [1, 6])
def test_noise_is_limited_to_layers(streams: int) -> None:
    """In one stream for all layers, and in a stream for each, as in earlier engine files."""
    widths = noise_widths(6)
    network: Any = torch.nn.Module()
    network.layers = torch.nn.ModuleList(torch.nn.Identity() for _ in widths)
    network.noise_widths = tuple(widths) if streams > 1 else (sum(widths),)
    source = styles.limit_noise(lambda _, width: torch.ones(2, width), network, (1, 4))
    drawn = [source(FIRST_LAYER_STREAM + i, n) for i, n in enumerate(network.noise_widths)]
    parts = torch.cat(drawn, 1).split(widths, 1)
    assert [bool(part.any()) for part in parts] == [False, True, False, False, True, False]
    assert [bool(part.all()) for part in parts] == [False, True, False, False, True, False]
