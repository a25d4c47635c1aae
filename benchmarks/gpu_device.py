"""A PyTorch device with timing and memory, and queries to the GPU's driver.

Everything specific to CUDA (events, pinned memory, streams) is here, so that the code on top of it
also runs on a CPU.
"""

# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import os
import re
import statistics
import subprocess
import time
from collections.abc import Callable
from typing import Any

FIELDS = (
    "driver_version",
    "power.limit",
    "clocks.max.sm",
    "clocks.sm",
    "temperature.gpu",
    "memory.used",
)


class TorchDevice:
    """A PyTorch device, set as the current one.

    Raises RuntimeError if this PyTorch cannot use it.
    """

    def __init__(self, name: str) -> None:
        import torch

        self.torch, self.device = torch, torch.device(name)
        self.cuda = self.device.type == "cuda"
        if self.cuda:
            if not torch.cuda.is_available():
                raise RuntimeError(f"PyTorch {torch.__version__} has no CUDA here")
            torch.cuda.set_device(self.device)

    def synchronise(self) -> None:
        """Wait for all work in the device's streams."""
        if self.cuda:
            self.torch.cuda.synchronize()

    def host_buffer(self, like: Any) -> Any:
        """Return a host tensor of the same shape and dtype, pinned if there is CUDA."""
        return self.torch.empty(like.shape, dtype=like.dtype, pin_memory=self.cuda)

    def set_tf32(self, allowed: bool) -> None:
        """Set whether products of float32 may round their operands to TF32."""
        self.torch.backends.cuda.matmul.allow_tf32 = allowed
        self.torch.backends.cudnn.allow_tf32 = allowed

    def peak_bytes(self) -> int | None:
        """Return the peak bytes held by PyTorch's allocator since `reset_peak`; None on a CPU."""
        return int(self.torch.cuda.max_memory_reserved()) if self.cuda else None

    def reset_peak(self) -> None:
        """Release unused memory and restart the peak count."""
        if self.cuda:
            self.torch.cuda.empty_cache()
            self.torch.cuda.reset_peak_memory_stats()

    def seconds(self, call: Callable[[], object], calls: int = 10, rounds: int = 5) -> float:
        """Return the duration of one of `calls` calls enqueued in a row, the median over rounds."""
        for _ in range(3):
            call()
        times = []
        for _ in range(rounds):
            times.append(self._elapsed(call, calls) / calls)
        return statistics.median(times)

    def _elapsed(self, call: Callable[[], object], calls: int) -> float:
        self.synchronise()
        if not self.cuda:
            start = time.perf_counter()
            for _ in range(calls):
                call()
            return time.perf_counter() - start
        first, last = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        for _ in range(calls):
            call()
        last.record()
        self.synchronise()
        return float(first.elapsed_time(last)) / 1000


class HostCopies:
    """Copies of tensors into host memory that overlap with computation.

    Uses two pinned buffers and a separate stream; `put` only waits for the copy before the last.
    """

    def __init__(self, device: TorchDevice, like: Any) -> None:
        self.device = device
        self.buffers = [device.host_buffer(like) for _ in range(2)]
        self.turn = 0
        if device.cuda:
            cuda = device.torch.cuda
            self.stream = cuda.Stream()
            self.events = [cuda.Event() for _ in self.buffers]

    def put(self, tensor: Any) -> None:
        """Start to copy a tensor, which the caller must not write to again."""
        self.turn = 1 - self.turn
        buffer = self.buffers[self.turn]
        if not self.device.cuda:
            buffer.copy_(tensor)
            return
        cuda, event = self.device.torch.cuda, self.events[self.turn]
        event.synchronize()
        self.stream.wait_stream(cuda.current_stream())
        with cuda.stream(self.stream):
            buffer.copy_(tensor, non_blocking=True)
            event.record(self.stream)
        # Otherwise its memory could be reused for the next tensor before the copy is done.
        tensor.record_stream(self.stream)


def number_as_nvidia_smi() -> None:
    """Make CUDA number the GPUs of this process and its children as nvidia-smi does.

    Call it before using CUDA.
    """
    os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"


def show_only(index: int) -> None:
    """Make processes started from now on see this GPU alone, as cuda:0.

    TensorRT builds for the current device, which is the first one of a new process.
    """
    os.environ["CUDA_VISIBLE_DEVICES"] = _identity(index)


def _identity(index: int) -> str:
    """Return nvidia-smi's identifier of a GPU; it numbers all GPUs, CUDA only the visible ones."""
    names = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    visible = [name.strip() for name in names if name.strip()]
    return visible[index] if index < len(visible) else str(index)


def query(index: int, fields: tuple[str, ...] = FIELDS) -> dict[str, str]:
    """Return fields of nvidia-smi for a GPU; empty if the program is missing or fails."""
    command = [
        "nvidia-smi",
        f"--id={_identity(index)}",
        f"--query-gpu={','.join(fields)}",
        "--format=csv,noheader,nounits",
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return {}
    values = [value.strip() for value in done.stdout.strip().split(",")]
    return dict(zip(fields, values, strict=True)) if len(values) == len(fields) else {}


def used_mib(index: int) -> int | None:
    """Return the MiB of a GPU's memory used by all processes; None if unknown."""
    text = query(index, ("memory.used",)).get("memory.used", "")
    return int(text) if text.isdigit() else None


def slug(name: str) -> str:
    """Turn a GPU's name into part of a file name, which is never empty.

    "NVIDIA H100 80GB HBM3" → "nvidia-h100-80gb-hbm3".
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "gpu"


def index_of(device: str) -> int:
    """Return N for "cuda:N", 0 for "cuda". Raises ValueError for any other name."""
    match = re.fullmatch(r"cuda(?::(\d+))?", device)
    if not match:
        raise ValueError(f"expected cuda or cuda:N, got {device!r}")
    return int(match[1] or 0)
