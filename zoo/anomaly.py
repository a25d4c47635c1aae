"""Find images unlike those an autoencoder knows: `python -m zoo.anomaly --engine vae.onnx …`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import Command, Integer, engine_options, source_options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zoo.data.inputs import Selection, Source
    from zoo.images.stream import Block
    from zoo.inference.pairs import Pair

    Scores = NDArray[np.float64]
    Write = Callable[[int, list[str], Scores], None]

TOP = Integer(1, 256, "1 to 256 images")


@click.command(cls=Command)
@source_options
@engine_options
@click.option(
    "--normal",
    metavar="PATH_OR_SET",
    help="Normal images: a file, a folder, or the test split of a data set.  "
    "[default: the set that the engine was trained on]",
)
@click.option("--fpr", type=float, default=0.05, metavar="P", help="Share of false alarms.")
@click.option("--held-out", metavar="CLASS", help="Measure how well this class of --data is found.")
@click.option("--per-class", is_flag=True, help="Measure that for every class of --data.")
@click.option("--top", type=TOP, default=16, metavar="M", help="Images to name and to show.")
@click.option("--out", default="anomalies.png", metavar="FILE", help="A .png of those images.")
@click.option("--scores", metavar="FILE", help="Write the score of every image to this .csv.")
def main(
    selection: Selection,
    engine: str,
    normal: str | None,
    fpr: float,
    held_out: str | None,
    per_class: bool,
    top: int,
    out: str,
    scores: str | None,
    **options: Any,
) -> None:
    """Score images by how badly the engine reconstructs them, and show the worst.

    The score is the mean squared error between an image and its reconstruction,
    of values in [0, 1]. An image is called anomalous above a threshold, the lowest
    that no more than the share --fpr of the normal images is above. The picture has
    the images of the highest scores, their reconstructions, and where these differ.

    With --held-out CLASS, for an engine that was trained without that class, prints the
    area under the ROC curve between its images and all others, and the share of them
    that is found; the others are then the normal images, unless --normal names some.
    The .csv of --scores has name, score, class where it is known, and anomalous (0 or 1)
    where there is one threshold.
    """
    from zoo.applications import anomaly
    from zoo.data.inputs import report_skipped
    from zoo.errors import ConfigError
    from zoo.images import atomic, rows
    from zoo.inference.pairs import Pair

    _check_outputs(out, scores)
    if not 0 <= fpr < 1:
        raise ConfigError(f"--fpr: expected at least 0 and less than 1, got {fpr:g}")
    if held_out is not None and per_class:
        raise ConfigError("--held-out and --per-class: expected one of them, got both")
    with Pair(engine, **options) as pair, ExitStack() as outputs:
        pair.decoder()
        source = selection.open(pair.encoder.image_shape)
        classes = _classes(source, held_out, per_class)
        limit, said = None, list[str]()
        if normal is not None or not classes:
            limit, text = _threshold(pair, normal, fpr, selection)
            said.append(text)
        write = outputs.enter_context(_table(scores, source, limit)) if scores is not None else None
        highest, total, above = anomaly.Highest(top), 0, 0
        kept: list[Scores] = []
        for block, made, its in _scored(pair, source):
            highest.offer(its, block.names, block.images, made)
            if write:
                write(total, block.names, its)
            if classes:
                kept.append(its)
            total += len(its)
            above += int((its > limit).sum()) if limit is not None else 0
        worst = highest.sorted()
        said.insert(0, f"{total:,} images of {source.name}")
        if limit is not None:
            are = "is" if above == 1 else "are"
            said.append(f"{above:,} of the images {are} above it ({above / total:.1%})")
        if classes and not {source.class_name(i) for i in classes} <= set(_left_out(pair)):
            without = held_out or "each class"
            said.append(f"{pair.title} does not say that it was trained without {without}")
        if classes:
            said += _measured(source, classes, kept, limit, fpr)
        title = f"{pair.title}  ·  {source.name}  ·  the highest reconstruction errors"
        temporary = outputs.enter_context(atomic.replacing(out))
        rows.draw(anomaly.rows(worst), title).save(temporary, format="PNG")
    report_skipped(source)
    said += ["the highest scores:", *(f"  {one.score:.5f}  {one.name}" for one in worst)]
    click.echo("\n".join([*said, out if scores is None else f"{out}, {scores}"]))


def _check_outputs(out: str, scores: str | None) -> None:
    from zoo.images import atomic

    atomic.check_kind(out, ".png", "anomalies are shown in a file .png")
    if scores is not None:
        atomic.check_kind(scores, ".csv", "scores are in a file .csv")


def _classes(source: Source, held_out: str | None, per_class: bool) -> list[int]:
    """The classes to measure: none without --held-out and --per-class. Raises ConfigError."""
    from zoo.errors import ConfigError

    if held_out is None and not per_class:
        return []
    option = "--per-class" if held_out is None else "--held-out"
    if source.labels is None:
        raise ConfigError(f"{option}: expected --data of known classes, got {source.name}")
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


def _scored(pair: Pair, source: Source) -> Iterator[tuple[Block, NDArray[np.uint8], Scores]]:
    """Each block of a source, its reconstructions, and its scores."""
    from zoo.applications import anomaly
    from zoo.progress import Progress

    with Progress(source.total or 1) as progress:
        for block in source:
            made = anomaly.reconstruct(pair.encoder, pair.decoder(), block.images)
            yield block, made, anomaly.errors(block.images, made)
            progress.advance(len(made))


def _threshold(
    pair: Pair, normal: str | None, fpr: float, selection: Selection
) -> tuple[float, str]:
    """The threshold, and a line about it. Raises ConfigError, DataError."""
    import numpy as np

    from zoo.applications import anomaly
    from zoo.data.inputs import report_skipped
    from zoo.errors import ConfigError

    name = normal or _trained_on(pair)
    is_path = normal is not None and Path(normal).exists()
    images, data = ((name,), None) if is_path else ((), name)
    source = replace(selection, images=images, data=data, split="test", count=None).open(
        pair.encoder.image_shape
    )
    found = np.concatenate([its for _, _, its in _scored(pair, source)])
    report_skipped(source)
    left_out = _left_out(pair) if normal is None else []
    if left_out and source.labels is not None:
        unknown = [i for i, name in enumerate(source.classes) if name in left_out]
        found = found[~np.isin(source.labels, unknown)]
    without = f" without {', '.join(left_out)}" if left_out else ""
    if not len(found):
        raise ConfigError(f"--normal: {source.name}{without} has no images")
    limit = anomaly.threshold(found, fpr)
    return limit, (
        f"threshold {limit:.5f}, above which are {(found > limit).mean():.2%} of "
        f"{len(found):,} normal images ({source.name}{without})"
    )


def _trained_on(pair: Pair) -> str:
    """The named data set that the engine's file says it learnt from. Raises ConfigError."""
    from zoo import data
    from zoo.errors import ConfigError

    name = pair.decoder().manifest.get("training", {}).get("data")
    if name in data.SOURCES or name == "faces":
        return str(name)
    said = f"was trained on {name}, which is no named data set" if name else "does not say"
    raise ConfigError(f"--normal: expected a file, a folder or a data set, as {pair.title} {said}")


