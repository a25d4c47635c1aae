"""Show the contents of an engine file: `python -m zoo.inspect vae.onnx`."""

from __future__ import annotations

import click

from zoo.cli import COUNT, Command


@click.command(cls=Command)
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest, or the layers, as JSON.")
@click.option("--layers", is_flag=True, help="Measure the layers instead.")
@click.option("--backend", default="native", metavar="NAME", help="Of --layers, or openvino.")
@click.option(
    "--precision", default="fp32", metavar="NAME", help="Of --layers: fp32, bf16 or int8."
)
@click.option("--batch", type=COUNT, default=16, metavar="N", help="Of --layers: images of a run.")
@click.option("--plot", metavar="FILE", help="Also plot the layers, as PNG, SVG or PDF.")
def main(
    file: str,
    as_json: bool,
    layers: bool,
    backend: str,
    precision: str,
    batch: int,
    plot: str | None,
) -> None:
    """Print the manifest of the engine FILE, a path or a shipped name, and its tensors.

    For a plan, the results of its checks are included if FILE.checks.json exists.

    With --layers: for each layer the kernel that computes it, its time per image, and for
    products GFLOP/s and the share of the core's ceiling, measured in the same second. OpenVINO
    tells the names and times of its own kernels.
    """
    if plot is not None and not layers:
        raise click.UsageError("--plot: only with --layers")
    from zoo.inference.inspection import inspect_engine, inspect_layers

    if layers:
        click.echo(inspect_layers(file, backend, precision, batch, as_json, plot))
    else:
        click.echo(inspect_engine(file, as_json))


if __name__ == "__main__":
    main()
