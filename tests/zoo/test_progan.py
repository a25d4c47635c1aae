"""ProGAN, and StyleGAN where they share code: growing, folding, training and resuming."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from adversarial_trainers import assert_resumes
from growing import SIZES, growths, make, rows
from recipes import shipped
from trainers import make_trainer
from updates import Updates
from zoo import data
from zoo.data import DataSet
from zoo.errors import ConfigError
from zoo.models import registry
from zoo.models.folding import fold
from zoo.models.growth import Growth, match_resolution
from zoo.models.progan import ProGANConfig
from zoo.models.style_layers import PlainPixelNorm
from zoo.training.loop import Trainer
from zoo.training.recipe import Recipe
from zoo.training.task import Batch, make_task

NAMES = ("progan", "stylegan")


@pytest.mark.parametrize(
    ("seen", "stage"),
    [
        (0, (0, 1.0)),
        (99, (0, 1.0)),
        (100, (1, 0.0)),
        (125, (1, 0.5)),
        (149, (1, 0.98)),
        (150, (1, 1.0)),
        (349, (1, 1.0)),
        (350, (2, 0.0)),
        (429, (2, 79 / 80)),
        (430, (2, 1.0)),
        (10**12, (2, 1.0)),
    ],
)
def test_schedule(seen: int, stage: tuple[int, float]) -> None:
    growth = Growth((100, 200), (50, 80))
    growth.seen += seen
    assert growth.stage() == pytest.approx(stage)
    assert growth.side() == 4 * 2 ** stage[0]
    assert growth.total == 430


def test_no_schedule_is_the_whole_network_from_the_first() -> None:
    config = ProGANConfig(**SIZES | {"stable_images": 0, "fade_images": (0,)})
    assert config.stable_images == config.fade_images == (0, 0)
    assert config.growth().stage() == (2, 1.0)


def images_at(model: Any, seen: int) -> Tensor:
    """Return images of fixed latents, with fixed noise."""
    for growth in growths(model):
        growth.seen.fill_(seen)
    torch.manual_seed(5)
    with torch.no_grad():
        images: Tensor = model.generator(rows(4, 8))
    return images


@pytest.mark.parametrize("name", NAMES)
def test_fade_in_is_continuous(name: str) -> None:
    model = make(name)
    at = [images_at(model, seen) for seen in (0, 99, 100, 125, 150, 349, 350, 390, 430, 431)]
    assert all(images.shape == (4, 3, 16, 16) for images in at)
    for step, side in ((0, 4), (5, 8)):
        small = at[step].reshape(4, 3, side, 16 // side, side, 16 // side)
        assert torch.equal(small, small[..., :1, :, :1].expand_as(small))
    same = {"rtol": 1e-12, "atol": 1e-12}
    torch.testing.assert_close(at[2], at[1], **same)  # α = 0: the old image, enlarged
    torch.testing.assert_close(at[6], at[5], **same)
    torch.testing.assert_close(at[3], (at[2] + at[4]) / 2, **same)
    torch.testing.assert_close(at[7], (at[6] + at[8]) / 2, **same)
    torch.testing.assert_close(at[8], at[9], **same)  # α = 1: the new one
    assert not torch.allclose(at[4], at[2]) and not torch.allclose(at[8], at[6])


def test_discriminator_fades_in() -> None:
    """At α = 0 the logits are those of the reduced images; at α = 1 the old path is unused."""
    model = make("progan", 350)
    images = rows(4, 3, 16, 16)
    faded = model.discriminator(images)
    for growth in growths(model):
        growth.seen.fill_(349)
    torch.testing.assert_close(model.discriminator(F.avg_pool2d(images, 2)), faded)
    torch.testing.assert_close(model.discriminator(images), faded)  # reduced by itself
    for growth in growths(model):
        growth.seen.fill_(390)
    halfway = model.discriminator(images)
    with torch.no_grad():
        model.discriminator.from_rgb[1][0].bias += 1
    assert not torch.allclose(model.discriminator(images), halfway)
    for growth in growths(model):
        growth.seen.fill_(430)
    whole = model.discriminator(images)
    with torch.no_grad():
        model.discriminator.from_rgb[1][0].bias += 1
    torch.testing.assert_close(model.discriminator(images), whole)


def test_real_images_are_as_coarse_as_the_fakes() -> None:
    growth = Growth((100, 200), (50, 80))
    images = rows(2, 3, 16, 16)
    small = images.numpy().reshape(2, 3, 8, 2, 8, 2).mean((3, 5))
    smallest = images.numpy().reshape(2, 3, 4, 4, 4, 4).mean((3, 5))
    np.testing.assert_allclose(match_resolution(images, growth).numpy(), smallest)
    growth.seen.fill_(125)
    expected = (smallest.repeat(2, 2).repeat(2, 3) + small) / 2
    np.testing.assert_allclose(match_resolution(images, growth).numpy(), expected)
    growth.seen.fill_(200)
    np.testing.assert_allclose(match_resolution(images, growth).numpy(), small)
    growth.seen.fill_(430)
    assert torch.equal(match_resolution(images, growth), images)


def test_folded_generator_is_the_same_function() -> None:
    model = make("progan", 430)
    plain = fold(model.generator)
    z = rows(16, 8)
    torch.testing.assert_close(plain(z), model.generator(z), rtol=1e-9, atol=1e-12)
    kinds = {type(module) for module in plain.modules()} - {type(plain), nn.Sequential}
    assert kinds == {
        nn.Linear,
        nn.Conv2d,
        nn.ConvTranspose2d,
        nn.LeakyReLU,
        nn.Unflatten,
        PlainPixelNorm,
    }
    with torch.no_grad():
        model.generator.to_rgb[0].bias.fill_(torch.nan)
    assert torch.isfinite(plain(z)).all(), "paths of lower resolutions are gone"


@pytest.mark.parametrize("name", NAMES)
def test_folded_structure_follows_from_the_config(name: str) -> None:
    fresh, grown = make(name).generator, make(name, 430).generator
    assert fold(fresh).state_dict().keys() == fold(grown).state_dict().keys()
    half = make(name, 200).generator
    with pytest.raises(ConfigError, match="still growing: seen = 200 images, expected the 430"):
        fold(half)


@pytest.fixture(scope="module")
def drawn() -> DataSet:
    return data.load("faces")


@pytest.fixture(scope="module")
def faces(drawn: DataSet) -> Tensor:
    """32 drawn faces reduced to 16×16, uint8."""
    images = drawn.train.images[:32].astype(np.float32)
    small = images.reshape(32, 16, 4, 16, 4, 3).mean((2, 4))
    return torch.from_numpy(small.round().astype(np.uint8))


GAMES: dict[str, dict[str, Any]] = {
    "r1": {"r1": 1.0, "r1_every": 2},
    "paper": {"loss": "wasserstein", "gradient_penalty": 10.0, "drift": 0.001},
}


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("name", NAMES)
def test_steps_at_every_resolution(name: str, game: str, faces: Tensor) -> None:
    sizes = SIZES | {"stable_images": (64, 64), "fade_images": (64, 64)}
    torch.manual_seed(0)
    entry = registry.get(name)
    model: Any = entry.make(sizes).train()
    recipe = Recipe(batch_size=32, adversarial={"beta1": 0.0, **GAMES[game]})
    task = make_task(entry, recipe)
    update = Updates(task.optimizers(model, recipe), half=True)
    sides = []
    for step in range(10):
        before = {key: value.clone() for key, value in model.state_dict().items()}
        update.step = step
        level, alpha = model.discriminator.growth.stage()
        terms = task.step(model, Batch(faces), update)
        assert all(np.isfinite(float(value.detach())) for value in terms.values())
        sides.append(int(terms["resolution"]))
        changed = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
        for network in ("generator", "discriminator"):
            assert any(key.startswith(network) and "seen" not in key for key in changed)
        rgb = {int(key.split(".")[-2]) for key in changed if "to_rgb" in key}
        assert max(rgb) == (level if alpha else level - 1)
    assert sides == [4, 4, 8, 8, 8, 8, 16, 16, 16, 16]
    assert [int(growth.seen) for growth in growths(model)] == [320, 320]


@pytest.mark.parametrize("name", NAMES)
def test_resume_is_exact_while_growing(name: str, toy: DataSet, tmp_path: Path) -> None:
    sizes = {
        "image_size": 8,
        "channels": 1,
        "latent": 4,
        "widths": (8, 8),
        "discriminator_widths": (8, 8),
        "stable_images": 128,
        "fade_images": 128,
    }
    recipe = Recipe(
        data="toy",
        epochs=3,
        batch_size=32,
        ema_decay=0.9,
        adversarial={"fid_images": 0, "r1": 1.0, "r1_every": 2},
    )

    def make(out: Path) -> Trainer:
        return make_trainer(name, sizes, toy, recipe, out)

    out = assert_resumes(make, tmp_path, steps=6)  # in the middle of a fade
    state = load_file(out / "last" / "state.safetensors")
    assert {int(v) for key, v in state.items() if key.endswith("growth.seen")} == {15 * 32}


def test_all_processes_count(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make("progan")
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 4)
    task: Any = make_task(registry.get("progan"))
    task.after_step(model, Batch(torch.zeros(8)))
    assert [int(growth.seen) for growth in growths(model)] == [32, 32]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 24}, "image_size must be a power of 2 of at least 4, got 24"),
        ({"image_size": 2}, "image_size must be a power of 2 of at least 4, got 2"),
        ({"image_size": 32}, "widths must be 4 integers for images of side 32, got 3"),
        ({"widths": (8, 0, 8)}, "widths must be 1 or more positive integers"),
        ({"discriminator_widths": (8, 8)}, "discriminator_widths must be 3 integers"),
        ({"stable_images": (1, 2, 3)}, "stable_images must be 1 or 2 integers, got 3"),
        ({"fade_images": -1}, "fade_images must be integers of at least 0, got"),
        ({"fade_images": 0.5}, "fade_images must be integers of at least 0, got"),
        ({"stable_images": (True, 2)}, "stable_images must be integers of at least 0, got"),
    ],
)
def test_bad_configs(options: dict[str, Any], message: str) -> None:
    for name in NAMES:
        with pytest.raises(ConfigError, match=message):
            registry.get(name).make(SIZES | options)


@pytest.mark.parametrize("name", NAMES)
def test_recipe_grows_to_the_end(name: str, drawn: DataSet) -> None:
    recipe, options = shipped(name)
    config: Any = registry.get(name).make(options).config
    epoch = recipe.epoch_images or len(drawn.train)
    images = recipe.epochs * (epoch // recipe.batch_size) * recipe.batch_size
    assert recipe.data.split(":")[0] == drawn.name and config.growth().total < 0.8 * images
    # A network that judges projected features has nothing to grow.
    grows = recipe.adversarial.get("discriminator") != "projected"
    assert (config.growth().total > 0) == grows
