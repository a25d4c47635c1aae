"""The projected discriminator: its frozen network, its heads, its game, and whole runs."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from adversarial_trainers import SIZES, Counting, assert_resumes, trainer
from export import checkpoint
from zoo.data import DataSet, Split
from zoo.errors import ConfigError
from zoo.evaluation import efficientnet
from zoo.models import registry
from zoo.training.adversarial import AdversarialTask
from zoo.training.adversarial_options import make_options
from zoo.training.games import GAMES, level_term
from zoo.training.projected import ProjectedDiscriminator
from zoo.training.projected.game import ProjectedInput, _Examples, _penalty, _update_generator
from zoo.training.projected.heads import ColourHead, Head, Logits, PatchHead
from zoo.training.projected.network import CHANNELS, TAPS, FrozenNetwork, RandomMixing
from zoo.training.recipe import Recipe
from zoo.training.task import Batch

OPTIONS: dict[str, Any] = {
    "discriminator": "projected",
    "loss": "pairs",
    "level": 0.01,
    "r1": 1e-3,
    "r2": 1e-3,
    "r1_every": 2,
    "beta1": 0.0,
    "beta2": 0.99,
    "fid_images": 0,
}


@pytest.fixture(scope="module")
def discriminator() -> ProjectedDiscriminator:
    torch.manual_seed(0)
    return ProjectedDiscriminator(64, 3)


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(
        data="toy",
        epochs=2,
        batch_size=32,
        learning_rate=2e-3,
        schedule="constant",
        ema_decay=0.9,
        adversarial=OPTIONS,
    )


# The frozen network


@pytest.mark.parametrize("channels", [1, 3])
def test_maps_are_those_of_the_whole_network(channels: int) -> None:
    """Compared with hooks in the network that measures features."""
    levels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, channels)).astype(np.uint8)
    network = efficientnet.load(64)
    seen: dict[int, Tensor] = {}
    for tap in TAPS:
        network._network._blocks[tap].register_forward_hook(
            lambda module, given, made, tap=tap: seen.__setitem__(tap, made.clone())
        )
    network(levels)
    images = torch.from_numpy(levels).permute(0, 3, 1, 2).float() / 255
    maps = FrozenNetwork(64, torch.float32)(images)
    assert [tuple(x.shape[1:]) for x in maps] == [
        (width, 32 >> index, 32 >> index) for index, width in enumerate(CHANNELS)
    ]
    for x, tap in zip(maps, TAPS, strict=True):
        torch.testing.assert_close(x, seen[tap], rtol=1e-4, atol=1e-4)


def test_frozen_network_is_in_no_checkpoint_and_shared_by_copies(
    discriminator: ProjectedDiscriminator,
) -> None:
    assert not any("network" in name for name in discriminator.state_dict())
    assert not list(discriminator.network.parameters())
    assert copy.deepcopy(discriminator).network is discriminator.network
    discriminator.train()
    assert not any(module.training for module in discriminator.network.modules())


def test_features_teach_the_image(discriminator: ProjectedDiscriminator) -> None:
    images = torch.rand(2, 3, 64, 64, requires_grad=True)
    discriminator(images).sum().backward()
    assert images.grad is not None and bool((images.grad != 0).any((1, 2, 3)).all())


# The random projections


def test_mixing_is_products_of_channels_and_of_scales() -> None:
    torch.manual_seed(0)
    mixing = RandomMixing((3, 5), (4, 6)).double()
    fine, coarse = torch.randn(2, 3, 8, 8).double(), torch.randn(2, 5, 4, 4).double()
    mixing.calibrate([fine, coarse])
    state = {
        name: value[..., 0, 0] if value.ndim == 4 else value
        for name, value in mixing.state_dict().items()
    }
    narrow = [
        torch.einsum("oc,nchw->nohw", state[f"channels{i}"], x) + state[f"bias{i}"][:, None, None]
        for i, x in enumerate((fine, coarse))
    ]
    for x in narrow:
        assert float(x.mean()) == pytest.approx(0, abs=1e-6)
        assert float(x.std()) == pytest.approx(1, rel=1e-6)
    up = F.interpolate(
        torch.einsum("oc,nchw->nohw", state["scales0"], narrow[1]), size=8, mode="bilinear"
    )
    made = mixing([fine, coarse])
    torch.testing.assert_close(made[1], narrow[1])
    torch.testing.assert_close(made[0], (narrow[0] + up) / 2**0.5)


# The heads


@pytest.mark.parametrize(("size", "channels", "side"), [(8, 1, 64), (28, 1, 64), (96, 3, 96)])
def test_logits_of_every_size(size: int, channels: int, side: int) -> None:
    torch.manual_seed(0)
    made = ProjectedDiscriminator(size, channels, condition=3, inputs=1)
    images, inputs = torch.rand(4, channels, size, size), torch.rand(4, 1, size, size)
    maps = made.features(images, inputs)
    assert [x.shape[-1] for x in maps] == [side >> i for i in (1, 2, 3, 4)] + [side, side]
    verdicts = made.judge(maps, torch.randn(4, 3))
    assert all(len(verdict) == 4 and verdict.ndim == 2 for verdict in verdicts)
    mean = torch.stack([verdict.mean(1) for verdict in verdicts]).mean(0)
    condition = torch.randn(4, 3)
    scores = made(images, condition, inputs)
    assert scores.shape == mean.shape == (4,)
    for other in (made(images, condition.flip(0), inputs), made(images, condition, inputs.flip(0))):
        assert bool((other != scores).all()), "conditions and inputs are judged with the images"


def test_heads_see_what_they_say() -> None:
    torch.manual_seed(0)
    images = torch.rand(1, 3, 64, 64, requires_grad=True)
    logits = PatchHead(3)(images)
    assert logits.shape == (1, 36)
    logits[0, 14].backward()
    assert images.grad is not None
    seen = (images.grad[0] != 0).any(0)
    assert int(seen.any(0).sum()) == int(seen.any(1).sum()) == 38
    # The head of colours knows means of 4×4 pixels only.
    colours = ColourHead(3)
    other = images.detach().unflatten(2, (16, 4)).flip(3).flatten(2, 3)
    torch.testing.assert_close(colours(images), colours(other))
    assert Head(5, 16, 8)(torch.rand(2, 5, 16, 16)).shape == (2, 4)


def test_condition_is_a_product_with_the_maps() -> None:
    torch.manual_seed(0)
    layer = Logits(6, 3, condition=2).double()
    x, condition = torch.randn(2, 6, 4, 4).double(), torch.randn(2, 2).double()
    assert layer.embedding is not None
    embedded = layer.embedding(condition).detach().numpy()
    plain = F.conv2d(x, layer.weight * layer.scale).detach().numpy()
    product = (x.numpy() * embedded[:, :, None, None]).sum(1) / 6**0.5
    for row in range(2):
        for column in range(2):
            corner = product[:, row : row + 3, column : column + 3].mean((1, 2))
            expected = plain[:, 0, row, column] + corner
            made = layer(x, condition)[:, 2 * row + column]
            np.testing.assert_allclose(made.detach().numpy(), expected, rtol=1e-9)


# The game


def test_pairs_against_numpy() -> None:
    random = np.random.default_rng(0)
    real, fake = 3 * random.standard_normal((2, 20, 4))
    game = GAMES["pairs"]
    given = torch.tensor(real), torch.tensor(fake)
    expected = np.log1p(np.exp(fake - real)).mean()
    assert float(game.discriminator(*given)) == pytest.approx(expected, rel=1e-12)
    expected = np.log1p(np.exp(real - fake)).mean()
    assert float(game.generator(given[1], given[0])) == pytest.approx(expected, rel=1e-12)
    level = (real.mean() + fake.mean()) ** 2
    assert float(level_term(*given)) == pytest.approx(level, rel=1e-12)


class Linear:
    """Judges two maps by a product with weights; the second counts as pixels."""

    def __init__(self) -> None:
        self.weights = [torch.randn(3, 4, 4), torch.randn(2, 8, 8)]

    def judge(self, maps: list[Tensor], condition: Tensor | None = None) -> list[Tensor]:
        pairs = zip(maps, self.weights, strict=True)
        # Two logits, whose mean is the product.
        scores = [(x * w).flatten(1).sum(1, keepdim=True) for x, w in pairs]
        return [torch.cat([score - 1, score + 1], 1) for score in scores]

    def sees_pixels(self) -> list[bool]:
        return [False, True]


def test_penalty_of_linear_heads() -> None:
    """The gradient is the weight: n ‖w‖² for each head, times the factor for pixels."""
    torch.manual_seed(0)
    linear: Any = Linear()
    maps = [torch.randn(5, *w.shape) for w in linear.weights]
    options = make_options(OPTIONS | {"pixel_penalty": 0.5})
    update: Any = Counting()
    shown = _Examples(torch.zeros(5), ProjectedInput(torch.zeros(5, 3, 8, 8)), maps)
    found = float(_penalty(linear, shown, options, 0, update).detach())
    norms = [w.numel() * float(w.double().square().sum()) for w in linear.weights]
    assert found == pytest.approx(norms[0] + 0.5 * norms[1], rel=1e-5)


def test_the_weight_of_the_heads_of_pixels_is_the_generators() -> None:
    torch.manual_seed(0)
    model: Any = SimpleNamespace(projected=Linear())
    game = GAMES["pairs"]
    shown = [
        _Examples(
            torch.zeros(5),
            ProjectedInput(torch.zeros(5, 3, 8, 8)),
            [torch.randn(5, *w.shape) for w in model.projected.weights],
        )
        for _ in range(2)
    ]
    real, fake = (model.projected.judge(each.maps) for each in shown)
    expected = [float(game.generator(f, r)) for f, r in zip(fake, real, strict=True)]
    for weight in (1.0, 3.0):
        options = make_options(OPTIONS | {"pixel_weight": weight, "adversarial_weight": 0.5})
        task: Any = SimpleNamespace(options=options, generator_extra=lambda *_: {})
        update: Any = Mock(autocast=nullcontext)
        terms = _update_generator(task, model, Batch(torch.zeros(5, 3, 8, 8)), update, *shown)
        total = 0.5 * (expected[0] + weight * expected[1])
        assert float(terms["generator_loss"]) == pytest.approx(total, rel=1e-5)


def test_annealing_goes_by_the_same_factor_every_image() -> None:
    options = make_options(
        OPTIONS | {"anneal_images": 100, "penalty_end": 0.25, "pixel_penalty_end": 0.01}
    )
    assert options.anneal(8.0, 0) == 8.0
    assert options.anneal(8.0, 50) == pytest.approx(4.0)
    assert options.anneal(8.0, 100) == options.anneal(8.0, 10**9) == pytest.approx(2.0)
    assert options.pixel_penalty_at(50) == pytest.approx(0.1)
    assert make_options(OPTIONS).pixel_penalty_at(50) == 1.0


@pytest.mark.parametrize(
    ("option", "value"),
    [("discriminator", "frozen"), ("gradient_penalty", 1.0), ("drift", 0.1), ("penalty_end", 0.0)],
)
def test_options_that_cannot_work(option: str, value: object) -> None:
    with pytest.raises(ConfigError, match=option):
        make_options(OPTIONS | {option: value})


@pytest.mark.parametrize("steps", [1, 2])
def test_neither_players_loss_moves_the_other(toy: DataSet, steps: int) -> None:
    model: Any = registry.get("gan").make(SIZES["gan"])
    task = AdversarialTask(Recipe(adversarial=OPTIONS | {"discriminator_steps": steps}))
    task.equip(model)
    update = Counting()
    update.model = model
    terms = task.step(model, Batch(torch.from_numpy(toy.train.images[:8])), update)
    assert update.calls == [0] * steps + [1]
    assert update.gradients == [{"projected"}] * steps + [{"generator"}]
    assert all(torch.isfinite(value) for value in terms.values())
    assert {"r1", "r2", "level"} <= terms.keys()


def test_penalties_are_taken_in_some_steps_and_count_for_all(toy: DataSet) -> None:
    torch.manual_seed(0)
    model: Any = registry.get("gan").make(SIZES["gan"])
    batch = Batch(torch.from_numpy(toy.train.images[:8]))
    found: dict[tuple[int, int], dict[str, float]] = {}
    for every in (1, 4):
        task = AdversarialTask(Recipe(adversarial=OPTIONS | {"r1_every": every}))
        torch.manual_seed(1)
        task.equip(model)
        for step in range(2):
            update: Any = Counting()
            update.model, update.step = model, step
            torch.manual_seed(2)
            terms = task.step(model, batch, update)
            found[every, step] = {key: float(value.detach()) for key, value in terms.items()}
    assert found[4, 0]["r1"] == pytest.approx(4 * found[1, 0]["r1"], rel=1e-4)
    assert "r1" in found[1, 1] and "r1" not in found[4, 1]


# Whole runs


def take_few(toy: DataSet) -> DataSet:
    assert toy.train.labels is not None
    return replace(toy, train=Split(toy.train.images[:48], toy.train.labels[:48]))


@pytest.mark.parametrize("name", list(SIZES))
def test_run_of_every_model(name: str, toy: DataSet, recipe: Recipe, tmp_path: Path) -> None:
    """It changes both players, measures, and saves only what is exported."""
    precision = "bf16" if name in ("dcgan", "cgan") else "fp32"
    run = trainer(name, take_few(toy), replace(recipe, epochs=1, precision=precision), tmp_path)
    before = {key: value.clone() for key, value in run.model.state_dict().items()}
    run.run()
    after = run.model.state_dict()
    changed = {key.split(".")[0] for key in after if not torch.equal(after[key], before[key])}
    players = {"projected", "generator"} | ({"encoder"} if name == "bigan" else set())
    assert changed == players
    assert -1 <= run.metrics["overfitting"] <= 1
    tensors = load_file(tmp_path / "checkpoint.safetensors")
    assert not any(key.startswith("projected") for key in tensors)
    exported = checkpoint.load(tmp_path)
    assert exported.config["recipe"]["adversarial"]["discriminator"] == "projected"


@pytest.mark.parametrize("name", ["dcgan", "bigan"])
def test_resume_is_exact(name: str, toy: DataSet, recipe: Recipe, tmp_path: Path) -> None:
    options = OPTIONS | {"discriminator_steps": 2, "r1_every": 3, "anneal_images": 64}
    recipe = replace(recipe, batch_size=16, adversarial=options)
    data = take_few(toy)
    out = assert_resumes(lambda out: trainer(name, data, recipe, out), tmp_path, steps=4)
    state = load_file(out / "last" / "state.safetensors")
    assert any("projected.heads" in key for key in state)


def test_epochs_of_any_length_take_the_same_steps(
    toy: DataSet, recipe: Recipe, tmp_path: Path
) -> None:
    """Epochs only decide when to evaluate; images come in the order of whole passes."""
    recipe = replace(recipe, adversarial={"fid_images": 0})
    shown: dict[int, list[bytes]] = {}
    for length, epochs in ((0, 2), (64, 5)):
        run = trainer(
            "gan", toy, replace(recipe, epochs=epochs, epoch_images=length), tmp_path / str(length)
        )
        step, rows = run.task.step, shown.setdefault(length, [])

        def watch(model: Any, batch: Batch, update: Any, step: Any = step, rows: Any = rows) -> Any:
            rows += [image.tobytes() for image in batch.levels.numpy()]
            return step(model, batch, update)

        run.task.step = watch  # type: ignore[method-assign]
        run.run()
        assert run.progress.epoch == epochs and run.progress.step == 10
    assert shown[0] == shown[64]
    assert sorted(shown[64][:160]) == sorted(image.tobytes() for image in toy.train.images)
