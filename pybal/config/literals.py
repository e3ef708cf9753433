"""Python literals, read without ever executing anything. Pure."""

from __future__ import annotations

import ast
import math
import warnings

from pybal.config.bad_value import BadValueError
from pybal.config.settings import Argument, LiteralArgument, ServerArgument

MAX_LITERAL = 16384
_NO_LITERAL = "it cannot be read (is a quote, a comma or a bracket missing?)"
_MAX_BITS = 64
SERVER_ATTRIBUTES = ("host", "ip", "port")


def parse_literal(text: str) -> object:
    """The value of a Python literal; raises BadValueError for any other text."""
    try:
        value: object = ast.literal_eval(_tree(text))
    except (ValueError, TypeError, MemoryError, RecursionError) as error:
        raise BadValueError(_NO_LITERAL) from error
    return value


def parse_arguments(text: str) -> tuple[Argument, ...]:
    """RunCommand's arguments: a list of strings, numbers and the words server.host, server.ip
    and server.port. The text becomes a syntax tree, whose nodes are read and never run."""
    body = _tree(text).body
    if not isinstance(body, (ast.List, ast.Tuple)):
        raise BadValueError("it is not a list")
    return tuple(_argument(node, number) for number, node in enumerate(body.elts, start=1))


def _argument(node: ast.expr, number: int) -> Argument:
    if (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "server"
        and node.attr in SERVER_ATTRIBUTES
    ):
        return ServerArgument(node.attr)
    sign = ""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        sign, node = "-", node.operand
    value = node.value if isinstance(node, ast.Constant) else None
    if type(value) is str and not sign and _can_be_passed(value):
        return LiteralArgument(value)
    if (type(value) is int and value.bit_length() <= _MAX_BITS) or (
        type(value) is float and math.isfinite(value)
    ):
        return LiteralArgument(f"{sign}{value}")
    raise BadValueError(f"element {number} is none of these")


def _can_be_passed(text: str) -> bool:
    """A program's argument is bytes without NUL."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _tree(text: str) -> ast.Expression:
    if len(text) > MAX_LITERAL:
        raise BadValueError(f"it is longer than {MAX_LITERAL} characters")
    try:
        with warnings.catch_warnings():
            # An odd escape such as '\d' would print a warning into the log.
            warnings.simplefilter("ignore")
            return ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise BadValueError(_NO_LITERAL) from error
