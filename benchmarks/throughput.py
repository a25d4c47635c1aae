"""Images per second of this runtime on a CPU, compared with PyTorch, ONNX Runtime and OpenVINO.

    python -m benchmarks.throughput --models all --batch 1,16,64

Every contender runs in its own process and stays loaded; they take turns, one at a time, for
several rounds, so that a slow minute of the machine affects all of them. First, all compute the
same inputs, and a contender whose results differ is refused. After the contenders of a model, the
times of its layers and the limits of the machine are measured. Prints tables and writes JSON (with
the machine) after every batch size, so that `--resume` continues a run that was stopped.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks import contenders, cpu_limits, cpu_results, torch_contenders
from benchmarks.contenders import Contender
from benchmarks.cpu_cases import CHECKED, Arrays, Case, compare, open_case
from benchmarks.cpu_results import Row
from benchmarks.processes import Process
from benchmarks.timing import time_batches

CONTENDERS: dict[str, type[Contender]] = {
    "torch": torch_contenders.TorchEager,
    "torch-compile": torch_contenders.TorchCompile,
    "onnxruntime": contenders.StockOnnxRuntime,
    "openvino": contenders.StockOpenVino,
    "zoo": contenders.Ours,
    "torch-bf16": torch_contenders.TorchEagerBf16,
    "torch-compile-bf16": torch_contenders.TorchCompileBf16,
    "openvino-bf16": contenders.StockOpenVinoBf16,
    "zoo-bf16": contenders.OursBf16,
    "zoo-int8": contenders.OursInt8,
    "zoo-onnxruntime": contenders.OursOnnxRuntime,
    "zoo-openvino-bf16": contenders.OursOpenVinoBf16,
}
DEFAULT = [name for name in CONTENDERS if name not in ("zoo-onnxruntime", "zoo-openvino-bf16")]

Ready = tuple[Process, Row, list[float]]


def serve(key: str, case: Case, pipe: Connection) -> None:
    """Run the tasks that arrive at the pipe; the main function of a contender's process."""
    import psutil

    contender = CONTENDERS[key](case)
    while (order := pipe.recv()) is not None:
        task, batch, argument = order
        try:
            answer: Any = None
            if task == "prepare":
                contender.prepare(batch)
            elif task == "compute":
                answer = compute(contender, batch, argument)
            else:
                times = time_batches(contender.batches(batch), argument)
                answer = (times, psutil.Process().memory_info().rss)
            pipe.send((True, answer))
        except Exception:
            pipe.send((False, traceback.format_exc(limit=3)))


def compute(contender: Contender, batch: int, inputs: Arrays) -> list[NDArray[Any]]:
    """Return the outputs for the CHECKED inputs, computed `batch` rows at a time.

    The last batch may be padded with rows whose outputs are left out.
    """
    parts = []
    for first in range(0, CHECKED, batch):
        rows = np.arange(first, first + batch) % CHECKED
        parts.append(contender.compute({name: a[rows] for name, a in inputs.items()}, first))
    return [np.concatenate(outputs)[:CHECKED] for outputs in zip(*parts, strict=True)]


def run(
    case: Case, model: str, batch: int, processes: Sequence[Process], rounds: int, seconds: float
) -> list[Row]:
    """Return a row per contender: images/s of each round, time per batch, memory, agreement."""
    inputs = case.draw_checked()
    oracle = contenders.OursOnnxRuntime(case)
    oracle.prepare(batch)
    reference = compute(oracle, batch, inputs)
    oracle.engine.close()
    rows: list[Row] = []
    ready: list[Ready] = []
    for process in processes:
        row: Row = {
            "model": model,
            "role": case.role,
            "contender": process.kind.name,
            "key": process.key,
            "precision": process.kind.precision,
            "ours": process.kind.ours,
            "batch": batch,
        }
        rows.append(row)
        try:
            process.ask("prepare", batch)
            results = process.ask("compute", batch, inputs)
            row |= compare(results, reference, process.kind.precision)
        except RuntimeError as error:
            # The last line of a traceback is the exception.
            row["error"] = str(error).strip().splitlines()[-1]
            click.echo(f"{model}, {process.key}: {row['error']}", err=True)
        else:
            ready.append((process, row, []))
    for turn in range(rounds):
        # Reverse every other round, so that drift of the machine favours none.
        for entry in ready if turn % 2 == 0 else ready[::-1]:
            click.echo(f"{model}, batch {batch}, round {turn + 1}: {entry[0].key}", err=True)
            _measure_round(entry, batch, seconds)
    for _, row, times in ready:
        if "error" not in row:
            p50, p95, p99 = np.percentile(np.array(times) * 1e3, [50, 95, 99])
            row["images_per_second"] = float(np.median(row["rounds"]))
            row["ms_per_batch"] = {"p50": p50, "p95": p95, "p99": p99}
    return rows


