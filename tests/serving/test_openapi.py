"""The service against its own OpenAPI document: requests that Schemathesis generates from it."""

from __future__ import annotations

from typing import Any

import hypothesis
import schemathesis
from hypothesis import HealthCheck, Phase
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from services import metrics, serving

CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]

EXAMPLES = 6
"""Requests of an operation that the document allows, and as many that it does not."""


def test_answers_are_those_of_the_document() -> None:
    engines = ("--engine", "vae-faces", "--engine", "stylegan", "--engine", "denoising-ae")
    with serving(*engines, "--most", "64") as (client, process):
        url = str(client.base_url).rstrip("/")
        schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
        paths = set()
        for result in schema.get_all_operations():
            operation = result.ok()
            paths.add(operation.path)
            for mode in schemathesis.GenerationMode:
                ask_for(operation, mode)
        assert paths == set(client.get("/openapi.json").json()["paths"])
        assert len(paths) == 13
        asked = {label for _, labels in metrics(client) for label in labels}
        assert paths - asked <= {"/openapi.json"}
        assert process.poll() is None


def ask_for(operation: Any, mode: schemathesis.GenerationMode) -> None:
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    @hypothesis.settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Any) -> None:
        case.call_and_validate(checks=CHECKS, timeout=60)

    if mode.is_positive or operation.method.upper() != "GET" or operation.query:
        ask()
