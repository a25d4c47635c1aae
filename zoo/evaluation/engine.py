"""How good the images of an engine are, and how much its export changed them."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime import Generator, Translator, manifest
from zoo import data as sets
from zoo.data import DataSet
from zoo.engines import ONNX, find, open_generator, open_translator, resolve
from zoo.errors import ConfigError, TrainingError
from zoo.evaluation import features as networks
from zoo.evaluation import output, references, sampling, translators
from zoo.evaluation.attributes import AttributeJudge, shipped_judge
from zoo.evaluation.cases import cases
from zoo.evaluation.features import FeatureNetwork
from zoo.evaluation.output import Pair
from zoo.evaluation.report import Report, over_seeds
from zoo.evaluation.yardstick import Yardstick
from zoo.host import keep_freed_memory
from zoo.images import atomic
from zoo.inference.inputs import report_skipped
from zoo.progress import Progress

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


def evaluate_engine(
    engine: str,
    *,
    data: str | None = None,
    count: int | None = None,
    seed: int = 0,
    seeds: int | None = None,
    features: str | None = None,
    weights: Path | None = None,
    metrics: str | None = None,
    run_dir: Path | None = None,
    no_model: bool = False,
    out: str | None = None,
    verbose: bool = False,
    **options: Any,
) -> list[str]:
    """Measure the samples of a generator, or the outputs of a translator.

    The arguments are the options of `zoo.evaluate`, `options` those of runtime.Generator. Returns
    what was measured, as lines of text. Raises ConfigError, DataError, OutputError, and the errors
    of zoo.engines.
    """
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
    model = None if no_model else run_dir or _weights(path, document)
    if role != "generator" and seeds is not None:
        raise ConfigError("--seeds is for generators")
    seeds = seeds or SEEDS
    if seed + seeds > 2**64:
        raise ConfigError(f"seed: expected {seeds} seeds below 2^64, got {seed} and those after it")
    request = _Request(str(path), count, seed, seeds, model, chosen, verbose)
    started = time.monotonic()
    opener: Any = open_generator if role == "generator" else open_translator
    measure = _generator if role == "generator" else _translator
    with ExitStack() as stack:
        opened = stack.enter_context(opener(str(path), **options))
        height, _, channels = opened.image_shape
        loaded = sets.load(name, height, channels)
        report_skipped(loaded)
        network = networks.load(features or networks.default_name(channels), weights, height)
        judge = stack.enter_context(shipped_judge(loaded))
        pairs = measure(opened, loaded, network, judge, request)
    said = [line for pair in pairs for line in (*output.text(pair, network), "")]
    if (found := output.note(document)) is not None:
        said.append(f"note: {found}")
    said.append(f"{time.monotonic() - started:.0f} s")
    if out is not None:
        output.write(out, pairs, document, network)
        said.append(out)
    return said


def _generator(
    generator: Generator,
    data: DataSet,
    network: FeatureNetwork,
    judge: AttributeJudge | None,
    request: _Request,
) -> list[Pair]:
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


def _weights(path: Path, document: dict[str, Any]) -> Path | None:
    """The engine file with an engine's weights: its own, or the one that a plan was built from.

    That has the plan's name and lies beside it, or is shipped. None, after a line that says so,
    where there is no such file, or one of another model.
    """
    if "plan" not in document:
        return path
    source = path.with_suffix(ONNX)
    found = find(source) or find(source.name)
    same = "checkpoint_sha256"
    if found is not None and manifest.read(found).get(same) == document.get(same):
        return found
    print(
        f"the PyTorch model is left out: {path.name} is a plan, whose weights PyTorch cannot read, "
        f"and there is no {source.name} of the same model beside it (--run PATH of the training "
        "run has them too)",
        file=sys.stderr,
    )
    return None


def _model(make: Any, path: Path | None) -> Any:
    """The PyTorch model, or None where it is not wanted or cannot be had, saying why.

    What was asked for by --run must be there.
    """
    if path is None:
        return None
    try:
        return make(path)
    except (ConfigError, TrainingError, ModuleNotFoundError) as error:
        if path.suffix != ".onnx":
            raise
        print(f"the PyTorch model is left out: {error}", file=sys.stderr)
        return None


__all__ = ["evaluate_engine"]
