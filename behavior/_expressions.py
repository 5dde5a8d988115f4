# SPDX-License-Identifier: Apache-2.0
"""Label expressions: the part of SQL that says something of one item by its own columns, and nothing more.

Text is parsed by sqlglot and held against a list of what a label may be made of; what passes is written out again
from the syntax tree and given to polars. So a label reads no file and no other table, does not depend on the clock
or on chance, and an item's label depends on that item alone. Anything not on the list is refused by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import sqlglot
from sqlglot import exp

from evidence import PanelError

if TYPE_CHECKING:
    from collections.abc import Sequence

_OPERATORS: tuple[type[exp.Expr], ...] = (
    exp.And,
    exp.Or,
    exp.Not,
    exp.Paren,
    exp.EQ,
    exp.NEQ,
    exp.GT,
    exp.GTE,
    exp.LT,
    exp.LTE,
    exp.NullSafeEQ,
    exp.NullSafeNEQ,
    exp.In,
    exp.Between,
    exp.Is,
    exp.Like,
    exp.ILike,
    exp.RegexpLike,
    exp.Add,
    exp.Sub,
    exp.Mul,
    exp.Div,
    exp.Mod,
    exp.Neg,
    exp.DPipe,
    exp.Case,
    exp.If,
    exp.Cast,
    exp.Extract,
)
_FUNCTIONS: tuple[type[exp.Expr], ...] = (
    exp.Abs,
    exp.Coalesce,
    exp.Concat,
    exp.Exp,
    exp.Greatest,
    exp.Least,
    exp.Length,
    exp.Ln,
    exp.Lower,
    exp.Nullif,
    exp.Pow,
    exp.Round,
    exp.Sqrt,
    exp.StartsWith,
    exp.Upper,
)
_ATOMS: tuple[type[exp.Expr], ...] = (
    exp.Column,
    exp.Identifier,
    exp.Literal,
    exp.Boolean,
    exp.Null,
    exp.DataType,
    exp.DataTypeParam,
    exp.Var,
)
_ALLOWED = frozenset((*_OPERATORS, *_FUNCTIONS, *_ATOMS))
_DIALECT = "postgres"


def label_expression(text: str, columns: Sequence[str], file: str, place: str) -> tuple[pl.Expr, frozenset[str]]:
    """The expression as polars evaluates it, and the columns it reads.

    Args:
        text: a SQL expression over the item columns.
        columns: the columns there are.
        file: the table they are of, for messages.
        place: where the expression stands, for messages.

    Raises:
        PanelError: not SQL, something a label may not be made of, an unknown column, no column at all.
    """
    try:
        tree = sqlglot.parse_one(text, dialect=_DIALECT)
        names = _checked(tree, columns, file, place)
        for column in list(tree.find_all(exp.Identifier)):
            column.args["quoted"] = True
        written = tree.sql(dialect=_DIALECT, comments=False)
    except (sqlglot.errors.SqlglotError, RecursionError) as error:
        raise PanelError(f"{place}: not a SQL expression: {_first_line(error)}") from error
    try:
        return pl.sql_expr(written), names
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise PanelError(f"{place}: {_first_line(error)}") from error


def _checked(tree: exp.Expr, columns: Sequence[str], file: str, place: str) -> frozenset[str]:
    names: set[str] = set()
    for node in tree.walk():
        if type(node) not in _ALLOWED:
            raise PanelError(f"{place}: {_called(node)} is not allowed; a label is made of the item's own columns")
        if isinstance(node, exp.Column):
            name = node.name
            if node.args.get("table") is not None or name not in columns or _is_pattern(name):
                raise PanelError(f"{place}: no column {_column(node)!r} in {file}; it has {', '.join(columns)}")
            names.add(name)
    if not names:
        raise PanelError(f"{place}: names no column of {file}")
    return frozenset(names)


def _is_pattern(name: str) -> bool:
    """Polars takes such a name for a pattern over all columns."""
    return name.startswith("^") and name.endswith("$")


def _column(node: exp.Column) -> str:
    return ".".join(part.name for part in node.parts)


def _called(node: exp.Expr) -> str:
    """What a person who wrote it would call it."""
    if isinstance(node, exp.Subquery | exp.Select | exp.Exists | exp.Table | exp.From):
        return "a subquery"
    if isinstance(node, exp.Window):
        return "a window function"
    if isinstance(node, exp.Anonymous):
        return f"function {node.name!r}"
    if isinstance(node, exp.AggFunc):
        return f"aggregate {node.sql_name()!r}"
    return f"function {node.sql_name()!r}" if isinstance(node, exp.Func) else f"{type(node).__name__!r}"


def _first_line(error: Exception) -> str:
    lines = str(error).replace("\x1b[4m", "").replace("\x1b[0m", "").splitlines()
    return lines[0] if lines else type(error).__name__
