"""How well a translator repairs, fills or colours images: by pixels, distances and attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo import corruption
from zoo.applications import quality
from zoo.applications.comparison import Mean
from zoo.applications.inputs import split_source
from zoo.applications.translation import Preparation, Translated, translate
from zoo.data import DataSet
from zoo.errors import ConfigError, DataError
from zoo.evaluation.attributes import AttributeJudge
from zoo.evaluation.features import FeatureNetwork, Images
from zoo.evaluation.references import Reference, Selection, largest
from zoo.evaluation.report import Metric, Report
from zoo.evaluation.yardstick import Yardstick

if TYPE_CHECKING:
    from runtime import Translator

METRICS = ("fid", "kid", "manifolds")
"""Groups of metrics of the outputs as a set; single images are compared with the truth."""


def preparations(translator: Translator) -> list[tuple[str, Preparation]]:
    """What is done to whole images before the translator gets them: a name and a preparation each.

    One for each kind of damage in its manifest; colour is taken away where it makes colour of grey.
    Raises `ConfigError` for a translator that whole images say nothing about.
    """
    height, width, channels = translator.image_shape
    if translator.input_shape == (height, width, 1) and channels == 3:
        return [("grey", Preparation(translator, grey=True))]
    specs = translator.manifest.get("corruption") or []
    if not specs:
        raise ConfigError(
            f"{Path(translator.path).name} does not say what damage it repairs, so there is no "
            "truth to compare its images with"
        )
    return [(spec, Preparation(translator, corruption.parse(spec))) for spec in specs]


def select(data: DataSet, count: int | None) -> Reference:
    """Test images to translate (the `floor`: they are the truth), and training images to compare.

    As many of both: `count`, or all test images. Raises `DataError` where there are not so many.
    """
    most = min(len(data.test), largest(data))
    if count is not None and count > most:
        raise DataError(f"n: {data.name} has {most:,} test images to translate, got {count:,}")
    chosen = count or most
    random = np.random.default_rng(0)
    train = np.sort(random.permutation(len(data.train))[:chosen])
    none = np.zeros(0, np.int64)
    return Reference(Selection(data, none, train), Selection(data, np.arange(chosen), none))


def evaluate(
    translator: Any,
    name: str,
    preparation: Preparation,
    yardstick: Yardstick,
    seed: int = 0,
    seen: Callable[[int], None] | None = None,
) -> Report:
    """Translate the test images of a yardstick made with `select`, prepared by a seed.

    Args:
        translator: a runtime.Translator, or what has its attributes.
        name: of the translator and what was done to the images.
        preparation: what is done to the images.
        yardstick: measures the outputs as a set.
        seed: of the damage.
        seen: told how many images were done.
    """
    reference = yardstick.reference
    data, count = reference.floor.data, len(reference.floor)
    pixels = _Pixels(min(data.train.images.shape[1:3]))
    source = split_source(data, "test", count)
    blocks = translate(translator, source, preparation, seed)
    measured = yardstick.measure(pixels.through(blocks), count, seen)
    metrics = [*pixels.metrics(), *yardstick.metrics(measured)]
    if yardstick.judge is not None:
        metrics.append(_agreement(yardstick, measured.attributes, yardstick.judge))
    return Report(name, f"{reference.real}", count, seed, tuple(metrics))


def make_yardstick(
    network: FeatureNetwork, data: DataSet, count: int | None, judge: AttributeJudge | None
) -> Yardstick:
    """What outputs are measured by."""
    names = [*METRICS, *(["attributes"] if judge else [])]
    return Yardstick(network, select(data, count), judge, names)


def _agreement(
    yardstick: Yardstick, found: NDArray[np.bool_] | None, judge: AttributeJudge
) -> Metric:
    """The share of attributes that the judge finds in the outputs as the data has them."""
    truth = yardstick.reference.floor.attributes
    floor = yardstick.floor.attributes
    assert truth is not None and found is not None and floor is not None
    right, floor_right = (float((table == (truth > 0)).mean()) for table in (found, floor))
    return Metric("attribute accuracy", right, floor_right, str(judge), best="most")


class _Pixels:
    """Means of pixel metrics over the images that go through it."""

    def __init__(self, side: int) -> None:
        self._means = {"PSNR [dB]": Mean(), "L1 [levels]": Mean()}
        self._inside = Mean()
        self._ssim = Mean() if side >= quality.SSIM_WINDOW else None

    def through(self, blocks: Iterator[Translated]) -> Iterator[Images]:
        """Compare inputs and outputs with the truth, and pass the outputs on."""
        for block in blocks:
            before, truths = block.before(), block.truths
            assert truths is not None
            if before is not None:
                pair = before, block.outputs
                self._means["PSNR [dB]"].add(*(quality.psnr(x, truths) for x in pair))
                self._means["L1 [levels]"].add(*(_l1(x, truths) for x in pair))
                if block.hidden is not None:
                    inside = (quality.psnr_inside(x, truths, block.hidden) for x in pair)
                    self._inside.add(*inside)
                if self._ssim is not None:
                    self._ssim.add(*(quality.ssim(x, truths) for x in pair))
            yield block.outputs

    def metrics(self) -> list[Metric]:
        """What was measured."""
        means = {**self._means, "PSNR in holes [dB]": self._inside}
        if self._ssim is not None:
            means["SSIM"] = self._ssim
        return [
            Metric(
                name, mean.after, mean.before, best="least" if "L1" in name else "most", pixel=True
            )
            for name, mean in means.items()
            if mean.count
        ]


def _l1(images: Images, truth: Images) -> NDArray[np.float64]:
    """Mean absolute difference of each image in levels of 255, [n]."""
    difference = np.abs(images.astype(np.int16) - truth)
    means: NDArray[np.float64] = difference.reshape(len(images), -1).mean(1)
    return means


class TorchTranslator:
    """A model in PyTorch in place of its engine: what `translate` and `Preparation` ask of one."""

    def __init__(self, path: Path, engine: Translator) -> None:
        from zoo.training.weights import load

        self.model: Any = load(path)[0]
        self.path, self.alpha = str(path), engine.alpha
        self.input_shape, self.image_shape = engine.input_shape, engine.image_shape

    def translate(self, images: Images) -> Images:
        """Images uint8 [n, H, W, C'] to [n, H, W, C]."""
        import torch

        with torch.no_grad():
            x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
            mean = self.model.translate(x).clamp(0, 1)
            levels = (mean * 255 + 0.5).floor().to(torch.uint8).permute(0, 2, 3, 1)
        found: Images = np.ascontiguousarray(levels.numpy())
        return found


__all__ = ["TorchTranslator", "evaluate", "make_yardstick", "preparations", "select"]
