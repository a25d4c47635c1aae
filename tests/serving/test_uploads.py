"""Bodies that clients send: hostile pictures, arrays and parts, and clients that go away."""

from __future__ import annotations

import base64
import io
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from services import metrics, serving
from zoo.images import png

RECONSTRUCT, DECODE = "/v1/models/vae/reconstruct", "/v1/models/vae/decode"
TRANSLATE = "/v1/models/denoising-ae/translate"
GREY = np.random.default_rng(0).integers(0, 256, (28, 28, 1), np.uint8)
PNG = png.encode(GREY)
TEXT = base64.b64encode(PNG).decode()


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    engines = ("--engine", "vae", "--engine", "denoising-ae", "--engine", "inpainting-ae")
    with serving(*engines, "--most", "2000", "--body", str(2**20)) as (client, _):
        yield client


def saved(format: str, size: tuple[int, int] = (28, 28), **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new("L", size).save(file, format=format, **options)
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def png_that_says(width: int, height: int, rows: bytes = b"") -> bytes:
    """Return a small PNG file whose header announces this size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def npy_that_says(shape: str, descr: str = "'|u1'", content: bytes = b"") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


def pickled() -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([{"a": 1}], object), allow_pickle=True)
    return file.getvalue()


def saved_array(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


JPEG = saved("JPEG")
ARRAY = "application/x-npy"

PICTURES = [
    (b"not a picture", "image/png", 400, "images: expected a picture of PNG, JPEG, GIF or BMP"),
    (PNG[:60], "image/png", 400, "images"),
    (PNG[:-200], "image/png", 400, "images"),
    (JPEG[:200], "image/jpeg", 400, "images"),
    (saved("TIFF"), "image/png", 400, "images: expected a picture of PNG"),
    (saved("WEBP"), "image/jpeg", 400, "images: expected a picture of PNG"),
    (b"%!PS-Adobe-3.0 EPSF-3.0\n", "image/png", 400, "images: expected a picture of PNG"),
    (PNG, "image/webp", 415, "expected a body of application/json, image/png, image/jpeg"),
    (PNG, "image/svg+xml", 415, "expected a body of"),
    (PNG, "application/octet-stream", 415, 'got "application/octet-stream"'),
    (PNG, "text/plain", 415, "expected a body of"),
    (saved("PNG", (29, 28)), "image/png", 400, "images: expected 28×28 pixels, mode L; got 29×28"),
    (png_that_says(2**31 - 1, 2**31 - 1), "image/png", 400, "could be decompression bomb"),
    (png_that_says(20000, 28), "image/png", 413, "got 20000×28"),
    (png_that_says(10000, 10000), "image/png", 413, "got 10000×10000"),
    (JPEG[:-2] + b"\xff\xda" * 200 + JPEG[-2:], "image/jpeg", 413, "at most 100 scans"),
    (b"\x93NUMPY", "image/png", 400, "the body is no file of the type image/png"),
]

ARRAYS = [
    (PNG, "the body is no file of the type application/x-npy"),
    (b"", "images: expected a value, got none"),
    (pickled(), "Python objects, which are never read"),
    (npy_that_says(f"({10**12}, 28, 28, 1)"), "is shorter than its header says"),
    (npy_that_says(f"({10**30}, 28, 28, 1)"), "images"),
    (npy_that_says("(-1, 28, 28, 1)"), "images"),
    (npy_that_says("(1, 28, 28, 1)", content=b"\0" * 783), "is shorter than its header says"),
    (npy_that_says("(1, 28, 28, 1)", content=b"\0" * 785), "is longer than its header says"),
    (npy_that_says("(1, 28, 28, 1)", "__import__('os')"), "its header is not that of an array"),
    (npy_that_says("(0, 28, 28, 1)"), "images: expected [n, 28, 28, 1]"),
    (npy_that_says("()", content=b"\0"), "images: expected [n, 28, 28, 1]"),
    (npy_that_says("(2, 28)", "'<c16'", b"\0" * 896), "images"),
    (npy_that_says("(28, 28)", "'<i8'", b"\0" * 6272), "uint8 or floats in [0, 1]"),
    (saved_array(np.full((28, 28), np.nan)), "not finite"),
    (saved_array(np.full((28, 28), 1.5)), "in [1.5, 1.5]"),
    (saved_array(np.zeros((2, 27, 28, 1), np.uint8)), "images: expected [n, 28, 28, 1]"),
]

JSON = [
    (RECONSTRUCT, {}, "images: expected a value, got none"),
    (RECONSTRUCT, {"images": []}, "images: expected pictures, got none"),
    (RECONSTRUCT, {"images": [""]}, "images: expected a picture, got no bytes"),
    (RECONSTRUCT, {"images": ["*"]}, "images: expected a picture in base64"),
    (RECONSTRUCT, {"images": TEXT[:-3]}, "images: expected a picture in base64"),
    (RECONSTRUCT, {"images": [TEXT, 7]}, "images: expected a picture in base64, got 7"),
    (RECONSTRUCT, {"images": "/etc/passwd"}, "images"),
    (RECONSTRUCT, {"images": "http://127.0.0.1/a.png"}, "images: expected a picture in base64"),
    (RECONSTRUCT, {"images": {"path": "/etc/passwd"}}, "images: expected a picture in base64"),
    (RECONSTRUCT, {"images": TEXT, "resize": "yes"}, "resize: expected true or false"),
    (RECONSTRUCT, {"images": TEXT, "format": "json"}, "format: expected png, grid, npy"),
    (DECODE, {}, "latents: expected a value, got none"),
    (DECODE, {"latents": []}, "latents: expected a latent, or rows of latents"),
    (DECODE, {"latents": [[1.0] * 31]}, "latents: expected shape (any, 32), got (1, 31)"),
    (DECODE, {"latents": [[1.0, 2.0], [1.0]]}, "latents: expected rows of numbers, all as long"),
    (DECODE, {"latents": [1e39] * 32}, "latents: expected finite numbers of 32 bits"),
    (DECODE, {"latents": [True] * 32}, "latents: expected a latent"),
    (DECODE, {"latents": ["1"] * 32}, "latents: expected a latent"),
    (DECODE, {"latents": [None] * 32}, "latents: expected a latent"),
    (DECODE, {"latents": [[[1.0]]]}, "latents: expected a latent"),
    (DECODE, {"latents": [[0.0] * 32] * 2001}, "expected at most 2000 images, got 2001"),
    (DECODE, {"latents": [0.0] * 32, "labels": "1"}, "labels: expected none"),
    ("/v1/models/vae/interpolate", {"points": ["seed:1"]}, "points: expected at least two"),
    ("/v1/models/vae/interpolate", {}, "points: expected seed:K, sample:I or a latent, got none"),
    ("/v1/models/vae/interpolate", {"points": ["seed:1", "latent:/etc/passwd"]}, "points: "),
    ("/v1/models/vae/interpolate", {"points": ["seed:1", "/etc/passwd"]}, "points: expected"),
    (
        "/v1/models/vae/interpolate",
        {"points": ["seed:1", f"seed:{2**64}"]},
        "expected seed:K with K",
    ),
    (
        "/v1/models/vae/interpolate",
        {"points": ["seed:1", [0.0] * 31]},
        "points: expected latents of 32",
    ),
    (
        "/v1/models/vae/interpolate",
        {"points": ["seed:1"] * 3, "steps": 1000},
        "at most 2000 images",
    ),
    (
        "/v1/models/vae/interpolate",
        {"points": ["seed:1"] * 1025},
        "points: expected a list of 1 to",
    ),
    ("/v1/models/vae/interpolate", {"points": ["seed:1"] * 2, "mode": "cubic"}, "mode: expected"),
    ("/v1/models/vae/interpolate", {"points": ["seed:1"] * 2, "label": 1}, "labels: expected none"),
    (TRANSLATE, {"images": TEXT, "to": "Smiling"}, "to: denoising-ae does not translate between"),
    (TRANSLATE, {"images": TEXT, "corrupt": "fire:1"}, "corruption 'fire:1': expected gaussian:S"),
    (TRANSLATE, {"images": TEXT, "corrupt": "holes"}, "corruption holes: denoising-ae"),
    (TRANSLATE, {"images": TEXT, "masks": TEXT}, "mask: denoising-ae"),
    (TRANSLATE, {"images": TEXT, "grey": True}, "grey: expected an engine"),
    (TRANSLATE, {"images": TEXT, "first": 2**64 - 1, "seed": -1}, "seed: expected an integer"),
    ("/v1/models/inpainting-ae/translate", {"images": TEXT}, "opaque pictures need masks, or"),
    (
        "/v1/models/inpainting-ae/translate",
        {"images": [TEXT] * 3, "masks": [TEXT] * 2, "resize": True},
        "masks: expected 1 or n = 3, got 2",
    ),
]


def check(answer: httpx.Response, status: int, message: str) -> None:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert message in error and "\n" not in error and len(error) < 500, error
    assert "/work" not in error and "site-packages" not in error
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("case", range(len(PICTURES)))
def test_bad_pictures(client: httpx.Client, case: int) -> None:
    content, kind, status, message = PICTURES[case]
    headers = {"Content-Type": kind}
    check(client.post(RECONSTRUCT, content=content, headers=headers), status, message)
    if status == 413:
        again = client.post(f"{RECONSTRUCT}?resize=true", content=content, headers=headers)
        check(again, status, message)


def test_bad_arrays(client: httpx.Client) -> None:
    for content, message in ARRAYS:
        headers = {"Content-Type": ARRAY}
        check(client.post(RECONSTRUCT, content=content, headers=headers), 400, message)
    for values in (np.zeros((2, 31)), np.zeros((2, 32), complex), np.full((2, 32), np.inf)):
        answer = client.post(DECODE, content=saved_array(values), headers={"Content-Type": ARRAY})
        check(answer, 400, "latents: expected")
    answer = client.post(DECODE, content=pickled(), headers={"Content-Type": ARRAY})
    check(answer, 400, "which are never read")


def test_bad_values_of_json(client: httpx.Client) -> None:
    for path, values, message in JSON:
        check(client.post(path, json=values), 400, message)
    for content in (b'{"latents": [NaN]}', b'{"latents": [Infinity, 1]}'):
        answer = client.post(DECODE, content=content, headers={"Content-Type": "application/json"})
        check(answer, 400, "latents: expected finite numbers")
    many = {"images": [TEXT[:0] or "AAAA"] * 2001}
    check(client.post(RECONSTRUCT, json=many), 413, "images: expected at most 2000 images")
    check(client.get(f"{DECODE}?latents=1,x"), 400, "latents: expected rows of numbers")
    check(client.get(f"{DECODE}?latents=nan"), 400, "latents: expected finite numbers")
    check(client.get("/v1/models/vae/interpolate?images=AAAA"), 400, "not in the query")


def test_bad_parts(client: httpx.Client) -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    part = b'--b\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n'
    for content, headers, message in (
        (part + PNG + b"\r\n--b--", {"Content-Type": "multipart/form-data"}, "Missing boundary"),
        (b"--c\r\n", kind, "the body: "),
        (b"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--", kind, '"name" must be'),
        ((part + b"1\r\n") * 1100 + b"--b--\r\n", kind, "Too many files"),
    ):
        check(client.post(RECONSTRUCT, content=content, headers=headers), 400, message)
    twice = {"files": {"images": PNG}, "data": {"resize": "true"}}
    check(client.post(f"{RECONSTRUCT}?resize=true", **twice), 400, "expected one value")
    check(client.post(RECONSTRUCT, files={"picture": PNG}), 400, 'unknown parameter "picture"')
    check(client.post(RECONSTRUCT, files={"images": b""}), 400, "images: expected a picture")
    check(client.post(DECODE, files={"seed": PNG}), 400, "latents: expected a value")
    assert client.post(RECONSTRUCT, files={"images": PNG}).status_code == 200


def test_bodies_are_limited(client: httpx.Client) -> None:
    large = b"\0" * (2**20 + 1)
    check(client.post(RECONSTRUCT, content=large, headers={"Content-Type": ARRAY}), 413, "1048576")
    pieces = (large[:1000] for _ in range(1100))
    check(client.post(RECONSTRUCT, content=pieces, headers={"Content-Type": ARRAY}), 413, "1048576")


def test_bodies_that_end_early(client: httpx.Client) -> None:
    host, port = str(client.base_url.host), int(client.base_url.port or 0)
    for kind in (ARRAY, "application/json", "multipart/form-data; boundary=b"):
        head = f"POST {RECONSTRUCT} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\n"
        with socket.create_connection((host, port)) as connection:
            connection.sendall(f"{head}Content-Length: 1000\r\n\r\n--b".encode())
    key = "zoo_requests_total", ("/v1/models/{name}/reconstruct", "499")
    for _ in range(100):
        if metrics(client).get(key, 0) == 3:
            break
        time.sleep(0.05)
    assert metrics(client)[key] == 3
    assert client.post(RECONSTRUCT, files={"images": PNG}).status_code == 200


def test_what_is_refused_is_never_decoded(client: httpx.Client) -> None:
    """Flat pictures of few bytes and many pixels: each may be decoded, but not all of a request."""
    flat = png.encode(np.zeros((4000, 4000, 1), np.uint8))
    assert len(flat) < 2**17
    parts = [("images", (f"{i}", flat)) for i in range(5)]
    before = metrics(client)["zoo_pooled_images_total", ("vae",)]
    check(client.post(f"{RECONSTRUCT}?resize=true", files=parts), 413, "pixels together")
    assert client.post(f"{RECONSTRUCT}?resize=true", files=parts[:1]).status_code == 200
    assert metrics(client)["zoo_pooled_images_total", ("vae",)] - before == 7


def test_a_client_that_goes_away_stops_its_work() -> None:
    images = saved_array(np.zeros((5000, 64, 64, 3), np.uint8))
    sent = {"content": images, "headers": {"Content-Type": ARRAY}}
    options = ("--instances", "1", "--body", str(2**26))
    with serving("--engine", "inpainting-ae", *options) as (client, _):
        url = "/v1/models/inpainting-ae/translate?corrupt=holes&format=npz"
        with pytest.raises(httpx.ReadTimeout):
            client.post(url, **sent, timeout=httpx.Timeout(30, read=0.2))
        for _ in range(100):
            after = metrics(client)
            if after["zoo_cancelled_requests_total", ("inpainting-ae",)]:
                break
            time.sleep(0.05)
        assert after["zoo_cancelled_requests_total", ("inpainting-ae",)] == 1
        assert after["zoo_pooled_images_total", ("inpainting-ae",)] < 5000
        assert after["zoo_waiting_images", ("inpainting-ae",)] == 0
        small = {"images": [TEXT] * 3, "corrupt": "holes", "resize": True}
        assert client.post(url.partition("?")[0], json=small).status_code == 200


@pytest.mark.parametrize(
    ("option", "value", "status", "name"),
    [("queue", "150", 429, "rejected"), ("timeout", "0.2", 503, "expired")],
)
def test_too_many_pictures_wait_or_wait_too_long(
    option: str, value: str, status: int, name: str
) -> None:
    images = saved_array(np.zeros((64, 64, 64, 3), np.uint8))
    sent = {"content": images, "headers": {"Content-Type": ARRAY}}
    url = "/v1/models/inpainting-ae/translate?corrupt=holes&format=raw"
    options = ("--engine", "inpainting-ae", f"--{option}", value)
    with serving(*options) as (client, _), ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda _: client.post(url, **sent), range(36)))
        refused = [answer for answer in answers if answer.status_code != 200]
        assert 0 < len(refused) < 36
        assert {answer.status_code for answer in refused} == {status}
        assert {answer.headers["Retry-After"] for answer in refused} == {"1"}
        after = metrics(client)
        assert after[f"zoo_{name}_requests_total", ("inpainting-ae",)] == len(refused)
        assert after["zoo_waiting_images", ("inpainting-ae",)] == 0
