"""Draws every figure of docs/gallery.md and docs/course.md: `make gallery`.

Pictures come from the shipped engines through the commands of the zoo, curves from the results of
`python -m benchmarks.autoencoders` and `python -m benchmarks.translators`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gallery_counterfactuals
import gallery_gans
import numpy as np
from course.commands import command
from course.figures import draw_all as draw_course
from matplotlib.figure import Figure

from runtime import Encoder, Generator
from zoo import data, engine_path
from zoo.data import DataSet, faces
from zoo.data.styles import STYLES
from zoo.engines import encoder_path
from zoo.images.convert import to_pillow
from zoo.images.rows import Row, draw

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs" / "gallery"
RESULTS = ROOT / "benchmarks" / "results"
CLOTHES = "fashion-mnist"
COLUMNS = 10


def study(name: str) -> dict[str, Any]:
    """Return the committed results of a study."""
    results: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return results


def chart(path: Path, draw_on: Callable[[Any], None], width: float = 6.4) -> None:
    """Save a figure with one pair of axes, which `draw_on` fills."""
    figure = Figure(figsize=(width, 3.6), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    draw_on(axes)
    figure.savefig(path, metadata={"Software": ""})


def of_each_class(images: DataSet) -> list[np.ndarray]:
    """One test image of every class."""
    labels = np.asarray(images.test.labels)
    return [images.test.images[np.flatnonzero(labels == label)[0]] for label in range(COLUMNS)]


# One picture per model


def linear_ae(path: Path, clothes: DataSet) -> None:
    """Reconstructions by the linear autoencoder and by PCA, of the same width."""
    from sklearn.decomposition import PCA

    tiles = of_each_class(clothes)
    engine = engine_path("linear-ae.onnx")
    with Encoder(encoder_path(engine)) as encoder, Generator(engine) as generator:
        copies = generator.decode(encoder.embed(np.stack(tiles)))
        width = generator.latent_width
    train = clothes.train.images.reshape(len(clothes.train), -1).astype(np.float32) / 255
    pca = PCA(width, svd_solver="covariance_eigh").fit(train)
    x = np.stack(tiles).reshape(COLUMNS, -1) / 255
    back = pca.inverse_transform(pca.transform(x)).clip(0, 1).reshape(COLUMNS, 28, 28, 1)
    names = clothes.classes
    rows = [
        Row("test images", tiles, names),
        Row(f"linear-ae, {width} values", list(copies), [""] * COLUMNS),
        Row(
            f"PCA, {width} components",
            list(np.round(back * 255).astype(np.uint8)),
            [""] * COLUMNS,
        ),
    ]
    draw(rows, "A linear autoencoder finds the principal subspace", COLUMNS).save(path)


def features(path: Path, name: str, title: str) -> None:
    """Draw the change of the image by each of the most varied hidden units; grey is no change."""
    with Generator(engine_path(f"{name}.onnx")) as generator:
        std = np.asarray(generator.manifest["latent"]["std"], np.float32)
        mean = np.asarray(generator.manifest["latent"]["mean"], np.float32)
        order = np.argsort(-std, kind="stable")[: 8 * COLUMNS]
        units = np.eye(len(std), dtype=np.float32)[order] * (3 * std[order, None])
        base = generator.decode(mean[None]).astype(np.int32)
        change = generator.decode(mean + units) - base
    scale = np.maximum(np.abs(change).max((1, 2, 3), keepdims=True), 1)
    tiles = list((127.5 + 127.5 * change / scale).astype(np.uint8))
    rows = [Row(title, tiles, [str(unit) for unit in order])]
    draw(rows, f"{name}: decoder features of the most varied units", 2 * COLUMNS).save(path)


def overcomplete_ae(path: Path) -> None:
    """Error on unseen noise, with and without a regulariser."""
    rows = study("autoencoders-overcomplete")["rows"]

    def bars(axes: Any) -> None:
        names = [row["regulariser"] for row in rows]
        axes.bar(names, [row["noise_mse"] for row in rows], color=["#b44", "#478", "#478"])
        axes.axhline(1 / 12, color="#888", ls="--", lw=1)
        axes.text(2.45, 1 / 12, "variance of the noise", va="bottom", ha="right", color="#666")
        axes.set(ylabel="squared error on noise images", xlabel="regulariser of overcomplete-ae")

    chart(path, bars)


def stacked_ae(path: Path) -> None:
    """Learning curves with and without pretraining."""
    results = study("autoencoders-stacked")

    def curves(axes: Any) -> None:
        for key, label, color in (
            ("random", "random weights", "#b44"),
            ("pretrained", "pretrained layer by layer", "#478"),
        ):
            (part,) = (name for name in results[key] if name.endswith("_mse"))
            errors = results[key][part]
            axes.plot(range(1, len(errors) + 1), errors, color=color, label=label)
        axes.set(
            xlabel="epoch of fine-tuning",
            ylabel=f"{part.removesuffix('_mse')} mean squared error",
            yscale="log",
        )
        axes.legend(frameon=False)

    chart(path, curves)


def pca(path: Path) -> None:
    """Error over the width of the code, of autoencoders and of PCA."""
    rows = study("autoencoders-pca")["rows"]

    def curves(axes: Any) -> None:
        widths = [row["k"] for row in rows]
        axes.plot(widths, [row["pca_mse"] for row in rows], "o-", color="#b44", label="PCA")
        errors = [row["autoencoder_mse"] for row in rows]
        axes.plot(widths, errors, "o-", color="#478", label="undercomplete-ae")
        axes.set(xlabel="values of the code", ylabel="test mean squared error", xscale="log")
        axes.set_xticks(widths, map(str, widths))
        axes.minorticks_off()
        axes.legend(frameon=False)

    chart(path, curves)


def sparsity(path: Path) -> None:
    """Share of active units and error over λ."""
    rows = study("autoencoders-sparsity")["rows"]

    def curves(axes: Any) -> None:
        places = range(len(rows))
        axes.plot(places, [100 * row["active"] for row in rows], "o-", color="#478")
        axes.set_xticks(places, [f"{row['lambda']:g}" for row in rows])
        axes.set(xlabel="λ", ylabel="active units, %", ylim=(0, None))
        right = axes.twinx()
        right.spines[["top"]].set_visible(False)
        right.plot(places, [row["mse"] for row in rows], "s--", color="#b44")
        right.set_ylabel("test mean squared error", color="#b44")

    chart(path, curves)


def stochastic_ae(path: Path, clothes: DataSet) -> None:
    """Compare the deviation of codes between images with that of draws for one image."""
    with Encoder(encoder_path(engine_path("stochastic-ae.onnx"))) as encoder:
        mu, logvar = encoder.encode(clothes.test.images)
    between, within = mu.std(0), np.exp(0.5 * logvar).mean(0)

    def bars(axes: Any) -> None:
        places = np.arange(len(between))
        axes.bar(places - 0.2, between, 0.4, color="#478", label="of μ between images")
        axes.bar(places + 0.2, within, 0.4, color="#b44", label="σ of one image")
        axes.set(xlabel="value of h", ylabel="standard deviation", yscale="log")
        axes.set_xticks(places)
        axes.legend(frameon=False, ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1))

    chart(path, bars)


def contraction(path: Path) -> None:
    """Squared norm of the encoder's Jacobian, with and without the penalty."""
    rows = study("autoencoders-contraction")["rows"]

    def bars(axes: Any) -> None:
        for place, row in enumerate(rows):
            color = "#478" if row["strength"] else "#b44"
            axes.bar(place, row["jacobian"], color=color)
            axes.text(place, row["jacobian"], f"{row['jacobian']:.3g}", ha="center", va="bottom")
        names = [
            f"{'deep' if row['hidden'] else 'one layer'}, λ = {row['strength']:g}" for row in rows
        ]
        axes.set_xticks(range(len(rows)), names)
        axes.set(ylabel="‖∂h/∂x‖² on test images", yscale="log")

    chart(path, bars)


