"""Draws figures of docs/course.md: `python -m scripts.course collapse.png`."""

from __future__ import annotations

import sys

import click

from .figures import FIGURES, OUT


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(FIGURES)))
def main(names: tuple[str, ...]) -> None:
    """Draw the figures NAMES, or all, into docs/gallery."""
    for name in names or FIGURES:
        print(name, file=sys.stderr)
        FIGURES[name](OUT / name)


if __name__ == "__main__":
    main()
