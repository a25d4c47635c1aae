"""Adversarial training: losses and penalties against closed forms, algorithm 1, resuming."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from adversarial_trainers import SIZES, Counting, assert_resumes, trainer
from zoo.data import DataSet, Split, normalise
from zoo.errors import ConfigError
from zoo.models import registry
from zoo.training import batch_statistics, collapse
from zoo.training.adversarial import AdversarialTask, freeze
from zoo.training.adversarial_options import make_options
from zoo.training.games import GAMES, gradient_penalty, r1_penalty
from zoo.training.metrics import read_metrics
from zoo.training.recipe import Recipe
from zoo.training.task import Batch, make_task

NORMALISED = {"discriminator_widths": (8, 8), "encoder_widths": (8, 8)}
"""Deep enough for batch normalisation, which first layers do not have."""


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(
        data="toy",
        epochs=3,
        batch_size=32,
        learning_rate=2e-3,
        schedule="constant",
        ema_decay=0.9,
        adversarial={"fid_images": 0},
    )


def repeat_images(toy: DataSet) -> DataSet:
    """Repeat the images ten times, so that most of an epoch is spent on its steps."""
    labels = None if toy.train.labels is None else np.tile(toy.train.labels, 10)
    return replace(toy, train=Split(np.tile(toy.train.images, (10, 1, 1, 1)), labels))


# Losses, against NumPy in float64


def scores(seed: int) -> np.ndarray:
    return 3 * np.random.default_rng(seed).standard_normal(50)


def test_log_losses_are_equation_1() -> None:
    real, fake = scores(0), scores(1)
    d_real, d_fake = 1 / (1 + np.exp(-real)), 1 / (1 + np.exp(-fake))
    value = np.log(d_real).mean() + np.log(1 - d_fake).mean()
    for name in ("minimax", "nonsaturating"):
        loss = GAMES[name].discriminator(torch.tensor(real), torch.tensor(fake))
        assert float(loss) == pytest.approx(-value, rel=1e-12)
    saturating = GAMES["minimax"].generator(torch.tensor(fake))
    assert float(saturating) == pytest.approx(np.log(1 - d_fake).mean(), rel=1e-12)
    heuristic = GAMES["nonsaturating"].generator(torch.tensor(fake))
    assert float(heuristic) == pytest.approx(-np.log(d_fake).mean(), rel=1e-12)


def test_wasserstein_is_the_difference_of_means() -> None:
    real, fake = torch.tensor(scores(2)), torch.tensor(scores(3))
    difference = float(real.mean() - fake.mean())
    assert float(GAMES["wasserstein"].discriminator(real, fake)) == pytest.approx(-difference)


def test_penalties_of_a_linear_critic() -> None:
    """Its gradient is its weight, for every image."""
    weight = torch.randn(3, 4, 4, dtype=torch.float64).float()
    norm = float(weight.double().norm())

    def linear(images: Tensor) -> Tensor:
        return (images * weight).flatten(1).sum(1)

    real, fake = torch.rand(6, 3, 4, 4), torch.rand(6, 3, 4, 4)
    assert float(r1_penalty(linear, real).detach()) == pytest.approx(norm**2, rel=1e-5)
    expected = (norm - 1) ** 2
    assert float(gradient_penalty(linear, real, fake)) == pytest.approx(expected, rel=1e-5)


def test_penalties_of_a_quadratic_critic() -> None:
    """The gradient of ½‖x‖² is x: R1 is the mean square of the real images themselves."""

    def quadratic(images: Tensor) -> Tensor:
        return images.square().flatten(1).sum(1) / 2

    real = torch.rand(5, 1, 3, 3)
    expected = float(real.double().square().flatten(1).sum(1).mean())
    assert float(r1_penalty(quadratic, real).detach()) == pytest.approx(expected, rel=1e-5)
    # Between an image and itself there is only the image.
    norms = real.double().flatten(1).norm(dim=1)
    between = float(gradient_penalty(quadratic, real, real).detach())
    assert between == pytest.approx(float((norms - 1).square().mean()), rel=1e-4)


def test_penalty_trains_the_critic() -> None:
    """Second derivatives reach the weights: the gradient's norm approaches 1."""
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Flatten(), nn.Linear(9, 16), nn.Tanh(), nn.Linear(16, 1))
    real, fake = torch.rand(64, 1, 3, 3), torch.rand(64, 1, 3, 3)
    optimizer = torch.optim.Adam(critic.parameters(), 0.01)
    first = float(gradient_penalty(lambda x: critic(x)[:, 0], real, fake).detach())
    for _ in range(150):
        optimizer.zero_grad()
        gradient_penalty(lambda x: critic(x)[:, 0], real, fake).backward()
        optimizer.step()
    assert first > 0.3
    assert float(gradient_penalty(lambda x: critic(x)[:, 0], real, fake).detach()) < 0.02


