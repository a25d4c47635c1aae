"""Images per second of this runtime on a CPU, compared with PyTorch, ONNX Runtime and OpenVINO.

    python -m benchmarks.throughput --models vae --batch 1,16,64

Every contender runs in its own process and stays loaded; they take turns, one at a time, for
several rounds, so that a slow minute of the machine affects all of them. First, all decode the same
latents, and a contender whose images differ is refused. Prints a table and writes JSON (with the
machine) and a plot.
"""

from __future__ import annotations

import json
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks import machine
from benchmarks.contenders import CONTENDERS, Contender
from benchmarks.processes import Process
from benchmarks.timing import time_batches

RESULTS = Path(__file__).parent / "results"
CHECKED = 64
"""Number of latents in the check."""


def serve(key: str, arguments: tuple[str, str, int], pipe: Connection) -> None:
    """Run the tasks that arrive at the pipe; the main function of a contender's process."""
    import psutil

    contender: Contender = CONTENDERS[key](*arguments)
    while (order := pipe.recv()) is not None:
        task, batch, argument = order
        try:
            if task == "prepare":
                contender.prepare(batch)
                answer: Any = contender.latent_width
            elif task == "decode":
                answer = np.concatenate(
                    [contender.decode(argument[i : i + batch]) for i in range(0, CHECKED, batch)]
                )
            else:
                answer = (
                    time_batches(contender.batches(batch), argument),
                    psutil.Process().memory_info().rss,
                )
            pipe.send((True, answer))
        except Exception:
            pipe.send((False, traceback.format_exc(limit=3)))


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio of two uint8 arrays in dB; 99 if they are equal."""
    mse = float(np.mean((a.astype(float) - b) ** 2))
    return 99.0 if mse == 0 else 10 * np.log10(255**2 / mse)


def check(process: Process, batch: int, latents: np.ndarray, reference: np.ndarray) -> float:
    """Return the PSNR to the reference.

    Raises RuntimeError if it is below 35 dB, or if fp32 images differ by more than one grey level.
    """
    images = process.ask("decode", batch, latents)
    if images.shape != reference.shape or images.dtype != np.uint8:
        raise RuntimeError(f"expected uint8{reference.shape}, got {images.dtype}{images.shape}")
    furthest = int(np.abs(images.astype(int) - reference).max())
    quality = psnr(images, reference)
    if (process.kind.precision == "fp32" and furthest > 1) or quality < 35:
        raise RuntimeError(f"images differ by {furthest} levels, PSNR {quality:.1f} dB")
    return quality


def run(
    model: str, batches: list[int], names: list[str], rounds: int, seconds: float, cores: int
) -> list[dict[str, Any]]:
    """Return a row per contender and batch: images/s of each round, time per batch, memory."""
    import runtime
    from zoo import engine_path

    engine = engine_path(f"{model}.onnx")
    arguments = (str(engine), cores)
    reference_generator = runtime.Generator(engine, backend="onnxruntime")
    if reference_generator.prior == "none":
        raise click.ClickException(f"{model} has no prior to sample from")
    latents = runtime.noise.normals(0, 0, CHECKED, reference_generator.latent_width)
    reference = reference_generator.decode(latents)
    reference_generator.close()

    rows: list[dict[str, Any]] = []
    processes = [Process(name, CONTENDERS[name], arguments, serve) for name in names]
    try:
        for batch in batches:
            ready = []
            for process in processes:
                row: dict[str, Any] = {
                    "model": model,
                    "contender": process.kind.name,
                    "key": process.key,
                    "precision": process.kind.precision,
                    "ours": process.kind.ours,
                    "batch": batch,
                }
                rows.append(row)
                try:
                    process.ask("prepare", batch)
                    row["psnr_db"] = check(process, batch, latents, reference)
                except RuntimeError as error:
                    row["error"] = str(error)
                    last_line = str(error).strip().splitlines()[-1]
                    click.echo(
                        f"{process.kind.name} {process.kind.precision}: {last_line}", err=True
                    )
                    continue
                ready.append((process, row, []))
            for turn in range(rounds):
                # Reverse every other round, so that drift of the machine favours none.
                for process, row, times in ready if turn % 2 == 0 else ready[::-1]:
                    click.echo(f"batch {batch}, round {turn + 1}: {process.key}", err=True)
                    round_times, memory = process.ask("measure", batch, seconds)
                    times.extend(round_times)
                    rate = batch * len(round_times) / sum(round_times)
                    row.setdefault("rounds", []).append(rate)
                    row["memory_mib"] = round(memory / 2**20)
            for _, row, times in ready:
                p50, p95, p99 = np.percentile(np.array(times) * 1e3, [50, 95, 99])
                row["images_per_second"] = float(np.median(row["rounds"]))
                row["ms_per_batch"] = {"p50": p50, "p95": p95, "p99": p99}
    finally:
        for process in processes:
            process.stop()
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Format the rows: images/s, and the ratio to the fastest fp32 peer with the same batch."""
    lines = [
        f"{'':28} {'batch':>5} {'images/s':>9} {'x fastest':>10} {'x eager':>8}"
        f" {'p50 ms':>8} {'p95 ms':>8} {'p99 ms':>8} {'MiB':>6} {'PSNR dB':>8}"
    ]
    batches = dict.fromkeys(row["batch"] for row in rows)
    for batch in batches:
        done = [row for row in rows if row["batch"] == batch and "images_per_second" in row]
        peers = [row for row in done if not row["ours"] and row["precision"] == "fp32"]
        fastest = max((row["images_per_second"] for row in peers), default=float("nan"))
        eager = next(
            (row["images_per_second"] for row in peers if row["key"] == "torch"), float("nan")
        )
        for row in sorted(done, key=lambda row: (row["precision"] != "fp32", row["ours"])):
            rate, ms = row["images_per_second"], row["ms_per_batch"]
            name = f"{row['contender']} {row['precision']}"
            lines.append(
                f"{name:28} {batch:5} {rate:9,.0f} {rate / fastest:10.2f} {rate / eager:8.2f}"
                f" {ms['p50']:8.2f} {ms['p95']:8.2f} {ms['p99']:8.2f} {row['memory_mib']:6}"
                f" {row['psnr_db']:8.1f}"
            )
        lines.append("")
    return "\n".join(lines)


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Plot bars of images/s, grouped by batch size."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    done = [row for row in rows if "images_per_second" in row]
    keys = list(dict.fromkeys(row["key"] for row in done))
    batches = list(dict.fromkeys(row["batch"] for row in done))
    figure, axes = pyplot.subplots(figsize=(9, 4.5), layout="constrained")
    for place, key in enumerate(keys):
        mine = [row for row in done if row["key"] == key]
        positions = [
            batches.index(row["batch"]) + (place - (len(keys) - 1) / 2) * 0.8 / len(keys)
            for row in mine
        ]
        heights = [row["images_per_second"] for row in mine]
        shade = place / max(1, len(keys) - 1)
        axes.bar(
            positions,
            heights,
            width=0.8 / len(keys),
            label=f"{mine[0]['contender']} {mine[0]['precision']}",
            color="#d1495b" if mine[0]["ours"] else pyplot.cm.Greys(0.35 + 0.45 * shade),
            hatch="//" if mine[0]["precision"] == "bf16" else None,
            edgecolor="white",
        )
    axes.set_xticks(range(len(batches)), [f"batch {batch}" for batch in batches])
    axes.set_ylabel("images/s")
    axes.set_title(f"{rows[0]['model']}: noise and uint8 conversion included")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, ncols=2)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


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
    """Parse keys of CONTENDERS; all by default."""
    names = value.split(",") if value else list(CONTENDERS)
    unknown = [name for name in names if name not in CONTENDERS]
    if unknown:
        raise click.BadParameter(f"unknown {unknown[0]!r}; known: {', '.join(CONTENDERS)}")
    return names


