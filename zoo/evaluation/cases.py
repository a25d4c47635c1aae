"""What a translator is measured on: test images damaged, drawn as edges, or given other domains."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zoo import corruption
from zoo.data import DataSet, Split
from zoo.data.domains import Domains, domain_names, read_domains
from zoo.data.pairs import make_pairs
from zoo.errors import ConfigError
from zoo.evaluation import domain_quality
from zoo.evaluation.attributes import AttributeJudge
from zoo.evaluation.features import BATCH, Images
from zoo.evaluation.report import Metric
from zoo.inference.inputs import split_source
from zoo.inference.translation import Preparation, Translated, translate

PAIRS = ("edges", "colour", "pairs")
"""Tasks of translators whose inputs are made of the images, or come with them."""


@dataclass(frozen=True)
class Case:
    """One way to make inputs of test images.

    `blocks(translator, count, seed)` are the first `count` of them, translated, in order. `keeps`
    says that the outputs should have the attributes that the images have. `changes` measures what
    a change of domains does to the first images, as a judge sees it.
    """

    name: str
    blocks: Callable[[Any, int, int], Iterator[Translated]]
    keeps: bool = True
    changes: Callable[[Any, int, AttributeJudge], list[Metric]] | None = None


def cases(translator: Any, data: DataSet) -> list[Case]:
    """The cases of a translator, by its manifest.

    Raises `ConfigError` for one that does not say what it is for, or for data that do not fit.
    """
    document, name = translator.manifest, Path(translator.path).name
    if domain_names(translator):
        return [_exchange(read_domains(translator), data)]
    task = document.get("task", "")
    if task in PAIRS:
        config = document.get("training", {}).get("config", {})
        return [_pairs(data, task, config.get("direction", "AtoB"))]
    if task == "colorization":
        return [_damage("grey", translator, data, grey=True)]
    specs = document.get("corruption") or []
    if not specs:
        raise ConfigError(
            f"{name} does not say what it repairs, so there is nothing to compare its images with"
        )
    return [_damage(spec, translator, data, corrupt=corruption.parse(spec)) for spec in specs]


def _damage(name: str, translator: Any, data: DataSet, **options: Any) -> Case:
    prepare = Preparation(translator, **options)

    def blocks(made: Any, count: int, seed: int) -> Iterator[Translated]:
        return translate(made, split_source(data, "test", count), prepare, seed)

    return Case(name, blocks)


def _pairs(data: DataSet, task: str, direction: str) -> Case:
    make_pairs(_first(data, 1), task, direction)

    def blocks(made: Any, count: int, seed: int) -> Iterator[Translated]:
        test = make_pairs(_first(data, count), task, direction).test
        inputs, images = test.inputs, test.images
        assert inputs is not None
        return _timed(
            lambda place: made.translate(inputs[place], seed=seed, first=place.start),
            count,
            inputs,
            images,
        )

    return Case(task, blocks)


def _timed(
    run: Callable[[slice], Images], count: int, inputs: Images, truths: Images | None = None
) -> Iterator[Translated]:
    """The first `count` inputs, translated by `run` batch by batch, and what they should be."""
    for start in range(0, count, BATCH):
        place = slice(start, min(start + BATCH, count))
        began = time.perf_counter()
        outputs = run(place)
        seconds = time.perf_counter() - began
        names = [str(row) for row in range(place.start, place.stop)]
        truth = None if truths is None else truths[place]
        yield Translated(names, inputs[place], outputs, truth, None, seconds)


def _first(data: DataSet, count: int) -> DataSet:
    """The first test images, and one training image: inputs are drawn of all that there are."""

    def part(split: Split, rows: int) -> Split:
        inputs = None if split.inputs is None else split.inputs[:rows]
        return Split(split.images[:rows], inputs=inputs)

    train, validation, test = (
        part(data.train, 1),
        part(data.validation, 1),
        part(data.test, count),
    )
    return DataSet(data.name, train, test, data.classes, validation=validation)


def _exchange(domains: Domains, data: DataSet) -> Case:
    """Every image gets what another one of its batch has, as in training."""
    if data.test.attributes is None:
        raise ConfigError(f"{data.name} has no attributes, which tell what is to be changed")
    own = data.test.attributes[:, domains.columns(data.attributes)] > 0
    images = data.test.images

    def run(made: Any, rows: Images, targets: Any) -> Images:
        found: Images = made.translate(rows, attributes=targets.astype(np.float32))
        return found

    def blocks(made: Any, count: int, seed: int) -> Iterator[Translated]:
        return _timed(
            lambda place: run(made, images[place], domains.permute(own[place])), count, images
        )

    def changes(made: Any, count: int, judge: AttributeJudge) -> list[Metric]:
        starts = range(0, count, BATCH)
        pairs = ((images[s : s + BATCH], own[s : s + BATCH]) for s in starts)
        effects = domain_quality.evaluate(
            pairs, domains, lambda rows, targets: run(made, rows, targets), judge, judge.names
        )
        return _effects(effects, judge)

    return Case("other attributes", blocks, keeps=False, changes=changes)


def _effects(effects: list[domain_quality.DomainEffect], judge: AttributeJudge) -> list[Metric]:
    everything = domain_quality.total(effects)
    found = [
        Metric(f"success, {effect.name}", effect.success, None, str(judge), best="most")
        for effect in (*effects, everything)
        if effect.images
    ]
    for name, value in (
        ("another domain changed", everything.touched),
        ("another attribute changed", everything.spilled),
        ("attributes changed", everything.others),
    ):
        found.append(Metric(name, value, None, str(judge)))
    return found


__all__ = ["Case", "cases"]
