"""Attribute editing on Fashion-MNIST, with classes as attributes and a hand-made classifier."""

from __future__ import annotations

import json
import re
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto
from PIL import Image

import runtime
import small_engines
import zoo
from export import manifest
from pictures import frames, picture, save_pictures, tiles, wide_tiles
from shell import ENGINE, refuses, succeeds
from small_engines import Graph
from zoo.applications import editing
from zoo.data import DataSet
from zoo.engines import encoder_path
from zoo.errors import ConfigError
from zoo.evaluation import editing_quality
from zoo.images import grid
from zoo.inference.inputs import Source

TRAINED = 10_000
TROUSER, BAG = 1, 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, fashion_mnist: DataSet) -> Path:
    """clothes.onnx with a direction for every class, its encoder, classifiers, and two images."""
    made = tmp_path_factory.mktemp("edit")
    shipped = zoo.engine_path(ENGINE)
    shutil.copy(encoder_path(shipped), made / "clothes.encoder.onnx")
    images, labels = fashion_mnist.train.images[:TRAINED], fashion_mnist.train.labels[:TRAINED]
    with runtime.Encoder(encoder_path(shipped)) as encoder:
        latents = encoder.encode(images)[0].astype(np.float64)
    document = runtime.manifest.read(shipped)
    document["attributes"] = fashion_mnist.classes
    document["directions"] = {
        name: (latents[labels == i].mean(0) - latents[labels != i].mean(0)).tolist()
        for i, name in enumerate(fashion_mnist.classes)
    }
    model = onnx.load(shipped)
    manifest.attach(model, document)
    onnx.save(model, made / "clothes.onnx")
    nearest_mean(made / "judge.onnx", images, labels, fashion_mnist.classes)
    things = [f"thing {i}" for i in range(10)]
    nearest_mean(made / "other.onnx", images, labels, things)
    large = np.zeros((10, 32, 32, 1), np.uint8)
    nearest_mean(made / "large.onnx", large, np.arange(10), fashion_mnist.classes)
    save_pictures(made, fashion_mnist.test.images[:2], names="{}")
    return made


def nearest_mean(path: Path, images: np.ndarray, labels: np.ndarray, names: list[str]) -> None:
    """Write a classifier: softmax of -‖x - m_k‖² / 20, m_k the mean image of class k in [0, 1]."""
    flat = images.reshape(len(images), -1) / 255
    means = np.stack([flat[labels == k].mean(0) for k in range(len(names))])
    graph = Graph()
    graph.add("Flatten", [graph.floats_of("image")], "flat")
    weights = graph.constant("w", (means.T / 10).astype(np.float32))
    offset = graph.constant("b", (-np.square(means).sum(1) / 20).astype(np.float32))
    graph.add("Gemm", ["flat", weights, offset], "logits")
    graph.add("Softmax", ["logits"], "scores", axis=1)
    shape = images.shape[1:]
    document = small_engines.manifest(
        "classifier", shape, scores={"names": names, "kind": "classes"}
    )
    inputs = {"image": (TensorProto.UINT8, ["N", *shape])}
    graph.save(path, document, inputs, {"scores": (TensorProto.FLOAT, ["N", len(names)])})


@pytest.fixture(scope="module")
def directions(folder: Path) -> dict[str, np.ndarray]:
    found = runtime.manifest.read(folder / "clothes.onnx")["directions"]
    return {name: np.array(values) for name, values in found.items()}


@pytest.fixture(scope="module")
def latents(folder: Path, fashion_mnist: DataSet) -> np.ndarray:
    """μ of the first 500 test images."""
    with runtime.Encoder(folder / "clothes.encoder.onnx") as encoder:
        return encoder.encode(fashion_mnist.test.images[:500])[0]


def decode_latents(*latents: np.ndarray) -> np.ndarray:
    with runtime.Generator(zoo.engine_path(ENGINE)) as generator:
        return generator.decode(np.concatenate(latents).astype(np.float32))


# The arithmetic


def test_direction(latents: np.ndarray, fashion_mnist: DataSet) -> None:
    has = fashion_mnist.test.labels[:500] == TROUSER
    mean = {side: np.zeros(32) for side in (True, False)}
    for latent, side in zip(latents.astype(np.float64), has, strict=True):
        mean[bool(side)] += latent / (has == side).sum()
    found = editing.direction(latents, has)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, mean[True] - mean[False], atol=1e-6)
    for nobody in (np.zeros(500, bool), np.ones(500, bool)):
        with pytest.raises(ConfigError, match="no direction"):
            editing.direction(latents, nobody)