# Algorithm 1


@pytest.mark.parametrize("steps", [1, 3])
def test_k_updates_of_the_discriminator_then_one_of_the_generator(toy: DataSet, steps: int) -> None:
    model = registry.get("gan").make(SIZES["gan"])
    task = AdversarialTask(Recipe(adversarial={"discriminator_steps": steps}))
    shown: list[Tensor] = []
    score = task.score

    def watch(model: Any, images: Tensor, batch: Batch) -> Tensor:
        shown.append(batch.levels)
        return score(model, images, batch)

    task.score = watch  # type: ignore[method-assign]
    update = Counting()
    update.model = model
    levels = torch.from_numpy(toy.train.images[:33])
    terms = task.step(model, Batch(levels), update)
    assert update.calls == [0] * steps + [1]
    # Neither player's loss moves the other.
    assert update.gradients == [{"discriminator"}] * steps + [{"generator"}]
    # Each update sees images of its own.
    own = torch.cat(shown[: 2 * steps : 2])
    assert torch.equal(own, levels[: 33 // steps * steps])
    assert all(torch.isfinite(value) for value in terms.values())
    assert all(p.requires_grad for p in model.parameters())


def test_frozen_lets_gradients_through(toy: DataSet) -> None:
    model: Any = registry.get("dcgan").make(SIZES["dcgan"])
    latents = torch.randn(4, 4, requires_grad=True)
    with freeze([model.discriminator]):
        model.discriminator(model.generator(latents)).sum().backward()
    assert latents.grad is not None and float(latents.grad.abs().sum()) > 0
    assert all(p.grad is None for p in model.discriminator.parameters())


@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_gradient_descent_with_momentum(momentum: float, toy: DataSet) -> None:
    """Two steps of the discriminator against v = βv + g, θ = θ - ηv."""
    model: Any = registry.get("gan").make(SIZES["gan"])
    table = {"optimizer": "sgd", "beta1": momentum, "discriminator_rate": 0.5}
    recipe = Recipe(learning_rate=0.1, adversarial=table)
    task = AdversarialTask(recipe)
    optimizer, _ = task.optimizers(model, recipe)
    weight = model.discriminator.layers[1].weight
    expected, velocity = weight.detach().double(), torch.zeros_like(weight).double()
    for group in optimizer.param_groups:
        group["lr"] = recipe.learning_rate * group["scale"]
    for seed in (0, 1):
        gradient = torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed))
        weight.grad = gradient
        optimizer.step()
        velocity = momentum * velocity + gradient
        expected = expected - 0.05 * velocity
        torch.testing.assert_close(weight.detach().double(), expected, rtol=0, atol=1e-6)


def test_penalty_is_annealed(toy: DataSet) -> None:
    """γ after half of `anneal_images`, of R1 and of R2, is that of the options."""
    batch = Batch(torch.from_numpy(toy.train.images[:32]))
    found = {}
    for anneal in (0, 640):
        table = {"r1": 2.0, "r2": 1.0, "anneal_images": anneal, "penalty_end": 0.25}
        torch.manual_seed(0)
        model: Any = registry.get("gan").make(SIZES["gan"])
        update: Any = Counting()
        update.model, update.step = model, 10
        terms = AdversarialTask(Recipe(adversarial=table)).step(model, batch, update)
        found[anneal] = [float(terms[name]) for name in ("r1", "r2")]
    assert found[640] == pytest.approx([value / 2 for value in found[0]], rel=1e-5)


