"""The Open Inference Protocol over gRPC, by messages that are encoded by hand."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest

from open_inference import fields, grpc_answer, grpc_request, keys, message
from runtime import Generator
from services import engine_options, metrics, open_local, serving
from zoo.serving.errors import Explainer
from zoo.serving.kserve.inference import Repository
from zoo.serving.kserve.rpc_server import RpcServer
from zoo.serving.metrics import Metrics

ENGINES = ("vae", "cgan", "stylegan")
SERVICE = "/inference.GRPCInferenceService/"
HEALTH = "/grpc.health.v1.Health/"
LAST = 2**64 - 1
ROWS = ((7, 3), (LAST, 0), (0, LAST), (7, 4), (2**63, 2**40))

Call = Callable[..., bytes]


@contextmanager
def serving_grpc(
    *options: str,
) -> Iterator[tuple[grpc.Channel, httpx.Client, subprocess.Popen[str]]]:
    with serving(*options, "--grpc-port", "0") as (client, process):
        assert process.stdout is not None
        address = process.stdout.readline().strip().removeprefix("grpc://")
        with grpc.insecure_channel(
            address, options=[("grpc.max_receive_message_length", -1)]
        ) as channel:
            yield channel, client, process


@pytest.fixture(scope="module")
def service() -> Iterator[tuple[grpc.Channel, httpx.Client]]:
    with serving_grpc(*engine_options(ENGINES), "--backend", "native", "--most", "20000") as (
        channel,
        client,
        _,
    ):
        yield channel, client


@pytest.fixture(scope="module")
def channel(service: tuple[grpc.Channel, httpx.Client]) -> grpc.Channel:
    return service[0]


@pytest.fixture(scope="module")
def local() -> Iterator[dict[str, Generator]]:
    with open_local(ENGINES) as generators:
        yield generators


def call(channel: grpc.Channel, method: str, content: bytes = b"", **options: Any) -> bytes:
    path = method if method.startswith("/") else SERVICE + method
    answer: bytes = channel.unary_unary(path)(content, **{"timeout": 60, **options})
    return answer


def failure(channel: grpc.Channel, method: str, content: bytes = b"", **options: Any) -> Any:
    with pytest.raises(grpc.RpcError) as caught:
        call(channel, method, content, **options)
    return caught.value.code(), caught.value.details()


@pytest.mark.parametrize("typed", [False, True])
def test_images_of_mixed_seeds_are_those_of_the_runtime(
    channel: grpc.Channel, local: dict[str, Generator], typed: bool
) -> None:
    for name in ENGINES:
        content = grpc_request(name, keys(*ROWS), typed, id="an id ✓")
        said, images = grpc_answer(call(channel, "ModelInfer", content))
        assert said == {
            "model_name": name,
            "model_version": "1",
            "id": "an id ✓",
            "output": "images",
        }
        expected = local[name].sample(len(ROWS), keys=np.array(ROWS, np.uint64))
        assert np.array_equal(images, expected)


@pytest.mark.parametrize("typed", [False, True])
def test_labels_and_parameters(
    channel: grpc.Channel, local: dict[str, Generator], typed: bool
) -> None:
    numbers = np.array([[9], [0], [4], [4], [1]], np.int64)
    names = [local["cgan"].classes[number] for number in numbers.ravel()]
    expected = local["cgan"].sample(5, keys=np.array(ROWS, np.uint64), labels=names)
    for labels in (numbers, names):
        content = grpc_request("cgan", keys(*ROWS) | {"label": labels}, typed, version="1")
        assert np.array_equal(grpc_answer(call(channel, "ModelInfer", content))[1], expected)
    content = grpc_request("vae", keys((1, 2)), typed, parameters={"prior": "mixture"})
    expected = local["vae"].sample(1, 1, 2, prior="mixture")
    assert np.array_equal(grpc_answer(call(channel, "ModelInfer", content))[1], expected)


def test_many_clients_get_their_own_images(
    channel: grpc.Channel, local: dict[str, Generator]
) -> None:
    random = np.random.default_rng(0)
    requests = [
        (ENGINES[random.integers(3)], random.integers(0, LAST, (rows, 2), np.uint64))
        for rows in random.integers(1, 9, 300)
    ]

    def ask(request: tuple[str, np.ndarray]) -> np.ndarray:
        name, rows = request
        content = grpc_request(name, {"seed": rows[:, :1], "index": rows[:, 1:]})
        return grpc_answer(call(channel, "ModelInfer", content))[1]

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(ask, requests))
    for (name, rows), images in zip(requests, answers, strict=True):
        assert np.array_equal(images, local[name].sample(len(rows), keys=rows))


def test_a_stream_answers_in_order(channel: grpc.Channel, local: dict[str, Generator]) -> None:
    requests = [
        grpc_request("vae", keys((1, 0))),
        grpc_request("nothing", keys((1, 0))),
        b"\xff",
        grpc_request("cgan", keys((2, 0), (2, 1)), id="last"),
    ]
    answers = list(channel.stream_stream(f"{SERVICE}ModelStreamInfer")(iter(requests)))
    assert len(answers) == 4
    first, unknown, broken, last = map(fields, answers)
    assert np.array_equal(grpc_answer(first[2][0])[1], local["vae"].sample(1, 1))
    assert unknown[1] == [b'no model "nothing"'] and 2 not in unknown
    assert b"cannot be decoded" in broken[1][0]
    said, images = grpc_answer(last[2][0])
    assert said["id"] == "last" and np.array_equal(images, local["cgan"].sample(2, 2))


def test_what_is_said_of_the_service(channel: grpc.Channel) -> None:
    assert fields(call(channel, "ServerLive")) == {1: [1]}
    assert fields(call(channel, "ServerReady")) == {1: [1]}
    assert fields(call(channel, "ServerMetadata"))[1] == [b"generator-zoo"]
    assert fields(call(channel, "ModelReady", message({1: "vae"}))) == {1: [1]}
    for asked in ({1: "nothing"}, {1: "vae", 2: "2"}):
        assert fields(call(channel, "ModelReady", message(asked))) == {}
    index = [fields(each) for each in fields(call(channel, "RepositoryIndex"))[1]]
    assert [each[1][0].decode() for each in index] == list(ENGINES)
    assert all(each[3] == [b"READY"] for each in index)


def test_what_is_said_of_a_model(channel: grpc.Channel, local: dict[str, Generator]) -> None:
    said = fields(call(channel, "ModelMetadata", message({1: "cgan", 2: "1"})))
    assert said[1] == [b"cgan"] and said[2] == [b"1"]
    inputs = [fields(each) for each in said[4]]
    assert [each[1][0] for each in inputs] == [b"seed", b"index", b"label"]
    assert [each[2][0] for each in inputs] == [b"UINT64", b"UINT64", b"INT64"]
    (output,) = map(fields, said[5])
    rows = b"\xff" * 9 + b"\x01"
    height, width, channels = local["cgan"].image_shape
    assert output[3] == [rows + bytes([height, width, channels])]
    (config,) = map(fields, fields(call(channel, "ModelConfig", message({1: "cgan"})))[1])
    assert config[1] == [b"cgan"] and config[4] == [20000] and len(config[5]) == 3
    # TYPE_UINT64, dims [1]; TYPE_INT64, optional.
    assert fields(config[5][0])[2] == [5] and fields(config[5][0])[4] == [b"\x01"]
    assert fields(config[5][2])[2] == [9] and fields(config[5][2])[8] == [1]


def test_statistics(service: tuple[grpc.Channel, httpx.Client]) -> None:
    channel, client = service

    def counts() -> tuple[int, int]:
        (said,) = map(fields, fields(call(channel, "ModelStatistics", message({1: "vae"})))[1])
        success = fields(fields(said[6][0])[1][0])
        return said[4][0], success[1][0]

    call(channel, "ModelInfer", grpc_request("vae", keys((1, 1))))
    images, succeeded = counts()
    call(channel, "ModelInfer", grpc_request("vae", keys(*ROWS)))
    assert counts() == (images + len(ROWS), succeeded + 1)
    assert len(fields(call(channel, "ModelStatistics"))[1]) == len(ENGINES)
    assert metrics(client)["zoo_requests_total", ("OK", "grpc ModelInfer")] >= 2


def test_health(channel: grpc.Channel) -> None:
    for name in ("", "inference.GRPCInferenceService"):
        assert fields(call(channel, f"{HEALTH}Check", message({1: name}))) == {1: [1]}
    code, _ = failure(channel, f"{HEALTH}Check", message({1: "else"}))
    assert code == grpc.StatusCode.NOT_FOUND
    watch = channel.unary_stream(f"{HEALTH}Watch")
    for name, state in (("", 1), ("else", 3)):
        states = watch(message({1: name}))
        assert fields(next(states)) == {1: [state]}
        states.cancel()


def test_errors(channel: grpc.Channel) -> None:
    two, one = np.ones((2, 1), np.uint64), np.ones((1, 1), np.uint64)
    good = fields(grpc_request("vae", keys((1, 1))))
    both = good | {5: [message({1: "seed", 2: "UINT64", 3: b"\x01\x01", 5: b"\x2a\x01\x01"})] * 2}
    invalid, missing = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
    for content, code, words in (
        (b"\xff", invalid, "cannot be decoded"),
        (b"", missing, 'no model ""'),
        (grpc_request("nothing", keys((1, 1))), missing, 'no model "nothing"'),
        (grpc_request("vae", keys((1, 1)), version="2"), missing, 'no version "2" of vae'),
        (grpc_request("vae", {}), invalid, "input seed: expected, but missing"),
        (grpc_request("vae", {"seed": one}), invalid, "input index: expected, but missing"),
        (grpc_request("vae", {"seed": one, "index": two}), invalid, "input index: expected 1 rows"),
        (grpc_request("vae", {"seed": one.astype(np.int64), "index": one}), invalid, "datatype"),
        (grpc_request("vae", keys((1, 1)), outputs=["latents"]), invalid, "unknown output"),
        (grpc_request("vae", keys((1, 1)), parameters={"x": 1}), invalid, 'unknown parameter "x"'),
        (grpc_request("cgan", keys((1, 1)) | {"label": ["Hat"]}), invalid, "labels: expected"),
        (message(good | {7: good[7][:1]}), invalid, "raw_input_contents: expected 2"),
        (message(good | {7: [b"", b""]}), invalid, "input seed: expected 8 bytes, got 0"),
        (message(good | {7: []}), invalid, "input seed: expected 1 values, got 0"),
        (message(both), invalid, "contents: expected none beside raw_input_contents"),
    ):
        failed = failure(channel, "ModelInfer", content)
        assert failed[0] == code and words in failed[1], failed
    for method in ("ModelMetadata", "ModelConfig", "ModelStatistics"):
        assert failure(channel, method, message({1: "nothing"}))[0] == missing
        assert failure(channel, method, b"\xff")[0] == invalid
    assert failure(channel, "RepositoryModelLoad")[0] == grpc.StatusCode.UNIMPLEMENTED


def test_messages_that_are_too_large(service: tuple[grpc.Channel, httpx.Client]) -> None:
    """Also those that are small only before they are inflated."""
    channel, _ = service
    large = grpc_request("vae", keys((1, 1)), id="x" * 2**25)
    for compression in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
        code, _ = failure(channel, "ModelInfer", large, compression=compression)
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
    small = grpc_request("vae", keys(*ROWS))
    plain = call(channel, "ModelInfer", small)
    assert call(channel, "ModelInfer", small, compression=grpc.Compression.Gzip) == plain


def many(rows: int) -> bytes:
    columns = np.arange(2 * rows, dtype=np.uint64).reshape(-1, 2)
    return grpc_request("stylegan", {"seed": columns[:, :1], "index": columns[:, 1:]})


def wait_until_idle(client: httpx.Client) -> dict[Any, float]:
    for _ in range(200):
        now = metrics(client)
        if now["zoo_waiting_images", ("stylegan",)] == 0:
            return now
        time.sleep(0.05)
    raise AssertionError("images still wait")


def sum_of_images(client: httpx.Client) -> float:
    """Return how many images were accepted and do not run."""
    now = metrics(client)
    return now["zoo_images_total", ("stylegan",)] + now["zoo_waiting_images", ("stylegan",)]


def test_deadlines_and_cancellation_stop_the_work(
    service: tuple[grpc.Channel, httpx.Client], local: dict[str, Generator]
) -> None:
    channel, client = service
    before = metrics(client)
    code, _ = failure(channel, "ModelInfer", many(20000), timeout=0.3)
    assert code == grpc.StatusCode.DEADLINE_EXCEEDED
    wait_until_idle(client)
    work = channel.unary_unary(f"{SERVICE}ModelInfer").future(many(20000))
    while metrics(client)["zoo_waiting_images", ("stylegan",)] == 0:
        time.sleep(0.01)
    work.cancel()
    after = wait_until_idle(client)
    images = "zoo_images_total", ("stylegan",)
    assert after[images] - before[images] < 30000
    ended = [f"zoo_{word}_requests_total" for word in ("cancelled", "expired")]
    assert sum(after[each, ("stylegan",)] - before[each, ("stylegan",)] for each in ended) == 2
    _, images_of_one = grpc_answer(call(channel, "ModelInfer", grpc_request("vae", keys((1, 1)))))
    assert np.array_equal(images_of_one, local["vae"].sample(1, 1, 1))


def test_a_full_queue() -> None:
    options = ("--engine", "stylegan", "--queue", "300", "--batch", "16")
    with serving_grpc(*options) as (channel, _, _), ThreadPoolExecutor(16) as threads:

        def ask(_: int) -> grpc.StatusCode:
            try:
                call(channel, "ModelInfer", many(256))
            except grpc.RpcError as error:
                assert "busy" in error.details()
                return error.code()
            return grpc.StatusCode.OK

        codes = set(threads.map(ask, range(40)))
    assert codes == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}


def test_a_key(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("a secret\n")
    with serving_grpc("--engine", "vae", "--key-file", str(key)) as (channel, _, _):
        content = grpc_request("vae", keys((1, 1)))
        for sent in ((), (("authorization", "Bearer a secre"),), (("authorization", "Basic x"),)):
            for method in ("ModelInfer", "ServerMetadata", "ModelMetadata"):
                code, words = failure(channel, method, content, metadata=sent)
                assert code == grpc.StatusCode.UNAUTHENTICATED and "Bearer" in words
            with pytest.raises(grpc.RpcError) as caught:
                stream = channel.stream_stream(f"{SERVICE}ModelStreamInfer")
                list(stream(iter([content]), metadata=sent, timeout=60))
            assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED
        good = (("authorization", "Bearer a secret"),)
        assert call(channel, "ModelInfer", content, metadata=good)
        assert call(channel, "ServerLive") and call(channel, f"{HEALTH}Check")


def test_a_service_that_is_ended_completes_what_it_accepted(local: dict[str, Generator]) -> None:
    options = ("--engine", "stylegan", "--backend", "native")
    with serving_grpc(*options) as (channel, client, process), ThreadPoolExecutor(4) as threads:
        watch = channel.unary_stream(f"{HEALTH}Watch")(b"")
        states = [fields(next(watch))[1]]
        watcher = threading.Thread(target=lambda: states.extend(fields(s)[1] for s in watch))
        watcher.start()
        calls = [threads.submit(call, channel, "ModelInfer", many(400)) for _ in range(4)]
        # All but those of the run that is in progress.
        while sum_of_images(client) < 1600 - 64:
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        rows = np.arange(800, dtype=np.uint64).reshape(-1, 2)
        expected = local["stylegan"].sample(400, keys=rows)
        for each in calls:
            assert np.array_equal(grpc_answer(each.result())[1], expected)
        watcher.join(60)
        assert states == [[1], [2]]
        assert process.wait(60) in (0, 128 + signal.SIGTERM, -signal.SIGTERM)


def test_calls_that_wait_when_the_service_ends_are_refused() -> None:
    """They have been received, but nobody has looked at them: they are not cancelled."""

    async def serve(threads: ThreadPoolExecutor) -> list[grpc.StatusCode]:
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = f"127.0.0.1:{free.getsockname()[1]}"
        explain = Explainer([])
        server = RpcServer(address, Repository({}, 1, None), explain, 1 << 20, None, Metrics({}))
        await server.start()
        with grpc.insecure_channel(address) as channel:

            def ask(_: int = 0) -> grpc.StatusCode:
                try:
                    call(channel, "ServerMetadata")
                except grpc.RpcError as error:
                    assert "ends" in error.details()
                    return error.code()
                return grpc.StatusCode.OK

            assert await asyncio.wrap_future(threads.submit(ask)) == grpc.StatusCode.OK
            waiting = [threads.submit(ask) for _ in range(16)]
            # The server computes something else for so long.
            time.sleep(0.5)
            await server.stop()
            return list(await asyncio.gather(*map(asyncio.wrap_future, waiting)))

    with ThreadPoolExecutor(16) as threads:
        codes = asyncio.run(serve(threads))
    assert set(codes) <= {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}


def test_a_port_that_cannot_be_had() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = str(listener.getsockname()[1])
        for options, words in (
            (("--port", "0", "--grpc-port", taken), f"cannot listen at 127.0.0.1:{taken}"),
            (("--port", "48123", "--grpc-port", "48123"), "expected another port than --port"),
        ):
            command = [sys.executable, "-m", "zoo.serve", "--engine", "vae", *options]
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
            assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
            assert done.stderr.startswith("error: ") and words in done.stderr
