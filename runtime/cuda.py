"""The operators on a CUDA device, for arrays of any package.

Arrays are objects with `__cuda_array_interface__` (PyTorch, CuPy, Numba, PyCUDA): contiguous, all
in the memory of one device. Results are written into an array of the caller's, float32, float16 or
bfloat16; the interface has no name for bfloat16, so pass its bits as 16-bit integers
(`tensor.view(torch.int16)`). The numbers are those of `runtime.ops` and `runtime.noise`, bit for
bit, rounded to nearest even.

Work is queued on `queue`, a cudaStream_t as an integer (0: the default stream); the functions do
not wait for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runtime._arguments import UINT64_MAX, as_integer
from runtime._library import native
from runtime.device_array import View, read_interface
from runtime.errors import ArgumentError
from runtime.ops import is_spherical

_REALS = {"<f4": 0, "<f2": 1, "<i2": 2, "<u2": 2, "<V2": 2}
_FLOAT = ("<f4",)
_KEY = ("<u8", "<i8")


@dataclass(frozen=True)
class Device:
    """A CUDA device: its name, compute capability, multiprocessors, and memory in bytes."""

    name: str
    capability: tuple[int, int]
    multiprocessors: int
    memory: int


def devices() -> list[Device]:
    """Return the CUDA devices of this machine, at least one.

    Raises BackendUnavailableError if this build has no CUDA kernels, and DeviceUnavailableError if
    there is no driver or no device.
    """
    return [
        Device(name, (major, minor), multiprocessors, memory)
        for name, major, minor, multiprocessors, memory in native.cuda_devices()
    ]


def _array(name: str, value: Any, kinds: tuple[str, ...], shape: tuple[int | None, ...]) -> View:
    view = read_interface(name, value)
    if view is None:
        raise ArgumentError(
            f"{name}: expected an array with __cuda_array_interface__, got {type(value).__name__}"
        )
    return view.check(name, kinds, shape)


def _check_one_device(**operands: View | None) -> None:
    """Raise ArgumentError unless all arrays are in the memory of the first one's device."""
    owner = place = None
    for name, view in operands.items():
        if view is None:
            continue
        index = native.cuda_device_of(view.address)
        if index < 0:
            raise ArgumentError(f"{name}: expected memory of a GPU, got memory of the host")
        if owner is None:
            owner, place = name, index
        elif index != place:
            raise ArgumentError(
                f"{name}: expected memory of cuda:{place} as {owner}, got memory of cuda:{index}"
            )


def _as_queue(value: Any) -> int:
    return as_integer("queue", value, 0, UINT64_MAX)


def reparametrized_sample(
    out: Any,
    key: Any,
    mu: Any | None = None,
    logvar: Any | None = None,
    stream: int = 0,
    queue: int = 0,
) -> None:
    """out = mu + exp(logvar / 2) · ε, row r with the noise of sample key[1] + r.

    out: [N, D]; key: 64-bit integers [2], the seed and the index of row 0's sample, or [2, N], the
    seeds and the indices of all rows, read from device memory when the kernel runs; mu, logvar:
    float32 [N, D], None for 0. `stream` numbers the model's noise inputs. Raises ArgumentError,
    ExecutionError, and the errors of `devices`.
    """
    target = _array("out", out, tuple(_REALS), (None, None)).check_writable("out")
    means, logvars = (
        None if value is None else _array(name, value, _FLOAT, target.shape)
        for name, value in (("mu", mu), ("logvar", logvar))
    )
    view = read_interface("key", key)
    per_row = view is not None and len(view.shape) == 2
    seed = _array("key", key, _KEY, (2, target.shape[0]) if per_row else (2,))
    stream, queue = as_integer("stream", stream, 0, 2**32 - 1), _as_queue(queue)
    _check_one_device(out=target, key=seed, mu=means, logvar=logvars)
    rows, width = target.shape
    native.cuda_sample(
        means.address if means else 0,
        logvars.address if logvars else 0,
        seed.address,
        seed.address + 8 * (rows if per_row else 1),
        per_row,
        stream,
        rows,
        width,
        _REALS[target.kind],
        target.address,
        queue,
    )


def advance(key: Any, samples: int, queue: int = 0) -> None:
    """Add to key[1] on the device, so that a replayed graph continues with the next samples."""
    pair = _array("key", key, _KEY, (2,)).check_writable("key")
    samples, queue = as_integer("samples", samples, 0, UINT64_MAX), _as_queue(queue)
    _check_one_device(key=pair)
    native.cuda_advance(pair.address + 8, samples, queue)


def batched_interpolate(
    out: Any, a: Any, b: Any, t: Any, mode: str = "linear", queue: int = 0
) -> None:
    """out = a + (b - a) · t, or the point at t on the great arc from a to b.

    a, b: float32 [N, D]; t: float32 [S]; out: [N, S, D]. As `runtime.ops.batched_interpolate`;
    spherical results may differ from it in the last bits. Raises as `reparametrized_sample`.
    """
    first = _array("a", a, _FLOAT, (None, None))
    second = _array("b", b, _FLOAT, first.shape)
    steps = _array("t", t, _FLOAT, (None,))
    rows, width = first.shape
    target = _array("out", out, tuple(_REALS), (rows, steps.shape[0], width)).check_writable("out")
    on_the_arc, queue = is_spherical(mode), _as_queue(queue)
    _check_one_device(out=target, a=first, b=second, t=steps)
    native.cuda_interpolate(
        first.address,
        second.address,
        steps.address,
        on_the_arc,
        rows,
        steps.shape[0],
        width,
        _REALS[target.kind],
        target.address,
        queue,
    )


def image_levels(out: Any, images: Any, queue: int = 0) -> None:
    """out = floor(images · 255 + 1/2), clamped to 0 … 255: for engines with float output.

    images: float32 [N, C, H, W]; out: uint8 [N, H, W, C]. Raises as `reparametrized_sample`.
    """
    source = _array("images", images, _FLOAT, (None,) * 4)
    rows, channels, height, width = source.shape
    target = _array("out", out, ("|u1",), (rows, height, width, channels)).check_writable("out")
    queue = _as_queue(queue)
    _check_one_device(out=target, images=source)
    native.cuda_levels(source.address, rows, channels, height * width, target.address, queue)
