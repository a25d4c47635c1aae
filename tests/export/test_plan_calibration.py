"""What int8 and fp8 plans are calibrated with, and what is said where that is not there."""

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
from plan_cases import made_of, node
from shell import contents
from zoo import corruption
from zoo.data import DataSet, faces
from zoo.engines import WEIGHTS

COUNT = 24


def gathered(path: Path, source: str | None = None, count: int = COUNT) -> Samples:
    model, document = onnx.load(path), runtime.manifest.read(path)
    inputs = list(graph.prepare(model, document).graph.input)
    return samples.gather(inputs, document, path, Calibration(source, count))


def test_latents_of_the_prior() -> None:
    """By an evaluation of the noise contract of its own."""
    found = gathered(WEIGHTS / "dcgan.onnx")
    assert (found.source, found.count, list(found.feed)) == ("prior", COUNT, ["latent"])
    expected = normals(SEED, 0, COUNT, 64)
    np.testing.assert_allclose(found.feed["latent"], expected, atol=2e-6)
    assert (
        len(gathered(WEIGHTS / "dcgan.onnx", count=calibration_set.SAMPLES).feed["latent"]) == 256
    )


def test_training_images(fashion_mnist: DataSet) -> None:
    found = gathered(WEIGHTS / "vae.encoder.onnx")
    assert found.source == "fashion-mnist"
    np.testing.assert_array_equal(found.feed["image"], fashion_mnist.train.images[:COUNT])


def test_faces_are_none_of_those_to_measure_on() -> None:
    found = gathered(WEIGHTS / "face-attributes.onnx").feed["image"]
    every = faces.make(0, 30, processes=1)[0]
    kept = [index for index in range(30) if index % 10 != 9][:COUNT]
    np.testing.assert_array_equal(found, every[kept])


def test_encodings_where_there_is_no_prior(fashion_mnist: DataSet) -> None:
    found = gathered(WEIGHTS / "sparse-ae.onnx")
    assert found.source == "encodings of fashion-mnist"
    with runtime.Encoder(WEIGHTS / "sparse-ae.encoder.onnx", backend="onnxruntime") as encoder:
        expected = encoder.encode(fashion_mnist.train.images[:COUNT])[0]
    np.testing.assert_array_equal(found.feed["latent"], expected)


def test_styles_of_a_synthesis_network() -> None:
    """Each layer gets the style that the mapping makes; the noise of layers has its own streams."""
    found = gathered(WEIGHTS / "stylegan.synthesis.onnx")
    latents = normals(SEED, 0, COUNT, 64).astype(np.float32)
    with runtime.Mapping(WEIGHTS / "stylegan.mapping.onnx", backend="onnxruntime") as mapping:
        styles = mapping.map(latents)
    every = found.feed["latent"].reshape(COUNT, 10, 64)
    np.testing.assert_allclose(every, np.broadcast_to(styles[:, None], every.shape), atol=1e-4)
    assert found.source == "prior, mapped" and found.feed["noise"].tolist() == [1.0]
    expected = normals(SEED, 0, COUNT, 16, 2)
    np.testing.assert_allclose(found.feed["noise.2"], expected, atol=2e-6)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("colorization-ae.onnx", corruption.grey),
        ("pix2pix-colour.onnx", corruption.grey),
        ("inpainting-ae.onnx", lambda images: corruption.parse("holes").apply(images, SEED)),
    ],
)
def test_inputs_of_translators(name: str, make: Any) -> None:
    images = gathered(WEIGHTS / "face-attributes.onnx").feed["image"]
    found = gathered(WEIGHTS / name)
    np.testing.assert_array_equal(found.feed["input"], make(images))
    assert found.source == "faces"


def test_noisy_images_have_each_damage_in_turn(fashion_mnist: DataSet) -> None:
    images = fashion_mnist.train.images[:COUNT]
    found = gathered(WEIGHTS / "denoising-ae.onnx").feed["input"]
    for index, kind in enumerate(("gaussian:0.05-0.5", "salt-pepper:0.05-0.5", "masking:0.1-0.7")):
        expected = corruption.parse(kind).apply(images[index::3], SEED)
        np.testing.assert_array_equal(found[index::3], expected)


