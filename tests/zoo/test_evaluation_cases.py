"""Evaluation cases of translators and conditional generators, with stand-ins."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import runtime
from zoo import corruption, engine_path
from zoo.data import DataSet, Split, load
from zoo.errors import ConfigError, DataError
from zoo.evaluation import references, sampling, translators
from zoo.evaluation.attributes import AttributeJudge, may_know, shipped_judge
from zoo.evaluation.cases import list_cases
from zoo.evaluation.features import FeatureNetwork
from zoo.evaluation.yardstick import Yardstick

Images = NDArray[np.uint8]


class StandIn:
    """A translator like runtime.Translator that records its calls."""

    def __init__(self, given: int, made: int, alpha: bool = False, **manifest: Any) -> None:
        self.path, self.alpha, self.manifest = "stand-in.onnx", alpha, manifest
        self.input_shape, self.image_shape = (28, 28, given), (28, 28, made)
        self.calls: list[dict[str, Any]] = []

    def translate(self, images: Images, **options: Any) -> Images:
        """Return the first channels."""
        self.calls.append(options)
        made = self.image_shape[2]
        return images[..., :made] if images.shape[3] >= made else images.repeat(made, axis=3)


def test_a_copying_translator_is_its_input(network: FeatureNetwork, fashion_mnist: DataSet) -> None:
    """Its pixel metrics are those of the corrupted images."""
    copying = StandIn(1, 1, corruption=["gaussian:0.2", "masking:0.3"])
    yardstick = translators.make_yardstick(network, fashion_mnist, 200, None)
    ways = list_cases(copying, fashion_mnist)
    assert [case.name for case in ways] == ["gaussian:0.2", "masking:0.3"]
    for case in ways:
        report = translators.evaluate(copying, "x", case, yardstick, seed=3)
        found = {metric.name: metric for metric in report.metrics}
        truth = fashion_mnist.test.images[:200]
        damaged = corruption.parse(case.name).apply(truth, 3)
        squares = np.square(damaged.astype(float) - truth).mean((1, 2, 3))
        assert found["PSNR [dB]"].value == found["PSNR [dB]"].baseline
        assert found["PSNR [dB]"].value == pytest.approx(np.mean(10 * np.log10(255**2 / squares)))
        levels = np.abs(damaged.astype(float) - truth).mean()
        assert found["L1 [levels]"].value == pytest.approx(levels)
        assert found["FID"].value > 2 * found["FID"].baseline
        assert report.count == 200 and "200 training images" in report.against


def test_pairs_are_made_of_the_test_images(network: FeatureNetwork, fashion_mnist: DataSet) -> None:
    """Edges are the input, images the truth, and the noise is that of the image's index."""
    from zoo.corruption.edges import edges

    drawing = StandIn(1, 1, task="edges")
    (case,) = list_cases(drawing, fashion_mnist)
    blocks = list(case.blocks(drawing, 300, 9))
    assert [call["first"] for call in drawing.calls] == [0, 250]
    assert all(call["seed"] == 9 for call in drawing.calls)
    truth = fashion_mnist.test.images[:300]
    assert np.array_equal(np.concatenate([block.inputs for block in blocks]), edges(truth))
    assert np.array_equal(np.concatenate([block.truths for block in blocks]), truth)
    yardstick = translators.make_yardstick(network, fashion_mnist, 30, None)
    report = translators.evaluate(drawing, "x", case, yardstick)
    assert report["PSNR [dB]"] < 15


@pytest.fixture(scope="module")
def faces() -> DataSet:
    whole = load("faces")
    parts = [
        Split(part.images[:300], attributes=np.asarray(part.attributes)[:300])
        for part in (whole.train, whole.test)
    ]
    return DataSet("faces", *parts, attributes=whole.attributes)


