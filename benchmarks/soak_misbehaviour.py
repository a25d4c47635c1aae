"""The clients of a soak test that misbehave: nobody else may notice."""

from __future__ import annotations

import json
import random
import socket
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlencode

import grpc
import numpy as np

from benchmarks.soak_clients import Load
from benchmarks.soak_requests import PATIENCE, Asked, Client, Refused
from open_inference import HEADER, body, grpc_answer, grpc_request, keys

RESET = b"\1\0\0\0\0\0\0\0"
"""SO_LINGER of no time: a connection is closed with a reset."""
REFUSALS = range(400, 500)
GRPC_REFUSALS = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND)


def stream(asked: Asked) -> str:
    """Return the target of a request for an answer that is sent while it is computed."""
    values = {"n": asked.count, "seed": asked.seed, "first": asked.first, "format": "raw"}
    return f"/v1/models/{asked.model}/sample?{urlencode(values)}"


def read_slowly(load: Load, chance: random.Random) -> None:
    """Read large answers in small pieces, with pauses."""
    while not load.over.is_set():
        asked = Asked("vae", 1500, chance.getrandbits(63), 0)
        expected = asked.local(load.generators).tobytes()
        connection = HTTPConnection(load.http, timeout=PATIENCE)
        try:
            connection.connect()
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            connection.request("GET", stream(asked))
            answer, pieces = connection.getresponse(), []
            while piece := answer.read(32_768):
                pieces.append(piece)
                time.sleep(0.1)
        except (OSError, HTTPException) as error:
            load.tally.fault("lost", f"slow reader {asked}: {type(error).__name__} {error}")
            continue
        finally:
            connection.close()
        if b"".join(pieces) == expected:
            load.tally.see("answers read slowly")
        else:
            load.tally.fault("wrong", f"slow reader {asked}")


def vanish(load: Load, chance: random.Random) -> None:
    """Go away in the middle of a request, after it, or in the middle of the answer."""
    while not load.over.wait(chance.uniform(0.2, 1.2)):
        asked = Asked("vae", 20_000, chance.getrandbits(63), 0)
        request = f"GET {stream(asked)} HTTP/1.1\r\nHost: soak\r\n\r\n".encode()
        with _connect(load.http) as connection:
            connection.sendall(request[: chance.choice((0, 20, len(request), len(request)))])
            if chance.random() < 0.7:
                connection.settimeout(0.5)
                try:
                    connection.recv(chance.choice((1, 1000, 100_000)))
                except TimeoutError:
                    pass
            if chance.random() < 0.5:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        load.tally.see("readers that vanished")


def hurry(load: Load, chance: random.Random) -> None:
    """Ask for more than can be computed until the deadline of the call, or hang up then."""
    client = Client(load.http, load.rpc)
    while not load.over.wait(chance.uniform(0.2, 1.0)):
        asked = Asked("stylegan", 32, chance.getrandbits(64), 0)
        seconds = chance.choice((0.001, 0.01, 0.05, 0.2))
        if chance.random() < 0.5:
            connection = HTTPConnection(load.http, timeout=seconds)
            try:
                connection.request("GET", stream(asked))
                connection.getresponse().read()
                load.tally.see("deadlines met")
            except TimeoutError:
                load.tally.see("deadlines passed")
            finally:
                connection.close()
            continue
        try:
            answer = client.infer(grpc_request(asked.model, keys(*asked.rows)), seconds)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                load.tally.see("deadlines passed")
            else:
                load.tally.fault("lost", f"deadline {asked}: {error.code()} {error.details()}")
            continue
        load.tally.see("deadlines met")
        if not np.array_equal(grpc_answer(answer)[1], asked.local_rows(load.generators)):
            load.tally.fault("wrong", f"deadline {asked}")
    client.close()


Malformed = Callable[[Client, random.Random], object]


def _post(path: str, content: bytes, **headers: str) -> Malformed:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda client, chance: client.ask("POST", path, content, named)


def _cut(client: Client, chance: random.Random) -> object:
    """Send a body of KServe of which some bytes are missing."""
    content, headers = body(keys((chance.getrandbits(64), 0)), binary=True, answer=True)
    cut = content[: chance.randrange(len(content))]
    return client.ask("POST", "/v2/models/vae/infer", cut, headers)


def _noise(client: Client, chance: random.Random) -> object:
    """Send bytes that mean nothing, as JSON or as a message of gRPC."""
    content = chance.randbytes(chance.randint(1, 200))
    if chance.random() < 0.5:
        return client.infer(b"\xff" + content)
    headers = {"Content-Type": "application/json"}
    return client.ask("POST", "/v1/models/vae/sample", b"\xff" + content, headers)


def _too_much(client: Client, chance: random.Random) -> object:
    """Send a larger body than is read: refused by its header, and closed while it is sent."""
    try:
        return client.ask("POST", "/v1/models/vae/sample", bytes(2**21))
    except (BrokenPipeError, ConnectionResetError):
        raise Refused(413, b'{"error": "closed"}') from None


MALFORMED: tuple[Malformed, ...] = (
    _cut,
    _noise,
    _post("/v1/models/vae/sample", b'{"n": 1', Content_Type="application/json"),
    _post("/v1/models/vae/sample", b'{"n": "one"}', Content_Type="application/json"),
    _post("/v1/models/vae/sample", b"[]", Content_Type="application/json"),
    _post("/v1/models/vae/sample", b'{"seeds": 1}', Content_Type="application/json"),
    _post("/v1/models/vae/sample", b"<n>1</n>", Content_Type="text/xml"),
    _too_much,
    _post("/v1/models/vae/encode", b"\x89PNG\r\n\x1a\n", Content_Type="image/png"),
    _post("/v1/models/none/sample", b"{}", Content_Type="application/json"),
    _post("/v2/models/vae/infer", b'{"inputs": [{}]}'),
    _post("/v2/models/vae/infer", b"{}", **{HEADER: "9" * 30}),
    _post("/v2/models/vae/infer", b"\x1f\x8bxxxx", Content_Encoding="gzip"),
    lambda client, chance: client.ask("GET", "/v1/models/vae/sample?n=0&seed=%00"),
    lambda client, chance: client.ask("PATCH", "/v1/models/vae/sample"),
)


def send_malformed(load: Load, chance: random.Random) -> None:
    """Send what cannot be answered; each request must be refused, with `{"error": …}`."""
    client = Client(load.http, load.rpc)
    while not load.over.wait(chance.uniform(0.05, 0.3)):
        which = chance.randrange(len(MALFORMED))
        try:
            MALFORMED[which](client, chance)
            load.tally.fault("not refused", f"malformed request {which}")
        except Refused as refusal:
            client.close_http()
            if refusal.status in REFUSALS and _is_error(refusal.content):
                load.tally.see("malformed requests refused")
            else:
                load.tally.fault("not refused", f"malformed request {which}: {refusal}")
        except grpc.RpcError as error:
            if error.code() in GRPC_REFUSALS:
                load.tally.see("malformed requests refused")
            else:
                load.tally.fault("not refused", f"malformed message: {error.code()}")
        except (OSError, HTTPException) as error:
            client.close()
            words = f"malformed request {which}: {type(error).__name__} {error}"
            load.tally.fault("lost", words)
    client.close()


def _is_error(content: bytes) -> bool:
    try:
        document = json.loads(content)
    except ValueError:
        return False
    return isinstance(document, dict) and list(document) == ["error"]


def _connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE)


MISBEHAVIOUR: tuple[Callable[[Load, random.Random], None], ...] = (
    read_slowly,
    vanish,
    send_malformed,
    hurry,
)
