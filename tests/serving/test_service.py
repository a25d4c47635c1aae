"""The service: a process of its own, asked over HTTP, against the runtime in this one."""

from __future__ import annotations

import io
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from runtime import Generator
from services import engine_options, metrics, open_local, serving
from shards import wait_for
from zoo.images import png

ENGINES = ("vae", "cgan", "stylegan")


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with serving(*engine_options(ENGINES), "--backend", "native", "--most", "20000") as (client, _):
        yield client


@pytest.fixture(scope="module")
def local() -> Iterator[dict[str, Generator]]:
    with open_local(ENGINES) as generators:
        yield generators


def images_of(answer: httpx.Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.load(io.BytesIO(answer.content))


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_images_are_those_of_the_runtime(
    client: httpx.Client, local: dict[str, Generator], method: str
) -> None:
    for name, options in (
        ("vae", {"n": 5, "seed": 7, "first": 3}),
        ("vae", {"n": 5, "seed": 2**64 - 1, "first": 2**64 - 5, "prior": "mixture"}),
        ("cgan", {"n": 7, "seed": 1, "labels": "Bag,3"}),
        ("stylegan", {"n": 4, "seed": 2, "truncation": 0.5, "noise": 0.25}),
    ):
        values = {**options, "format": "npy"}
        sent: dict[str, Any] = {"params": values} if method == "GET" else {"json": values}
        answer = client.request(method, f"/v1/models/{name}/sample", **sent)
        expected: dict[str, Any] = dict(options)
        if "labels" in expected:
            expected |= {"labels": ["Bag", 3], "cycle": True}
        assert np.array_equal(images_of(answer), local[name].sample(**expected))
        assert answer.headers["X-Zoo-Seed"] == str(options["seed"])
        assert answer.headers["X-Zoo-First"] == str(options.get("first", 0))
        shape = [options["n"], *local[name].image_shape]
        assert answer.headers["X-Zoo-Shape"] == ",".join(map(str, shape))


def test_formats(client: httpx.Client, local: dict[str, Generator]) -> None:
    url = "/v1/models/stylegan/sample?seed=4"
    images = local["stylegan"].sample(6, seed=4)
    one = client.get(f"{url}&n=1")
    assert one.headers["Content-Type"] == "image/png"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(one.content))), images[0])
    grid = np.asarray(Image.open(io.BytesIO(client.get(f"{url}&n=6").content)))
    height, width, _ = images[0].shape
    assert grid.shape == (2 * height + 2, 3 * width + 4, 3)
    assert np.array_equal(grid[height + 2 :, :width], images[3])
    assert (grid[height : height + 2] == 255).all()
    raw = client.get(f"{url}&n=6&format=raw")
    assert raw.content == images.tobytes()
    archive = np.load(io.BytesIO(client.get(f"{url}&n=6&format=npz").content))
    assert np.array_equal(archive["images"], images)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_files(channels: int) -> None:
    for height, width in ((1, 1), (1, 7), (28, 28), (65, 3)):
        image = np.random.default_rng(channels).integers(
            0, 256, (height, width, channels), np.uint8
        )
        read = np.asarray(Image.open(io.BytesIO(png.encode(image))))
        assert np.array_equal(read.reshape(image.shape), image)


def test_a_seed_that_the_service_draws_gives_the_same_bytes_again(client: httpx.Client) -> None:
    url = "/v1/models/vae/sample"
    first, other = client.get(url), client.get(url)
    assert first.headers["Cache-Control"] == "no-store" and "ETag" not in first.headers
    assert first.headers["X-Zoo-Seed"] != other.headers["X-Zoo-Seed"]
    again = client.get(url, params={"seed": first.headers["X-Zoo-Seed"]})
    assert again.content == first.content


