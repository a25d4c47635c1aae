"""Translation of images by an image-to-image engine, to any output format."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo import corruption
from zoo.applications import domain_pictures
from zoo.applications.comparison import SHOWN, Tiles
from zoo.applications.domains import open_domain_translator
from zoo.corruption import Corruption
from zoo.data.domains import domain_names
from zoo.engines import open_translator
from zoo.errors import ConfigError, DataError
from zoo.evaluation.pixels import Quality
from zoo.images import atomic, results
from zoo.images.companions import Companions
from zoo.images.grid import draw
from zoo.inference.inputs import Selection, Source, report_skipped
from zoo.inference.translation import COLOURING, Preparation, TranslatedBlock, translate
from zoo.progress import Progress, number_of_images, rate

Consumer = Callable[[TranslatedBlock], None]


def translate_images(
    selection: Selection,
    engine: str,
    *,
    out: str | None = None,
    grid: str | None = None,
    corrupt: str | None = None,
    holes: bool = False,
    mask: str | None = None,
    grey: bool = False,
    edges: bool = False,
    to: str | None = None,
    truth: str | None = None,
    seed: int = 0,
    first: int = 0,
    overwrite: bool = False,
    verbose: bool = False,
    **options: Any,
) -> list[str]:
    """Translate the selected images, and compare them with the ground truth if it is known.

    The arguments are the options of `zoo.translate`, `options` those of runtime.Translator. Returns
    lines of text. Raises ConfigError, DataError, OutputError, and the errors of
    zoo.engines.open_translator.
    """
    if holes and corrupt is not None:
        raise ConfigError("expected --corrupt or --holes, got both")
    spec = "holes" if holes else corrupt
    damage = corruption.parse(spec) if spec is not None else None
    _check_outputs(out, grid, overwrite)
    with ExitStack() as stack:
        opened = stack.enter_context(open_translator(engine, **options))
        if domain_names(opened) and to is None and grid is not None and out is None:
            return [_draw_all_domains(opened, selection, grid, first, options)]
        translator = stack.enter_context(open_domain_translator(opened, to, **options))
        prepare = Preparation(translator, damage, grey, mask is not None, edges)
        if prepare.knows_truth and truth is not None:
            raise ConfigError(
                "expected --truth, or an option that derives inputs from images, got both"
            )
        known = prepare.knows_truth or truth is not None
        if not (out or grid or known):
            raise ConfigError("nothing to do: expected --out, --grid, or a truth to compare with")
        task: str = translator.manifest.get("task", "")
        quality = Quality(colour=task in COLOURING) if known else None
        with hints(prepare, task):
            masks, truths = _companions(translator, mask, truth, selection.resize)
            # Masks and truths in an array are matched by index, so no image may be skipped.
            strict = selection.strict or any(other.ordered for other in (masks, truths) if other)
            limit = None if selection.count is None else first + selection.count
            source = replace(selection, strict=strict, count=limit).open(prepare.source_shape)
            total = _count_images(source, first)
            _check_outputs(out, None, overwrite, total)
            title = title_of(translator, source.name, damage, seed, to, known)
            blocks = translate(translator, source, prepare, seed, first, truths, masks)
            with _outputs(out, grid, translator.image_shape, overwrite, title) as consumers:
                if quality is not None:
                    consumers.append(quality.add)
                done = _run(blocks, consumers, total, verbose)
        report_skipped(source)
        if to is not None and translator.unchanged:
            count = number_of_images(translator.unchanged)
            print(f"{count} in which not all of {to} can be changed", file=sys.stderr)
        if done.whole:
            print(f"{number_of_images(done.whole)} without hidden pixels", file=sys.stderr)
        shown = "" if done.count <= SHOWN else f" (the first {SHOWN})"
        written = ", ".join(path for path in (out, grid and f"{grid}{shown}") if path)
        summary = (
            f"{number_of_images(done.count)} in {done.seconds:.3g} s, the engine "
            f"{rate(done.count, done.engine_seconds)} ({translator.backend})"
            + (f": {written}" if written else "")
        )
    return [summary, *(quality.lines() if quality else [])]


def title_of(
    translator: Any, source: str, damage: Corruption | None, seed: int, to: str | None, known: bool
) -> str:
    """Return the title of a grid of translated images; known: their truth is in it."""
    parts = [Path(translator.path).name, source]
    parts += [f"{damage}, seed {seed}"] if damage else []
    parts += [translator.title] if to is not None else []
    return "  ·  ".join([*parts, "inputs above outputs" + (" above the truth" if known else "")])


def _draw_all_domains(
    translator: Any, selection: Selection, grid: str, first: int, options: dict[str, Any]
) -> str:
    """Draw a grid of the images in every domain, and return a summary line."""
    limit = first + min(selection.count or domain_pictures.ROWS, domain_pictures.ROWS)
    source = replace(selection, count=limit).open(translator.input_shape)
    _count_images(source, first)
    count = domain_pictures.write(grid, translator, source, first, **options)
    report_skipped(source)
    return f"{number_of_images(count)} changed to every domain: {grid}"


def _check_outputs(
    out: str | None, grid: str | None, overwrite: bool, count: int | None = None
) -> None:
    """Raise OutputError for outputs that cannot be written."""
    if out is not None:
        results.check(out, count, overwrite)
    if grid is not None:
        atomic.check_suffix(grid, ".png", "the grid must be a .png")


def _companions(
    translator: Any, mask: str | None, truth: str | None, resize: bool
) -> tuple[Companions | None, Companions | None]:
    height, width, _ = translator.input_shape
    shape = translator.image_shape
    return (
        None if mask is None else Companions(mask, (height, width, 1), resize, "mask", shared=True),
        None if truth is None else Companions(truth, shape, resize, "truth"),
    )


def _count_images(source: Source, first: int) -> int:
    """Return the largest number of images to be translated."""
    total = source.total or 0
    if first >= total:
        raise DataError(f"first must be below the number of images, {total}, got {first}")
    return total - first


@contextmanager
def hints(
    prepare: Preparation, task: str, opaque: str = "--mask PATH or --holes"
) -> Iterator[None]:
    """Append to an error about the images' mode the option that accepts such images.

    opaque: the options for pictures without holes.
    """
    try:
        yield
    except DataError as error:
        hint = ""
        if prepare.takes_alpha:
            hint = f"; opaque pictures need {opaque}"
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
    """Yield consumers of translated images, which write the outputs at the end."""
    consumers: list[Consumer] = []
    with ExitStack() as stack:
        if out is not None:
            write = stack.enter_context(results.open_sink(out, shape, overwrite))
            consumers.append(lambda block: write(block.names, block.outputs))
        if grid is None:
            yield consumers
            return
        tiles = Tiles()
        consumers.append(tiles.add)
        with atomic.replace_file(grid) as temporary:
            yield consumers
            images, labels, columns = tiles.arrange()
            draw(images, labels, title, columns).save(temporary, format="PNG")


@dataclass
class _Totals:
    """Number of images, number without hidden pixels, and seconds in total and in the engine."""

    count: int = 0
    whole: int = 0
    seconds: float = 0.0
    engine_seconds: float = 0.0


def _run(
    blocks: Iterable[TranslatedBlock], consumers: list[Consumer], total: int, verbose: bool
) -> _Totals:
    """Pass all blocks to all consumers."""
    done = _Totals()
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
