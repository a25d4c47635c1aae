"""Loading of TensorRT for RTX so that its ONNX parser can import plugins.

For a node that is a plugin, the parser of TensorRT for RTX 1.7 opens `libtensorrt_rtx.so`, and ends
the process if there is none (std::terminate, with the exception "Unable to open library" in
flight). The wheel has `libtensorrt_rtx.so.1` only. The parser looks in the folder it was loaded
from (its RPATH is $ORIGIN), so it is loaded from a folder of links, where that name exists.
"""

from __future__ import annotations

import ctypes
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "tensorrt_rtx_libs"
LIBRARY = "libtensorrt_rtx.so"
PARSER = "libtensorrt_onnxparser_rtx.so"

_folders: list[tempfile.TemporaryDirectory[str]] = []


def load(module: str) -> None:
    """Load the parser from a folder of links, unless the module that loads it is there already.

    Does nothing without the wheel; the folder lasts as long as the process.
    """
    spec = find_spec(PACKAGE)
    if {module, PACKAGE} & sys.modules.keys() or not spec or not spec.submodule_search_locations:
        return
    try:
        folder = tempfile.TemporaryDirectory(prefix="zoo-tensorrt-rtx-")
        for library in Path(spec.submodule_search_locations[0]).glob("*.so*"):
            for name in {library.name, library.name.partition(".so")[0] + ".so"}:
                (Path(folder.name) / name).symlink_to(library)
        ctypes.CDLL(str(Path(folder.name) / PARSER))
    except OSError:
        return
    _folders.append(folder)


def parses_plugins() -> bool:
    """Return True if the parser of this process finds its library."""
    if _folders:
        return True
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return False
    return True