def test_edit(latents: np.ndarray, directions: dict[str, np.ndarray]) -> None:
    edited = editing.edit(latents, directions, {"Bag": 1.5, "Coat": -0.25})
    by_hand = latents.astype(np.float64) + 1.5 * directions["Bag"] - 0.25 * directions["Coat"]
    np.testing.assert_array_equal(edited, by_hand.astype(np.float32))
    np.testing.assert_array_equal(editing.edit(latents, directions, {}), latents)
    np.testing.assert_array_equal(editing.edit(latents, directions, {"Bag": 0}), latents)
    back = editing.edit(edited, directions, {"Coat": 0.25, "Bag": -1.5})
    np.testing.assert_allclose(back, latents, atol=1e-5)


def test_walk_and_strip_are_edits(latents: np.ndarray, directions: dict[str, np.ndarray]) -> None:
    amounts = {"Bag": 2.0, "Dress": -1.0}
    walk = editing.walk(latents, directions, amounts, 4)
    strip = editing.strip(latents, directions["Bag"], np.linspace(-2, 2, 5))
    assert walk.shape == strip.shape == (500, 5, 32) and walk.dtype == strip.dtype == np.float32
    for i in range(5):
        part = {name: amount * i / 4 for name, amount in amounts.items()}
        np.testing.assert_array_equal(walk[:, i], editing.edit(latents, directions, part))
        alone = editing.edit(latents, directions, {"Bag": i - 2})
        np.testing.assert_array_equal(strip[:, i], alone)


def test_bad_arithmetic(latents: np.ndarray, directions: dict[str, np.ndarray]) -> None:
    with pytest.raises(ConfigError, match="no attribute 'bags'; did you mean 'Bag'?"):
        editing.edit(latents, directions, {"bags": 1})
    for amount in (np.nan, np.inf):
        with pytest.raises(ConfigError, match=f"Bag: expected a finite α, got {amount}"):
            editing.edit(latents, directions, {"Bag": amount})
        with pytest.raises(ConfigError, match="finite α"):
            editing.strip(latents, directions["Bag"], [0, amount])
    with pytest.raises(ConfigError, match="no longer finite"):
        editing.edit(latents, directions, {"Bag": 1e300})
    with pytest.raises(ConfigError, match="steps.*0"):
        editing.walk(latents, directions, {"Bag": 1}, 0)
    with pytest.raises(ConfigError, match=r"latents: expected shape \(n, D\)"):
        editing.edit(latents[0], directions, {"Bag": 1})
    for values in (directions["Bag"][:1], directions["Bag"][None]):
        with pytest.raises(ConfigError, match="Bag: expected a direction of shape"):
            editing.edit(latents, {"Bag": values}, {"Bag": 1})
        with pytest.raises(ConfigError, match="expected a direction of shape"):
            editing.strip(latents, values, [1])
    with pytest.raises(ConfigError, match="has: expected shape"):
        editing.direction(latents, [True, False])


def test_specs() -> None:
    known = ["Smiling", "a=b"]
    assert editing.parse(["Smiling=1.5", "a=b=-2e-1"], known) == {"Smiling": 1.5, "a=b": -0.2}
    assert editing.parse([], known) == {}
    for spec in ("Smiling", "Smiling=", "=1", "Smiling=much", ""):
        with pytest.raises(ConfigError, match="expected NAME=α"):
            editing.parse([spec], known)


# The command


def run_edit(folder: Path, *args: object) -> str:
    return succeeds("edit", "--engine", "clothes.onnx", *args, cwd=folder)


def encode_pictures(folder: Path, *indices: int) -> tuple[np.ndarray, np.ndarray]:
    images = np.stack([picture(folder / f"{index}.png") for index in indices])
    with runtime.Encoder(folder / "clothes.encoder.onnx") as encoder:
        return images, encoder.encode(images)[0]


