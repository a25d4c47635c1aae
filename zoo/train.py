"""Train a model: `python -m zoo.train vae --data fashion-mnist --epochs 20 --out runs/vae`."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import COUNT, Command
from zoo.errors import ConfigError

if TYPE_CHECKING:
    from zoo.data import DataSet
    from zoo.training.loop import Trainer
    from zoo.training.recipe import Recipe


@click.command(cls=Command)
@click.argument("model")
@click.option("--data", metavar="SET", help="Data set name, folder, .npz, or pairs A:B.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run [runs/MODEL].")
@click.option("--recipe", "recipe_file", type=click.Path(path_type=Path), help="TOML recipe.")
@click.option("--size", metavar="NAME", help="Size of the recipe: cpu or gpu.  [cpu]")
@click.option("--epochs", type=COUNT, help="Passes over the training images.")
@click.option("--batch-size", type=COUNT, help="Images of a step, over all processes.")
@click.option("--learning-rate", type=float, help="Highest learning rate.")
@click.option("--precision", metavar="NAME", help="fp32, bf16 or fp16 (mixed).")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Seed of everything random.")
@click.option("--latent", type=COUNT, help="Width of the latent vector.")
@click.option("--beta", type=float, help="Weight of the KL term.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Any other option of the model, or as adversarial.NAME of the game; may be repeated.",
)
@click.option(
    "--exclude", multiple=True, metavar="CLASS", help="Leave this class out of the training."
)
@click.option("--image-size", type=COUNT, help="Resize the images to this side, in pixels.")
@click.option("--max-seconds", type=click.FloatRange(min=0), help="Stop after this time.")
@click.option("--threads", type=COUNT, help="CPU threads.")
@click.option("--cpu", is_flag=True, help="Train on the CPU, even if there is a GPU.")
@click.option("--resume", is_flag=True, help="Go on where the run in --out stopped.")
@click.option("--dry-run", is_flag=True, help="Take one step, print what a run is, write nothing.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def main(
    model: str,
    out: Path | None,
    recipe_file: Path | None,
    latent: int | None,
    beta: float | None,
    image_size: int | None,
    settings: tuple[str, ...],
    exclude: tuple[str, ...],
    max_seconds: float | None,
    threads: int | None,
    cpu: bool,
    resume: bool,
    dry_run: bool,
    quiet: bool,
    **fields: Any,
) -> int:
    """Train MODEL (see `python -m zoo.list`) by its recipe; options replace what the recipe says.

    Writes to --out: checkpoint.safetensors and config.json (what `python -m export` reads),
    metrics.jsonl, tensorboard/, pictures/, and last/, from which --resume goes on. Ctrl-C saves and
    exits with 130. Several GPUs or processes: `accelerate launch -m zoo.train …`.
    """
    from zoo.host import keep_freed_memory, memory_errors, setup_threads

    if max_seconds is not None and math.isnan(max_seconds):
        raise ConfigError("--max-seconds: expected a number of seconds, got nan")
    keep_freed_memory()
    setup_threads(threads)
    out = out or Path("runs") / model
    options = {"latent": latent, "beta": beta, "image_size": image_size}
    overrides = {name: value for name, value in fields.items() if value is not None}
    if exclude:
        overrides["exclude"] = list(exclude)
    overrides |= _settings(settings)
    given = {name: value for name, value in options.items() if value is not None}
    overrides["model"] = given | overrides["model"]
    recipe = _recipe(model, recipe_file, overrides, out if resume else None)
    if not resume and not dry_run and (out / "last" / "state.safetensors").exists():
        raise ConfigError(f"{out} already holds a run: continue it with --resume, or choose --out")
    with memory_errors(recipe.batch_size):
        trainer = _trainer(model, recipe, out, cpu, quiet)
    if resume:
        trainer.resume()
    if not trainer.quiet or dry_run:
        click.echo(_describe(trainer))
    if dry_run:
        losses = ", ".join(f"{name} {value:.2f}" for name, value in trainer.one_step().items())
        click.echo(f"first step: {losses}\nnothing was written")
        return 0
    stopped = trainer.run(math.inf if max_seconds is None else max_seconds)
    trainer.close()
    if stopped is not None:
        click.echo(f"interrupted; saved in {out}, --resume goes on", err=True)
        return _leave(trainer, 128 + stopped)
    if trainer.accelerator.is_main_process:
        for name, value in trainer.metrics.items():
            click.echo(f"{name:20} {value:.3f}")
        click.echo(f"{trainer.progress.seconds:.0f} s; results in {out}")
    return _leave(trainer, 0)


def _leave(trainer: Trainer, status: int) -> int:
    """Return the exit status; one of several processes ends here.

    Threads that PyTorch keeps for communication and gradients now and then abort a process while
    the interpreter is taken down, though all it had to do is done and written.
    """
    if trainer.accelerator.num_processes > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def _settings(settings: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """`("beta=0.5", "adversarial.r1=1")` as the tables of a recipe, `model` and `adversarial`.

    A value that is no TOML is a string.
    """
    import tomllib

    tables: dict[str, dict[str, Any]] = {"model": {}, "adversarial": {}}
    for setting in settings:
        name, _, value = setting.partition("=")
        table, _, option = name.rpartition(".")
        chosen = tables.get(table or "model")
        if chosen is None or not option or not value:
            raise ConfigError(f"--set {setting}: expected NAME=VALUE or adversarial.NAME=VALUE")
        try:
            chosen[option] = tomllib.loads(f"value = {value}")["value"]
        except (ValueError, RecursionError):
            chosen[option] = value
    return tables


def _recipe(
    model: str, file: Path | None, overrides: dict[str, Any], resumed: Path | None
) -> Recipe:
    from zoo.models import registry
    from zoo.training import checkpoint
    from zoo.training.recipe import FOLDER, from_dict, load_recipe, merged

    registry.get(model)
    if resumed is None:
        return load_recipe(file or FOLDER / f"{model}.toml", overrides)
    saved = checkpoint.load_state(resumed / "last" / "state.safetensors")[1]["recipe"]
    return from_dict(merged(saved, overrides))


def _trainer(model: str, recipe: Recipe, out: Path, cpu: bool, quiet: bool) -> Trainer:
    import torch

    from zoo import data
    from zoo.data.inputs import report_skipped
    from zoo.models import registry
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
        loaded = _paired(loaded, recipe.model)
        assert loaded.train.inputs is not None
        shape["input_channels"] = loaded.train.inputs.shape[3]
    shape |= {"image_size": loaded.image_size, "channels": loaded.channels}
    if "attributes" in entry.options():
        shape["attributes"] = loaded.attributes
    if "classes" in entry.options():
        shape["classes"] = len(loaded.classes)
    torch.manual_seed(recipe.seed)
    made = entry.make({**recipe.model, **shape})
    return Trainer(model, made, make_task(entry, recipe), loaded, recipe, out, cpu, quiet)


def _paired(loaded: DataSet, options: dict[str, Any]) -> DataSet:
    """The data with the inputs that a model of pairs is trained on."""
    from zoo.data.pairs import paired

    chosen = {name: options[name] for name in ("task", "direction") if name in options}
    return paired(loaded, **{"task": "pairs", **chosen})


def _describe(trainer: Trainer) -> str:
    recipe, data = trainer.recipe, trainer.data
    parameters = sum(parameter.numel() for parameter in trainer.model.parameters())
    return (
        f"{trainer.name}: {parameters:,} parameters, on {trainer.device}, {recipe.precision}, "
        f"{trainer.accelerator.num_processes} process(es)\n"
        f"{data.name}: {len(data.train):,} training, {len(data.validation):,} validation and "
        f"{len(data.test):,} test images, "
        f"{data.image_size}×{data.image_size}×{data.channels}\n"
        f"{recipe.epochs} epochs of {trainer.steps_per_epoch} steps of {recipe.batch_size} images"
    )


if __name__ == "__main__":
    main()