def test_classes_and_attributes_take_turns(tmp_path: Path) -> None:
    labels = gathered(WEIGHTS / "cgan.onnx").feed["label"]
    assert labels.dtype == np.int64 and labels[:12].tolist() == [*range(10), 0, 1]
    wanted = gathered(WEIGHTS / "stargan.onnx").feed["attributes"]
    assert wanted.dtype == np.float32
    np.testing.assert_array_equal(wanted, np.concatenate([np.eye(8)] * 3))


def test_a_file_of_latents(tmp_path: Path) -> None:
    latents = np.random.default_rng(0).normal(size=(40, 32)).astype(np.float32)
    np.save(tmp_path / "mine.npy", latents)
    found = gathered(WEIGHTS / "vae.onnx", str(tmp_path / "mine.npy"))
    assert (found.source, found.count) == ("mine.npy", COUNT)
    np.testing.assert_array_equal(found.feed["latent"], latents[:COUNT])
    assert gathered(WEIGHTS / "vae.onnx", str(tmp_path / "mine.npy"), 256).count == 40


def test_a_folder_of_pictures(tmp_path: Path, fashion_mnist: DataSet) -> None:
    """Any data set that training takes, in place of the one that the manifest names."""
    np.savez(tmp_path / "set.npz", images=fashion_mnist.test.images[:50])
    source = str(tmp_path / "set.npz")
    found = gathered(WEIGHTS / "vae.encoder.onnx", source)
    assert found.source == "set.npz" and found.count == COUNT
    # For a generator they are encoded, even if it has a prior.
    found = gathered(WEIGHTS / "vae.onnx", source)
    assert found.source == "encodings of set.npz" and found.feed["latent"].shape == (COUNT, 32)


def arrays(folder: Path) -> None:
    """Files that are no samples of the VAE's 32 latent values."""
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
    """One line, exit code 2; the old file stays as it was."""
    monkeypatch.chdir(tmp_path)
    arrays(tmp_path)
    Path("a.plan").write_bytes(b"older")
    before = contents(tmp_path)
    given = arguments if "--precision" in arguments else ["--precision", "int8", *arguments]
    result = invoke("vae.onnx", "--out", "a.plan", "--target", "tensorrt-rtx", *given)
    lines = result.stderr.splitlines()
    assert result.exit_code == 2 and result.stdout == ""
    assert lines[-1].startswith("error: ") and words in lines[-1]
    assert all(line.startswith("building ") for line in lines[:-1])
    assert contents(tmp_path) == before


def test_options_are_for_plans(tmp_path: Path) -> None:
    for option in (["--calibrate", "faces"], ["--calibration-samples", "64"]):
        result = invoke("vae.onnx", "--out", tmp_path / "a.onnx", *option)
        assert result.exit_code == 2 and f"{option[0]} applies to plans" in result.stderr


def test_a_file_is_for_one_engine(tmp_path: Path) -> None:
    """Not for the family of a checkpoint, which is not even exported."""
    write_run(tmp_path / "run", GREY)
    np.save(tmp_path / "rows.npy", np.zeros((32, 5), np.float32))
    arguments = (tmp_path / "run", "--out", tmp_path / "a.plan", "--target", "tensorrt-rtx")
    result = invoke(*arguments, "--precision", "int8", "--calibrate", tmp_path / "rows.npy")
    assert result.exit_code == 2 and result.stderr.count("\n") == 1
    assert "contains rows for one engine; export the checkpoint to .onnx" in result.stderr


def test_the_data_of_a_checkpoint_are_not_here(tmp_path: Path) -> None:
    """Its folder is named by its last part; the line says what to give instead."""
    write_run(tmp_path / "run", GREY)
    arguments = (tmp_path / "run", "--out", tmp_path / "a.plan", "--target", "tensorrt-rtx")
    result = invoke(*arguments, "--precision", "int8", "--no-runtime-check")
    assert result.exit_code == 2
    assert "a.encoder.onnx is calibrated with images, but pictures is unavailable" in result.stderr
    assert "pass --calibrate a data set" in result.stderr.splitlines()[-1]
    assert not list(tmp_path.glob("*.plan"))


