"""Images and latents in a GPU's memory, on emulated CUDA devices."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import runtime
from emulated_plans import DEVICE_BYTES, Plan
from fake_tensorrt import FakeTensorRT
from host_cuda import HostCuda
from runtime.errors import ArgumentError, DeviceUnavailableError, OutOfMemoryError
from shared_arrays import CPU, CUDA, NAMES, Capsule, Interface, check_places, device_of, marked
from zoo.engines import WEIGHTS

pytest_plugins = ["emulation"]


@pytest.fixture
def vae(plan: Plan) -> Iterator[runtime.Generator]:
    with runtime.Generator(plan("vae.onnx")) as generator:
        yield generator


def latents(n: int, generator: runtime.Generator) -> NDArray[np.float32]:
    return runtime.noise.normals(5, 2, n, generator.latent_width)


@pytest.mark.parametrize("n", [1, 5, 37])
def test_images_stay_on_the_device(
    n: int, vae: runtime.Generator, device: HostCuda, put: Callable[..., Interface]
) -> None:
    z = latents(n, vae)
    calls: dict[str, Callable[..., Any]] = {
        "prior": lambda out: vae.sample(n, seed=3, first=9, out=out),
        "posterior": lambda out: vae.sample(n, 3, 9, mu=z, logvar=z, out=out),
        "latents": lambda out: vae.decode(z, out=out),
        "interpolations": lambda out: vae.interpolate(z, z[::-1].copy(), 3, out=out),
        "one interpolation": lambda out: vae.interpolate(z[0], -z[0], 4, out=out),
    }
    for name, call in calls.items():
        check_places(call, device, put, name)


def test_a_view_is_filled_and_nothing_beside_it(
    vae: runtime.Generator, device: HostCuda, put: Callable[..., Interface]
) -> None:
    """The last run is padded to 16 rows; the padding is not written."""
    expected = vae.sample(21, seed=1)
    whole = put(np.full((30, *vae.image_shape), 7, np.uint8))
    row = int(np.prod(vae.image_shape))
    part = Interface.__new__(Interface)
    part.entries = whole.entries | {
        "shape": expected.shape,
        "data": (whole.address + 4 * row, False),
    }
    vae.sample(21, seed=1, out=part)
    np.testing.assert_array_equal(whole.host[4:25], expected)
    assert (whole.host[:4] == 7).all() and (whole.host[25:] == 7).all()


@pytest.mark.parametrize("name", NAMES)
def test_dlpack_shares_the_memory(name: str, vae: runtime.Generator, device: HostCuda) -> None:
    expected = vae.sample(5, seed=2)
    before = device.counter("device_bytes")
    images = vae.sample(5, seed=2, out="device")
    assert images.__dlpack_device__() == (CUDA, 0)
    version = None if name == "dltensor" else (1, 0)
    capsule = marked(images.__dlpack__(stream=7, max_version=version), name, CPU)
    tensor = torch.from_dlpack(capsule)
    assert tensor.data_ptr() == images.address and tensor.dtype == torch.uint8
    np.testing.assert_array_equal(tensor.numpy(), expected)
    del images, capsule
    gc.collect()
    np.testing.assert_array_equal(tensor.numpy(), expected)
    assert device.counter("device_bytes") > before, "the tensor owns the memory"
    del tensor
    gc.collect()
    assert device.counter("device_bytes") == before
    # A capsule that is not consumed.
    vae.sample(5, out="device").__dlpack__(max_version=version)
    gc.collect()
    assert device.counter("device_bytes") == before
    images = vae.sample(1, out="device")
    for refused in ({"copy": True}, {"dl_device": (CUDA, 1)}, {"dl_device": (CPU, 0)}):
        with pytest.raises(BufferError):
            images.__dlpack__(**refused)
    images.__dlpack__(copy=False, dl_device=(CUDA, 0))


def test_floats_by_dlpack(device: HostCuda, tensorrt: FakeTensorRT) -> None:
    values = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    array = runtime.to_device(values)
    tensor = torch.from_dlpack(marked(array.__dlpack__(), "dltensor", CPU))
    assert tensor.dtype == torch.float32
    np.testing.assert_array_equal(tensor.numpy(), values)
    np.testing.assert_array_equal(array.numpy(), values)
    interface = array.__cuda_array_interface__
    assert interface["shape"] == (3, 4) and interface["typestr"] == "<f4"
    read = device.array(interface["data"][0], interface["shape"], interface["typestr"])
    np.testing.assert_array_equal(read, values)
    large = (np.arange(2**24 + 5) % 251).astype(np.uint8)  # copied in several parts
    np.testing.assert_array_equal(runtime.to_device(large).numpy(), large)
    with pytest.raises(ArgumentError, match="expected float32 or uint8, got float64"):
        runtime.to_device(values.astype(float))


@pytest.mark.parametrize("n", [1, 5, 37])
def test_latents_from_the_device(
    n: int, vae: runtime.Generator, device: HostCuda, put: Callable[..., Interface]
) -> None:
    """Latents by each protocol have the results of the host; only the key is copied up."""
    z, spread = latents(n, vae), -np.abs(latents(n, vae))
    expected = vae.decode(z)
    around = vae.sample(n, seed=4, first=2, mu=z, logvar=spread)
    mu, logvar = put(z), put(spread)
    if n == 1:
        mu.entries["strides"] = (4000, 4)  # irrelevant for an axis of length one
    as_tensor = Capsule(torch.from_numpy(mu.host))
    versioned = Capsule(torch.from_numpy(mu.host), "dltensor_versioned")
    ours = runtime.to_device(z)
    vae.sample(n, mu=mu, logvar=logvar)
    device.reset()
    for source in (mu, as_tensor, versioned, ours):
        np.testing.assert_array_equal(vae.decode(source), expected)
        images = vae.sample(n, seed=4, first=2, mu=source, logvar=logvar)
        np.testing.assert_array_equal(images, around)
        np.testing.assert_array_equal(vae.decode(source, out="device").numpy(), expected)
    assert as_tensor.streams == versioned.streams == [1, 1, 1]
    # A size also runs once before each capture.
    runs = device.counter("launches") + device.counter("captures")
    assert device.counter("bytes_up") <= 256 * runs


def test_styles_from_the_device(
    plan: Plan, device: HostCuda, put: Callable[..., Interface]
) -> None:
    with runtime.Generator(plan("stylegan.synthesis.onnx")) as synthesis:
        styles = latents(6, synthesis)
        on_device = put(styles)
        got = check_places(lambda out: synthesis.decode(on_device, 3, 8, out=out), device, put)
        np.testing.assert_array_equal(got, synthesis.decode(styles, seed=3, first=8))


def test_arrays_of_another_device_than_the_current_one(plan: Plan, device: HostCuda) -> None:
    """PyTorch exports only arrays of the current device."""
    with runtime.Generator(plan("vae.onnx"), device="cuda:1") as generator:
        z = latents(3, generator)
        on_device = runtime.to_device(z, 1)

        assert device_of(on_device.__dlpack__()) == (CUDA, 1)

        class Strict:
            def __dlpack_device__(self) -> tuple[int, int]:
                return on_device.__dlpack_device__()

            def __dlpack__(self, **options: Any) -> Any:
                if device.current_device() != 1:
                    raise BufferError(f"Expected: 1. Current device: {device.current_device()}")
                return on_device.__dlpack__(**options)

        np.testing.assert_array_equal(generator.decode(Strict()), generator.decode(z))
        with pytest.raises(ArgumentError, match="expected memory of cuda:1.* got memory of cuda:0"):
            generator.decode(runtime.to_device(z, 0))
    with pytest.raises(DeviceUnavailableError, match="device 2: there are 2, from 0 on"):
        runtime.to_device(z, 2)


def test_queued_work_is_waited_for(
    vae: runtime.Generator, device: HostCuda, put: Callable[..., Interface]
) -> None:
    """The latents are copied on a stream that is not yet synchronized."""
    z = latents(5, vae)
    expected = vae.decode(z)
    for known in (True, False):
        source, target = put(z), put(np.full_like(z, np.nan))
        stream = device.make("make_stream")
        target.entries["stream"] = stream if known else None
        device.call("copy", target.address, source.address, z.nbytes, stream)
        np.testing.assert_array_equal(vae.decode(target), expected)
        device.call("destroy_stream", stream)


def test_unusable_arrays(
    vae: runtime.Generator, device: HostCuda, put: Callable[..., Interface]
) -> None:
    shape = (4, *vae.image_shape)
    host = np.zeros(shape, np.uint8)
    locked = put(host)
    locked.entries["data"] = (locked.address, True)
    constant = Capsule(torch.from_numpy(put(host).host), "dltensor_versioned", read_only=True)
    strided = put(host)
    strided.entries["strides"] = (2, 2, 2, 2)
    masked = put(host)
    masked.entries["mask"] = put(host)
    elsewhere = put(host)
    elsewhere.entries["data"] = (host.ctypes.data, False)
    device.set_device(1)
    other = put(host)
    device.set_device(0)
    for out, message in (
        (put(host[:3]), r"out: expected shape \(4, 28, 28, 1\)"),
        (locked, "out: expected an array that can be written"),
        (constant, "out: expected an array that can be written"),
        (strided, "out: expected a contiguous array"),
        (masked, "expected an array without a mask"),
        (elsewhere, "out: expected memory of a GPU, got memory of the host"),
        (other, "images: expected memory of cuda:0, where '.*' runs, got memory of cuda:1"),
    ):
        with pytest.raises(ArgumentError, match=message):
            vae.sample(4, out=out)
    z = latents(4, vae)
    values = put(z)
    gradients = torch.from_numpy(values.host.copy()).requires_grad_()
    transposed = torch.from_numpy(put(z.T).host).T
    for call, message in (
        (lambda: vae.decode(put(z[:, :3])), r"latents: expected shape \(any, \d+\), got"),
        (lambda: vae.decode(put(z.astype(float))), "latents: expected the type <f4, got <f8"),
        (lambda: vae.decode(Capsule(gradients)), "latents: .*require"),
        (lambda: vae.decode(Capsule(transposed)), "latents: expected a contiguous array"),
        (lambda: vae.interpolate(values, z, 3), "a: expected an array in the host's memory"),
        (lambda: vae.sample(2**60, out="device"), "does not fit in memory"),
        (lambda: vae.sample(3, mu=values, logvar=values), r"mu: expected shape \(3, \d+\)"),
        (lambda: vae.sample(4, mu=values, logvar=z), "expected both in the same memory"),
        (lambda: vae.sample(4, mu=put(z[0]), logvar=values), "expected in the host's memory"),
    ):
        with pytest.raises(ArgumentError, match=message):
            call()
    with runtime.Generator(WEIGHTS / "vae.onnx") as on_cpu:
        assert on_cpu.device == "cpu"
        with pytest.raises(ArgumentError, match="the engine runs on the CPU, expected 'numpy'"):
            on_cpu.sample(4, out="device")
        with pytest.raises(ArgumentError, match="images: expected memory of the host"):
            on_cpu.sample(4, out=put(host))
        with pytest.raises(ArgumentError, match="latents: expected memory of the host"):
            on_cpu.decode(values)
        assert on_cpu.sample(4, out=host) is host and host.any()


def test_too_little_memory_for_the_images(vae: runtime.Generator, device: HostCuda) -> None:
    vae.sample(1)
    with pytest.raises(OutOfMemoryError, match="bytes are free"):
        vae.sample(DEVICE_BYTES // 784 + 1, out="device")
    assert vae.sample(2, out="device").shape[0] == 2


def test_the_current_device_is_restored(plan: Plan, device: HostCuda) -> None:
    for current, other in ((0, 1), (1, 0)):
        device.set_device(current)
        with runtime.Generator(plan("vae.onnx"), device=f"cuda:{other}") as generator:
            assert generator.device == f"cuda:{other}"
            images = generator.sample(1, out="device")
            assert images.device == f"cuda:{other}" and device.current_device() == current
            images.numpy()
            del images
            assert device.current_device() == current
        assert device.current_device() == current
    device.set_device(0)
