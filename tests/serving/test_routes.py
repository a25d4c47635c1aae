"""What the routes of models answer, against the Python API and the commands in this process."""

from __future__ import annotations

import base64
import email
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from runtime import Classifier, Encoder, Generator, Translator, noise
from services import engine_options, serving
from zoo import corruption, engine_path
from zoo.applications.domains import DomainTranslator
from zoo.applications.edits import edit_images
from zoo.applications.interpolation import interpolate_images
from zoo.applications.mixing import mix_styles
from zoo.applications.translation import translate_images
from zoo.data.domains import read_domains
from zoo.images import png
from zoo.inference.inputs import Selection
from zoo.inference.latents import reconstruct

ENGINES = (
    *("vae", "cgan", "stylegan", "linear-ae", "vae-faces", "vae.encoder"),
    *("denoising-ae", "inpainting-ae", "colorization-ae", "pix2pix-edges", "stargan"),
)

Images = np.ndarray


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with serving(*engine_options(ENGINES), "--most", "5000") as (client, _):
        yield client


@pytest.fixture(scope="module")
def garments() -> Images:
    """Images of the shape that the models of garments take."""
    with Generator(engine_path("vae.onnx")) as generator:
        return generator.sample(5, seed=8)


@pytest.fixture(scope="module")
def faces() -> Images:
    with Generator(engine_path("vae-faces.onnx")) as generator:
        return generator.sample(3, seed=8)


