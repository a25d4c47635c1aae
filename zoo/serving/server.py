"""Runs the application in a process of uvicorn."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path

import click

from zoo.errors import ConfigError
from zoo.optional import require
from zoo.serving.models import BatchOptions, load

BACKLOG = 2048
"""Connections that wait to be accepted, as uvicorn has it."""


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
    body: int,
    timeout: float,
    key_file: Path | None,
    grpc_port: int | None,
) -> None:
    """Serve engines until SIGINT or SIGTERM; the arguments are the options of `zoo.serve`.

    Raises ConfigError, also if the address cannot be listened at, and the errors of
    runtime.Generator.
    """
    for package in ("fastapi", "uvicorn", "prometheus_client", "python_multipart"):
        require(package, "serve")
    if grpc_port is not None:
        require("grpc", "serve")
        require("google.protobuf", "serve")
    import uvicorn

    from zoo.serving.app import make_app
    from zoo.serving.limits import Limits

    options = {
        "device": device,
        "backend": backend,
        "precision": precision,
        "instances": instances,
    }
    limits = Limits(most, body, timeout, _read_key(key_file))
    listener = _listen(host, port)
    grpc_address = None if grpc_port is None else _find_address(host, grpc_port, listener)
    models = load(engines, options, BatchOptions(batch, delay / 1000, queue))
    app = make_app(models, limits, grpc_address)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            # Not by the application, whose errors uvicorn prints as tracebacks.
            if app.state.rpc is not None:
                await app.state.rpc.start()
            await super().startup(sockets)

    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=60,
    )
    click.echo(f"http://{_join(host, listener)}  {' '.join(models)}")
    if grpc_address is not None:
        click.echo(f"grpc://{grpc_address}")
    Server(config).run(sockets=[listener])


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
    """Return a socket that listens, so that no other process can do so. Raises ConfigError."""
    if not host:
        raise ConfigError("--host: expected an address; 0.0.0.0 is all of IPv4, :: of IPv6 too")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        # From now on, since what is only bound may be bound again; clients wait for the engines.
        listener.listen(BACKLOG)
    except OSError as error:
        raise ConfigError(f"cannot listen at {host}:{port}: {error.strerror}") from error
    return listener


def _find_address(host: str, port: int, http: socket.socket) -> str:
    """Return the address for gRPC, which opens its socket itself. Raises ConfigError."""
    if port != 0 and port == http.getsockname()[1]:
        raise ConfigError(f"--grpc-port: expected another port than --port, got {port}")
    with _listen(host, port) as probe:
        return _join(host, probe)


def _join(host: str, listener: socket.socket) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"{name}:{listener.getsockname()[1]}"
