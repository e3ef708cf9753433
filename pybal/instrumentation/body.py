"""The JSON body of a request that changes something: read strictly, with errors that help. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from difflib import get_close_matches
from enum import Enum
from typing import Any, NamedTuple

from pybal.errors import RefusedError
from pybal.runtime.naming import shortened

MAX_BODY_BYTES = 64 * 1024
"""Unless a verb takes more."""
_MAX_SHOWN = 80


class BodyError(RefusedError):
    """The body is not what the verb takes; `remedy` is what it takes."""


class JSONKind(Enum):
    """What a field holds; the value is JSON Schema's word for it."""

    TEXT = "string"
    NUMBER = "number"
    WHOLE = "integer"
    BOOLEAN = "boolean"
    TEXTS = "array"


_WORDS = {
    JSONKind.TEXT: "a text",
    JSONKind.NUMBER: "a number",
    JSONKind.WHOLE: "a whole number",
    JSONKind.BOOLEAN: "true or false",
    JSONKind.TEXTS: "a list of texts",
}


class Field(NamedTuple):
    """A field of a body. Without `required` it may be missing, and is then not in what is read.
    `choices`, if there are any, are all that a text may be; `low` and `high` bound a number, and
    the length of a text or a list."""

    kind: JSONKind
    meaning: str
    required: bool = False
    choices: tuple[str, ...] = ()
    low: float = 0
    high: float = 1000
    one_line: bool = False
    """A text of printable characters, and not of blanks alone."""
    any_bytes: bool = False
    """What as_bytes() takes."""


Fields = Mapping[str, Field]


def read_body(data: bytes, fields: Fields, max_bytes: int = MAX_BODY_BYTES) -> dict[str, Any]:
    """What a body says; one that is empty says nothing. Raises BodyError."""
    if len(data) > max_bytes:
        raise BodyError(f"The body is longer than {max_bytes} bytes")
    body = _parse(data) if data.strip() else {}
    if not isinstance(body, dict):
        raise BodyError("The body is not a JSON object", _wanted(fields))
    for name in body:
        if name not in fields:
            raise BodyError(f"Unknown field {_shown(name)}", _nearest(name, fields))
    for name, field in fields.items():
        if name not in body and field.required:
            raise BodyError(f"The field {name} is missing", f"{name}: {field.meaning}")
    for name, value in body.items():
        _check(name, value, fields[name])
    return body


def schema(fields: Fields) -> dict[str, Any]:
    """The JSON Schema of a body."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [name for name, field in fields.items() if field.required],
        "properties": {name: _field_schema(field) for name, field in fields.items()},
    }


def _field_schema(field: Field) -> dict[str, Any]:
    shown: dict[str, Any] = {"type": field.kind.value, "description": field.meaning}
    match field.kind:
        case JSONKind.TEXT:
            shown |= {"minLength": field.low, "maxLength": field.high}
        case JSONKind.TEXTS:
            shown |= {"minItems": field.low, "maxItems": field.high, "items": {"type": "string"}}
        case JSONKind.NUMBER | JSONKind.WHOLE:
            shown |= {"minimum": field.low, "maximum": field.high}
    return {**shown, "enum": list(field.choices)} if field.choices else shown


def _parse(data: bytes) -> Any:
    try:
        return json.loads(
            data.decode("utf-8"), object_pairs_hook=_distinct, parse_constant=_no_constant
        )
    except BodyError:
        raise
    except (ValueError, RecursionError) as error:
        raise BodyError(f"The body is not JSON in UTF-8: {error}") from error


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise BodyError("A field of the body is there twice")
    return found


def _no_constant(word: str) -> None:
    raise BodyError(f"The body is not JSON: {word} is no number")


def _check(name: str, value: object, field: Field) -> None:
    if not _is_of(value, field.kind):
        raise BodyError(
            f"The field {name} must be {_WORDS[field.kind]}", f"{name}: {field.meaning}"
        )
    if isinstance(value, str) and not _is_whole(value, field):
        raise BodyError(f"The field {name} holds half a character: it is not Unicode text")
    if field.choices and value not in field.choices:
        raise BodyError(f"The field {name} must be one of {', '.join(field.choices)}")
    if field.one_line and isinstance(value, str) and not (value.isprintable() and value.strip()):
        raise BodyError(
            f"The field {name} must be one line of printable text", f"{name}: {field.meaning}"
        )
    if isinstance(value, (str, list)):
        _check_bounds(f"The length of {name}", len(value), name, field)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        _check_bounds(f"The field {name}", value, name, field)


def _check_bounds(what: str, size: float, name: str, field: Field) -> None:
    if not field.low <= size <= field.high:
        raise BodyError(
            f"{what} must be from {field.low:g} to {field.high:g}", f"{name}: {field.meaning}"
        )


def as_bytes(text: str) -> bytes:
    """The bytes of a file in UTF-8, of which each that is none stands in the text as a character
    of its own (Python's `surrogateescape`)."""
    return text.encode("utf-8", "surrogateescape")


def _is_whole(text: str, field: Field) -> bool:
    """Whether UTF-8 can hold it: JSON can escape one half of a pair."""
    try:
        as_bytes(text) if field.any_bytes else text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_of(value: object, kind: JSONKind) -> bool:
    match kind:
        case JSONKind.TEXT:
            return isinstance(value, str)
        case JSONKind.BOOLEAN:
            return isinstance(value, bool)
        case JSONKind.TEXTS:
            return isinstance(value, list) and all(isinstance(each, str) for each in value)
        case JSONKind.WHOLE:
            return isinstance(value, int) and not isinstance(value, bool)
        case JSONKind.NUMBER:
            # A whole number may be larger than any float; it is compared as it is.
            return (
                isinstance(value, (int, float))
                and not isinstance(value, bool)
                and (isinstance(value, int) or math.isfinite(value))
            )


def _nearest(name: str, fields: Fields) -> str:
    near = get_close_matches(name, fields, 1)
    return f"Did you mean {near[0]}?" if near else _wanted(fields)


def _wanted(fields: Fields) -> str:
    if not fields:
        return "No body is needed"
    return "; ".join(f"{name}: {field.meaning}" for name, field in fields.items())


def _shown(name: str) -> str:
    return repr(shortened(name, _MAX_SHOWN))
