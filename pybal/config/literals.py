"""Python literals, read without ever executing anything. Pure."""

from __future__ import annotations

import ast
import warnings

from pybal.config.bad_value import BadValueError, quotes_hint

MAX_LITERAL = 16384
_NO_LITERAL = "it cannot be read (is a quote, a comma or a bracket missing?)"


def parse_literal(text: str) -> object:
    """The value of a Python literal; raises BadValueError for any other text."""
    body = literal_tree(text).body
    if isinstance(body, ast.Dict):
        keys = [key.value for key in body.keys if isinstance(key, ast.Constant)]
        values = [value.value for value in body.values if isinstance(value, ast.Constant)]
        if len(keys) == len(values) == len(body.values):
            # Nearly all lines of pool lists. Each call of literal_eval makes functions that refer
            # to one another: eleven objects of garbage, which have to be searched for.
            return dict(zip(keys, values, strict=True))
    try:
        value: object = ast.literal_eval(body)
    except (ValueError, TypeError, MemoryError, RecursionError) as error:
        raise BadValueError(_no_literal(text)) from error
    return value


def repeated_key(text: str) -> str:
    """A key that a dict literal gives twice, as it is written; empty if there is none. Of such
    keys Python takes the last."""
    body = literal_tree(text).body
    keys = [ast.unparse(key) for key in body.keys if key] if isinstance(body, ast.Dict) else []
    return next((key for key in keys if keys.count(key) > 1), "")


def literal_tree(text: str) -> ast.Expression:
    """The syntax tree of one expression, to be read and never run; raises BadValueError."""
    if len(text) > MAX_LITERAL:
        raise BadValueError(f"it is longer than {MAX_LITERAL} characters")
    try:
        with warnings.catch_warnings():
            # An odd escape such as '\d' would print a warning into the log.
            warnings.simplefilter("ignore")
            return ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise BadValueError(_no_literal(text)) from error


def _no_literal(text: str) -> str:
    return quotes_hint(text) or _NO_LITERAL
