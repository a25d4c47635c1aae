"""Edit attributes: `python -m zoo.edit --engine vae-faces.onnx face.png --add Smiling=1.5`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import COUNT, SPLITS, UINT64, Command, Integer, engine_options

if TYPE_CHECKING:
    from runtime import Generator
    from zoo.evaluation.editing_quality import Effect

STEPS = Integer(1, 100_000, "1 to 100000 steps")
STRIP_STEPS = 8
SAMPLES = 1000
LOW, HIGH = -2.0, 2.0

_EDITING = ("images", "add", "strip", "low", "high", "steps", "seed", "out", "overwrite")
_EVALUATING = ("data", "split", "count", "amount", "report")
_OPTIONS = {"low": "--from", "high": "--to", "report": "--json", "images": "IMAGES"}


@click.command(cls=Command)
@click.argument("images", nargs=-1)
@engine_options
@click.option("--add", multiple=True, metavar="NAME=α", help="Add α times the attribute; repeat.")
@click.option("--strip", multiple=True, metavar="NAME", help="A strip over α; repeat for more.")
@click.option("--from", "low", type=float, metavar="α", help=f"Start of a strip.  [{LOW:g}]")
@click.option("--to", "high", type=float, metavar="α", help=f"End of a strip.  [{HIGH:g}]")
@click.option(
    "--steps",
    type=STEPS,
    metavar="N",
    help=f"N + 1 images, of a strip [{STRIP_STEPS}] or on the way to the edit [only the edit].",
)
@click.option("--seed", type=UINT64, default=0, help="Seed of the run that sample:I is from.")
@click.option(
    "--out",
    default="edited.png",
    metavar="PATH",
    help="A grid .png, a .gif, .npy, .npz, or a folder of PNGs (no suffix, or a / at the end).",
)
@click.option("--resize", is_flag=True, help="Fit images to the engine's size and channels.")
@click.option("--overwrite", is_flag=True, help="Write into a folder that is not empty.")
@click.option("--evaluate", metavar="CLASSIFIER", help="Measure on --data how often edits take.")
@click.option("--data", metavar="SET", help="Data set with attributes or classes.")
@click.option("--split", type=click.Choice(SPLITS), default="test")
@click.option("-n", "--count", type=COUNT, metavar="N", help="Only the first n images.")
@click.option("--amount", type=float, default=1.0, metavar="α", help="α of the evaluation.")
@click.option("--json", "report", metavar="FILE", help="Write the evaluation as JSON as well.")
def main(engine: str, evaluate: str | None, **options: Any) -> None:
    """Change attributes of images: decode h + Σ α·h_dif with h = the encoder's μ.

    h_dif of an attribute is the mean latent of the training images with it minus
    that of those without. IMAGES are pictures, folders, .npy, .npz or IDX files,
    `seed:K`, `sample:I` or `latent:FILE` (what zoo.invert saved). A grid has the
    original, its reconstruction and the edit; other formats hold the edited images
    only. A .gif of a strip moves all images side by side.

    --evaluate edits every image of --data in each attribute, to what the image is
    not, and lets the CLASSIFIER say how often that takes and how often its other
    decisions change. Of a generator without an encoder it edits the first -n samples
    of seed 0 (1,000) in what the CLASSIFIER sees in them.
    """
    from zoo.applications import editing
    from zoo.engines import open_generator
    from zoo.errors import ConfigError

    given = {name: options.pop(name) for name in (*_EDITING, *_EVALUATING)}
    if evaluate is None:
        _refuse_others(_EVALUATING, "goes with --evaluate")
    else:
        _refuse_others(_EDITING, "does not go with --evaluate")
    resize = options.pop("resize")
    with open_generator(engine, **options) as generator:
        directions = editing.of_engine(generator)
        if evaluate is not None:
            measured = {name: given[name] for name in _EVALUATING}
            _evaluate(generator, directions, evaluate, resize, options, **measured)
            return
        if not (given["add"] or given["strip"]):
            raise ConfigError(
                f"nothing to do: expected --add NAME=α, --strip NAME or --evaluate; "
                f"{Path(generator.path).name} knows {', '.join(directions)}"
            )
        _edit(generator, directions, resize, options, **{name: given[name] for name in _EDITING})


def _refuse_others(names: tuple[str, ...], why: str) -> None:
    from click.core import ParameterSource

    from zoo.errors import ConfigError

    context = click.get_current_context()
    for name in names:
        if context.get_parameter_source(name) == ParameterSource.COMMANDLINE:
            raise ConfigError(f"{_OPTIONS.get(name, f'--{name}')} {why}")


def _edit(
    generator: Generator,
    directions: dict[str, Any],
    resize: bool,
    options: dict[str, Any],
    *,
    images: tuple[str, ...],
    add: tuple[str, ...],
    strip: tuple[str, ...],
    low: float | None,
    high: float | None,
    steps: int | None,
    seed: int,
    out: str,
    overwrite: bool,
) -> None:
    from zoo.applications import editing, points
    from zoo.applications import editing_pictures as pictures
    from zoo.data import inputs
    from zoo.errors import ConfigError
    from zoo.images import sinks

    sinks.check(out, 1, overwrite)
    amounts = editing.parse(add, directions)
    editing.check(directions, [*amounts, *strip])
    if not strip and (low is not None or high is not None):
        raise ConfigError("--from and --to are the ends of a --strip")
    if not images:
        raise ConfigError("no IMAGES given")
    if strip:
        ends = (LOW if low is None else low, HIGH if high is None else high)
        plan = pictures.strips(directions, amounts, strip, *ends, steps or STRIP_STEPS)
    elif steps:
        plan = pictures.way(directions, amounts, steps)
    else:
        plan = pictures.single(directions, amounts)
    skipped: list[tuple[str, str]] = []
    sources = points.read(generator, images, seed, resize, skipped, **options)
    inputs.report(skipped)
    pictures.write(generator, sources, plan, out, overwrite)
    those = sources[0].name if len(sources) == 1 else f"{len(sources):,} images"
    click.echo(f"{those}, {plan.title}: {out}")


def _evaluate(
    generator: Generator,
    directions: dict[str, Any],
    evaluate: str,
    resize: bool,
    options: dict[str, Any],
    *,
    data: str | None,
    split: str,
    count: int | None,
    amount: float,
    report: str | None,
) -> None:
    import math
    from contextlib import ExitStack

    from runtime import Classifier
    from zoo.data.inputs import open_source, report_skipped
    from zoo.engines import has_encoder, open_encoder, resolve
    from zoo.errors import ConfigError
    from zoo.evaluation import editing_quality
    from zoo.images import atomic
    from zoo.progress import Progress

    name, encodes = Path(generator.path).name, has_encoder(Path(generator.path))
    if data is None and encodes:
        raise ConfigError("--evaluate needs --data SET")
    if data is not None and not encodes:
        raise ConfigError(
            f"--data: {name} has no encoder to read images; leave it out, to edit samples"
        )
    if not encodes and generator.prior == "none":
        raise ConfigError(f"--evaluate: {name} has neither an encoder nor a prior to sample from")
    if not (math.isfinite(amount) and amount > 0):
        raise ConfigError(f"--amount: expected a finite α above 0, got {amount}")
    if report is not None:
        atomic.check_file(report)
    with ExitStack() as stack:
        classifier = stack.enter_context(Classifier(resolve(evaluate, **options), **options))
        if classifier.image_shape != generator.image_shape:
            raise ConfigError(
                f"{evaluate} takes images of {classifier.image_shape}, and "
                f"{name} makes {generator.image_shape}"
            )
        source = None
        if data is not None:
            source = open_source((), data, split, generator.image_shape, resize, limit=count)
            report_skipped(source)
        names = editing_quality.shared(directions, classifier.names, source)
        total = (count or SAMPLES) if source is None else source.total or 0
        progress = stack.enter_context(Progress(total))
        if source is None:
            blocks = editing_quality.drawn(generator, names, classifier, total, 0, progress.advance)
        else:
            encoder = stack.enter_context(open_encoder(generator, **options))
            blocks = editing_quality.labelled(source, names, encoder, progress.advance)
        effects = editing_quality.evaluate(blocks, names, generator, classifier, directions, amount)
        document = {
            "engine": name,
            "classifier": Path(evaluate).name,
            "data": source.name if source else "samples",
            "images": total,
            "amount": amount,
            **editing_quality.summary(effects),
        }
    if report is not None:
        import json

        with atomic.replacing(report) as temporary:
            temporary.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n")
    click.echo(
        f"{total:,} images of {document['data']}, edited by α = ±{amount:g}, "
        f"judged by {Path(evaluate).name}"
    )
    _print(effects, document["mean"])
    if report is not None:
        click.echo(report)


def _print(effects: list[Effect], mean: dict[str, float | None]) -> None:
    """A table, best attribute first, and the means."""
    width = max(len("attribute"), *(len(effect.name) for effect in effects))
    heads = ("added", "took", "removed", "took", "all", "others changed")
    click.echo(
        f"{'attribute':{width}}" + "".join(f"{head:>10}" for head in heads[:-1]) + "  " + heads[-1]
    )
    for effect in effects:
        click.echo(
            f"{effect.name:{width}}{effect.added:>10,}{_share(effect.added_success):>10}"
            f"{effect.removed:>10,}{_share(effect.removed_success):>10}"
            f"{_share(effect.success):>10}{_share(effect.others):>16}"
        )
    click.echo(
        f"{'mean':{width}}{'':10}{_share(mean['added_success']):>10}{'':10}"
        f"{_share(mean['removed_success']):>10}{_share(mean['success']):>10}"
        f"{_share(mean['others']):>16}"
    )


def _share(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.1%}"


if __name__ == "__main__":
    main()
