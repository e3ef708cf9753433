"""The small faults that can be put into a module's source, one at a time. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

_COMPARISONS: dict[type[ast.cmpop], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}
_OPERATORS: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "+"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "+"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """The bytes [`start`, `end`) of a source become `text`. `line` counts from 1."""

    start: int
    end: int
    text: str
    line: int
    what: str

    def in_source(self, source: bytes) -> bytes:
        """The source with this fault."""
        return source[: self.start] + self.text.encode() + source[self.end :]


def faults(source: bytes) -> tuple[Fault, ...]:
    """All faults of a module's source, in its order. Each of them is still Python."""
    found = sorted(_Finder(source).all(), key=lambda fault: (fault.start, fault.end, fault.text))
    return tuple(fault for fault in found if _is_python(fault.in_source(source)))


def _is_python(source: bytes) -> bool:
    try:
        compile(source, "mutant", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


class _Finder:
    def __init__(self, source: bytes) -> None:
        self._source = source
        self._tree = ast.parse(source)
        self._line_starts = [0]
        for line in source.splitlines(keepends=True):
            self._line_starts.append(self._line_starts[-1] + len(line))

    def all(self) -> Iterator[Fault]:
        yield from self._of_block(self._tree.body)

    def _of_block(self, statements: list[ast.stmt]) -> Iterator[Fault]:
        for statement in statements:
            if not _is_declaration(statement):
                yield from self._of_statement(statement)

    def _of_statement(self, statement: ast.stmt) -> Iterator[Fault]:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            for default in (*statement.args.defaults, *statement.args.kw_defaults):
                if default is not None:
                    yield from self._of_expression(default)
            yield from self._of_block(statement.body)
            return
        if isinstance(statement, ast.ClassDef):
            yield from self._of_block(statement.body)
            return
        yield from self._left_out(statement)
        if isinstance(statement, ast.AnnAssign):
            # Annotations say nothing to the program.
            if statement.value is not None:
                yield from self._of_expression(statement.value)
            return
        if isinstance(statement, ast.If | ast.While):
            yield self._replaced(statement.test, "not ({})", "condition turned round")
        for child in ast.iter_child_nodes(statement):
            yield from self._of_child(child)

    def _of_child(self, child: ast.AST) -> Iterator[Fault]:
        if isinstance(child, ast.stmt):
            yield from self._of_block([child])
        elif isinstance(child, ast.expr):
            yield from self._of_expression(child)
        elif isinstance(child, ast.ExceptHandler):
            yield from self._of_block(child.body)
        elif isinstance(child, ast.match_case):
            if child.guard is not None:
                yield self._replaced(child.guard, "not ({})", "guard turned round")
                yield from self._of_expression(child.guard)
            yield from self._of_block(child.body)
        elif isinstance(child, ast.withitem):
            yield from self._of_expression(child.context_expr)

    def _left_out(self, statement: ast.stmt) -> Iterator[Fault]:
        calls = isinstance(statement, ast.Expr) and isinstance(
            statement.value, ast.Call | ast.Await | ast.YieldFrom
        )
        if calls or isinstance(statement, ast.AugAssign | ast.Raise | ast.Continue | ast.Break):
            yield self._replaced(statement, "pass", "statement left out")
        elif isinstance(statement, ast.Return) and statement.value is not None:
            value = statement.value
            if not _is_as_none(value):
                yield self._replaced(value, "None", "returns None")
        elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Attribute):
            yield self._replaced(statement, "pass", "statement left out")

    def _of_expression(self, top: ast.expr) -> Iterator[Fault]:
        for node in _nodes(top):
            match node:
                case ast.Compare(left=left, ops=[operator], comparators=[right]):
                    old, new = _COMPARISONS[type(operator)]
                    yield from self._between(left, right, old, new)
                case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
                    if not _is_text(left) and not _is_text(right):
                        yield from self._between(left, right, *_OPERATORS[type(operator)])
                case ast.BoolOp(op=operator, values=values):
                    old, new = ("and", "or") if isinstance(operator, ast.And) else ("or", "and")
                    for left, right in pairwise(values):
                        yield from self._between(left, right, old, new)
                case ast.UnaryOp() | ast.IfExp() | ast.comprehension():
                    yield from self._of_condition(node)
                case ast.Constant(value=bool(value)):
                    yield self._fault(node, str(not value), f"{value} for {not value}")
                case ast.Constant(value=int(value) | float(value)):
                    yield self._fault(node, f"({value!r} + 1)", f"{value!r} + 1")

    def _of_condition(self, node: ast.UnaryOp | ast.IfExp | ast.comprehension) -> Iterator[Fault]:
        match node:
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                yield self._fault(node, f"({self._text(operand)})", "`not` left out")
            case ast.IfExp(test=test):
                yield self._replaced(test, "(not ({}))", "condition turned round")
            case ast.comprehension(ifs=conditions):
                for condition in conditions:
                    yield self._replaced(condition, "(not ({}))", "filter turned round")

    def _between(self, left: ast.expr, right: ast.expr, old: str, new: str) -> Iterator[Fault]:
        start, end = self._offset(left, end=True), self._offset(right, end=False)
        # Besides the operator there may be brackets, and comments with the same words.
        gap = self._source[start:end].decode()
        for found in re.finditer(rf"#[^\n]*|(?P<operator>{re.escape(old)})", gap):
            if found["operator"]:
                text = gap[: found.start()] + new + gap[found.end() :]
                line = left.end_lineno or left.lineno
                yield Fault(start, end, text, line, f"`{old}` became `{new}`")

    def _replaced(self, node: ast.expr | ast.stmt, pattern: str, what: str) -> Fault:
        return self._fault(node, pattern.format(self._text(node)), what)

    def _fault(self, node: ast.expr | ast.stmt, text: str, what: str) -> Fault:
        start, end = self._offset(node, end=False), self._offset(node, end=True)
        return Fault(start, end, text, node.lineno, what)

    def _text(self, node: ast.expr | ast.stmt) -> str:
        start, end = self._offset(node, end=False), self._offset(node, end=True)
        return self._source[start:end].decode()

    def _offset(self, node: ast.expr | ast.stmt, *, end: bool) -> int:
        """Python counts columns in bytes of UTF-8."""
        line = (node.end_lineno or node.lineno) if end else node.lineno
        column = (node.end_col_offset or 0) if end else node.col_offset
        return self._line_starts[line - 1] + column


def _nodes(top: ast.expr) -> Iterator[ast.AST]:
    """The nodes of an expression, but not those inside of f-strings, which are words."""
    yield top
    if not isinstance(top, ast.JoinedStr):
        for child in ast.iter_child_nodes(top):
            if isinstance(child, ast.expr | ast.comprehension | ast.keyword):
                yield from _nodes(child)  # type: ignore[arg-type]


def _is_as_none(node: ast.expr) -> bool:
    """To whoever asks for a truth these are one."""
    return isinstance(node, ast.Constant) and (node.value in (None, "") or node.value is False)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _is_declaration(statement: ast.stmt) -> bool:
    """What no test can judge: docstrings, imports, and what is for type checkers alone."""
    if isinstance(statement, ast.If):
        return isinstance(statement.test, ast.Name) and statement.test.id == "TYPE_CHECKING"
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.ClassDef):
        return any(isinstance(base, ast.Name) and base.id == "Protocol" for base in statement.bases)
    return isinstance(statement, ast.Import | ast.ImportFrom)
