"""Measured limits of a GPU, and the limit that bounds a case.

Four floors bound the time of a batch from below, as the two of the roofline model (Williams,
Waterman & Patterson, 2009, doi:10.1145/1498765.1498785):

- launches: the time in which the host launches the kernels and graphs or, if longer, the device
  starts as many kernels, divided by the number of parallel instances;
- copy: bytes of the images / rate of a copy into pinned host memory;
- arithmetic: operations of the products / rate of a large matrix product in the same precision;
- bandwidth: bytes that the products must move through memory (except tensors that fit in the cache)
  / rate of a copy within the device.

The share of a floor is floor / measured time; the floor with the largest share limits the case. A
share of 0.9 is a case at its limit, 0.1 one that none of the four explains. Copies only count for
results in host memory.
"""

# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.gpu_device import TorchDevice
from benchmarks.gpu_work import Work

SIDE = 8192
"""Side of the matrices; their product takes 1.1 TFLOP."""
COPIED = 1 << 28
"""Bytes of a copy, more than fit in the caches."""
KERNELS = 100
"""Number of empty kernels in the graph."""

LIMITS = ("launches", "copy", "arithmetic", "bandwidth")


@dataclass(frozen=True)
class Timed:
    """A measured case: the seconds and launches of a batch.

    launches and graphs: kernel and graph launches by the host; kernels: kernels that the device
    runs; None if unknown. instances: batches in flight at a time. copied: True if the images were
    copied to the host.
    """

    seconds: float
    batch: int
    precision: str
    launches: int | None = None
    graphs: int | None = None
    kernels: int | None = None
    instances: int = 1
    copied: bool = True


def floors(timed: Timed, work: Work, ceilings: dict[str, Any]) -> dict[str, float]:
    """Return the seconds that each known limit alone would take."""
    seconds: dict[str, float] = {}
    launches = _launches(timed, ceilings)
    if launches is not None:
        seconds["launches"] = launches
    if timed.copied and ceilings.get("copy_down"):
        seconds["copy"] = work.bytes_down * timed.batch / ceilings["copy_down"]
    product = ceilings.get("products", {}).get(timed.precision)
    if product:
        seconds["arithmetic"] = work.flops * timed.batch / product
    if ceilings.get("copy_device"):
        moved = work.bytes_moved(timed.batch, timed.precision, ceilings.get("cache_bytes") or 0)
        seconds["bandwidth"] = moved / ceilings["copy_device"]
    return seconds


def _launches(timed: Timed, ceilings: dict[str, Any]) -> float | None:
    costs = [ceilings.get(key) for key in ("launch", "graph_launch", "graph_kernel")]
    counts = [timed.launches, timed.graphs, timed.kernels]
    seconds = [
        None if cost is None or count is None else cost * count
        for cost, count in zip(costs, counts, strict=True)
    ]
    if all(value is None for value in seconds):
        return None
    launch, graph, kernel = (value or 0.0 for value in seconds)
    return max(launch + graph, kernel / timed.instances)


def verdict(timed: Timed, work: Work, ceilings: dict[str, Any]) -> dict[str, Any]:
    """Return the floor with the largest share, and all numbers.

    `limited_by` is one of `LIMITS` (the first if two are equal), or None if no floor is known;
    `share` is its share; `shares` and `floors_us` hold all known ones.
    """
    seconds = floors(timed, work, ceilings)
    shares = {name: seconds[name] / timed.seconds for name in LIMITS if name in seconds}
    largest = max(shares, key=lambda name: shares[name]) if shares else None
    return {
        "limited_by": largest,
        "share": shares[largest] if largest else None,
        "shares": shares,
        "floors_us": {name: seconds[name] * 1e6 for name in shares},
    }


