"""The PyTorch data set: each index once over all ranks and workers, in order, and resumed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from runtime import Generator
from runtime.errors import ArgumentError, EngineNotFoundError
from zoo import engine_path
from zoo.errors import ConfigError
from zoo.generation.dataset import GeneratedImages

pytestmark = pytest.mark.filterwarnings(
    "ignore:This DataLoader will create", "ignore:.*set_vital.* is deprecated"
)

COUNT, BATCH, FIRST = 107, 8, 2**40 + 3
"""Thirteen whole batches, and one of three images."""


@pytest.fixture(scope="module")
def expected() -> tuple[torch.Tensor, torch.Tensor]:
    """All images and classes, from the runtime."""
    with Generator(engine_path("cgan.onnx"), instances=1) as generator:
        images = generator.sample(COUNT, seed=5, first=FIRST)
    labels = (FIRST + np.arange(COUNT)) % 10
    return torch.from_numpy(images.transpose(0, 3, 1, 2).copy()), torch.from_numpy(labels)


def clothes(**options: Any) -> GeneratedImages:
    options = {"n": COUNT, "seed": 5, "first": FIRST, "batch": BATCH, **options}
    return GeneratedImages("cgan", **options)


def loader_of(data: GeneratedImages, workers: int, kind: Any = DataLoader, **options: Any) -> Any:
    size = None if data.batched else BATCH
    return kind(data, batch_size=size, num_workers=workers, **options)


def join(batches: list[Any]) -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = zip(*batches, strict=True)
    return torch.cat(images), torch.cat(labels)


def equal(one: tuple[torch.Tensor, ...], other: tuple[torch.Tensor, ...]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize(("workers", "method"), [(0, None), (1, "fork"), (3, "fork"), (3, "spawn")])
def test_one_rank_reads_all_in_order(
    expected: tuple[torch.Tensor, torch.Tensor], workers: int, method: str | None, batched: bool
) -> None:
    loader = loader_of(clothes(batched=batched), workers, multiprocessing_context=method)
    batches = list(loader)
    assert [len(images) for images, _ in batches] == [BATCH] * 13 + [3]
    assert batches[0][0].dtype == torch.uint8 and batches[0][0].is_contiguous()
    assert equal(join(batches), expected)
    assert len(loader) == 14


@pytest.mark.parametrize("workers", [0, 3])
def test_two_ranks_share_all_images(
    expected: tuple[torch.Tensor, torch.Tensor], workers: int
) -> None:
    """Each rank reads every other batch, whatever its number of workers."""
    parts = []
    for rank in (0, 1):
        data = clothes(rank=rank, ranks=2, batched=True)
        batches = list(loader_of(data, workers))
        assert len(batches) == len(data) == 7
        assert len(clothes(rank=rank, ranks=2)) == sum(len(images) for images, _ in batches)
        parts.append(batches)
    in_turn = [batch for pair in zip(*parts, strict=True) for batch in pair]
    assert equal(join(in_turn), expected)


def test_more_ranks_than_batches() -> None:
    lengths = [len(clothes(n=10, rank=rank, ranks=4)) for rank in range(4)]
    assert lengths == [8, 2, 0, 0]
    assert list(clothes(n=10, rank=3, ranks=4)) == []


def test_ranks_of_the_environment_and_of_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (clothes().rank, clothes().ranks) == (0, 1)
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert (clothes().rank, clothes().ranks) == (2, 3)
    assert (clothes(rank=0, ranks=1).rank, clothes(rank=0, ranks=1).ranks) == (0, 1)


PROGRAM = """
import json, sys
import torch.distributed as distributed
from torch.utils.data import DataLoader
from zoo.generation.dataset import GeneratedImages

if __name__ == "__main__":
    store, rank = sys.argv[1], int(sys.argv[2])
    distributed.init_process_group("gloo", f"file://{store}", rank=rank, world_size=2)
    data = GeneratedImages("cgan", 40, batch=8, batched=True)
    loader = DataLoader(data, None)
    print(json.dumps([labels.tolist() for images, labels in loader]))
    distributed.destroy_process_group()
