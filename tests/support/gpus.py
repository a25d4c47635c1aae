"""Search for an NVIDIA GPU to test on."""

from __future__ import annotations

from runtime import cuda
from runtime.errors import BackendUnavailableError


def why_no_gpu() -> str:
    """Return the reason why the kernels cannot run here; empty if they can."""
    try:
        cuda.devices()
    except BackendUnavailableError as error:
        return str(error)
    return ""
