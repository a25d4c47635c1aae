"""Images per second of this runtime on a GPU, compared with PyTorch and ONNX Runtime.

    python -m benchmarks.gpu_throughput --models vae,dcgan,progan,stylegan --batch 1,16,64,256,1024

Every contender runs in its own process and stays loaded; they take turns, one at a time, for
several rounds. First, each contender's images are compared with those of the CPU in fp32, and it is
refused if they differ. The same run measures the limits of the GPU and names the one that bounds
each case. Contenders that are not installed are listed with the reason.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import signal
import tempfile
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from benchmarks import gpu_contenders, gpu_limits, gpu_report, gpu_tasks, gpu_work, machine
from benchmarks.gpu_bars import bars
from benchmarks.gpu_cases import check_models, measure_model
from benchmarks.gpu_contenders import NotInstalled
from benchmarks.gpu_device import index_of, number_as_nvidia_smi, query, show_only, slug
from benchmarks.studies import RESULTS
from benchmarks.throughput import parse_integers
from zoo.cli import Command

MODELS = "vae,dcgan,progan,stylegan"
BATCHES = "1,16,64,256,1024"
REHEARSED: dict[str, Any] = {"models": ["vae"], "batch": [1, 4], "rounds": 1, "seconds": 0.1}
"""Defaults of a rehearsal."""
ALONE = "cuda:0"
"""The measured GPU, in processes that see no other."""
PACKAGES = (
    *machine.PACKAGES,
    "onnxruntime-gpu",
    "tensorrt",
    "tensorrt-cu12",
    "tensorrt-cu13",
    "tensorrt-rtx-cu13-libs",
    "triton",
)
CONDITIONS = (
    "Timed for all: drawing the noise on the GPU, the network, uint8 N,H,W,C, and for the "
    "results `numpy` the copy into pinned host memory, which `device` leaves out.",
    "PyTorch: inference mode, channels_last, cuDNN benchmark, torch.randn on the GPU, the copy "
    "overlapping the next batch; torch.compile: max-autotune with CUDA graphs; TF32 off in fp32.",
    "ONNX Runtime: IO binding, the portable body of the noise operator, TF32 off in fp32; its copy "
    "into host memory is into pageable memory.",
    "Ours: stream() for the results `numpy`, whose images are copied once more, from pinned memory "
    "into an array of the caller's; for `device` sample(out=…) with several batches per call.",
    "images_per_second: median over interleaved rounds, each timed until all its batches are done; "
    "latency_ms: one request at a time, from the call to its images in host memory.",
    "footprint_mib: growth of the GPU's used memory during the contender's setup, by nvidia-smi.",
)


def ceilings(device: str, rehearse: bool) -> dict[str, Any]:
    """Measure the limits of the device in a new process; without PyTorch, return the reason."""
    small = (64, 1 << 16) if rehearse else ()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        try:
            limits: dict[str, Any] = pool.submit(gpu_limits.measure, device, *small).result()
            return limits
        except (ImportError, RuntimeError) as error:
            return {"missing": {"all": str(error)}}


def serve(key: str, case: gpu_contenders.Case, pipe: Connection) -> None:
    """Run the tasks that arrive at the pipe; the main function of a contender's process."""
    # The command handles Ctrl-C and ends its processes.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    contender = gpu_contenders.contenders()[key](case)
    while (order := pipe.recv()) is not None:
        try:
            answer = (True, gpu_tasks.run_task(contender, *order))
        except (NotInstalled, gpu_tasks.Reduced) as error:
            answer = (False, error)
        except Exception:
            answer = (False, traceback.format_exc(limit=3))
        pipe.send(answer)


def parse_models(_: click.Context, __: click.Parameter, value: str) -> list[str]:
    """Parse the names of models; drop duplicates."""
    names = list(dict.fromkeys(name.strip() for name in value.split(",")))
    if "" in names:
        raise click.BadParameter(f"expected names like {MODELS}, got {value!r}")
    return names


def check_finite(_: click.Context, __: click.Parameter, value: float) -> float:
    """Check that a number is finite."""
    if not math.isfinite(value):
        raise click.BadParameter(f"expected a number of seconds, got {value:g}")
    return value


def check_json_file(_: click.Context, __: click.Parameter, value: Path | None) -> Path | None:
    """Check the JSON file's name; the plot has the same name with another suffix."""
    if value is not None and (value.suffix != ".json" or value.is_dir()):
        raise click.BadParameter(f"expected a file name ending in .json, got {value}")
    return value


def parse_keys(_: click.Context, __: click.Parameter, value: str | None) -> list[str]:
    """Parse the keys of contenders; all by default."""
    known = list(gpu_contenders.contenders())
    names = value.split(",") if value else known
    unknown = [name for name in names if name not in known]
    if unknown:
        raise click.BadParameter(f"unknown {unknown[0]!r}; known: {', '.join(known)}")
    return list(dict.fromkeys(names))


