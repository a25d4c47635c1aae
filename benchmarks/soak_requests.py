"""The requests of a soak test, in every format, and the images of their answers."""

from __future__ import annotations

import email
import io
import json
import random
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

import grpc
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from open_inference import answered, body, grpc_answer, grpc_request, keys
from runtime import Generator

Images = NDArray[np.uint8]

MODELS = {"vae": 30, "cgan": 30, "dcgan": 25, "stylegan": 15}
"""The engines, and their shares of the requests: per cent."""
SIZES = {(1, 4): 75.0, (5, 16): 22.0, (17, 64): 2.5, (65, 300): 0.5}
"""Least and most images of requests, and the shares of these: per cent."""

PATIENCE = 120.0
"""Seconds after which an answer is lost."""
IDLE = 2.0
"""Seconds after which a connection is not used again: a service may close it at any time."""


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, content: bytes) -> None:
        super().__init__(f"{status} {content[:200]!r}")
        self.status, self.content = status, content


@dataclass(frozen=True)
class Asked:
    """Images that a client asks for. labels: classes that they have in turn, or None."""

    model: str
    count: int
    seed: int
    first: int
    labels: tuple[int, ...] | None = None

    def local(self, generators: Mapping[str, Generator]) -> Images:
        """Compute the images in this process."""
        turn = {} if self.labels is None else {"labels": list(self.labels), "cycle": True}
        generator = generators[self.model]
        return generator.sample(self.count, seed=self.seed, first=self.first, **turn)

    @property
    def rows(self) -> list[tuple[int, int]]:
        """Seeds and indices for the protocol of KServe, where each row may have its own seed."""
        return [(self.seed ^ row, self.first + row) for row in range(self.count)]

    def local_rows(self, generators: Mapping[str, Generator]) -> Images:
        """Compute the images of `rows` in this process."""
        return generators[self.model].sample(self.count, keys=np.array(self.rows, np.uint64))


class Client:
    """The connections of one client, which are opened when they are needed."""

    def __init__(self, http: str, rpc: str) -> None:
        self._http, self._rpc = http, rpc
        self._connection: HTTPConnection | None = None
        self._used = 0.0
        self._channels = ExitStack()
        self._infer: Callable[..., bytes] | None = None
        self.answering = False
        """The first bytes of the last answer have come."""

    def open(self) -> HTTPConnection:
        """Return a connection of HTTP to nobody else's use."""
        return HTTPConnection(self._http, timeout=PATIENCE)

    def ask(
        self,
        method: str,
        path: str,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[Mapping[str, str], bytes]:
        """Return headers and body of an answer. Raises Refused, OSError, HTTPException."""
        self.answering = False
        if self._connection is None or time.monotonic() - self._used > IDLE:
            self.close_http()
            self._connection = self.open()
        self._connection.request(method, path, content, dict(headers or {}))
        answer = self._connection.getresponse()
        self.answering = True
        read = answer.read()
        self._used = time.monotonic()
        if answer.status != 200:
            raise Refused(answer.status, read)
        return answer.headers, read

    def infer(self, request: bytes, seconds: float = PATIENCE) -> bytes:
        """Return the answer to a message of gRPC. Raises grpc.RpcError."""
        self.answering = False
        if self._infer is None:
            own = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
            channel = self._channels.enter_context(grpc.insecure_channel(self._rpc, own))
            self._infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        return self._infer(request, timeout=seconds)

    def close_http(self) -> None:
        """Close the connection of HTTP; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def close(self) -> None:
        """Close all connections."""
        self.close_http()
        self._channels.close()
        self._infer = None


def _sample(client: Client, asked: Asked, format: str) -> tuple[Mapping[str, str], bytes]:
    """Ask by GET for even seeds, by POST for odd ones."""
    values = {"n": asked.count, "seed": asked.seed, "first": asked.first, "format": format}
    path = f"/v1/models/{asked.model}/sample"
    if asked.seed % 2:
        document = json.dumps(values | ({"labels": asked.labels} if asked.labels else {}))
        return client.ask("POST", path, document.encode(), {"Content-Type": "application/json"})
    labels = {"labels": ",".join(map(str, asked.labels))} if asked.labels else {}
    return client.ask("GET", f"{path}?{urlencode(values | labels)}")


def _png(content: bytes) -> Images:
    image = np.asarray(Image.open(io.BytesIO(content)))
    return image.reshape(1, *image.shape[:2], -1)


def _ask_png(client: Client, asked: Asked) -> Images:
    return _png(_sample(client, asked, "png")[1])


def _ask_npy(client: Client, asked: Asked) -> Images:
    return np.load(io.BytesIO(_sample(client, asked, "npy")[1]))


def _ask_npz(client: Client, asked: Asked) -> Images:
    return np.load(io.BytesIO(_sample(client, asked, "npz")[1]))["images"]


def _ask_raw(client: Client, asked: Asked) -> Images:
    headers, content = _sample(client, asked, "raw")
    shape = [int(side) for side in headers["X-Zoo-Shape"].split(",")]
    return np.frombuffer(content, np.uint8).reshape(shape)


def _ask_multipart(client: Client, asked: Asked) -> Images:
    headers, content = _sample(client, asked, "multipart")
    start = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
    parts = email.message_from_bytes(start + content).get_payload()
    return np.concatenate([_png(part.get_payload(decode=True)) for part in parts])


def _ask_kserve(client: Client, asked: Asked) -> Images:
    content, headers = body(keys(*asked.rows), binary=True, answer=True)
    headers, answer = client.ask("POST", f"/v2/models/{asked.model}/infer", content, headers)
    return answered(answer, headers)[1]


def _ask_grpc(client: Client, asked: Asked) -> Images:
    return grpc_answer(client.infer(grpc_request(asked.model, keys(*asked.rows))))[1]


@dataclass(frozen=True)
class Format:
    """How a client asks for images, and how they are computed in this process.

    share: of the requests, per cent; most: images of a request.
    """

    share: int
    ask: Callable[[Client, Asked], Images]
    local: Callable[[Asked, Mapping[str, Generator]], Images] = Asked.local
    most: int = 300


FORMATS = {
    "png": Format(20, _ask_png, most=1),
    "npy": Format(15, _ask_npy),
    "npz": Format(10, _ask_npz),
    "raw": Format(20, _ask_raw),
    "multipart": Format(5, _ask_multipart, most=16),
    "KServe": Format(15, _ask_kserve, Asked.local_rows),
    "gRPC": Format(15, _ask_grpc, Asked.local_rows),
}


def draw(chance: random.Random) -> tuple[str, Asked]:
    """Draw a request: the name of its format, and what it asks for."""

    def one_of(shares: Mapping[Any, float]) -> Any:
        return chance.choices(list(shares), list(shares.values()))[0]

    name = one_of({name: format.share for name, format in FORMATS.items()})
    count = min(chance.randint(*one_of(SIZES)), FORMATS[name].most)
    asked = Asked(one_of(MODELS), count, chance.getrandbits(64), chance.getrandbits(40))
    if asked.model == "cgan" and FORMATS[name].local is Asked.local and chance.random() < 0.5:
        asked = replace(asked, labels=tuple(chance.choices(range(10), k=chance.randint(1, 3))))
    return name, asked