def test_grid_of_edits(folder: Path, directions: dict[str, np.ndarray]) -> None:
    args = ("0.png", "1.png", "--add", "Trouser=1.5", "--add", "Bag=-0.5")
    assert run_edit(folder, *args) == "2 images, Trouser +1.5, Bag -0.5: edited.png\n"
    originals, mu = encode_pictures(folder, 0, 1)
    edited = decode_latents(mu + 1.5 * directions["Trouser"] - 0.5 * directions["Bag"])
    expected = np.stack([originals, decode_latents(mu), edited], axis=1).reshape(6, 28, 28, 1)
    with Image.open(folder / "edited.png") as opened:
        assert opened.height == grid.plan(6, 28, 28, 3).height
    # The command may add up the directions in another order: numbers near a half round either way.
    same = partial(np.testing.assert_allclose, rtol=0, atol=1)
    same(wide_tiles(folder / "edited.png", 6, 3).astype(int), expected)
    for out in ("a.npy", "a.npz", "pngs/"):
        run_edit(folder, *args, "--out", out)
    same(np.load(folder / "a.npy").astype(int), edited)
    same(np.load(folder / "a.npz")["images"].astype(int), edited)
    files = sorted((folder / "pngs").iterdir())
    same(np.stack([picture(file) for file in files]).astype(int), edited)


def test_samples_have_no_original(folder: Path, directions: dict[str, np.ndarray]) -> None:
    said = run_edit(folder, "seed:3", "sample:7", "--seed", 5, "--add", "Bag=1", "--out", "s.png")
    assert said == "2 images, Bag +1: s.png\n"
    h = np.stack([runtime.noise.normal(3, 0, 0, 32), runtime.noise.normal(5, 7, 0, 32)])
    expected = np.stack([decode_latents(h), decode_latents(h + directions["Bag"])], axis=1)
    np.testing.assert_array_equal(tiles(folder / "s.png", 4, 2), expected.reshape(4, 28, 28, 1))
    run_edit(folder, "seed:3", "0.png", "--add", "Bag=1", "--out", "s.png")
    assert (wide_tiles(folder / "s.png", 6, 3)[0] == 255).all(), "an empty place"


def test_way_to_the_edit(folder: Path, directions: dict[str, np.ndarray]) -> None:
    args = ("seed:3", "--add", "Trouser=2", "--steps", 4)
    h = runtime.noise.normal(3, 0, 0, 32)
    expected = decode_latents(np.stack([h + 2 * i / 4 * directions["Trouser"] for i in range(5)]))
    assert run_edit(folder, *args, "--out", "w.gif") == "seed:3, to Trouser +2: w.gif\n"
    np.testing.assert_array_equal(frames(folder / "w.gif"), expected)
    run_edit(folder, *args, "--out", "w.png")
    np.testing.assert_array_equal(tiles(folder / "w.png", 5, 5), expected)


def test_strips(folder: Path, directions: dict[str, np.ndarray]) -> None:
    originals, mu = encode_pictures(folder, 0, 1)
    scales = [-1, -0.5, 0, 0.5, 1]
    rows = [
        decode_latents(np.stack([latent + a * directions[name] for a in scales]))
        for latent in mu
        for name in ("Trouser", "Bag")
    ]
    args = ("0.png", "1.png", "--strip", "Trouser", "--strip", "Bag", "--from", -1, "--to", 1)
    run_edit(folder, *args, "--steps", 4, "--out", "a.npy")
    np.testing.assert_array_equal(np.load(folder / "a.npy"), np.concatenate(rows))
    run_edit(folder, *args, "--steps", 4, "--out", "a.gif")
    with Image.open(folder / "a.gif") as animation:
        assert animation.n_frames == 5
        animation.seek(3)
        factor = animation.height // 28
        frame = np.asarray(animation.convert("L"))[::factor, ::factor]
    np.testing.assert_array_equal(frame, np.concatenate([row[3, ..., 0] for row in rows], axis=1))
    said = run_edit(folder, "1.png", "--strip", "Bag", "--out", "a.png")
    assert said == "1.png, Bag from -2 to +2: a.png\n"
    strip = decode_latents(np.stack([mu[1] + a * directions["Bag"] for a in np.linspace(-2, 2, 9)]))
    found = wide_tiles(folder / "a.png", 11, 11)
    np.testing.assert_array_equal(found[0], originals[1])
    np.testing.assert_array_equal(found[1:], np.concatenate([decode_latents(mu[1:]), strip]))


