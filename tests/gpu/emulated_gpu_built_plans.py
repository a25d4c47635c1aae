"""Plans that commands build when they first need them, on emulated CUDA devices.

`python -m export` builds them in a process of its own, with the real TensorRT for RTX.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from emulated_plans import same_images
from fake_tensorrt import FakeTensorRT
from host_cuda import HostCuda
from runtime.errors import (
    ArgumentError,
    BackendUnavailableError,
    DeviceUnavailableError,
    EngineNotFoundError,
)
from zoo import engines, plans
from zoo.engines import WEIGHTS
from zoo.inference.pairs import Pair

pytest_plugins = ["emulation"]

NAME = "linear-ae.plan"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tensorrt: FakeTensorRT) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache" / "generator-zoo" / plans.FOLDER


def test_a_plan_is_built_once_and_used(
    place: Path, capfd: pytest.CaptureFixture[str], device: HostCuda
) -> None:
    # A module in the working folder is not mistaken for the export.
    Path("export.py").write_text("raise SystemExit('not this one')")
    latents = np.random.default_rng(0).normal(size=(5, 32)).astype(np.float32)
    with engines.open_generator("linear-ae") as engine:
        latents = latents[:, : engine.latent_width]
        expected = engine.decode(latents)
    with engines.open_generator(NAME, device="cuda:1") as generator:
        same_images(expected, generator.decode(latents))
        assert generator.backend == "tensorrt-rtx"
        path = Path(generator.path)
        printed = capfd.readouterr()
        first, *_ = printed.err.splitlines()
        assert first.startswith(f"building {NAME} for ") and str(path.parent) in first
        assert printed.out == ""
        # Its encoder is found by the links beside it, and built too.
        with engines.open_encoder(generator) as encoder:
            assert Path(encoder.path).name == "linear-ae.encoder.plan"
    assert plans.is_built(path) and path.is_relative_to(place)
    assert "building linear-ae.encoder.plan" in capfd.readouterr().err
    changed = path.stat().st_mtime_ns
    assert engines.resolve(NAME) == path and path.stat().st_mtime_ns == changed
    with Pair("linear-ae.encoder.plan") as pair:
        assert pair.generator is not None and pair.generator.path == str(path)
    assert capfd.readouterr().err == ""
    # A damaged plan is built again.
    path.write_bytes(b"")
    assert engines.resolve(NAME) == path and path.stat().st_size > 0
    assert not list(place.rglob(".zoo-*"))


def test_the_key_of_the_cache(
    place: Path, monkeypatch: pytest.MonkeyPatch, tensorrt: FakeTensorRT
) -> None:
    """It consists of the engine's bytes, the GPU, the TensorRT and the precision."""
    builds = []

    def build(source: Path, plan: Path, target: str, precision: str, index: int, _: str) -> None:
        builds.append((plan, target, precision, index))

    monkeypatch.setattr(plans, "_build", build)
    source = WEIGHTS / "linear-ae.onnx"
    other = Path("linear-ae.onnx")
    other.write_bytes((WEIGHTS / "linear-ae.encoder.onnx").read_bytes())
    plans.ensure_built(source)
    plans.ensure_built(source, device="cuda:1")
    assert builds[0][0] == builds[1][0] and [index for *_, index in builds] == [0, 1]
    plans.ensure_built(source, "fp16")
    plans.ensure_built(other)
    tensorrt.__version__ = "1.8.0"
    plans.ensure_built(source)
    monkeypatch.setenv("HOST_CUDA_CAPABILITY", "89")
    plans.ensure_built(source)
    assert len({plan for plan, *_ in builds}) == 5
    assert {target for _, target, *_ in builds} == {"tensorrt-rtx"}


def test_builds_that_fail(place: Path, device: HostCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackendUnavailableError, match=r"precision: expected .*use linear-ae\.onnx"):
        engines.resolve(NAME, "fp7")
    with pytest.raises(EngineNotFoundError, match=r"'cuda:2': the last one here is cuda:1"):
        engines.resolve(NAME, device="cuda:2")
    with pytest.raises(DeviceUnavailableError, match=r"use the \.onnx engine, linear-ae\.onnx"):
        engines.resolve(NAME, device="cpu")
    with pytest.raises(ArgumentError, match="device: expected"):
        engines.resolve(NAME, device="toaster")
    assert not list(place.rglob("*.plan")) and not list(place.rglob(".zoo-*"))
    device.fail("device_count", 1, "cudaErrorInsufficientDriver: the driver is too old")
    monkeypatch.setattr(plans, "_find_builder", no_builder)
    with pytest.raises(
        EngineNotFoundError, match=r"not here: .+; none\. Elsewhere: python -m export .*bf16$"
    ):
        engines.resolve(NAME, "bf16")


def no_builder() -> tuple[str, str]:
    raise BackendUnavailableError("none")


def test_names_that_are_files(place: Path) -> None:
    """An existing plan is used, whatever its content."""
    Path(NAME).write_bytes(b"mine")
    assert engines.resolve(NAME) == Path(NAME)
    assert os.listdir(".").count("cache") == 0
