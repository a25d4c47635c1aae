"""Time from process start to the first image, and of `import runtime`.

    python -m benchmarks.startup [--engine vae.onnx] [--program path/to/grid]

Medians over separate processes. The time of `import runtime` excludes `import numpy`; the C++
program is the example in csrc/examples.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from benchmarks import machine


def milliseconds(command: list[str], repeats: int) -> float:
    """Return the median wall time of a command."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times[1:])  # the first run reads from the disk


@click.command(help=__doc__.splitlines()[0])
@click.option("--engine", default="vae.onnx", show_default=True)
@click.option("--program", type=click.Path(exists=True), help="The built C++ example.")
@click.option("--repeats", default=15, show_default=True, type=click.IntRange(1))
def main(engine: str, program: str | None, repeats: int) -> None:
    import runtime
    from zoo import engine_path

    path = str(engine_path(engine))
    sample = (
        f"import runtime; runtime.Generator({path!r}, backend={{backend!r}}).sample(1).tobytes()"
    )
    python = [sys.executable, "-c"]
    numpy = milliseconds([*python, "import numpy"], repeats)
    result = {
        "import numpy": numpy,
        "import runtime, beyond numpy": milliseconds([*python, "import runtime"], repeats) - numpy,
    }
    for backend in runtime.backends():
        code = sample.format(backend=backend)
        result[f"first image, Python, {backend}"] = milliseconds([*python, code], repeats)
    if program:
        with tempfile.TemporaryDirectory() as folder:
            out = str(Path(folder) / "grid.pgm")
            result["first image, C++"] = milliseconds([program, path, out, "1"], repeats)
    for name, value in result.items():
        click.echo(f"{name:36} {value:7.1f} ms")
    click.echo(json.dumps({"machine": machine.describe(), "milliseconds": result}))


if __name__ == "__main__":
    main()
