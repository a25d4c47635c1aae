"""The noise contract in NumPy, which every backend must match bit by bit.

Mirrors `csrc/ops` (philox.h, exact_math.h, box_muller.h, reparametrized_sample.h) on arrays; NumPy
rounds each float32 operation once, as C++ does without contraction.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from export.portable import floats
from export.portable.integers import MULTIPLIERS, ROUNDS, WEYL

F32 = NDArray[np.float32]
U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]

_MASK = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)


def philox(counter: tuple[U32, U32, U32, U32], key: tuple[int, int]) -> tuple[U32, U32, U32, U32]:
    """Compute Philox4x32-10 of many counters (four arrays of words) under one key of two words."""
    x, y, z, w = counter
    key0, key1 = key
    for _ in range(ROUNDS):
        p0 = x.astype(np.uint64) * np.uint64(MULTIPLIERS[0])
        p1 = z.astype(np.uint64) * np.uint64(MULTIPLIERS[1])
        x = (p1 >> _32).astype(np.uint32) ^ y ^ np.uint32(key0)
        z = (p0 >> _32).astype(np.uint32) ^ w ^ np.uint32(key1)
        y, w = (p1 & _MASK).astype(np.uint32), (p0 & _MASK).astype(np.uint32)
        key0, key1 = (key0 + WEYL[0]) % 2**32, (key1 + WEYL[1]) % 2**32
    return x, y, z, w


def _horner(x: F32, coefficients: list[float]) -> F32:
    p = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        p = p * x + np.float32(coefficient)
    return p


def log(x: F32) -> F32:
    """Compute the natural logarithm of positive normal float32 numbers."""
    bits = x.view(np.uint32)
    shifted = (bits - np.uint32(0x3F3504F3)).view(np.int32)
    exponent = shifted >> 23
    m: F32 = (bits - (exponent.view(np.uint32) << np.uint32(23))).view(np.float32)
    e: F32 = exponent.astype(np.float32)
    f = m - np.float32(1)
    z = f * f
    y = _horner(f, floats.LOG) * (f * z)
    y = y + e * np.float32(floats.LN2_LO)
    y = y - np.float32(0.5) * z
    return (f + y) + e * np.float32(floats.LN2_HI)


def sincos_turn(turn: U32) -> tuple[F32, F32]:
    """Compute sine and cosine of 2*pi*(turn + 1/2)/2^32."""
    quarter = (turn + np.uint32(0x20000000)) >> np.uint32(30)
    rest = (turn - (quarter << np.uint32(30))).view(np.int32)
    t: F32 = rest.astype(np.float32) * np.float32(floats.TWO_PI_OVER_2_32)
    t = t + np.float32(floats.PI_OVER_2_32)
    z = t * t
    s: F32 = _horner(z, floats.SINE)
    s = t + t * (z * s)
    c: F32 = _horner(z, floats.COSINE)
    c = (z * z) * c
    c = c - np.float32(0.5) * z
    c = np.float32(1) + c
    odd = (quarter & np.uint32(1)) != 0
    a, b = np.where(odd, c, s), np.where(odd, s, c)
    sine = np.where((quarter & np.uint32(2)) != 0, -a, a)
    cosine = np.where(((quarter + np.uint32(1)) & np.uint32(2)) != 0, -b, b)
    return sine, cosine


def exp(x: F32) -> F32:
    """Compute e^x; exactly 0 below -87, e^88 above 88, NaN for NaN."""
    low, high = np.float32(-87), np.float32(88)
    bounded = np.where(x < high, np.where(x > low, x, low), high)
    k = np.floor(bounded * np.float32(floats.LOG2E) + np.float32(0.5))
    r = bounded - k * np.float32(floats.LN2_HI)
    r = r - k * np.float32(floats.LN2_LO)
    y = np.float32(1) + (r + (r * r) * _horner(r, floats.EXP))
    power = ((k.astype(np.int32) + 127).astype(np.uint32) << np.uint32(23)).view(np.float32)
    value = np.where(x < low, np.float32(0), y * power)
    return np.where(np.isnan(x), x, value)


def box_muller(a: U32, b: U32) -> tuple[F32, F32]:
    """Transform two words to two N(0, 1) numbers, the sine first."""
    u = a.astype(np.float32) * np.float32(2.0**-32) + np.float32(2.0**-33)
    radius = np.sqrt(np.float32(-2) * log(u))
    sine, cosine = sincos_turn(b)
    return radius * sine, radius * cosine


def normals(seed: int, first: int, rows: int, width: int, stream: int = 0) -> F32:
    """Return float32 [rows, width]; row r is sample `first + r` (modulo 2^64) of `seed`."""
    seed %= 2**64
    blocks = (width + 3) // 4
    sample = np.uint64(first % 2**64) + np.arange(rows, dtype=np.uint64)
    plane = (rows, blocks)
    counter = (
        np.broadcast_to(np.arange(blocks, dtype=np.uint32), plane),
        np.full(plane, stream, np.uint32),
        np.broadcast_to((sample & _MASK).astype(np.uint32)[:, None], plane),
        np.broadcast_to((sample >> _32).astype(np.uint32)[:, None], plane),
    )
    x, y, z, w = philox(counter, (seed % 2**32, seed >> 32))
    lanes = (*box_muller(x, y), *box_muller(z, w))
    return np.stack(lanes, axis=2).reshape(rows, -1)[:, :width]


def reparametrized_sample(mu: F32, logvar: F32, seed: int, first: int, stream: int = 0) -> F32:
    """Return mu + exp(logvar/2) * eps, all float32 [N, D]."""
    rows, width = mu.shape
    return mu + exp(np.float32(0.5) * logvar) * normals(seed, first, rows, width, stream)


def int64(word: int) -> NDArray[np.int64]:
    """Return the int64 [1] tensor with the bits of an unsigned 64-bit number."""
    return np.array([word % 2**64], np.uint64).view(np.int64)


def interpolate(a: F32, b: F32, t: F32, mode: str = "linear") -> F32:
    """Interpolate from a to b [N, D] at t [S]: float32 [N, S, D].

    "linear" mirrors `csrc/ops/batched_interpolate.h`; "spherical" (Shoemake, SIGGRAPH 1985) is
    computed in float64, to be compared within a tolerance.
    """
    start, end = a[:, None], b[:, None]
    if mode == "linear":
        steps = t[None, :, None]
        return np.where(steps == np.float32(1), end, start + (end - start) * steps)
    wide = [x.astype(np.float64) for x in (start, end)]
    norms = np.linalg.norm(wide[0], axis=2) * np.linalg.norm(wide[1], axis=2)
    cosine = np.clip((wide[0] * wide[1]).sum(2) / np.where(norms > 0, norms, 1), -1, 1)
    angle = np.arccos(np.where(norms > 0, cosine, 1))[:, :, None]
    steps = t[None, :, None].astype(np.float64)
    sine = np.sin(angle)
    curved = sine > 1e-3
    divisor = np.where(curved, sine, 1)
    weight_a = np.where(curved, np.sin((1 - steps) * angle) / divisor, 1 - steps)
    weight_b = np.where(curved, np.sin(steps * angle) / divisor, steps)
    return (weight_a * wide[0] + weight_b * wide[1]).astype(np.float32)
