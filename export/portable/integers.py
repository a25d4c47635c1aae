"""Philox4x32-10 in INT64 operators that never overflow.

Salmon, Moraes, Dror, Shaw: "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011, section 3.3.
The 32-bit words are int64 numbers from 0 to 2^32 - 1. Mirrors `csrc/ops/philox.h`.
"""

from __future__ import annotations

from export.portable.tape import Value

WORD = 0xFFFFFFFF
HALF = 0xFFFF
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10


def words(value: Value) -> tuple[Value, Value]:
    """Split int64 bit patterns, negative ones being 2^63 and up, into low and high 32-bit words."""
    low = value & WORD
    # The division of a multiple of 2^32 is exact, even of a negative one.
    return low, (value - low) / (1 << 32) & WORD


def multiply(word: Value, factor: Value) -> tuple[Value, Value]:
    """Multiply 32-bit words through 16-bit halves; return low and high words of the products."""
    low = (word & HALF) * factor
    middle = (word >> 16) * factor + (low >> 16)
    return ((middle & HALF) << 16) + (low & HALF), middle >> 16


def philox(even: Value, odd: Value, key: Value) -> tuple[Value, Value]:
    """Apply ten rounds to many counters at once.

    Args:
        even: int [2, …], words x and z of the counters.
        odd: int [2, …], words y and w.
        key: int [2, …], the two words of the keys.

    Returns:
        The words (x, z) and (y, w) of the outputs, in the same shapes.
    """
    tape = even.tape
    key_shape = tape.constant([2, 1, 1], "int")
    factors = tape.constant([MULTIPLIERS[1], MULTIPLIERS[0]], "int").reshape(key_shape)
    weyl = tape.constant(list(WEYL), "int").reshape(key_shape)
    for step in range(ROUNDS):
        if step:
            key = (key + weyl) & WORD
        # The product with z gives x and y, that with x gives z and w.
        low, high = multiply(even.take([1, 0]), factors)
        even, odd = high ^ odd ^ key, low
    return even, odd