def test_caches_may_keep_images_for_ever(client: httpx.Client) -> None:
    url = "/v1/models/vae/sample?n=3&seed=1"
    answer = client.get(url)
    assert "immutable" in answer.headers["Cache-Control"]
    known = client.get(url, headers={"If-None-Match": answer.headers["ETag"]})
    assert known.status_code == 304 and not known.content
    tags = {
        client.get(url + more).headers["ETag"]
        for more in ("", "&format=npy", "&first=1", "&prior=mixture")
    }
    assert len(tags) == 4
    assert client.get("/v1/models/cgan/sample?n=3&seed=1").headers["ETag"] not in tags
    posted = client.post("/v1/models/vae/sample", json={"n": 3, "seed": 1})
    assert posted.content == answer.content and posted.headers["Cache-Control"] == "no-store"


BAD = [
    ("vae", {"n": 0}, "n: expected an integer from 1 to 20000, got"),
    ("vae", {"n": 20001}, "n: expected an integer"),
    ("vae", {"n": "1e3"}, "n: expected an integer"),
    ("vae", {"n": "٣"}, "n: expected an integer"),
    ("vae", {"n": 1.5}, "n: expected an integer"),
    ("vae", {"n": True}, "n: expected an integer"),
    ("vae", {"n": ""}, "n: expected an integer"),
    ("vae", {"seed": -1}, "seed: expected an integer from 0 to 18446744073709551615, got"),
    ("vae", {"seed": 2**64}, "seed: expected an integer"),
    ("vae", {"seed": "9" * 5000}, "seed: expected an integer"),
    ("vae", {"n": 2, "first": 2**64 - 1}, "first: "),
    ("vae", {"format": "gif"}, "format: expected png, grid, npy, npz, raw, multipart, got"),
    ("vae", {"n": 2, "format": "png"}, "format: png is of one image"),
    ("vae", {"n": 5000, "format": "grid"}, "format: a grid has at most 4096 images"),
    ("vae", {"labels": "3"}, "labels: expected none"),
    ("vae", {"truncation": 0.5}, "truncation: "),
    ("vae", {"prior": "uniform"}, "prior: expected normal, mixture, got"),
    ("cgan", {"prior": "mixture"}, "prior: "),
    ("cgan", {"labels": "Hat"}, "labels: expected a class from 0 to 9"),
    ("cgan", {"labels": "10"}, "labels: expected a class"),
    ("cgan", {"labels": ","}, "labels: "),
    ("stylegan", {"truncation": "nan"}, "truncation: expected a number from 0 to 10, got"),
    ("stylegan", {"truncation": -1}, "truncation: expected a number"),
    ("stylegan", {"noise": "much"}, "noise: expected a number"),
    ("vae", {"sede": 1}, 'unknown parameter "sede"; known: first, format, labels, n, noise'),
]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_bad_values_are_named(client: httpx.Client, method: str) -> None:
    for name, values, message in BAD:
        sent: dict[str, Any] = {"params": values} if method == "GET" else {"json": values}
        answer = client.request(method, f"/v1/models/{name}/sample", **sent)
        assert answer.status_code == 400, (values, answer.text)
        error = answer.json()["error"]
        assert message in error and "\n" not in error and len(error) < 400, (values, error)


def test_bad_requests(client: httpx.Client) -> None:
    url = "/v1/models/vae/sample"
    json_type = {"Content-Type": "application/json"}
    cases: list[tuple[httpx.Response, int]] = [
        (client.get("/v1/models/nothing/sample"), 404),
        (client.get("/v1/models/nothing"), 404),
        (client.get("/v1/models/..%2F..%2Fetc%2Fpasswd/sample"), 404),
        (client.get("/nothing"), 404),
        (client.delete(url), 405),
        (client.post("/healthz"), 405),
        (client.post(url, content=b"{", headers=json_type), 400),
        (client.post(url, content=b"[1]", headers=json_type), 400),
        (client.post(url, content=b"\xff", headers=json_type), 400),
        (client.post(url, content=b"[" * 100_000, headers=json_type), 400),
        (client.post(url, content=b"n=1", headers={"Content-Type": "text/plain"}), 415),
        (client.post(url, content=b" " * (2**20 + 1), headers=json_type), 413),
        (client.post(url, content=(b" " * 1000 for _ in range(2000)), headers=json_type), 413),
        (client.post(f"{url}?n=1", json={"n": 2}), 400),
        (client.get(f"{url}?n=1&n=2"), 400),
    ]
    for answer, status in cases:
        assert answer.status_code == status, answer.text
        assert isinstance(answer.json()["error"], str)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "immutable" not in answer.headers.get("Cache-Control", "")
    assert client.get(url).status_code == 200


