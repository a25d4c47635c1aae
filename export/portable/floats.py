"""Logarithm, exponential, sine and cosine in float32 operations that round once.

Mirrors `csrc/ops/exact_math.h` and `box_muller.h`, constants included.
"""

from __future__ import annotations

from collections.abc import Sequence

from export.portable.tape import Value

_f = float.fromhex

LN2_HI = _f("0x1.63p-1")
LN2_LO = _f("-0x1.bd0106p-13")
LOG2E = _f("0x1.715476p+0")
# Bits 0x3fb504f3: twice the float32 that bounds the mantissa from below.
SQRT_TWO = _f("0x1.6a09e6p+0")
LOG = [
    _f(c)
    for c in (
        "0x1.1b40e4p-4 -0x1.e2e918p-4 0x1.e6512ep-4 -0x1.fb434ep-4 0x1.2332b8p-3 "
        "-0x1.5562e2p-3 0x1.99a546p-3 -0x1.ffffeep-3 0x1.555546p-2"
    ).split()
]
SINE = [_f(c) for c in "-0x1.994eb2p-13 0x1.110760p-7 -0x1.555546p-3".split()]
COSINE = [_f(c) for c in "0x1.9a0258p-16 -0x1.6c0c8cp-10 0x1.55554ap-5".split()]
EXP = [
    _f(c)
    for c in ("0x1.6db410p-10 0x1.123b46p-7 0x1.55545ep-5 0x1.55548ep-3 0x1.000000p-1").split()
]
TWO_PI_OVER_2_32 = _f("0x1.921fb6p-30")
PI_OVER_2_32 = _f("0x1.921fb6p-31")


def _horner(x: Value, coefficients: Sequence[float]) -> Value:
    p = x.tape.constant(coefficients[0], "float")
    for coefficient in coefficients[1:]:
        p = p * x + coefficient
    return p


def log(x: Value) -> Value:
    """Write the natural logarithm of float32 numbers in [2^-63, 1]."""
    tape = x.tape
    # Find the largest power of two that keeps m below sqrt(2), bit by bit. The scaling is exact,
    # so m and e are those of the exponent field.
    m = x
    e = x * 0.0
    for power in (32, 16, 8, 4, 2, 1):
        scaled = m * float(1 << power)
        fits = scaled < SQRT_TWO
        m = tape.where(fits, scaled, m)
        e = tape.where(fits, e - float(power), e)
    f = m - 1.0
    z = f * f
    y = _horner(f, LOG) * (f * z)
    y = y + e * LN2_LO
    y = y - z * 0.5
    return (f + y) + e * LN2_HI


def sincos_turn(turn: Value) -> tuple[Value, Value]:
    """Write sine and cosine of 2*pi*(turn + 1/2)/2^32 for int words 0 … 2^32 - 1."""
    tape = turn.tape
    # 0 … 4, while 32-bit arithmetic wraps to 0: bits 0 and 1 agree, and the rest is signed
    # without a wrap.
    quarter = (turn + 0x20000000) >> 30
    rest = turn - (quarter << 30)
    t = rest.cast("float") * TWO_PI_OVER_2_32 + PI_OVER_2_32
    z = t * t
    s = _horner(z, SINE)
    s = t + t * (z * s)
    c = _horner(z, COSINE)
    c = (z * z) * c
    c = c - z * 0.5
    c = tape.constant(1.0, "float") + c
    odd = (quarter & 1).equal(1)
    a = tape.where(odd, c, s)
    b = tape.where(odd, s, c)
    sine = tape.where((quarter & 2).equal(2), -a, a)
    cosine = tape.where(((quarter + 1) & 2).equal(2), -b, b)
    return sine, cosine


def exp(x: Value) -> Value:
    """Write e^x; exactly 0 below -87, e^88 above 88, NaN for NaN."""
    tape = x.tape
    lowest, highest = (tape.constant(bound, "float") for bound in (-87.0, 88.0))
    bounded = tape.where(x < highest, tape.where(x > lowest, x, lowest), highest)
    k = (bounded * LOG2E + 0.5).floor()
    r = bounded - k * LN2_HI
    r = r - k * LN2_LO
    y = tape.constant(1.0, "float") + (r + (r * r) * _horner(r, EXP))
    first = -126
    powers = tape.constant([2.0**power for power in range(first, 128)], "float")
    power = tape.op("Gather", powers, k.cast("int") - first, axis=0)
    value = tape.where(x < lowest, tape.constant(0.0, "float"), y * power)
    return tape.where(tape.op("IsNaN", x, dtype="bool"), x, value)


def box_muller(a: Value, b: Value) -> tuple[Value, Value]:
    """Write two N(0, 1) float32 numbers from two int words (sine first, as cuRAND does)."""
    u = a.cast("float") * 2.0**-32 + 2.0**-33
    radius = (log(u) * -2.0).sqrt()
    sine, cosine = sincos_turn(b)
    return radius * sine, radius * cosine
