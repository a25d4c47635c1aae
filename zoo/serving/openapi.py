"""The OpenAPI document of a service."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from zoo.serving import answers
from zoo.serving.sampling import parameters

_PATH = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
_ERRORS = {
    "400": "A parameter is missing, unknown or invalid.",
    "404": "There is no such model.",
    "413": "The body is too large.",
    "415": "The body is not of JSON.",
    "429": "Too many images wait: try again after the seconds of Retry-After.",
    "503": "The request has waited too long, or the service ends.",
}


def describe(app: FastAPI, most: int) -> dict[str, Any]:
    """Return the document, with the endpoints that are not those of FastAPI."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, routes=app.routes)
        error = {
            "type": "object",
            "properties": {"error": {"type": "string"}},
            "required": ["error"],
        }
        document.setdefault("components", {}).setdefault("schemas", {})["Error"] = error
        document["paths"]["/v1/models/{name}/sample"] = _describe_sample(most)
        app.openapi_schema = document
    return app.openapi_schema


def _describe_sample(most: int) -> dict[str, Any]:
    listed = parameters(most)
    failed = {"schema": {"$ref": "#/components/schemas/Error"}}
    responses: dict[str, Any] = {
        "200": {
            "description": "The images, with the seed and the index of the first one.",
            "headers": {
                "X-Zoo-Seed": {"schema": {"type": "string"}},
                "X-Zoo-First": {"schema": {"type": "string"}},
                "X-Zoo-Shape": {"schema": {"type": "string"}},
            },
            "content": {media: {} for media, _ in answers.FORMATS.values()},
        },
        **{
            status: {"description": text, "content": {"application/json": failed}}
            for status, text in _ERRORS.items()
        },
    }
    body = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            each.name: {**each.schema, "description": each.description} for each in listed
        },
    }
    query = [
        {
            "name": each.name,
            "in": "query",
            "schema": each.schema if each.name != "labels" else {"type": "string"},
            "description": each.description,
        }
        for each in listed
    ]
    return {
        "get": {
            "summary": "Images of a seed",
            "operationId": "get_samples",
            "parameters": [_PATH, *query],
            "responses": {**responses, "304": {"description": "The client has these images."}},
        },
        "post": {
            "summary": "Images of a seed",
            "operationId": "make_samples",
            "parameters": [_PATH],
            "requestBody": {"content": {"application/json": {"schema": body}}},
            "responses": responses,
        },
    }
