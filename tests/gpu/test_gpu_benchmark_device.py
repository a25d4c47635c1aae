"""What the GPU benchmark does on CUDA only, with calls recorded in the place of a GPU's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import gpu_limits
from benchmarks.gpu_contenders import Case, NotInstalled, contenders
from benchmarks.gpu_device import HostCopies, TorchDevice
from zoo import engine_path

torch = pytest.importorskip("torch")

USED = (
    "CUDAGraph Event Stream current_stream empty_cache get_device_properties graph is_available "
    "max_memory_reserved reset_peak_memory_stats set_device stream synchronize"
).split()


class Recorder:
    """The part of torch.cuda that is used, which writes down what it is asked for."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.made = 0
        for name in ("synchronize", "empty_cache", "reset_peak_memory_stats", "set_device"):
            setattr(self, name, lambda *_, name=name: self.calls.append(name))

    def object(self, kind: str, **results: Any) -> Any:
        self.made += 1
        name, calls = f"{kind}{self.made}", self.calls

        class Thing:
            def __getattr__(self, method: str) -> Any:
                def call(*_: Any) -> Any:
                    calls.append(f"{name}.{method}")
                    return results.get(method)

                return call

        return Thing()

    def Event(self, enable_timing: bool = False) -> Any:  # noqa: N802
        return self.object("event", elapsed_time=500.0)

    def Stream(self) -> Any:  # noqa: N802
        return self.object("stream")

    def CUDAGraph(self) -> Any:  # noqa: N802
        return self.object("graph")

    def current_stream(self) -> str:
        return "current"

    @contextmanager
    def stream(self, _: Any) -> Iterator[None]:
        self.calls.append("[")
        yield
        self.calls.append("]")

    graph = stream

    def is_available(self) -> bool:
        return True

    def max_memory_reserved(self) -> int:
        return 12345


@pytest.fixture
def device() -> Any:
    """A TorchDevice on CUDA whose tensors lie on the CPU."""
    made: Any = object.__new__(TorchDevice)
    made.cuda, made.device = True, torch.device("cpu")
    made.torch = SimpleNamespace(cuda=Recorder(), zeros=torch.zeros)
    made.host_buffer = torch.empty_like
    return made


def test_pytorch_has_all_that_is_used() -> None:
    for name in USED:
        assert hasattr(torch.cuda, name), name
        assert hasattr(Recorder(), name) or name == "get_device_properties"


class Images:
    """A tensor that says when it was copied, and by whom it is used."""

    def __init__(self, calls: list[str]) -> None:
        self.calls = calls

    def record_stream(self, _: Any) -> None:
        self.calls.append("kept")


def test_a_buffer_is_written_again_when_its_copy_is_done(device: Any) -> None:
    calls = device.torch.cuda.calls
    copies = HostCopies(device, torch.zeros(2))

    class Buffer:
        def copy_(self, made: Images, non_blocking: bool) -> None:
            assert non_blocking
            calls.append("copy")

    copies.buffers = [Buffer(), Buffer()]
    for _ in range(3):
        copies.put(Images(calls))
    stream, first, second = "stream1", "event2", "event3"

    def one(event: str) -> list[str]:
        waits = [f"{event}.synchronize", f"{stream}.wait_stream"]
        return [*waits, "[", "copy", f"{event}.record", "]", "kept"]

    assert calls == [*one(second), *one(first), *one(second)]


def test_time_is_that_of_events(device: Any) -> None:
    called: list[int] = []
    assert device.seconds(lambda: called.append(1), calls=10, rounds=3) == pytest.approx(0.05)
    assert len(called) == 3 + 3 * 10
    device.forget_peak()
    assert device.torch.cuda.calls[-2:] == ["empty_cache", "reset_peak_memory_stats"]
    assert device.peak_bytes() == 12345


def test_a_graph_is_captured_once_and_replayed(device: Any) -> None:
    assert gpu_limits._graph(device, 7) == pytest.approx(0.5 / 100)
    calls = device.torch.cuda.calls
    assert calls[:2] == ["[", "]"] and calls.count("[") == 1
    assert calls.count("graph1.replay") == 3 + 5 * 100


def test_no_cuda_in_pytorch_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    case = Case(str(engine_path("vae.onnx")), "cuda:0", "cuda:0", (1,), "")
    with pytest.raises(NotInstalled, match="has no CUDA here"):
        contenders()["torch-fp32"](case).open()
    with pytest.raises(RuntimeError, match="has no CUDA here"):
        gpu_limits.measure("cuda:0")


def test_ceilings_on_a_cpu_name_what_is_missing() -> None:
    found = gpu_limits.measure("cpu", 32, 4096)
    assert {"fp32", "fp16", "bf16"} <= found["products"].keys()
    assert all(rate > 0 for rate in found["products"].values())
    assert found["copy_device"] > 0 and found["copy_down"] > 0 and found["launch"] > 0
    assert {"tf32", "graph_launch", "graph_kernel"} <= found["missing"].keys()
    assert found["graph_kernel"] is None and all(found["missing"].values())


@pytest.mark.parametrize(("precision", "tf32"), [("fp32", "0"), ("tf32", "1")])
def test_onnx_runtime_is_asked_for_cuda(
    precision: str, tf32: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime

    case = Case(str(engine_path("vae.onnx")), "cuda:0", "cuda:3", (1,), "")
    contender: Any = contenders()[f"onnxruntime-{precision}"](case)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(NotInstalled, match="pip install onnxruntime-gpu"):
        contender.open()

    asked: list[Any] = []
    chosen = ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def session(path: str, options: Any, providers: Any) -> Any:
        asked.append(providers)
        return SimpleNamespace(
            get_providers=lambda: chosen, get_outputs=lambda: [SimpleNamespace(name="image")]
        )

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: chosen)
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
    contender.open()
    settings = {"device_id": "3", "use_tf32": tf32}
    assert asked == [[("CUDAExecutionProvider", settings), "CPUExecutionProvider"]]
    assert contender.place == ("cuda", 3)
    chosen.pop(0)
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", *chosen]
    )
    with pytest.raises(NotInstalled, match="does not find its CUDA libraries"):
        contender.open()


def test_a_profile_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU there is no kernel in it; the calls are those of a GPU."""
    case = Case(str(engine_path("vae.onnx")), "cuda:0", "cpu", (1,), "")
    contender: Any = contenders()["torch-fp32"](case)
    contender.open()
    contender.prepare(1)
    contender.device.cuda = True
    monkeypatch.setattr(torch.cuda, "synchronize", lambda *_: None)
    found = contender.launches(1)
    assert (found["launches"], found["graphs"], found["kernels"]) == (0, 0, 0)
