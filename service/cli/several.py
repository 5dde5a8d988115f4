# SPDX-License-Identifier: Apache-2.0
"""Options that take several values: ``--head-rebuild A B C`` as well as ``--head-rebuild A --head-rebuild B``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typer.core import TyperCommand

if TYPE_CHECKING:
    from collections.abc import Sequence


class SeveralValues(TyperCommand):
    """A command whose repeatable options also take several values after one name, once its arguments are given."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - the parser's own context
        """Repeat an option's name before each of its values, then parse as usual."""
        several = {
            name
            for parameter in self.params
            if getattr(parameter, "multiple", False)
            for name in (*parameter.opts, *parameter.secondary_opts)
        }
        positional = sum(parameter.param_type_name == "argument" for parameter in self.params)
        return list(super().parse_args(ctx, repeated(args, several, positional)))


def repeated(args: Sequence[str], several: set[str], positional: int) -> list[str]:
    """``args`` with every further value of an option in ``several`` given the option's name.

    Only once ``positional`` arguments have come before it: a value that may be an argument stays one.
    """
    found: list[str] = []
    arguments, option, value = 0, "", False
    for argument in args:
        if argument.startswith("-") and argument != "-":
            option, value = argument.partition("=")[0], "=" not in argument
        elif value:
            value = False
        elif option in several and arguments >= positional:
            found.append(option)
        else:
            arguments += 1
            option = ""
        found.append(argument)
    return found
