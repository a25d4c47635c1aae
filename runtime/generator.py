"""Generator: seeds or latents in, images out."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime._arguments import UINT64_MAX, array, flag, floats, integer, scale
from runtime._conditions import Classes, Labels
from runtime._engine import LatentEngine
from runtime._placement import Target, of_host, target
from runtime._placement import latents as _latents
from runtime.errors import ArgumentError, ClosedError
from runtime.ops import spherical

_MOST = 2**62


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

    def sample(
        self,
        n: int,
        seed: int = 0,
        first: int = 0,
        batch: int | None = None,
        mu: ArrayLike | None = None,
        logvar: ArrayLike | None = None,
        labels: Labels | None = None,
        truncation: float = 1.0,
        noise: float = 1.0,
        cycle: bool = False,
        out: Any = "numpy",
    ) -> Any:
        """Images first … first + n - 1 of the run with this seed.

        batch is the largest number of rows of one run of the graph (None: chosen
        here); it changes the speed, never the images. mu and logvar, [D] or [n, D], draw from
        that posterior instead of the prior: h = mu + exp(logvar / 2) · ε.

        out: "numpy" for a new NumPy array; "device", where the engine runs on a GPU, for a
        `DeviceArray` in its memory; or an array of the images' shape and dtype that they are
        written into, a NumPy array or one in the GPU's memory (PyTorch, CuPy, Numba, …), which is
        given back. mu and logvar may be in the GPU's memory too, both [n, D] float32; what is there
        is not looked into.

        labels, for conditional generators: the number or name of a class for all images, or
        [n] of them; with cycle any number of them, image i of the run having
        labels[i mod len(labels)]. None: image i has class i mod `class_count`.

        truncation and noise, for style-based generators: styles are w̄ + truncation · (w - w̄)
        (Karras et al. 2019, appendix B), and the noise of the layers is multiplied by noise.

        Raises ArgumentError (without mu also where `prior` is "none", and for what the engine
        has not), ExecutionError.
        """
        n = integer("n", n, 1, _MOST)
        if (mu is None) != (logvar is None):
            raise ArgumentError("mu and logvar: expected both or neither")
        means = logvars = None
        if mu is not None and logvar is not None:
            means = _latents("mu", mu, self.latent_width, n)
            logvars = _latents("logvar", logvar, self.latent_width, n)
            if means.rows != logvars.rows:
                raise ArgumentError(f"logvar: expected {means.rows} rows as mu, got {logvars.rows}")
            if means.on_device != logvars.on_device:
                raise ArgumentError("mu and logvar: expected both in the same memory")
        place = self._target(out, n)
        made = self._native.sample(
            n,
            integer("seed", seed, 0, UINT64_MAX),
            integer("first", first, 0, UINT64_MAX),
            0 if batch is None else integer("batch", batch, 1, _MOST),
            means and means.native,
            logvars and logvars.native,
            self._classes.numbers(labels),
            flag("cycle", cycle),
            scale("truncation", truncation),
            scale("noise", noise),
            place.native,
        )
        return place.filled(made)

    def decode(
        self,
        latents: Any,
        seed: int | None = None,
        first: int = 0,
        truncation: float = 1.0,
        labels: Labels | None = None,
        out: Any = "numpy",
    ) -> Any:
        """Images of latents [n, D] (finite); row r stands for image first + r.

        The layers of a style-based generator draw the noise of that image of the run with this
        seed; without a seed they draw none, and an image is a function of its latent alone.
        labels, truncation and out as in `sample`; latents may be in the GPU's memory. So
        decode(noise.normals(seed, first, n, D), seed=seed, first=first) is sample(n, seed, first).
        Raises ArgumentError, ExecutionError.
        """
        given = _latents("latents", latents, self.latent_width)
        place = self._target(out, given.rows)
        made = self._native.decode(
            given.native,
            None if seed is None else integer("seed", seed, 0, UINT64_MAX),
            integer("first", first, 0, UINT64_MAX),
            self._classes.numbers(labels),
            scale("truncation", truncation),
            place.native,
        )
        return place.filled(made)

    def interpolate(
        self,
        a: ArrayLike,
        b: ArrayLike,
        steps: int,
        mode: str = "linear",
        labels: Labels | None = None,
        truncation: float = 1.0,
        out: Any = "numpy",
    ) -> Any:
        """Images along the way from latent a to latent b, both ends included.

        h_i = a + (b - a) · i / steps, i = 0 … steps, or the points on the great arc
        with mode "spherical". a, b: [D] → [steps + 1, …]; [N, D] → [N, steps + 1, …].
        labels: a class for all ways, or [N]; None: way r has class r mod `class_count`.
        The layers of a style-based generator draw no noise. out as in `sample`, of the shape
        [N, steps + 1, …] or [steps + 1, …]. Raises ArgumentError, ExecutionError.
        """
        of_host("a", a)
        of_host("b", b)
        starts, ends = array("a", a), array("b", b)
        single = starts.ndim == 1
        a = floats("a", starts[np.newaxis] if single else starts, (None, self.latent_width))
        b = floats("b", ends[np.newaxis] if ends.ndim == 1 else ends, (len(a), self.latent_width))
        steps = integer("steps", steps, 1, 2**31)
        leading = (steps + 1,) if single else (a.shape[0], steps + 1)
        place = self._target(out, *leading)
        images = self._native.interpolate(
            a,
            b,
            steps,
            spherical(mode),
            self._classes.numbers(labels),
            scale("truncation", truncation),
            place.native,
        )
        if place.native is not None:
            return place.array
        return images[0] if single else images

    def stream(
        self,
        n: int,
        seed: int = 0,
        first: int = 0,
        batch: int | None = None,
        labels: Labels | None = None,
        truncation: float = 1.0,
        noise: float = 1.0,
        cycle: bool = False,
    ) -> "Stream":
        """The images of sample(n, seed, first, …), in order, as an iterator of batches.

        batch is the number of images in each but the last (None: 64). Some batches are
        computed ahead (two per instance), so memory stays bounded for any n. Use it in
        a with statement, or close it, to leave early. Raises ArgumentError, as sample.
        """
        return Stream(
            self._native.stream(
                integer("n", n, 1, UINT64_MAX),
                integer("seed", seed, 0, UINT64_MAX),
                integer("first", first, 0, UINT64_MAX),
                0 if batch is None else integer("batch", batch, 1, _MOST),
                self._classes.numbers(labels),
                flag("cycle", cycle),
                scale("truncation", truncation),
                scale("noise", noise),
            )
        )

    def _target(self, out: Any, *leading: int) -> Target:
        if isinstance(out, str) and out == "numpy":
            return Target(None)
        return target(out, self.device, *self._format(*leading))

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
