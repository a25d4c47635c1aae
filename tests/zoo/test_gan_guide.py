"""docs/gans.md agrees with the recipes and the measurements of the shipped weights."""

import json
import re
from typing import Any

import pytest

from recipes import shipped
from repository import ROOT
from zoo.models import registry
from zoo.training.adversarial_options import make_options

GUIDE = ROOT / "docs" / "gans.md"
RESULTS = GUIDE.parents[1] / "benchmarks" / "results" / "quality"


def table(head: str) -> list[dict[str, str]]:
    """Return the rows of the guide's table with this heading, by column."""
    lines = GUIDE.read_text("utf-8").splitlines()
    start = next(row for row, line in enumerate(lines) if line.startswith(head))
    columns = [cell.strip() for cell in lines[start].strip("|").split("|")]
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        cells = [cell.strip().strip("*`") for cell in line.strip("|").split("|")]
        rows.append(dict(zip(columns, cells, strict=True)))
    return rows


RECIPES = {row["model"]: row for row in table("| model | paper | loss |")}


def test_every_adversarial_model_has_a_row() -> None:
    names = [name for name in registry.MODELS if shipped(name)[0].adversarial]
    assert sorted(RECIPES) == sorted(names) and len(names) == 10
    for row in RECIPES.values():
        assert row["from the paper"] and row["different from the paper"]
        assert re.search(r"\d{4}$", row["paper"])


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_numbers_are_those_of_the_recipe(name: str) -> None:
    recipe, _ = shipped(name)
    options, row = make_options(recipe.adversarial), RECIPES[name]
    every = f", every {options.r1_every} steps" if options.r1_every > 1 else ""
    kinds = "R1 and R2" if options.r2 else "R1"
    penalty = f"{kinds}, γ = {options.r1:g}{every}" if options.r1 else "none"
    assert options.r2 in (0, options.r1)
    assert not options.gradient_penalty
    discriminator = "" if options.discriminator == "paper" else f", {options.discriminator}"
    length = f" of {recipe.epoch_images:,} images" if recipe.epoch_images else ""
    rate = recipe.learning_rate
    expected = {
        "loss": options.loss + discriminator,
        "penalty": penalty,
        "β₁, β₂": f"{options.beta1:g}, {options.beta2:g}",
        "learning rates of G, D": f"{rate:g}, {rate * options.discriminator_rate:g}",
        "batch × epochs": f"{recipe.batch_size} × {recipe.epochs}" + length,
    }
    assert {column: row[column] for column in expected} == expected
    assert recipe.precision == "bf16" and recipe.ema_decay and recipe.schedule in ("linear", "late")


MEASURED = ("FID", "KID × 1000", "precision", "recall", "class divergence", "attribute gap")


@pytest.mark.parametrize(
    "row",
    [*table("| model | FID (floor 0.7)"), *table("| model | FID (floor 26.8)")],
    ids=lambda row: row["model"],
)
def test_measurements_are_those_of_the_reports(row: dict[str, str]) -> None:
    """To the printed digits, with their intervals if there are several seeds."""
    document = json.loads((RESULTS / f"{row['model']}.json").read_text("utf-8"))
    metrics: dict[str, dict[str, Any]] = {m["name"]: m for m in document["reports"][0]["metrics"]}
    for column, cell in row.items():
        name = column.partition(" (")[0]
        if name not in MEASURED:
            continue
        value, _, interval = cell.replace("*", "").partition(" ± ")
        for text, key in ((value, "value"), (interval, "interval")):
            found = metrics[name].get(key)
            if not text:
                assert found is None
                continue
            digits = len(text.partition(".")[2])
            assert float(text) == pytest.approx(found, abs=0.5001 * 10**-digits), (name, key)
    assert (document["note"] is None) == (row["model"] in ("bigan", "gan", "stylegan", "vae"))
