"""Runs the application in a process of uvicorn."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

import click

from zoo.errors import ConfigError
from zoo.optional import require
from zoo.serving.models import BatchOptions, load


def serve(
    engines: Sequence[str],
    host: str,
    port: int,
    device: str,
    backend: str,
    precision: str,
    instances: int | None,
    batch: int,
    delay: float,
    queue: int,
    most: int,
    timeout: float,
    key_file: Path | None,
) -> None:
    """Serve engines until SIGINT or SIGTERM; the arguments are the options of `zoo.serve`.

    Raises ConfigError, also if the address cannot be listened at, and the errors of
    runtime.Generator.
    """
    for package in ("fastapi", "uvicorn", "prometheus_client"):
        require(package, "serve")
    import uvicorn

    from zoo.serving.app import Limits, make_app

    options = {
        "device": device,
        "backend": backend,
        "precision": precision,
        "instances": instances,
    }
    limits = Limits(images=most, seconds=timeout, key=_read_key(key_file))
    listener = _listen(host, port)
    models = load(engines, options, BatchOptions(batch, delay / 1000, queue))
    config = uvicorn.Config(
        make_app(models, limits),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=60,
    )
    name = f"[{host}]" if ":" in host else host
    click.echo(f"http://{name}:{listener.getsockname()[1]}  {' '.join(models)}")
    uvicorn.Server(config).run(sockets=[listener])


def _read_key(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        key = path.read_text("utf-8").split("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the key in {path}: {error}") from error
    if not key:
        raise ConfigError(f"the first line of {path} is empty, expected a key")
    return key


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        raise ConfigError(f"cannot listen at {host}:{port}: {error.strerror}") from error
    return listener
