"""Runtime for engine files: loads them and computes images as fast as the machine allows.

>>> import runtime
>>> generator = runtime.Generator("vae.onnx")
>>> images = generator.sample(64, seed=7)      # uint8[64, H, W, C]

Needs NumPy and ONNX Runtime, never PyTorch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from runtime._library import native as _native

if TYPE_CHECKING:
    from pathlib import Path

    from runtime import cuda, errors, manifest, noise, ops
    from runtime.batcher import Batcher, BatcherStatistics
    from runtime.classifier import Classifier
    from runtime.device_array import DeviceArray, to_device
    from runtime.encoder import Encoder
    from runtime.generator import Generator, Stream
    from runtime.generators import Generators
    from runtime.layers import LayerTime, LayerTimes, measure_layers
    from runtime.mapping import Mapping
    from runtime.requests import DecodeRequest, InterpolateRequest, SampleRequest
    from runtime.translator import Translator

# A program that makes one image should not import all of it: names are imported when they are used.
_MODULES = ("cuda", "errors", "manifest", "noise", "ops")
_PLACES = {
    "Batcher": "batcher",
    "BatcherStatistics": "batcher",
    "Classifier": "classifier",
    "DecodeRequest": "requests",
    "DeviceArray": "device_array",
    "Encoder": "encoder",
    "Generator": "generator",
    "Generators": "generators",
    "InterpolateRequest": "requests",
    "LayerTime": "layers",
    "LayerTimes": "layers",
    "Mapping": "mapping",
    "SampleRequest": "requests",
    "Stream": "generator",
    "Translator": "translator",
    "measure_layers": "layers",
    "to_device": "device_array",
}

__version__: str = _native.__version__


def backends() -> dict[str, str]:
    """Return the version of each backend's library, or the reason why it is unavailable."""
    from runtime.errors import BackendUnavailableError

    versions = {}
    for name in _native.backend_names():
        try:
            versions[name] = _native.backend_version(name)
        except BackendUnavailableError as error:
            versions[name] = f"unavailable: {error}"
    return versions


def cmake_dir() -> Path:
    """Return the folder for CMAKE_PREFIX_PATH, where find_package(zoo) finds the C++ library."""
    from pathlib import Path

    return Path(_native.own_folder()) / "cmake"


def pkg_config_dir() -> Path:
    """Return the folder for PKG_CONFIG_PATH, with `zoo` (the C API) and `zoo-cpp` (the C++ API)."""
    from pathlib import Path

    return Path(_native.own_folder()) / "pkgconfig"


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"runtime.{name}")
    if name not in _PLACES:
        raise AttributeError(f"module 'runtime' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"runtime.{_PLACES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__all__ = [
    "Batcher",
    "BatcherStatistics",
    "Classifier",
    "DecodeRequest",
    "DeviceArray",
    "Encoder",
    "Generator",
    "Generators",
    "InterpolateRequest",
    "LayerTime",
    "LayerTimes",
    "Mapping",
    "SampleRequest",
    "Stream",
    "Translator",
    "__version__",
    "backends",
    "cmake_dir",
    "cuda",
    "errors",
    "manifest",
    "measure_layers",
    "noise",
    "ops",
    "pkg_config_dir",
    "to_device",
]