def measure(device_name: str, side: int = SIDE, copied: int = COPIED) -> dict[str, Any]:
    """Measure the ceilings of a device with PyTorch.

    Returns `products`, operations per second of a product of square matrices by precision;
    `copy_device` and `copy_down`, bytes per second within the device (reads plus writes) and into
    pinned host memory; `launch`, `graph_launch` and `graph_kernel`, seconds for a small kernel, for
    a graph of one kernel, and for each further kernel; `cache_bytes`, the size of the L2 cache;
    `missing`, the reason for each ceiling that could not be measured; and versions.

    Raises RuntimeError if PyTorch cannot use the device.
    """
    device = TorchDevice(device_name)
    torch = device.torch
    missing: dict[str, str] = {}
    result: dict[str, Any] = {
        "device": device_name,
        "side": side,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if device.cuda else None,
        "products": {},
        "missing": missing,
    }
    if device.cuda:
        properties = torch.cuda.get_device_properties(device.device)
        result["cache_bytes"] = getattr(properties, "L2_cache_size", None)

    def attempt(name: str, value: Callable[[], float]) -> float | None:
        try:
            return value()
        except Exception as error:  # a dtype or call that this GPU or PyTorch does not support
            missing[name] = " ".join(str(error).split())[:200] or type(error).__name__
            return None
        finally:
            device.reset_peak()

    for precision in ("fp32", "tf32", "fp16", "bf16", "int8", "fp8"):
        value = attempt(precision, partial(_product, device, precision, side))
        if value is not None:
            result["products"][precision] = value
    result["copy_device"], result["copy_down"] = _copies(device, copied)
    tiny = torch.zeros(1, device=device.device)
    result["launch"] = device.seconds(lambda: tiny.add_(1), calls=1000)
    result["graph_launch"] = attempt("graph_launch", lambda: _graph(device, 1))
    result["graph_kernel"] = attempt(
        "graph_kernel", lambda: (_graph(device, KERNELS) - _graph(device, 1)) / (KERNELS - 1)
    )
    return result


def _product(device: TorchDevice, precision: str, side: int) -> float:
    """Return the operations per second of a product [side, side] · [side, side]."""
    torch = device.torch
    if precision == "tf32" and not device.cuda:
        raise RuntimeError("TF32 needs a GPU")
    device.set_tf32(precision == "tf32")
    a, b = torch.randn((2, side, side), device=device.device)
    if precision == "int8":
        left, right = a.to(torch.int8), b.to(torch.int8)
        call = partial(torch._int_mm, left, right.t())
    elif precision == "fp8":
        left, right = (value.to(torch.float8_e4m3fn) for value in (a, b))
        one = torch.ones((), device=device.device)
        scaled = {"scale_a": one, "scale_b": one, "out_dtype": torch.bfloat16}
        call = partial(torch._scaled_mm, left, right.t(), **scaled)
    else:
        kinds = {"fp16": torch.float16, "bf16": torch.bfloat16}
        left, right = (value.to(kinds.get(precision, torch.float32)) for value in (a, b))
        call = partial(torch.matmul, left, right)
    try:
        return 2 * side**3 / device.seconds(call)
    finally:
        device.set_tf32(False)


def _copies(device: TorchDevice, size: int) -> tuple[float, float]:
    """Return the bytes per second within the device (reads plus writes) and to the host."""
    torch = device.torch
    source = torch.zeros(size, dtype=torch.uint8, device=device.device)
    target, host = torch.empty_like(source), device.host_buffer(source)
    within = device.seconds(lambda: target.copy_(source))
    down = device.seconds(lambda: host.copy_(source, non_blocking=True))
    return 2 * size / within, size / down


def _graph(device: TorchDevice, kernels: int) -> float:
    """Return the seconds of a CUDA graph of this many minimal kernels."""
    if not device.cuda:
        raise RuntimeError("CUDA graphs need a GPU")
    torch = device.torch
    tiny = torch.zeros(1, device=device.device)
    tiny.add_(1)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(kernels):
            tiny.add_(1)
    return device.seconds(graph.replay, calls=100)
