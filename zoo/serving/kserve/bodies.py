"""Bodies of `infer` over HTTP: JSON, or JSON and then the raw bytes of tensors."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from numpy.typing import NDArray

from zoo.serving.kserve.inference import VERSION, InferRequest, Served
from zoo.serving.kserve.tensors import TensorData
from zoo.serving.parameters import RequestError, show

HEADER = "Inference-Header-Content-Length"
"""Header with the bytes of the JSON, if raw bytes follow it."""

_MOST_ID = 1024

_T = TypeVar("_T")


def read_request(body: bytes, header_length: str | None) -> tuple[InferRequest, bool]:
    """Return the request, and whether its output shall be raw bytes. Raises RequestError."""
    size = len(body)
    if header_length is not None:
        digits = header_length.isascii() and header_length.isdigit() and len(header_length) < 20
        if not digits or int(header_length) > size:
            raise RequestError(
                f"{HEADER}: expected at most the body's {size} bytes, got {show(header_length)}"
            )
        size = int(header_length)
    try:
        document = json.loads(body[:size])
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body is no JSON: {error}") from None
    document = _typed(document, dict, "the body")
    request = InferRequest(
        id=_optional(document, "id", "", "id"),
        parameters=_parameters(document, "the request"),
    )
    if len(request.id) > _MOST_ID:
        raise RequestError(f"id: expected at most {_MOST_ID} characters, got {len(request.id)}")
    raw = memoryview(body)[size:]
    for each in _typed(document.get("inputs"), list, "inputs"):
        data, taken = _read_input(_typed(each, dict, "an input"), raw)
        request.inputs.append(data)
        raw = raw[taken:]
    if len(raw):
        raise RequestError(f"the body: {len(raw)} bytes belong to no input")
    binary = _flag(request.parameters, "binary_data_output", False)
    for each in _optional(document, "outputs", [], "outputs"):
        output = _typed(each, dict, "an output")
        parameters = _parameters(output, "an output")
        _refuse_unknown(parameters, {"binary_data"}, "an output")
        request.outputs.append(_typed(output.get("name"), str, "name of an output"))
        binary = _flag(parameters, "binary_data", binary)
    return request, binary


def _read_input(each: dict[str, Any], raw: memoryview) -> tuple[TensorData, int]:
    """Return an input, and how many of the raw bytes are its values."""
    name = _typed(each.get("name"), str, "name of an input")
    parameters = _parameters(each, f"input {show(name)}")
    _refuse_unknown(parameters, {"binary_data_size"}, f"input {show(name)}")
    size = parameters.get("binary_data_size")
    if size is None:
        return TensorData(name, each.get("datatype"), each.get("shape"), each.get("data")), 0
    if type(size) is not int or not 0 <= size <= len(raw):
        raise RequestError(
            f"input {show(name)}: binary_data_size: expected at most the {len(raw)} bytes that are"
            f" left, got {show(size)}"
        )
    if "data" in each:
        raise RequestError(f"input {show(name)}: expected data or binary_data_size, got both")
    return TensorData(name, each.get("datatype"), each.get("shape"), raw[:size]), size


def write_answer(
    served: Served, request: InferRequest, output: NDArray[Any], binary: bool
) -> tuple[bytes, int | None]:
    """Return the body of an answer, and the bytes of its JSON if raw bytes follow."""
    tensor: dict[str, Any] = {
        "name": served.output.name,
        "datatype": served.output.datatype,
        "shape": output.shape,
    }
    if binary:
        tensor["parameters"] = {"binary_data_size": output.nbytes}
    else:
        tensor["data"] = output.ravel().tolist()
    document = {
        "model_name": served.model.name,
        "model_version": VERSION,
        **({"id": request.id} if request.id else {}),
        "outputs": [tensor],
    }
    header = json.dumps(document, separators=(",", ":")).encode()
    if binary:
        return b"".join((header, output.data)), len(header)
    return header, None


def _typed(value: Any, kind: type[Any], name: str) -> Any:
    if not isinstance(value, kind):
        words: dict[type[Any], str] = {dict: "an object", list: "a list", str: "a text"}
        raise RequestError(f"{name}: expected {words[kind]}, got {show(value)}")
    return value


def _parameters(values: dict[str, Any], name: str) -> dict[str, Any]:
    return _optional(values, "parameters", {}, f"parameters of {name}")


def _optional(values: dict[str, Any], key: str, default: _T, name: str) -> _T:
    """Return a value of the default's type, or the default where it is missing or null."""
    value = values.get(key)
    return default if value is None else _typed(value, type(default), name)


def _flag(parameters: dict[str, Any], name: str, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise RequestError(f"{name}: expected true or false, got {show(value)}")
    return value


def _refuse_unknown(parameters: dict[str, Any], known: set[str], name: str) -> None:
    for each in parameters:
        if each not in known:
            raise RequestError(f"{name}: unknown parameter {show(each)}; known: {', '.join(known)}")
