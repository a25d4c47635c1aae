"""`python -m export runs/vae --out vae.onnx`: a checkpoint to checked engine files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zoo.cli import Command


@click.command(cls=Command)
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE.onnx",
    help="The main file; an encoder's is FILE.encoder.onnx.",
)
@click.option(
    "--weights",
    type=click.Choice(["fp16", "fp32"]),
    default="fp16",
    help="How weights are stored; they are used in fp32.",
)
@click.option(
    "--image",
    type=click.Choice(["uint8", "float"]),
    default="uint8",
    help="Images as uint8 N,H,W,C or as float32 N,C,H,W in [0, 1].",
)
@click.option(
    "--interpolator",
    type=click.Choice(["linear", "spherical"]),
    help="Write FILE.interpolator.onnx too.",
)
@click.option(
    "--data",
    metavar="SET",
    help="Images whose latents are measured [those it was trained on, if they are here].",
)
@click.option(
    "--no-runtime-check",
    is_flag=True,
    help="Check against PyTorch and stock ONNX Runtime only.",
)
def main(
    checkpoint: Path,
    out: Path,
    weights: Any,
    image: Any,
    interpolator: Any,
    data: str | None,
    no_runtime_check: bool,
) -> None:
    """Export CHECKPOINT, the folder of a training run, a .safetensors file of one, or an engine.

    Every file is compared with PyTorch, stock ONNX Runtime and the runtime of this
    package, row by row at several batch sizes. If one fails, none is kept.
    """
    from zoo.images.atomic import check_file

    if out.suffix != ".onnx":
        raise click.BadParameter(f"{out}: an engine file ends in .onnx", param_hint="--out")
    check_file(out)
    if not checkpoint.exists():
        raise click.BadParameter(f"{checkpoint}: no such file or folder", param_hint="CHECKPOINT")
    try:
        from export import pipeline
    except ImportError as error:
        raise click.ClickException(
            f"the export needs {error.name}: pip install 'generator-zoo[export]'"
        ) from error
    from export.checks import table
    from export.errors import ParityError

    options = pipeline.Options(weights, image, interpolator, not no_runtime_check, data)
    try:
        files = pipeline.export(checkpoint, out, options, lambda line: click.echo(line, err=True))
    except ParityError as error:
        click.echo(error.report, err=True)
        raise
    click.echo(table([check for file in files for check in file.checks]))
    click.echo("")
    for file in files:
        rates = "; ".join(
            f"{backend} " + ", ".join(f"{rate:,.0f}" for rate in by_batch.values())
            for backend, by_batch in file.throughput.items()
        )
        sizes = ", ".join(next(iter(file.throughput.values()), {}))
        text = f"; images/s at batch {sizes}: {rates}" if rates else ""
        if file.unfolded is not None:
            text = f"; {file.unfolded} nodes before folding, {file.nodes} after{text}"
        click.echo(f"{file.path}: {file.size:,} bytes{text}")


if __name__ == "__main__":
    main()
