"""List the models: `python -m zoo.list`."""

from __future__ import annotations

import click

from zoo.cli import Command


@click.command(cls=Command)
def main() -> None:
    """Print every model: paper, parameters, data set, metrics, engine files, images/s if known.

    Training details are read from the manifests of the shipped engine files.
    """
    from zoo.models.listing import list_models

    click.echo(list_models())


if __name__ == "__main__":
    main()
