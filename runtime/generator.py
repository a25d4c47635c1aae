"""Generator: seeds or latents in, images out."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime._arguments import UINT64_MAX
from runtime._conditions import Classes
from runtime._engine import LatentEngine
from runtime._placement import Input, Output, place_output
from runtime.errors import ArgumentError, ClosedError
from runtime.requests import DecodeRequest, InterpolateRequest, SampleRequest, takes


class Generator(LatentEngine):
    """A loaded engine file of the role "generator", or "synthesis", which can only decode.

    Image i of a seed is the same image for every n, first, batch, number of instances and thread.
    Images are uint8[n, H, W, C], or float32[n, C, H, W] for an engine exported with float output.
    Methods may be called from several threads at once; a forked child loads the engine again on
    first use.

    - path: engine file or TensorRT plan.
    - device: "cpu", "cuda" or "cuda:N", or "auto" (a GPU for a plan, else the CPU).
    - backend: "onnxruntime" (the only one for engine files on a GPU), "openvino", "native" (our own
      kernels), or "auto": native where it knows every operator of the graph and the CPU has the
      precision, else the installed one that was measured fastest.
    - precision: "fp32"; "bf16" where the CPU and the backend support it; "int8" in the backend
      native on a CPU with AVX512-VNNI, for an engine with ranges of its activations; "tf32" on a
      GPU.
    - instances: copies that work in parallel; by default one single-threaded instance per core, and
      two on a GPU.
    - bucket: on a GPU, the batch size of every run, so that images are bit-equal for every request
      (None: a size that suits the request).

    Raises EngineFileError or a subclass for a bad file, BackendUnavailableError,
    DeviceUnavailableError, ArgumentError.
    """

    _native_class = "Generator"

    @property
    def prior(self) -> str:
        """ "normal", or "none": a plain autoencoder's decoder, which cannot sample."""
        return str(self.manifest["latent"]["prior"])

    @property
    def priors(self) -> list[str]:
        """Names of the priors that `sample` accepts; empty if `prior` is "none"."""
        if self.prior == "none":
            return []
        return ["normal", *(["mixture"] if "mixture" in self.manifest["latent"] else [])]

    @property
    def classes(self) -> list[str]:
        """Names of the classes; empty for an unconditional generator, or unnamed classes."""
        return list(self._classes.names)

    @property
    def class_count(self) -> int:
        """K, the number of classes; 0 for an unconditional generator."""
        return self._classes.count

    @property
    def style_layers(self) -> int:
        """Number of layers with a style input; 0 for a generator that is not style-based."""
        return int((self.manifest.get("truncation") or {}).get("layers", 0))

    @takes(SampleRequest)
    def sample(self, request: SampleRequest) -> Any:
        """Return images first … first + n - 1 of this seed; see `SampleRequest`.

        Raises ArgumentError, also if `prior` is "none" and mu is None, and for options that the
        engine does not have; ExecutionError.
        """
        checked = request._validate(self.latent_width, self._classes)
        place = self._target(checked.out, (checked.n,), checked.mu, checked.logvar)
        return place.result(self._native.sample(checked, place.native))

    @takes(DecodeRequest)
    def decode(self, request: DecodeRequest) -> Any:
        """Return the images of latents [n, D]; see `DecodeRequest`.

        decode(noise.normals(seed, first, n, D), seed=seed, first=first) equals
        sample(n, seed, first). Raises ArgumentError, ExecutionError.
        """
        checked = request._validate(self.latent_width, self._classes)
        place = self._target(checked.out, (checked.latents.rows,), checked.latents)
        return place.result(self._native.decode(checked, place.native))

    @takes(InterpolateRequest)
    def interpolate(self, request: InterpolateRequest) -> Any:
        """Return the images on the path from latent a to latent b; see `InterpolateRequest`.

        Raises ArgumentError, ExecutionError.
        """
        checked = request._validate(self.latent_width, self._classes)
        single = np.ndim(request.a) == 1
        images = (checked.steps + 1,) if single else (len(checked.a), checked.steps + 1)
        place = self._target(checked.out, images)
        new = self._native.interpolate(checked, place.native)
        return new[0] if single and place.native is None else place.result(new)

    @takes(SampleRequest)
    def stream(self, request: SampleRequest) -> "Stream":
        """Return the images of sample(n, seed, first, …), in order, as an iterator of batches.

        batch is the number of images in each but the last (None: 64). Two batches per instance are
        computed ahead, so memory stays bounded for any n. A stream draws from the prior, into new
        arrays: mu, logvar and out must keep their defaults. Use it in a with statement, or close
        it, to stop early. Raises ArgumentError, as sample.
        """
        if not (isinstance(request.out, str) and request.out == "numpy"):
            raise ArgumentError("out: a stream's images are new NumPy arrays, expected 'numpy'")
        checked = request._validate(self.latent_width, self._classes, most=UINT64_MAX)
        return Stream(self._native.stream(checked))

    def _target(self, out: Any, leading: tuple[int, ...], *inputs: Input | None) -> Output:
        if isinstance(out, str) and out == "numpy":
            return Output(None)
        return place_output(out, self.device, *self._format(*leading), *inputs)

    def _format(self, *leading: int) -> tuple[tuple[int, ...], type]:
        """Return the shape and dtype of images."""
        height, width, channels = self.image_shape
        if self.manifest["image"]["dtype"] == "uint8":
            return (*leading, height, width, channels), np.uint8
        return (*leading, channels, height, width), np.float32

    @cached_property
    def _classes(self) -> Classes:
        return Classes(self.manifest)


class Stream(Iterator[NDArray[Any]]):
    """Iterator of batches of images in order; returned by Generator.stream."""

    def __init__(self, native: Any) -> None:
        self._native = native

    def __iter__(self) -> "Stream":
        return self

    def __next__(self) -> NDArray[Any]:
        """Return the next batch. Raises ClosedError after close().

        If a signal handler raises (Ctrl-C), no batch is lost: the next call returns it. A forked
        child continues after the last batch that was returned before the fork.
        """
        if self._native is None:
            raise ClosedError("the stream was closed")
        batch: NDArray[Any] = self._native.next()
        return batch

    def close(self) -> None:
        """Discard the batches computed ahead. May be called again."""
        native, self._native = self._native, None
        if native is not None:
            native.close()

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
