"""Write a page that runs engines in browsers: `python -m zoo.page --engine vae.onnx --out site`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zoo.cli import Command


@click.command(cls=Command)
@click.option(
    "--engine",
    "names",
    multiple=True,
    required=True,
    metavar="FILE",
    help="Engine file of a generator or translator, or the name of a shipped one; repeatable.",
)
@click.option("--out", default="site", metavar="FOLDER", help="Folder of the page.")
@click.option(
    "--ort",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of onnxruntime-web.  [downloaded once, with npm]",
)
@click.option("--overwrite", is_flag=True, help="Write into a folder that is not empty.")
def main(**options: Any) -> None:
    """Write a folder of static files, in which a browser runs the engines (WebAssembly).

    The images of a seed are those of zoo.sample, within one grey level. The encoder of an
    engine, and the halves of a style-based one, are taken along if they are beside it. Any web
    server can serve the folder, such as python -m http.server -d FOLDER.
    """
    from zoo.web.site import write_site

    click.echo(write_site(**options))


if __name__ == "__main__":
    main()
