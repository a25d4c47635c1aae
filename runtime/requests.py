"""Requests: the arguments of one call of a generator, as one value.

The methods of `Generator` and `Generators` accept the fields of a request as arguments, or the
request itself. The compiled module takes the whole request: a new field is added here, in
csrc/python/generator.cc, which reads it, and where it is used.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from numpy.typing import ArrayLike

from runtime._arguments import (
    UINT64_MAX,
    as_array,
    as_flag,
    as_floats,
    as_integer,
    as_keys,
    as_scale,
    describe,
)
from runtime._conditions import Classes, Labels
from runtime._placement import check_on_host, latent_input
from runtime.errors import ArgumentError
from runtime.ops import is_spherical

MOST_ROWS = 2**62
PRIORS = ("normal", "mixture")


@dataclass(frozen=True)
class SampleRequest:
    """Request for images first … first + n - 1 of a seed (`Generator.sample` and `stream`).

    batch is the largest number of rows in one run of the graph (None: the engine's choice; for a
    stream, the number of images in a batch, by default 64). It changes the speed, never the images.
    prior is "normal" for N(0, I), or "mixture" for the learned prior, if the engine has one
    (`Generator.priors`). mu and logvar, [D] or [n, D], replace the prior by that posterior:
    h = mu + exp(logvar / 2) · ε.

    labels, for conditional generators: the number or name of a class for all images, or [n] of
    them; with cycle, any number of them, and image i has labels[i mod len(labels)]. None: image i
    has class i mod `class_count`.

    truncation and noise, for style-based generators: styles are w̄ + truncation · (w - w̄)
    (Karras et al. 2019, appendix B), and the noise of the layers is multiplied by noise.

    keys, uint64 [n, 2], take the place of seed and first: image r is image keys[r, 1] of the seed
    keys[r, 0], so that requests of several callers can be one. Not for a stream.

    out: "numpy" for a new NumPy array; "device", for an engine on a GPU, for a `DeviceArray` in its
    memory; or an array with the images' shape and dtype that receives them and is returned, a NumPy
    array or one in the GPU's memory (PyTorch, CuPy, Numba, …). mu and logvar may be in the GPU's
    memory too, both [n, D] float32; their values are then not checked.
    """

    n: int
    seed: int = 0
    first: int = 0
    batch: int | None = None
    _: KW_ONLY
    prior: str = "normal"
    mu: ArrayLike | None = None
    logvar: ArrayLike | None = None
    labels: Labels | None = None
    truncation: float = 1.0
    noise: float = 1.0
    cycle: bool = False
    keys: ArrayLike | None = None
    out: Any = "numpy"

    def _validate(self, width: int, classes: Classes, most: int = MOST_ROWS) -> Any:
        """Return the request as the compiled module takes it. Raises ArgumentError.

        width is D of the latents, classes those of the generator, most the largest n.
        """
        n = as_integer("n", self.n, 1, most)
        mu = logvar = None
        if (self.mu is None) != (self.logvar is None):
            raise ArgumentError("mu and logvar: expected both or neither")
        if self.mu is not None:
            mu = latent_input("mu", self.mu, width, n)
            logvar = latent_input("logvar", self.logvar, width, n)
            if mu.rows != logvar.rows:
                raise ArgumentError(f"logvar: expected {mu.rows} rows as mu, got {logvar.rows}")
            if mu.on_device != logvar.on_device:
                raise ArgumentError("mu and logvar: expected both in the same memory")
        return _with(
            self,
            n=n,
            prior=_is_mixture(self.prior),
            mu=mu,
            logvar=logvar,
            seed=as_integer("seed", self.seed, 0, UINT64_MAX),
            first=as_integer("first", self.first, 0, UINT64_MAX),
            batch=0 if self.batch is None else as_integer("batch", self.batch, 1, MOST_ROWS),
            labels=classes.parse(self.labels),
            truncation=as_scale("truncation", self.truncation),
            noise=as_scale("noise", self.noise),
            cycle=as_flag("cycle", self.cycle),
            keys=as_keys(self.keys, n),
        )


@dataclass(frozen=True)
class DecodeRequest:
    """Request for the images of latents [n, D] (finite); row r is image first + r.

    See `Generator.decode`. The layers of a style-based generator draw the noise of that image of
    the seed, or those of `keys`; without either they draw none, and an image is a function of its
    latent alone. labels, truncation, keys and out are as in `SampleRequest`; latents may be in the
    GPU's memory.
    """

    latents: Any
    seed: int | None = None
    first: int = 0
    truncation: float = 1.0
    labels: Labels | None = None
    keys: ArrayLike | None = None
    out: Any = "numpy"

    def _validate(self, width: int, classes: Classes) -> Any:
        """Return the request as the compiled module takes it. Raises ArgumentError."""
        latents = latent_input("latents", self.latents, width)
        return _with(
            self,
            latents=latents,
            keys=as_keys(self.keys, latents.rows),
            seed=None if self.seed is None else as_integer("seed", self.seed, 0, UINT64_MAX),
            first=as_integer("first", self.first, 0, UINT64_MAX),
            truncation=as_scale("truncation", self.truncation),
            labels=classes.parse(self.labels),
        )


@dataclass(frozen=True)
class InterpolateRequest:
    """Request for the images on the path from latent a to latent b, both ends included.

    h_i = a + (b - a) · i / steps, i = 0 … steps, or the points on the great arc
    with mode "spherical". a, b: [D] → [steps + 1, …]; [N, D] → [N, steps + 1, …].
    labels: a class for all paths, or [N]; None: path r has class r mod `class_count`.
    The layers of a style-based generator draw no noise. truncation and out are as in
    `SampleRequest`; the shape of out is [N, steps + 1, …] or [steps + 1, …].
    """

    a: ArrayLike
    b: ArrayLike
    steps: int
    mode: str = "linear"
    labels: Labels | None = None
    truncation: float = 1.0
    out: Any = "numpy"

    def _validate(self, width: int, classes: Classes) -> Any:
        """Return the request as the compiled module takes it: a and b as [N, D], mode a bool.

        Raises ArgumentError.
        """
        check_on_host("a", self.a)
        check_on_host("b", self.b)
        a, b = as_array("a", self.a), as_array("b", self.b)
        starts = as_floats("a", a[None] if a.ndim == 1 else a, (None, width))
        shape = (len(starts), width)
        return _with(
            self,
            a=starts,
            b=as_floats("b", b[None] if b.ndim == 1 else b, shape),
            steps=as_integer("steps", self.steps, 1, 2**31),
            mode=is_spherical(self.mode),
            labels=classes.parse(self.labels),
            truncation=as_scale("truncation", self.truncation),
        )


def _with(request: object, **values: Any) -> Any:
    """Return a copy of a request with other values, as `replace` does in twice the time."""
    copy = object.__new__(type(request))
    copy.__dict__.update(request.__dict__, **values)
    return copy


def _is_mixture(prior: str) -> bool:
    """Return True for "mixture", False for "normal". Raises ArgumentError for other priors."""
    if not isinstance(prior, str) or prior not in PRIORS:
        raise ArgumentError(f"prior: expected 'normal' or 'mixture', got {describe(prior)}")
    return prior == "mixture"


_Self = TypeVar("_Self")
_Request = TypeVar("_Request")
_Result = TypeVar("_Result")
_Fields = ParamSpec("_Fields")


def takes(
    request: Callable[_Fields, _Request],
) -> Callable[
    [Callable[[_Self, _Request], _Result]], Callable[Concatenate[_Self, _Fields], _Result]
]:
    """Let a method of one request also be called with the request's fields as arguments."""
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
