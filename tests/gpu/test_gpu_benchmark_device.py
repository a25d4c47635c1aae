"""The code of the GPU benchmark for CUDA only, with mocked calls of torch.cuda."""

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
    """A TorchDevice on CUDA whose tensors lie on the CPU; its calls of torch.cuda are recorded."""
    made: Any = object.__new__(TorchDevice)
    made.cuda, made.device = True, torch.device("cpu")
    made.torch = SimpleNamespace(cuda=MagicMock(spec=torch.cuda), zeros=torch.zeros)
    made.torch.cuda.Event.return_value.elapsed_time.return_value = 500.0
    made.host_buffer = torch.empty_like
    return made


def test_a_buffer_is_written_again_when_its_copy_is_done(device: Any) -> None:
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
            # Else its memory would be used again before it is copied.
            call.images.record_stream(calls.stream),
        ]

    assert calls.mock_calls == [*put(1), *put(0), *put(1)]


def test_time_is_that_of_events(device: Any) -> None:
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
    with pytest.raises(NotInstalled, match="install onnxruntime-gpu instead"):
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
    found = contender.launches(1)
    assert (found["launches"], found["graphs"], found["kernels"]) == (0, 0, 0)