def test_many_clients_get_their_own_images(
    client: httpx.Client, local: dict[str, Generator]
) -> None:
    random = np.random.default_rng(0)
    requests = [
        (ENGINES[random.integers(3)], int(random.integers(1, 20)), int(random.integers(2**63)))
        for _ in range(300)
    ]

    def ask(request: tuple[str, int, int]) -> bytes:
        name, n, seed = request
        values = {"n": n, "seed": seed, "format": "raw"}
        return client.get(f"/v1/models/{name}/sample", params=values).content

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(ask, requests))
    for (name, n, seed), answer in zip(requests, answers, strict=True):
        assert answer == local[name].sample(n, seed=seed).tobytes()


def test_a_client_that_goes_away_stops_its_work(
    client: httpx.Client, local: dict[str, Generator]
) -> None:
    before = metrics(client)["zoo_images_total", ("stylegan",)]
    url = "/v1/models/stylegan/sample?n=20000&seed=1&format=npy"
    with client.stream("GET", url) as answer:
        assert answer.headers["Content-Length"] == str(128 + 20000 * 64 * 64 * 3)
        start = next(answer.iter_raw(1000))
        assert start[:6] == b"\x93NUMPY"
    for _ in range(100):
        now = metrics(client)
        if now["zoo_waiting_images", ("stylegan",)] == 0:
            break
        time.sleep(0.1)
    time.sleep(0.5)
    assert metrics(client)["zoo_images_total", ("stylegan",)] - before < 15000
    images = images_of(client.get("/v1/models/stylegan/sample?n=600&seed=1&format=npy"))
    assert np.array_equal(images, local["stylegan"].sample(600, seed=1))


def test_what_is_said_about_the_models(client: httpx.Client, local: dict[str, Generator]) -> None:
    models = {model["name"]: model for model in client.get("/v1/models").json()["models"]}
    assert sorted(models) == sorted(ENGINES)
    assert models["cgan"]["classes"] == local["cgan"].classes
    assert models["vae"]["latent"] == {"width": 32, "priors": ["normal", "mixture"]}
    assert client.get("/v1/models/vae").json()["manifest"] == local["vae"].manifest


def test_metrics(client: httpx.Client) -> None:
    before = metrics(client)
    client.get("/v1/models/vae/sample?n=3")
    client.get("/v1/models/vae/sample?n=0")
    client.get("/v1/models/else/else")
    after = metrics(client)

    def grown(*key: Any) -> float:
        return after.get(key, 0.0) - before.get(key, 0.0)  # type: ignore[call-overload]

    route = "/v1/models/{name}/sample"
    assert grown("zoo_images_total", ("vae",)) == 3
    assert grown("zoo_requests_total", (route, "200")) == 1
    assert grown("zoo_requests_total", (route, "400")) == 1
    assert grown("zoo_requests_total", ("404", "other")) == 1
    assert grown("zoo_request_seconds_count", (route,)) == 2
    assert grown("zoo_run_images_bucket", ("4.0", "vae")) == 1
    assert grown("zoo_run_images_bucket", ("2.0", "vae")) == 0


