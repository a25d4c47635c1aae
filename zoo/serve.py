"""Serve images over HTTP: `python -m zoo.serve --engine vae.onnx --port 8000`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zoo.cli import COUNT, Command, Integer, Real


@click.command(cls=Command)
@click.option(
    "--engine",
    "engines",
    multiple=True,
    required=True,
    metavar="FILE",
    help="Engine file, or the name of a shipped one; repeatable.",
)
@click.option("--host", default="127.0.0.1", help="Address to listen at; 0.0.0.0 is all.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, help="0: any free one.")
@click.option(
    "--grpc-port",
    type=click.IntRange(0, 65535),
    help="Port of KServe v2 over gRPC; 0: any free one.  [none]",
)
@click.option("--device", default="auto", metavar="NAME", help="cpu, cuda, cuda:N.")
@click.option("--backend", default="auto", metavar="NAME", help="Backend of the engines.")
@click.option("--precision", default="fp32", metavar="NAME", help="fp32, bf16 or int8.")
@click.option("--instances", type=COUNT, help="Parallel instances of each engine.  [cores]")
@click.option("--batch", type=COUNT, default=64, help="Most images of a run.")
@click.option(
    "--delay",
    type=Real(0, 1000),
    default=0.0,
    metavar="MS",
    help="Milliseconds that images wait for others at most.",
)
@click.option("--queue", type=COUNT, default=4096, help="Most images that wait for a model.")
@click.option("--most", type=COUNT, default=65536, help="Most images of an answer.")
@click.option(
    "--body",
    type=Integer(1, 2**31, "1 to 2147483648 bytes"),
    default=2**24,
    help="Most bytes of a request with pictures.",
)
@click.option(
    "--timeout",
    type=Real(0, min_open=True),
    default=30.0,
    metavar="S",
    help="Seconds after which a waiting request is given up.",
)
@click.option(
    "--key-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File whose first line clients must send as Authorization: Bearer LINE.",
)
def main(**options: Any) -> None:
    """Answer requests for images until the process is told to end (Ctrl-C, SIGTERM).

    GET or POST /v1/models/NAME/sample?n=64&seed=7 gives the same images as zoo.sample;
    interpolate, decode, encode, reconstruct, translate, edit and mix those of the other
    commands, for models that have what they need. /openapi.json describes these routes;
    /v2 is the Open Inference Protocol (KServe v2), with --grpc-port over gRPC too;
    /metrics is for Prometheus. What was accepted
    is completed before the process ends.
    """
    from zoo.serving.server import serve

    serve(**options)


if __name__ == "__main__":
    main()