def array(answer: httpx.Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.load(io.BytesIO(answer.content))


def npy(values: np.ndarray) -> dict[str, Any]:
    file = io.BytesIO()
    np.save(file, values)
    return {"content": file.getvalue(), "headers": {"Content-Type": "application/x-npy"}}


def encoded(images: Images) -> list[str]:
    return [base64.b64encode(png.encode(image)).decode() for image in images]


def get(client: httpx.Client, path: str, **values: Any) -> np.ndarray:
    return array(client.get(f"/v1/models/{path}", params={**values, "format": "npy"}))


def post(client: httpx.Client, path: str, **values: Any) -> np.ndarray:
    return array(client.post(f"/v1/models/{path}", json={**values, "format": "npy"}))


def test_interpolate(client: httpx.Client, tmp_path: Path) -> None:
    for mode in ("linear", "spherical"):
        file = tmp_path / f"{mode}.npy"
        interpolate_images("seed:1", "sample:4", "vae", steps=6, mode=mode, seed=3, out=str(file))
        values = {"points": "seed:1,sample:4", "steps": 6, "mode": mode, "seed": 3}
        assert np.array_equal(get(client, "vae/interpolate", **values), np.load(file))
    with Generator(engine_path("stylegan.onnx")) as generator:
        a, b, c = noise.normals(9, 0, 3, generator.latent_width)
        one, two = (generator.interpolate(*ends, 3, truncation=0.5) for ends in ((a, b), (b, c)))
    points = [a.tolist(), b.tolist(), "sample:2"]
    values = {"points": points, "steps": 3, "seed": 9, "truncation": 0.5}
    assert np.array_equal(
        post(client, "stylegan/interpolate", **values), np.concatenate([one[:-1], two])
    )
    with Generator(engine_path("cgan.onnx")) as generator:
        ends = noise.normals(1, 0, 1, generator.latent_width)[0], np.zeros(generator.latent_width)
        for label, own in ((None, 0), ("Bag", "Bag"), (3, 3)):
            values = {"points": ["seed:1", ends[1].tolist()], "steps": 2, "label": label}
            expected = generator.interpolate(*ends, 2, labels=own)
            assert np.array_equal(post(client, "cgan/interpolate", **values), expected)


def test_interpolate_between_pictures(client: httpx.Client, garments: Images) -> None:
    with (
        Generator(engine_path("vae.onnx")) as generator,
        Encoder(engine_path("vae.encoder.onnx")) as encoder,
    ):
        expected = generator.interpolate(*encoder.embed(garments[:2]), 5)
    values = {"images": encoded(garments[:2]), "steps": 5}
    assert np.array_equal(post(client, "vae/interpolate", **values), expected)


def test_decode(client: httpx.Client) -> None:
    for name, options in (
        ("vae", {}),
        ("linear-ae", {}),
        ("cgan", {}),
        ("cgan", {"labels": ["Bag"] * 300 + [1] * 300}),
        ("stylegan", {"seed": 5, "first": 2, "truncation": 0.7}),
        ("stylegan", {}),
    ):
        with Generator(engine_path(f"{name}.onnx")) as generator:
            latents = noise.normals(2, 0, 600, generator.latent_width)
            latents = latents if "labels" in options else latents[:300]
            expected = generator.decode(latents, **options)
        query = {key: value for key, value in options.items() if key != "labels"}
        if "labels" in options:
            answer = post(client, f"{name}/decode", latents=latents.tolist(), **options)
        else:
            url = f"/v1/models/{name}/decode"
            answer = array(client.post(url, params={**query, "format": "npy"}, **npy(latents)))
        assert np.array_equal(answer, expected)
        text = ";".join(",".join(map(str, row)) for row in latents[:2].tolist())
        few = get(client, f"{name}/decode", latents=text, **query)
        if "labels" not in options:
            assert np.array_equal(few, expected[:2])


def test_encode(client: httpx.Client, garments: Images) -> None:
    url = "/v1/models/vae/encode"
    with Encoder(engine_path("vae.encoder.onnx")) as encoder:
        mu, logvar = encoder.encode(garments)
    document = client.post(url, json={"images": encoded(garments)}).json()
    assert np.array_equal(np.array(document["latents"], np.float32), mu)
    assert np.array_equal(np.array(document["logvar"], np.float32), logvar)
    assert np.array_equal(array(client.post(url, params={"format": "npy"}, **npy(garments))), mu)
    archive = array(client.post(url, params={"format": "npz"}, **npy(garments)))
    assert np.array_equal(archive["latents"], mu) and np.array_equal(archive["logvar"], logvar)
    alone = client.post("/v1/models/vae.encoder/encode", params={"format": "npy"}, **npy(garments))
    assert np.array_equal(array(alone), mu)
    raw = client.post(url, params={"format": "raw"}, **npy(garments))
    assert raw.content == mu.tobytes() and raw.headers["X-Zoo-Shape"] == f"5,{mu.shape[1]}"
    plain = client.post("/v1/models/linear-ae/encode", json={"images": encoded(garments)}).json()
    assert plain["logvar"] is None and len(plain["latents"]) == 5
    # What encode answers is what decode takes.
    with Generator(engine_path("vae.onnx")) as generator:
        images = post(client, "vae/decode", latents=document["latents"])
        assert np.array_equal(images, generator.decode(mu))


def test_reconstruct(client: httpx.Client, garments: Images) -> None:
    many = np.tile(garments, (60, 1, 1, 1))
    for name in ("vae", "linear-ae"):
        with (
            Generator(engine_path(f"{name}.onnx")) as generator,
            Encoder(engine_path(f"{name}.encoder.onnx")) as encoder,
        ):
            expected = reconstruct(encoder, generator, many)
        url = f"/v1/models/{name}/reconstruct"
        assert np.array_equal(
            array(client.post(url, params={"format": "npy"}, **npy(many))), expected
        )


def test_all_kinds_of_bodies_hold_the_same_pictures(client: httpx.Client, garments: Images) -> None:
    url = "/v1/models/vae/reconstruct"
    file = png.encode(garments[0])
    query = {"params": {"format": "raw"}}
    one = client.post(url, **query, content=file, headers={"Content-Type": "image/png"})
    assert one.status_code == 200, one.text
    text = base64.b64encode(file).decode()
    for document in (text, [text], f"data:image/png;base64,{text}"):
        assert client.post(url, **query, json={"images": document}).content == one.content
    assert client.post(url, **query, **npy(garments[:1])).content == one.content
    assert client.post(url, **query, **npy(garments[0, :, :, 0])).content == one.content
    parts = [
        ("images", ("a.png", file, "image/png")),
        ("images", ("b.npy", npy(garments)["content"])),
    ]
    both = client.post(url, data={"format": "npy"}, files=parts)
    assert array(both).shape[0] == 6 and array(both)[0].tobytes() == one.content
    assert np.array_equal(array(both)[0], array(both)[1])


@pytest.mark.parametrize("format", ["JPEG", "GIF", "BMP"])
def test_pictures_of_another_size_are_converted_as_the_commands_do(
    client: httpx.Client, tmp_path: Path, format: str
) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (90, 60, 3), np.uint8)
    file = tmp_path / f"a.{format.lower()}"
    Image.fromarray(levels).save(file, format=format)
    out = tmp_path / "out.npy"
    edit_images([str(file)], "vae-faces", add=[f"{attribute(client)}=1"], resize=True, out=str(out))
    values = {"add": f"{attribute(client)}=1", "resize": "true", "format": "npy"}
    kind = {"Content-Type": f"image/{format.lower()}"}
    url = "/v1/models/vae-faces/edit"
    answer = client.post(url, params=values, content=file.read_bytes(), headers=kind)
    assert np.array_equal(array(answer), np.load(out))
    del values["resize"]
    answer = client.post(url, params=values, content=file.read_bytes(), headers=kind)
    assert answer.status_code == 400
    assert "expected 64×64 pixels" in answer.json()["error"]
    assert "(resize converts it)" in answer.json()["error"]


