"""Text descriptions of the models and their engine files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo.engines import WEIGHTS
from zoo.models.registry import MODELS, ModelEntry


def list_models() -> str:
    """Return a paragraph about every model and its shipped engine files."""
    return "\n\n".join(describe(entry, WEIGHTS) for entry in MODELS.values())


def describe(entry: ModelEntry, folder: Path) -> str:
    """Return a paragraph about a model and its engine files in `folder`."""
    paper = entry.paper
    lines = [
        f"{entry.name}: {entry.summary}",
        f"{paper.title}, {paper.authors} {paper.year}, {paper.url}",
    ]
    manifests: dict[str, dict[str, Any]] = {}
    for role, file in entry.engine_files().items():
        path = folder / file
        if not path.is_file():
            lines.append(f"{file}: not shipped")
            continue
        manifest = _read(path)
        if isinstance(manifest, str):
            lines.append(f"{file}: {manifest}")
            continue
        manifests[role] = manifest
        lines.append(f"{file}: {_format_sizes(manifest, path.stat().st_size)}")
    lines += [
        line for manifest in list(manifests.values())[:1] for line in _format_training(manifest)
    ]
    for manifest in manifests.values():
        lines += _format_speed(manifest)
    return "\n    ".join(lines)


def _read(path: Path) -> dict[str, Any] | str:
    from runtime import manifest
    from runtime.errors import Error

    try:
        return manifest.read(path)
    except Error as error:
        return str(error)


def _format_sizes(manifest: dict[str, Any], size: int) -> str:
    parts = [f"{manifest['parameters']:,} parameters"] if "parameters" in manifest else []
    image = manifest["image"]
    parts.append(f"{image['height']}×{image['width']}×{image['channels']} images")
    if "latent" in manifest:
        parts.append(f"latent {manifest['latent']['width']}")
        if manifest["latent"]["prior"] == "none" and manifest["role"] == "generator":
            parts.append("no prior")
    if "input" in manifest:
        parts.append(f"from {manifest['input']['channels']} channels")
    if "scores" in manifest:
        parts.append(f"{len(manifest['scores']['names'])} scores")
    return ", ".join([*parts, f"{size / 1e6:.2f} MB"])


def _format_training(manifest: dict[str, Any]) -> list[str]:
    training = manifest.get("training", {})
    if "data" not in training:
        return []
    epochs = f", {training['epochs']:g} epochs" if "epochs" in training else ""
    if "seconds" in training:
        epochs += f" in {training['seconds'] / 60:.0f} min on {training['device']}"
    metrics = (
        f"{name} {_format_number(value)}" if isinstance(value, float) else f"{name} {value}"
        for name, value in training.get("metrics", {}).items()
    )
    return ["; ".join([f"trained on {training['data']}{epochs}", *metrics])]


def _format_number(value: float) -> str:
    """Format a number with two decimals, or with three digits if it is below 1."""
    return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3g}"


def _format_speed(manifest: dict[str, Any]) -> list[str]:
    return [
        f"{manifest['role']} images/s, {backend}: "
        + ", ".join(f"{rate:,.0f} (batch {batch})" for batch, rate in rates.items())
        for backend, rates in manifest.get("throughput", {}).items()
    ]
