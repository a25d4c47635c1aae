"""The server of the protocol over gRPC."""

from __future__ import annotations

import grpc.aio

from zoo.errors import ConfigError
from zoo.serving.errors import Explainer
from zoo.serving.kserve.inference import Repository
from zoo.serving.kserve.rpc import Rpc
from zoo.serving.metrics import Metrics

GRACE = 60.0
"""Seconds for the calls in progress when the service ends."""


class RpcServer:
    """Serves at an address. most: bytes of the largest request."""

    def __init__(
        self,
        address: str,
        repository: Repository,
        explain: Explainer,
        most: int,
        key: str | None,
        metrics: Metrics,
    ) -> None:
        self._address, self._most = address, most
        self._rpc = Rpc(repository, explain, key, metrics)
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Begin to serve. Raises ConfigError if the address cannot be listened at."""
        options = [
            ("grpc.max_receive_message_length", self._most),
            ("grpc.max_send_message_length", -1),
            # Another process must not share the port.
            ("grpc.so_reuseport", 0),
        ]
        server = grpc.aio.server(options=options)
        server.add_generic_rpc_handlers((self._rpc,))
        try:
            server.add_insecure_port(self._address)
        except RuntimeError as error:
            raise ConfigError(f"cannot listen at {self._address}: it is in use") from error
        await server.start()
        self._server = server

    async def stop(self) -> None:
        """Complete what was accepted."""
        await self._rpc.end()
        if self._server is not None:
            await self._server.stop(GRACE)