def test_no_data_set_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fashion_mnist: DataSet
) -> None:
    """Nothing is downloaded; the loader's own words say how to get it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("zoo.data.sources.SYSTEM_FOLDER", tmp_path)
    monkeypatch.delenv("ZOO_DATA", raising=False)
    monkeypatch.setattr("zoo.data.sources.fetch", lambda *_: pytest.fail("a download"))
    with pytest.raises(ExportError, match="no fashion-mnist in .*apt install.*pass --calibrate"):
        gathered(WEIGHTS / "vae.encoder.onnx")
    monkeypatch.setattr("zoo.data.faces._PACKAGES", ("no-such-package",))
    with pytest.raises(ExportError, match="faces is unavailable: .*pip install.*pass --calibrate"):
        gathered(WEIGHTS / "face-attributes.onnx")


def test_what_stands_beside_is_missing(tmp_path: Path) -> None:
    for name, words in (
        ("sparse-ae.onnx", r"put its encoder beside it.*\.npy file of latents, float32 \[n, 196\]"),
        ("stylegan.synthesis.onnx", r"put the mapping beside it.*float32 \[n, 640\]"),
    ):
        shutil.copy(WEIGHTS / name, tmp_path)
        with pytest.raises(ExportError, match=words):
            gathered(tmp_path / name)
    shutil.copy(WEIGHTS / "vae.onnx", tmp_path)
    words = r"faces: images are encoded by the encoder of vae\.onnx, .* without --calibrate"
    with pytest.raises(ExportError, match=words):
        gathered(tmp_path / "vae.onnx", "faces")
    with pytest.raises(ExportError, match="takes styles, not images"):
        gathered(WEIGHTS / "stylegan.synthesis.onnx", "faces")


def test_too_few_images(tmp_path: Path) -> None:
    np.savez(tmp_path / "few.npz", images=np.zeros((9, 28, 28, 1), np.uint8))
    with pytest.raises(ExportError, match=r"few\.npz: \d+ samples are too few"):
        gathered(WEIGHTS / "vae.encoder.onnx", str(tmp_path / "few.npz"))


def test_engines_that_do_not_say_what_they_were_trained_on(tmp_path: Path) -> None:
    small_inputs.translator(tmp_path / "attributes.onnx", attributes=["old", "happy"])
    with pytest.raises(ExportError, match="does not name its training data; pass --calibrate"):
        gathered(tmp_path / "attributes.onnx")


def test_limits_are_the_percentile_of_all_samples() -> None:
    """Of blocks whose numbers grow; by a sort of all of them."""
    random = np.random.default_rng(0)
    x = random.standard_normal((1000, 300)).astype(np.float32)
    x *= np.linspace(0.5, 2, len(x), dtype=np.float32)[:, None]
    model = made_of([node("Neg", "x", "half"), node("Neg", "half", "y")], {}, ["n", 300])
    given = Samples({"x": x}, "numbers", len(x))
    found = calibration.measure_limits(model, ["half", "y"], given)
    # 3 of 300,000 may be beyond.
    assert found == dict.fromkeys(("half", "y"), float(np.sort(np.abs(x).ravel())[-4]))
    few = Samples({"x": x[::-1][:20]}, "numbers", 20)
    assert calibration.measure_limits(model, ["y"], few) == {"y": float(np.abs(x[-20:]).max())}


def test_numbers_that_are_none_are_named() -> None:
    model = made_of([node("Log", "x", "y")], {}, ["n", 2])
    given = Samples({"x": np.float32([[1, 2], [3, -1]])}, "mine.npy", 2)
    with pytest.raises(ExportError, match=r"mine\.npy: the tensor y is not finite"):
        calibration.measure_limits(model, ["y"], given)


def test_blocks_cover_each_row_once() -> None:
    given = plan_cases.held_out(WEIGHTS / "stylegan.synthesis.onnx")
    made = Samples(given, "", plan_cases.ROWS)
    parts = list(made.blocks(10))
    assert [len(part["latent"]) for part in parts] == [10, 10, 4]
    assert all(part["noise"].tolist() == [1.0] for part in parts)
    np.testing.assert_array_equal(
        np.concatenate([part["noise.3"] for part in parts]), given["noise.3"]
    )
