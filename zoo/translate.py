"""Repair, colour or change pictures: `python -m zoo.translate --engine denoising-ae.onnx IN`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import UINT64, Command, engine_options, source_options

if TYPE_CHECKING:
    from zoo.data.inputs import Selection, Source
    from zoo.images.companions import Companions
    from zoo.inference.translation import Preparation, Translated

    Consumer = Callable[[Translated], None]


@click.command(cls=Command)
@source_options
@engine_options
@click.option(
    "--out",
    metavar="PATH",
    help="A folder (no suffix, or a / at the end), .npy, .npz, or a .png for one picture.",
)
@click.option("--grid", metavar="FILE", help="A .png of the first inputs, outputs and truths.")
@click.option("--corrupt", metavar="SPEC", help="Damage the images first.")
@click.option("--holes", is_flag=True, help="Hide random parts of the images: --corrupt holes.")
@click.option("--mask", metavar="PATH", help="What to fill: white in this picture, folder, array.")
@click.option("--grey", is_flag=True, help="Take colour images, and make them grey first.")
@click.option("--edges", is_flag=True, help="Take whole images, and draw their edges first.")
@click.option("--to", metavar="DOMAINS", help="What to change, as in Blond_Hair,-Eyeglasses.")
@click.option("--truth", metavar="PATH", help="What should come out: pictures of the same names.")
@click.option("--seed", type=UINT64, default=0, help="Seed of the damage and of the noise.")
@click.option("--first", type=UINT64, default=0, help="Index of the first image to take.")
@click.option("--overwrite", is_flag=True, help="Write into a folder that is not empty.")
@click.option("-v", "--verbose", is_flag=True, help="Say more on stderr.")
def main(
    selection: Selection,
    engine: str,
    out: str | None,
    grid: str | None,
    corrupt: str | None,
    holes: bool,
    mask: str | None,
    grey: bool,
    edges: bool,
    to: str | None,
    truth: str | None,
    seed: int,
    first: int,
    overwrite: bool,
    verbose: bool,
    **options: Any,
) -> None:
    """Clean, complete, colour or change images with an engine that makes images from images.

    IMAGES are pictures, folders of pictures, .npy or .npz arrays, or IDX files.
    An engine that fills holes takes pictures with transparent parts (an alpha
    below 128), or whole ones and --mask or --holes.

    SPEC is gaussian:S with S the standard deviation in units of the range,
    salt-pepper:P or masking:P with P the share of the pixels, or holes; with a
    range such as gaussian:0.1-0.4 each image has its own level. Image i of a
    --seed is damaged alike, whatever --first and -n are.

    DOMAINS are attributes that images are to get, or with a minus to lose; one of a
    group, such as a hair colour, takes the place of the others. What is not named
    stays as the classifier beside the engine sees it. Without --to, --grid shows the
    images changed to every domain.

    Where the truth is known (by --truth, --corrupt, --holes, --grey or --edges), prints
    means over the images: PSNR, SSIM (Wang et al. 2004), for holes the PSNR
    inside them, and for colour made from grey the colour difference ΔE.
    """
    from zoo import corruption
    from zoo.applications.comparison import SHOWN
    from zoo.applications.domains import told
    from zoo.data.domains import names_of
    from zoo.data.inputs import report_skipped
    from zoo.engines import open_translator
    from zoo.errors import ConfigError
    from zoo.evaluation.pixels import Quality
    from zoo.inference.translation import COLOURING, Preparation, translate
    from zoo.progress import rate

    if holes and corrupt is not None:
        raise ConfigError("expected --corrupt or --holes, got both")
    spec = "holes" if holes else corrupt
    damage = corruption.parse(spec) if spec is not None else None
    _check_outputs(out, grid, overwrite)
    with ExitStack() as stack:
        opened = stack.enter_context(open_translator(engine, **options))
        if names_of(opened) and to is None and grid is not None and out is None:
            _every_domain(opened, selection, grid, first, options)
            return
        translator = stack.enter_context(told(opened, to, **options))
        prepare = Preparation(translator, damage, grey, mask is not None, edges)
        if prepare.knows_truth and truth is not None:
            raise ConfigError("expected --truth, or whole images to prepare, got both")
        known = prepare.knows_truth or truth is not None
        if not (out or grid or known):
            raise ConfigError("nothing to do: expected --out, --grid, or a truth to compare with")
        task: str = translator.manifest.get("task", "")
        quality = Quality(colour=task in COLOURING) if known else None
        with _hints(prepare, task):
            masks, truths = _companions(translator, mask, truth, selection.resize)
            # What belongs to images by their index is wrong after one that was left out.
            strict = selection.strict or any(found.ordered for found in (masks, truths) if found)
            limit = None if selection.count is None else first + selection.count
            source = replace(selection, strict=strict, count=limit).open(prepare.source_shape)
            total = _total(source, first)
            _check_outputs(out, None, overwrite, total)
            title = f"{Path(translator.path).name}  ·  {source.name}"
            title += f"  ·  {damage}, seed {seed}" if damage else ""
            title += f"  ·  {translator.title}" if to is not None else ""
            title += "  ·  inputs above outputs" + (" above what they should be" if known else "")
            blocks = translate(translator, source, prepare, seed, first, truths, masks)
            with _outputs(out, grid, translator.image_shape, overwrite, title) as consumers:
                if quality is not None:
                    consumers.append(quality.add)
                done = _run(blocks, consumers, total, verbose)
        report_skipped(source)
        if to is not None and translator.kept:
            click.echo(f"{_images(translator.kept)} not showing all of {to}", err=True)
        if done.whole:
            click.echo(f"{_images(done.whole)} without anything hidden", err=True)
        shown = "" if done.count <= SHOWN else f" (the first {SHOWN})"
        written = ", ".join(path for path in (out, grid and f"{grid}{shown}") if path)
        click.echo(
            f"{_images(done.count)} in {done.seconds:.3g} s, the engine "
            f"{rate(done.count, done.engine_seconds)} ({translator.backend})"
            + (f": {written}" if written else "")
        )
    for line in quality.lines() if quality else []:
        click.echo(line)


def _every_domain(
    translator: Any, selection: Selection, grid: str, first: int, options: dict[str, Any]
) -> None:
    """A grid of the images changed to every domain."""
    from zoo.applications import domain_pictures
    from zoo.data.inputs import report_skipped

    limit = first + min(selection.count or domain_pictures.ROWS, domain_pictures.ROWS)
    source = replace(selection, count=limit).open(translator.input_shape)
    _total(source, first)
    count = domain_pictures.write(grid, translator, source, first, **options)
    report_skipped(source)
    click.echo(f"{_images(count)} changed to every domain: {grid}")


def _check_outputs(
    out: str | None, grid: str | None, overwrite: bool, count: int | None = None
) -> None:
    """Raise OutputError for what cannot be written, before anything is computed."""
    from zoo.images import atomic, results

    if out is not None:
        results.check(out, count, overwrite)
    if grid is not None:
        atomic.check_kind(grid, ".png", "a grid is a .png")


def _companions(
    translator: Any, mask: str | None, truth: str | None, resize: bool
) -> tuple[Companions | None, Companions | None]:
    from zoo.images.companions import Companions

    height, width, _ = translator.input_shape
    shape = translator.image_shape
    return (
        None if mask is None else Companions(mask, (height, width, 1), resize, "mask", shared=True),
        None if truth is None else Companions(truth, shape, resize, "truth"),
    )


def _total(source: Source, first: int) -> int:
    """How many images will be translated, at most."""
    from zoo.errors import DataError

    total = source.total or 0
    if first >= total:
        raise DataError(f"first: expected less than the number of images, {total}, got {first}")
    return total - first


@contextmanager
def _hints(prepare: Preparation, task: str) -> Iterator[None]:
    """Adds to an error about the kind of the images which option takes images of another kind."""
    from zoo.errors import DataError
    from zoo.inference.translation import COLOURING

    try:
        yield
    except DataError as error:
        hint = ""
        if prepare.takes_alpha:
            hint = "; whole pictures need --mask PATH or --holes"
        elif task in COLOURING and not prepare.grey:
            hint = "; --grey takes colour pictures"
        elif task == "edges" and not prepare.edges:
            hint = "; --edges takes colour pictures"
        if not hint or not re.search(r"expected .*(mode|\[n,)|holds images of", str(error)):
            raise
        raise DataError(f"{error}{hint}") from error


@contextmanager
def _outputs(
    out: str | None, grid: str | None, shape: tuple[int, int, int], overwrite: bool, title: str
) -> Iterator[list[Consumer]]:
    """What takes the translated images and writes them at the end."""
    from zoo.applications.comparison import Tiles
    from zoo.images import atomic, results
    from zoo.images.grid import draw

    consumers: list[Consumer] = []
    with ExitStack() as stack:
        if out is not None:
            write = stack.enter_context(results.opened(out, shape, overwrite))
            consumers.append(lambda block: write(block.names, block.outputs))
        if grid is None:
            yield consumers
            return
        tiles = Tiles()
        consumers.append(tiles.add)
        with atomic.replacing(grid) as temporary:
            yield consumers
            images, labels, columns = tiles.arranged()
            draw(images, labels, title, columns).save(temporary, format="PNG")


@dataclass
class _Done:
    """Images, those among them with nothing hidden, and seconds in all and in the engine."""

    count: int = 0
    whole: int = 0
    seconds: float = 0.0
    engine_seconds: float = 0.0


def _run(
    blocks: Iterable[Translated], consumers: list[Consumer], total: int, verbose: bool
) -> _Done:
    """Give all blocks to all consumers."""
    from zoo.progress import Progress

    done = _Done()
    with Progress(total, verbose) as progress:
        for block in blocks:
            for consume in consumers:
                consume(block)
            if block.hidden is not None:
                done.whole += int((~block.hidden.any(axis=(1, 2))).sum())
            done.count += len(block.names)
            done.engine_seconds += block.seconds
            progress.advance(len(block.names))
        done.seconds = progress.seconds
    return done


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"


if __name__ == "__main__":
    main()
