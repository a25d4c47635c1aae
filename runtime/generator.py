"""Generator: seeds or latents in, images out."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime._arguments import UINT64_MAX
from runtime._conditions import Classes
from runtime._engine import LatentEngine
from runtime._placement import Given, Target, target
from runtime.errors import ArgumentError, ClosedError
from runtime.requests import DecodeRequest, InterpolateRequest, SampleRequest, takes


class Generator(LatentEngine):
    """An engine file of the role "generator", or "synthesis", which can only decode, loaded.

    Image i of a seed is the same image for every n, first, batch, number of
    instances and thread. Images are uint8[n, H, W, C], or float32[n, C, H, W] for
    an engine exported so. Methods may be called from several threads at once; a
    forked child loads the engine again on first use.

    path: engine file, or TensorRT plan; device: "cpu", "cuda" or "cuda:N", or "auto" (a GPU
    for a plan, else the CPU); backend: "auto" (the one measured faster for this file among
    those installed), "onnxruntime", which is also the one on a GPU, "openvino", or "native"
    (kernels of our own, for generators); precision: "fp32", where CPU and backend
    have it "bf16", on a GPU "tf32"; instances: copies that work
    in parallel, by default one a core, of a single thread, and two on a GPU; bucket, on a GPU:
    the one batch size that every run has, so that images are bit-equal whatever is asked for
    (None: the size that suits each request).

    Raises EngineFileError and its kinds for a bad file, BackendUnavailableError,
    DeviceUnavailableError, ArgumentError.
    """

    _native_class = "Generator"

    @property
    def prior(self) -> str:
        """ "normal", or "none": a plain autoencoder's decoder, which cannot sample."""
        prior: str = self.manifest["latent"]["prior"]
        return prior

    @property
    def classes(self) -> list[str]:
        """Names of the classes to choose from; empty where there are none, or they have none."""
        return list(self._classes.names)

    @property
    def class_count(self) -> int:
        """K, the number of classes to choose from; 0 for an unconditional generator."""
        return self._classes.count

    @property
    def style_layers(self) -> int:
        """Layers that take a style; 0 for a generator that is not style-based."""
        layers: int = (self.manifest.get("truncation") or {}).get("layers", 0)
        return layers

    @takes(SampleRequest)
    def sample(self, request: SampleRequest) -> Any:
        """Images first … first + n - 1 of the run with this seed, as `SampleRequest` says.

        Raises ArgumentError (without mu also where `prior` is "none", and for what the engine
        has not), ExecutionError.
        """
        checked = request._checked(self)
        place = self._target(checked.out, (checked.n,), checked.mu, checked.logvar)
        return place.filled(self._native.sample(checked, place.native))

    @takes(DecodeRequest)
    def decode(self, request: DecodeRequest) -> Any:
        """Images of latents [n, D], as `DecodeRequest` says.

        So decode(noise.normals(seed, first, n, D), seed=seed, first=first) is
        sample(n, seed, first). Raises ArgumentError, ExecutionError.
        """
        checked = request._checked(self)
        place = self._target(checked.out, (checked.latents.rows,), checked.latents)
        return place.filled(self._native.decode(checked, place.native))

    @takes(InterpolateRequest)
    def interpolate(self, request: InterpolateRequest) -> Any:
        """Images along the way from latent a to latent b, as `InterpolateRequest` says.

        Raises ArgumentError, ExecutionError.
        """
        checked = request._checked(self)
        single = np.ndim(request.a) == 1
        images = (checked.steps + 1,) if single else (len(checked.a), checked.steps + 1)
        place = self._target(checked.out, images)
        made = self._native.interpolate(checked, place.native)
        return made[0] if single and place.native is None else place.filled(made)

    @takes(SampleRequest)
    def stream(self, request: SampleRequest) -> "Stream":
        """The images of sample(n, seed, first, …), in order, as an iterator of batches.

        batch is the number of images in each but the last (None: 64). Some batches are
        computed ahead (two per instance), so memory stays bounded for any n. A stream draws from
        the prior, into arrays of its own: mu, logvar and out stay as they are. Use it in
        a with statement, or close it, to leave early. Raises ArgumentError, as sample.
        """
        if not (isinstance(request.out, str) and request.out == "numpy"):
            raise ArgumentError("out: a stream's images are new NumPy arrays, expected 'numpy'")
        return Stream(self._native.stream(request._checked(self, most=UINT64_MAX)))

    def _target(self, out: Any, leading: tuple[int, ...], *inputs: Given | None) -> Target:
        if isinstance(out, str) and out == "numpy":
            return Target(None)
        return target(out, self.device, *self._format(*leading), *inputs)

    def _format(self, *leading: int) -> tuple[tuple[int, ...], type]:
        """Shape and dtype of images."""
        height, width, channels = self.image_shape
        if self.manifest["image"]["dtype"] == "uint8":
            return (*leading, height, width, channels), np.uint8
        return (*leading, channels, height, width), np.float32

    @cached_property
    def _classes(self) -> Classes:
        return Classes(self.manifest)


class Stream(Iterator[NDArray[Any]]):
    """Batches of images in order; made by Generator.stream."""

    def __init__(self, native: Any) -> None:
        self._native = native

    def __iter__(self) -> "Stream":
        return self

    def __next__(self) -> NDArray[Any]:
        """The next batch. Raises ClosedError after close().

        Where a signal's handler raises (Ctrl-C), nothing is lost: the next call gives that batch.
        In a forked child, the batch after the last one that was given before.
        """
        if self._native is None:
            raise ClosedError("the stream was closed")
        batch: NDArray[Any] = self._native.next()
        return batch

    def close(self) -> None:
        """Abandons the batches computed ahead. May be called again."""
        native, self._native = self._native, None
        if native is not None:
            native.close()

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
