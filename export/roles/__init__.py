"""The roles of engine files, one module each: graph, manifest, checks, and how they are run."""

from export.roles import (
    classifier,
    encoder,
    generator,
    interpolator,
    mapping,
    synthesis,
    translator,
)
from export.roles.role import Role

ROLES: dict[str, Role] = {
    "classifier": classifier.ROLE,
    "encoder": encoder.ROLE,
    "generator": generator.ROLE,
    "interpolator": interpolator.ROLE,
    "mapping": mapping.ROLE,
    "synthesis": synthesis.ROLE,
    "translator": translator.ROLE,
}
"""All of them, by the name that the manifest has."""

__all__ = ["ROLES"]