# Whole runs


@pytest.mark.parametrize("name", list(SIZES))
def test_run_learns_two_kinds_of_images(
    name: str, toy: DataSet, recipe: Recipe, tmp_path: Path
) -> None:
    """Samples have a bright square on either side, like the data."""
    run = trainer(name, repeat_images(toy), replace(recipe, epochs=6), tmp_path)
    before = run.task.draw(run.average.eval(), 200, 0)  # type: ignore[attr-defined]
    assert run.run() is None
    after = run.task.draw(run.average.eval(), 200, 0)  # type: ignore[attr-defined]
    real = toy.validation.images.astype(float).mean(0)
    error = [np.abs(images.astype(float).mean(0) - real).mean() for images in (before, after)]
    assert error[1] < 0.5 * error[0]
    left, right = after[:, 2:6, :4].mean((1, 2, 3)), after[:, 2:6, 4:].mean((1, 2, 3))
    assert 0.1 < (left > right).mean() < 0.9
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert len(lines) == 6
    for key in ("real_probability", "fake_probability", "discriminator_accuracy"):
        assert 0 <= lines[-1][f"train_{key}"] <= 1
    assert -1 <= lines[-1]["overfitting"] <= 1


@pytest.mark.parametrize(
    ("name", "optimizer"), [("dcgan", "adam"), ("bigan", "adam"), ("gan", "sgd")]
)
def test_resume_is_exact(
    name: str, optimizer: str, toy: DataSet, recipe: Recipe, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"fid_images": 0, "r1": 1.0, "r1_every": 3}
    options |= {"discriminator_steps": 2, "optimizer": optimizer}
    recipe = replace(recipe, adversarial=options)
    assert_resumes(lambda out: trainer(name, toy, recipe, out), tmp_path, steps=7)


@pytest.mark.slow
def test_two_processes_agree(tmp_path: Path, repository: Path) -> None:
    """Two processes share each batch and keep equal weights and statistics."""
    program = f"""
import sys, torch
sys.path.insert(0, {str(repository / "tests" / "support")!r})
from pathlib import Path
import numpy as np
from zoo.data import DataSet, Split
from zoo.models import registry
from zoo.training.loop import Trainer
from zoo.training.recipe import Recipe
from zoo.training.task import make_task
random = np.random.default_rng(0)
images = random.integers(0, 256, (64, 8, 8, 1)).astype(np.uint8)
toy = DataSet("toy", Split(images[:48]), Split(images[48:]))
torch.set_num_threads(1)
recipe = Recipe("toy", epochs=2, batch_size=16, adversarial={{"fid_images": 0, "r1": 1.0}})
entry = registry.get("dcgan")
model = entry.make({SIZES["dcgan"]!r})
out = Path({str(tmp_path)!r})
run = Trainer("dcgan", model, make_task(entry, recipe), toy, recipe, out, cpu=True, quiet=True)
assert run.accelerator.num_processes == 2
run.run()
state = torch.cat([v.flatten().float() for v in run.model.state_dict().values()])
both = run.accelerator.gather(state[None])
assert torch.equal(both[0], both[1]), (both[0] - both[1]).abs().max()
if run.accelerator.is_main_process:
    (out / "agreed").write_text("yes")
"""
    script = tmp_path / "two.py"
    script.write_text(program)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*launch, str(script)], cwd=repository, capture_output=True, text=True, check=False
    )
    assert (tmp_path / "agreed").is_file(), done.stderr[-6000:]


