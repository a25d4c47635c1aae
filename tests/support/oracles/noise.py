"""The noise contract in NumPy: Philox4x32-10 in integers, Box-Muller in float64.

Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011; Box and
Muller, Annals of Mathematical Statistics 29 (1958), in the order of cuRAND's
curand_normal4.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# counter, key, output: tests/kat_vectors of Random123, philox4x32 with 10 rounds.
RANDOM123 = [
    (
        [0x00000000, 0x00000000, 0x00000000, 0x00000000],
        [0x00000000, 0x00000000],
        [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8],
    ),
    (
        [0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF],
        [0xFFFFFFFF, 0xFFFFFFFF],
        [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD],
    ),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


def philox(counter: NDArray[np.uint32], key: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Random bits uint32 [..., 4] of counters uint32 [..., 4] and keys uint32 [..., 2]."""
    counter = np.asarray(counter, np.uint32)
    key = np.broadcast_to(np.asarray(key, np.uint32), (*counter.shape[:-1], 2)).copy()
    weyl = np.array([0x9E3779B9, 0xBB67AE85], np.uint32)
    for _ in range(10):
        left = np.uint64(0xD2511F53) * counter[..., 0].astype(np.uint64)
        right = np.uint64(0xCD9E8D57) * counter[..., 2].astype(np.uint64)
        left_high, right_high = (n >> np.uint64(32) for n in (left, right))
        counter = np.stack(
            [
                right_high.astype(np.uint32) ^ counter[..., 1] ^ key[..., 0],
                right.astype(np.uint32),
                left_high.astype(np.uint32) ^ counter[..., 3] ^ key[..., 1],
                left.astype(np.uint32),
            ],
            axis=-1,
        )
        key += weyl
    return counter


def bits(seed: int, first: int, rows: int, width: int, stream: int = 0) -> NDArray[np.uint32]:
    """The random words behind the noise: uint32 [rows, blocks of four, 4]."""
    counters = np.empty((rows, -(-width // 4), 4), np.uint32)
    for row in range(rows):
        sample = (first + row) % 2**64
        counters[row, :, 2:] = sample % 2**32, sample // 2**32
    counters[:, :, 0] = np.arange(counters.shape[1])
    counters[:, :, 1] = stream
    return philox(counters, np.array([seed % 2**32, seed // 2**32 % 2**32], np.uint32))


def normals(
    seed: int, first: int, rows: int, width: int, stream: int = 0, uniform_as_float32: bool = True
) -> NDArray[np.float64]:
    """N(0, 1) numbers float64 [rows, width].

    The contract forms u = (word + 1/2) / 2^32 in float32, which near u = 1
    matters more than a rounding; `uniform_as_float32=False` is the ideal u.
    """
    words = bits(seed, first, rows, width, stream).reshape(rows, -1, 2)
    if uniform_as_float32:
        scaled = words[..., 0].astype(np.float32).astype(np.float64) / 2**32
        u = (scaled + 2.0**-33).astype(np.float32).astype(np.float64)
    else:
        u = (words[..., 0] + 0.5) / 2**32
    radius = np.sqrt(-2 * np.log(u))
    # Whole quarter turns are taken off first, for float64 too rounds 2*pi*x.
    quarter = np.rint(words[..., 1] / 2.0**30)
    rest = (words[..., 1] + 0.5 - quarter * 2.0**30) * (2 * np.pi / 2**32)
    sine, cosine = np.sin(rest), np.cos(rest)
    turned = [(sine, cosine), (cosine, -sine), (-sine, -cosine), (-cosine, sine)]
    index = quarter.astype(int) % 4
    pair = [np.choose(index, [turn[k] for turn in turned]) * radius for k in (0, 1)]
    return np.stack(pair, axis=-1).reshape(rows, -1)[:, :width]
