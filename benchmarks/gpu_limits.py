"""What a GPU can do at most, measured, and which of its limits a case runs into.

Four floors are put under the time of a batch, as in the roofline model (Williams, Waterman &
Patterson, 2009, doi:10.1145/1498765.1498785), which has two:

- launches: what the host needs to launch its kernels and graphs, or, if that is more, what the
  device needs to begin as many kernels, divided by the instances that work side by side;
- copy: bytes of the images / rate of a copy into pinned host memory;
- arithmetic: operations of the products / rate of a large matrix product of the same precision;
- bandwidth: bytes that the products must move through memory (none that fit into the cache) / rate
  of a copy within the device.

The share of a floor is floor / measured time, and the case is limited by the floor of the largest
share. The share says how much of the time that explains: 0.9 is a case at its limit, 0.1 one that
none of the four explains. Copies count for results in host memory only.
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
"""Bytes of a copy: more than the caches hold."""
KERNELS = 100
"""Number of empty kernels in the graph."""

LIMITS = ("launches", "copy", "arithmetic", "bandwidth")


@dataclass(frozen=True)
class Timed:
    """A measured case: seconds of a batch, and what was launched for it.

    launches and graphs: calls of the host, of kernels and of graphs; kernels: what the device runs;
    None where that is not known. instances: batches that are worked on at a time. copied: whether
    images went to the host.
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
    """Seconds that each limit alone would take; without those that are not known."""
    found: dict[str, float] = {}
    launches = _launches(timed, ceilings)
    if launches is not None:
        found["launches"] = launches
    if timed.copied and ceilings.get("copy_down"):
        found["copy"] = work.bytes_down * timed.batch / ceilings["copy_down"]
    product = ceilings.get("products", {}).get(timed.precision)
    if product:
        found["arithmetic"] = work.flops * timed.batch / product
    if ceilings.get("copy_device"):
        moved = work.bytes_moved(timed.batch, timed.precision, ceilings.get("cache_bytes") or 0)
        found["bandwidth"] = moved / ceilings["copy_device"]
    return found


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
    """The floor with the largest share, and the numbers that say so.

    `limited_by` is one of `LIMITS`, the first of them where two are equal, or None where no floor
    is known; `share` its share; `shares` and `floors_us` those of all that are known.
    """
    found = floors(timed, work, ceilings)
    shares = {name: found[name] / timed.seconds for name in LIMITS if name in found}
    largest = max(shares, key=lambda name: shares[name]) if shares else None
    return {
        "limited_by": largest,
        "share": shares[largest] if largest else None,
        "shares": shares,
        "floors_us": {name: found[name] * 1e6 for name in shares},
    }


def measure(device_name: str, side: int = SIDE, copied: int = COPIED) -> dict[str, Any]:
    """The ceilings of a device, through PyTorch.

    Returns: `products`, operations a second of a product of square matrices for each precision;
    `copy_device` and `copy_down`, bytes a second within the device (read and written ones both
    counted) and into pinned host memory; `launch`, `graph_launch` and `graph_kernel`, seconds for a
    small kernel, for a graph of one, and for each further one; `cache_bytes`, of the L2 cache;
    `missing`, the reason for each that could not be measured; versions.

    Raises RuntimeError where PyTorch cannot use the device.
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
        except Exception as error:  # a type or a call that this GPU or this PyTorch has not
            missing[name] = " ".join(str(error).split())[:200] or type(error).__name__
            return None
        finally:
            device.forget_peak()

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
    """Operations a second of a product [side, side] · [side, side]."""
    torch = device.torch
    if precision == "tf32" and not device.cuda:
        raise RuntimeError("TF32 is of GPUs")
    device.tf32(precision == "tf32")
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
        device.tf32(False)


def _copies(device: TorchDevice, size: int) -> tuple[float, float]:
    """Bytes a second within the device, read and written, and from it to the host."""
    torch = device.torch
    source = torch.zeros(size, dtype=torch.uint8, device=device.device)
    target, host = torch.empty_like(source), device.host_buffer(source)
    within = device.seconds(lambda: target.copy_(source))
    down = device.seconds(lambda: host.copy_(source, non_blocking=True))
    return 2 * size / within, size / down


def _graph(device: TorchDevice, kernels: int) -> float:
    """Seconds of a CUDA graph of so many kernels that do next to nothing."""
    if not device.cuda:
        raise RuntimeError("CUDA graphs are of GPUs")
    torch = device.torch
    tiny = torch.zeros(1, device=device.device)
    tiny.add_(1)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(kernels):
            tiny.add_(1)
    return device.seconds(graph.replay, calls=100)