def test_best_epoch_is_kept(toy: DataSet, recipe: Recipe, tmp_path: Path) -> None:
    run = trainer("gan", toy, recipe, tmp_path)
    measures = iter([5.0, 3.0, 4.0])
    evaluate = run.task.evaluate
    run.task.evaluate = (  # type: ignore[method-assign]
        lambda model, data: evaluate(model, data) | {"fid": next(measures)}
    )
    run.run()
    best = json.loads((tmp_path / "best" / "config.json").read_text())
    last = json.loads((tmp_path / "config.json").read_text())
    assert best["metrics"]["fid"] == 3.0 and best["epochs"] == 2
    assert last["metrics"]["fid"] == 4.0 and last["epochs"] == 3
    kept, final = (
        load_file(path / "checkpoint.safetensors") for path in (tmp_path / "best", tmp_path)
    )
    assert any(not torch.equal(kept[name], final[name]) for name in kept)


def test_settling_measures_the_averaged_weights(toy: DataSet) -> None:
    """Batch statistics after settling are the moments of the layer's inputs."""
    model: Any = registry.get("dcgan").make(SIZES["dcgan"])
    task = AdversarialTask()
    task.settle(model, toy)
    norm = model.generator.layers[1]
    seen = []
    handle = norm.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    with torch.no_grad():
        list(task.samples(model.eval(), 2000, 7))
    handle.remove()
    values = torch.cat(seen).transpose(0, 1).flatten(1)
    assert torch.allclose(norm.running_mean, values.mean(1), atol=0.1 * float(values.std()))
    assert torch.allclose(norm.running_var, values.var(1), rtol=0.2)
    assert norm.momentum == 0.1 and not norm.training


def test_settling_measures_the_encoder_of_a_bidirectional_gan(toy: DataSet) -> None:
    entry = registry.get("bigan")
    model: Any = entry.make(SIZES["bigan"] | NORMALISED)
    make_task(entry).settle(model, toy)
    norm = batch_statistics.find_norms(model.encoder)[0]
    seen = []
    handle = norm.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    with torch.no_grad():
        model.eval().encoder(torch.from_numpy(normalise(toy.train.images)))
    handle.remove()
    values = seen[0].transpose(0, 1).flatten(1)
    assert torch.allclose(norm.running_mean, values.mean(1), atol=1e-5)
    assert torch.allclose(norm.running_var, values.var(1), rtol=1e-3)
    assert norm.momentum == 0.1 and not norm.training


@pytest.mark.parametrize("name", ["dcgan", "bigan", "cgan"])
def test_overfitting_is_watched_with_statistics_of_the_batch(name: str, toy: DataSet) -> None:
    """Running statistics are neither used nor changed."""
    entry = registry.get(name)
    options = {key: value for key, value in NORMALISED.items() if key in SIZES[name]}
    model: Any = entry.make(SIZES[name] | options).eval()
    task: Any = make_task(entry)
    measured = task._measure_overfitting(model, toy)
    norms = batch_statistics.find_norms(model.discriminator)
    assert norms and measured["train_score"] != measured["held_out_score"]
    for norm in norms:
        norm.running_mean.fill_(50)
        norm.running_var.fill_(9)
    assert task._measure_overfitting(model, toy) == measured
    for norm in norms:
        assert not norm.training and norm.track_running_stats and norm.num_batches_tracked == 0
        assert (norm.running_mean == 50).all() and (norm.running_var == 9).all()


@pytest.mark.parametrize("name", ["bigan", "pix2pix-colour"])
def test_best_epochs_make_real_images_and_right_ones(name: str) -> None:
    task: Any = make_task(registry.get(name))
    first, nearer, sharper = (
        task._measure_joint({"fid": fid}, mse)[task.best]
        for fid, mse in ((40, 0.04), (40, 0.01), (10, 0.04))
    )
    assert first == pytest.approx((40 * 0.2) ** 0.5) and nearer < first
    assert sharper == pytest.approx(first / 2)
    assert task._measure_joint({}, 0.01)[task.best] < task._measure_joint({}, 0.04)[task.best]


# Mode collapse


