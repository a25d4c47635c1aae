"""Training runs from recipe to results; importing it does not import PyTorch."""

from __future__ import annotations

import math
import os
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import data
from zoo.data import DataSet
from zoo.data.pairs import make_pairs
from zoo.errors import ConfigError
from zoo.host import keep_freed_memory, memory_errors, setup_threads
from zoo.inference.inputs import report_skipped
from zoo.models import registry
from zoo.training.recipe import FOLDER, Recipe, from_dict, load_recipe, merge_tables

if TYPE_CHECKING:
    from zoo.training.loop import Trainer


def train_model(
    model: str,
    *,
    out: Path | None = None,
    recipe_file: Path | None = None,
    latent: int | None = None,
    beta: float | None = None,
    image_size: int | None = None,
    settings: tuple[str, ...] = (),
    exclude: tuple[str, ...] = (),
    max_seconds: float | None = None,
    threads: int | None = None,
    cpu: bool = False,
    resume: bool = False,
    dry_run: bool = False,
    quiet: bool = False,
    **fields: Any,
) -> int:
    """Train a model by its recipe; the arguments are the options of `zoo.train`.

    `fields` are those of the recipe. Prints a description of the run and its results. Returns the
    exit status: 0, or 128 plus the number of the signal that stopped it. Raises ConfigError,
    DataError, OutputError, TrainingError.
    """
    if max_seconds is not None and math.isnan(max_seconds):
        raise ConfigError("--max-seconds: expected a number of seconds, got nan")
    keep_freed_memory()
    setup_threads(threads)
    out = out or Path("runs") / model
    options = {"latent": latent, "beta": beta, "image_size": image_size}
    overrides = {name: value for name, value in fields.items() if value is not None}
    if exclude:
        overrides["exclude"] = list(exclude)
    overrides |= _parse_settings(settings)
    chosen = {name: value for name, value in options.items() if value is not None}
    overrides["model"] = chosen | overrides["model"]
    recipe = _load_recipe(model, recipe_file, overrides, out if resume else None)
    if not resume and not dry_run and (out / "last" / "state.safetensors").exists():
        raise ConfigError(f"{out} already holds a run: continue it with --resume, or choose --out")
    with memory_errors(recipe.batch_size):
        trainer = _build_trainer(model, recipe, out, cpu, quiet)
    if resume:
        trainer.resume()
    if not trainer.quiet or dry_run:
        print(_describe(trainer), flush=True)
    if dry_run:
        losses = ", ".join(f"{name} {value:.2f}" for name, value in trainer.one_step().items())
        print(f"first step: {losses}\nnothing was written")
        return 0
    stopped = trainer.run(math.inf if max_seconds is None else max_seconds)
    trainer.close()
    if stopped is not None:
        print(f"interrupted; saved in {out}, continue with --resume", file=sys.stderr)
        return _exit(trainer, 128 + stopped)
    if trainer.accelerator.is_main_process:
        for name, value in trainer.metrics.items():
            print(f"{name:20} {value:.3f}")
        print(f"{trainer.progress.seconds:.0f} s; results in {out}")
    return _exit(trainer, 0)


def _exit(trainer: Trainer, status: int) -> int:
    """Return the exit status; in a run of several processes, exit here.

    Threads that PyTorch keeps for communication and gradients sometimes abort a process while the
    interpreter shuts down, although its work is complete.
    """
    if trainer.accelerator.num_processes > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def _parse_settings(settings: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Parse `("beta=0.5", "adversarial.r1=1")` into the tables `model` and `adversarial`.

    A value that is not TOML is a string.
    """
    tables: dict[str, dict[str, Any]] = {"model": {}, "adversarial": {}}
    for setting in settings:
        name, _, value = setting.partition("=")
        table, _, option = name.rpartition(".")
        options = tables.get(table or "model")
        if options is None or not option or not value:
            raise ConfigError(f"--set {setting}: expected NAME=VALUE or adversarial.NAME=VALUE")
        try:
            options[option] = tomllib.loads(f"value = {value}")["value"]
        except (ValueError, RecursionError):
            options[option] = value
    return tables


def _load_recipe(
    model: str, file: Path | None, overrides: dict[str, Any], resumed: Path | None
) -> Recipe:
    registry.get(model)
    if resumed is None:
        return load_recipe(file or FOLDER / f"{model}.toml", overrides)
    from zoo.training import checkpoint

    saved = checkpoint.load_state(resumed / "last" / "state.safetensors")[1]["recipe"]
    return from_dict(merge_tables(saved, overrides))


def _build_trainer(model: str, recipe: Recipe, out: Path, cpu: bool, quiet: bool) -> Trainer:
    import torch

    from zoo.training.loop import Trainer
    from zoo.training.task import make_task

    entry = registry.get(model)
    loaded = data.load(
        recipe.data, size=recipe.model.get("image_size"), channels=recipe.model.get("channels")
    )
    if int(os.environ.get("RANK", "0")) == 0:
        report_skipped(loaded)
    loaded = loaded.without(recipe.exclude) if recipe.exclude else loaded
    shape: dict[str, Any] = {}
    if "input_channels" in entry.options():
        loaded = _add_inputs(loaded, recipe.model)
        assert loaded.train.inputs is not None
        shape["input_channels"] = loaded.train.inputs.shape[3]
    shape |= {"image_size": loaded.image_size, "channels": loaded.channels}
    if "attributes" in entry.options():
        shape["attributes"] = loaded.attributes
    if "classes" in entry.options():
        if not loaded.classes:
            unnamed = loaded.train.labels is not None
            raise ConfigError(
                f"{model} learns classes, and {loaded.name} has "
                + (
                    "labels without their names: the array `classes` is missing"
                    if unnamed
                    else "none: expected a folder of pictures for each, or arrays with labels"
                )
            )
        shape["classes"] = len(loaded.classes)
    torch.manual_seed(recipe.seed)
    network = entry.make({**recipe.model, **shape})
    return Trainer(model, network, make_task(entry, recipe), loaded, recipe, out, cpu, quiet)


def _add_inputs(loaded: DataSet, options: dict[str, Any]) -> DataSet:
    """Add the inputs that a model of pairs is trained on."""
    chosen = {name: options[name] for name in ("task", "direction") if name in options}
    return make_pairs(loaded, **{"task": "pairs", **chosen})


def _describe(trainer: Trainer) -> str:
    recipe, data = trainer.recipe, trainer.data
    parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
    return (
        f"{trainer.name}: {parameters:,} parameters, on {trainer.device}, {recipe.precision}, "
        f"{trainer.accelerator.num_processes} process(es)\n"
        f"{data.summary()}\n"
        f"{recipe.epochs} epochs of {trainer.steps_per_epoch} steps of {recipe.batch_size} images"
    )
