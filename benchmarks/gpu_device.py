"""A PyTorch device with its clock and its memory, and what the driver says of the GPU.

What only CUDA has (events, pinned memory, streams) is kept here, so that all that stands on it runs
on a CPU as well.
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
    """The device of that name in PyTorch, made the current one.

    Raises RuntimeError where this PyTorch cannot use it.
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
        """Wait for all that was put into the device's streams."""
        if self.cuda:
            self.torch.cuda.synchronize()

    def host_buffer(self, like: Any) -> Any:
        """Memory of the host for such a tensor: pinned where there is CUDA."""
        return self.torch.empty(like.shape, dtype=like.dtype, pin_memory=self.cuda)

    def tf32(self, allowed: bool) -> None:
        """Whether products of float32 may round their operands to TF32."""
        self.torch.backends.cuda.matmul.allow_tf32 = allowed
        self.torch.backends.cudnn.allow_tf32 = allowed

    def peak_bytes(self) -> int | None:
        """Most bytes that PyTorch's allocator held since `forget_peak`; None on a CPU."""
        return int(self.torch.cuda.max_memory_reserved()) if self.cuda else None

    def forget_peak(self) -> None:
        """Give unused memory back, and count from here."""
        if self.cuda:
            self.torch.cuda.empty_cache()
            self.torch.cuda.reset_peak_memory_stats()

    def seconds(self, call: Callable[[], object], calls: int = 10, rounds: int = 5) -> float:
        """Duration of one of several calls enqueued in a row; the median over rounds."""
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
    """Copies tensors into the host's memory while the device makes the next ones.

    Two pinned buffers and a stream of their own: `put` waits for the copy before the last only.
    """

    def __init__(self, device: TorchDevice, like: Any) -> None:
        self.device = device
        self.buffers = [device.host_buffer(like) for _ in range(2)]
        self.turn = 0
        if device.cuda:
            cuda = device.torch.cuda
            self.stream = cuda.Stream()
            self.events = [cuda.Event() for _ in self.buffers]

    def put(self, made: Any) -> None:
        """Begin to copy a tensor, which the caller does not write to again."""
        self.turn = 1 - self.turn
        buffer = self.buffers[self.turn]
        if not self.device.cuda:
            buffer.copy_(made)
            return
        cuda, event = self.device.torch.cuda, self.events[self.turn]
        event.synchronize()
        self.stream.wait_stream(cuda.current_stream())
        with cuda.stream(self.stream):
            buffer.copy_(made, non_blocking=True)
            event.record(self.stream)
        # Else its memory could be given to the next tensor before it is copied.
        made.record_stream(self.stream)


def number_as_nvidia_smi() -> None:
    """Let CUDA number the GPUs of this process and of those that it starts as nvidia-smi does.

    To be called before CUDA is used here.
    """
    os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"


def leave_only(index: int) -> None:
    """Let the processes that are started from now on see that GPU alone, as cuda:0.

    TensorRT builds for the current device, which is the first one of a new process.
    """
    os.environ["CUDA_VISIBLE_DEVICES"] = _identity(index)


def _identity(index: int) -> str:
    """What nvidia-smi calls a GPU: CUDA counts those that it may see, nvidia-smi all of them."""
    names = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    visible = [name.strip() for name in names if name.strip()]
    return visible[index] if index < len(visible) else str(index)


def query(index: int, fields: tuple[str, ...] = FIELDS) -> dict[str, str]:
    """What nvidia-smi says of a GPU; empty where there is no such program."""
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
    """MiB of a GPU's memory in use by all processes; None where nobody tells."""
    text = query(index, ("memory.used",)).get("memory.used", "")
    return int(text) if text.isdigit() else None


def slug(name: str) -> str:
    """A GPU's name as a part of a file's name: "NVIDIA H100 80GB HBM3" → "nvidia-h100-80gb-hbm3".

    Never empty.
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "gpu"


def index_of(device: str) -> int:
    """N of "cuda:N", 0 of "cuda". Raises ValueError for any other name."""
    found = re.fullmatch(r"cuda(?::(\d+))?", device)
    if not found:
        raise ValueError(f"expected cuda or cuda:N, got {device!r}")
    return int(found[1] or 0)
