"""The routes of models: a new one is a line of `ROUTES`."""

from __future__ import annotations

from zoo.serving.decoding import DECODE, INTERPOLATE
from zoo.serving.editing import EDIT
from zoo.serving.encoding import ENCODE, RECONSTRUCT
from zoo.serving.mixing import MIX
from zoo.serving.models import Model
from zoo.serving.route import Route
from zoo.serving.sampling import SAMPLE
from zoo.serving.translating import TRANSLATE

ROUTES: tuple[Route, ...] = (
    SAMPLE,
    INTERPOLATE,
    DECODE,
    ENCODE,
    RECONSTRUCT,
    TRANSLATE,
    EDIT,
    MIX,
)


def routes_of(model: Model) -> list[str]:
    """Return the names of the routes of a model."""
    return [route.name for route in ROUTES if route.serves(model)]
