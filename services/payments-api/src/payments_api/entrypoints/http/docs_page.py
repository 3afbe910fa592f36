"""``/docs``: the OpenAPI document as a page to read, made here, without scripts and without anything from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import FastAPI
from starlette.responses import HTMLResponse

_HEADERS = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'", "cache-control": "no-cache"}
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}
code,pre{font:14px/1.4 ui-monospace,monospace}pre{background:#f4f5f7;padding:.75rem;overflow:auto;border-radius:6px}
details{border:1px solid #d5d9de;border-radius:6px;margin:.5rem 0;padding:.5rem .75rem}summary{cursor:pointer}
b{display:inline-block;min-width:4rem}
@media(prefers-color-scheme:dark){body{background:#15181c;color:#dfe3e8}pre{background:#1f242b}details{border-color:#333a44}}
"""


def install(app: FastAPI) -> None:
    """Serve the page for all routes of ``app``."""

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(render(app.openapi()), headers=dict(_HEADERS))


def render(document: Mapping[str, Any]) -> str:
    """The page."""
    title = escape(document["info"]["title"])
    body = "".join(_operations(document))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style><h1>{title}</h1>"
        f'<p>Machine-readable: <a href="/openapi.json">/openapi.json</a></p>{body}</html>'
    )


def _operations(document: Mapping[str, Any]) -> Iterator[str]:
    schemas = document.get("components", {}).get("schemas", {})
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield _operation(path, method, operation, schemas)


def _operation(path: str, method: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]) -> str:
    signed_in = " · sign in first" if operation.get("security") else ""
    parts = [f"<p>{escape(operation.get('summary', ''))}{signed_in}</p>"]
    if parameters := operation.get("parameters"):
        parts.append("<p>Parameters</p>" + _pre({entry["name"]: entry["schema"] for entry in parameters}))
    if body := operation.get("requestBody"):
        parts.append("<p>Body</p>" + _pre(_resolved(_schema(body), schemas)))
    if answer := operation["responses"].get("200"):
        parts.append("<p>Answer</p>" + _pre(_resolved(_schema(answer), schemas)))
    head = f"<b>{method.upper()}</b> <code>{escape(path)}</code>"
    return f"<details><summary>{head}</summary>{''.join(parts)}</details>"


def _schema(content: Mapping[str, Any]) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = content.get("content", {}).get("application/json", {}).get("schema", {})
    return schema


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    name = schema.get("$ref", "").rpartition("/")[2]
    return schemas.get(name, schema)


def _pre(value: Any) -> str:
    return f"<pre>{escape(json.dumps(value, indent=2))}</pre>"
