"""The OpenAPI document of a service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from zoo.serving import bodies
from zoo.serving.limits import Limits
from zoo.serving.models import Model
from zoo.serving.parameters import Parameter
from zoo.serving.route import Route
from zoo.serving.routes import ROUTES

_FAILURE = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
_FAILURES = {
    "400": "A parameter is missing, unknown or invalid.",
    "401": "The key is missing or wrong.",
    "404": "There is no such model, or it lacks this route.",
    "405": "The route has other methods.",
    "413": "The body, or a picture in it, is too large.",
    "415": "The body has a type that the route does not take.",
    "429": "Too many images wait: try again after the seconds of Retry-After.",
    "503": "The request has waited too long, or the service ends.",
}
ERRORS = {status: {"description": text, "content": _FAILURE} for status, text in _FAILURES.items()}
"""Answers that are errors, by status."""

_BYTES = {"type": "string", "format": "binary"}


def describe(app: FastAPI, models: Mapping[str, Model], limits: Limits) -> dict[str, Any]:
    """Return the document, with the endpoints that are not those of FastAPI."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, routes=app.routes)
        error = {
            "type": "object",
            "properties": {"error": {"type": "string"}},
            "required": ["error"],
        }
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas["Error"] = error
        for path in document["paths"].values():
            for operation in path.values():
                # What FastAPI would check itself is checked by the routes.
                operation["responses"].pop("422", None)
                operation["responses"] |= {
                    status: ERRORS[status] for status in ("401", "404", "413")
                }
        for route in ROUTES:
            names = [name for name, model in models.items() if route.serves(model)]
            if names:
                document["paths"][route.path] = _describe(route, names, limits)
        app.openapi_schema = document
    return app.openapi_schema


def _describe(route: Route, names: list[str], limits: Limits) -> dict[str, Any]:
    listed = route.all_parameters(limits.images)
    model = {"type": "string", "enum": names}
    path = {"name": "name", "in": "path", "required": True, "schema": model}
    media: dict[str, Any] = {
        format.media.partition(";")[0]: {} for format in route.formats.values()
    }
    answers = {
        "200": {
            "description": f"{route.summary}.",
            "headers": {"X-Zoo-Shape": {"schema": {"type": "string"}}},
            "content": media,
        },
        **ERRORS,
    }
    operations: dict[str, Any] = {
        "post": {
            "summary": route.summary,
            "operationId": f"post_{route.name}",
            "parameters": [path],
            "requestBody": {"content": _describe_bodies(route, listed)},
            "responses": answers,
        }
    }
    if "GET" in route.methods:
        operations["get"] = {
            "summary": route.summary,
            "operationId": f"get_{route.name}",
            "parameters": [path, *(_describe_query(each) for each in listed if not each.binary)],
            "responses": {**answers, "304": {"description": "The client has this answer."}},
        }
    return operations


def _describe_query(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "schema": parameter.query or parameter.schema,
        "description": parameter.description,
    }


def _describe_bodies(route: Route, listed: tuple[Parameter, ...]) -> dict[str, Any]:
    """Return the types of bodies that a route takes; parameters may also be in the query."""
    properties = {each.name: {**each.schema, "description": each.description} for each in listed}
    values = {"type": "object", "additionalProperties": False, "properties": properties}
    required = [each.name for each in listed if each.required]
    if required:
        values["required"] = required
    content: dict[str, Any] = {bodies.JSON: {"schema": values}}
    if route.pictures:
        content |= {kind: {"schema": _BYTES} for kind in bodies.PICTURES}
    if route.array:
        content[bodies.ARRAY] = {"schema": _BYTES}
    if route.pictures or route.array:
        fields = {
            each.name: {"type": "array", "items": _BYTES}
            if each.binary
            else each.query or each.schema
            for each in listed
        }
        if route.array and route.array != "images":
            fields[route.array] = _BYTES
        content[bodies.PARTS] = {"schema": {**values, "properties": fields}}
    return content