def _measure_round(entry: Ready, batch: int, seconds: float) -> None:
    process, row, times = entry
    if "error" in row:
        return
    try:
        round_times, memory = process.ask("measure", batch, seconds)
    except RuntimeError as error:
        row["error"] = str(error).strip().splitlines()[-1]
        return
    times.extend(round_times)
    row.setdefault("rounds", []).append(batch * len(round_times) / sum(round_times))
    row["memory_mib"] = round(memory / 2**20)


def parse_integers(_: click.Context, __: click.Parameter, value: str) -> list[int]:
    """Parse a comma-separated list of positive integers."""
    try:
        numbers = [int(part) for part in value.split(",")]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 1:
        raise click.BadParameter(f"expected integers like 1,16,64, got {value!r}")
    return numbers


def parse_contenders(_: click.Context, __: click.Parameter, value: str | None) -> list[str]:
    """Parse keys of CONTENDERS; by default those of the published comparison."""
    names = value.split(",") if value else DEFAULT
    unknown = [name for name in names if name not in CONTENDERS]
    if unknown:
        raise click.BadParameter(f"unknown {unknown[0]!r}; known: {', '.join(CONTENDERS)}")
    return names


def parse_models(_: click.Context, __: click.Parameter, value: str) -> list[str]:
    """Parse names of engines; "all" stands for `list_models`."""
    from runtime import manifest
    from zoo import engine_path

    parts = value.split(",")
    names = [name for part in parts for name in (list_models() if part == "all" else [part])]
    for name in names:
        if not can_run(manifest.read(engine_path(f"{name}.onnx"))):
            raise click.BadParameter(f"{name} has no prior to sample from")
    return names


def can_run(document: dict[str, Any]) -> bool:
    """Return False for the manifest of a generator without a prior to sample from."""
    return document["role"] != "generator" or document["latent"]["prior"] != "none"


def list_models() -> list[str]:
    """Return the shipped generators with a prior, their encoders, translators, classifiers."""
    from runtime import manifest
    from zoo.engines import WEIGHTS, shipped

    main = [WEIGHTS / name for name in shipped()]
    main = [path for path in main if can_run(manifest.read(path))]
    files = [
        path.with_name(f"{path.stem}{role}") for path in main for role in (".onnx", ".encoder.onnx")
    ]
    return [path.stem for path in files if path.is_file()]


@click.command(help=__doc__.splitlines()[0])
@click.option(
    "--models", default="all", show_default=True, callback=parse_models, help="Comma-separated."
)
@click.option("--batch", default="1,16,64", show_default=True, callback=parse_integers)
@click.option("--contenders", "names", callback=parse_contenders, help="Comma-separated keys.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
@click.option("--seconds", default=1.0, show_default=True, type=click.FloatRange(0.01))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="JSON file; default: that of this kind of CPU in benchmarks/results.",
)
@click.option("--resume", is_flag=True, help="Keep the rows that the JSON file has already.")
def main(
    models: list[str],
    batch: list[int],
    names: list[str],
    rounds: int,
    seconds: float,
    out: Path | None,
    resume: bool,
) -> None:
    from runtime import manifest
    from zoo import engine_path

    def takes_part(name: str, engine: Path) -> bool:
        return name != "zoo-int8" or "ranges" in manifest.read(engine).get("int8", {})

    out = out or cpu_results.default_path()
    report = cpu_results.open_report(out, resume)
    if {row["model"] for row in report["rows"]} <= set(models):
        command = f"python -m benchmarks.throughput --models {','.join(models)}"
        command += f" --batch {','.join(map(str, batch))} --rounds {rounds} --seconds {seconds:g}"
        report["command"] = command.replace(",".join(list_models()), "all")
    for model in models:
        engine = engine_path(f"{model}.onnx")
        keys = [name for name in names if takes_part(name, engine)]
        missing = [size for size in batch if not cpu_results.is_done(report, model, size, keys)]
        if missing:
            with open_case(engine, report["machine"]["cores"]) as case:
                processes = [Process(name, CONTENDERS[name], case, serve) for name in keys]
                try:
                    for size in missing:
                        rows = run(case, model, size, processes, rounds, seconds)
                        cpu_results.replace_rows(report, model, size, rows)
                        cpu_results.write_report(out, report)
                finally:
                    for process in processes:
                        process.stop()
            cpu_limits.replace_limits(report, model, engine, seconds)
            cpu_results.write_report(out, report)
        click.echo(f"{model}\n{cpu_results.table(report['rows'], model)}\n")
    click.echo(f"written: {out}; python -m benchmarks.cpu_report {out} draws it")


if __name__ == "__main__":
    main()
