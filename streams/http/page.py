"""The page under /v1/docs: the OpenAPI document as plain HTML. It loads nothing, so it works without a network."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
h1, h2 { border-bottom: 1px solid #ddd } code, pre { font: 13px/1.5 ui-monospace, monospace; background: #f5f5f5 }
td, th { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0 } th { font-weight: 600 }
details { margin: .6rem 0; padding: .4rem .8rem; border: 1px solid #ddd; border-radius: 6px }
summary { cursor: pointer } .m { display: inline-block; min-width: 4.2rem; font-weight: 700 }
"""


def page(document: dict[str, Any]) -> bytes:
    """The whole page."""
    info = document["info"]
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(info['title'])} API</title>",
        f"<style>{_STYLE}</style><h1>{escape(info['title'])} API {escape(info['version'])}</h1>",
        f"<p>{escape(info['description'])} Every call but this page and <code>/healthz</code>, <code>/readyz</code> "
        "needs <code>Authorization: Bearer KEY</code>. For programs: <a href=openapi.json>openapi.json</a>, and of the "
        "topics <a href=asyncapi.json>asyncapi.json</a>.",
    ]
    for tag in document["tags"]:
        parts.append(f"<h2>{escape(tag['name'])}</h2>")
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if tag["name"] in operation["tags"]:
                    parts += _operation(path, method, operation)
    parts.append("<h2>Structures</h2>")
    for name, schema in document["components"]["schemas"].items():
        parts += _structure(name, schema)
    return "".join(parts).encode()


def _operation(path: str, method: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"<details><summary><span class=m>{method.upper()}</span> <code>{escape(path)}</code> "
    yield f"{escape(operation['summary'])}</summary><p>{_text(operation['description'])}<table>"
    for parameter in operation["parameters"]:
        need = " (required)" if parameter.get("required") else ""
        yield f"<tr><td><code>{escape(parameter['name'])}</code><td>{parameter['in']}{need}"
        yield f"<td>{escape(parameter.get('description', ''))}"
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"<tr><td>body<td><code>{media}</code><td>{_kind(content['schema'])}"
    for status, response in operation["responses"].items():
        (content,) = response["content"].values()
        yield f"<tr><td>{status}<td>{escape(response['description'])}<td>{_kind(content['schema'])}"
    yield "</table></details>"


def _structure(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f"<details id={escape(name)}><summary><code>{escape(name)}</code> "
    yield f"{escape(schema.get('description', ''))}</summary><table>"
    required = schema.get("required", ())
    for field, inner in schema.get("properties", {}).items():
        need = "required" if field in required else ""
        yield f"<tr><td><code>{escape(field)}</code><td>{need}<td>{_kind(inner)}"
        yield f"<td>{escape(inner.get('description', ''))}"
    yield "</table></details>"


def _kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f"<a href=#{name}>{name}</a>"
    if "anyOf" in schema:
        return " or ".join(_kind(inner) for inner in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    pattern = f" <code>{escape(schema['pattern'])}</code>" if "pattern" in schema else ""
    return escape(str(schema.get("format", schema.get("type", "anything")))) + pattern


def _text(text: str) -> str:
    """Text whose backquotes are code."""
    halves = escape(text).split("`")
    return "".join(f"<code>{half}</code>" if number % 2 else half for number, half in enumerate(halves))
