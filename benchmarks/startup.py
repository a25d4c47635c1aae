"""Time from process start to the first image, and of `import runtime`.

    python -m benchmarks.startup [--engine vae.onnx | --engine all] [--program path/to/grid]

Medians over separate processes. The time of `import runtime` excludes `import numpy`; the C++
program is the example in csrc/examples, which loads generators only. `--engine all` is every
shipped engine of the throughput benchmark in the native backend.
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


FIRST = {
    "generator": "engine.sample(1)",
    "translator": "engine.translate(image, [0.0] * len(engine.attributes) or None)",
    "encoder": "engine.encode(image)",
    "classifier": "engine.classify(image)",
}
"""The call that computes the first image, or what is computed of it, by role."""


def first_image(path: Path, backend: str) -> str:
    """Return a Python program that loads an engine and calls it once."""
    from runtime import manifest

    document = manifest.read(path)
    role, image = document["role"], document.get("input", document["image"])
    shape = (1, image["height"], image["width"], image["channels"])
    return (
        "import numpy, runtime; "
        f"engine = runtime.{role.capitalize()}({str(path)!r}, backend={backend!r}); "
        f"image = numpy.zeros({shape}, numpy.uint8); {FIRST[role]}"
    )


def measure_first_images(
    path: Path, backends: list[str], program: str | None, repeats: int
) -> dict[str, float]:
    """Return the milliseconds to the first image by backend in Python, and in the C++ program."""
    python = [sys.executable, "-c"]
    result = {
        f"Python, {backend}": milliseconds([*python, first_image(path, backend)], repeats)
        for backend in backends
    }
    from runtime import manifest

    if program and manifest.read(path)["role"] == "generator":
        with tempfile.TemporaryDirectory() as folder:
            out = str(Path(folder) / "grid.pgm")
            result["C++"] = milliseconds([program, str(path), out, "1"], repeats)
    return result


@click.command(help=__doc__.splitlines()[0])
@click.option("--engine", default="vae.onnx", show_default=True, help='A file, a name, or "all".')
@click.option("--program", type=click.Path(exists=True), help="The built C++ example.")
@click.option("--repeats", default=15, show_default=True, type=click.IntRange(1))
def main(engine: str, program: str | None, repeats: int) -> None:
    import runtime
    from benchmarks.throughput import list_models
    from zoo import engine_path

    python = [sys.executable, "-c"]
    numpy = milliseconds([*python, "import numpy"], repeats)
    result = {
        "import numpy": numpy,
        "import runtime, beyond numpy": milliseconds([*python, "import runtime"], repeats) - numpy,
    }
    names, backends = list_models(), ["native"]
    if engine != "all":
        names = [engine]
        available = runtime.backends().items()
        backends = [name for name, version in available if "unavailable" not in version]
    for name in names:
        times = measure_first_images(engine_path(name), backends, program, repeats)
        result |= {f"first image, {name}, {where}": value for where, value in times.items()}
    for name, value in result.items():
        click.echo(f"{name:48} {value:7.1f} ms")
    click.echo(json.dumps({"machine": machine.describe(), "milliseconds": result}))


if __name__ == "__main__":
    main()