def test_strip_of_an_edit(folder: Path, directions: dict[str, np.ndarray]) -> None:
    args = ("--add", "Coat=1", "--strip", "Bag", "--from", 0, "--to", 1, "--steps", 1)
    run_edit(folder, "0.png", *args, "--out", "a.npy")
    _, mu = encode_pictures(folder, 0)
    base = mu + directions["Coat"]
    np.testing.assert_array_equal(
        np.load(folder / "a.npy"), decode_latents(base, base + directions["Bag"])
    )


def test_many_images(folder: Path, fashion_mnist: DataSet, latents: np.ndarray) -> None:
    np.save(folder / "many.npy", fashion_mnist.test.images[:500])
    run_edit(folder, "many.npy", "--add", "Bag=0", "--out", "a.npy")
    np.testing.assert_array_equal(np.load(folder / "a.npy"), decode_latents(latents))


# The evaluation


def run_judge(folder: Path, images: np.ndarray) -> np.ndarray:
    """Return the judge's decisions by ONNX Runtime."""
    session = onnxruntime.InferenceSession(folder / "judge.onnx")
    return session.run(["scores"], {"image": images})[0] > 0.5


def test_evaluation_by_hand(
    folder: Path, latents: np.ndarray, directions: dict[str, np.ndarray], fashion_mnist: DataSet
) -> None:
    args = ("--evaluate", "judge.onnx", "--data", "fashion-mnist", "-n", 200, "--amount", 1.5)
    said = run_edit(folder, *args, "--json", "report.json")
    report = json.loads((folder / "report.json").read_text())
    labels, before = (
        fashion_mnist.test.labels[:200],
        run_judge(folder, decode_latents(latents[:200])),
    )
    shares: dict[str, list[float]] = {"added_success": [], "removed_success": [], "others": []}
    for entry in report["attributes"]:
        index = fashion_mnist.classes.index(entry["name"])
        flips, edited, successes = 0, 0, 0.0
        for side, sign in (("added", 1), ("removed", -1)):
            rows = (labels == index) if side == "removed" else (labels != index)
            rows &= before[:, index] == (side == "removed")
            assert entry[side] == rows.sum()
            if not rows.any():
                assert entry[f"{side}_success"] is None
                continue
            moved = latents[:200][rows] + sign * 1.5 * directions[entry["name"]]
            after = run_judge(folder, decode_latents(moved))
            took = (after[:, index] == (side == "added")).mean()
            assert entry[f"{side}_success"] == pytest.approx(took)
            shares[f"{side}_success"].append(took)
            flips += np.delete(after ^ before[rows], index, axis=1).sum()
            edited += rows.sum()
            successes += took * rows.sum()
        assert entry["success"] == pytest.approx(successes / edited)
        assert entry["others"] == pytest.approx(flips / edited / 9)
        shares["others"].append(entry["others"])
    order = [entry["success"] for entry in report["attributes"]]
    assert order == sorted(order, reverse=True) and len(order) == 10
    for name, values in shares.items():
        assert report["mean"][name] == pytest.approx(np.mean(values))
    assert report["engine"] == "clothes.onnx" and report["classifier"] == "judge.onnx"
    assert (report["images"], report["amount"]) == (200, 1.5)
    lines = said.splitlines()
    assert lines[0] == (
        "200 images of fashion-mnist test, edited by α = ±1.5, judged by judge.onnx"
    )
    best = report["attributes"][0]
    pattern = rf"{best['name']} +{best['added']} +{best['added_success']:.1%} .*"
    assert re.fullmatch(pattern, lines[2]), lines
    assert lines[-3].startswith("mean ") and lines[-1] == "report.json"
    assert lines[-2].startswith("edits are not scored against the truth: fashion-mnist has none")
    assert report["counterfactuals"]["effects"] == []