def attribute(client: httpx.Client, index: int = 0) -> str:
    return str(client.get("/v1/models/vae-faces").json()["attributes"][index])


def test_the_first_frame_of_an_animation_is_taken(client: httpx.Client, garments: Images) -> None:
    frames = [Image.fromarray(image[:, :, 0]) for image in garments[:3]]
    url, query = "/v1/models/vae/reconstruct", {"params": {"format": "raw"}}
    sent = {"content": png.encode(garments[0]), "headers": {"Content-Type": "image/png"}}
    expected = client.post(url, **query, **sent).content
    for format in ("PNG", "GIF"):
        file = io.BytesIO()
        frames[0].save(file, format=format, save_all=True, append_images=frames[1:])
        answer = client.post(
            url, params={"format": "raw", "resize": "true"}, files={"images": file}
        )
        assert answer.content == expected, format


def test_edit(client: httpx.Client, faces: Images, tmp_path: Path) -> None:
    first, second, third = (attribute(client, index) for index in range(3))
    file, out = tmp_path / "faces.npy", tmp_path / "out.npy"
    np.save(file, faces)
    for options, values in (
        ({"add": [f"{first}=1.5"]}, {"add": {first: 1.5}}),
        ({"add": [f"{first}=1.5"], "steps": 3}, {"add": f"{first}=1.5", "steps": 3}),
        (
            {"strip": [second, third], "add": [f"{first}=-1"], "low": -1.0, "steps": 2},
            {"strip": [second, third], "add": {first: -1}, "low": -1, "steps": 2},
        ),
        ({"strip": [second]}, {"strip": second}),
    ):
        sources = ["seed:4", "sample:2", str(file)]
        edit_images(sources, "vae-faces", seed=9, out=str(out), **options)
        values = {**values, "points": ["seed:4", "sample:2"], "images": encoded(faces), "seed": 9}
        assert np.array_equal(post(client, "vae-faces/edit", **values), np.load(out))
    values = {"points": "seed:4", "add": f"{first}=1.5"}
    edit_images(["seed:4"], "vae-faces", add=[f"{first}=1.5"], out=str(out))
    assert np.array_equal(get(client, "vae-faces/edit", **values), np.load(out))


def test_mix(client: httpx.Client, tmp_path: Path) -> None:
    out = tmp_path / "out.npy"
    across, down = ["sample:1", "seed:8"], ["sample:3", "sample:4", "sample:5"]
    for bands, psi in ((None, None), ("coarse,fine", 0.6)):
        mix_styles("stylegan", across, down, bands=bands, seed=2, truncation=psi, out=str(out))
        values = {"across": across, "down": down, "seed": 2, "truncation": psi}
        values["bands"] = bands and bands.split(",")
        expected = np.load(out)
        answer = post(client, "stylegan/mix", **values)
        assert np.array_equal(answer, expected.reshape(-1, *expected.shape[3:]))
    query = {"across": ",".join(across), "down": ",".join(down), "seed": 2, "layers": "0,1,2,3"}
    coarse = get(client, "stylegan/mix", **{**query, "layers": "3,0,1,2"})
    bands = get(client, "stylegan/mix", across=query["across"], down=query["down"], seed=2)
    assert np.array_equal(coarse, bands[:6])
    every = ",".join(map(str, range(client.get("/v1/models/stylegan").json()["styles"])))
    all_of_b = get(client, "stylegan/mix", **{**query, "layers": every})
    assert np.array_equal(all_of_b[0], all_of_b[2])