def _left_out(pair: Pair) -> list[str]:
    """The classes that the engine's file says it was trained without."""
    recipe = pair.decoder().manifest.get("training", {}).get("recipe", {})
    names: list[str] = recipe.get("exclude", [])
    return names


def _measured(
    source: Source, classes: list[int], kept: list[Scores], limit: float | None, fpr: float
) -> list[str]:
    """A table: how well the images of each class are told from all others."""
    import numpy as np

    from zoo.applications import anomaly

    found, labels = np.concatenate(kept), source.labels
    assert labels is not None
    width = max(len("class"), *(len(source.class_name(i)) for i in classes))
    lines = [f"{'class':{width}}  images  ROC-AUC  threshold  found at {100 * fpr:g}% false alarms"]
    for i in classes:
        its, others = found[labels == i], found[labels != i]
        at = anomaly.threshold(others, fpr) if limit is None else limit
        auc, rate = anomaly.roc_auc(found, labels == i), anomaly.true_positive_rate(its, at)
        lines.append(
            f"{source.class_name(i):{width}}  {len(its):6,}  {auc:7.4f}  {at:9.5f}  {rate:.1%}"
        )
    return lines


@contextmanager
def _table(path: str, source: Source, limit: float | None) -> Iterator[Write]:
    """Writes the .csv of the scores: a function of the first index, names and scores of a block."""
    import csv

    from zoo.images import atomic

    labels = source.labels
    with (
        atomic.replacing(path) as temporary,
        open(temporary, "x", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        known = ["class"] if labels is not None else []
        writer.writerow(["name", "score", *known, *(["anomalous"] if limit is not None else [])])

        def write(start: int, names: list[str], its: Scores) -> None:
            for i, (name, score) in enumerate(zip(names, its.tolist(), strict=True)):
                row = [name, repr(score)]
                if labels is not None:
                    row.append(source.class_name(labels[start + i]))
                if limit is not None:
                    row.append(str(int(score > limit)))
                writer.writerow(row)

        yield write


if __name__ == "__main__":
    main()
