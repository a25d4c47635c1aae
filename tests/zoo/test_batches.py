"""Batches of training images: their order, mirroring, and endless data."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from trainers import MODEL, Hooked, states_equal, trainer
from zoo.data import DataSet, Split
from zoo.errors import ConfigError
from zoo.training.batches import Batches
from zoo.training.recipe import Recipe

CPU = torch.device("cpu")


def numbered(count: int) -> DataSet:
    """Images whose left column says their index, with it as attributes and inputs too."""
    images = np.zeros((count, 4, 4, 1), np.uint8)
    images[:, :, 0, 0] = np.arange(count)[:, None]
    attributes = np.where(np.arange(count) % 2, 1, -1).astype(np.int8)[:, None]
    split = Split(images, attributes=attributes, inputs=images.copy())
    return DataSet("numbered", split, split, attributes=["Odd"], validation=split)


def indices(levels: torch.Tensor) -> list[int]:
    """Return which image each is, mirrored or not."""
    return levels[..., 0].amax((1, 2)).tolist()


def flipped(levels: torch.Tensor) -> list[bool]:
    """Return which images are mirrored, for those other than image 0."""
    return (levels[:, 0, 3, 0] > 0).tolist()


def test_order_is_a_function_of_seed_and_pass() -> None:
    data, recipe = numbered(20), Recipe(batch_size=6, seed=7)
    batches = Batches(data, recipe, CPU)
    assert batches.per_pass == 3
    for step in (0, 4, 1, 5, 3, 2):
        key = np.array([7, step // 3], np.uint64)
        order = np.random.Generator(np.random.Philox(key=key)).permutation(20)
        assert indices(batches(step).levels) == order[step % 3 * 6 :][:6].tolist()


def test_mirroring_is_a_function_of_seed_pass_and_image() -> None:
    data = numbered(200)
    recipe = Recipe(batch_size=20, seed=3, mirror=True)
    seen: list[dict[int, bool]] = []
    for batch_size in (20, 50):
        batches = Batches(data, replace(recipe, batch_size=batch_size), CPU)
        for first in (0, batches.per_pass):
            found: dict[int, bool] = {}
            for step in range(first, first + batches.per_pass):
                batch = batches(step)
                assert batch.inputs is not None and batch.attributes is not None
                assert torch.equal(batch.inputs, batch.levels)
                rows = indices(batch.levels)
                assert (batch.attributes[:, 0] > 0).tolist() == [row % 2 == 1 for row in rows]
                found |= dict(zip(rows, flipped(batch.levels), strict=True))
            seen.append(found)
    assert seen[0] == seen[2] and seen[1] == seen[3] and seen[0] != seen[1]
    assert 70 < sum(seen[0].values()) < 130
    plain = Batches(data, replace(recipe, mirror=False), CPU)
    assert indices(plain(13).levels) == indices(Batches(data, recipe, CPU)(13).levels)
    assert not any(flipped(plain(13).levels))


def test_processes_share_a_batch() -> None:
    data, recipe = numbered(40), Recipe(batch_size=8, mirror=True)
    whole = Batches(data, recipe, CPU)(6).levels
    for share in (0, 1):
        assert torch.equal(Batches(data, recipe, CPU, share, 2)(6).levels, whole[share::2])


class Endless:
    """Source of images that say their number modulo 251; counts the open streams."""

    def __init__(self) -> None:
        self.opened: list[tuple[int, int, int]] = []
        self.open = 0

    def __call__(self, first: int, step: int, count: int) -> Generator[Split, None, None]:
        self.opened.append((first, step, count))
        self.open += 1
        try:
            while True:
                images = np.zeros((count, 4, 4, 1), np.uint8)
                images[:, :, 0, 0] = np.arange(first, first + step * count, step)[:, None] % 251
                yield Split(images, attributes=np.ones((count, 1), np.int8), inputs=images)
                first += step * count
        finally:
            self.open -= 1


def test_endless_images_come_in_order_from_any_step() -> None:
    source = Endless()
    data = replace(numbered(20), stream=source)
    assert data.summary().startswith("numbered: endless training, 20 validation")
    batches = Batches(data, Recipe(batch_size=6), CPU)
    for step in (0, 1, 2, 40, 41):
        expected = [number % 251 for number in range(step * 6, step * 6 + 6)]
        assert indices(batches(step).levels) == expected
    assert source.opened == [(0, 1, 6), (240, 1, 6)] and source.open == 1
    batches.close()
    assert source.open == 0
    shares = Batches(data, Recipe(batch_size=6), CPU, 1, 2)
    assert indices(shares(5).levels) == [31, 33, 35]


def test_endless_images_are_mirrored_alike_after_a_resume() -> None:
    data = replace(numbered(20), stream=Endless())
    recipe = Recipe(batch_size=6, mirror=True, seed=5)
    batches = Batches(data, recipe, CPU)
    whole = [batches(step).levels for step in range(20)]
    again = Batches(data, recipe, CPU)
    assert all(torch.equal(again(step).levels, whole[step]) for step in range(13, 20))
    assert 40 < sum(sum(flipped(levels)) for levels in whole) < 80
    half = Batches(data, recipe, CPU, 0, 2)
    assert torch.equal(half(13).levels, whole[13][::2])


def test_changes_apply_to_the_stream() -> None:
    source = Endless()
    data = replace(numbered(20), stream=source)
    changed = data.mapped(lambda split: replace(split, images=255 - split.images))
    assert changed.stream is not None
    blocks = changed.stream(3, 1, 2)
    assert next(blocks).images[:, 0, 0, 0].tolist() == [252, 251]
    blocks.close()
    assert source.open == 0


@pytest.mark.parametrize("endless", [False, True])
def test_a_mirrored_run_resumes_bit_for_bit(endless: bool, toy: DataSet, tmp_path: Path) -> None:
    def stream(first: int, step: int, count: int) -> Generator[Split, None, None]:
        while True:
            rows = np.arange(first, first + step * count, step) % len(toy.train)
            yield Split(toy.train.images[rows])
            first += step * count

    data = replace(toy, stream=stream) if endless else toy
    recipe = Recipe(
        data="toy", epochs=3, batch_size=32, epoch_images=96, mirror=True, model=dict(MODEL)
    )
    trainer(data, recipe, tmp_path / "whole").run()

    def interrupt(step: int) -> None:
        if step == 5:
            os.kill(os.getpid(), signal.SIGINT)

    stopped = trainer(data, recipe, tmp_path / "parts", Hooked(interrupt)).run()
    assert stopped == signal.SIGINT
    second = trainer(data, recipe, tmp_path / "parts")
    second.resume()
    second.run()
    states_equal(tmp_path / "whole", tmp_path / "parts")


def test_mirror_is_true_or_false() -> None:
    with pytest.raises(ConfigError, match="mirror must be true or false, got 1"):
        Recipe(mirror=1)  # type: ignore[arg-type]
