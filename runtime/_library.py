"""Loads the compiled module and tells it where this Python keeps its packages."""

import atexit
import os
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

_PARTS = ("runtime/lib", "onnxruntime/capi", "openvino/libs", "nvidia")
"""Folders of libraries that C++ opens by itself, below an entry of sys.path."""


def _import() -> ModuleType:
    try:
        from runtime import _runtime
    except ImportError as error:
        # Run from a source tree, the folder here hides the installed package,
        # which has the compiled half: look for it along sys.path.
        import pkgutil

        import runtime

        runtime.__path__ = pkgutil.extend_path(runtime.__path__, "runtime")
        try:
            from runtime import _runtime
        except ImportError:
            raise ImportError(
                f"the compiled runtime is missing ({error}); install the package: pip install ."
            ) from error
    return _runtime


# ONNX Runtime's builds for Linux tell their maker what they are used for from 1.32 on, unless this
# is set when the library is opened: by C++, or by an import of its package.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

_runtime = _import()
for _folder in dict.fromkeys(filter(None, sys.path)):
    # Packages of a virtual environment that sees another's, or of an editable install.
    if any((Path(_folder) / _part).is_dir() for _part in _PARTS):
        _runtime.add_search_folder(_folder)

native = _runtime


def _load_plan(*arguments: Any) -> Any:
    # Imported with the first plan: a machine without a GPU needs none of it.
    from runtime import plans

    return plans.load(*arguments)


def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=2)


# Threads that nobody waits for may be at work when Python ends.
atexit.register(native.stop_pools)
native.set_plan_loader(_load_plan)
native.set_warning_handler(_warn)
