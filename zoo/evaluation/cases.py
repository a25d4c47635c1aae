"""Test cases of translators: corrupted images, edge images, and changes of domains."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo import corruption
from zoo.data import DataSet, Split
from zoo.data.domains import Domains, Table, domain_names, read_domains
from zoo.data.pairs import make_pairs
from zoo.errors import ConfigError
from zoo.evaluation import domain_quality, face_edits
from zoo.evaluation.attributes import AttributeJudge
from zoo.evaluation.features import BATCH, Images
from zoo.evaluation.report import Metric
from zoo.inference.inputs import split_source
from zoo.inference.translation import Preparation, TranslatedBlock, translate

PAIRS = ("edges", "colour", "pairs")
"""Tasks of translators whose inputs are computed from the images, or part of the data."""


@dataclass(frozen=True)
class Case:
    """Test case: one way to make inputs from test images.

    `blocks(translator, count, seed)` yields the first `count` of them, translated. If `keeps`, the
    outputs should have the attributes of the images. `changes` measures the effect of a change of
    domains on the first images with a judge.
    """

    name: str
    blocks: Callable[[Any, int, int], Iterator[TranslatedBlock]]
    keeps: bool = True
    changes: Callable[[Any, int, AttributeJudge], list[Metric]] | None = None


def list_cases(translator: Any, data: DataSet, part: str = "test") -> list[Case]:
    """List the test cases of a translator, by its manifest, on images of a split.

    Raises `ConfigError` for a translator without a known task, or data that do not fit.
    """
    document, name = translator.manifest, Path(translator.path).name
    if domain_names(translator):
        return [_domain_case(read_domains(translator), data, part)]
    task = document.get("task", "")
    if task in PAIRS:
        config = document.get("training", {}).get("config", {})
        return [_pair_case(data, part, task, config.get("direction", "AtoB"))]
    if task == "colorization":
        return [_corruption_case("grey", translator, data, part, grey=True)]
    specs = document.get("corruption") or []
    if not specs:
        raise ConfigError(
            f"{name} has neither a known task nor a corruption in its manifest to evaluate it on"
        )
    return [
        _corruption_case(spec, translator, data, part, corrupt=corruption.parse(spec))
        for spec in specs
    ]


def _corruption_case(name: str, translator: Any, data: DataSet, part: str, **options: Any) -> Case:
    prepare = Preparation(translator, **options)

    def blocks(model: Any, count: int, seed: int) -> Iterator[TranslatedBlock]:
        return translate(model, split_source(data, part, count), prepare, seed)

    return Case(name, blocks)


def _pair_case(data: DataSet, part: str, task: str, direction: str) -> Case:
    make_pairs(_first(data, part, 1), task, direction)

    def blocks(model: Any, count: int, seed: int) -> Iterator[TranslatedBlock]:
        test = make_pairs(_first(data, part, count), task, direction).test
        inputs, images = test.inputs, test.images
        assert inputs is not None
        return _translate_batches(
            lambda rows: model.translate(inputs[rows], seed=seed, first=rows.start),
            count,
            inputs,
            images,
        )

    return Case(task, blocks)


def _translate_batches(
    run: Callable[[slice], Images], count: int, inputs: Images, truths: Images | None = None
) -> Iterator[TranslatedBlock]:
    """Translate the first `count` inputs by `run`, batch by batch."""
    for start in range(0, count, BATCH):
        rows = slice(start, min(start + BATCH, count))
        began = time.perf_counter()
        outputs = run(rows)
        seconds = time.perf_counter() - began
        names = [str(row) for row in range(rows.start, rows.stop)]
        truth = None if truths is None else truths[rows]
        yield TranslatedBlock(names, inputs[rows], outputs, truth, None, seconds)


def _first(data: DataSet, part: str, count: int) -> DataSet:
    """Return the first images of a split as test images, and one training image.

    Inputs are computed for all images of a data set.
    """

    def take(split: Split, rows: int) -> Split:
        inputs = None if split.inputs is None else split.inputs[:rows]
        return Split(split.images[:rows], inputs=inputs)

    train, validation = take(data.train, 1), take(data.validation, 1)
    test = take(data.parts[part], count)
    return DataSet(data.name, train, test, data.classes, validation=validation)


def _domain_case(domains: Domains, data: DataSet, part: str) -> Case:
    """Give every image the attributes of another one of its batch, as in training."""
    images, own = data.parts[part].images, _own_domains(domains, data, part)

    def blocks(model: Any, count: int, seed: int) -> Iterator[TranslatedBlock]:
        return _translate_batches(
            lambda rows: _run(model, images[rows], domains.permute(own[rows])), count, images
        )

    def changes(model: Any, count: int, judge: AttributeJudge) -> list[Metric]:
        starts = range(0, count, BATCH)
        pairs = ((images[s : s + BATCH], own[s : s + BATCH]) for s in starts)
        effects = domain_quality.evaluate(
            pairs, domains, lambda rows, targets: _run(model, rows, targets), judge, judge.names
        )
        return _effect_metrics(effects, judge)

    return Case("other attributes", blocks, keeps=False, changes=changes)


def edit_domains(
    translator: Any, data: DataSet, part: str, count: int
) -> Iterator[face_edits.Block]:
    """Yield the first images of a split, with edits of every domain that is visible in them."""
    domains, images = read_domains(translator), data.parts[part].images
    own = _own_domains(domains, data, part)
    for start in range(0, count, face_edits.BLOCK):
        rows = slice(start, min(start + face_edits.BLOCK, count))
        yield face_edits.Block(
            images[rows],
            images[rows],
            [
                face_edits.Change(
                    edit.name,
                    edit.rows,
                    edit.targets[:, domains.names.index(edit.name)],
                    _run(translator, images[rows][edit.rows], edit.targets),
                )
                for edit in domains.edits(own[rows])
                if len(edit.rows)
            ],
        )


def _own_domains(domains: Domains, data: DataSet, part: str) -> Table:
    """Return the attributes `domains.seen` of the images of a split. Raises ConfigError."""
    attributes = data.parts[part].attributes
    if attributes is None:
        raise ConfigError(f"{data.name} has no attributes to change")
    own: Table = attributes[:, domains.columns(data.attributes)] > 0
    return own


def _run(translator: Any, images: Images, targets: Table) -> Images:
    outputs: Images = translator.translate(images, attributes=targets.astype(np.float32))
    return outputs


def _effect_metrics(
    effects: list[domain_quality.DomainEffect], judge: AttributeJudge
) -> list[Metric]:
    everything = domain_quality.total(effects)
    metrics = [
        Metric(f"success, {effect.name}", effect.success, None, str(judge), best="most")
        for effect in (*effects, everything)
        if effect.images
    ]
    for name, value in (
        ("another domain changed", everything.touched),
        ("another attribute changed", everything.spilled),
        ("attributes changed", everything.others),
    ):
        metrics.append(Metric(name, value, None, str(judge)))
    return metrics
