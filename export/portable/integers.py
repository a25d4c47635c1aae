"""Philox4x32-10 in INT64 operators that never overflow.

Salmon, Moraes, Dror, Shaw: "Parallel Random Numbers: As Easy as 1, 2, 3", SC
2011, section 3.3. The 32-bit words are kept in int64 tensors as 0 … 2^32 - 1.
Mirrors `csrc/ops/philox.h`.
"""

from __future__ import annotations

from export.portable.tape import Value

WORD = 0xFFFFFFFF
HALF = 0xFFFF
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10


def words(value: Value) -> tuple[Value, Value]:
    """Low and high 32-bit words of int64 bit patterns (negative ones stand for 2^63 and up)."""
    low = value & WORD
    # A division of a multiple of 2^32 is exact, also of a negative one.
    return low, (value - low) / (1 << 32) & WORD


def multiply(word: Value, factor: Value) -> tuple[Value, Value]:
    """Low and high word of the 64-bit products of 32-bit words, through 16-bit halves."""
    low = (word & HALF) * factor
    middle = (word >> 16) * factor + (low >> 16)
    return ((middle & HALF) << 16) + (low & HALF), middle >> 16


def philox(even: Value, odd: Value, key: Value) -> tuple[Value, Value]:
    """Ten rounds on many counters at once.

    Args:
        even: int [2, …], words x and z of the counters.
        odd: int [2, …], words y and w.
        key: int [2, 1, …], the two words of the key.

    Returns:
        The words (x, z) and (y, w) of the outputs, shaped as given.
    """
    tape = even.tape
    rank_of_key = [2] + [1] * 2
    factors = tape.constant([MULTIPLIERS[1], MULTIPLIERS[0]], "int")
    factors = factors.reshape(tape.constant(rank_of_key, "int"))
    weyl = tape.constant(list(WEYL), "int").reshape(tape.constant(rank_of_key, "int"))
    for step in range(ROUNDS):
        if step:
            key = (key + weyl) & WORD
        # The product of z becomes x and y, that of x becomes z and w.
        low, high = multiply(even.take([1, 0]), factors)
        even, odd = high ^ odd ^ key, low
    return even, odd