def test_translate(client: httpx.Client, garments: Images, tmp_path: Path) -> None:
    file, mask, out = (tmp_path / name for name in ("a.npy", "mask.png", "out.npy"))
    hidden = np.zeros((64, 64, 1), np.uint8)
    hidden[5:15, 8:40] = 255
    mask.write_bytes(png.encode(hidden))
    colours = np.random.default_rng(1).integers(0, 256, (3, 64, 64, 3), np.uint8)
    for name, images, options in (
        ("denoising-ae", garments, {}),
        ("denoising-ae", garments, {"corrupt": "gaussian:0.1-0.4", "seed": 3}),
        ("inpainting-ae", None, {"corrupt": "holes", "seed": 7}),
        ("inpainting-ae", None, {"mask": str(mask)}),
        ("colorization-ae", None, {"grey": True}),
        ("pix2pix-edges", None, {"edges": True, "seed": 3}),
    ):
        if images is None:
            images = colours
        np.save(file, images)
        translate_images(Selection((str(file),)), name, out=str(out), **options)
        values = {**options, "images": encoded(images)}
        if "mask" in values:
            values["masks"] = base64.b64encode(mask.read_bytes()).decode()
            del values["mask"]
        answer = post(client, f"{name}/translate", **values)
        assert np.array_equal(answer, np.load(out)), (name, options)
    # The run may be divided: picture i of a seed is damaged alike.
    values = {"corrupt": "gaussian:0.1-0.4", "seed": 3, "images": encoded(garments[2:])}
    damaged = corruption.parse("gaussian:0.1-0.4").apply(garments[2:], 3, 2)
    with Translator(engine_path("denoising-ae.onnx")) as translator:
        expected = translator.translate(damaged)
    assert np.array_equal(post(client, "denoising-ae/translate", first=2, **values), expected)


def test_translate_between_domains(client: httpx.Client) -> None:
    described = client.get("/v1/models/stargan").json()
    shape = tuple(described["image"].values())
    images = np.random.default_rng(2).integers(0, 256, (300, *shape), np.uint8)[:, :, :, :3]
    with (
        Translator(engine_path("stargan.onnx")) as translator,
        Classifier(engine_path("stargan.classifier.onnx")) as classifier,
    ):
        domains = read_domains(translator)
        name = described["domains"][-1]
        assert described["domains"] == list(domains.names)
        own = DomainTranslator(translator, classifier, domains.parse(name))
        expected = own.translate(images)
    for route in ("translate", "edit"):
        url = f"/v1/models/stargan/{route}"
        answer = client.post(url, params={"to": name, "format": "npy"}, **npy(images))
        assert np.array_equal(array(answer), expected)


def test_multipart_answers(client: httpx.Client) -> None:
    url = "/v1/models/vae/sample?n=300&seed=4&first=7"
    answer = client.get(f"{url}&format=multipart")
    whole = client.get(f"{url}&format=raw").content
    head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
    parts = email.message_from_bytes(head + answer.content).get_payload()
    assert len(parts) == 300
    pixels = []
    for index, part in enumerate(parts):
        assert part.get_content_type() == "image/png"
        assert part["X-Zoo-Seed"] == "4" and part["X-Zoo-Index"] == str(7 + index)
        file = part.get_payload(decode=True)
        pixels.append(np.asarray(Image.open(io.BytesIO(file))).tobytes())
    assert b"".join(pixels) == whole
    assert client.get(f"{url}&format=multipart").content == answer.content


