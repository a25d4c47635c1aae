"""Reading and writing of safetensors files."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from zoo.errors import TrainingError
from zoo.images.atomic import replace_file


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write tensors of any device as one safetensors file, atomically.

    Raises `OutputError` if it cannot be written.
    """
    own = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with replace_file(path) as temporary:
        # save_file would create files that only the owner can read.
        temporary.write_bytes(save(own, metadata))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file: its tensors, on the CPU, and its metadata.

    Raises `TrainingError` if it is missing or damaged.
    """
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}
    except (OSError, SafetensorError) as error:
        # The error's message may end with the path.
        reason = str(error).removesuffix(f": {path}")
        raise TrainingError(f"cannot read {path}: {reason}") from error


def load_module(module: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Load tensors into a module; raises `TrainingError` if their names or shapes do not match."""
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        raise TrainingError(f"{path} does not match the model: {error}") from error
