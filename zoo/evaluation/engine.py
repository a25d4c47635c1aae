"""Evaluation of an engine, and of the PyTorch model that it was exported from."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime import Generator, Translator, manifest
from zoo import data as sets
from zoo.data import DataSet, find_named
from zoo.data.domains import domain_names
from zoo.data.styles import AVATAAARS
from zoo.engines import ONNX, find, open_generator, open_translator, resolve
from zoo.errors import ConfigError, TrainingError
from zoo.evaluation import face_edits, output, references, sampling, translators
from zoo.evaluation import features as networks
from zoo.evaluation.attributes import AttributeJudge, shipped_judge
from zoo.evaluation.cases import edit_domains, list_cases
from zoo.evaluation.face_edits import Truth
from zoo.evaluation.features import FeatureNetwork
from zoo.evaluation.output import Pair
from zoo.evaluation.report import Report, over_seeds
from zoo.evaluation.yardstick import Yardstick
from zoo.host import keep_freed_memory
from zoo.images import atomic
from zoo.inference.inputs import report_skipped
from zoo.progress import Progress

SAMPLES = 10_000
"""Default number of a generator's images."""

SEEDS = 3
"""Default number of seeds."""


@dataclass(frozen=True)
class _Request:
    """Options of an evaluation; `model` is None if the PyTorch model is not measured."""

    count: int | None
    seed: int
    seeds: int
    model: Path | None
    metrics: list[str] | None
    prior: str
    split: str
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
    prior: str = "normal",
    split: str = "test",
    run_dir: Path | None = None,
    no_model: bool = False,
    out: str | None = None,
    verbose: bool = False,
    **options: Any,
) -> list[str]:
    """Measure the samples of a generator, or the outputs of a translator.

    The arguments are the options of `zoo.evaluate`, `options` those of runtime.Generator. Returns
    lines of text. Raises ConfigError, DataError, OutputError, and the errors of zoo.engines.
    """
    keep_freed_memory()
    if no_model and run_dir is not None:
        raise ConfigError("expected --run or --no-model, got both")
    if prior != "normal" and run_dir is not None:
        raise ConfigError(
            "--run cannot be combined with --prior: only engines have a learned prior"
        )
    if out is not None:
        atomic.check_file(out)
    path = resolve(engine, **options)
    document = manifest.read(path)
    role = document["role"]
    if role not in ("generator", "translator"):
        raise ConfigError(f"{engine}: expected a generator or a translator, got the {role}")
    trained_on = str(document["training"]["data"])
    name = data or find_named(trained_on)
    if name is None:
        raise ConfigError(
            f"{engine} was trained on {trained_on}, not a named data set: give --data"
        )
    chosen = None if metrics is None else [part.strip() for part in metrics.split(",")]
    model = None if no_model or prior != "normal" else run_dir or _find_weights(path, document)
    if role != "generator" and seeds is not None:
        raise ConfigError("--seeds requires a generator")
    if role != "generator" and prior != "normal":
        raise ConfigError("--prior requires a generator")
    seeds = seeds or SEEDS
    if seed + seeds > 2**64:
        raise ConfigError(f"seed: expected {seeds} seeds below 2^64, got {seed} and the following")
    request = _Request(count, seed, seeds, model, chosen, prior, split, verbose)
    started = time.monotonic()
    opener: Any = open_generator if role == "generator" else open_translator
    measure = _measure_generator if role == "generator" else _measure_translator
    with ExitStack() as stack:
        opened = stack.enter_context(opener(str(path), **options))
        height, _, channels = opened.image_shape
        loaded = sets.load(name, height, channels)
        report_skipped(loaded)
        network = networks.load(networks.choose_name(features, loaded), weights, height)
        judge = stack.enter_context(shipped_judge(loaded))
        pairs = measure(opened, loaded, network, judge, request)
        truth = _score_edits(opened, name, loaded, judge, request) if domain_names(opened) else None
    lines = [line for pair in pairs for line in (*output.text(pair, network), "")]
    if truth is not None:
        lines += [*truth.lines(), ""]
    if (note := output.note(document)) is not None:
        lines.append(f"note: {note}")
    lines.append(f"{time.monotonic() - started:.0f} s")
    if out is not None:
        output.write(out, pairs, document, network, truth)
        lines.append(out)
    return lines


