"""The Open Inference Protocol over HTTP, by a client of its own, against the local runtime."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from open_inference import HEADER, Tensors, answered, body, keys
from runtime import Generator
from services import engine_options, metrics, open_local, serving

ENGINES = ("vae", "cgan", "stylegan")
PLAIN = {"Accept-Encoding": "identity"}
LAST = 2**64 - 1


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with serving(*engine_options(ENGINES), "--backend", "native", "--most", "20000") as (client, _):
        yield client


@pytest.fixture(scope="module")
def local() -> Iterator[dict[str, Generator]]:
    with open_local(ENGINES) as generators:
        yield generators


def post(
    client: httpx.Client, model: str, content: bytes, headers: dict[str, str]
) -> httpx.Response:
    encoded = {name: value.encode("latin-1") for name, value in (PLAIN | headers).items()}
    return client.post(f"/v2/models/{model}/infer", content=content, headers=encoded)


def infer(
    client: httpx.Client, model: str, tensors: Tensors, binary: bool = True, **more: Any
) -> tuple[dict[str, Any], np.ndarray]:
    response = post(client, model, *body(tensors, binary, binary, **more))
    assert response.status_code == 200, response.text
    return answered(response.content, response.headers)


ROWS = ((7, 3), (LAST, 0), (0, LAST), (7, 4), (2**63, 2**40))


@pytest.mark.parametrize("binary", [True, False])
def test_images_of_mixed_seeds_are_those_of_the_runtime(
    client: httpx.Client, local: dict[str, Generator], binary: bool
) -> None:
    for name, parameters in (
        ("vae", {}),
        ("vae", {"prior": "mixture"}),
        ("cgan", {}),
        ("stylegan", {"truncation": 0.5, "noise": 0.25}),
    ):
        said, images = infer(client, name, keys(*ROWS), binary, parameters=dict(parameters))
        assert said["model_name"] == name and said["model_version"] == "1"
        assert said["outputs"][0]["name"] == "images"
        for (seed, index), image in zip(ROWS, images, strict=True):
            expected = local[name].sample(1, seed, index, **parameters)
            assert np.array_equal(image, expected[0])


@pytest.mark.parametrize("binary", [True, False])
def test_labels_by_number_and_by_name(
    client: httpx.Client, local: dict[str, Generator], binary: bool
) -> None:
    names = local["cgan"].classes
    numbers = np.array([[9], [0], [4], [4], [1]], np.int64)
    expected = local["cgan"].sample(5, keys=np.array(ROWS, np.uint64), labels=numbers.ravel())
    for labels in (numbers, [names[number] for number in numbers.ravel()]):
        _, images = infer(client, "cgan", keys(*ROWS) | {"label": labels}, binary)
        assert np.array_equal(images, expected)


def test_rows_of_many_clients_share_runs(client: httpx.Client, local: dict[str, Generator]) -> None:
    random = np.random.default_rng(0)
    requests = [
        (ENGINES[random.integers(3)], random.integers(0, LAST, (rows, 2), np.uint64))
        for rows in random.integers(1, 9, 300)
    ]
    before = metrics(client)

    def ask(request: tuple[str, np.ndarray]) -> np.ndarray:
        name, rows = request
        return infer(client, name, {"seed": rows[:, :1], "index": rows[:, 1:]})[1]

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(ask, requests))
    for (name, rows), images in zip(requests, answers, strict=True):
        assert np.array_equal(images, local[name].sample(len(rows), keys=rows))
    after = metrics(client)
    runs = sum(
        after["zoo_run_images_bucket", key] - before.get(("zoo_run_images_bucket", key), 0)
        for key in {(("+Inf", name)) for name in ENGINES}
    )
    assert runs < len(requests)


def test_which_tensors_are_raw(client: httpx.Client) -> None:
    tensors = keys((1, 2))
    for parameters, outputs, raw in (
        ({}, [], False),
        ({"binary_data_output": True}, [], True),
        ({}, [{"name": "images"}], False),
        ({}, [{"name": "images", "parameters": {"binary_data": True}}], True),
        ({"binary_data_output": True}, [{"name": "images"}], True),
        (
            {"binary_data_output": True},
            [{"name": "images", "parameters": {"binary_data": False}}],
            False,
        ),
    ):
        content, headers = body(tensors, False, parameters=parameters, outputs=outputs)
        response = post(client, "vae", content, headers)
        kind = "application/octet-stream" if raw else "application/json"
        assert (HEADER in response.headers) == raw and response.headers["Content-Type"] == kind


def test_the_id_is_in_the_answer(client: httpx.Client) -> None:
    said, _ = infer(client, "vae", keys((1, 2)), id='an "id" ✓')
    assert said["id"] == 'an "id" ✓'
    assert "id" not in infer(client, "vae", keys((1, 2)))[0]


@pytest.mark.parametrize(
    ("coding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)]
)
def test_compressed_bodies(client: httpx.Client, coding: str, compress: Any) -> None:
    content, headers = body(keys(*ROWS), True, True)
    plain = post(client, "vae", content, headers)
    sent = headers | {"Content-Encoding": coding, "Accept-Encoding": f"br;q=1.0, {coding};q=0.5"}
    answer = post(client, "vae", compress(content), sent)
    assert answer.headers["Content-Encoding"] == coding and "Content-Encoding" not in plain.headers
    # httpx inflates it.
    assert answer.content == plain.content
    assert int(answer.headers["Content-Length"]) < len(plain.content)
    assert answer.headers[HEADER] == plain.headers[HEADER]


def test_answers_are_not_compressed_for_nothing(client: httpx.Client) -> None:
    for rows, accepted in ((ROWS[:1], "gzip"), (ROWS, "gzip;q=0"), (ROWS, "br"), (ROWS, "*")):
        content, headers = body(keys(*rows), True, True)
        answer = post(client, "vae", content, headers | {"Accept-Encoding": accepted})
        assert answer.status_code == 200 and "Content-Encoding" not in answer.headers


def test_bodies_that_are_inflated_too_far(client: httpx.Client) -> None:
    for content, coding, status in (
        (gzip.compress(bytes(2**26)), "gzip", 413),
        (zlib.compress(bytes(2**26)), "deflate", 413),
        (b"{}", "gzip", 400),
        (gzip.compress(b"{}")[:-4], "gzip", 400),
        (gzip.compress(b"{}") + b"more", "gzip", 400),
        (b"{}", "br", 415),
    ):
        answer = post(client, "vae", content, {"Content-Encoding": coding})
        assert answer.status_code == status, answer.text
        assert list(answer.json()) == ["error"]


def test_metadata(client: httpx.Client, local: dict[str, Generator]) -> None:
    assert client.get("/v2").json()["name"] == "generator-zoo"
    assert "binary_tensor_data" in client.get("/v2").json()["extensions"]
    key = {"datatype": "UINT64", "shape": [-1, 1]}
    for name in ENGINES:
        said = client.get(f"/v2/models/{name}").json()
        assert said == client.get(f"/v2/models/{name}/versions/1").json()
        assert (said["name"], said["versions"]) == (name, ["1"])
        assert said["inputs"][:2] == [{"name": "seed", **key}, {"name": "index", **key}]
        assert len(said["inputs"]) == 2 + (name == "cgan")
        shape = [-1, *local[name].image_shape]
        assert said["outputs"] == [{"name": "images", "datatype": "UINT8", "shape": shape}]
    config = client.get("/v2/models/cgan/config").json()
    assert [each["name"] for each in config["input"]] == ["seed", "index", "label"]
    assert [each["optional"] for each in config["input"]] == [False, False, True]
    assert config["input"][2]["data_type"] == "TYPE_INT64" and config["input"][2]["dims"] == [1]
    assert config["max_batch_size"] == 20000


def test_health_and_index(client: httpx.Client) -> None:
    paths = ["health/live", "health/ready", "models/vae/ready", "models/vae/versions/1/ready"]
    assert [client.get(f"/v2/{path}").status_code for path in paths] == [200] * 4
    index = client.post("/v2/repository/index").json()
    assert [(each["name"], each["state"]) for each in index] == [(n, "READY") for n in ENGINES]


def test_statistics(client: httpx.Client) -> None:
    def counts() -> dict[str, Any]:
        (said,) = client.get("/v2/models/vae/stats").json()["model_stats"]
        return said

    before = counts()
    infer(client, "vae", keys(*ROWS))
    assert post(client, "vae", *body(keys((1, 1)) | {"more": np.zeros((1, 1), np.int64)}, True))
    after = counts()
    assert after["inference_count"] - before["inference_count"] == len(ROWS)
    for kind in ("success", "fail"):
        old, new = before["inference_stats"][kind], after["inference_stats"][kind]
        assert new["count"] - old["count"] == 1 and new["ns"] > old["ns"]
    assert abs(after["last_inference"] / 1000 - time.time()) < 60
    every = client.get("/v2/models/stats").json()["model_stats"]
    assert [each["name"] for each in every] == list(ENGINES)


def column(*values: Any, datatype: str = "UINT64", **more: Any) -> dict[str, Any]:
    shape = [len(values), 1]
    return {"datatype": datatype, "shape": shape, "data": list(values), **more}


BAD: list[tuple[str, Any, str]] = [
    ("vae", [], "the body: expected an object"),
    ("vae", {}, "inputs: expected a list, got null"),
    ("vae", {"inputs": {}}, "inputs: expected a list"),
    ("vae", {"inputs": [1]}, "an input: expected an object, got 1"),
    ("vae", {"inputs": [{}]}, "name of an input: expected a text, got null"),
    ("vae", {"inputs": [], "id": 7}, "id: expected a text, got 7"),
    ("vae", {"inputs": [], "id": "x" * 2000}, "id: expected at most 1024 characters"),
    ("vae", {"inputs": [], "parameters": []}, "parameters of the request: expected an object"),
    ("vae", {"inputs": [], "outputs": "images"}, "outputs: expected a list"),
    ("vae", {"seed": column(1)}, "input index: expected, but missing"),
    ("vae", {"index": column(1)}, "input seed: expected, but missing"),
    ("vae", {"seed": column(1), "first": column(1)}, 'unknown input "first"; known: seed, index'),
    ("vae", {"seed": column(1), "index": column(1, 2)}, "input index: expected 1 rows like seed"),
    ("vae", {"seed": column(1, datatype="INT64")}, "input seed: expected datatype UINT64, got"),
    ("vae", {"seed": column(1, datatype=None)}, "input seed: expected datatype UINT64, got null"),
    ("vae", {"seed": column(1, datatype=["UINT64"])}, "input seed: expected datatype UINT64"),
    ("vae", {"seed": column()}, "input seed: expected shape [-1, 1], got [0, 1]"),
    ("vae", {"seed": column(1, shape=[1])}, "input seed: expected shape [-1, 1], got [1]"),
    ("vae", {"seed": column(1, shape=[1, 2])}, "input seed: expected shape"),
    ("vae", {"seed": column(1, shape=[-1, 1])}, "input seed: expected shape"),
    ("vae", {"seed": column(1, shape=[True, 1])}, "input seed: expected shape"),
    ("vae", {"seed": column(1, shape=[1.0, 1])}, "input seed: expected shape"),
    ("vae", {"seed": column(1, shape=[2**70, 1])}, "input seed: expected at most 20000 rows"),
    ("vae", {"seed": column(1, shape=None)}, "input seed: expected shape"),
    ("vae", {"seed": column(1, data=None)}, "input seed: expected its values as a list, got null"),
    ("vae", {"seed": column(1, data="1")}, "input seed: expected its values as a list"),
    ("vae", {"seed": column(1, data=[])}, "input seed: expected 1 values, got 0"),
    ("vae", {"seed": column(1, data=[1, 2])}, "input seed: expected 1 values, got 2"),
    ("vae", {"seed": column(1, data=[[1, 2]])}, "input seed: expected lists that are nested"),
    ("vae", {"seed": column(1, data=[[[1]]])}, "input seed: expected numbers of uint64"),
    ("vae", {"seed": column(1, 2, data=[[1], 2])}, "input seed: expected lists that are nested"),
    ("vae", {"seed": column(-1)}, "input seed: expected numbers of uint64"),
    ("vae", {"seed": column(2**64)}, "input seed: expected numbers of uint64"),
    ("vae", {"seed": column(1.5)}, "input seed: expected numbers of uint64"),
    ("vae", {"seed": column(True)}, "input seed: expected numbers of uint64"),
    ("vae", {"seed": column("1")}, "input seed: expected numbers of uint64"),
    ("vae", {"seed": column(None)}, "input seed: expected numbers of uint64"),
    ("vae", {"label": column(1, datatype="INT64")}, 'unknown input "label"'),
    ("cgan", {"label": column(10, datatype="INT64")}, "labels: expected a class from 0 to 9"),
    ("cgan", {"label": column("Hat", datatype="BYTES")}, "labels: expected a class from 0 to 9"),
    ("cgan", {"label": column("\ud800", datatype="BYTES")}, "labels: expected a class from 0"),
    ("cgan", {"label": column(7, datatype="BYTES")}, "input label: expected texts"),
]


@pytest.mark.parametrize(("model", "values", "message"), BAD)
def test_bad_requests_are_named(
    client: httpx.Client, model: str, values: Any, message: str
) -> None:
    document = values
    if isinstance(values, dict) and values and "inputs" not in values:
        both = {"seed": column(1), "index": column(1)} if "label" in values else {}
        document = {"inputs": [{"name": name, **each} for name, each in (both | values).items()]}
    answer = post(client, model, json.dumps(document).encode(), {})
    assert answer.status_code == 400, answer.text
    assert list(answer.json()) == ["error"] and message in answer.json()["error"]


def test_bad_parameters_are_named(client: httpx.Client) -> None:
    for parameters, message in (
        ({"truncaton": 1}, 'unknown parameter "truncaton"'),
        ({"truncation": 0.5}, "truncation: "),
        ({"truncation": "much"}, "truncation: expected a number"),
        ({"prior": "uniform"}, "prior: expected normal, mixture"),
        ({"binary_data_output": 1}, "binary_data_output: expected true or false, got 1"),
        ({"timeout": -1}, "timeout: expected microseconds"),
        ({"timeout": "soon"}, "timeout: expected microseconds"),
    ):
        answer = post(client, "vae", *body(keys((1, 1)), True, parameters=parameters))
        assert answer.status_code == 400 and message in answer.json()["error"], answer.text
    for outputs, message in (
        ([{"name": "latents"}], 'unknown output "latents"; known: images'),
        ([{}], "name of an output: expected a text"),
        ([{"name": "images", "parameters": {"classification": 3}}], "unknown parameter"),
        ([{"name": "images", "parameters": {"shared_memory_region": "x"}}], "unknown parameter"),
    ):
        answer = post(client, "vae", *body(keys((1, 1)), True, outputs=outputs))
        assert answer.status_code == 400 and message in answer.json()["error"], answer.text


def test_bad_raw_tensors(client: httpx.Client) -> None:
    content, headers = body(keys((1, 2), (3, 4)), True)
    size = int(headers[HEADER])
    labels, labels_headers = body(keys((1, 2)) | {"label": ["Bag"]}, True)
    for sent, length, message in (
        (content, str(len(content) + 1), f"{HEADER}: expected at most the body's"),
        (content, "-1", f"{HEADER}: expected at most"),
        (content, "²", f"{HEADER}: expected at most"),
        (content, "1e3", f"{HEADER}: expected at most"),
        (content, str(size - 1), "the body is no JSON"),
        (content, "0", "the body is no JSON"),
        (content[:-1], str(size), 'input "index": binary_data_size: expected at most the 15'),
        (content + b"\0", str(size), "the body: 1 bytes belong to no input"),
        (labels[:-1] + b"\xff", labels_headers[HEADER], "input label: expected texts of UTF-8"),
        (labels[:-7] + bytes(7), labels_headers[HEADER], "input label: expected 1 elements"),
    ):
        name = "cgan" if message.startswith("input label") else "vae"
        answer = post(client, name, sent, {HEADER: length})
        assert answer.status_code == 400 and message in answer.json()["error"], answer.text


def test_every_error_is_json(client: httpx.Client) -> None:
    json_type = {"Content-Type": "application/json"}
    url = "/v2/models/vae/infer"
    content, headers = body(keys((1, 1)), True)
    cases: list[tuple[httpx.Response, int]] = [
        (client.get("/v2/nothing"), 404),
        (client.get("/v2/models/nothing"), 404),
        (client.get("/v2/models/vae/nothing"), 404),
        (client.get("/v2/models/vae/versions/2"), 404),
        (client.get("/v2/models/vae/versions/2/ready"), 404),
        (client.get("/v2/models/nothing/config"), 404),
        (client.get("/v2/models/nothing/stats"), 404),
        (client.post("/v2/models/nothing/infer", content=content, headers=headers), 404),
        (client.post("/v2/models/vae/versions/2/infer", content=content, headers=headers), 404),
        (client.post("/v2/repository/models/vae/load"), 404),
        (client.get(url), 405),
        (client.delete(url), 405),
        (client.post("/v2"), 405),
        (client.get("/v2/repository/index"), 405),
        (client.post(url, content=b"", headers=json_type), 400),
        (client.post(url, content=b"\xff", headers=json_type), 400),
        (client.post(url, content=b"[" * 100_000, headers=json_type), 400),
        (client.post(url, content=b"9" * 100_000, headers=json_type), 400),
        (client.post(url, content=b" " * (2**24 + 1), headers=json_type), 413),
        (client.post(url, content=(b" " * 10_000 for _ in range(2000)), headers=json_type), 413),
    ]
    for answer, status in cases:
        assert answer.status_code == status, answer.text
        assert list(answer.json()) == ["error"] and isinstance(answer.json()["error"], str)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_timeout_is_obeyed(client: httpx.Client) -> None:
    """While many images are computed, a request that would wait for longer is given up."""
    rows = np.zeros((3000, 2), np.uint64)
    content, headers = body({"seed": rows[:, :1], "index": rows[:, 1:]}, True, True)
    with ThreadPoolExecutor(1) as threads:
        work = threads.submit(post, client, "stylegan", content, headers)
        while metrics(client)["zoo_waiting_images", ("stylegan",)] == 0:
            time.sleep(0.01)
        late = post(client, "stylegan", *body(keys((1, 1)), True, parameters={"timeout": 1}))
        assert late.status_code == 503 and "deadline" in late.json()["error"]
        assert work.result().status_code == 200


def test_a_client_that_goes_away_stops_its_work(
    client: httpx.Client, local: dict[str, Generator]
) -> None:
    before = metrics(client)
    rows = np.arange(40000, dtype=np.uint64).reshape(-1, 2)
    content, headers = body({"seed": rows[:, :1], "index": rows[:, 1:]}, True, True)
    with pytest.raises(httpx.ReadTimeout):
        client.post("/v2/models/stylegan/infer", content=content, headers=headers, timeout=0.3)
    for _ in range(100):
        after = metrics(client)
        if after["zoo_waiting_images", ("stylegan",)] == 0:
            break
        time.sleep(0.05)
    name = "zoo_cancelled_requests_total", ("stylegan",)
    assert after[name] == before[name] + 1
    images = "zoo_images_total", ("stylegan",)
    assert after[images] - before[images] < 20000
    _, answer = infer(client, "stylegan", keys((1, 1)))
    assert np.array_equal(answer, local["stylegan"].sample(1, 1, 1))


def test_a_key(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("a secret\n")
    with serving("--engine", "vae", "--key-file", str(key)) as (client, _):
        assert client.get("/v2/health/live").status_code == 200
        assert client.get("/v2/health/ready").status_code == 200
        content, headers = body(keys((1, 1)), True)
        answer = post(client, "vae", content, headers)
        assert answer.status_code == 401 and list(answer.json()) == ["error"]
        headers["Authorization"] = "Bearer a secret"
        assert post(client, "vae", content, headers).status_code == 200
