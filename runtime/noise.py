"""The noise contract: every random number is normal(seed, sample, stream, element).

Philox4x32-10 (Salmon et al., SC 2011) with key = seed and counter =
(element // 4, stream, low and high word of sample); Box-Muller pairs as in
cuRAND's `curand_normal4`. Only exactly rounded operations are used, so the
numbers are the same bits on every machine.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime._arguments import UINT64_MAX, as_array, as_integer
from runtime._library import native
from runtime.errors import ArgumentError

UINT32_MAX = 2**32 - 1
_MAX_WIDTH = 2**34
"""The counter has 32 bits for blocks of four elements."""


def normal(seed: int, sample: int, stream: int, count: int) -> NDArray[np.float32]:
    """Return elements 0 … count - 1 of one sample's noise: float32[count], N(0, 1).

    seed and sample have 64 bits, stream 32. Raises ArgumentError.
    """
    sample = as_integer("sample", sample, 0, UINT64_MAX)
    count = as_integer("count", count, 1, _MAX_WIDTH)
    return normals(seed, sample, 1, count, stream)[0]


def normals(seed: int, first: int, n: int, width: int, stream: int = 0) -> NDArray[np.float32]:
    """Return the noise of samples first … first + n - 1: float32[n, width].

    Raises ArgumentError.
    """
    seed = as_integer("seed", seed, 0, UINT64_MAX)
    first = as_integer("first", first, 0, UINT64_MAX)
    stream = as_integer("stream", stream, 0, UINT32_MAX)
    n = as_integer("n", n, 1, 2**40)
    width = as_integer("width", width, 1, _MAX_WIDTH)
    if first + n - 1 > UINT64_MAX:
        raise ArgumentError(f"first + n: sample indices have 64 bits, got {first} + {n}")
    return native.normals(seed, first, n, width, stream)


def philox(counter: ArrayLike, key: ArrayLike) -> NDArray[np.uint32]:
    """Return one block of Philox4x32-10: counter uint32[4], key uint32[2] → uint32[4]."""
    return native.philox(_as_words("counter", counter, 4), _as_words("key", key, 2))


def _as_words(name: str, value: ArrayLike, count: int) -> NDArray[np.uint32]:
    words = as_array(name, value)
    if words.shape != (count,):
        raise ArgumentError(f"{name}: expected shape ({count},), got {words.shape}")
    return np.array([as_integer(name, word, 0, UINT32_MAX) for word in words], np.uint32)


def kernel_isa() -> str:
    """Return the instruction set of the noise kernels on this machine: avx512, avx2 or baseline."""
    return native.noise_kernel_isa()
