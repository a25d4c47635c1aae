"""A run of `zoo.generate`: what is missing is made, what is there is checked."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import Any

from runtime import Generator
from zoo.engines import check_prior, resolve
from zoo.errors import ConfigError, DataError, OutputError
from zoo.generation import index
from zoo.generation.plan import Plan, parse_part, shards_of_part
from zoo.generation.pool import make_shards
from zoo.images.atomic import check_name
from zoo.images.reading import sha256
from zoo.optional import require
from zoo.progress import Progress, number_of_images, rate


def generate(
    engine: str,
    out: str,
    *,
    count: int,
    seed: int = 0,
    first: int = 0,
    format: str = "webdataset",
    shard_size: int = 10_000,
    part: str | None = None,
    workers: int | None = None,
    labels: str | None = None,
    prior: str = "normal",
    truncation: float = 1.0,
    verify: bool = False,
    overwrite: bool = False,
    verbose: bool = False,
    **options: Any,
) -> str:
    """Write images `first` … `first + count - 1` of a seed to shards in the folder `out`.

    Shards that are there and whole are kept; those of another run are an error, unless `overwrite`
    is set. The arguments are the options of
    `zoo.generate`, `options` those of runtime.Generator. Returns a summary line. With `verify`
    nothing is written, and DataError lists what is missing or wrong. Raises ConfigError,
    OutputError, and the errors of runtime.Generator.
    """
    check_name(out)
    folder, share = Path(out), parse_part(part)
    if format == "parquet":
        require("pyarrow")
    plan = _make_plan(
        engine, options, count, seed, first, format, shard_size, labels, prior, truncation
    )
    shards = list(shards_of_part(plan, share))
    if not verify:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot write {out}: {error.strerror}") from error
    entries = index.read(folder)
    wrong = {shard: index.check(plan, folder, shard, entries) for shard in shards}
    missing = [shard for shard in shards if wrong[shard]]
    if not (verify or overwrite):
        _check_same_run(plan, out, entries)
    if verify:
        if missing:
            listed = "; ".join(f"{plan.name(shard)} {wrong[shard]}" for shard in missing[:10])
            raise DataError(f"{out}: {len(missing):,} of {len(shards):,} shards: {listed}")
        return f"{out}: {_shards(len(shards))} as they should be"
    images = sum(plan.rows(shard)[1] for shard in missing)
    path = index.path_of_part(folder, share)
    with Progress(images, verbose) as progress:
        with closing(make_shards(plan, folder, missing, workers or _workers(plan))) as made:
            for entry in made:
                index.append(path, entry)
                progress.advance(int(entry["count"]))
        seconds = progress.seconds
    kept = len(shards) - len(missing)
    return (
        f"{out}: {_shards(len(missing))} made, {kept:,} kept; {number_of_images(images)}, "
        f"{rate(images, seconds)}"
    )


def _check_same_run(plan: Plan, out: str, entries: dict[int, dict[str, Any]]) -> None:
    """Raise OutputError for shards of another run, of which this one may only be longer."""
    for shard, entry in entries.items():
        other = index.differences(plan, shard, entry) if shard < plan.shards else []
        other = [name for name in other if name != "count"]
        if other:
            raise OutputError(
                f"{out} holds a run with another {', '.join(other)}: "
                "choose another --out, or --overwrite"
            )


def _make_plan(
    engine: str,
    options: dict[str, Any],
    count: int,
    seed: int,
    first: int,
    format: str,
    shard_size: int,
    labels: str | None,
    prior: str,
    truncation: float,
) -> Plan:
    path = resolve(engine, **options)
    options = {name: value for name, value in options.items() if value is not None}
    options.setdefault("instances", 1)
    # Opened here so that a wrong option is reported before any work.
    with Generator(path, **options) as generator:
        check_prior(generator, prior)
        if generator.manifest["image"]["dtype"] != "uint8":
            raise ConfigError(f"{path.name} generates floats, expected uint8 images")
        classes = generator._classes.parse(None if labels is None else _split(labels))
        generator.sample(
            1, labels=classes, cycle=classes is not None, prior=prior, truncation=truncation
        )
    return Plan(
        str(path),
        sha256(path),
        count,
        seed,
        first,
        format,
        shard_size,
        None if classes is None else classes.tolist(),
        prior,
        truncation,
        options,
    )


def _split(labels: str) -> list[int | str]:
    """Return the classes of `--labels A,B,…`, by number or name."""
    parts = [part.strip() for part in labels.split(",")]
    return [int(part) if part.isdecimal() else part for part in parts]


def _workers(plan: Plan) -> int:
    """A worker for each core, or one that keeps a GPU busy."""
    if str(plan.options.get("device", "auto")).startswith("cuda") or plan.engine.endswith(".plan"):
        return 1
    return len(os.sched_getaffinity(0))


def _shards(count: int) -> str:
    return "1 shard" if count == 1 else f"{count:,} shards"