def noise_levels(path: Path) -> None:
    """PSNR gain of the denoising autoencoder over the level of the noise."""
    rows = study("translators-denoising")["rows"]

    def curves(axes: Any) -> None:
        for kind, color in (("gaussian", "#478"), ("salt-pepper", "#b44"), ("masking", "#583")):
            own = [row for row in rows if row["kind"] == kind]
            axes.plot(
                [row["level"] for row in own], [row["gain_db"] for row in own], "o-",
                color=color, label=kind,
            )  # fmt: skip
        axes.set(xlabel="level of the noise", ylabel="gain in PSNR, dB", ylim=(0, None))
        axes.legend(frameon=False)

    chart(path, curves)


def anomaly(path: Path) -> None:
    """ROC-AUC of every class as the anomaly."""
    rows = sorted(study("autoencoders-anomaly")["rows"], key=lambda row: row["roc_auc"])

    def bars(axes: Any) -> None:
        names = [row["held_out"] for row in rows]
        axes.barh(names, [row["roc_auc"] for row in rows], color="#478")
        axes.axvline(0.5, color="#888", ls="--", lw=1)
        axes.set(xlabel="ROC-AUC of the class that was left out of the training", xlim=(0, 1))

    chart(path, bars)


def styles(path: Path) -> None:
    """Twelve faces of every drawing style, in 128 colours, which halves the file."""
    rows = [faces.make(0, 12, style=style, processes=1)[0] for style in STYLES.values()]
    sheet = np.concatenate([np.concatenate(list(images), 1) for images in rows])
    to_pillow(sheet).quantize(128).save(path, optimize=True)