def test_detector_finds_a_collapse_made_on_purpose(
    toy: DataSet, recipe: Recipe, tmp_path: Path
) -> None:
    """A generator whose weights of the noise are zero makes a single image."""
    options = {"fid_images": 0, "discriminator_rate": 0.02}
    run = trainer(
        "gan", repeat_images(toy), replace(recipe, epochs=3, adversarial=options), tmp_path
    )
    with torch.no_grad():
        run.model.generator.layers[0].weight.zero_()  # type: ignore[index,union-attr]
    run.model.generator.layers[0].weight.requires_grad_(False)  # type: ignore[index,union-attr]
    run.run()
    line = read_metrics(tmp_path / "metrics.jsonl")[-1]
    assert line["pair_distance"] < 0.1
    assert any(note.startswith("mode collapse") and "Try" in note for note in line["notes"])


def test_detector_is_quiet_on_real_images(fashion_mnist: DataSet) -> None:
    train, test = fashion_mnist.train.images[:500], fashion_mnist.test.images[:500]
    measured = collapse.measure_diversity(train, test)
    assert measured["pair_distance"] == pytest.approx(1, abs=0.05)
    assert measured["nearest_distance"] == pytest.approx(1, abs=0.1)
    assert collapse.find_problems(measured) == []


def test_detector_finds_few_kinds_and_twins(fashion_mnist: DataSet) -> None:
    test = fashion_mnist.test
    assert test.labels is not None
    one_class = test.images[test.labels == 7][:500]
    few = collapse.measure_diversity(one_class, test.images)
    assert few["pair_distance"] < collapse.CLOSE
    # Forty images again and again, with a little noise: as far apart as real ones on average.
    noise = np.random.default_rng(0).integers(0, 8, (500, 28, 28, 1))
    again = np.minimum(test.images[:40].repeat(13, 0)[:500] + noise, 255).astype(np.uint8)
    twins = collapse.measure_diversity(again, test.images)
    assert twins["pair_distance"] > collapse.CLOSE
    assert twins["nearest_distance"] < collapse.TWINS
    for measured in (few, twins):
        (note,) = collapse.find_problems(measured)
        assert note.startswith("mode collapse")


def test_distances_against_scipy(fashion_mnist: DataSet) -> None:
    from scipy.spatial.distance import pdist, squareform

    images = fashion_mnist.test.images[:60]
    points = images.astype(np.float64).reshape(60, -1) / 255
    own = squareform(pdist(points))
    mean = pdist(points).mean()
    nearest = np.median(np.where(np.eye(60, dtype=bool), np.inf, own).min(1))
    assert collapse.measure_distances(images) == pytest.approx((mean, nearest), rel=1e-5)


def test_notes_on_balance_and_overfitting() -> None:
    (fast,) = collapse.find_problems({"train_discriminator_accuracy": 0.99})
    assert "99%" in fast and "discriminator_rate" in fast
    (learned,) = collapse.find_problems({"overfitting": 0.8})
    assert "memorised" in learned
    (missing,) = collapse.find_problems({"modes": 0.3})
    assert "30%" in missing


# Bad input


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"loss": "hinge2"}, "loss must be"),
        ({"discriminator_steps": 0}, "discriminator_steps must be a positive integer"),
        ({"r1": -1}, "r1 must be 0 or more"),
        ({"beta1": 1.0}, "beta1 and beta2 must be below 1"),
        ({"discriminator_rate": 0}, "discriminator_rate must be positive"),
        ({"optimizer": "rmsprop"}, "optimizer must be 'adam' or 'sgd'"),
        ({"gradient_penalty": float("nan")}, "gradient_penalty must be 0 or more"),
        ({"k": 2}, "unknown option adversarial.k"),
    ],
)
def test_bad_options(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_options(table)


def test_bad_tasks() -> None:
    with pytest.raises(ConfigError, match="for a bidirectional GAN, got 'wasserstein'"):
        make_task(registry.get("bigan"), Recipe(adversarial={"loss": "wasserstein"}))
    with pytest.raises(ConfigError, match="only for adversarial models"):
        make_task(registry.get("vae"), Recipe(adversarial={"r1": 1.0}))


def test_data_without_labels(toy: DataSet, recipe: Recipe, tmp_path: Path) -> None:
    bare = replace(toy, train=replace(toy.train, labels=None), classes=[])
    with pytest.raises(ConfigError, match="needs a data set with labels"):
        trainer("cgan", bare, recipe, tmp_path).one_step()