"""


def test_processes_of_torch_distributed(tmp_path: Path) -> None:
    (tmp_path / "read.py").write_text(PROGRAM)
    runs = [
        subprocess.Popen(
            [sys.executable, tmp_path / "read.py", tmp_path / "store", str(rank)],
            stdout=subprocess.PIPE,
        )
        for rank in (0, 1)
    ]
    read = [json.loads(run.communicate(timeout=120)[0]) for run in runs]
    blocks = [[i % 10 for i in range(begin, begin + 8)] for begin in range(0, 40, 8)]
    assert read == [blocks[0::2], blocks[1::2]]


@pytest.mark.parametrize("workers", [0, 3])
@pytest.mark.parametrize(("read", "batched"), [(0, False), (5, False), (5, True), (13, True)])
def test_a_stateful_loader_is_resumed(
    expected: tuple[torch.Tensor, torch.Tensor], workers: int, read: int, batched: bool
) -> None:
    loader = loader_of(clothes(batched=batched), workers, StatefulDataLoader)
    batches = []
    for batch in loader if read else ():
        batches.append(batch)
        if len(batches) == read:
            break
    state = loader.state_dict()
    again = loader_of(clothes(batched=batched), workers, StatefulDataLoader)
    again.load_state_dict(state)
    batches += list(again)
    assert equal(join(batches), expected)
    assert len(list(again)) == 14, "the next epoch has all images"


def test_a_state_within_a_block(expected: tuple[torch.Tensor, torch.Tensor]) -> None:
    """The loader's batch size is another one than that of the engine."""
    loader = StatefulDataLoader(clothes(), batch_size=5)
    batches = []
    for batch in loader:
        batches.append(batch)
        if len(batches) == 7:
            break
    again = StatefulDataLoader(clothes(), batch_size=5)
    again.load_state_dict(loader.state_dict())
    assert equal(join([*batches, *again]), expected)


@pytest.mark.parametrize("workers", [0, 3])
@pytest.mark.parametrize("skipped", [4, 13, 14])
def test_skip_in_a_plain_loader(
    expected: tuple[torch.Tensor, torch.Tensor], workers: int, skipped: int
) -> None:
    """Batches that were read before the end of a process are left out by any number of workers."""
    for batched in (True, False):
        data = clothes(batched=batched)
        data.skip(skipped if batched else skipped * BATCH)
        rest = list(loader_of(data, workers))
        assert len(rest) == 14 - skipped
        if rest:
            assert equal(join(rest), tuple(part[skipped * BATCH :] for part in expected))


def test_skip_within_a_batch(expected: tuple[torch.Tensor, torch.Tensor]) -> None:
    data = clothes()
    data.skip(BATCH + 3)
    images, labels = zip(*data, strict=True)
    assert torch.equal(torch.stack(images), expected[0][BATCH + 3 :])
    assert len(list(data)) == COUNT, "the next epoch has all images"


def test_a_state_of_something_else() -> None:
    state = clothes().state_dict()
    clothes().load_state_dict(state)
    for name, other in (("seed", 6), ("batch", 4), ("first", 0)):
        with pytest.raises(ConfigError, match=f"images with another {name}"):
            clothes(**{name: other}).load_state_dict(state)
    with pytest.raises(ConfigError, match="another rank"):
        clothes(rank=1, ranks=2).load_state_dict(clothes(rank=0, ranks=2).state_dict())
    data = clothes()
    data.load_state_dict({**state, "worker": 1, "workers": 2})
    with pytest.raises(ConfigError, match="of worker 1 of 2, expected 0 of 1"):
        iter(data)


def test_floats_labels_and_an_engine_without_classes() -> None:
    data = GeneratedImages("vae-faces", 5, batch=2, dtype=torch.float32)
    images = torch.stack(list(data))
    with Generator(engine_path("vae-faces.onnx"), instances=1) as generator:
        whole = torch.from_numpy(generator.sample(5).transpose(0, 3, 1, 2) / 255.0)
    assert images.shape == (5, 3, *whole.shape[2:]) and images.dtype == torch.float32
    assert torch.allclose(images, whole.float(), atol=1e-7)
    labels = [label.item() for _, label in clothes(n=5, first=0, labels="Bag,3")]
    assert labels == [8, 3, 8, 3, 8]


def test_without_end() -> None:
    data = clothes(n=None, first=2**64 - 11)
    with pytest.raises(TypeError):
        len(data)
    assert [int(label) for _, label in data] == [(2**64 - 11 + i) % 10 for i in range(11)]
    loader = loader_of(clothes(n=None, batched=True), 2)
    batches = iter(loader)
    assert [len(next(batches)[0]) for _ in range(30)] == [BATCH] * 30


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"n": 0}, ConfigError, "n: expected an integer from 1"),
        ({"n": 2**64}, ConfigError, "n: expected"),
        ({"first": -1}, ConfigError, "first: expected"),
        ({"batch": 0}, ConfigError, "batch: expected at least 1, got 0"),
        ({"rank": 1}, ConfigError, "rank and ranks: expected both or neither"),
        ({"rank": 2, "ranks": 2}, ConfigError, "rank: expected an integer from 0 to 1, got 2"),
        ({"dtype": torch.int32}, ConfigError, "dtype: expected torch.uint8 or a floating-point"),
        ({"labels": ["Hat"]}, ArgumentError, "labels: expected a class"),
        ({"seed": -1}, ArgumentError, "seed"),
        ({"prior": "mixture"}, ConfigError, "no learned prior"),
        ({"truncation": 0.5}, ArgumentError, "truncation"),
    ],
)
def test_bad_arguments(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        clothes(**options)


def test_no_engine() -> None:
    with pytest.raises(EngineNotFoundError, match="'cgann'"):
        GeneratedImages("cgann", 1)
