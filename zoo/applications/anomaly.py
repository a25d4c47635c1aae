"""Anomaly detection: images that an autoencoder trained on normal ones cannot reconstruct.

The score of an image is its reconstruction error (Sakurada & Yairi, "Anomaly
Detection Using Autoencoders with Nonlinear Dimensionality Reduction", MLSDA
2014): the mean squared difference between the image and decoder(encoder(image)),
over all pixels and channels, of values in [0, 1].
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime import Encoder, Generator
from zoo import data
from zoo.applications import anomaly_pictures as pictures
from zoo.errors import ConfigError
from zoo.evaluation import detection
from zoo.images import atomic, rows
from zoo.images.stream import Block
from zoo.inference.inputs import Selection, Source, report_skipped
from zoo.inference.latents import reconstruct
from zoo.inference.pairs import Pair
from zoo.progress import Progress
from zoo.tables import align_columns

Images = NDArray[np.uint8]
Scores = NDArray[np.float64]
Write = Callable[[int, list[str], Scores], None]

_ROWS = 256
_UNIT = 255.0**2


def scores(encoder: Encoder, generator: Generator, images: Images) -> NDArray[np.float64]:
    """Return anomaly scores float64 [n] of images uint8 [n, H, W, C], 0 to 1, higher is odder.

    Raises runtime.errors.ArgumentError for another shape or dtype.
    """
    return reconstruction_errors(images, reconstruct(encoder, generator, images))


def reconstruction_errors(images: Images, reconstructions: Images) -> NDArray[np.float64]:
    """Return the mean squared error float64 [n] of each image, of values in [0, 1]."""
    errors = np.empty(len(images))
    for start in range(0, len(images), _ROWS):
        rows = slice(start, start + _ROWS)
        # Integer sums do not depend on the order of the summands.
        difference = images[rows].astype(np.int64) - reconstructions[rows]
        errors[rows] = np.square(difference).sum((1, 2, 3)) / (images[0].size * _UNIT)
    return errors


def find_anomalies(
    selection: Selection,
    engine: str,
    *,
    normal: str | None = None,
    fpr: float = 0.05,
    held_out: str | None = None,
    per_class: bool = False,
    top: int = 16,
    out: str = "anomalies.png",
    scores: str | None = None,
    **options: Any,
) -> list[str]:
    """Score the selected images, and draw those with the highest scores to `out`.

    The arguments are the options of `zoo.anomaly`, `options` those of runtime.Generator. Returns
    lines of text. Raises ConfigError, DataError, OutputError, and the errors of Pair.
    """
    atomic.check_suffix(out, ".png", "the picture of anomalies must be a .png")
    atomic.check_suffix(scores, ".csv", "scores must be written to a .csv")
    if not 0 <= fpr < 1:
        raise ConfigError(f"--fpr: expected at least 0 and less than 1, got {fpr:g}")
    if held_out is not None and per_class:
        raise ConfigError("--held-out and --per-class: expected one of them, got both")
    with Pair(engine, **options) as pair, ExitStack() as outputs:
        pair.decoder()
        source = selection.open(pair.encoder.image_shape)
        classes = _classes(source, held_out, per_class)
        limit, lines = None, list[str]()
        if normal is not None or not classes:
            limit, text = _threshold(pair, normal, fpr, selection)
            lines.append(text)
        write = (
            outputs.enter_context(_open_table(scores, source, limit))
            if scores is not None
            else None
        )
        highest, total, above = pictures.HighestScores(top), 0, 0
        all_scores: list[Scores] = []
        for block, reconstructions, block_scores in _score_blocks(pair, source):
            highest.offer(block_scores, block.names, block.images, reconstructions)
            if write:
                write(total, block.names, block_scores)
            if classes:
                all_scores.append(block_scores)
            total += len(block_scores)
            above += int((block_scores > limit).sum()) if limit is not None else 0
        worst = highest.sorted()
        lines.insert(0, f"{total:,} images of {source.name}")
        if limit is not None:
            are = "is" if above == 1 else "are"
            lines.append(f"{above:,} of the images {are} above it ({above / total:.1%})")
        if classes and not {source.class_name(i) for i in classes} <= set(_excluded_classes(pair)):
            without = held_out or "each class"
            lines.append(f"{pair.title} does not say that it was trained without {without}")
        if classes:
            lines += _detection_table(source, classes, np.concatenate(all_scores), limit, fpr)
        title = f"{pair.title}  ·  {source.name}  ·  the highest reconstruction errors"
        temporary = outputs.enter_context(atomic.replace_file(out))
        rows.draw(pictures.rows(worst), title).save(temporary, format="PNG")
    report_skipped(source)
    lines += ["the highest scores:", *(f"  {one.score:.5f}  {one.name}" for one in worst)]
    return [*lines, out if scores is None else f"{out}, {scores}"]


def _classes(source: Source, held_out: str | None, per_class: bool) -> list[int]:
    """Return the classes to measure by --held-out or --per-class. Raises ConfigError."""
    if held_out is None and not per_class:
        return []
    option = "--per-class" if held_out is None else "--held-out"
    if source.labels is None:
        raise ConfigError(f"{option}: expected --data with classes, got {source.name}")
    present: list[int] = sorted(set(source.labels.tolist()))
    if len(present) < 2:
        raise ConfigError(
            f"{option}: expected images of at least two classes, got "
            f"{source.class_name(present[0])} only"
        )
    if held_out is None:
        return present
    names = {source.class_name(i): i for i in range(max(len(source.classes), present[-1] + 1))}
    if held_out not in names:
        raise ConfigError(f"--held-out {held_out}: expected one of {', '.join(names)}")
    if names[held_out] not in present:
        raise ConfigError(f"--held-out {held_out}: {source.name} has no image of it among these")
    return [names[held_out]]


def _score_blocks(pair: Pair, source: Source) -> Iterator[tuple[Block, Images, Scores]]:
    """Yield each block of a source, its reconstructions, and its scores."""
    with Progress(source.total or 1) as progress:
        for block in source:
            reconstructions = reconstruct(pair.encoder, pair.decoder(), block.images)
            yield block, reconstructions, reconstruction_errors(block.images, reconstructions)
            progress.advance(len(reconstructions))


def _threshold(
    pair: Pair, normal: str | None, fpr: float, selection: Selection
) -> tuple[float, str]:
    """Return the threshold, and a line about it. Raises ConfigError, DataError."""
    name = normal or _training_set(pair)
    is_path = normal is not None and Path(normal).exists()
    images, data = ((name,), None) if is_path else ((), name)
    source = replace(selection, images=images, data=data, split="test", count=None).open(
        pair.encoder.image_shape
    )
    scores = np.concatenate([block_scores for _, _, block_scores in _score_blocks(pair, source)])
    report_skipped(source)
    excluded = _excluded_classes(pair) if normal is None else []
    if excluded and source.labels is not None:
        unknown = [i for i, name in enumerate(source.classes) if name in excluded]
        scores = scores[~np.isin(source.labels, unknown)]
    without = f" without {', '.join(excluded)}" if excluded else ""
    if not len(scores):
        raise ConfigError(f"--normal: {source.name}{without} has no images")
    limit = detection.threshold(scores, fpr)
    return limit, (
        f"threshold {limit:.5f}, above which are {(scores > limit).mean():.2%} of "
        f"{len(scores):,} normal images ({source.name}{without})"
    )


def _training_set(pair: Pair) -> str:
    """Return the named data set in the engine's manifest. Raises ConfigError."""
    name = pair.decoder().manifest.get("training", {}).get("data")
    if (named := data.find_named(str(name))) is not None:
        return named
    reason = f"was trained on {name}, not a named data set" if name else "does not name its own"
    raise ConfigError(f"--normal: expected a file, a folder or a data set; {pair.title} {reason}")


