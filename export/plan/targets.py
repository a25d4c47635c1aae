"""Installations of TensorRT and TensorRT for RTX."""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from export.errors import ExportError
from export.plan import rtx_parser
from runtime.plans import EXTRAS, MODULES, Log, log_of

Target = Literal["tensorrt", "tensorrt-rtx"]
TARGETS: dict[Target, tuple[str, ...]] = {
    "tensorrt": ("tensorrt",),
    "tensorrt-rtx": MODULES["tensorrt-rtx"],
}
"""Modules that build for each target, in the order of preference."""


@dataclass(frozen=True)
class TensorRT:
    """An installed TensorRT: its Python module, and the logger of the process.

    Both targets share an API, but each lacks some flags and properties: look them up.
    """

    target: Target
    module: Any
    log: Log

    @property
    def version(self) -> str:
        return str(self.module.__version__)

    @property
    def title(self) -> str:
        """Name and version for messages."""
        return f"{'TensorRT' if self.target == 'tensorrt' else 'TensorRT-RTX'} {self.version}"

    @property
    def portable(self) -> bool:
        """True if its plans run on many kinds of GPU, compiled when they are first run."""
        return self.target == "tensorrt-rtx"

    def flag(self, kind: str, name: str) -> Any | None:
        """Return a member of one of the module's enumerations; None if this version lacks it."""
        return getattr(getattr(self.module, kind, None), name, None)


def find_installed() -> list[Target]:
    """Return the targets with an installed module, the default first, without importing it."""
    return [target for target in TARGETS if _module_name(target)]


def _module_name(target: Target) -> str | None:
    for name in TARGETS[target]:
        if importlib.util.find_spec(name) is not None:
            return name
    return None


def choose(target: str | None = None) -> TensorRT:
    """Load a target; by default tensorrt if it is installed, else tensorrt-rtx.

    Raises:
        ExportError: the target does not exist, is not installed, or cannot be loaded.
    """
    if target is None:
        installed = find_installed()
        if not installed:
            raise ExportError(
                "plans are built by TensorRT, which is not installed: pip install "
                "'generator-zoo[tensorrt-rtx]' (needs no GPU) or 'generator-zoo[gpu]'"
            )
        return _load(installed[0])
    for known in TARGETS:
        if target == known:
            return _load(known)
    raise ExportError(f"target: expected {' or '.join(TARGETS)}, got {target!r}")


@cache
def _load(target: Target) -> TensorRT:
    name, extra = _module_name(target), EXTRAS[target]
    if name is None:
        raise ExportError(
            f"the target {target} is not installed: pip install 'generator-zoo[{extra}]'"
        )
    if target == "tensorrt-rtx":
        rtx_parser.load(name)
    try:
        module = importlib.import_module(name)
    except Exception as error:  # the wheels look for shared libraries when they are imported
        raise ExportError(f"the module {name} cannot be loaded: {error}") from error
    return TensorRT(target, module, log_of(module))


LISTED_CAPABILITIES = ("7.5", "8.0", "8.6", "8.9", "12")
"""Compute capabilities in the support matrix of TensorRT for RTX; "12" stands for 12.x."""


def unlisted_warning(tensorrt: TensorRT) -> str | None:
    """Return a warning if TensorRT does not list the GPU of this machine, else None."""
    here = compute_capability() if tensorrt.portable else None
    if here is None or here in LISTED_CAPABILITIES or here.split(".")[0] in LISTED_CAPABILITIES:
        return None
    listed = ", ".join(name if "." in name else f"{name}.x" for name in LISTED_CAPABILITIES)
    return (
        f"this GPU has compute capability {here}, which is not in the list of {tensorrt.title} "
        f"({listed}): the plan may not run on it; --target tensorrt supports every GPU"
    )


def compute_capability() -> str | None:
    """Return the compute capability of the first GPU, such as "9.0"; None without a GPU."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    device, values = ctypes.c_int(), (ctypes.c_int(), ctypes.c_int())
    if driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(device), 0):
        return None
    # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR.
    for attribute, value in zip((75, 76), values, strict=True):
        if driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device):
            return None
    return ".".join(str(value.value) for value in values)
