"""Requests: all that a generator is asked for in one call, as one value.

The methods of `Generator` and `Generators` take the fields of theirs as arguments, or the request
itself. The compiled module takes a request whole: a new field is added here, where
csrc/python/generator.cc reads it, and where it is used.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from numpy.typing import ArrayLike

from runtime._arguments import UINT64_MAX, array, flag, floats, integer, scale
from runtime._conditions import Labels
from runtime._placement import latents, of_host
from runtime.errors import ArgumentError
from runtime.ops import spherical

if TYPE_CHECKING:
    from runtime.generator import Generator

MOST_ROWS = 2**62


@dataclass(frozen=True)
class SampleRequest:
    """Images first … first + n - 1 of the run with this seed (`Generator.sample` and `stream`).

    batch is the largest number of rows of one run of the graph (None: chosen by the engine; of a
    stream, the number of images in a batch, 64); it changes the speed, never the images. mu and
    logvar, [D] or [n, D], draw from that posterior instead of the prior: h = mu + exp(logvar / 2) ·
    ε.

    labels, for conditional generators: the number or name of a class for all images, or
    [n] of them; with cycle any number of them, image i of the run having
    labels[i mod len(labels)]. None: image i has class i mod `class_count`.

    truncation and noise, for style-based generators: styles are w̄ + truncation · (w - w̄)
    (Karras et al. 2019, appendix B), and the noise of the layers is multiplied by noise.

    out: "numpy" for a new NumPy array; "device", where the engine runs on a GPU, for a
    `DeviceArray` in its memory; or an array of the images' shape and dtype that they are
    written into, a NumPy array or one in the GPU's memory (PyTorch, CuPy, Numba, …), which is
    given back. mu and logvar may be in the GPU's memory too, both [n, D] float32; what is there
    is not looked into.
    """

    n: int
    seed: int = 0
    first: int = 0
    batch: int | None = None
    _: KW_ONLY
    mu: ArrayLike | None = None
    logvar: ArrayLike | None = None
    labels: Labels | None = None
    truncation: float = 1.0
    noise: float = 1.0
    cycle: bool = False
    out: Any = "numpy"

    def _checked(self, engine: Generator, most: int = MOST_ROWS) -> Any:
        """The request as the compiled module takes it. Raises ArgumentError."""
        n = integer("n", self.n, 1, most)
        mu = logvar = None
        if (self.mu is None) != (self.logvar is None):
            raise ArgumentError("mu and logvar: expected both or neither")
        if self.mu is not None:
            mu = latents("mu", self.mu, engine.latent_width, n)
            logvar = latents("logvar", self.logvar, engine.latent_width, n)
            if mu.rows != logvar.rows:
                raise ArgumentError(f"logvar: expected {mu.rows} rows as mu, got {logvar.rows}")
            if mu.on_device != logvar.on_device:
                raise ArgumentError("mu and logvar: expected both in the same memory")
        return _changed(
            self,
            n=n,
            mu=mu,
            logvar=logvar,
            seed=integer("seed", self.seed, 0, UINT64_MAX),
            first=integer("first", self.first, 0, UINT64_MAX),
            batch=0 if self.batch is None else integer("batch", self.batch, 1, MOST_ROWS),
            labels=engine._classes.numbers(self.labels),
            truncation=scale("truncation", self.truncation),
            noise=scale("noise", self.noise),
            cycle=flag("cycle", self.cycle),
        )


@dataclass(frozen=True)
class DecodeRequest:
    """Images of latents [n, D] (finite); row r stands for image first + r (`Generator.decode`).

    The layers of a style-based generator draw the noise of that image of the run with this
    seed; without a seed they draw none, and an image is a function of its latent alone. labels,
    truncation and out are as in `SampleRequest`; latents may be in the GPU's memory.
    """

    latents: Any
    seed: int | None = None
    first: int = 0
    truncation: float = 1.0
    labels: Labels | None = None
    out: Any = "numpy"

    def _checked(self, engine: Generator) -> Any:
        """The request as the compiled module takes it. Raises ArgumentError."""
        return _changed(
            self,
            latents=latents("latents", self.latents, engine.latent_width),
            seed=None if self.seed is None else integer("seed", self.seed, 0, UINT64_MAX),
            first=integer("first", self.first, 0, UINT64_MAX),
            truncation=scale("truncation", self.truncation),
            labels=engine._classes.numbers(self.labels),
        )


@dataclass(frozen=True)
class InterpolateRequest:
    """Images along the way from latent a to latent b, both ends included.

    h_i = a + (b - a) · i / steps, i = 0 … steps, or the points on the great arc
    with mode "spherical". a, b: [D] → [steps + 1, …]; [N, D] → [N, steps + 1, …].
    labels: a class for all ways, or [N]; None: way r has class r mod `class_count`.
    The layers of a style-based generator draw no noise. truncation and out are as in
    `SampleRequest`, out of the shape [N, steps + 1, …] or [steps + 1, …].
    """

    a: ArrayLike
    b: ArrayLike
    steps: int
    mode: str = "linear"
    labels: Labels | None = None
    truncation: float = 1.0
    out: Any = "numpy"

    def _checked(self, engine: Generator) -> Any:
        """The request as the compiled module takes it: a and b of two axes, mode a flag.

        Raises ArgumentError.
        """
        of_host("a", self.a)
        of_host("b", self.b)
        a, b = array("a", self.a), array("b", self.b)
        starts = floats("a", a[None] if a.ndim == 1 else a, (None, engine.latent_width))
        shape = (len(starts), engine.latent_width)
        return _changed(
            self,
            a=starts,
            b=floats("b", b[None] if b.ndim == 1 else b, shape),
            steps=integer("steps", self.steps, 1, 2**31),
            mode=spherical(self.mode),
            labels=engine._classes.numbers(self.labels),
            truncation=scale("truncation", self.truncation),
        )


def _changed(request: Any, **fields: Any) -> Any:
    """The request with other values, of other types than a caller gives."""
    return replace(request, **fields)


_Self = TypeVar("_Self")
_Request = TypeVar("_Request")
_Result = TypeVar("_Result")
_Fields = ParamSpec("_Fields")


def takes(
    request: Callable[_Fields, _Request],
) -> Callable[
    [Callable[[_Self, _Request], _Result]], Callable[Concatenate[_Self, _Fields], _Result]
]:
    """Make of a method of one request a method of its fields, which also takes it whole."""
    kind: Any = request

    def decorate(
        method: Callable[[_Self, _Request], _Result],
    ) -> Callable[Concatenate[_Self, _Fields], _Result]:
        @wraps(method)
        def call(self: _Self, *values: _Fields.args, **named: _Fields.kwargs) -> _Result:
            if len(values) == 1 and not named and isinstance(values[0], kind):
                return method(self, values[0])
            return method(self, request(*values, **named))

        own = inspect.signature(method)
        (first, _), fields = own.parameters.values(), inspect.signature(kind).parameters.values()
        signature = own.replace(parameters=[first, *fields])
        call.__signature__ = signature  # type: ignore[attr-defined]
        del call.__wrapped__
        return call

    return decorate


__all__ = ["DecodeRequest", "InterpolateRequest", "SampleRequest", "takes"]
