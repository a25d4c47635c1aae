"""Roles of engine files, one module each: graph, manifest fields, checks and runner."""

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
"""All roles, by their name in the manifest."""
