"""Faces that generators are compared with: a set of their own, whose features are cached."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from zoo import data, evaluate
from zoo.data import drawn_names, faces
from zoo.errors import DataError, OutputError
from zoo.evaluation import manifolds, measured, references, scores
from zoo.evaluation.features import FeatureNetwork
from zoo.evaluation.measured import Measured
from zoo.evaluation.yardstick import Yardstick

COUNT = 30


class Colours(FeatureNetwork):
    """Mean colours of four bands; counts the images that it has seen."""

    name, identity, width, input = "colours", "1", 12, "any size"

    def __init__(self) -> None:
        self.seen = 0

    def _measure(self, images: np.ndarray) -> tuple[np.ndarray, None]:
        self.seen += len(images)
        bands = images.reshape(len(images), 4, -1, images.shape[2], 3).mean((2, 3))
        return bands.reshape(len(images), 12).astype(np.float32) / 255, None


@pytest.fixture
def few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sets of few faces, in a cache folder that is returned."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(faces, "COUNT", 40)
    monkeypatch.setattr(faces, "VALIDATION", 6)
    monkeypatch.setattr(drawn_names, "REFERENCE", 80)
    return tmp_path / "cache" / "generator-zoo"


def test_reference_is_of_a_seed_of_its_own(few: Path) -> None:
    chosen = references.choose_drawn(data.load("faces"), COUNT)
    assert (len(chosen.real), len(chosen.floor)) == (80, COUNT)
    train = data.load("faces").train
    drawn = faces.make(0, 80, seed=drawn_names.REFERENCE_SEED)
    floor = train.images[:COUNT], train.attributes[:COUNT]  # type: ignore[index]
    for part, (images, attributes) in ((chosen.real, drawn), (chosen.floor, floor)):
        assert np.array_equal(np.concatenate(list(part.batches())), images)
        assert np.array_equal(part.attributes, attributes)  # type: ignore[arg-type]
    assert str(chosen.real) == "80 test images of faces of seed 3"
    with pytest.raises(DataError, match="expected at least 10 images, got 9"):
        references.choose_drawn(data.load("faces"), 9)
    with pytest.raises(DataError, match="n: faces has 36 training images .*, got 37"):
        references.choose_drawn(data.load("faces"), 37)


def test_metrics_take_all_of_the_reference_and_neighbours_as_many_as_samples(few: Path) -> None:
    chosen, network = references.choose_drawn(data.load("faces"), COUNT), Colours()
    yardstick = Yardstick(network, chosen, names=["fid", "kid", "manifolds"])
    samples = network(faces.make(0, COUNT, seed=9)[0])[0]
    found = {metric.name: metric.value for metric in yardstick.metrics(Measured(samples))}
    real = network(np.concatenate(list(chosen.real.batches())))[0]
    assert found["FID"] == pytest.approx(scores.frechet(samples, real))
    gamma = 1 / np.square(real, dtype=np.float64).sum(1).mean()
    kid = scores.kernel(samples, real, gamma)
    assert found["KID × 1000"] == pytest.approx(1000 * kid.mean)
    assert found["coverage"] == manifolds.Manifold(real[:COUNT]).compare(samples).coverage
    assert f"γ = {gamma:.3g}; precision, recall, density and coverage with 30 of" in (
        yardstick.details
    )


def test_features_of_the_reference_are_measured_once(few: Path) -> None:
    loaded, network = data.load("faces"), Colours()

    def measure() -> Yardstick:
        yardstick = Yardstick(network, references.choose_drawn(loaded, COUNT), names=["fid"])
        yardstick.prepare()
        return yardstick

    first = measure()
    assert network.seen == 80 + COUNT
    second = measure()
    assert network.seen == 80 + COUNT
    assert np.array_equal(first.real.features, second.real.features)
    assert first.floor.attributes is None and second.floor.probabilities is None
    (file, _) = sorted((few / "features").iterdir())
    content = file.read_bytes()
    file.write_bytes(content[:-40])
    assert np.array_equal(measure().real.features, first.real.features)
    assert network.seen > 80 + COUNT and file.read_bytes() == content
    network.identity = "2"
    assert measure().network.identity == "2" and len(list((few / "features").iterdir())) == 4


def test_outputs_survive_the_cache(few: Path) -> None:
    features = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    whole = Measured(features, features, features > 0)
    for _ in range(2):
        found = measured.load_or_measure("images", "network", lambda: whole)
        for name, table in vars(whole).items():
            assert (
                np.array_equal(vars(found)[name], table) and vars(found)[name].dtype == table.dtype
            )


def test_cache_that_cannot_be_written(few: Path) -> None:
    few.parent.mkdir()
    few.write_bytes(b"a file")
    with pytest.raises(OutputError, match="cannot write .*features"):
        measured.load_or_measure("images", "network", lambda: pytest.fail("measured for nothing"))


@pytest.mark.parametrize("network", ["in-domain", "face-features"])
def test_command(few: Path, tmp_path: Path, network: str) -> None:
    out = tmp_path / "out.json"
    arguments = ("--engine", "dcgan-faces.onnx", "-n", COUNT, "--seeds", 1, "--network", network)
    result = CliRunner().invoke(
        evaluate.main, [*map(str, arguments), "--no-model", "--json", str(out)]
    )
    assert result.exit_code == 0, result.output
    assert "against 80 test images of faces of seed 3" in result.output
    assert "KID with the kernel (γ x·y + 1)³, γ = " in result.output
    document = json.loads(out.read_text())
    assert document["network"]["name"] == "face-features"
    names = [metric["name"] for metric in document["reports"][0]["metrics"]]
    assert names[:6] == ["FID", "KID × 1000", "precision", "recall", "density", "coverage"]
