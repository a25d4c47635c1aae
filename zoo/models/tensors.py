"""Tensors in files of safetensors, and modules that are filled from them."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from zoo.errors import TrainingError
from zoo.images.atomic import replace_file


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write tensors of any device as one safetensors file, whole or not at all.

    Raises `OutputError` where it cannot be written.
    """
    own = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with replace_file(path) as temporary:
        # Not save_file, whose files nobody but the owner may read.
        temporary.write_bytes(save(own, metadata))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file: its tensors, on the CPU, and its metadata.

    Raises `TrainingError` when it is missing or damaged.
    """
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}
    except (OSError, SafetensorError) as error:
        # Its own message may end with the path.
        reason = str(error).removesuffix(f": {path}")
        raise TrainingError(f"cannot read {path}: {reason}") from error


def load_module(module: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Copy tensors into a module of the same parameters; raises `TrainingError` if they differ."""
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        raise TrainingError(f"{path} does not fit the model: {error}") from error
