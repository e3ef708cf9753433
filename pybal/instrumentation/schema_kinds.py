"""What the OpenAPI description of `/api/v1` is made of. Pure."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}
NUMBER: Schema = {"type": "number"}
MAYBE_NUMBER: Schema = {"type": ["number", "null"]}
WHOLE: Schema = {"type": "integer"}
MAYBE_WHOLE: Schema = {"type": ["integer", "null"]}
BOOLEAN: Schema = {"type": "boolean"}
MAYBE_BOOLEAN: Schema = {"type": ["boolean", "null"]}
COUNTS: Schema = {"type": "object", "additionalProperties": WHOLE}
LABELS: Schema = {"type": "object", "additionalProperties": TEXT}


def object_of(**properties: Schema) -> Schema:
    """All of these are always there; more may come."""
    return {"type": "object", "required": list(properties), "properties": properties}


def maybe(one: Schema) -> Schema:
    """It, or null."""
    return {"oneOf": [one, {"type": "null"}]}


def list_of(of: Schema) -> Schema:
    """Some of it."""
    return {"type": "array", "items": of}


def ref(name: str) -> Schema:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


MOMENT: Schema = maybe(ref("Moment"))
