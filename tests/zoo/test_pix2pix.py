"""pix2pix: its noise, its losses, and a few training steps on real pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from runtime.noise import normals
from updates import Updates, step_once
from zoo import train
from zoo.data import DataSet, Split, faces
from zoo.data.pairs import make_pairs
from zoo.errors import ConfigError
from zoo.models import registry
from zoo.models.generators import NoiseSource, torch_noise
from zoo.models.pix2pix import Pix2Pix, Pix2PixConfig, dropout, l1_loss
from zoo.training.pairs import PairTask
from zoo.training.recipe import Recipe
from zoo.training.task import Batch

SEED = 11


def small(**options: Any) -> Pix2Pix:
    torch.manual_seed(0)
    sizes = {"image_size": 32, "widths": (8, 12, 16, 16), "discriminator_widths": (8, 16)}
    return Pix2Pix(Pix2PixConfig(**{"task": "colour", **sizes, **options}))


def noise_of(first: int, count: int, seed: int = SEED) -> NoiseSource:
    """Return the contract's noise for images first … first + count - 1."""
    return lambda stream, width: torch.from_numpy(normals(seed, first, count, width, stream))


@pytest.fixture(scope="module")
def colours() -> DataSet:
    """300 grey drawn faces of 32×32 to colour, and 60 to evaluate."""
    images, _ = faces.make(0, 360, size=32)
    return make_pairs(DataSet("faces", Split(images[:300]), Split(images[300:])), "colour")


def batch_of(split: Split, rows: slice) -> Batch:
    assert split.inputs is not None
    images, inputs = torch.from_numpy(split.images[rows]), torch.from_numpy(split.inputs[rows])
    return Batch(images, inputs=inputs)


@pytest.mark.parametrize(("channels", "inputs", "size"), [(3, 1, 32), (1, 3, 16), (3, 3, 32)])
def test_shapes_and_range(channels: int, inputs: int, size: int) -> None:
    model = small(task="pairs", channels=channels, input_channels=inputs, image_size=size)
    given = torch.rand(2, inputs, size, size)
    made = model.translate(given, torch_noise(given))
    assert made.shape == (2, channels, size, size)
    assert 0 <= made.min() and made.max() <= 1
    assert model.discriminator(given, made).shape[:2] == (2, 1)


def test_dropout_is_the_sign_of_the_noise() -> None:
    x = torch.randn(3, 4, 5, 5)
    kept = dropout(x, 2, noise_of(7, 3)).numpy()
    drawn = normals(SEED, 7, 3, 100, 2).reshape(3, 4, 5, 5)
    assert np.array_equal(kept, np.where(drawn > 0, 2 * x.numpy(), 0))
    assert 0.4 < (kept == 0).mean() < 0.6
    # A half is kept and doubled: the mean of many draws is the whole.
    many = torch.stack([dropout(x, 2, noise_of(3 * k, 3)) for k in range(400)]).mean(0)
    assert float((many - x).abs().max()) < 5 * float(x.abs().max()) / 20


def test_streams_and_widths_of_the_noise() -> None:
    model = small()
    asked: list[tuple[int, int]] = []

    def noise(stream: int, width: int) -> torch.Tensor:
        asked.append((stream, width))
        return torch.zeros(2, width)

    model.translate(torch.rand(2, 1, 32, 32), noise)
    # The maps after the bottleneck: 16×4×4, 12×8×8 and 8×16×16.
    assert asked == [(1, 256), (2, 768), (3, 2048)]
    assert model.noise_widths == (256, 768, 2048)
    assert small(widths=(8, 12, 16, 16, 16)).noise_widths == (16 * 4, 16 * 16, 12 * 64)
    assert small(widths=(8, 12)).noise_widths == (8 * 16 * 16,)


def test_an_image_depends_on_its_own_noise_only() -> None:
    model = small()
    given = torch.rand(6, 1, 32, 32)
    with torch.no_grad():
        together = model.translate(given, noise_of(100, 6))
        alone = torch.cat(
            [model.translate(given[i : i + 1], noise_of(100 + i, 1)) for i in range(6)]
        )
        again = model.eval().translate(given, noise_of(100, 6))
        other = model.translate(given, noise_of(100, 6, seed=SEED + 1))
        moved = model.translate(given, noise_of(101, 6))
    assert torch.equal(together, again), "training and evaluation are the same"
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    for changed in (other, moved):
        assert float((changed - together).abs().max()) > 1e-3


def test_the_discriminator_sees_the_input() -> None:
    model = small()
    images, inputs = torch.rand(2, 3, 32, 32), torch.rand(2, 1, 32, 32)
    scores = model.discriminator(inputs, images)
    assert not torch.allclose(scores, model.discriminator(1 - inputs, images), atol=1e-6)
    # Patches: what is in one corner does not reach the other.
    images[:, :, :8, :8] = 0
    changed = (model.discriminator(inputs, images) - scores).abs()[0, 0]
    assert changed[0, 0] > 0 and changed.shape[0] > 10


