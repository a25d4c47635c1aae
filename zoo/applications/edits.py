"""Drawing and evaluation of attribute edits."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime import Classifier, Generator
from zoo.applications import editing, inverting, points
from zoo.applications import editing_pictures as pictures
from zoo.data import counterfactuals
from zoo.engines import has_encoder, open_encoder, open_generator, resolve
from zoo.errors import ConfigError
from zoo.evaluation import editing_quality, face_edits
from zoo.evaluation.editing_quality import Effect
from zoo.evaluation.face_edits import Truth
from zoo.images import atomic, sinks
from zoo.inference import inputs
from zoo.inference.inputs import open_source, report_skipped
from zoo.progress import Progress
from zoo.tables import align_columns

SAMPLES = 1000
FACES, INVERTED = 200, 16
"""Default numbers of drawn faces that are scored against the truth, with an encoder and without."""


def edit_images(
    images: Sequence[str],
    engine: str,
    *,
    add: Sequence[str] = (),
    strip: Sequence[str] = (),
    low: float | None = None,
    high: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    out: str = "edited.png",
    resize: bool = False,
    overwrite: bool = False,
    **options: Any,
) -> str:
    """Change attributes of images, and write the edited images to `out`.

    The arguments are the options of `zoo.edit`, `options` those of runtime.Generator. Returns a
    summary line. Raises ConfigError, DataError, OutputError, and the errors of
    zoo.engines.open_generator.
    """
    with open_generator(engine, **options) as generator:
        directions = editing.load_directions(generator)
        if not (add or strip):
            raise ConfigError(
                f"nothing to do: expected --add NAME=α, --strip NAME or --evaluate; "
                f"{Path(generator.path).name} knows {', '.join(directions)}"
            )
        sinks.check(out, 1, overwrite)
        amounts = editing.parse(add, directions)
        editing.check(directions, [*amounts, *strip])
        plan = pictures.choose_plan(directions, amounts, strip, low, high, steps)
        if not images:
            raise ConfigError("no IMAGES given")
        skipped: list[tuple[str, str]] = []
        sources = points.read(generator, images, seed, resize, skipped, **options)
        inputs.report(skipped)
        pictures.write(generator, sources, plan, out, overwrite)
        subject = sources[0].name if len(sources) == 1 else f"{len(sources):,} images"
        return f"{subject}, {plan.title}: {out}"


def evaluate_edits(
    engine: str,
    evaluate: str,
    *,
    data: str | None = None,
    split: str = "test",
    count: int | None = None,
    amount: float = 1.0,
    report: str | None = None,
    resize: bool = False,
    **options: Any,
) -> list[str]:
    """Edit images of a data set, or samples, and measure the effect with the classifier `evaluate`.

    The arguments are the options of `zoo.edit`, `options` those of runtime.Generator. Returns lines
    of text. Raises as `edit_images`, and the errors of runtime.Classifier.
    """
    with open_generator(engine, **options) as generator:
        directions = editing.load_directions(generator)
        return _evaluate(
            generator, directions, evaluate, resize, options, data, split, count, amount, report
        )


def _evaluate(
    generator: Generator,
    directions: dict[str, NDArray[np.float32]],
    evaluate: str,
    resize: bool,
    options: dict[str, Any],
    data: str | None,
    split: str,
    count: int | None,
    amount: float,
    report: str | None,
) -> list[str]:
    name, encodes = Path(generator.path).name, has_encoder(Path(generator.path))
    if data is None and encodes:
        raise ConfigError("--evaluate requires --data SET")
    if data is not None and not encodes and not counterfactuals.are_drawn(data):
        raise ConfigError(
            f"--data: {name} has no encoder to read images; omit --data to edit samples, or give "
            "faces, of which some are inverted"
        )
    if data is None and generator.prior == "none":
        raise ConfigError(f"--evaluate: {name} has neither an encoder nor a prior to sample from")
    if not (math.isfinite(amount) and amount > 0):
        raise ConfigError(f"--amount: expected a finite α above 0, got {amount}")
    if report is not None:
        atomic.check_file(report)
    with ExitStack() as stack:
        classifier = stack.enter_context(Classifier(resolve(evaluate, **options), **options))
        if classifier.image_shape != generator.image_shape:
            raise ConfigError(
                f"{evaluate} takes images of {classifier.image_shape}, but "
                f"{name} makes {generator.image_shape}"
            )
        source = None
        if data is not None:
            limit = count if encodes else count or INVERTED
            source = open_source((), data, split, generator.image_shape, resize, limit=limit)
            report_skipped(source)
        names = editing_quality.shared_attributes(directions, classifier.names, source)
        total = (count or SAMPLES) if source is None else source.total or 0
        progress = stack.enter_context(Progress(total))
        truth = Truth(
            "samples", total, reason="nobody drew these; --data faces inverts drawn faces"
        )
        if source is None:
            blocks = editing_quality.sample_blocks(
                generator, names, classifier, total, 0, progress.advance
            )
        else:
            encoder: editing_quality.Embedder = (
                stack.enter_context(open_encoder(generator, **options))
                if encodes
                else inverting.Inverter(generator, **options)
            )
            blocks = editing_quality.encode_blocks(source, names, encoder, progress.advance)
        effects = editing_quality.evaluate(blocks, names, generator, classifier, directions, amount)
        if data is not None and source is not None and source.data is not None:
            chosen = {attribute: directions[attribute] for attribute in names}
            rows = min(total, count or FACES)
            edited = editing_quality.edit_blocks(
                generator, encoder, source.data, split, rows, chosen, amount
            )
            truth = face_edits.measure(
                edited, data, split, rows, _decide(classifier), classifier.names
            )
        document = {
            "engine": name,
            "classifier": Path(evaluate).name,
            "data": source.name if source else "samples",
            "images": total,
            "amount": amount,
            **editing_quality.summary(effects),
            "counterfactuals": truth.document(),
        }
    if report is not None:
        with atomic.replace_file(report) as temporary:
            temporary.write_text(json.dumps(document, indent=2, allow_nan=False) + "\n")
    summary = (
        f"{total:,} images of {document['data']}, edited by α = ±{amount:g}, "
        f"judged by {Path(evaluate).name}"
    )
    lines = [summary, *_table(effects, document["mean"]), *truth.lines()]
    return lines if report is None else [*lines, report]


def _decide(classifier: Classifier) -> face_edits.Judge:
    return lambda images: classifier.classify(images) > 0.5


def _table(effects: list[Effect], mean: dict[str, float | None]) -> list[str]:
    """Format a table of attributes, best first, and their mean."""
    rows = [("attribute", "added", "took", "removed", "took", "all", "others changed")]
    for effect in effects:
        rows.append(
            (
                effect.name,
                f"{effect.added:,}",
                _share(effect.added_success),
                f"{effect.removed:,}",
                _share(effect.removed_success),
                _share(effect.success),
                _share(effect.others),
            )
        )
    took, removed, everything, others = (
        _share(mean[name]) for name in ("added_success", "removed_success", "success", "others")
    )
    rows.append(("mean", "", took, "", removed, everything, others))
    return align_columns(rows, right=range(1, 7), least=8)


def _share(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.1%}"
