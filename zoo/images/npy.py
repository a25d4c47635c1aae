"""Headers of `.npy` files that are written block by block."""

from __future__ import annotations

from typing import IO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike


def write_header(file: IO[bytes], shape: tuple[int, ...], dtype: DTypeLike = np.uint8) -> None:
    """Write the header of an array of this shape, whose values follow in C order."""
    descr = npy.dtype_to_descr(np.dtype(dtype))
    npy.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