def test_caches_may_keep_what_is_asked_with_numbers(client: httpx.Client) -> None:
    name = attribute(client)
    urls = [
        "vae/interpolate?points=seed:1,seed:2",
        "vae/interpolate?points=seed:1,seed:3",
        "vae/interpolate?points=seed:1,seed:2&steps=9",
        "vae/interpolate?points=seed:1;" + ",".join(["0.5"] * 32),
        "vae/decode?latents=" + ",".join(["0.5"] * 32),
        "vae/decode?latents=" + ",".join(["0.25"] * 32),
        f"vae-faces/edit?points=seed:1&add={name}=1",
        "stylegan/mix?across=seed:1&down=seed:2",
        "stylegan/mix?across=seed:2&down=seed:1",
    ]
    tags = set()
    for url in urls:
        answer = client.get(f"/v1/models/{url}")
        assert answer.status_code == 200, answer.text
        assert "immutable" in answer.headers["Cache-Control"]
        tag = {"If-None-Match": answer.headers["ETag"]}
        assert client.get(f"/v1/models/{url}", headers=tag).status_code == 304
        tags.add(answer.headers["ETag"])
    assert len(tags) == len(urls)


def test_models_say_their_routes(client: httpx.Client) -> None:
    models = {model["name"]: model for model in client.get("/v1/models").json()["models"]}
    routes = {name: set(model["routes"]) for name, model in models.items()}
    decoding = {"interpolate", "decode"}
    encoding = {"encode", "reconstruct"}
    assert routes["cgan"] == {"sample"} | decoding
    assert routes["vae"] >= {"sample"} | decoding | encoding
    assert routes["linear-ae"] == decoding | encoding
    assert routes["stylegan"] == {"sample", "edit", "mix"} | decoding
    assert routes["vae-faces"] == {"sample", "edit"} | decoding | encoding
    assert routes["vae.encoder"] == {"encode"}
    assert routes["denoising-ae"] == {"translate"}
    assert routes["stargan"] == {"translate", "edit"}
    for name, known in routes.items():
        for route in set.union(*routes.values()) - known:
            answer = client.post(f"/v1/models/{name}/{route}", json={})
            assert answer.status_code == 404
            error = answer.json()["error"]
            assert f"{name} has no route {route}, only " in error
            assert all(other in error for other in known)
    assert client.get("/v1/models/vae/encode").headers["Allow"] == "POST"
    assert client.get("/v1/models/vae/encode").status_code == 405
    assert models["inpainting-ae"]["input"]["alpha"] and models["inpainting-ae"]["task"]
    document = client.get("/openapi.json").json()["paths"]
    for name, known in routes.items():
        for route in known:
            path = document[f"/v1/models/{{name}}/{route}"]["post"]["parameters"][0]
            assert name in path["schema"]["enum"]


def test_many_clients_of_all_routes_get_their_own_answers(
    client: httpx.Client, garments: Images, faces: Images
) -> None:
    """Requests side by side are answered as one after the other."""
    few, coloured = npy(garments), {"images": encoded(faces), "format": "raw"}
    requests: list[tuple[str, dict[str, Any]]] = [
        ("vae/interpolate?points=seed:1,seed:2&steps=40&format=raw", {}),
        ("cgan/decode?format=raw", npy(noise.normals(1, 0, 70, 64))),
        ("vae/encode?format=raw", few),
        ("linear-ae/reconstruct?format=raw", few),
        ("denoising-ae/translate?corrupt=gaussian:0.3&seed=1&format=raw", few),
        ("denoising-ae/translate?corrupt=gaussian:0.3&seed=2&format=raw", few),
        ("vae-faces/edit", {"json": {**coloured, "strip": attribute(client)}}),
        ("stylegan/mix?across=seed:1,seed:2&down=seed:3,seed:4&format=raw", {}),
        ("stylegan/sample?n=20&seed=3&format=raw", {}),
    ]

    def ask(index: int) -> bytes:
        path, sent = requests[index]
        answer = client.post(f"/v1/models/{path}", **sent)
        assert answer.status_code == 200, answer.text
        return answer.content

    alone = [ask(index) for index in range(len(requests))]
    order = np.random.default_rng(3).integers(0, len(requests), 90).tolist()
    with ThreadPoolExecutor(12) as threads:
        assert list(threads.map(ask, order)) == [alone[index] for index in order]
