"""Training: learning, bit-exact resuming, interruption, NaN, atomic files."""

from __future__ import annotations

import itertools
import json
import os
import signal
import time
import tomllib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from recipes import shipped
from trainers import MODEL, Hooked, states_equal, trainer
from zoo import data, host
from zoo.errors import ConfigError, OutputError, TrainingError
from zoo.models import registry
from zoo.models.weights import load_run, load_weights
from zoo.training import checkpoint, loop
from zoo.training.elbo import ElboTask, evaluate_elbo
from zoo.training.loop import Trainer
from zoo.training.metrics import read_metrics
from zoo.training.pictures import draw_grid
from zoo.training.recipe import FOLDER, Recipe, from_dict, load_recipe
from zoo.training.task import Batch, Update
from zoo.training.weights import save_weights


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(
        data="toy",
        epochs=4,
        batch_size=32,
        learning_rate=3e-3,
        warmup_steps=2,
        ema_decay=0.9,
        gradient_clip=100.0,
        model=MODEL,
    )


def results_equal(first: Path, second: Path) -> None:
    states_equal(first, second)
    one, two = (load_file(path / "checkpoint.safetensors") for path in (first, second))
    assert all(torch.equal(one[name], two[name]) for name in one)
    timing = {"seconds", "images_per_second"}
    lines = [
        [{k: v for k, v in entry.items() if k not in timing} for entry in read_metrics(path)]
        for path in (first / "metrics.jsonl", second / "metrics.jsonl")
    ]
    assert lines[0] == lines[1]


# A whole run


def test_run_learns_and_writes(toy: data.DataSet, recipe: Recipe, tmp_path: Path) -> None:
    out = tmp_path / "runs" / "toy"
    run = trainer(toy, replace(recipe, epochs=12, learning_rate=0.02), out)
    assert run.run() is None
    metrics = read_metrics(out / "metrics.jsonl")
    assert [entry["epoch"] for entry in metrics] == list(range(1, 13))
    assert metrics[-1]["validation_nelbo"] < 0.75 * metrics[0]["validation_nelbo"]
    for entry in metrics:
        parts = entry["validation_reconstruction"] + entry["validation_kl"]
        assert entry["validation_nelbo"] == pytest.approx(parts)
        total = entry["train_reconstruction"] + entry["train_kl"]
        assert entry["train_loss"] == pytest.approx(total, rel=1e-5)
        assert entry["images_per_second"] > 0 and entry["step"] == 5 * entry["epoch"]
    with Image.open(out / "pictures" / "epoch-012.png") as picture:
        picture.load()
        assert picture.width > 100
    assert list((out / "tensorboard").glob("events.*"))
    config = json.loads((out / "config.json").read_text())
    assert config["model"] == "vae" and config["config"]["latent"] == 4
    assert config["classes"] == ["left", "right"] and config["epochs"] == 12
    assert config["metrics"]["validation_nelbo"] == metrics[-1]["validation_nelbo"]
    assert config["recipe"]["learning_rate"] == 0.02 and config["data"] == "toy"
    model, _ = load_run(out)
    found = evaluate_elbo(model, toy.validation)["nelbo"]
    assert found == pytest.approx(metrics[-1]["validation_nelbo"])
    assert evaluate_elbo(model, toy.test)["nelbo"] != found
    assert not [file for file in out.rglob("*") if file.name.startswith(".")]


