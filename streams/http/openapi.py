"""The OpenAPI 3.1 document, made from the table of endpoints and their structs. There is no second description."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from streams.http.endpoint import JSON, Endpoint
from streams.http.problems import KINDS, MEDIA_TYPE, ProblemDetails

_REF = "#/components/schemas/{name}"
#: What any endpoint may answer: no key, not its scope, a parameter that is wrong, too often, a part that is away.
_ALWAYS = (401, 403, 422, 429, 503)
_WITH_BODY = (400, 408, 413, 415)
_KEYED = (409,)
_TITLES = dict(reversed(KINDS.values()))
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "pattern": "^[!-~]{1,128}$"},
    "description": "Names this change for ever: the same request again changes nothing and gets the same answer.",
}


def document(endpoints: Sequence[Endpoint], version: str) -> dict[str, Any]:
    """The whole document."""
    types: list[Any] = [ProblemDetails]
    for endpoint in endpoints:
        types += [endpoint.answer, endpoint.form, *endpoint.raw.values()]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    by_type = {id(kind): schema for kind, schema in zip(types, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, by_type)
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "rater",
            "version": version,
            "description": "Rates telecom usage and debits prepaid wallets. Money is text with an exact decimal. "
            "A key of a whole tenant that may manage acts for a person named in the header Rater-Acting-User.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "tags": [{"name": name} for name in dict.fromkeys(map(_tag, endpoints))],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "bearerFormat": "rk_<name>_<secret>"}},
        },
    }


def _operation(endpoint: Endpoint, by_type: dict[int, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _name(endpoint),
        "tags": [_tag(endpoint)],
        "summary": endpoint.summary,
        "description": f"Needs a key with the scope `{endpoint.scope}`.",
        "parameters": [*_path_parameters(endpoint), *_query_parameters(endpoint)],
        "responses": _responses(endpoint, by_type),
    }
    if endpoint.keyed or endpoint.may_be_keyed:
        operation["parameters"].append(IDEMPOTENCY_KEY | {"required": endpoint.keyed})
    bodies = endpoint.raw or ({JSON: endpoint.form} if endpoint.media_types else {})
    if bodies:
        content = {media: {"schema": by_type[id(kind)]} for media, kind in bodies.items()}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _responses(endpoint: Endpoint, by_type: dict[int, Any]) -> dict[str, Any]:
    answer = {"description": "As asked.", "content": {JSON: {"schema": by_type[id(endpoint.answer)]}}}
    statuses = {*_ALWAYS, *endpoint.problems}
    if endpoint.media_types:
        statuses |= set(_WITH_BODY)
    if endpoint.keyed or endpoint.may_be_keyed:
        statuses |= set(_KEYED)
    problem = {MEDIA_TYPE: {"schema": by_type[id(ProblemDetails)]}}
    problems = {str(status): {"description": _TITLES[status] + ".", "content": problem} for status in sorted(statuses)}
    return {str(endpoint.status): answer} | problems


def _path_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    names = re.findall(r"\{(\w+)\}", endpoint.path)
    schema = {"type": "string", "minLength": 1, "maxLength": 256}
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name in names]


def _query_parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    inner = msgspec.json.schema(endpoint.query)["$defs"][endpoint.query.__name__]["properties"]
    return [
        {
            "name": name,
            "in": "query",
            "description": schema.get("description", ""),
            "schema": {key: value for key, value in schema.items() if key != "description"},
        }
        for name, schema in inner.items()
    ]


def _tag(endpoint: Endpoint) -> str:
    return endpoint.path.split("/")[2]


def _name(endpoint: Endpoint) -> str:
    """The method and the path's own words: post_wallets_top_ups."""
    words = [word for word in endpoint.path.split("/")[2:] if not word.startswith("{")]
    one = "_one" if endpoint.path.endswith("}") else ""
    return "_".join([endpoint.method.lower(), *words]).replace("-", "_") + one
