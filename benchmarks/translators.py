"""Translators compared with methods without training: `python -m benchmarks.translators denoising`.

Each shipped engine on held-out images: PSNR in dB of noisy and of denoised images over the noise
level; PSNR inside holes, compared with filling with the mean and with Telea's method (2004,
OpenCV); colour difference ΔE (CIEDE2000), compared with the mean colour of the training images.
Results: benchmarks/results/translators-STUDY.json.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks import studies
from runtime import Translator
from zoo import corruption, data, engine_path
from zoo.cli import COUNT, Command
from zoo.evaluation.quality import delta_e, psnr, psnr_inside

LEVELS = {
    "gaussian": (0.05, 0.1, 0.2, 0.3, 0.4, 0.5),
    "salt-pepper": (0.05, 0.1, 0.2, 0.3, 0.4, 0.5),
    "masking": (0.1, 0.2, 0.3, 0.5, 0.7),
}
TELEA_RADIUS = 3

Images = NDArray[np.uint8]


def denoising(count: int) -> dict[str, Any]:
    """Measure the PSNR before and after, by kind and level of the noise."""
    images = data.load("fashion-mnist").test.images[:count]
    rows = []
    with Translator(engine_path("denoising-ae.onnx")) as translator:
        for kind, levels in LEVELS.items():
            for level in levels:
                noisy = corruption.parse(f"{kind}:{level}").apply(images, seed=0)
                before = float(psnr(noisy, images).mean())
                after = float(psnr(translator.translate(noisy), images).mean())
                row = {"kind": kind, "level": level, "noisy_db": before, "cleaned_db": after}
                rows.append({**row, "gain_db": after - before})
    return {"rows": rows}


def inpainting(count: int) -> dict[str, Any]:
    """Measure the PSNR inside the holes, for the engine and for methods without training."""
    import cv2

    faces = data.load("faces")
    images = faces.test.images[:count]
    masks = corruption.holes(len(images), *images.shape[1:3], seed=0)
    inputs = corruption.with_alpha(images, masks)
    hidden = masks[..., 0] == 0
    with Translator(engine_path("inpainting-ae.onnx")) as translator:
        filled = {"inpainting-ae": translator.translate(inputs)}
    # The mean of the image's known pixels, by channel.
    known = (~hidden)[..., None]
    mean = (images * known).sum((1, 2), keepdims=True) / known.sum((1, 2), keepdims=True)
    filled["mean of the image"] = np.where(known, images, np.round(mean)).astype(np.uint8)
    average = np.round(faces.train.images.mean(0)).astype(np.uint8)
    filled["mean of the training images"] = np.where(known, images, average)
    filled["Telea"] = np.stack(
        [
            cv2.inpaint(image, hole.astype(np.uint8) * 255, TELEA_RADIUS, cv2.INPAINT_TELEA)
            for image, hole in zip(images, hidden, strict=True)
        ]
    )
    scores = {
        name: float(psnr_inside(result, images, hidden).mean()) for name, result in filled.items()
    }
    return {"psnr_inside_db": scores, "hidden_share": float(hidden.mean())}


def colorization(count: int) -> dict[str, Any]:
    """Measure the mean ΔE of the engine, and of grey images in the training images' mean colour."""
    from skimage import color

    faces = data.load("faces")
    images = faces.test.images[:count]
    grey = corruption.grey(images)
    with Translator(engine_path("colorization-ae.onnx")) as translator:
        coloured = {"colorization-ae": translator.translate(grey)}
    sample = color.rgb2lab(faces.train.images[:2000])[..., 1:]
    lightness = color.rgb2lab(grey.repeat(3, axis=3))[..., :1]
    for name, chroma in (
        ("training mean colour", sample.mean((0, 1, 2), keepdims=True)),
        ("training mean colour of each pixel", sample.mean(0, keepdims=True)),
    ):
        lab = np.concatenate([lightness, np.broadcast_to(chroma, (*images.shape[:3], 2))], -1)
        coloured[name] = np.round(color.lab2rgb(lab) * 255).astype(np.uint8)
    coloured["grey"] = grey.repeat(3, axis=3)
    return {"delta_e": {name: float(delta_e(x, images).mean()) for name, x in coloured.items()}}


STUDIES: dict[str, Callable[[int], dict[str, Any]]] = {
    study.__name__: study for study in (denoising, inpainting, colorization)
}


@click.command(cls=Command)
@click.argument("names", nargs=-1, required=True, type=click.Choice(list(STUDIES)))
@click.option("-n", "--count", type=COUNT, default=1000, help="Held-out images.")
def main(names: tuple[str, ...], count: int) -> None:
    """Measure NAMES on held-out images and write the results."""
    studies.run("translators", STUDIES, names, count, images=count)


if __name__ == "__main__":
    main()