def _excluded_classes(pair: Pair) -> list[str]:
    """Return the classes that were excluded from training, by the engine's manifest."""
    recipe = pair.decoder().manifest.get("training", {}).get("recipe", {})
    names: list[str] = recipe.get("exclude", [])
    return names


def _detection_table(
    source: Source, classes: list[int], scores: Scores, limit: float | None, fpr: float
) -> list[str]:
    """Format a table of how well each class is detected among all others."""
    labels = source.labels
    assert labels is not None
    head = f"found at {100 * fpr:g}% false alarms"
    lines = [("class", "images", "ROC-AUC", "threshold", head)]
    for i in classes:
        own, others = scores[labels == i], scores[labels != i]
        at = detection.threshold(others, fpr) if limit is None else limit
        auc = detection.roc_auc(scores, labels == i)
        rate = detection.true_positive_rate(own, at)
        row = (f"{len(own):,}", f"{auc:.4f}", f"{at:.5f}", f"{rate:.1%}")
        lines.append((source.class_name(i), *row))
    return align_columns(lines, right=range(1, 4))


@contextmanager
def _open_table(path: str, source: Source, limit: float | None) -> Iterator[Write]:
    """Write the .csv of scores; yield a function of a block's first index, names and scores."""
    labels = source.labels
    with (
        atomic.replace_file(path) as temporary,
        open(temporary, "x", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        known = ["class"] if labels is not None else []
        writer.writerow(["name", "score", *known, *(["anomalous"] if limit is not None else [])])

        def write(start: int, names: list[str], scores: Scores) -> None:
            for i, (name, score) in enumerate(zip(names, scores.tolist(), strict=True)):
                row = [name, repr(score)]
                if labels is not None:
                    row.append(source.class_name(labels[start + i]))
                if limit is not None:
                    row.append(str(int(score > limit)))
                writer.writerow(row)

        yield write


__all__ = ["reconstruction_errors", "find_anomalies", "reconstruct", "scores"]
