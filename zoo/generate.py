"""Generate a data set in shards: `python -m zoo.generate --engine vae.onnx -n 1e6 --out DIR`."""

from __future__ import annotations

import os
from typing import Any

import click

from zoo.cli import COUNT, UINT64, Command, engine_options


class Number(click.ParamType):
    """Count of images, also in the form 1e7."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Convert `value` to an int. Raises click.BadParameter."""
        text = str(value)
        mantissa, _, exponent = text.lower().partition("e")
        if exponent and mantissa.isdecimal() and exponent.isdecimal() and len(exponent) < 3:
            text = mantissa + int(exponent) * "0"
        return COUNT.convert(text, param, ctx)


@click.command(cls=Command)
@engine_options
@click.option("-n", "--count", type=Number(), required=True, metavar="N", help="As 1000 or 1e7.")
@click.option("--out", required=True, metavar="DIR", help="Folder of the shards.")
@click.option("--seed", type=UINT64, default=0, help="Seed of the run.")
@click.option("--first", type=UINT64, default=0, help="Index in the run of the first image.")
@click.option(
    "--format",
    type=click.Choice(["webdataset", "parquet", "npy", "png"]),
    default="webdataset",
    help="A tar, Parquet or .npy file, or a folder of PNGs for each shard.",
)
@click.option("--shard-size", type=COUNT, default=10_000, help="Images of a shard.")
@click.option("--part", metavar="I/N", help="Only shards I, I + N, I + 2 N, …, I from 0.")
@click.option("--workers", type=COUNT, help="Processes, or actors of Ray.  [a core each]")
@click.option("--ray", metavar="ADDRESS", help="Work on a Ray cluster: HOST:PORT, or local.")
@click.option("--labels", metavar="A,B,…", help="Images of these classes in turn.")
@click.option(
    "--prior",
    type=click.Choice(["normal", "mixture"]),
    default="normal",
    help="Draw latents from N(0, I), or from the learned prior of a VAE.",
)
@click.option("--truncation", type=float, default=1.0, metavar="PSI", help="Of styles.")
@click.option("--verify", is_flag=True, help="Check the shards, and write nothing.")
@click.option("--overwrite", is_flag=True, help="Replace the shards of another run.")
@click.option("-v", "--verbose", is_flag=True, help="Show progress in a log, too.")
def main(engine: str, out: str, **options: Any) -> None:
    """Write images --first … --first + N - 1 of a seed to shards in DIR.

    A shard appears whole, and then a line in index.jsonl says what it holds, its
    SHA-256, and what made it. The same command again makes only what is missing or
    damaged, byte for byte as before. Machines that share nothing but a folder divide
    the work by --part 0/3, 1/3 and 2/3, or are a cluster of Ray.
    """
    # Nothing here multiplies matrices, and NumPy's library begins a thread for each core, in each
    # worker, too; where there is no memory for them it ends the process as Ctrl-C does.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from zoo.generation.run import generate

    click.echo(generate(engine, out, **options))


if __name__ == "__main__":
    main()
