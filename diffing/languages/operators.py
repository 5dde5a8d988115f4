# SPDX-License-Identifier: Apache-2.0
"""What an operator makes of its operands, in languages whose grammars have one node for all of them."""

from __future__ import annotations

from diffing.languages.table import Kind

_LOGIC = {"&&": "and", "||": "or", "and": "and", "or": "or"}
_COMPARISONS = {
    **{same: same for same in ("==", "!=", "<", "<=", ">", ">=", "in", "not in", "is", "is not", "like", "not like")},
    "===": "==",
    "!==": "!=",
    "<>": "!=",
    "!in": "not in",
    "instanceof": "instanceof",
    "=~": "=~",
    "ilike": "like",
    "eq": "==",
}
_PAIRS = frozenset({"->", "to"})


def by_operator(operator: str) -> tuple[Kind, str]:
    """The kind of a binary expression and its operator as all languages spell it."""
    if operator in _LOGIC:
        return Kind.LOGIC, _LOGIC[operator]
    if operator in _COMPARISONS:
        return Kind.COMPARE, _COMPARISONS[operator]
    if operator in _PAIRS:
        return Kind.PAIR, ""
    if not operator:
        return Kind.ASSIGN, ""
    if len(operator) > 1 and operator.endswith("=") and operator != "=>":
        return Kind.AUGMENT, operator
    return Kind.ARITHMETIC, operator
