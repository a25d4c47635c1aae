"""A client of the Open Inference Protocol, written from its specification.

It shares no code with the service: JSON and raw tensors for HTTP, and for gRPC the wire format of
protocol buffers by hand.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

HEADER = "Inference-Header-Content-Length"
DATATYPES = {"uint8": "UINT8", "int64": "INT64", "uint64": "UINT64", "float32": "FP32"}
DTYPES = {name: np.dtype(dtype).newbyteorder("<") for dtype, name in DATATYPES.items()}

Tensors = Mapping[str, Any]
"""Arrays by name; a list of texts is a column of BYTES."""


def keys(*rows: tuple[int, int]) -> dict[str, Any]:
    """Return the inputs `seed` and `index` for these rows."""
    columns = np.array(rows, np.uint64)
    return {"seed": columns[:, :1], "index": columns[:, 1:]}


def raw(values: Any) -> bytes:
    if isinstance(values, list):
        return b"".join(struct.pack("<I", len(t.encode())) + t.encode() for t in values)
    return values.astype(values.dtype.newbyteorder("<")).tobytes()


def described(name: str, values: Any) -> dict[str, Any]:
    if isinstance(values, list):
        return {"name": name, "datatype": "BYTES", "shape": [len(values), 1]}
    return {"name": name, "datatype": DATATYPES[values.dtype.name], "shape": list(values.shape)}


def body(
    tensors: Tensors, binary: bool, answer: bool | None = None, **more: Any
) -> tuple[bytes, dict[str, str]]:
    """Return the body of a request and its headers.

    binary: inputs are raw; answer: the answer shall be raw; more: other fields of the JSON.
    """
    inputs, tail = [], b""
    for name, values in tensors.items():
        each = described(name, values)
        if binary:
            each["parameters"] = {"binary_data_size": len(raw(values))}
            tail += raw(values)
        else:
            each["data"] = values if isinstance(values, list) else values.tolist()
        inputs.append(each)
    document: dict[str, Any] = {"inputs": inputs, **more}
    if answer is not None:
        document.setdefault("parameters", {})["binary_data_output"] = answer
    header = json.dumps(document).encode()
    return header + tail, {HEADER: str(len(header))} if binary else {}


def answered(content: bytes, headers: Mapping[str, str]) -> tuple[dict[str, Any], np.ndarray]:
    """Return the JSON of an answer and its only tensor."""
    size = int(headers.get(HEADER, len(content)))
    document = json.loads(content[:size])
    (output,) = document["outputs"]
    dtype = DTYPES[output["datatype"]]
    if "data" in output:
        assert size == len(content)
        return document, np.array(output["data"], dtype).reshape(output["shape"])
    assert output["parameters"]["binary_data_size"] == len(content) - size
    return document, np.frombuffer(content[size:], dtype).reshape(output["shape"])


def _varint(value: int) -> bytes:
    value &= 2**64 - 1
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])


def message(fields: Mapping[int, Any]) -> bytes:
    """Return a message of protocol buffers: integers, texts, bytes, or lists of these by number."""
    encoded = b""
    for number, values in fields.items():
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, int):
                encoded += _varint(number << 3) + _varint(value)
            else:
                content = value.encode() if isinstance(value, str) else value
                encoded += _varint(number << 3 | 2) + _varint(len(content)) + content
    return encoded


def fields(content: bytes) -> dict[int, list[Any]]:
    """Return the fields of a message of integers and of what has a length.

    No message of the protocol has numbers of a fixed size by themselves, so they are skipped, as
    what a reader does not know.
    """
    result: dict[int, list[Any]] = {}
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = content[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(content):
        tag = varint()
        kind = tag & 7
        if kind == 0:
            value: Any = varint()
        else:
            length = varint() if kind == 2 else {1: 8, 5: 4}[kind]
            value, at = content[at : at + length], at + length
        if kind in (0, 2):
            result.setdefault(tag >> 3, []).append(value)
    return result


def grpc_request(
    model: str,
    tensors: Tensors,
    typed: bool = False,
    id: str = "",
    version: str = "",
    parameters: Mapping[str, Any] | None = None,
    outputs: Sequence[str] = (),
) -> bytes:
    """Return a ModelInferRequest; typed: with `contents` instead of raw bytes."""
    encoded: list[bytes] = []
    for name, values in tensors.items():
        each = described(name, values)
        shape = b"".join(map(_varint, each["shape"]))
        parts: dict[int, Any] = {1: name, 2: each["datatype"], 3: shape}
        if typed:
            parts[5] = _contents(each["datatype"], values)
        encoded.append(message(parts))
    content: dict[int, Any] = {1: model, 2: version, 3: id}
    content[4] = [
        message({1: name, 2: message({2 if isinstance(value, int) else 3: value})})
        for name, value in (parameters or {}).items()
    ]
    content[5] = encoded
    content[6] = [message({1: name}) for name in outputs]
    content[7] = [] if typed else [raw(values) for values in tensors.values()]
    return message(content)


def _contents(datatype: str, values: Any) -> bytes:
    if datatype == "BYTES":
        return message({8: values})
    if datatype == "FP32":
        return message({6: raw(values)})
    number = {"UINT8": 4, "UINT64": 5, "INT64": 3}[datatype]
    return message({number: b"".join(_varint(int(value)) for value in values.ravel())})


def grpc_answer(content: bytes) -> tuple[dict[str, Any], np.ndarray]:
    """Return model, version and id of a ModelInferResponse, and its only tensor."""
    answer = fields(content)
    (output,) = map(fields, answer[5])
    (values,) = answer[6]
    shape = fields(b"\x08" + b"\x08".join(_split_varints(output[3][0])))[1]
    dtype = DTYPES[output[2][0].decode()]
    said = {
        "model_name": answer[1][0].decode(),
        "model_version": answer[2][0].decode(),
        "id": answer.get(3, [b""])[0].decode(),
        "output": output[1][0].decode(),
    }
    return said, np.frombuffer(values, dtype).reshape(shape)


def _split_varints(packed: bytes) -> list[bytes]:
    parts, begin = [], 0
    for end, byte in enumerate(packed, 1):
        if byte < 128:
            parts.append(packed[begin:end])
            begin = end
    return parts
