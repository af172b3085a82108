"""The API describes itself, without a warning, and without another server."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from django.test import Client
from drf_spectacular.drainage import GENERATOR_STATS, reset_generator_stats
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from console.core.roles import EVERY_SCOPE
from tests.console.api.routes import endpoints


def make_schema() -> dict[str, Any]:
    generator: Any = SchemaGenerator
    found: dict[str, Any] = generator().get_schema(request=None, public=True)
    return found


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return make_schema()


def test_schema_is_made_without_warning_or_error(schema: dict[str, Any], capsys: Any) -> None:
    reset_generator_stats()
    make_schema()
    assert not GENERATOR_STATS, capsys.readouterr().err


def test_schema_is_openapi_3_1_and_valid(schema: dict[str, Any]) -> None:
    assert schema["openapi"] == "3.1.0"
    check: Any = validate_schema
    check(schema)


def test_operation_ids_are_unique_and_camel_case(schema: dict[str, Any]) -> None:
    ids = [
        operation["operationId"]
        for methods in schema["paths"].values()
        for method, operation in methods.items()
        if method != "parameters"
    ]
    assert len(ids) == len(set(ids))
    assert [name for name in ids if "_" in name or not name[0].islower()] == []


def test_each_operation_says_its_scope_and_how_it_fails(schema: dict[str, Any]) -> None:
    for path, methods in schema["paths"].items():
        for operation in methods.values():
            assert "default" in operation["responses"], path
            for way in operation.get("security", []):
                assert set(way.get("oauth2", [])) <= EVERY_SCOPE, path


def test_if_match_is_required_where_the_answer_is_428_without_it(schema: dict[str, Any]) -> None:
    """Which these are, the views' own source says."""
    asked = {"required_version(", "required_digest(", "Unconditional("}
    found = set()
    for endpoint in endpoints():
        for method in endpoint.methods:
            said = schema["paths"].get(endpoint.template, {}).get(method.lower(), {})
            headers = [each for each in said.get("parameters", ()) if each["name"] == "If-Match"]
            source = inspect.getsource(getattr(endpoint.view, method.lower()))
            required = any(each.get("required", False) for each in headers)
            assert required is any(each in source for each in asked), f"{method} {endpoint.template}"
            assert ("428" in said.get("responses", {})) is required
            found |= {said["operationId"]} if required else set()
    assert found >= {"approvePolicyChange", "changeBroker", "changeRole"}


def test_security_scheme_is_oauth_with_every_scope(schema: dict[str, Any]) -> None:
    flows = schema["components"]["securitySchemes"]["oauth2"]["flows"]
    assert flows["clientCredentials"]["tokenUrl"] == "/oauth/token/"
    assert set(flows["clientCredentials"]["scopes"]) == EVERY_SCOPE


@pytest.mark.django_db
def test_schema_and_docs_are_open_and_load_nothing_from_elsewhere(client: Client) -> None:
    assert client.get("/api/v1/schema/").status_code == 200
    page = client.get("/api/v1/docs/")
    text = page.content.decode()
    assert page.status_code == 200
    assert "/api/v1/journal/" in text
    assert "<script" not in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "style=" not in text
