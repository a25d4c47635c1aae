"""Calibration of int8 and fp8 plans: samples, limits, and errors for missing data."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

import plan_cases
import runtime
import small_inputs
from export.errors import ExportError
from export.plan import calibration, calibration_set, graph, samples
from export.plan.calibration_set import SEED, Calibration
from export.plan.samples import Samples
from exported import GREY, invoke, write_run
from oracles.noise import normals
from plan_cases import build_model, make_node
from shell import contents
from zoo import corruption
from zoo.data import DataSet, faces
from zoo.engines import WEIGHTS

COUNT = 24


def gather(path: Path, source: str | None = None, count: int = COUNT) -> Samples:
    model, document = onnx.load(path), runtime.manifest.read(path)
    inputs = list(graph.prepare(model, document).graph.input)
    return samples.gather(inputs, document, path, Calibration(source, count))


def test_latents_of_the_prior() -> None:
    """Compared with an independent evaluation of the noise contract."""
    gathered = gather(WEIGHTS / "dcgan.onnx")
    assert (gathered.source, gathered.count, list(gathered.feed)) == ("prior", COUNT, ["latent"])
    expected = normals(SEED, 0, COUNT, 64)
    np.testing.assert_allclose(gathered.feed["latent"], expected, atol=2e-6)
    assert len(gather(WEIGHTS / "dcgan.onnx", count=calibration_set.SAMPLES).feed["latent"]) == 256


def test_training_images(fashion_mnist: DataSet) -> None:
    gathered = gather(WEIGHTS / "vae.encoder.onnx")
    assert gathered.source == "fashion-mnist"
    np.testing.assert_array_equal(gathered.feed["image"], fashion_mnist.train.images[:COUNT])


def test_faces_are_not_held_out_ones() -> None:
    gathered = gather(WEIGHTS / "face-attributes.onnx").feed["image"]
    every = faces.make(0, 30, processes=1)[0]
    training = [index for index in range(30) if index % 10 != 9][:COUNT]
    np.testing.assert_array_equal(gathered, every[training])


def test_encodings_without_a_prior(fashion_mnist: DataSet) -> None:
    gathered = gather(WEIGHTS / "sparse-ae.onnx")
    assert gathered.source == "encodings of fashion-mnist"
    with runtime.Encoder(WEIGHTS / "sparse-ae.encoder.onnx", backend="onnxruntime") as encoder:
        expected = encoder.encode(fashion_mnist.train.images[:COUNT])[0]
    np.testing.assert_array_equal(gathered.feed["latent"], expected)


def test_styles_of_a_synthesis_network() -> None:
    """Each layer has the style from the mapping; layer noise has a stream of its own."""
    gathered = gather(WEIGHTS / "stylegan.synthesis.onnx")
    latents = normals(SEED, 0, COUNT, 64).astype(np.float32)
    with runtime.Mapping(WEIGHTS / "stylegan.mapping.onnx", backend="onnxruntime") as mapping:
        styles = mapping.map(latents)
    every = gathered.feed["latent"].reshape(COUNT, 10, 64)
    np.testing.assert_allclose(every, np.broadcast_to(styles[:, None], every.shape), atol=1e-4)
    assert gathered.source == "prior, mapped" and gathered.feed["noise"].tolist() == [1.0]
    expected = normals(SEED, 0, COUNT, 10912, 1)
    np.testing.assert_allclose(gathered.feed["noise.1"], expected, atol=2e-6)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("colorization-ae.onnx", corruption.grey),
        ("pix2pix-colour.onnx", corruption.grey),
        ("inpainting-ae.onnx", lambda images: corruption.parse("holes").apply(images, SEED)),
    ],
)
def test_inputs_of_translators(name: str, make: Any) -> None:
    images = gather(WEIGHTS / "face-attributes.onnx").feed["image"]
    gathered = gather(WEIGHTS / name)
    np.testing.assert_array_equal(gathered.feed["input"], make(images))
    assert gathered.source == "faces"


def test_noisy_images_have_each_damage_in_turn(fashion_mnist: DataSet) -> None:
    images = fashion_mnist.train.images[:COUNT]
    gathered = gather(WEIGHTS / "denoising-ae.onnx").feed["input"]
    for index, kind in enumerate(("gaussian:0.05-0.5", "salt-pepper:0.05-0.5", "masking:0.1-0.7")):
        expected = corruption.parse(kind).apply(images[index::3], SEED)
        np.testing.assert_array_equal(gathered[index::3], expected)


def test_classes_and_attributes_take_turns(tmp_path: Path) -> None:
    labels = gather(WEIGHTS / "cgan.onnx").feed["label"]
    assert labels.dtype == np.int64 and labels[:12].tolist() == [*range(10), 0, 1]
    attributes = gather(WEIGHTS / "stargan.onnx").feed["attributes"]
    assert attributes.dtype == np.float32
    np.testing.assert_array_equal(attributes, np.concatenate([np.eye(8)] * 3))


def test_a_file_of_latents(tmp_path: Path) -> None:
    latents = np.random.default_rng(0).normal(size=(40, 32)).astype(np.float32)
    np.save(tmp_path / "mine.npy", latents)
    gathered = gather(WEIGHTS / "vae.onnx", str(tmp_path / "mine.npy"))
    assert (gathered.source, gathered.count) == ("mine.npy", COUNT)
    np.testing.assert_array_equal(gathered.feed["latent"], latents[:COUNT])
    assert gather(WEIGHTS / "vae.onnx", str(tmp_path / "mine.npy"), 256).count == 40


def test_a_folder_of_pictures(tmp_path: Path, fashion_mnist: DataSet) -> None:
    """Any data set of training can replace the one in the manifest."""
    np.savez(tmp_path / "set.npz", images=fashion_mnist.test.images[:50])
    source = str(tmp_path / "set.npz")
    gathered = gather(WEIGHTS / "vae.encoder.onnx", source)
    assert gathered.source == "set.npz" and gathered.count == COUNT
    # For a generator, images are encoded even if it has a prior.
    gathered = gather(WEIGHTS / "vae.onnx", source)
    assert gathered.source == "encodings of set.npz" and gathered.feed["latent"].shape == (
        COUNT,
        32,
    )


def arrays(folder: Path) -> None:
    """Write files that are no samples of the VAE's 32 latent values."""
    random = np.random.default_rng(0)
    rows: NDArray[np.float32] = random.normal(size=(64, 32)).astype(np.float32)
    for name, values in {
        "wide": rows.repeat(2, 1),
        "double": rows.astype(np.float64),
        "flat": rows.ravel(),
        "few": rows[:15],
        "nan": np.where(np.arange(32) == 5, np.float32("nan"), rows),
        "inf": np.where(np.arange(32) == 5, np.float32("inf"), rows),
    }.items():
        np.save(folder / f"{name}.npy", values)
    np.savez(folder / "several", a=rows, b=rows)
    (folder / "several.npz").rename(folder / "several.npy")
    (folder / "text.npy").write_text("no array")
    np.save(folder / "objects.npy", np.array([{}], object), allow_pickle=True)
    (folder / "empty").mkdir()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--calibrate", "none.npy"], "none.npy: No such file"),
        (["--calibrate", "wide.npy"], r"float32 [n, 32] for the input latent, got float32 [64, 64"),
        (["--calibrate", "double.npy"], "got float64 [64, 32]"),
        (["--calibrate", "flat.npy"], "got float32 [2048]"),
        (["--calibrate", "few.npy"], "15 rows are too few; expected 16"),
        (["--calibrate", "nan.npy"], "nan.npy: the samples for latent are not all finite"),
        (["--calibrate", "inf.npy"], "inf.npy: the samples for latent are not all finite"),
        (["--calibrate", "several.npy"], "several.npy holds a, b; expected one array"),
        (["--calibrate", "text.npy"], "text.npy is not a .npy, .npz or IDX file"),
        (["--calibrate", "objects.npy"], "holds Python objects, which are never read"),
        (["--calibrate", "empty"], "pass --calibrate a data set, a folder"),
        (["--calibrate", "nowhere"], "nowhere is unavailable"),
        (["--calibration-samples", "15"], "samples must be between 16 and 4096, got 15"),
        (["--calibration-samples", "4097"], "got 4097"),
        (["--calibration-samples", "many"], "not a valid integer"),
        (
            ["--precision", "fp16", "--calibrate", "few.npy"],
            "to int8 and fp8 only, got precision fp16",
        ),
        (["--precision", "fp32", "--calibration-samples", "64"], "got precision fp32"),
    ],
)
def test_bad_options(
    arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prints one line, exits with 2, and leaves an older file unchanged."""
    monkeypatch.chdir(tmp_path)
    arrays(tmp_path)
    Path("a.plan").write_bytes(b"older")
    before = contents(tmp_path)
    if "--precision" not in arguments:
        arguments = ["--precision", "int8", *arguments]
    result = invoke("vae.onnx", "--out", "a.plan", "--target", "tensorrt-rtx", *arguments)
    lines = result.stderr.splitlines()
    assert result.exit_code == 2 and result.stdout == ""
    assert lines[-1].startswith("error: ") and words in lines[-1]
    assert all(line.startswith("building ") for line in lines[:-1])
    assert contents(tmp_path) == before


def test_a_file_is_for_one_engine(tmp_path: Path) -> None:
    """It is refused for a checkpoint, which is not even exported."""
    write_run(tmp_path / "run", GREY)
    np.save(tmp_path / "rows.npy", np.zeros((32, 5), np.float32))
    arguments = (tmp_path / "run", "--out", tmp_path / "a.plan", "--target", "tensorrt-rtx")
    result = invoke(*arguments, "--precision", "int8", "--calibrate", tmp_path / "rows.npy")
    assert result.exit_code == 2 and result.stderr.count("\n") == 1
    assert "contains rows for one engine; export the checkpoint to .onnx" in result.stderr


def test_the_data_of_a_checkpoint_is_missing(tmp_path: Path) -> None:
    """The error names the last part of its folder, and the remedy."""
    write_run(tmp_path / "run", GREY)
    arguments = (tmp_path / "run", "--out", tmp_path / "a.plan", "--target", "tensorrt-rtx")
    result = invoke(*arguments, "--precision", "int8", "--no-runtime-check")
    assert result.exit_code == 2
    assert "a.encoder.onnx is calibrated with images, but pictures is unavailable" in result.stderr
    assert "pass --calibrate a data set" in result.stderr.splitlines()[-1]
    assert not list(tmp_path.glob("*.plan"))


def test_missing_data_sets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fashion_mnist: DataSet
) -> None:
    """Nothing is downloaded; the error contains the loader's remedy."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("zoo.data.sources.SYSTEM_FOLDER", tmp_path)
    monkeypatch.delenv("ZOO_DATA", raising=False)
    monkeypatch.setattr("zoo.data.sources.fetch", lambda *_: pytest.fail("a download"))
    with pytest.raises(ExportError, match="no fashion-mnist in .*apt install.*pass --calibrate"):
        gather(WEIGHTS / "vae.encoder.onnx")
    monkeypatch.setattr("zoo.data.faces._PACKAGES", ("no-such-package",))
    with pytest.raises(ExportError, match="faces is unavailable: .*pip install.*pass --calibrate"):
        gather(WEIGHTS / "face-attributes.onnx")


def test_missing_encoders_and_mappings(tmp_path: Path) -> None:
    for name, words in (
        ("sparse-ae.onnx", r"put its encoder beside it.*\.npy file of latents, float32 \[n, 196\]"),
        ("stylegan.synthesis.onnx", r"put the mapping beside it.*float32 \[n, 640\]"),
    ):
        shutil.copy(WEIGHTS / name, tmp_path)
        with pytest.raises(ExportError, match=words):
            gather(tmp_path / name)
    shutil.copy(WEIGHTS / "vae.onnx", tmp_path)
    words = r"faces: images are encoded by the encoder of vae\.onnx, .* without --calibrate"
    with pytest.raises(ExportError, match=words):
        gather(tmp_path / "vae.onnx", "faces")
    with pytest.raises(ExportError, match="takes styles, not images"):
        gather(WEIGHTS / "stylegan.synthesis.onnx", "faces")


def test_too_few_images(tmp_path: Path) -> None:
    np.savez(tmp_path / "few.npz", images=np.zeros((9, 28, 28, 1), np.uint8))
    with pytest.raises(ExportError, match=r"few\.npz: \d+ rows are too few"):
        gather(WEIGHTS / "vae.encoder.onnx", str(tmp_path / "few.npz"))


def test_engines_that_do_not_name_their_training_data(tmp_path: Path) -> None:
    small_inputs.translator(tmp_path / "attributes.onnx", attributes=["old", "happy"])
    with pytest.raises(ExportError, match="does not name its training data; pass --calibrate"):
        gather(tmp_path / "attributes.onnx")


def test_limits_are_the_percentile_of_all_samples() -> None:
    """The numbers grow from block to block; compared with a sort."""
    random = np.random.default_rng(0)
    x = random.standard_normal((1000, 300)).astype(np.float32)
    x *= np.linspace(0.5, 2, len(x), dtype=np.float32)[:, None]
    model = build_model(
        [make_node("Neg", "x", "half"), make_node("Neg", "half", "y")], {}, ["n", 300]
    )
    limits = calibration.measure_limits(model, ["half", "y"], Samples({"x": x}, "numbers", len(x)))
    # 3 of 300,000 may exceed the percentile.
    assert limits == dict.fromkeys(("half", "y"), float(np.sort(np.abs(x).ravel())[-4]))
    few = Samples({"x": x[::-1][:20]}, "numbers", 20)
    assert calibration.measure_limits(model, ["y"], few) == {"y": float(np.abs(x[-20:]).max())}


def test_tensors_that_are_not_finite_are_named() -> None:
    model = build_model([make_node("Log", "x", "y")], {}, ["n", 2])
    samples = Samples({"x": np.float32([[1, 2], [3, -1]])}, "mine.npy", 2)
    with pytest.raises(ExportError, match=r"mine\.npy: the tensor y is not finite"):
        calibration.measure_limits(model, ["y"], samples)


def test_blocks_cover_each_row_once() -> None:
    inputs = plan_cases.held_out_inputs(WEIGHTS / "stylegan.synthesis.onnx")
    parts = list(Samples(inputs, "", plan_cases.ROWS).blocks(10))
    assert [len(part["latent"]) for part in parts] == [10, 10, 4]
    assert all(part["noise"].tolist() == [1.0] for part in parts)
    np.testing.assert_array_equal(
        np.concatenate([part["noise.1"] for part in parts]), inputs["noise.1"]
    )