def test_the_openapi_document_lists_what_is_checked(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    sample = document["paths"]["/v1/models/{name}/sample"]
    query = {each["name"]: each["schema"] for each in sample["get"]["parameters"][1:]}
    body = sample["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(query) == set(body["properties"])
    assert query["n"]["maximum"] == 20000
    for name in query:
        known = client.get(f"/v1/models/vae/sample?{name}=%00").json()["error"]
        assert known.startswith(f"{name}: ")
    assert {"/v1/models", "/v1/models/{name}", "/metrics"} < set(document["paths"])


def test_a_key(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("a secret\nanything\n")
    with serving("--engine", "vae", "--key-file", str(key)) as (client, _):
        for headers in ({}, {"Authorization": "Bearer a secre"}, {"Authorization": "Basic x"}):
            answer = client.get("/v1/models", headers=headers)
            assert answer.status_code == 401 and "Bearer" in answer.json()["error"]
            assert answer.headers["WWW-Authenticate"] == "Bearer"
        good = {"Authorization": "Bearer a secret"}
        assert client.get("/v1/models/vae/sample", headers=good).status_code == 200
        assert client.get("/healthz").status_code == 200


def test_a_service_that_is_ended_completes_what_it_accepted(local: dict[str, Generator]) -> None:
    options = ("--engine", "stylegan", "--backend", "native")
    begun = Barrier(5)
    with serving(*options) as (client, process), ThreadPoolExecutor(4) as threads:
        url = "/v1/models/stylegan/sample?n=800&format=raw&seed="

        def ask(seed: int) -> bytes:
            with client.stream("GET", f"{url}{seed}") as answer:
                assert answer.status_code == 200
                begun.wait()
                return answer.read()

        calls = [threads.submit(ask, seed) for seed in range(4)]
        begun.wait()
        process.send_signal(signal.SIGTERM)
        for seed, call in enumerate(calls):
            assert call.result() == local["stylegan"].sample(800, seed=seed).tobytes()
        assert process.wait(60) in (0, 128 + signal.SIGTERM, -signal.SIGTERM)


def test_too_many_images_are_refused() -> None:
    options = ("--engine", "stylegan", "--queue", "300", "--batch", "16")
    with serving(*options) as (client, _), ThreadPoolExecutor(16) as threads:
        url = "/v1/models/stylegan/sample?n=256&format=raw&seed="
        answers = list(threads.map(client.get, [f"{url}{seed}" for seed in range(40)]))
        refused = [answer for answer in answers if answer.status_code == 429]
        assert refused and len(refused) < 40
        assert all(answer.headers["Retry-After"] == "1" for answer in refused)
        assert "busy" in refused[0].json()["error"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--engine", "nothing.onnx"), "engine 'nothing.onnx': no such file"),
        (("--engine", "vae", "--engine", "vae.onnx"), "two engines have the name vae"),
        (("--engine", "stylegan.mapping"), "has the role mapping, expected generator or"),
        (("--engine", "vae", "--precision", "fp8"), "precision"),
        (("--engine", "vae", "--key-file", "/nothing"), "cannot read the key in /nothing"),
        (("--engine", "vae", "--host", "203.0.113.1"), "cannot listen at 203.0.113.1:0"),
        (("--engine", "vae", "--host", ""), "--host: expected an address"),
        (("--engine", "vae", "--timeout", "nan"), "'--timeout': expected a number, got nan"),
        ((), "engine"),
    ],
)
def test_a_command_that_cannot_serve(options: tuple[str, ...], message: str) -> None:
    command = [sys.executable, "-m", "zoo.serve", "--port", "0", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("error: ") and message in done.stderr


@pytest.mark.parametrize("options", [("--port",), ("--port", "0", "--grpc-port")])
def test_services_of_one_port_that_start_at_once(options: tuple[str, ...]) -> None:
    """One serves; each of the others ends with a line that says why."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "zoo.serve", "--engine", "vae", *options, port]
    pipe = subprocess.PIPE
    services = [subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) for _ in range(3)]
    try:
        wait_for(lambda: sum(each.poll() is None for each in services) == 1, 120)
        (serving_one,) = (each for each in services if each.poll() is None)
        assert serving_one.stdout is not None
        url = serving_one.stdout.readline().split()[0]
        wait_for(lambda: httpx.get(f"{url}/readyz", timeout=60).status_code == 200)
        services.remove(serving_one)
        serving_one.terminate()
        assert serving_one.wait(60) == 128 + signal.SIGTERM
        for each in services:
            said = each.communicate()[1].splitlines()
            assert each.returncode == 2
            assert said[-1].startswith(f"error: cannot listen at 127.0.0.1:{port}: ")
            assert "Traceback" not in said[0]
    finally:
        for each in services:
            each.kill()
