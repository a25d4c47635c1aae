"""The C API by ctypes: structs and functions as the header `zoo.h` declares them."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import runtime
from repository import CSRC

HEADER = CSRC / "include" / "zoo.h"
LIBRARY = runtime.ops.ops_library().parent / "libzoo_c.so.1"

_CANCEL = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
_WARNING_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_void_p)
_TYPES: dict[str, Any] = {
    "int": ctypes.c_int,
    "size_t": ctypes.c_size_t,
    "int32_t": ctypes.c_int32,
    "uint32_t": ctypes.c_uint32,
    "int64_t": ctypes.c_int64,
    "uint64_t": ctypes.c_uint64,
    "float": ctypes.c_float,
    "zoo_status": ctypes.c_int32,
    "zoo_cancel": _CANCEL,
    "zoo_warning_handler": _WARNING_HANDLER,
}


@cache
def declarations() -> str:
    """The header without comments and preprocessor lines."""
    lines = re.sub(r"//.*", "", HEADER.read_text("utf-8")).splitlines()
    return "\n".join(line for line in lines if not line.startswith("#"))


def structs() -> dict[str, list[tuple[str, str]]]:
    """The type and the name of each field, by struct, in the order of the header."""
    bodies = re.findall(r"typedef struct (\w+) \{(.*?)\} \1;", declarations(), re.DOTALL)
    field = re.compile(r"\s*(.+?)\s*\b(\w+);")
    return {name: field.findall(body) for name, body in bodies}


def functions() -> dict[str, tuple[str, list[str]]]:
    """The type of the result and those of the arguments, by function."""
    found = re.findall(r"ZOO_C_API\s+([\w\s*]+?)(\w+)\(([^)]*)\);", declarations())
    result = {}
    for kind, name, arguments in found:
        types = [re.sub(r"\w+$", "", part.strip()).strip() for part in arguments.split(",")]
        result[name] = (kind.strip(), [] if arguments == "void" else types)
    return result


def constants() -> dict[str, int]:
    """The numbers that the header gives to names."""
    return {name: int(value) for name, value in re.findall(r"(ZOO_\w+) = (\d+)", declarations())}


@cache
def struct(name: str) -> type[ctypes.Structure]:
    fields = [(field, _type(kind)) for kind, field in structs()[name]]
    return type(name, (ctypes.Structure,), {"_fields_": fields})


def _type(kind: str) -> Any:
    plain = kind.replace("const", "").replace(" ", "")
    if plain == "char*":
        return ctypes.c_char_p
    if plain == "char**" and kind.startswith("const"):
        return ctypes.POINTER(ctypes.c_char_p)
    if plain.endswith("*"):
        # Of arrays, handles and structs alike: ctypes converts what it is given to an address.
        return ctypes.c_void_p
    return _TYPES[plain] if plain in _TYPES else struct(plain)


@cache
def library() -> ctypes.CDLL:
    """The installed library, with the types of its functions."""
    loaded = ctypes.CDLL(str(LIBRARY))
    for name, (result, arguments) in functions().items():
        function = getattr(loaded, name)
        function.restype = None if result == "void" else _type(result)
        function.argtypes = [_type(kind) for kind in arguments]
    return loaded


class Failure(Exception):
    """A status other than ZOO_OK, and the message of the thread."""

    def __init__(self, status: int) -> None:
        super().__init__(library().zoo_error_message().decode())
        self.status = status
        self.name = library().zoo_status_name(status).decode()


def call(name: str, *arguments: Any) -> None:
    """Call a function that returns a status; raise Failure unless it is ZOO_OK."""
    if status := getattr(library(), name)(*arguments):
        raise Failure(status)


def request(name: str, **fields: Any) -> Any:
    """A struct with its size; arrays become addresses, and live as long as the struct."""
    value = struct(name)()
    value.size = ctypes.sizeof(value)
    value.arrays = fields
    for field, content in fields.items():
        setattr(value, field, content.ctypes.data if isinstance(content, np.ndarray) else content)
    return value


def cancel(function: Any) -> Any:
    """A Python function as a `zoo_cancel`."""
    return _CANCEL(lambda context: function())


def warning_handler(function: Any) -> Any:
    """A Python function of a text as a `zoo_warning_handler`, or None."""
    if function is None:
        return _WARNING_HANDLER()
    return _WARNING_HANDLER(lambda message, context: function(message.decode()))


def fill(name: str, engine: Any, of: Any, *arrays: NDArray[Any] | None, size: str = "bytes") -> Any:
    """Call a function that fills arrays, all of one size; returns them."""
    (total, *_) = [
        array.nbytes if size == "bytes" else array.size for array in arrays if array is not None
    ]
    addresses = [None if array is None else array.ctypes.data for array in arrays]
    call(name, engine, ctypes.byref(of), *addresses, total)
    return arrays[0] if len(arrays) == 1 else arrays


@contextmanager
def opened(path: Path, **options: Any) -> Iterator[Any]:
    """An engine, freed at the end."""
    engine = ctypes.c_void_p()
    given = request("zoo_options", **options)
    call("zoo_engine_open", bytes(path), ctypes.byref(given), ctypes.byref(engine))
    try:
        yield engine
    finally:
        library().zoo_engine_free(engine)


def describe(engine: Any) -> Any:
    description = request("zoo_description")
    call("zoo_engine_describe", engine, ctypes.byref(description))
    return description
