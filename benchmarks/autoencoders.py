"""Studies of what each autoencoder is good at: `python -m benchmarks.autoencoders pca`.

Every study trains small models by their recipes, some with one option changed, and compares them on
the test images of Fashion-MNIST. Results: benchmarks/results/autoencoders-STUDY.json, from which
`make gallery` draws.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import click
import numpy as np
import torch

from benchmarks import studies
from zoo import data
from zoo.cli import COUNT, Command
from zoo.data import DataSet
from zoo.models import registry
from zoo.models.autoencoder import Autoencoder
from zoo.training.loop import Trainer
from zoo.training.metrics import read_metrics
from zoo.training.recipe import FOLDER, load_recipe
from zoo.training.reconstruction import evaluate_autoencoder
from zoo.training.task import make_task

WIDTHS = (2, 8, 16, 32, 64)
LAMBDAS = (0.0, 0.03, 0.1, 0.3, 1.0)


class Study:
    """Trains models of the data set for a number of epochs (None: the recipe's)."""

    def __init__(self, images: DataSet, epochs: int | None) -> None:
        self.images, self.epochs = images, epochs

    def train(
        self, name: str, exclude: tuple[str, ...] = (), **options: Any
    ) -> tuple[Autoencoder, dict[str, Any]]:
        """Train a model by its recipe with other model options; return it with its curves."""
        entry = registry.get(name)
        recipe = load_recipe(FOLDER / f"{name}.toml", {"model": options})
        recipe = replace(recipe, epochs=self.epochs or recipe.epochs, exclude=list(exclude))
        images = self.images.without(list(exclude)) if exclude else self.images
        shape = {"image_size": images.image_size, "channels": images.channels}
        torch.manual_seed(recipe.seed)
        model = entry.make({**recipe.model, **shape})
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder)
            trainer = Trainer(
                name, model, make_task(entry), images, recipe, out, cpu=True, quiet=True
            )
            trainer.run()
            lines = read_metrics(out / "metrics.jsonl")
            curves: dict[str, Any] = {
                "validation_mse": [line["validation_mse"] for line in lines],
                "preparation": read_metrics(out / "preparation.jsonl"),
            }
        click.echo(f"{name} {options} {list(exclude)}: {trainer.metrics}", err=True)
        return cast(Autoencoder, trainer.average.eval()), curves

    def measure(self, name: str, **options: Any) -> dict[str, float]:
        """Train, and return the result of `evaluate_autoencoder` on the test images."""
        return evaluate_autoencoder(self.train(name, **options)[0], self.images.test)


def pca(study: Study) -> dict[str, Any]:
    """Compare the errors of the undercomplete autoencoder and of PCA of the same width."""
    from sklearn.decomposition import PCA

    train, test = (
        split.images.reshape(len(split), -1).astype(np.float32) / 255
        for split in (study.images.train, study.images.test)
    )
    basis = PCA(max(WIDTHS), svd_solver="covariance_eigh").fit(train)
    rows = []
    for width in WIDTHS:
        components = basis.components_[:width]
        codes = (test - basis.mean_) @ components.T
        # Clipped to [0, 1], as the autoencoder's images are.
        copies = (codes @ components + basis.mean_).clip(0, 1)
        error = float(np.square(copies - test).mean())
        measured = study.measure("undercomplete-ae", latent=width)
        rows.append({"k": width, "pca_mse": error, "autoencoder_mse": measured["mse"]})
    return {"rows": rows}


def overcomplete(study: Study) -> dict[str, Any]:
    """Measure how well the overcomplete autoencoder copies noise, by regulariser."""
    rows = []
    for regulariser, strength in (("none", 0.0), ("denoising", 0.5), ("sparse", 0.1)):
        options = {"regulariser": regulariser, "strength": strength}
        rows.append({**options, **study.measure("overcomplete-ae", **options)})
    return {"rows": rows}


def stacked(study: Study) -> dict[str, Any]:
    """Return learning curves of the stacked autoencoder, with greedy pretraining and without."""
    return {
        name: study.train("stacked-ae", pretrain_epochs=epochs)[1]
        for name, epochs in (("pretrained", 5), ("random", 0))
    }


def sparsity(study: Study) -> dict[str, Any]:
    """Measure the share of active units and the error of the sparse autoencoder over λ."""
    rows = [{"lambda": value, **study.measure("sparse-ae", strength=value)} for value in LAMBDAS]
    return {"rows": rows}


def contraction(study: Study) -> dict[str, Any]:
    """Measure the norm of the encoder's Jacobian with and without the penalty, at two depths."""
    rows = []
    for hidden in ((), (128,)):
        for strength in (0.0, 0.3):
            options = {"hidden": hidden, "strength": strength}
            rows.append({**options, **study.measure("contractive-ae", **options)})
    return {"rows": rows}


def anomaly(study: Study) -> dict[str, Any]:
    """Measure the ROC-AUC of each class as the anomaly, with a model trained on the other nine."""
    from sklearn.metrics import roc_auc_score

    test, rows = study.images.test, []
    for label, name in enumerate(study.images.classes):
        model, _ = study.train("undercomplete-ae", exclude=(name,))
        parts = []
        for start in range(0, len(test), 500):
            levels = torch.from_numpy(np.array(test.images[start : start + 500]))
            images = levels.permute(0, 3, 1, 2).float() / 255
            parts.append((model.reconstruct(images) - images).square().flatten(1).mean(1).numpy())
        auc = roc_auc_score(test.labels == label, np.concatenate(parts))
        rows.append({"held_out": name, "roc_auc": float(auc)})
    return {"rows": rows, "mean": float(np.mean([row["roc_auc"] for row in rows]))}


STUDIES: dict[str, Callable[[Study], dict[str, Any]]] = {
    study.__name__: study for study in (pca, overcomplete, stacked, sparsity, contraction, anomaly)
}


@click.command(cls=Command)
@click.argument("names", nargs=-1, required=True, type=click.Choice(list(STUDIES)))
@click.option("--epochs", type=COUNT, help="Epochs of every run [default: from the recipe].")
@click.option("--threads", type=COUNT, default=1, help="CPU threads.")
def main(names: tuple[str, ...], epochs: int | None, threads: int) -> None:
    """Run the studies NAMES and write their results."""
    from zoo.host import keep_freed_memory, setup_threads

    keep_freed_memory()
    setup_threads(threads)
    study = Study(data.load("fashion-mnist"), epochs)
    studies.run("autoencoders", STUDIES, names, study, epochs=epochs)


if __name__ == "__main__":
    main()