def _measure_generator(
    generator: Generator,
    data: DataSet,
    network: FeatureNetwork,
    judge: AttributeJudge | None,
    request: _Request,
) -> list[Pair]:
    count = request.count or SAMPLES
    seeds = range(request.seed, request.seed + request.seeds)
    samples = [sampling.sample_engine(generator, count, seed, request.prior) for seed in seeds]
    drawn = network.name == networks.FACES and find_named(data.name) == AVATAAARS.name
    if drawn and request.split == "test":
        reference = references.choose_drawn(data, count)
    else:
        reference = references.choose(data, count, part=request.split)
    yardstick = Yardstick(network, reference, judge, request.metrics)
    model = _load_model(sampling.TorchGenerator, request.model)
    labels = sampling.labels(generator.manifest, count)
    sets = [(Path(generator.path).name, samples)]
    if model is not None:
        sets.append((_TORCH, [model.images(count, seed) for seed in seeds]))
    reports = []
    total = len(reference.real) + count * (1 + len(seeds) * len(sets))
    with Progress(total, request.verbose) as progress:
        yardstick.prepare(progress.advance)
        for title, of_seeds in sets:
            seed_reports = []
            for seed, images in zip(seeds, of_seeds, strict=True):
                # One seed at a time, to keep the features of only one in memory.
                measured = yardstick.measure(images, count, progress.advance)
                metrics = yardstick.metrics(measured)
                if labels is not None:
                    accuracy = yardstick.label_accuracy(measured, labels)
                    metrics = metrics if accuracy is None else (*metrics, accuracy)
                seed_reports.append(
                    Report(
                        title, str(reference.real), count, seed, metrics, details=yardstick.details
                    )
                )
            reports.append(over_seeds(seed_reports))
    return [(reports[0], reports[1] if model else None)]


def _measure_translator(
    translator: Translator,
    data: DataSet,
    network: FeatureNetwork,
    judge: AttributeJudge | None,
    request: _Request,
) -> list[Pair]:
    if request.metrics is not None:
        raise ConfigError("--metrics requires a generator")
    yardstick = translators.make_yardstick(network, data, request.count, judge, request.split)
    cases = list_cases(translator, data, request.split)
    name = Path(translator.path).name
    model = _load_model(lambda path: sampling.TorchTranslator(path, translator), request.model)
    count, pairs = len(yardstick.reference.floor), []
    with Progress(count * (2 + len(cases) * (2 if model else 1)), request.verbose) as progress:
        yardstick.prepare(progress.advance)
        for case in cases:
            reports = [
                translators.evaluate(one, title, case, yardstick, request.seed, progress.advance)
                for one, title in ((translator, f"{name}, {case.name}"), (model, _TORCH))
                if one is not None
            ]
            pairs.append((reports[0], reports[1] if model else None))
    return pairs


def _score_edits(
    translator: Translator,
    name: str,
    data: DataSet,
    judge: AttributeJudge | None,
    request: _Request,
) -> Truth:
    """Score the edits of a translator between domains against the truth."""
    count = request.count or len(data.parts[request.split])
    blocks = edit_domains(translator, data, request.split, count)
    with Progress(count, request.verbose) as progress:
        return face_edits.measure(
            blocks,
            name,
            request.split,
            count,
            judge,
            judge.names if judge else (),
            progress.advance,
        )


_TORCH = "PyTorch"


def _find_weights(path: Path, document: dict[str, Any]) -> Path | None:
    """Return the engine file with an engine's weights: itself, or the source of a plan.

    The source has the plan's name and lies next to it, or is shipped. Prints a line and returns
    None if there is no such file, or it is another model.
    """
    if "plan" not in document:
        return path
    source = path.with_suffix(ONNX)
    engine = find(source) or find(source.name)
    key = "checkpoint_sha256"
    if engine is not None and manifest.read(engine).get(key) == document.get(key):
        return engine
    print(
        f"the PyTorch model is left out: {path.name} is a plan, whose weights PyTorch cannot read, "
        f"and there is no {source.name} of the same model beside it (use --run PATH)",
        file=sys.stderr,
    )
    return None


def _load_model(load: Any, path: Path | None) -> Any:
    """Load the PyTorch model; None if there is no path, or after printing why it cannot be loaded.

    The run given by --run must be loadable.
    """
    if path is None:
        return None
    try:
        return load(path)
    except (ConfigError, TrainingError, ModuleNotFoundError) as error:
        if path.suffix != ".onnx":
            raise
        print(f"the PyTorch model is left out: {error}", file=sys.stderr)
        return None
