"""Gate on speed: this runtime compared with stock ONNX Runtime, in one process.

    python -m benchmarks.regression            # exits with 1 where a ratio fell
    python -m benchmarks.regression --record   # writes the ratios of this machine

Both decode the same latents in one thread and take turns of a few milliseconds, so that whatever
else the machine does slows down both; the ratio is the median of the turns. It fails below 70 % of
the one recorded for CPUs with the same instruction set; where none is recorded, below 1.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

from zoo.tables import align_columns

RECORD = Path(__file__).parent / "results" / "regression.json"
CASES = [(model, batch) for model in ("dcgan", "vae") for batch in (1, 16)]
SHARE = 0.7

Ratios = dict[str, float]


def measure(model: str, batch: int, rounds: int, seconds: float) -> float:
    """Return images/s of this runtime over those of ONNX Runtime."""
    import onnxruntime

    import runtime
    from benchmarks.cpu_cases import stock_graph
    from zoo import engine_path

    engine = engine_path(f"{model}.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        stock_graph(engine).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    with runtime.Generator(engine, instances=1) as generator:
        latents = runtime.noise.normals(0, 0, batch, generator.latent_width)
        theirs = session.run(None, {name: latents})[0]
        if np.abs(generator.decode(latents).astype(int) - theirs).max() > 1:
            raise click.ClickException(f"{model}: images differ from ONNX Runtime's")
        turns = [
            (
                _rate(lambda: generator.decode(latents), seconds),
                _rate(lambda: session.run(None, {name: latents}), seconds),
            )
            for _ in range(rounds)
        ]
    return statistics.median(ours / peer for ours, peer in turns)


def _rate(run: Callable[[], Any], seconds: float) -> float:
    """Return runs/s over about `seconds`."""
    count, begin = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - begin) < seconds:
        run()
        count += 1
    return count / elapsed


def failures(measured: Ratios, recorded: Ratios) -> list[str]:
    """Return the names of the cases whose ratio is below SHARE of the recorded one."""
    return [name for name, ratio in recorded.items() if measured.get(name, 0.0) < SHARE * ratio]


@click.command(help=__doc__.splitlines()[0])
@click.option("--record", is_flag=True, help="Write the ratios instead of comparing them.")
@click.option("--rounds", default=31, show_default=True, type=click.IntRange(1))
@click.option("--seconds", default=0.02, show_default=True, type=click.FloatRange(0.001))
def main(record: bool, rounds: int, seconds: float) -> None:
    from runtime._library import native

    isa = next(iter(native.native_isas("fp32")), "none")
    records: dict[str, Ratios] = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    measured = {
        f"{model} {batch}": round(measure(model, batch, rounds, seconds), 2)
        for model, batch in CASES
    }
    recorded = records.get(isa, dict.fromkeys(measured, 1 / SHARE))
    rows = [("images/s over ONNX Runtime's", "measured", "expected")]
    rows += [(name, f"{ratio:.2f}", f"{recorded[name]:.2f}") for name, ratio in measured.items()]
    click.echo("\n".join(align_columns(rows, right=(1, 2))))
    if record:
        RECORD.write_text(json.dumps({**records, isa: measured}, indent=1) + "\n")
        return
    if slower := failures(measured, recorded):
        click.echo(f"below {SHARE:.0%} of the recorded ratio: {', '.join(slower)}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
