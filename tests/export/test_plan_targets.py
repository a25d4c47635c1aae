"""Differences between the two targets, the timing cache, and long manifests."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from export.errors import ExportError
from export.plan import name, pipeline, targets, timing_cache
from export.plan.pipeline import Checking, Options
from export.plan.precision import PRECISIONS
from export.plan.targets import TensorRT
from zoo.engines import resolve

RTX = "tensorrt-rtx"


class Layer:
    name = "node"

    class type:
        name = "ACTIVATION"

    def __init__(self) -> None:
        self.metadata = "[ONNX Layer: node]"


class Network:
    """A network that ignores names that are too long, like TensorRT."""

    def __init__(self, layers: int) -> None:
        self.layers = [Layer() for _ in range(layers)]
        self.num_layers, self._name = layers, ""

    def get_layer(self, index: int) -> Layer:
        return self.layers[index]

    @property
    def name(self) -> str:
        return self._name

    @name.setter
    def name(self, text: str) -> None:
        if len(text) <= name.LONGEST:
            self._name = text


@pytest.mark.parametrize("length", [2, 4082, 4083, 8100, 30_000, 4050 * 9])
def test_manifests_of_all_lengths(length: int) -> None:
    """In one piece if it fits, else in several, each short enough for TensorRT."""
    text = '"' + "x" * (length - 2) + '"'
    pieces = name.split_manifest(text)
    assert all(len(piece) <= name.LONGEST for piece in pieces)
    assert (len(pieces) == 1) == (length <= 4082)
    assert "".join(piece.partition(":")[2] for piece in pieces) == text
    network = Network(len(pieces) - 1)
    name.store_manifest(network, text)
    assert [network.name, *(layer.metadata for layer in network.layers)] == pieces
    if len(pieces) > 1:
        with pytest.raises(ExportError, match=f"needs {len(pieces) - 1} layers"):
            name.store_manifest(Network(len(pieces) - 2), text)


def install_only(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    """Hide all modules of TensorRT but these."""
    every = {name for names in targets.TARGETS.values() for name in names}
    monkeypatch.setattr(
        targets.importlib.util,
        "find_spec",
        lambda module: module if module in modules or module not in every else None,
    )


def test_default_target(monkeypatch: pytest.MonkeyPatch) -> None:
    install_only(monkeypatch)
    with pytest.raises(ExportError, match=r"generator-zoo\[tensorrt-rtx\].*generator-zoo\[gpu\]"):
        targets.choose()
    install_only(monkeypatch, "tensorrt_rtx_bindings")
    assert targets.find_installed() == [RTX] and targets.choose().target == RTX
    with pytest.raises(ExportError, match=r"generator-zoo\[gpu\]"):
        targets.choose("tensorrt")
    install_only(monkeypatch, "tensorrt_rtx", "tensorrt")
    assert targets.find_installed() == ["tensorrt", RTX]
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(ExportError, match="tensorrt cannot be loaded"):
        targets.choose()


@dataclass
class Config:
    """Configuration of a builder that accepts only one timing cache, or an empty one."""

    good: bytes
    loaded: bytes | None = None

    def create_timing_cache(self, content: bytes) -> Any:
        return None if content == b"broken" else content

    def set_timing_cache(self, cache: bytes, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        if cache in (self.good, b""):
            self.loaded = cache
        return cache in (self.good, b"")

    def get_timing_cache(self) -> Any:
        config = self

        class Cache:
            def serialize(self) -> bytes:
                return config.good + b"more"

        return None if config.loaded is None else Cache()


@pytest.mark.parametrize(
    ("content", "loaded", "warnings"),
    [(b"good", b"good", 0), (None, b"", 0), (b"broken", b"", 1), (b"foreign", b"", 1)],
)
def test_timing_cache(content: bytes | None, loaded: bytes, warnings: int, tmp_path: Path) -> None:
    """Loaded if it fits, else replaced with a warning; saved after the build."""
    path = tmp_path / "folder" / "cache"
    if content is not None:
        path.parent.mkdir()
        path.write_bytes(content)
    lines: list[str] = []
    config = Config(b"good")
    timing_cache.load(config, path, lines.append)
    assert config.loaded == loaded and len(lines) == warnings
    assert all(str(path) in line for line in lines)
    timing_cache.save(config, path, lines.append)
    assert path.read_bytes() == b"goodmore" and len(lines) == warnings
    timing_cache.save(config, Path("/proc/no/cache"), lines.append)
    assert len(lines) == warnings + 1


def test_default_path_of_the_timing_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Module:
        __version__ = "11.0"

    tensorrt = TensorRT("tensorrt", Module, None)  # type: ignore[arg-type]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    expected = tmp_path / "generator-zoo" / "tensorrt-11.0.timing"
    assert timing_cache.default_path(tensorrt) == expected
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert timing_cache.default_path(tensorrt).is_relative_to(tmp_path / ".cache")
    assert timing_cache.is_supported(tensorrt, Config(b"")) and not timing_cache.is_supported(
        tensorrt, None
    )
    assert not timing_cache.is_supported(targets.choose(RTX), Config(b""))


def test_options_without_effect(tmp_path: Path) -> None:
    """TensorRT-RTX has no timing cache, and its plans are compatible without a flag."""
    lines: list[str] = []
    options = Options(RTX, "fp32", (1,), tmp_path / "cache", compatible=True)
    pipeline.export(resolve("linear-ae.onnx"), tmp_path / "a.plan", options, progress=lines.append)
    assert any("no timing cache" in line for line in lines)
    assert any("from Ampere on" in line for line in lines)
    assert not (tmp_path / "cache").exists()


def test_precision_flags() -> None:
    """TF32 is the builder's default, which fp32 disables."""
    from export.plan import builder

    tensorrt = targets.choose(RTX)
    trt = tensorrt.module
    trt_builder = trt.Builder(tensorrt.log.logger)
    for precision in PRECISIONS:
        config = trt_builder.create_builder_config()
        network = trt_builder.create_network(0)
        options = Options(RTX, precision, (1,))
        builder._configure(trt_builder, network, config, options, print)
        assert config.get_flag(trt.BuilderFlag.TF32) == (precision != "fp32")
        assert config.num_optimization_profiles == 1


@pytest.mark.parametrize(
    ("here", "listed"),
    [("7.5", True), ("8.0", True), ("8.6", True), ("8.9", True), ("12.0", True), ("12.1", True)]
    + [("9.0", False), ("10.0", False), ("7.0", False), ("1.2", False), (None, True)],
)
def test_gpus_that_tensorrt_for_rtx_does_not_list(
    here: str | None, listed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(targets, "compute_capability", lambda: here)
    module: Any = SimpleNamespace(__version__="1.7.1")
    warning = targets.unlisted_warning(TensorRT("tensorrt-rtx", module, module))
    assert (warning is None) == listed
    if warning:
        assert f"compute capability {here}" in warning and "7.5, 8.0, 8.6, 8.9, 12.x" in warning
    assert targets.unlisted_warning(TensorRT("tensorrt", module, module)) is None


def test_an_unlisted_gpu_is_warned_of_before_the_build(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("tensorrt_rtx_bindings")
    monkeypatch.setattr(targets, "compute_capability", lambda: "9.0")
    lines: list[str] = []
    pipeline.export(
        resolve("linear-ae.onnx"),
        tmp_path / "a.plan",
        Options("tensorrt-rtx", batch=(1,)),
        progress=lines.append,
        checking=Checking(run=False),
    )
    assert "9.0" in lines[0] and lines[1].startswith("building a.plan")
