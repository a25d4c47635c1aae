"""Training that must fail: too little memory, few images, invalid recipes and options."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState

from trainers import MODEL, Hooked, states_equal, trainer
from zoo import corruption, data, host, signals
from zoo.cli import _one_line
from zoo.data import DataSet, Split
from zoo.errors import ConfigError, OutputError, TrainingError, is_out_of_memory
from zoo.models import registry
from zoo.training import checkpoint, collapse
from zoo.training.loop import Trainer
from zoo.training.recipe import Recipe, load_recipe
from zoo.training.task import make_task

RECIPE = Recipe(data="toy", epochs=3, batch_size=32, model=MODEL)
SMALL: dict[str, dict[str, object]] = {
    "vae": MODEL,
    "linear-ae": {"latent": 3, "image_size": 8},
    "gan": {"latent": 4, "widths": [8], "discriminator_widths": [8], "image_size": 8},
    "dcgan": {"latent": 4, "widths": [8], "discriminator_widths": [8], "image_size": 8},
    "denoising-ae": {"widths": [4], "image_size": 8, "corruption": ["gaussian:0.1", "masking:0.2"]},
    "pix2pix-edges": {"widths": [4, 4], "discriminator_widths": [4], "image_size": 8},
    "fashion-classifier": {"widths": [4], "image_size": 8, "classes": 2},
}


def take_rows(toy: DataSet, train: int, held_out: int) -> DataSet:
    parts = {"train": train, "validation": held_out, "test": held_out}
    return replace(
        toy,
        **{
            name: Split(getattr(toy, name).images[:count], getattr(toy, name).labels[:count])
            for name, count in parts.items()
        },
    )


def test_memory_that_runs_out_keeps_the_last_good_state(toy: DataSet, tmp_path: Path) -> None:
    def hook(step: int) -> None:
        if step == 7:  # of the second epoch, which has steps 6 to 10
            torch.empty(2**48)

    trainer(toy, replace(RECIPE, epochs=1), tmp_path / "one").run()
    out = tmp_path / "run"
    with pytest.raises(TrainingError, match="out of memory in steps of 32 images.*smaller batch"):
        trainer(toy, RECIPE, out, Hooked(hook)).run()
    _, values = checkpoint.load_state(out / "last" / "state.safetensors")
    assert values["progress"]["epoch"] == 1
    assert not [file for file in out.rglob("*") if file.name.startswith(".zoo-")]
    again = trainer(toy, RECIPE, out)
    again.resume()
    assert again.run() is None
    trainer(toy, RECIPE, tmp_path / "whole").run()
    states_equal(out, tmp_path / "whole")


@pytest.mark.parametrize("size", [2**48, 2**62])
def test_what_pytorch_says_of_too_little_memory(size: int) -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(size)
    assert is_out_of_memory(raised.value)
    said = _one_line(raised.value)
    assert said is not None and said.startswith("out of memory: ")
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))
    assert _one_line(RuntimeError("shapes do not fit")) is None


def test_models_that_are_too_large() -> None:
    for options in ({"latent": 10**9}, {"latent": 10**21}):
        with pytest.raises(ConfigError, match=r"out of memory|latent must be .* up to 2,147"):
            registry.get("vae").make({**MODEL, **options})
    with pytest.raises(ConfigError, match="encoder_blocks must be 0 or more, up to 1000"):
        registry.get("vae").make({**MODEL, "encoder_blocks": 10**12})


@pytest.mark.parametrize("held_out", [1, 2])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", SMALL)
def test_few_images(name: str, batch: int, held_out: int, toy: DataSet, tmp_path: Path) -> None:
    few = take_rows(toy, 3, held_out)
    AcceleratorState._reset_state(reset_partial_state=True)
    entry = registry.get(name)
    shown = {"image_size": 8, "channels": 1}
    if "input_channels" in entry.options():
        from zoo.data.pairs import make_pairs

        few = make_pairs(few, task="edges", direction="AtoB")
        assert few.train.inputs is not None
        shown["input_channels"] = few.train.inputs.shape[3]
    recipe = Recipe(data="toy", epochs=1, batch_size=batch, model=SMALL[name])
    if name in ("gan", "dcgan", "pix2pix-edges"):
        recipe = replace(recipe, adversarial={"fid_images": 0})
    model = entry.make({**SMALL[name], **shown})
    made = Trainer(name, model, make_task(entry, recipe), few, recipe, tmp_path, True, True)
    assert made.run() is None
    assert made.metrics and all(np.isfinite(value) for value in made.metrics.values())


def test_one_image_has_no_diversity(toy: DataSet) -> None:
    assert collapse.measure_diversity(toy.train.images, toy.test.images[:1]) == {}
    assert collapse.measure_diversity(toy.train.images, toy.test.images[:2])["pair_distance"] > 0


@pytest.mark.parametrize("kind", ["gaussian:0.1-0.5", "salt-pepper:0.1", "masking:0.2", "holes"])
def test_no_image_is_damaged_to_none(kind: str) -> None:
    damaged = corruption.parse(kind).apply(np.empty((0, 8, 8, 1), np.uint8), seed=3)
    assert damaged.shape[:3] == (0, 8, 8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model = 'x'", "model must be a table, got 'x'"),
        ("adversarial = [1]", "adversarial must be a table"),
        ("epochs = 1e3", "epochs must be an integer of at least 1, got 1000.0"),
        (f"epochs = {10**30}", r"epochs must be below 2\*\*63"),
        ("epochs = ", "is not valid TOML"),
        ("\udcff", "is not valid TOML"),
        (f"epochs = {'1' * 5000}", "is not valid TOML"),
        (f"x = {'[' * 5000}", "is not valid TOML"),
        (f"learning_rate = {10**400}", "learning_rate must be a number"),
        ("ema_decay = nan", "ema_decay must be a number"),
        ("schedule = {a = 1}", "schedule must be one of"),
        ("gpu = 'x'", "no table 'gpu'"),
        ("# gpu", "no table 'gpu'"),
        ("[gpu]\nmodel = 3", "model must be a table, got 3"),
    ],
)
def test_nonsense_in_a_recipe(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(text, errors="surrogateescape")
    with pytest.raises(ConfigError, match=message):
        load_recipe(tmp_path / "r.toml", {"size": "gpu"} if "gpu" in text else None)


def test_recipe_with_a_mark_in_front(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text("epochs = 3", encoding="utf-8-sig")
    assert load_recipe(tmp_path / "r.toml").epochs == 3


NONSENSE = ("abc", -1, 10**21, 10**400, float("nan"), float("inf"), True, [], [0, -1], [[1]], {})


@pytest.mark.parametrize("name", registry.MODELS)
def test_nonsense_in_the_options_of_a_model(name: str) -> None:
    """Every option with every kind of value builds a model or raises ConfigError."""
    entry = registry.get(name)
    for option in sorted(entry.options() - {"attributes", "domains"}):
        for value in NONSENSE:
            try:
                entry.make({option: value})
            except ConfigError as error:
                assert str(error)


@pytest.mark.parametrize("channels", [2, 4, 0, True, "3", 1.0])
def test_channels_that_images_have_not(channels: object, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros((20, 8, 8), np.uint8))
    with pytest.raises(ConfigError, match="channels must be 1 or 3, got"):
        data.load(str(tmp_path / "a.npz"), channels=channels)  # type: ignore[arg-type]
    for size in (0, -1, 10**6, "8", 8.0, True):
        with pytest.raises(ConfigError, match="the size of the images must be an integer from 1"):
            data.load(str(tmp_path / "a.npz"), size=size)  # type: ignore[arg-type]


def test_steps_that_leave_no_images(toy: DataSet, tmp_path: Path) -> None:
    recipe = Recipe(
        data="toy",
        epochs=1,
        batch_size=2,
        model=SMALL["gan"],
        adversarial={"discriminator_steps": 3},
    )
    AcceleratorState._reset_state(reset_partial_state=True)
    entry = registry.get("gan")
    model = entry.make({**SMALL["gan"], "channels": 1})
    made = Trainer("gan", model, make_task(entry, recipe), toy, recipe, tmp_path, True, True)
    with pytest.raises(
        ConfigError, match="discriminator_steps must be at most the 2 images of a step, got 3"
    ):
        made.one_step()


def test_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    host.setup_threads(None)
    with pytest.raises(ConfigError, match="threads: expected a number from 1 to 1024, got 100000"):
        host.setup_threads(100_000)
    monkeypatch.setenv("OMP_NUM_THREADS", "100000")
    with pytest.raises(ConfigError, match="OMP_NUM_THREADS: expected"):
        host.setup_threads(None)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    begun: list[object] = []

    def start(thread: threading.Thread) -> None:
        begun.append(thread)
        if len(begun) > 5:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(ConfigError, match="the system allows 5 more threads, got 9"):
        host.setup_threads(9)
    assert torch.get_num_threads() == before


def test_two_runs_into_one_folder(toy: DataSet, tmp_path: Path) -> None:
    def hook(step: int) -> None:
        if step == 2:
            with pytest.raises(OutputError, match="another run is writing it"):
                trainer(toy, RECIPE, tmp_path / "run").run()

    assert trainer(toy, RECIPE, tmp_path / "run", Hooked(hook)).run() is None


@pytest.mark.parametrize("number", signals.ENDING)
def test_every_signal_to_end_saves_first(number: int, toy: DataSet, tmp_path: Path) -> None:
    trained = trainer(toy, RECIPE, tmp_path, Hooked(lambda step: os.kill(os.getpid(), number)))
    before = signal.getsignal(number)
    assert trained.run() == number
    assert signal.getsignal(number) is before
    _, values = checkpoint.load_state(tmp_path / "last" / "state.safetensors")
    assert values["progress"]["step"] == 1


def test_what_is_ignored_does_not_end_training() -> None:
    """As after `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with host.catch_interrupt() as interrupt:
            os.kill(os.getpid(), signal.SIGHUP)
        assert not interrupt
    finally:
        signal.signal(signal.SIGHUP, before)
