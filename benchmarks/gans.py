"""Studies of GANs: quality against published ones for the same training time; failures.

    python -m benchmarks.gans dcgan --threads 1
    python -m benchmarks.gans collapse --epochs 10
    python -m benchmarks.gans overfitting

The last two are in `benchmarks.gan_failures`. `dcgan` compares our DCGAN with published ones on the
same images.

Each trains for as many seconds of CPU time as ours, on one machine and with the same number of
threads, so that a busy machine favours none. Each gets Fashion-MNIST padded to 32×32. The same
feature network judges 10,000 uint8 samples of each, next to the floor: real training images against
real test images. torch-mimicry is included if it is installed (`pip install --no-deps
torch-mimicry`): its networks and their own training steps, with the settings of its published
baselines (Adam 2e-4, β 0.0 and 0.9, batches of 64), without its loggers and metrics, which need
torchvision.
"""

# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import importlib.util
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import published_dcgan, studies
from benchmarks.gan_failures import collapse, overfitting
from zoo import data as sets
from zoo.evaluation.quick import QuickFid
from zoo.host import keep_freed_memory, setup_threads
from zoo.models import registry
from zoo.training.adversarial import AdversarialTask
from zoo.training.loop import Trainer
from zoo.training.recipe import FOLDER, load_recipe
from zoo.training.task import make_task

SAMPLES = 10_000


def batches(images: np.ndarray, size: int, channels: int) -> Iterator[Tensor]:
    """Yield shuffled batches [size, channels, S, S] in [-1, 1] forever."""
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2)
    while True:
        for rows in torch.randperm(len(pixels)).split(size):
            if len(rows) == size:
                yield (pixels[rows].float() / 127.5 - 1).expand(-1, channels, -1, -1)


@torch.no_grad()
def draw(generator: nn.Module, width: int) -> np.ndarray:
    """Return samples of a network with output in [-1, 1] as grey uint8 images [n, H, W, 1]."""
    noise = torch.Generator().manual_seed(0)
    parts = [
        generator(torch.randn(200, width, generator=noise)).mean(1, keepdim=True)
        for _ in range(SAMPLES // 200)
    ]
    levels = ((torch.cat(parts) + 1) * 127.5 + 0.5).floor().clamp(0, 255).to(torch.uint8)
    return levels.permute(0, 2, 3, 1).numpy()


def ours(name: str, loaded: sets.DataSet, epochs: int | None) -> tuple[np.ndarray, dict[str, Any]]:
    """Train by the recipe; return samples of the averaged weights, which are the shipped ones."""
    overrides: dict[str, Any] = {"adversarial": {"fid_images": 0}}
    if epochs:
        overrides["epochs"] = epochs
    recipe = load_recipe(FOLDER / f"{name}.toml", overrides)
    entry = registry.get(name)
    torch.manual_seed(recipe.seed)
    shape = {"image_size": loaded.image_size, "channels": loaded.channels}
    model, task = entry.make({**recipe.model, **shape}), make_task(entry, recipe)
    assert isinstance(task, AdversarialTask)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        run = Trainer(name, model, task, loaded, recipe, out, cpu=True, quiet=True)
        started = time.process_time()
        run.run()
        seconds = time.process_time() - started
        images = task.draw(run.average.eval(), SAMPLES, 0)
    return images, {"seconds": seconds, "updates": run.progress.step, "recipe": name}


def published(loaded: sets.DataSet, seconds: float) -> tuple[np.ndarray, dict[str, Any]]:
    """Train the DCGAN of PyTorch-GAN; return samples."""
    torch.manual_seed(0)
    feed = batches(loaded.train.images, published_dcgan.BATCH, 1)
    generator, updates = published_dcgan.train(feed, loaded.image_size, 1, seconds)
    return draw(generator, published_dcgan.LATENT), {"seconds": seconds, "updates": updates}


def mimicry(loaded: sets.DataSet, seconds: float) -> tuple[np.ndarray, dict[str, Any]]:
    """Train the DCGAN of torch-mimicry by its own steps; return samples. Raises ImportError."""
    spec = importlib.util.find_spec("torch_mimicry")
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError("torch-mimicry is not installed")
    # Its __init__ imports torchvision, so make the package without running it.
    package = ModuleType("torch_mimicry")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["torch_mimicry"] = package
    from torch_mimicry.nets.dcgan import DCGANDiscriminator32, DCGANGenerator32

    class Log:
        """Logger that discards the metrics of the training steps."""

        def add_metric(self, *arguments: object, **options: object) -> None:
            """Discard a metric."""

    torch.manual_seed(0)
    generator, judge = DCGANGenerator32(), DCGANDiscriminator32()
    optimizers = [
        torch.optim.Adam(network.parameters(), 2e-4, (0.0, 0.9)) for network in (generator, judge)
    ]
    feed = batches(loaded.train.images, 64, 3)
    started, updates, cpu = time.process_time(), 0, torch.device("cpu")
    while time.process_time() - started < seconds:
        real = (next(feed), None)
        judge.train_step(real, generator, optimizers[1], Log(), device=cpu, global_step=updates)
        generator.train_step(real, judge, optimizers[0], Log(), device=cpu, global_step=updates)
        updates += 1
    return draw(generator.eval(), 128), {"seconds": seconds, "updates": updates}


def dcgan(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the Fréchet distances of all contenders, the floor, and the name of the network."""
    loaded = sets.load("fashion-mnist", size=32)
    judge = QuickFid(loaded, SAMPLES)
    result: dict[str, Any] = {"network": judge.network.name, "samples": SAMPLES}
    result["floor"] = judge.measure(loaded.train.images[:SAMPLES])["fid"]
    images, about = ours("dcgan", loaded, settings["epochs"])
    contenders: dict[str, Callable[[sets.DataSet, float], tuple[np.ndarray, dict[str, Any]]]] = {
        "PyTorch-GAN": published,
        "torch-mimicry": mimicry,
    }
    result["ours"] = about | judge.measure(images)
    click.echo(f"ours: {result['ours']}")
    for name, contender in contenders.items():
        try:
            images, details = contender(loaded, about["seconds"])
        except ImportError as error:
            result[name] = {"did not run": str(error)}
            continue
        result[name] = details | judge.measure(images)
        click.echo(f"{name}: {result[name]}")
    return result


STUDIES = {"dcgan": dcgan, "collapse": collapse, "overfitting": overfitting}


@click.command()
@click.argument("names", nargs=-1, required=True, type=click.Choice(list(STUDIES)))
@click.option("--epochs", type=int, help="Epochs of our models [default: from the recipe].")
@click.option("--threads", type=int, default=1, show_default=True)
def main(names: tuple[str, ...], epochs: int | None, threads: int) -> None:
    """Run the studies NAMES and write benchmarks/results/gans-NAME.json."""
    keep_freed_memory()
    setup_threads(threads)
    settings = {"epochs": epochs, "threads": threads}
    studies.run("gans", STUDIES, names, settings, **settings)


if __name__ == "__main__":
    main()
