"""Damaged requests of the Open Inference Protocol: an error that says so, or the right answer."""

from __future__ import annotations

import copy
import gzip
import json
import random
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import numpy as np
import psutil
import pytest

from open_inference import HEADER, answered, body, fields, grpc_answer, grpc_request, keys
from runtime import Generator
from services import serving
from zoo import engine_path

CLIENT_ERRORS = range(400, 500)
REFUSED = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND)
GROWTH = 8 * 2**20
"""Bytes of memory that may be added after the first tenth of the requests."""

ODD: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2**31, 2**63, 2**64 - 1, 2**64, 2**200, 0.5, 1e308, -0.0),
    *("", "seed", "images", "UINT64", "INT64", "BYTES", "Bag", "\ud800", "x" * 5000, "\0"),
    *([], [0], [[0]], [1, 1], [-1, 1], [0, 1], [2**40, 1], [[[]]], {}, {"a": 1}, float("nan")),
)

Service = tuple[httpx.Client, grpc.Channel, psutil.Process]


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    options = ("--engine", "cgan", "--backend", "native", "--grpc-port", "0")
    with serving(*options) as (client, process):
        assert process.stdout is not None
        address = process.stdout.readline().strip().removeprefix("grpc://")
        with grpc.insecure_channel(address) as channel:
            yield client, channel, psutil.Process(process.pid)


@pytest.fixture(scope="module")
def generator() -> Iterator[Generator]:
    with Generator(engine_path("cgan.onnx"), backend="native", instances=1) as opened:
        yield opened


def valid(chance: random.Random) -> dict[str, Any]:
    rows = chance.randint(1, 4)
    tensors = keys(*((chance.getrandbits(64), chance.getrandbits(64)) for _ in range(rows)))
    match chance.randrange(3):
        case 0:
            tensors["label"] = np.array([[chance.randrange(10)] for _ in range(rows)], np.int64)
        case 1:
            tensors["label"] = [chance.choice(("Bag", "Coat", "Dress")) for _ in range(rows)]
    return tensors


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the containers and keys of all values of a document."""
    for key in list(node) if isinstance(node, dict) else range(len(node)):
        yield node, key
        if isinstance(node[key], (dict, list)):
            yield from places(node[key])


def change_document(chance: random.Random, document: Any) -> None:
    node, key = chance.choice(list(places(document)))
    match chance.randrange(5):
        case 0:
            del node[key]
        case 1 if isinstance(node, dict):
            node[chance.choice(("shape", "data", "name", "other"))] = node.pop(key)
        case 2 if isinstance(node, list):
            node.insert(key, copy.deepcopy(chance.choice((node[key], *ODD))))
        case 3 if isinstance(node[key], int) and not isinstance(node[key], bool):
            node[key] += chance.choice((-8, -1, 1, 8))
        case _:
            node[key] = copy.deepcopy(chance.choice(ODD))


def change_bytes(chance: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed) + 1)
        match chance.randrange(4):
            case 0:
                changed[at : at + 1] = bytes([chance.getrandbits(8)])
            case 1:
                changed[at:at] = chance.randbytes(chance.randint(1, 9))
            case 2:
                del changed[at : at + chance.randint(1, 9)]
            case _:
                changed[at:] = changed[at:] + changed[:at]
        if not changed:
            break
    return bytes(changed)


def damaged(chance: random.Random) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of a request in which something is changed."""
    binary = chance.random() < 0.6
    content, headers = body(valid(chance), binary, chance.choice((None, True)), id="7")
    size = int(headers.get(HEADER, len(content)))
    if chance.random() < 0.5:
        document = json.loads(content[:size])
        for _ in range(chance.randint(1, 3)):
            if document:
                change_document(chance, document)
        start = json.dumps(document).encode()
        content = start + content[size:]
        if binary:
            headers[HEADER] = str(len(start))
    elif chance.random() < 0.8:
        content = change_bytes(chance, content)
    else:
        headers[HEADER] = str(chance.choice((0, size - 1, size + 1, -1, 2**64, "x", "")))
    if chance.random() < 0.1:
        headers["Content-Encoding"] = "gzip"
        content = gzip.compress(content, 1)
        if chance.random() < 0.5:
            content = change_bytes(chance, content)
    return content, headers


def expected(generator: Generator, tensors: dict[str, Any]) -> np.ndarray:
    rows = np.concatenate([tensors["seed"], tensors["index"]], axis=1)
    labels = tensors.get("label")
    if isinstance(labels, np.ndarray):
        labels = labels.ravel()
    return generator.sample(len(rows), keys=rows, labels=labels)