@click.command(help=__doc__.splitlines()[0])
@click.option("--models", default="vae", show_default=True, help="Comma-separated model names.")
@click.option("--batch", default="1,16,64", show_default=True, callback=parse_integers)
@click.option("--contenders", callback=parse_contenders, help="Comma-separated; default: all.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
@click.option("--seconds", default=1.0, show_default=True, type=click.FloatRange(0.01))
@click.option(
    "--out", type=click.Path(path_type=Path), help="JSON file; the plot is written next to it."
)
def main(
    models: str,
    batch: list[int],
    contenders: list[str],
    rounds: int,
    seconds: float,
    out: Path | None,
) -> None:
    host = machine.describe()
    rows = []
    for model in models.split(","):
        rows += run(model, batch, contenders, rounds, seconds, host["cores"])
    click.echo(table(rows))
    out = out or RESULTS / f"throughput-{'-'.join(models.split(','))}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    report = {
        "command": f"python -m benchmarks.throughput --models {models} "
        f"--batch {','.join(map(str, batch))} --rounds {rounds} --seconds {seconds}",
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": host,
        "rows": rows,
    }
    out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    plot(rows, out.with_suffix(".png"))
    click.echo(f"written: {out} and {out.with_suffix('.png')}")


if __name__ == "__main__":
    main()
