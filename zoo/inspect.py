"""Show the contents of an engine file: `python -m zoo.inspect vae.onnx`."""

from __future__ import annotations

import click

from zoo.cli import Command


@click.command(cls=Command)
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON.")
def main(file: str, as_json: bool) -> None:
    """Print the manifest of the engine FILE, a path or a shipped name, and its tensors.

    For a plan, the results of its checks are included if FILE.checks.json exists.
    """
    from zoo.inference.inspection import inspect_engine

    click.echo(inspect_engine(file, as_json))


if __name__ == "__main__":
    main()