def parse_sizes(context: click.Context, parameter: click.Parameter, value: str) -> list[int]:
    """Parse batch sizes that a plan can have; sort them and drop duplicates."""
    from export.plan.pipeline import MAX_BATCH

    numbers = sorted(set(parse_integers(context, parameter, value)))
    if numbers[-1] > MAX_BATCH:
        raise click.BadParameter(f"expected integers from 1 to {MAX_BATCH}, got {numbers[-1]}")
    return numbers


def describe_gpu(device: str, rehearse: bool) -> dict[str, Any]:
    """Describe the GPU. Raises click.BadParameter if it does not exist, and as cuda.devices."""
    from runtime import cuda
    from runtime.errors import BackendUnavailableError

    try:
        index = index_of(device)
    except ValueError as error:
        raise click.BadParameter(f"--device: {error}") from error
    try:
        present = cuda.devices()
    except BackendUnavailableError:
        if not rehearse:
            raise
        return {"name": "rehearsal", "index": index}
    if index >= len(present):
        raise click.BadParameter(
            f"--device: {device} does not exist: there are {len(present)} GPUs"
        )
    return {"index": index, **vars(present[index]), "before": query(index)}


@click.command(cls=Command, help=__doc__.splitlines()[0])
@click.option(
    "--models", default=MODELS, callback=parse_models, help="Comma-separated model names."
)
@click.option("--batch", default=BATCHES, callback=parse_sizes, help="Comma-separated batch sizes.")
@click.option("--contenders", callback=parse_keys, help="Comma-separated; default: all.")
@click.option("--rounds", default=5, type=click.IntRange(1))
@click.option(
    "--seconds",
    default=0.5,
    type=click.FloatRange(0.01),
    callback=check_finite,
    help="Duration of each measurement.",
)
@click.option("--device", default="cuda:0", help="The GPU.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    callback=check_json_file,
    help="JSON file; the plot goes next to it.",
)
@click.option(
    "--rehearse",
    is_flag=True,
    help="Try out the command, with smaller defaults and the peers on the CPU; the numbers are "
    "meaningless. Needs --out.",
)
@click.pass_context
def main(
    context: click.Context,
    models: list[str],
    batch: list[int],
    contenders: list[str],
    rounds: int,
    seconds: float,
    device: str,
    out: Path | None,
    rehearse: bool,
) -> None:
    if rehearse and out is None:
        raise click.UsageError("--rehearse needs --out, since its numbers are not results")
    if rehearse:
        smaller: dict[str, Any] = {
            name: small if context.get_parameter_source(name) is ParameterSource.DEFAULT else None
            for name, small in REHEARSED.items()
        }
        models, batch = smaller["models"] or models, smaller["batch"] or batch
        rounds, seconds = smaller["rounds"] or rounds, smaller["seconds"] or seconds
    engines = check_models(models)
    number_as_nvidia_smi()
    gpu = describe_gpu(device, rehearse)
    if "before" in gpu:
        show_only(gpu["index"])
    peers = "cpu" if rehearse else ALONE
    out = out or RESULTS / f"gpu-{slug(gpu['name'])}.json"
    out.parent.mkdir(parents=True, exist_ok=True)

    click.echo("measuring the limits of the GPU", err=True)
    work = {name: gpu_work.count(engine) for name, engine in engines.items()}
    report: dict[str, Any] = {
        "command": f"python -m benchmarks.gpu_throughput --models {','.join(models)} --batch "
        f"{','.join(map(str, batch))} --contenders {','.join(contenders)} --rounds {rounds} "
        f"--seconds {seconds} --device {device}" + (" --rehearse" if rehearse else ""),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "complete": False,
        "rehearsal": rehearse,
        "gpu": gpu,
        "machine": machine.describe(PACKAGES),
        "conditions": list(CONDITIONS),
        "ceilings": ceilings(peers, rehearse),
        "work": {name: asdict(counted) for name, counted in work.items()},
        "rows": [],
        "bars": [],
    }
    for name, engine in engines.items():
        with tempfile.TemporaryDirectory(prefix="zoo-benchmark-") as folder:
            case = gpu_contenders.Case(str(engine), ALONE, peers, tuple(batch), folder)
            report["rows"] += measure_model(
                name, case, contenders, rounds, seconds, work[name], report["ceilings"], serve
            )
        report["bars"] = bars(report["rows"], models, batch)
        report["complete"] = name == models[-1]
        report["gpu"]["after"] = query(index_of(ALONE))
        # Written after each model, so that a later failure does not lose the earlier ones.
        out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")

    if rehearse:
        click.echo("a rehearsal: the numbers are meaningless\n")
    click.echo(gpu_report.table(report["rows"]))
    for text in (
        gpu_report.absent(report["rows"]),
        gpu_report.ceilings(report["ceilings"]),
        gpu_report.bars(report["bars"]),
    ):
        click.echo(f"{text}\n")
    title = f"{gpu['name']}{' (a rehearsal)' if rehearse else ''}"
    plotted = gpu_report.plot(report["rows"], title, out.with_suffix(".png"))
    click.echo(f"written: {out}" + (f" and {out.with_suffix('.png')}" if plotted else ""))


if __name__ == "__main__":
    main()
