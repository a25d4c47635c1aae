"""Generator: seeds or latents in, images out."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime._arguments import UINT64_MAX, floats, integer
from runtime._engine import LatentEngine
from runtime.errors import ArgumentError, ClosedError
from runtime.ops import spherical

_MOST = 2**62


class Generator(LatentEngine):
    """An engine file of the role "generator", loaded.

    Image i of a seed is the same image for every n, first, batch, number of
    instances and thread. Images are uint8[n, H, W, C], or float32[n, C, H, W] for
    an engine exported so. Methods may be called from several threads at once; a
    forked child loads the engine again on first use.

    path: engine file; device: "cpu"; backend: "auto" (the one measured faster for
    this file among those installed), "onnxruntime" or "openvino"; precision: "fp32"
    or, where CPU and backend have it, "bf16"; instances: single-threaded copies
    that work in parallel, by default one a core.

    Raises EngineFileError and its kinds for a bad file, BackendUnavailableError,
    DeviceUnavailableError, ArgumentError.
    """

    _native_class = "Generator"

    @property
    def prior(self) -> str:
        """ "normal", or "none": a plain autoencoder's decoder, which cannot sample."""
        prior: str = self.manifest["latent"]["prior"]
        return prior

    def sample(
        self,
        n: int,
        seed: int = 0,
        first: int = 0,
        batch: int | None = None,
        mu: ArrayLike | None = None,
        logvar: ArrayLike | None = None,
    ) -> NDArray[Any]:
        """Images first … first + n - 1 of the run with this seed.

        batch is the largest number of rows of one run of the graph (None: chosen
        here); it changes the speed, never the images. mu and logvar, [D] or [n, D], draw from
        that posterior instead of the prior: h = mu + exp(logvar / 2) · ε.
        Raises ArgumentError (without mu also where `prior` is "none"), ExecutionError.
        """
        n = integer("n", n, 1, _MOST)
        if (mu is None) != (logvar is None):
            raise ArgumentError("mu and logvar: expected both or neither")
        if mu is not None and logvar is not None:
            mu = self._rows("mu", mu, n)
            logvar = self._rows("logvar", logvar, n)
            if mu.shape != logvar.shape:
                raise ArgumentError(f"logvar: expected shape {mu.shape} as mu, got {logvar.shape}")
        return self._native.sample(
            n,
            integer("seed", seed, 0, UINT64_MAX),
            integer("first", first, 0, UINT64_MAX),
            0 if batch is None else integer("batch", batch, 1, _MOST),
            mu,
            logvar,
        )

    def decode(self, latents: ArrayLike) -> NDArray[Any]:
        """Images of latents [n, D] (finite). Raises ArgumentError, ExecutionError."""
        return self._native.decode(floats("latents", latents, (None, self.latent_width)))

    def interpolate(
        self, a: ArrayLike, b: ArrayLike, steps: int, mode: str = "linear"
    ) -> NDArray[Any]:
        """Images along the way from latent a to latent b, both ends included.

        h_i = a + (b - a) · i / steps, i = 0 … steps, or the points on the great arc
        with mode "spherical". a, b: [D] → [steps + 1, …]; [N, D] → [N, steps + 1, …].
        Raises ArgumentError, ExecutionError.
        """
        single = np.ndim(a) == 1
        a = floats("a", np.atleast_2d(np.asarray(a)), (None, self.latent_width))
        b = floats("b", np.atleast_2d(np.asarray(b)), (a.shape[0], self.latent_width))
        steps = integer("steps", steps, 1, 2**31)
        images = self._native.interpolate(a, b, steps, spherical(mode))
        return images[0] if single else images

    def stream(self, n: int, seed: int = 0, first: int = 0, batch: int | None = None) -> "Stream":
        """The images of sample(n, seed, first), in order, as an iterator of batches.

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
            )
        )

    def _rows(self, name: str, value: ArrayLike, n: int) -> NDArray[np.float32]:
        if np.ndim(value) == 1:
            return floats(name, np.atleast_2d(np.asarray(value)), (1, self.latent_width))
        return floats(name, value, (n, self.latent_width))


class Stream(Iterator[NDArray[Any]]):
    """Batches of images in order; made by Generator.stream."""

    def __init__(self, native: Any) -> None:
        self._native = native

    def __iter__(self) -> "Stream":
        return self

    def __next__(self) -> NDArray[Any]:
        """The next batch. Raises ClosedError after close()."""
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
