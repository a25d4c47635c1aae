"""Measure a model's images: `python -m zoo.evaluate --engine vae.onnx --data fashion-mnist`."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import COUNT, UINT64, Command, engine_options

if TYPE_CHECKING:
    from runtime import Generator, Translator
    from zoo.data import DataSet
    from zoo.evaluation.attributes import AttributeJudge
    from zoo.evaluation.features import FeatureNetwork
    from zoo.evaluation.output import Pair

SAMPLES = 10_000
"""Images that a generator is measured by, by default."""

SEEDS = 3
"""Seeds that they are drawn with, by default."""


@dataclass(frozen=True)
class _Request:
    """What was asked for; `model` is None where PyTorch's should be left out."""

    engine: str
    count: int | None
    seed: int
    seeds: int
    model: Path | None
    metrics: list[str] | None
    verbose: bool


@click.command(cls=Command)
@engine_options
@click.option(
    "--data", metavar="SET", help="Data set name, folder of pictures, or .npz [as trained on]."
)
@click.option(
    "-n", "--count", type=COUNT, metavar="N", help="Images [10,000, or all to be translated]."
)
@click.option("--seed", type=UINT64, default=0, help="Seed of the samples, or of the damage.")
@click.option("--seeds", type=COUNT, metavar="N", help="Seeds of the samples, for intervals.  [3]")
@click.option(
    "--features",
    metavar="NETWORK",
    help="fashion-classifier, efficientnet-lite0, inception, or a classifier engine with features "
    "[by the images' channels].",
)
@click.option(
    "--weights", type=click.Path(path_type=Path), help="pt_inception-2015-12-05.pth, for inception."
)
@click.option(
    "--metrics", metavar="LIST", help="Only these, of fid,kid,is,manifolds,modes,attributes."
)
@click.option(
    "--run",
    "run_dir",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Folder of the training run, to measure its PyTorch model [the engine's own weights].",
)
@click.option("--no-model", is_flag=True, help="Do not measure the PyTorch model as well.")
@click.option("--json", "out", metavar="FILE", help="Write everything as JSON too.")
@click.option("-v", "--verbose", is_flag=True, help="Say more on stderr.")
def main(
    engine: str,
    data: str | None,
    count: int | None,
    seed: int,
    seeds: int | None,
    features: str | None,
    weights: Path | None,
    metrics: str | None,
    run_dir: Path | None,
    no_model: bool,
    out: str | None,
    verbose: bool,
    **options: Any,
) -> None:
    """Measure how good the images of an engine are, and how much its export changed them.

    A generator's samples are compared with real images, as many of them, test
    images first: FID (Heusel et al. 2017), KID (Bińkowski et al. 2018), Inception
    score (Salimans et al. 2016), precision and recall (Kynkäänniemi et al. 2019),
    density and coverage (Naeem et al. 2020), and where the network knows the
    classes of the data the share of classes that samples fall into, and
    KL(samples ‖ real) of the classes in nats; where the data has attributes, how
    far the share of images with an attribute is from that of real images.

    A translator's outputs are compared with what they should be: PSNR, SSIM and
    mean absolute difference, beside those of its input, and as sets by FID and KID;
    where the data has attributes, also whether they are still those of the images.
    One that gives images other attributes (StarGAN) is measured by how often that
    takes, and what else it changes.

    A conditional generator makes images of all classes in turn; the share that the
    network puts into the class asked for is the label accuracy.

    Samples are drawn with --seeds seeds, --seed and those after it; numbers are
    means over them, with 95 % confidence intervals. Two numbers that differ by less
    than other seeds might change are not called different.

    Beside every number stands its floor: the same number for as many other real
    images, by the same network. A distance means nothing without its network,
    nor at another number of images. FIDs in papers are Inception's; for them give
    --features inception --weights pt_inception-2015-12-05.pth (any colour or grey
    images; the file is published with pytorch-fid, and never downloaded here).

    The PyTorch model is measured on the same noise: the difference is what the
    export changed. Needs the extra `evaluate`.
    """
    from runtime import manifest
    from zoo import data as sets
    from zoo.data.inputs import report_skipped
    from zoo.engines import resolve
    from zoo.errors import ConfigError
    from zoo.evaluation import output
    from zoo.evaluation.attributes import shipped_judge
    from zoo.host import keep_freed_memory
    from zoo.images import atomic

    keep_freed_memory()
    if no_model and run_dir is not None:
        raise ConfigError("expected --run or --no-model, got both")
    if out is not None:
        atomic.check_file(out)
    path = resolve(engine, **options)
    document = manifest.read(path)
    role = document["role"]
    if role not in ("generator", "translator"):
        raise ConfigError(f"{engine}: expected a generator or a translator, got the {role}")
    name = data or str(document["training"]["data"])
    if data is None and name not in sets.NAMES:
        raise ConfigError(f"{engine} was trained on {name}, which has no --data name: give --data")
    chosen = None if metrics is None else [part.strip() for part in metrics.split(",")]
    model = None if no_model else run_dir or path
    if role != "generator" and seeds is not None:
        raise ConfigError("--seeds is for generators")
    seeds = seeds or SEEDS
    if seed + seeds > 2**64:
        raise ConfigError(f"seed: expected {seeds} seeds below 2^64, got {seed} and those after it")
    request = _Request(str(path), count, seed, seeds, model, chosen, verbose)
    started = time.monotonic()
    measure = _generator if role == "generator" else _translator
    with ExitStack() as stack:
        opened = stack.enter_context(_open(path, role, options))
        height, _, channels = opened.image_shape
        loaded = sets.load(name, height, channels)
        report_skipped(loaded)
        network = _network(features, weights, channels, height)
        judge = stack.enter_context(shipped_judge(loaded))
        pairs = measure(opened, loaded, network, judge, request)
    for pair in pairs:
        click.echo("\n".join([*output.text(pair, network), ""]))
    if (found := output.note(document)) is not None:
        click.echo(f"note: {found}")
    click.echo(f"{time.monotonic() - started:.0f} s")
    if out is not None:
        output.write(out, pairs, document, network)
        click.echo(out)


def _open(path: Path, role: str, options: dict[str, Any]) -> Any:
    from zoo.engines import open_generator, open_translator

    opener: Any = open_generator if role == "generator" else open_translator
    return opener(str(path), **options)


def _network(
    features: str | None, weights: Path | None, channels: int, size: int
) -> FeatureNetwork:
    from zoo.evaluation import features as networks

    return networks.load(features or networks.default_name(channels), weights, size)


def _generator(
    generator: Generator,
    data: DataSet,
    network: FeatureNetwork,
    judge: AttributeJudge | None,
    request: _Request,
) -> list[Pair]:
    from zoo.evaluation import references, sampling
    from zoo.evaluation.report import Report, over_seeds
    from zoo.evaluation.yardstick import Yardstick
    from zoo.progress import Progress

    count = request.count or SAMPLES
    seeds = range(request.seed, request.seed + request.seeds)
    drawn = [sampling.of_engine(generator, count, seed) for seed in seeds]
    reference = references.choose(data, count)
    yardstick = Yardstick(network, reference, judge, request.metrics)
    model = _model(sampling.TorchGenerator, request.model)
    asked = sampling.labels(generator.manifest, count)
    sets = [(Path(generator.path).name, drawn)]
    if model is not None:
        sets.append((_TORCH, [model.images(count, seed) for seed in seeds]))
    reports = []
    with Progress(count * (2 + len(seeds) * len(sets)), request.verbose) as progress:
        yardstick.prepare(progress.advance)
        for title, of_seeds in sets:
            found = []
            for seed, images in zip(seeds, of_seeds, strict=True):
                # The features of one seed at a time.
                measured = yardstick.measure(images, count, progress.advance)
                metrics = yardstick.metrics(measured)
                if asked is not None and (right := yardstick.label_accuracy(measured, asked)):
                    metrics = (*metrics, right)
                found.append(Report(title, str(reference.real), count, seed, metrics))
            reports.append(over_seeds(found))
    return [(reports[0], reports[1] if model else None)]


def _translator(
    translator: Translator,
    data: DataSet,
    network: FeatureNetwork,
    judge: AttributeJudge | None,
    request: _Request,
) -> list[Pair]:
    from zoo.errors import ConfigError
    from zoo.evaluation import sampling, translators
    from zoo.evaluation.cases import cases
    from zoo.progress import Progress

    if request.metrics is not None:
        raise ConfigError("--metrics is for generators")
    yardstick = translators.make_yardstick(network, data, request.count, judge)
    ways = cases(translator, data)
    name = Path(translator.path).name
    model = _model(lambda path: sampling.TorchTranslator(path, translator), request.model)
    count, pairs = len(yardstick.reference.floor), []
    with Progress(count * (2 + len(ways) * (2 if model else 1)), request.verbose) as progress:
        yardstick.prepare(progress.advance)
        for case in ways:
            reports = [
                translators.evaluate(made, title, case, yardstick, request.seed, progress.advance)
                for made, title in ((translator, f"{name}, {case.name}"), (model, _TORCH))
                if made is not None
            ]
            pairs.append((reports[0], reports[1] if model else None))
    return pairs


_TORCH = "PyTorch"


def _model(make: Any, path: Path | None) -> Any:
    """The PyTorch model, or None where it is not wanted or cannot be had, saying why.

    What was asked for by --run must be there.
    """
    from zoo.errors import ConfigError, TrainingError

    if path is None:
        return None
    try:
        return make(path)
    except (ConfigError, TrainingError, ModuleNotFoundError) as error:
        if path.suffix != ".onnx":
            raise
        click.echo(f"the PyTorch model is left out: {error}", err=True)
        return None


if __name__ == "__main__":
    main()