def test_losses_against_numpy(colours: DataSet) -> None:
    model, task = small(l1=30.0), PairTask()
    batch = batch_of(colours.train, slice(0, 8))
    assert colours.train.inputs is not None
    truth = colours.train.images[:8].transpose(0, 3, 1, 2) / 255
    made = task.fake(model, batch)
    pixels = made.detach().double().numpy()
    expected = 30 * np.abs((2 * pixels - 1) - (2 * truth - 1)).mean()
    assert float(l1_loss(made, batch.images).detach()) == pytest.approx(expected / 30, rel=1e-5)

    torch.manual_seed(3)
    task.fake(model, batch)  # The discriminator's turn draws first.
    made = task.fake(model, batch)
    score = task.score(model, made, batch).detach().double().numpy()
    difference = np.abs(made.detach().double().numpy() - truth).mean()
    torch.manual_seed(3)
    update = Updates()
    terms = task.step(model, batch, update)
    adversarial = np.logaddexp(0, -score).mean()
    assert float(terms["l1"].detach()) == pytest.approx(60 * difference, rel=1e-5)
    assert update.losses[1] == pytest.approx(adversarial + 60 * difference, rel=1e-5)


def test_evaluation_against_numpy(colours: DataSet) -> None:
    model, task = small(), PairTask(Recipe(adversarial={"fid_images": 0}))
    measured = task.evaluate(model, colours)
    assert colours.validation.inputs is not None
    given = torch.from_numpy(colours.validation.inputs.transpose(0, 3, 1, 2) / np.float32(255))
    with torch.no_grad():
        made = model.translate(given, torch_noise(given, torch.Generator().manual_seed(1)))
    levels = np.floor(made.numpy().transpose(0, 2, 3, 1) * 255 + 0.5)
    difference = levels - colours.validation.images
    assert measured["validation_l1"] == pytest.approx(np.abs(difference).mean(), abs=0.01)
    mse = np.square(difference / 255).mean()
    assert measured["validation_psnr"] == pytest.approx(-10 * np.log10(mse), abs=0.01)
    blind = (colours.train.images.astype(float).mean(0) - colours.validation.images) / 255
    gain = 10 * np.log10(np.square(blind).mean() / mse)
    assert measured["validation_gain"] == pytest.approx(gain, abs=0.01)


def test_data_without_pairs(colours: DataSet) -> None:
    single = replace(colours, validation=Split(colours.validation.images))
    with pytest.raises(
        ConfigError, match="needs a data set of pairs: A_FOLDER:B_FOLDER or pairs:FOLDER"
    ):
        PairTask().evaluate(small(), single)
    with pytest.raises(ConfigError, match="a data set of pairs"):
        PairTask().step(small(), Batch(torch.zeros(2, 32, 32, 3)), Updates())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "facades"}, "task must be 'edges' or 'colour' or 'pairs', got 'facades'"),
        ({"task": "pairs", "direction": "AB"}, "direction must be 'AtoB' or 'BtoA', got 'AB'"),
        ({"task": "edges", "direction": "BtoA"}, "direction must be AtoB for the task edges"),
        ({"task": "colour", "channels": 1}, "channels must be 3 for the task colour, got 1"),
        ({"task": "edges", "input_channels": 2}, "input_channels must be 1 for the task edges"),
        ({"image_size": 60}, "multiple of 32 for 5 widths, got 60"),
        ({"widths": (8,)}, "widths must be 2 or more"),
        ({"discriminator_widths": ()}, "discriminator_widths must be 1 or more"),
        ({"l1": -1.0}, "l1 must be 0 or more, got -1"),
        ({"depth": 4}, "has no option 'depth'"),
    ],
)
def test_bad_config(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        registry.get("pix2pix-edges").make(options)


def test_training_command_on_own_pairs(tmp_path: Path) -> None:
    images, _ = faces.make(0, 20, size=32)
    for folder in ("photos", "maps"):
        (tmp_path / folder).mkdir()
    for index, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / "photos" / f"{index}.png")
        Image.fromarray(image[..., 0]).save(tmp_path / "maps" / f"{index}.png")
    pairs = f"{tmp_path / 'photos'}:{tmp_path / 'maps'}"

    def dry_run(*settings: str) -> Any:
        chosen = [word for setting in settings for word in ("--set", setting)]
        arguments = ["pix2pix-edges", "--data", pairs, "--batch-size", "4", "--cpu", "--dry-run"]
        return CliRunner().invoke(train.main, [*arguments, *chosen])

    done = dry_run("task=pairs")
    assert done.exit_code == 0, done.output
    assert "32×32×1" in done.output and "l1 " in done.output
    done = dry_run("task=pairs", "direction=BtoA")
    assert done.exit_code == 0 and "32×32×3" in done.output
    done = dry_run()
    assert done.exit_code == 2
    assert "photos-maps holds pairs, but the task edges computes its inputs" in done.output


def test_projected_discriminator_sees_the_inputs(colours: DataSet) -> None:
    """Other inputs change the verdicts of the pixel heads only."""
    model: Any = small()
    options = {"discriminator": "projected", "loss": "pairs", "fid_images": 0}
    task = PairTask(Recipe(adversarial=options))
    task.equip(model)
    task.prepare(model, colours, Recipe())
    batch = batch_of(colours.train, slice(0, 8))
    assert batch.inputs is not None
    other = Batch(batch.levels, inputs=255 - batch.inputs)
    verdicts = []
    for one in (batch, other):
        judged = task.projected_input(model, one.images, one)
        verdicts.append(model.projected.judge(judged.features(model.projected)))
    same = [torch.equal(*pair) for pair in zip(*verdicts, strict=True)]
    assert same == [not pixels for pixels in model.projected.sees_pixels()]
    terms, changed = step_once(task, model, batch)
    assert "l1" in terms
    assert {name.split(".")[0] for name in changed} == {"generator", "projected"}
