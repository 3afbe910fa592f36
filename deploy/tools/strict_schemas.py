"""Turns Kubernetes' OpenAPI document and CustomResourceDefinitions into JSON schemas, one for each kind and version.

Strict: what a schema does not name is refused. Rules written in CEL (x-kubernetes-validations) are beyond JSON schema
and are left out. Reads and writes no files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Schema = dict[str, Any]

OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
MAPS, LISTS, SINGLES = ("properties", "patternProperties"), ("allOf", "anyOf", "oneOf"), ("items", "not")
KEPT = {
    "type", "enum", "required", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems",
    "minProperties", "maxProperties", "uniqueItems", "$ref",
}  # fmt: skip
INT_OR_STRING: Schema = {"anyOf": [{"type": "integer"}, {"type": "string"}]}
NUMBER_OR_STRING: Schema = {"anyOf": [{"type": "number"}, {"type": "string"}]}


def file_name(group: str, version: str, kind: str) -> str:
    """Where kubeconform looks for a kind; it takes the version for the group where there is none."""
    return f"{group or version}_{version}_{kind.lower()}.json"


def schemas_of_openapi(document: Mapping[str, Any]) -> Iterator[tuple[str, Schema]]:
    """(file name, schema) of every built-in kind."""
    definitions = definitions_of(document)
    for name, definition in document["definitions"].items():
        kinds = definition.get("x-kubernetes-group-version-kind", [])
        # What belongs to no group of its own is no object to apply, but an option of a call.
        if len(kinds) == 1 and "metadata" in definition.get("properties", {}):
            kind = kinds[0]
            yield (
                file_name(kind["group"], kind["version"], kind["kind"]),
                with_definitions({"$ref": ref(name)}, definitions),
            )


def schemas_of_crd(crd: Mapping[str, Any], definitions: Mapping[str, Schema]) -> Iterator[tuple[str, Schema]]:
    """(file name, schema) of every served version of a custom kind."""
    for version in crd["spec"]["versions"]:
        if version["served"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            text: Schema = {"type": "string"}
            schema["properties"] |= {"apiVersion": text, "kind": text, "metadata": {"$ref": ref(OBJECT_META)}}
            name = file_name(crd["spec"]["group"], version["name"], crd["spec"]["names"]["kind"])
            yield name, with_definitions(schema, definitions)


def definitions_of(document: Mapping[str, Any]) -> dict[str, Schema]:
    """Every definition of the OpenAPI document, strict."""
    found = {name: strict(definition) for name, definition in document["definitions"].items()}
    return found | {QUANTITY: NUMBER_OR_STRING}


def strict(schema: Mapping[str, Any], *, whole: bool = True) -> Schema:
    """``schema`` as JSON schema. A part of an alternative is not ``whole``: what it does not name, others may."""
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        return dict(INT_OR_STRING)
    result: Schema = {key: value for key, value in schema.items() if key in KEPT}
    for key in MAPS:
        if key in schema:
            result[key] = {name: strict(part, whole=whole) for name, part in schema[key].items()}
    for key in LISTS:
        if key in schema:
            result[key] = [strict(part, whole=False) for part in schema[key]]
    for key in SINGLES:
        if key in schema:
            result[key] = strict(schema[key], whole=whole and key != "not")
    if isinstance(schema.get("additionalProperties"), Mapping):
        result["additionalProperties"] = strict(schema["additionalProperties"], whole=whole)
    elif whole and is_closed(schema):
        result["additionalProperties"] = False
    return result


def is_closed(schema: Mapping[str, Any]) -> bool:
    """Whether an object may hold only what is named."""
    is_open = schema.get("x-kubernetes-preserve-unknown-fields") or schema.get("additionalProperties")
    return bool(schema.get("properties")) and not is_open


def with_definitions(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """``schema`` with all that it refers to, so that it stands alone."""
    needed: dict[str, Schema] = {}
    waiting = list(references(schema))
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed[name] = definitions[name]
            waiting.extend(references(definitions[name]))
    return {**schema, "definitions": needed}


def references(node: Any) -> Iterator[str]:
    """Names of the definitions that ``node`` refers to."""
    if isinstance(node, Mapping):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].removeprefix(ref(""))
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def ref(name: str) -> str:
    """How a definition is referred to."""
    return f"#/definitions/{name}"
