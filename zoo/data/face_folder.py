"""Drawn faces as a folder in CelebA's layout."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from PIL import Image

from zoo.data import celeba, faces
from zoo.data.styles import AVATAAARS, STYLES
from zoo.errors import ConfigError, OutputError
from zoo.images.atomic import replace_folder
from zoo.progress import Progress, rate


def draw_faces(
    out: str,
    count: int = 200,
    first: int = 0,
    seed: int = 0,
    size: int = 64,
    style: str = AVATAAARS.definition,
    verbose: bool = False,
) -> str:
    """Draw faces `first` … `first + count - 1` of a seed and style into the folder `out`.

    Returns a summary line. Raises OutputError, ConfigError for an unknown style, and the errors of
    zoo.data.faces.
    """
    styles = {known.definition: known for known in STYLES.values()}
    if style not in styles:
        raise ConfigError(f"style must be one of {', '.join(styles)}, got {style!r}")
    if Path(out).is_dir() and any(Path(out).iterdir()):
        raise OutputError(f"cannot write {out}: the folder is not empty")
    lines = [str(count), " ".join(styles[style].attributes)]
    parts: list[str] = []
    blocks = faces.stream(first, count, size, seed, style=styles[style])
    with (
        closing(blocks),
        replace_folder(out) as folder,
        Progress(count, verbose) as progress,
    ):
        (folder / celeba.IMAGES).mkdir()
        for images, attributes in blocks:
            for image, row in zip(images, attributes, strict=True):
                index = first + len(parts)
                name = f"{index + 1:06}.png"
                Image.fromarray(image).save(folder / celeba.IMAGES / name)
                lines.append(f"{name} {' '.join(f'{value:2}' for value in row)}")
                parts.append(f"{name} {2 if index % 10 == 9 else 0}")
            progress.advance(len(images))
        for file, content in ((celeba.ATTRIBUTES, lines), (celeba.PARTITION, parts)):
            (folder / file).write_text("\n".join(content) + "\n")
        seconds = progress.seconds
    return f"{count:,} faces in {seconds:.3g} s, {rate(count, seconds)}: {out}"