def write_pictures(folder: Path, clothes: DataSet) -> tuple[list[Path], list[Path]]:
    """Write test images as files: one of each class, and six faces."""
    files = []
    for name, image in zip(clothes.classes, of_each_class(clothes), strict=True):
        files.append(folder / f"{name.split('/')[0].replace(' ', '-')}.png")
        to_pillow(image).save(files[-1])
    people = []
    portraits = data.load("faces").test.images
    for index in (5, 11, 20, 33, 52, 71):
        people.append(folder / f"face-{index}.png")
        to_pillow(portraits[index]).save(people[-1])
    return files, people


def main() -> None:
    """Draw all figures."""
    OUT.mkdir(exist_ok=True)
    clothes = data.load(CLOTHES)
    test = ("--data", CLOTHES, "--split", "test")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        files, people = write_pictures(folder, clothes)
        shoe, shirt = files[7], files[0]

        styles(OUT / "styles.png")
        linear_ae(OUT / "linear-ae.png", clothes)
        command(
            "embed", "--engine", "undercomplete-ae.onnx", *test,
            "--out", folder / "latents.npz", "--scatter", OUT / "undercomplete-ae.png",
        )  # fmt: skip
        overcomplete_ae(OUT / "overcomplete-ae.png")
        stacked_ae(OUT / "stacked-ae.png")
        features(OUT / "sparse-ae.png", "sparse-ae", "L1 penalty")
        features(OUT / "sparse-ae-kl.png", "sparse-ae-kl", "Kullback-Leibler penalty")
        contraction(OUT / "contractive-ae.png")
        stochastic_ae(OUT / "stochastic-ae.png", clothes)
        command(
            "translate", "--engine", "denoising-ae.onnx", *test, "-n", 16,
            "--corrupt", "gaussian:0.3", "--grid", OUT / "denoising-ae.png",
        )  # fmt: skip
        sixteen = ("--data", "faces", "--split", "test", "-n", 16)
        command(
            "translate", "--engine", "inpainting-ae.onnx", *sixteen,
            "--holes", "--grid", OUT / "inpainting-ae.png",
        )  # fmt: skip
        command(
            "translate", "--engine", "colorization-ae.onnx", *sixteen,
            "--grey", "--grid", OUT / "colorization-ae.png",
        )  # fmt: skip
        for name in ("vae", "vae-faces"):
            for prior, out in (("mixture", f"{name}.png"), ("normal", f"{name}-normal.png")):
                command(
                    "sample", "--engine", f"{name}.onnx", "-n", 40,
                    "--prior", prior, "--out", OUT / out,
                )  # fmt: skip

        pca(OUT / "pca.png")
        sparsity(OUT / "sparsity.png")
        noise_levels(OUT / "noise-levels.png")
        anomaly(OUT / "anomaly.png")
        vae = ("--engine", "vae.onnx")
        index = folder / "clothes.index"
        command("retrieve", "build", *vae, "--data", CLOTHES, "--split", "train", "--out", index)
        command(
            "retrieve", "query", *vae, "--index", index, files[5], files[8], files[9],
            "-k", 8, "--out", OUT / "retrieval.png",
        )  # fmt: skip
        command("cluster", *vae, *test, "--no-pixels", "--out", OUT / "clusters.png")
        command("anomaly", *vae, *test, "--top", 10, "--out", OUT / "anomalies.png")
        command("neighbours", *vae, *test, "--walk", 0, 2, "--out", OUT / "walk.png")
        command("interpolate", shoe, shirt, *vae, "--out", OUT / "interpolation.png")
        command("tangents", *vae, files[0], files[9], "--out", OUT / "tangents.png")
        command(
            "edit", "--engine", "vae-faces.onnx", people[0], people[1], people[2],
            "--strip", "Sunglasses", "--strip", "Beard", "--strip", "Long_Hair",
            "--out", OUT / "edits.png",
        )  # fmt: skip
        gallery_gans.draw_all(command, OUT, clothes)
        gallery_counterfactuals.draw_edits(OUT / "counterfactuals.png")
    draw_course()


if __name__ == "__main__":
    main()
