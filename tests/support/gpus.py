"""Whether there is an NVIDIA GPU to test on."""

from __future__ import annotations

from runtime import cuda
from runtime.errors import BackendUnavailableError


def why_no_gpu() -> str:
    """Why the kernels cannot run here; empty where they can."""
    try:
        cuda.devices()
    except BackendUnavailableError as error:
        return str(error)
    return ""
