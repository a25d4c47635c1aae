"""TensorRT and TensorRT for RTX: which of them is installed, and what it can do."""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from export.errors import ExportError
from runtime.plans import EXTRAS, MODULES, Log, log_of

Target = Literal["tensorrt", "tensorrt-rtx"]
TARGETS: dict[Target, tuple[str, ...]] = {
    "tensorrt": ("tensorrt",),
    "tensorrt-rtx": MODULES["tensorrt-rtx"],
}
"""The modules that build for each, in the order in which they are tried."""


@dataclass(frozen=True)
class TensorRT:
    """An installed TensorRT: its Python module, and the logger of the process.

    The two kinds share an API; a flag or a property that one of them lacks is looked up, never
    assumed.
    """

    target: Target
    module: Any
    log: Log

    @property
    def version(self) -> str:
        """As the module says it."""
        return str(self.module.__version__)

    @property
    def title(self) -> str:
        """Its name for people."""
        return f"{'TensorRT' if self.target == 'tensorrt' else 'TensorRT-RTX'} {self.version}"

    @property
    def portable(self) -> bool:
        """Whether its plans run on many kinds of GPU, compiled where they are first run."""
        return self.target == "tensorrt-rtx"

    def flag(self, kind: str, name: str) -> Any | None:
        """A member of one of the module's enumerations; None where this version lacks it."""
        return getattr(getattr(self.module, kind, None), name, None)


def installed() -> list[Target]:
    """The targets whose module is there, the default first; nothing is imported."""
    return [target for target in TARGETS if _module_name(target)]


def _module_name(target: Target) -> str | None:
    for name in TARGETS[target]:
        if importlib.util.find_spec(name) is not None:
            return name
    return None


def choose(target: str | None = None) -> TensorRT:
    """The TensorRT of that name, or the default: tensorrt where it is installed, else tensorrt-rtx.

    Raises:
        ExportError: there is no such target, or it is not installed, or cannot be loaded.
    """
    if target is None:
        there = installed()
        if not there:
            raise ExportError(
                "a plan is built by TensorRT, and none is installed: pip install "
                "'generator-zoo[tensorrt-rtx]' (needs no GPU) or 'generator-zoo[gpu]'"
            )
        return _load(there[0])
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
    try:
        module = importlib.import_module(name)
    except Exception as error:  # the wheels look for shared libraries when they are imported
        raise ExportError(f"the module {name} cannot be loaded: {error}") from error
    return TensorRT(target, module, log_of(module))


LISTED = ("7.5", "8.0", "8.6", "8.9", "12")
"""Compute capabilities that TensorRT for RTX is made for (its support matrix): a number before the
point alone stands for all that begin so."""


def unlisted(tensorrt: TensorRT) -> str | None:
    """What to say before a plan is built that the GPU here may not run; None where it may."""
    here = compute_capability() if tensorrt.portable else None
    if here is None or here in LISTED or here.split(".")[0] in LISTED:
        return None
    listed = ", ".join(name if "." in name else f"{name}.x" for name in LISTED)
    return (
        f"the GPU here has compute capability {here}, which is not in the list of {tensorrt.title} "
        f"({listed}): the plan may not run on it; --target tensorrt is for every GPU"
    )


def compute_capability() -> str | None:
    """Compute capability of the first GPU, such as "9.0"; None without a driver or a GPU."""
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
