"""Base classes of the loaded engines of all roles."""

import json
import os
from functools import cached_property
from typing import Any, ClassVar, TypeVar

from runtime._arguments import as_integer, as_path, as_text, describe
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
        self.path = as_path("path", path)
        self._open = getattr(native, self._native_class)(
            os.fsencode(self.path),
            as_text("device", device),
            as_text("backend", backend),
            as_text("precision", precision),
            0 if instances is None else as_integer("instances", instances, 1, 4096),
            0 if bucket is None else as_integer("bucket", bucket, 1, 2**31),
        )

    @property
    def _native(self) -> Any:
        if self._open is None:
            raise ClosedError(f"the engine {describe(self.path)} was closed")
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
        return str(self._native.backend)

    @property
    def device(self) -> str:
        """The device in use: "cpu" or "cuda:N"."""
        return str(self._native.device)

    @property
    def instances(self) -> int:
        """Number of instances that work in parallel; on a CPU, each has one thread."""
        return int(self._native.instances)

    @property
    def peak_device_bytes(self) -> int:
        """Peak bytes of GPU memory for inputs, outputs and, for a plan, scratch memory.

        0 on a CPU. Memory of TensorRT or ONNX Runtime itself, such as the weights, is not counted.
        """
        return int(self._native.peak_device_bytes)

    def close(self) -> None:
        """Release the engine; later calls raise ClosedError. May be called again."""
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
        return int(self.manifest["latent"]["width"])
