"""The page's modules, without a browser, against the runtime, NumPy and Pillow."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from javascript import evaluate
from runtime import Generator, manifest, noise
from zoo import corruption, engine_path, engines
from zoo.corruption.edges import edges
from zoo.data.domains import Domains
from zoo.web import PAGE

WORDS = [(0, 0), (7, 3), (2**64 - 3, 2**40 + 5), (2**63, 2**64 - 1)]


def manifests() -> dict[str, Any]:
    return {path.stem: manifest.read(path) for path in sorted(engines.WEIGHTS.glob("*.onnx"))}


@pytest.mark.parametrize(("seed", "sample"), WORDS)
def test_normals_are_those_of_the_runtime(seed: int, sample: int) -> None:
    body = "return noise.normals(BigInt(input.seed), BigInt(input.sample), 1001, input.stream);"
    for stream in (0, 65):
        got = evaluate(["noise"], body, seed=str(seed), sample=str(sample), stream=stream)
        expected = noise.normals(seed, sample, 1, 1001, stream)[0]
        np.testing.assert_allclose(got, expected, rtol=2e-6, atol=1e-6)


def test_philox_has_the_published_answers() -> None:
    ones = 2**32 - 1
    pi = [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344], [0xA4093822, 0x299F31D0]
    cases = [([0] * 4, [0] * 2), ([ones] * 4, [ones] * 2), pi]
    body = "return input.cases.map(([counter, key]) => noise.philox(counter, key));"
    assert evaluate(["noise"], body, cases=cases) == [
        [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8],
        [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ]


@pytest.mark.parametrize(("name", "prior"), [("vae", "normal"), ("vae", "mixture")])
def test_latents_of_samples_decode_to_them(name: str, prior: str) -> None:
    body = """
      const model = models.describeAll(input.manifests).get(input.name);
      return [0, 1, 2, 3].map((i) => latents.sampleLatent(model, 9n, 5n + BigInt(i), input.prior));
    """
    known = {name: manifest.read(engine_path(name))}
    rows = evaluate(["models", "latents"], body, manifests=known, name=name, prior=prior)
    with Generator(engine_path(name), instances=1) as generator:
        expected = generator.sample(4, seed=9, first=5, prior=prior).astype(int)
        got = generator.decode(np.array(rows, np.float32)).astype(int)
    assert np.abs(got - expected).max() <= 1


def test_what_each_model_can_do() -> None:
    body = """
      const known = [...models.describeAll(input.manifests).values()];
      return Object.fromEntries(known.map((model) => [model.name, model.views]));
    """
    views = evaluate(["models"], body, manifests=manifests())
    assert views["vae"] == ["samples", "plane", "corners", "picture"]
    assert views["vae-faces"] == ["samples", "plane", "corners", "edit", "picture"]
    assert views["stylegan"] == ["samples", "plane", "corners", "edit", "mix", "picture"]
    assert views["cgan"] == ["samples", "plane", "corners", "edit", "picture"]
    assert views["linear-ae"] == ["plane", "corners", "picture"]
    assert views["stargan"] == views["inpainting-ae"] == ["picture"]
    assert not {"fashion-classifier", "vae.encoder"} & set(views) and len(views) > 20


def test_planes_and_corners_go_through_their_latents() -> None:
    body = """
      const model = models.describeAll(input.manifests).get("vae-faces");
      const four = [0n, 1n, 2n, 3n].map((index) => latents.sampleLatent(model, 1n, index));
      const point = latents.between(model, four);
      const plane = latents.plane(model, four[0], ["", "Smiling"], 1n, 0n, "normal");
      return { four, corners: [point(0, 0), point(1, 0), point(0, 1), point(1, 1)],
        middle: point(0.5, 0.5), plane: [plane(0, 0), plane(0, 2), plane(1.5, 0)] };
    """
    name = "vae-faces"
    known = {name: manifest.read(engine_path(name))}
    got = evaluate(["models", "latents"], body, manifests=known)
    four = np.array(got["four"])
    np.testing.assert_allclose(got["corners"], four, atol=1e-6)
    np.testing.assert_allclose(got["middle"], four.sum(0) / 2, atol=1e-6)
    smiling = np.array(known[name]["directions"]["Smiling"])
    across = (four[0] + 1.5 * four[1]) / np.hypot(1, 1.5)
    np.testing.assert_allclose(got["plane"], [four[0], four[0] + 2 * smiling, across], atol=1e-5)


def test_the_address_has_the_whole_state() -> None:
    body = """
      const changed = { ...state.defaults(), model: "stylegan", view: "edit", seed: 2n ** 64n - 1n,
        n: 25, label: 3, truncation: 0.7, index: 12n, x: -1.25, axes: ["Smiling", ""],
        corners: [5n, 6n, 7n, 9n], edits: { Smiling: 1.5, Red_Hair: -0.5 }, layers: "0110" };
      const text = state.encode(changed);
      const bad = "#seed=-1&n=9999&view=x&truncation=NaN&corners=1&edits=a:b&latent=%00&y=3&zzz=1";
      const latent = [0.5, -1.25, 3e-3];
      return { text, same: state.encode(state.decode("#" + text)) === text,
        empty: state.encode(state.defaults()), bad: state.encode(state.decode(bad)),
        latent: latents.unpack(latents.pack(latent), 3),
        wrong: [latents.unpack("AAAA", 3), latents.unpack("!", 3),
          latents.unpack("AADAfwAAwH8AAMB_", 3)] };
    """
    got = evaluate(["state", "latents"], body)
    assert got["same"] and got["empty"] == got["bad"] == ""
    assert "seed=18446744073709551615" in got["text"]
    np.testing.assert_allclose(got["latent"], [0.5, -1.25, 3e-3], rtol=1e-6)
    assert got["wrong"] == [None] * 3


def images_of(name: str, n: int) -> np.ndarray:
    with Generator(engine_path(name), instances=1) as generator:
        return generator.sample(n, seed=4)


def decode_gif(content: list[int]) -> np.ndarray:
    frames = []
    with Image.open(io.BytesIO(bytes(content))) as gif:
        assert gif.info["loop"] == 0
        for index in range(gif.n_frames):
            gif.seek(index)
            frames.append(np.asarray(gif.convert("RGB")))
    return np.stack(frames)


def encode_gif(images: np.ndarray) -> np.ndarray:
    body = """
      const frames = input.frames.map((frame) => Uint8ClampedArray.from(frame));
      return gif.encodeGif(frames, input.width, input.height, 100);
    """
    colours = np.repeat(images, 3, -1) if images.shape[-1] == 1 else images
    opaque = np.concatenate([colours, np.full_like(colours[..., :1], 255)], -1)
    _, height, width, _ = images.shape
    frames = opaque.reshape(len(images), -1).tolist()
    return decode_gif(evaluate(["gif"], body, frames=frames, width=width, height=height))


def test_a_gif_of_few_colours_is_exact() -> None:
    grey = np.concatenate([images_of("vae", 3)])
    np.testing.assert_array_equal(encode_gif(grey), np.repeat(grey, 3, -1))
    # Long enough to fill the table of codes several times.
    random = np.random.default_rng(0).integers(0, 256, (2, 120, 130, 1), np.uint8)
    np.testing.assert_array_equal(encode_gif(random), np.repeat(random, 3, -1))
    flat = np.zeros((2, 1, 1, 3), np.uint8)
    np.testing.assert_array_equal(encode_gif(flat), flat)


def test_a_gif_of_many_colours_is_close() -> None:
    faces = images_of("vae-faces", 4)
    got = encode_gif(faces).astype(int)
    assert np.abs(got - faces).mean() < 4
    assert np.sqrt(((got - faces) ** 2).mean()) < 8


@pytest.mark.parametrize("kind", ["gaussian:0.3", "salt-pepper:0.4", "masking:0.5"])
@pytest.mark.parametrize("name", ["vae", "vae-faces"])
def test_noise_is_that_of_the_commands(name: str, kind: str) -> None:
    image = images_of(name, 1)
    word, level = kind.split(":")
    expected = corruption.parse(kind).apply(image, seed=2**40)
    body = """
      const image = { ...input.image, data: Uint8Array.from(input.image.data) };
      return pictures.corrupt(image, input.kind, input.level, 1n << 40n).data;
    """
    got = evaluate(["pictures"], body, image=as_json(image), kind=word, level=float(level))
    different = np.array(got) != expected.ravel()
    # Noise at the very limit of a level.
    assert different.mean() < 0.001 and (
        word != "gaussian"
        or np.abs(np.array(got)[different] - expected.ravel()[different].astype(int)).max(initial=0)
        <= 1
    )


def as_json(image: np.ndarray) -> dict[str, Any]:
    count, height, width, channels = image.shape
    data = image.ravel().tolist()
    return {"count": count, "height": height, "width": width, "channels": channels, "data": data}


def test_edges_grey_levels_and_holes_are_those_of_the_commands() -> None:
    image = images_of("vae-faces", 1)
    body = """
      const image = { ...input.image, data: Uint8Array.from(input.image.data) };
      const mask = masks.defaultMask(64, 64);
      const text = masks.packMask(mask);
      return { edges: pictures.edges(image).data, grey: images.grey(image).data, mask,
        holes: pictures.withHoles(image, mask).data, unpacked: masks.unpackMask(text, 4096),
        wrong: [masks.unpackMask(text, 9), masks.unpackMask("?", 8)] };
    """
    got = evaluate(["pictures", "images", "masks"], body, image=as_json(image))
    np.testing.assert_array_equal(got["edges"], edges(image).ravel())
    np.testing.assert_array_equal(got["grey"], corruption.grey(image).ravel())
    known = np.where(np.reshape(got["mask"], (1, 64, 64, 1)), 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(got["holes"], corruption.with_alpha(image, known).ravel())
    assert got["unpacked"] == got["mask"] and got["wrong"] == [None, None]


def test_modules_import_only_one_another() -> None:
    """Nothing comes from elsewhere, so the page works offline."""
    names = {path.name for path in PAGE.iterdir()}
    for path in PAGE.glob("*.js"):
        lines = [
            line for line in path.read_text("utf-8").splitlines() if line.startswith("import ")
        ]
        sources = {line.split('"')[1].removeprefix("./") for line in lines if " from " in line}
        assert sources <= names, path.name
        assert "http:" not in path.read_text("utf-8") and "https:" not in path.read_text("utf-8")
        assert len(path.read_text("utf-8").splitlines()) < 300, path.name


def test_domains_are_those_of_the_commands() -> None:
    document = manifest.read(engine_path("stargan"))
    config = document["training"]["config"]
    groups = tuple(map(tuple, config["groups"]))
    known = Domains(tuple(document["condition"]["names"]), groups, config["hidden_by"])
    scores = np.random.default_rng(0).random((40, len(known.seen)))
    requests = ["Blond_Hair,-Eyeglasses", "Smiling", "-Smiling,Red_Hair,Eyeglasses"]
    body = """
      const known = domains.readDomains(input.manifest);
      const own = input.scores.map((row) => domains.decide(known, row));
      return { seen: known.seen, choices: domains.choices(known), own,
        targets: input.requests.map((text) => own.map((row) =>
          domains.targetsOf(known, row, domains.parseRequest(known, text)))),
        text: input.requests.map((text) =>
          domains.writeRequest(domains.parseRequest(known, text))) };
    """
    got = evaluate(["domains"], body, manifest=document, scores=scores.tolist(), requests=requests)
    own = known.decide(scores)
    assert tuple(got["seen"]) == known.seen and got["text"] == requests
    assert [tuple(choice) for choice in got["choices"]] == known.choices()
    np.testing.assert_array_equal(got["own"], own)
    for text, targets in zip(requests, got["targets"], strict=True):
        np.testing.assert_array_equal(targets, known.targets(own, known.parse(text))[0])


@pytest.mark.parametrize("shape", [(3,), (2, 64), (1, 5, 7, 3)])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_arrays_are_npy_files(shape: tuple[int, ...], dtype: str) -> None:
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    body = """
      const kind = input.dtype === "uint8" ? Uint8Array : Float32Array;
      return npy.toNpy(kind.from(input.data), input.shape);
    """
    content = evaluate(["npy"], body, data=array.ravel().tolist(), shape=shape, dtype=dtype)
    read = np.load(io.BytesIO(bytes(content)), allow_pickle=False)
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)