def read_tensors(content: bytes, headers: dict[str, str]) -> dict[str, Any]:
    """Return the inputs of a request that was answered, by a reader that checks nothing."""
    if "Content-Encoding" in headers:
        content = gzip.decompress(content)
    size = int(headers.get(HEADER, len(content)))
    document, rest = json.loads(content[:size]), content[size:]
    tensors: dict[str, Any] = {}
    for each in document["inputs"]:
        taken = (each.get("parameters") or {}).get("binary_data_size")
        values = rest[:taken] if taken is not None else each["data"]
        rest = rest[taken:] if taken is not None else rest
        tensors[each["name"]] = column(each["datatype"], values)
    return tensors


def column(datatype: str, values: Any) -> Any:
    if datatype == "BYTES":
        if isinstance(values, list):
            flat = np.array(values, object).ravel()
            return [text.decode() if isinstance(text, bytes) else text for text in flat]
        texts = []
        while values:
            length = int.from_bytes(values[:4], "little")
            texts.append(values[4 : 4 + length].decode())
            values = values[4 + length :]
        return texts
    dtype = {"UINT64": np.uint64, "INT64": np.int64}[datatype]
    if isinstance(values, bytes):
        return np.frombuffer(values, dtype).reshape(-1, 1)
    return np.array(values, dtype).reshape(-1, 1)


class Memory:
    """The memory of a process, which may grow in the first tenth of a number of requests only."""

    def __init__(self, process: psutil.Process, requests: int) -> None:
        self._process, self._after = process, requests // 10
        self._first = 0

    def look(self, number: int) -> None:
        if number == self._after:
            self._first = self._process.memory_info().rss

    def check(self) -> None:
        assert self._process.memory_info().rss - self._first < GROWTH


def fuzz_http(service: Service, generator: Generator, count: int, seed: int) -> None:
    client, _, process = service
    chance, memory, statuses = random.Random(seed), Memory(process, count), set()
    for number in range(count):
        memory.look(number)
        content, headers = damaged(chance)
        answer = client.post("/v2/models/cgan/infer", content=content, headers=headers)
        statuses.add(answer.status_code)
        if answer.status_code == 200:
            _, images = answered(answer.content, answer.headers)
            right = expected(generator, read_tensors(content, headers))
            assert np.array_equal(images, right), (number, content, headers)
        else:
            assert answer.status_code in CLIENT_ERRORS, (number, answer.text, content, headers)
            assert list(answer.json()) == ["error"], (number, answer.text)
    assert statuses >= {200, 400}
    memory.check()


def fuzz_grpc(service: Service, generator: Generator, count: int, seed: int) -> None:
    _, channel, process = service
    infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    chance, memory, codes = random.Random(seed), Memory(process, count), set()
    for number in range(count):
        memory.look(number)
        typed = chance.random() < 0.5
        content = change_bytes(chance, grpc_request("cgan", valid(chance), typed, id="7"))
        try:
            answer = infer(content, timeout=60)
        except grpc.RpcError as error:
            codes.add(error.code())
            assert error.code() in REFUSED, (number, error, content)
            continue
        codes.add(grpc.StatusCode.OK)
        _, images = grpc_answer(answer)
        right = expected(generator, read_message(content))
        assert np.array_equal(images, right), (number, content)
    assert codes == {*REFUSED, grpc.StatusCode.OK}
    memory.check()


def read_message(content: bytes) -> dict[str, Any]:
    """Return the inputs of a message that was answered."""
    message = texts(content)
    tensors: dict[str, Any] = {}
    for index, encoded in enumerate(message[5]):
        each = texts(encoded)
        datatype = each[2][-1].decode()
        if 7 in message:
            values: Any = message[7][index]
        else:
            contents = fields(b"".join(each[5]))
            number = {"BYTES": 8, "UINT64": 5, "INT64": 3}[datatype]
            values = contents[number] if datatype == "BYTES" else unpack(contents[number])
        tensors[each[1][-1].decode()] = column(datatype, values)
    return tensors


def texts(content: bytes) -> dict[int, list[bytes]]:
    """Return the fields of a message that have a length; an integer in their place is skipped."""
    kept = {
        number: [each for each in values if isinstance(each, bytes)]
        for number, values in fields(content).items()
    }
    return {number: values for number, values in kept.items() if values}


def unpack(parts: list[Any]) -> list[int]:
    """Return the integers of a repeated field, packed or not."""
    numbers: list[int] = []
    for part in parts:
        if isinstance(part, int):
            numbers.append(part)
            continue
        value = shift = 0
        for byte in part:
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                numbers.append(value & 2**64 - 1)
                value = shift = 0
    return numbers


def test_damaged_bodies(service: Service, generator: Generator) -> None:
    fuzz_http(service, generator, 2000, seed=1)


def test_damaged_messages(service: Service, generator: Generator) -> None:
    fuzz_grpc(service, generator, 500, seed=1)


@pytest.mark.long
@pytest.mark.slow
def test_a_hundred_thousand_damaged_requests(service: Service, generator: Generator) -> None:
    fuzz_http(service, generator, 100_000, seed=2)
    fuzz_grpc(service, generator, 20_000, seed=2)