def test_tensorboard_has_the_metrics(toy: data.DataSet, recipe: Recipe, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trainer(toy, recipe, tmp_path).run()
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    values = [event.value for event in events.Scalars("validation_nelbo")]
    lines = read_metrics(tmp_path / "metrics.jsonl")
    assert values == pytest.approx([entry["validation_nelbo"] for entry in lines])
    assert len(events.Images("picture")) == 4


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_average(toy: data.DataSet, recipe: Recipe, tmp_path: Path, ema: float) -> None:
    run = trainer(toy, replace(recipe, ema_decay=ema, epochs=1), tmp_path)
    run.run()
    saved = load_file(tmp_path / "checkpoint.safetensors")
    state, _ = checkpoint.load_state(run.state_file)
    same = all(torch.equal(saved[name], state[f"model.{name}"]) for name in saved)
    assert same == (ema == 0.0)


def test_mixed_precision_keeps_fp32_weights(
    toy: data.DataSet, recipe: Recipe, tmp_path: Path
) -> None:
    seen = set()

    class Watching(ElboTask):
        def step(self, model: nn.Module, batch: Batch, update: Update) -> dict[str, Tensor]:
            model.decoder.layers[1].register_forward_hook(lambda m, i, o: seen.add(o.dtype))
            return super().step(model, batch, update)

    run = trainer(toy, replace(recipe, precision="bf16", epochs=1), tmp_path, Watching())
    run.one_step()
    assert seen == {torch.bfloat16}
    assert {parameter.dtype for parameter in run.model.parameters()} == {torch.float32}


def test_learning_rate_rises_and_falls() -> None:
    recipe = Recipe(learning_rate=1.0, warmup_steps=9)
    rates = [recipe.learning_rate_at(step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[-1] < 0.001
    assert max(rates) == pytest.approx(1.0, abs=0.03)
    assert np.argmax(rates) == 9


# Stopping and going on


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("stop", [5, 7, 13])
def test_resume_is_bit_for_bit(
    toy: data.DataSet, recipe: Recipe, tmp_path: Path, stop: int, precision: str
) -> None:
    recipe = replace(recipe, precision=precision)
    trainer(toy, recipe, tmp_path / "whole").run()

    def interrupt(step: int) -> None:
        if step == stop:
            os.kill(os.getpid(), signal.SIGINT)

    out = tmp_path / "parts"
    assert trainer(toy, recipe, out, Hooked(interrupt)).run() == signal.SIGINT
    assert checkpoint.load_state(out / "last" / "state.safetensors")[1]["progress"]["step"] == stop
    resumed = trainer(toy, recipe, out)
    resumed.resume()
    assert resumed.run() is None
    results_equal(tmp_path / "whole", out)


def test_resume_after_a_time_limit(
    toy: data.DataSet, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer(toy, recipe, tmp_path / "whole").run()
    out = tmp_path / "parts"
    clock = itertools.count()
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: next(clock) / 1e6))

    def jump(step: int) -> None:
        nonlocal clock
        if step == 8:
            clock = itertools.count(10**9)

    limited = trainer(toy, recipe, out, Hooked(jump))
    assert limited.run(max_seconds=500) is None
    config = json.loads((out / "config.json").read_text())
    assert config["epochs"] == pytest.approx(1.6) and config["metrics"] == limited.metrics
    assert read_metrics(out / "metrics.jsonl")[-1]["step"] == 8
    resumed = trainer(toy, recipe, out)
    resumed.resume()
    resumed.run()
    results_equal(tmp_path / "whole", out)


def test_resume_refuses_another_recipe(toy: data.DataSet, recipe: Recipe, tmp_path: Path) -> None:
    trainer(toy, recipe, tmp_path).run()
    with pytest.raises(TrainingError, match="learning_rate = 0.5: the run has 0.003"):
        trainer(toy, replace(recipe, learning_rate=0.5), tmp_path).resume()


def test_resume_refuses_other_data(toy: data.DataSet, recipe: Recipe, tmp_path: Path) -> None:
    trainer(toy, replace(recipe, epochs=1), tmp_path).run()
    images, labels = toy.train.images, toy.train.labels
    assert labels is not None
    other = images.copy()
    other[7, 3, 3] ^= 1
    grown = np.concatenate([images, images[:64]]), np.concatenate([labels, labels[:64]])
    for changed in ((other, labels), (images, 1 - labels), grown):
        found = replace(toy, train=data.Split(*changed))
        with pytest.raises(TrainingError, match="toy holds other images or labels than when"):
            trainer(found, recipe, tmp_path).resume()
    trainer(toy, recipe, tmp_path).resume()


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_resume_from_a_damaged_state(
    toy: data.DataSet, recipe: Recipe, tmp_path: Path, damage: bytes | None
) -> None:
    run = trainer(toy, replace(recipe, epochs=1), tmp_path)
    run.run()
    content = run.state_file.read_bytes()
    run.state_file.write_bytes(content[: len(content) // 2] if damage is None else damage)
    with pytest.raises(TrainingError, match="cannot read"):
        trainer(toy, replace(recipe, epochs=1), tmp_path).resume()


def test_nothing_is_pickled(toy: data.DataSet, recipe: Recipe, tmp_path: Path) -> None:
    trainer(toy, replace(recipe, epochs=1), tmp_path).run()
    suffixes = {file.suffix for file in tmp_path.rglob("*") if file.is_file()}
    board = {file.suffix for file in (tmp_path / "tensorboard").iterdir()}
    assert suffixes - board == {".safetensors", ".json", ".jsonl", ".png"}


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_nan_stops_with_the_step_and_keeps_the_last_checkpoint(
    toy: data.DataSet, recipe: Recipe, tmp_path: Path, bad: float
) -> None:
    good = tmp_path / "good"
    trainer(toy, replace(recipe, epochs=4), good).run(max_seconds=1e9)
    task = Hooked(lambda step: bad if step == 13 else 1.0)
    out = tmp_path / "bad"
    with pytest.raises(TrainingError, match=r"loss is (nan|inf) at step 13 \(epoch 3\)"):
        trainer(toy, recipe, out, task).run()
    weights = load_file(out / "checkpoint.safetensors")
    assert all(torch.isfinite(value).all() for value in weights.values())
    config = json.loads((out / "config.json").read_text())
    assert config["epochs"] == 2
    resumed = trainer(toy, recipe, out)
    resumed.resume()
    resumed.run()
    results_equal(good, out)


def test_weights_that_went_bad_are_not_saved(
    toy: data.DataSet, recipe: Recipe, tmp_path: Path
) -> None:
    run: Trainer

    def spoil(step: int) -> None:
        if step == 10:
            with torch.no_grad():
                run.average.decoder.project.bias.fill_(float("nan"))

    run = trainer(toy, recipe, tmp_path, Hooked(spoil))
    with pytest.raises(TrainingError, match="after step 10"):
        run.run()
    weights = load_file(tmp_path / "checkpoint.safetensors")
    assert all(torch.isfinite(value).all() for value in weights.values())


def test_metrics_cut_off_in_the_last_line(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"epoch": 1}\n{"epoch": 2}\n{"epo')
    assert read_metrics(path) == [{"epoch": 1}, {"epoch": 2}]


def test_more_in_a_batch_than_images(toy: data.DataSet, recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="batch size must be at most the 160 training images, got 500"
    ):
        trainer(toy, replace(recipe, batch_size=500), tmp_path)


def test_a_second_signal_acts_as_ever() -> None:
    with pytest.raises(KeyboardInterrupt), host.catch_interrupt() as interrupt:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.signal == signal.SIGINT
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)


# Recipes


def test_every_model_has_a_recipe() -> None:
    assert {file.stem for file in FOLDER.glob("*.toml")} == set(registry.MODELS)


def test_recipes_for_gpus_are_valid_and_larger() -> None:
    sized = [
        file.stem for file in FOLDER.glob("*.toml") if "gpu" in tomllib.loads(file.read_text())
    ]
    assert {"dcgan", "progan", "stylegan", "stargan"} <= set(sized)
    for name in sized:
        (small, few), (large, many) = shipped(name), shipped(name, "gpu")
        assert (small.size, large.size) == ("cpu", "gpu") and large.epochs > small.epochs
        counts = [
            sum(parameter.numel() for parameter in registry.get(name).make(options).parameters())
            for options in (few, many)
        ]
        assert counts[1] > counts[0]


def test_weights_of_the_recipes_for_gpus_can_be_shipped() -> None:
    """All files together in half precision: 24 MiB."""
    total = 0
    for name, entry in registry.MODELS.items():
        if "gpu" not in tomllib.loads((FOLDER / f"{name}.toml").read_text()):
            continue
        options = shipped(name, "gpu")[1]
        if "input_channels" in entry.options():
            options["input_channels"] = 1
        model: Any = entry.make(options)
        parts = {
            "generator": lambda model: model.generator,
            "translator": lambda model: model.generator,
            "encoder": lambda model: model.encoder,
            "classifier": lambda model: getattr(model, "discriminator", model),
            "mapping": lambda model: model.generator.mapping,
            "synthesis": lambda model: model.generator.synthesis,
        }
        files = [parts[role](model) for role in entry.roles]
        total += 2 * sum(parameter.numel() for file in files for parameter in file.parameters())
    assert 15 * 2**20 < total < 23.5 * 2**20, "graphs and manifests take a little more"


def test_size_of_a_recipe(tmp_path: Path) -> None:
    """Overrides take precedence over the size's table, and that over the rest of the file."""
    path = tmp_path / "r.toml"
    path.write_text(
        "epochs = 3\nseed = 5\n[model]\nlatent = 8\n[gpu]\nepochs = 7\nmodel.latent = 64\n"
    )
    assert load_recipe(path).model == {"latent": 8}
    recipe = load_recipe(path, {"size": "gpu", "seed": 6})
    assert (recipe.epochs, recipe.seed, recipe.model) == (7, 6, {"latent": 64})
    merged = load_recipe(path, {"epochs": 9, "model": {"beta": 2.0}})
    assert (merged.epochs, merged.seed, merged.model) == (9, 5, {"latent": 8, "beta": 2.0})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": "huge"}, "cpu, gpu, got 'huge'"),
        ({"epoch": 3}, "unknown recipe field 'epoch'"),
        ({"epochs": 0}, "epochs must be an integer of at least 1"),
        ({"epochs": 1.5}, "epochs must be an integer"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**63}, r"below 2\*\*63"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number"),
        ({"learning_rate": "fast"}, "got 'fast'"),
        ({"ema_decay": 1.0}, "ema_decay below 1"),
        ({"precision": "fp8"}, "fp32, bf16, fp16, got 'fp8'"),
        ({"model": 3}, "model and adversarial tables"),
    ],
)
def test_bad_recipe(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_dict(values)


# Weights to ship


@pytest.fixture
def finished(toy: data.DataSet, recipe: Recipe, tmp_path: Path) -> Path:
    out = tmp_path / "run"
    trainer(toy, recipe, out).run()
    return out


def test_weights_round_trip(finished: Path, toy: data.DataSet, tmp_path: Path) -> None:
    path = tmp_path / "vae.safetensors"
    save_weights(finished, path)
    stored = load_file(path)
    assert {value.dtype for value in stored.values()} == {torch.float16}
    model, config = load_weights(path)
    assert config == json.loads((finished / "config.json").read_text())
    original, _ = load_run(finished)
    for name, value in original.state_dict().items():
        assert torch.equal(model.state_dict()[name], value.half().float())
    assert not model.training
    precise, half = (evaluate_elbo(one, toy.test)["nelbo"] for one in (original, model))
    assert half == pytest.approx(precise, rel=1e-3)


def test_weights_that_do_not_fit_fp16(finished: Path, tmp_path: Path) -> None:
    file = finished / "checkpoint.safetensors"
    tensors = load_file(file)
    tensors["decoder.project.bias"][0] = 1e6
    checkpoint.save_tensors(file, tensors, {})
    with pytest.raises(TrainingError, match="decoder.project.bias is not finite in fp16"):
        save_weights(finished, tmp_path / "vae.safetensors")
    assert not (tmp_path / "vae.safetensors").exists()


def test_weights_errors(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="cannot read"):
        load_weights(tmp_path / "none.safetensors")
    with pytest.raises(TrainingError, match="holds no model config"):
        load_weights(finished / "checkpoint.safetensors")
    with pytest.raises(TrainingError, match="is not a run's folder"):
        load_run(tmp_path)
    with pytest.raises(OutputError):
        save_weights(finished, tmp_path / "no" / "folder" / "x.safetensors")
    config = json.loads((finished / "config.json").read_text())
    config["config"]["latent"] = 5
    (finished / "config.json").write_text(json.dumps(config))
    with pytest.raises(TrainingError, match="does not match the model"):
        load_run(finished)


def test_grid_places_and_rounds() -> None:
    images = np.stack([np.full((1, 2, 2), value) for value in (0.0, 0.5, 2.0)])
    sheet = draw_grid(images, columns=2, gap=1)
    assert sheet.shape == (7, 7)
    assert sheet[1, 1] == 0 and sheet[1, 4] == 128 and sheet[4, 1] == 255
    assert draw_grid(np.zeros((3, 3, 2, 2)), 3).ndim == 3


# What a task is given


class Recording(Hooked):
    """Records the batches and counts calls of `prepare`."""

    def __init__(self) -> None:
        super().__init__(lambda step: None)
        self.batches: list[Batch] = []
        self.prepared = 0

    def prepare(
        self, model: nn.Module, data: data.DataSet, recipe: Recipe
    ) -> list[dict[str, float]]:
        self.prepared += 1
        with torch.no_grad():
            next(model.parameters()).fill_(0.125)
        return [{"layer": 1, "mse": 0.5}]

    def step(self, model: nn.Module, batch: Batch, update: Update) -> dict[str, Tensor]:
        self.batches.append(batch)
        return super().step(model, batch, update)


def test_batches_keep_images_labels_and_attributes_together(
    toy: data.DataSet, recipe: Recipe, tmp_path: Path
) -> None:
    left = np.where(np.asarray(toy.train.labels) == 0, 1, -1).astype(np.int8)
    split = data.Split(toy.train.images, toy.train.labels, np.stack([left, -left], 1))
    test = data.Split(toy.test.images, toy.test.labels, np.ones((len(toy.test), 2), np.int8))
    both = data.DataSet("toy", split, test, toy.classes, ["Left", "Right"], validation=test)
    task = Recording()
    trainer(both, replace(recipe, epochs=1), tmp_path / "run", task).run()
    assert sum(len(batch.levels) for batch in task.batches) == len(both.train) // 32 * 32
    for batch in task.batches:
        assert batch.labels is not None and batch.attributes is not None
        lit = batch.images[:, 0, :, :4].amax((1, 2)) > 0
        assert torch.equal(lit, batch.labels == 0)
        assert torch.equal(lit, batch.attributes[:, 0] == 1)
        assert torch.equal(batch.attributes[:, 0], -batch.attributes[:, 1])
        assert batch.images.max() <= 1 and batch.levels.dtype == torch.uint8
    assert json.loads((tmp_path / "run" / "config.json").read_text())["attributes"] == [
        "Left",
        "Right",
    ]


def test_preparation_is_done_once_and_logged(
    toy: data.DataSet, recipe: Recipe, tmp_path: Path
) -> None:
    task, out = Recording(), tmp_path / "run"
    seen: list[float] = []

    def look(step: int) -> None:
        seen.append(float(next(run.model.parameters()).flatten()[0].detach()))

    task.hook = look
    run = trainer(toy, replace(recipe, epochs=1), out, task)
    run.run()
    assert task.prepared == 1 and seen[0] == 0.125
    assert read_metrics(out / "preparation.jsonl") == [{"layer": 1, "mse": 0.5}]
    again = trainer(toy, replace(recipe, epochs=2), out, task)
    again.resume()
    again.run()
    assert task.prepared == 1


def test_resume_of_a_run_from_before_a_recipe_had_all_its_fields(
    toy: data.DataSet, recipe: Recipe, tmp_path: Path
) -> None:
    trainer(toy, replace(recipe, epochs=1), tmp_path).run()
    state = tmp_path / "last" / "state.safetensors"
    tensors, values = checkpoint.load_state(state)
    del values["recipe"]["exclude"]
    checkpoint.save_state(state, tensors, values)
    trainer(toy, replace(recipe, epochs=2), tmp_path).resume()
    with pytest.raises(TrainingError, match="exclude"):
        trainer(toy, replace(recipe, epochs=2, exclude=["left"]), tmp_path).resume()
