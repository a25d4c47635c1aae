"""Parts of the GPU benchmark that need CUDA, with mocked calls of torch.cuda."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, call

import pytest

from benchmarks import gpu_limits
from benchmarks.gpu_contenders import Case, NotInstalled, contenders
from benchmarks.gpu_device import HostCopies, TorchDevice
from zoo import engine_path

torch = pytest.importorskip("torch")


@pytest.fixture
def device() -> Any:
    """A TorchDevice on CUDA with tensors on the CPU, which records its calls of torch.cuda."""
    torch_device: Any = object.__new__(TorchDevice)
    torch_device.cuda, torch_device.device = True, torch.device("cpu")
    torch_device.torch = SimpleNamespace(cuda=MagicMock(spec=torch.cuda), zeros=torch.zeros)
    torch_device.torch.cuda.Event.return_value.elapsed_time.return_value = 500.0
    torch_device.host_buffer = torch.empty_like
    return torch_device


def test_a_buffer_is_reused_after_its_copy(device: Any) -> None:
    calls = MagicMock()
    device.torch.cuda.Event.side_effect = [calls.event0, calls.event1]
    device.torch.cuda.Stream.return_value = calls.stream
    device.torch.cuda.stream = calls.use
    device.torch.cuda.current_stream.return_value = "current"
    copies = HostCopies(device, torch.zeros(2))
    copies.buffers = [calls.buffer0, calls.buffer1]
    for _ in range(3):
        copies.put(calls.images)

    def put(turn: int) -> list[Any]:
        buffer, event = getattr(call, f"buffer{turn}"), getattr(call, f"event{turn}")
        return [
            event.synchronize(),
            call.stream.wait_stream("current"),
            call.use(calls.stream),
            call.use().__enter__(),
            buffer.copy_(calls.images, non_blocking=True),
            event.record(calls.stream),
            call.use().__exit__(None, None, None),
            # Otherwise its memory could be reused before it is copied.
            call.images.record_stream(calls.stream),
        ]

    assert calls.mock_calls == [*put(1), *put(0), *put(1)]


def test_time_is_measured_by_events(device: Any) -> None:
    called: list[int] = []
    assert device.seconds(lambda: called.append(1), calls=10, rounds=3) == pytest.approx(0.05)
    assert len(called) == 3 + 3 * 10
    device.reset_peak()
    assert device.torch.cuda.mock_calls[-2:] == [call.empty_cache(), call.reset_peak_memory_stats()]
    device.torch.cuda.max_memory_reserved.return_value = 12345
    assert device.peak_bytes() == 12345


def test_a_graph_is_captured_once_and_replayed(device: Any) -> None:
    assert gpu_limits._graph(device, 7) == pytest.approx(0.5 / 100)
    cuda = device.torch.cuda
    cuda.graph.assert_called_once_with(cuda.CUDAGraph.return_value)
    assert cuda.CUDAGraph.return_value.replay.call_count == 3 + 5 * 100


def test_no_cuda_in_pytorch_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    case = Case(str(engine_path("vae.onnx")), "cuda:0", "cuda:0", (1,), "")
    with pytest.raises(NotInstalled, match="has no CUDA here"):
        contenders()["torch-fp32"](case).open()
    with pytest.raises(RuntimeError, match="has no CUDA here"):
        gpu_limits.measure("cuda:0")


def test_ceilings_on_a_cpu_report_missing_ones() -> None:
    ceilings = gpu_limits.measure("cpu", 32, 4096)
    assert {"fp32", "fp16", "bf16"} <= ceilings["products"].keys()
    assert all(rate > 0 for rate in ceilings["products"].values())
    assert ceilings["copy_device"] > 0 and ceilings["copy_down"] > 0 and ceilings["launch"] > 0
    assert {"tf32", "graph_launch", "graph_kernel"} <= ceilings["missing"].keys()
    assert ceilings["graph_kernel"] is None and all(ceilings["missing"].values())


@pytest.mark.parametrize(("precision", "tf32"), [("fp32", "0"), ("tf32", "1")])
def test_providers_of_onnx_runtime(
    precision: str, tf32: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime

    case = Case(str(engine_path("vae.onnx")), "cuda:0", "cuda:3", (1,), "")
    contender: Any = contenders()[f"onnxruntime-{precision}"](case)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(NotInstalled, match="install onnxruntime-gpu instead"):
        contender.open()

    requested: list[Any] = []
    chosen = ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def session(path: str, options: Any, providers: Any) -> Any:
        requested.append(providers)
        return SimpleNamespace(
            get_providers=lambda: chosen, get_outputs=lambda: [SimpleNamespace(name="image")]
        )

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: chosen)
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
    contender.open()
    settings = {"device_id": "3", "use_tf32": tf32}
    assert requested == [[("CUDAExecutionProvider", settings), "CPUExecutionProvider"]]
    assert contender.place == ("cuda", 3)
    chosen.pop(0)
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", *chosen]
    )
    with pytest.raises(NotInstalled, match="cannot load its CUDA libraries"):
        contender.open()


def test_a_profile_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The profile of a CPU has no kernels; the calls are the same as on a GPU."""
    case = Case(str(engine_path("vae.onnx")), "cuda:0", "cpu", (1,), "")
    contender: Any = contenders()["torch-fp32"](case)
    contender.open()
    contender.prepare(1)
    contender.device.cuda = True
    monkeypatch.setattr(torch.cuda, "synchronize", lambda *_: None)
    counts = contender.launches(1)
    assert (counts["launches"], counts["graphs"], counts["kernels"]) == (0, 0, 0)