def test_attributes_of_a_data_set_come_before_classes(fashion_mnist: DataSet) -> None:
    split = fashion_mnist.test
    table = np.where(np.arange(6).reshape(3, 2) % 3 == 0, 1, -1).astype(np.int8)
    source = Source("three", [(split.images[:2], ["0", "1"]), (split.images[2:3], ["2"])], 3)
    source.attributes, source.attribute_names = table, ["Bag", "Smiling"]
    source.labels, source.classes = split.labels[:3], fashion_mnist.classes
    known = ["Bag", "Smiling", "Trouser", "Hat"]
    names = editing_quality.shared_attributes(["Smiling", "Trouser", "Bag", "Hat"], known, source)
    assert names == ["Smiling", "Trouser", "Bag"]
    counted: list[int] = []
    with runtime.Encoder(encoder_path(zoo.engine_path(ENGINE))) as encoder:
        blocks = list(editing_quality.encode_blocks(source, names, encoder, counted.append))
        assert np.array_equal(blocks[0][0], encoder.embed(split.images[:2]))
    assert counted == [2, 1]
    has = np.concatenate([labels for _, labels in blocks])
    expected = [table[:, 1] > 0, split.labels[:3] == TROUSER, table[:, 0] > 0]
    np.testing.assert_array_equal(has, np.stack(expected, axis=1))
    with pytest.raises(ConfigError, match="engine has Hat; the classifier Bag; three Bag, Smil"):
        editing_quality.shared_attributes(["Hat"], ["Bag"], source)


# Bad input


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (("0.png",), "nothing to do.*Trouser"),
        (("--add", "Bag=1"), "no IMAGES"),
        (("0.png", "--add", "trousers=1"), "'trousers'; did you mean 'Trouser'.*Ankle boot"),
        (("0.png", "--add", "Zzz=1"), "'Zzz'; the engine knows T-shirt"),
        (("0.png", "--add", "Bag=nan"), "Bag.*finite α, got nan"),
        (("0.png", "--add", "Bag=inf"), "Bag.*finite α, got inf"),
        (("0.png", "--add", "Bag=1e300"), "no longer finite"),
        (("0.png", "--add", "Bag"), "NAME=α.*'Bag'"),
        (("0.png", "--add", "Bag=1", "--add", "Bag=2"), "'Bag' is given 2 times"),
        (("0.png", "--add", "Bag=1", "--strip", "Bag"), "'Bag' is given 2 times"),
        (("0.png", "--strip", "Bags"), "did you mean 'Bag'"),
        (("0.png", "--strip", "Bag", "--from", "nan"), "--from.*nan"),
        (("0.png", "--strip", "Bag", "--to", "inf"), "--to.*inf"),
        (("0.png", "--add", "Bag=1", "--from", "1"), "--from and --to"),
        (("0.png", "--strip", "Bag", "--steps", "0"), "--steps.*0"),
        (("0.png", "--strip", "Bag", "--steps", "9999"), "at most 4096"),
        (("0.png", "--add", "Bag=1", "--amount", "2"), "--amount requires --evaluate"),
        (("0.png", "--add", "Bag=1", "--json", "new.json"), "--json requires --evaluate"),
        (("missing.png", "--add", "Bag=1"), "missing.png"),
        (("0.png", "seed:x", "--add", "Bag=1"), "seed:x"),
        (("0.png", "--add", "Bag=1", "--out", "new.jpg"), "new.jpg: expected .png"),
        (("0.png", "--add", "Bag=1", "--engine", ENGINE), "vae.onnx has no attribute directions"),
        (("0.png", "--evaluate", "judge.onnx"), "IMAGES cannot be combined"),
        (("--out", "new.png", "--evaluate", "judge.onnx"), "--out cannot be combined"),
        (("--add", "Bag=1", "--evaluate", "judge.onnx"), "--add cannot be combined"),
        (("--evaluate", "judge.onnx"), "--data"),
        (("--evaluate", "judge.onnx", "--data", "nothing"), "nothing"),
        (("--evaluate", "clothes.onnx", "--data", "fashion-mnist"), "classifier"),
        (("--evaluate", "none.onnx", "--data", "fashion-mnist"), "none.onnx"),
        (("--evaluate", "judge.onnx", "--data", "fashion-mnist", "--amount", "0"), "--amount.*0"),
        (
            ("--evaluate", "judge.onnx", "--data", "fashion-mnist", "--json", "no/new.json"),
            "no folder",
        ),
        (("--evaluate", "other.onnx", "--data", "fashion-mnist"), "known to all three"),
        (("--evaluate", "large.onnx", "--data", "fashion-mnist"), r"32.*28"),
    ],
)
def test_bad_input(folder: Path, args: tuple[str, ...], problem: str) -> None:
    said = refuses("edit", "--engine", "clothes.onnx", *args, cwd=folder)
    assert re.search(problem, said), said