def test_a_translator_that_does_nothing_changes_no_domain(faces: DataSet) -> None:
    """No change succeeds and nothing else is touched."""
    names = ["Black_Hair", "Blond_Hair", "Smiling"]
    idle = StandIn(
        3,
        3,
        condition={"kind": "attributes", "names": names},
        training={"config": {"groups": [["Black_Hair", "Blond_Hair"]], "hidden_by": {}}},
    )
    idle.input_shape = idle.image_shape = (64, 64, 3)
    (case,) = list_cases(idle, faces)
    assert not case.keeps and case.changes is not None
    (block,) = case.blocks(idle, 40, 0)
    assert np.array_equal(block.outputs, faces.test.images[:40]) and block.truths is None
    given = idle.calls[0]["attributes"]
    assert given.dtype == np.float32 and given.shape == (40, 3)
    with runtime.Classifier(engine_path("face-attributes.onnx")) as classifier:
        assert may_know(faces)
        judge = AttributeJudge(classifier, faces)
        found = {metric.name: metric for metric in case.changes(idle, 40, judge)}
    assert found["success, Smiling"].value == found["success, all"].value == 0
    assert found["another domain changed"].value == found["attributes changed"].value == 0
    assert all(metric.network == str(judge) for metric in found.values())


@pytest.mark.parametrize(
    ("stand_in", "message"),
    [
        (StandIn(1, 1), "neither a known task nor a corruption"),
        (StandIn(1, 1, corruption=["rain:1"]), "rain"),
        (StandIn(1, 1, task="pairs"), "needs data of pairs"),
        (StandIn(1, 3, task="colour"), "needs images of 3 channels; fashion-mnist has 1"),
        (StandIn(1, 1, condition={"kind": "attributes", "names": ["Hat"]}), "no attributes"),
    ],
)
def test_translators_without_a_case(
    stand_in: StandIn, message: str, fashion_mnist: DataSet
) -> None:
    with pytest.raises(ConfigError, match=message):
        list_cases(stand_in, fashion_mnist)


def test_translators_of_too_few_images(network: FeatureNetwork, toy: DataSet) -> None:
    with pytest.raises(DataError, match="toy has 32 test images to translate, got 33"):
        translators.make_yardstick(network, toy, 33, None)


def test_judges_of_other_data(faces: DataSet, fashion_mnist: DataSet) -> None:
    assert not may_know(fashion_mnist)
    with runtime.Classifier(engine_path("face-attributes.onnx")) as classifier:
        with pytest.raises(ConfigError, match="does not know the attributes of fashion-mnist"):
            AttributeJudge(classifier, fashion_mnist)
        small = [
            Split(part.images[:, ::2, ::2], attributes=part.attributes)
            for part in (faces.train, faces.test)
        ]
        shrunk = DataSet("small", *small, attributes=faces.attributes)
        with pytest.raises(ConfigError, match="takes images of 64×64×3, got 32×32×3"):
            AttributeJudge(classifier, shrunk)


def test_the_shipped_judge_is_of_the_faces_alone(faces: DataSet, fashion_mnist: DataSet) -> None:
    other = DataSet("other", faces.train, faces.test, attributes=faces.attributes[::-1])
    assert may_know(other)
    for data in (fashion_mnist, other):
        with shipped_judge(data) as judge:
            assert judge is None
    with shipped_judge(faces) as judge:
        assert judge is not None and judge.names == faces.attributes


def test_labels_go_round() -> None:
    assert sampling.labels({"condition": {"kind": "classes", "count": 3}}, 7) is not None
    asked = sampling.labels({"condition": {"kind": "classes", "count": 3}}, 7)
    assert np.asarray(asked).tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert sampling.labels({}, 7) is None and sampling.labels({"condition": None}, 7) is None


def test_label_accuracy_of_real_images(network: FeatureNetwork, fashion_mnist: DataSet) -> None:
    """For the right classes it equals the network's accuracy; for others it is near 0."""
    yardstick = Yardstick(network, references.choose(fashion_mnist, 200), names=["modes"])
    labels = np.asarray(fashion_mnist.train.labels)
    asked = np.arange(200) % 10
    rows = [np.flatnonzero(labels == k)[place] for place, k in enumerate(asked)]
    measured = yardstick.measure([fashion_mnist.train.images[rows]], 200)
    right = yardstick.label_accuracy(measured, asked)
    assert right is not None and right.baseline is not None
    assert right.value > 0.85 and right.baseline > 0.85
    wrong = yardstick.label_accuracy(measured, (asked + 1) % 10)
    assert wrong is not None and wrong.value < 0.1
    stranger = SimpleNamespace(name="x", classes=("a",), probabilities=True)
    assert not Yardstick(stranger, yardstick.reference, names=["fid"]).knows_classes  # type: ignore[arg-type]
