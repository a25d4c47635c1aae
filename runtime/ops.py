"""The two operators, called directly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime._arguments import UINT64_MAX, as_floats, as_integer, as_keys, describe
from runtime._library import native
from runtime.errors import ArgumentError, BackendUnavailableError

if TYPE_CHECKING:
    from pathlib import Path


def reparametrized_sample(
    mu: ArrayLike,
    logvar: ArrayLike,
    seed: int = 0,
    first: int = 0,
    stream: int = 0,
    *,
    keys: ArrayLike | None = None,
) -> NDArray[np.float32]:
    """h = mu + exp(logvar / 2) · ε, row r with the noise of sample first + r.

    mu, logvar: [N, D] → float32[N, D]. A log-variance of -inf switches the noise
    off. keys, uint64 [N, 2], take the place of seed and first: row r has the noise of
    sample keys[r, 1] of the seed keys[r, 0]. Kingma & Welling 2013, section 2.4.
    Raises ArgumentError.
    """
    mu = as_floats("mu", mu, (None, None))
    logvar = as_floats("logvar", logvar, mu.shape)
    seed, first = (
        as_integer(name, value, 0, UINT64_MAX) for name, value in (("seed", seed), ("first", first))
    )
    words = as_keys(keys, len(mu))
    if words is None:
        words = np.array([[seed, first]], np.uint64)
    elif seed or first:
        raise ArgumentError("keys: expected none beside seed or first")
    if first + len(mu) - 1 > UINT64_MAX:
        raise ArgumentError(f"first: sample indices have 64 bits, got {first} for {len(mu)} rows")
    return native.reparametrized_sample(
        mu,
        logvar,
        words[:, 0],
        words[:, 1],
        as_integer("stream", stream, 0, 2**32 - 1),
    )


def batched_interpolate(
    a: ArrayLike, b: ArrayLike, t: ArrayLike, mode: str = "linear"
) -> NDArray[np.float32]:
    """h = a + (b - a) · t, or the point at t on the great arc from a to b.

    a, b: [N, D], t: [S] → float32[N, S, D]. "spherical" is slerp: Shoemake,
    SIGGRAPH 1985; for latents White, "Sampling Generative Networks", 2016.
    Raises ArgumentError.
    """
    a = as_floats("a", a, (None, None))
    b = as_floats("b", b, a.shape)
    t = as_floats("t", t, (None,))
    return native.batched_interpolate(a, b, t, is_spherical(mode))


def is_spherical(mode: str) -> bool:
    """Return True for "spherical", False for "linear". Raises ArgumentError for other modes."""
    if not isinstance(mode, str) or mode not in ("linear", "spherical"):
        raise ArgumentError(f"mode: expected 'linear' or 'spherical', got {describe(mode)}")
    return mode == "spherical"


def ops_library() -> Path:
    """Return the library with the operators' native kernels for any ONNX Runtime session:
    `SessionOptions.register_custom_ops_library(str(ops_library()))`."""
    from pathlib import Path

    return Path(native.own_library())


def plugin_library() -> Path:
    """Return the library with the operators as TensorRT plugins (`IPluginV3`), for
    `tensorrt.get_plugin_registry().load_library(str(plugin_library()))` and trtexec's
    `--dynamicPlugins`.

    Raises BackendUnavailableError if this build does not include it.
    """
    from pathlib import Path

    path = Path(native.own_folder()) / "libzoo_plugins.so"
    if not path.exists():
        raise BackendUnavailableError(
            "this build has no TensorRT plugins: it needs nvcc, and TensorRT's headers in "
            "$TENSORRT_HOME/include or from pip install kernel-lens; install generator-zoo from "
            "source again"
        )
    return path
