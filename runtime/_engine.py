"""What the classes of all roles have in common."""

import json
import os
from functools import cached_property
from typing import Any, ClassVar, TypeVar

from runtime._arguments import integer, shown, text
from runtime._arguments import path as _path
from runtime._library import native
from runtime.errors import ClosedError

_Self = TypeVar("_Self", bound="Engine")


class Engine:
    """A loaded engine file; see the subclasses."""

    _native_class: ClassVar[str]

    def __init__(
        self,
        path: str | os.PathLike[str],
        device: str = "auto",
        backend: str = "auto",
        precision: str = "fp32",
        instances: int | None = None,
        bucket: int | None = None,
    ) -> None:
        self._open: Any = None
        self.path = _path("path", path)
        self._open = getattr(native, self._native_class)(
            os.fsencode(self.path),
            text("device", device),
            text("backend", backend),
            text("precision", precision),
            0 if instances is None else integer("instances", instances, 1, 4096),
            0 if bucket is None else integer("bucket", bucket, 1, 2**31),
        )

    @property
    def _native(self) -> Any:
        if self._open is None:
            raise ClosedError(f"the engine {shown(self.path)} was closed")
        return self._open

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The file's manifest."""
        document: dict[str, Any] = json.loads(self._native.manifest_json)
        return document

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of an image."""
        image = self.manifest["image"]
        return image["height"], image["width"], image["channels"]

    @property
    def backend(self) -> str:
        """The backend in use."""
        name: str = self._native.backend
        return name

    @property
    def device(self) -> str:
        """What it runs on: "cpu", or "cuda:N"."""
        name: str = self._native.device
        return name

    @property
    def instances(self) -> int:
        """Instances that work in parallel: on a CPU of one thread each."""
        count: int = self._native.instances
        return count

    @property
    def peak_device_bytes(self) -> int:
        """Most bytes of a GPU's memory held for inputs, outputs and, of a plan, what lies between.

        0 on a CPU. What TensorRT or ONNX Runtime holds, the weights first of all, comes on top.
        """
        peak: int = self._native.peak_device_bytes
        return peak

    def close(self) -> None:
        """Lets go of the engine; later calls raise ClosedError. May be called again."""
        self._open = None

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._open is None else f"{self.backend}, {self.instances} instances"
        return f"{type(self).__name__}({self.path!r}, {state})"


class LatentEngine(Engine):
    """An engine of a role that has a latent."""

    @property
    def latent_width(self) -> int:
        """D, the number of values of a latent."""
        width: int = self.manifest["latent"]["width"]
        return width
