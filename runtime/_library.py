"""Import of the compiled module, and the package folders that it searches for libraries."""

import atexit
import os
import sys
import warnings
from types import ModuleType
from typing import Any

_PARTS = ("runtime/lib", "onnxruntime/capi", "openvino/libs", "nvidia")
"""Folders of libraries that C++ opens by itself, below an entry of sys.path."""

_UNMAPPED = "failed to map segment"
"""What the loader says of a library that is there, when memory ends."""


def _import() -> ModuleType:
    try:
        from runtime import _runtime
    except ImportError as error:
        # Run from a source tree, the folder here hides the installed package,
        # which has the compiled half: look for it along sys.path.
        import pkgutil

        package = sys.modules["runtime"]
        package.__path__ = pkgutil.extend_path(package.__path__, "runtime")
        try:
            from runtime import _runtime
        except ImportError:
            if _UNMAPPED in str(error):
                raise ImportError(f"the compiled runtime cannot be loaded: {error}") from error
            raise ImportError(
                f"the compiled runtime is missing ({error}); install the package: pip install ."
            ) from error
    return _runtime


# ONNX Runtime's builds for Linux tell their maker what they are used for from 1.32 on, unless this
# is set when the library is opened: by C++, or by an import of its package.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def _package_folders() -> list[str]:
    """Return the folders of sys.path that contain libraries that C++ opens.

    The working folder, which `python -m` and PYTHONPATH put first, is excluded: anyone may have
    put a library there.
    """
    try:
        here = os.path.realpath(os.getcwd())
    except OSError:  # it was deleted
        here = ""
    return [
        folder
        for folder in dict.fromkeys(sys.path)
        if os.path.isabs(folder)
        and os.path.realpath(folder) != here
        and any(os.path.isdir(os.path.join(folder, part)) for part in _PARTS)
    ]


_runtime = _import()
for _folder in _package_folders():
    _runtime.add_search_folder(os.fsencode(_folder))

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
