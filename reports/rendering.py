# SPDX-License-Identifier: Apache-2.0
"""The template environment that reports and pages share: strict, escaped, with hidden characters shown."""

from __future__ import annotations

import base64
import functools
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reports import words
from reports.visible import visible, visible_html

if TYPE_CHECKING:
    from collections.abc import Sequence

_HERE: Final = Path(__file__).parent
TEMPLATES: Final = _HERE / "templates"
STYLES: Final = _HERE / "static"


def environment(*folders: Path) -> Environment:
    """A Jinja environment over ``folders`` and then the templates of this room.

    An undefined name or a None that reaches the output is an error. Whatever is printed is escaped, and hidden
    characters in it are written out, also where a template forgets to ask for it.
    """
    result = Environment(
        loader=FileSystemLoader([*folders, TEMPLATES]),
        undefined=StrictUndefined,
        autoescape=True,
        finalize=_printed,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    result.filters |= {"visible": visible_html, "short": words.short, "count": words.count}
    result.globals["signs"] = words.VERDICT_SIGNS
    result.globals["cell_signs"] = words.CELL_SIGNS
    result.globals["cell_meanings"] = words.CELL_MEANINGS
    return result


def _printed(value: Any) -> Any:  # noqa: ANN401 - whatever a template prints
    if value is None:
        raise TypeError("a template printed None: its view has to say what to show instead")
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@functools.cache
def stylesheet(names: Sequence[str] = ("tokens.css", "parts.css", "diff.css", "chart.css")) -> str:
    """The stylesheet of what reports and pages share, or of the files named, as one text."""
    return "".join((STYLES / name).read_text(encoding="utf-8") for name in names)


def standalone(template: str, view: object, *more: str) -> str:
    """A report as one HTML file that needs nothing else; ``more`` are stylesheets that only it needs.

    Its own security policy allows its one style block by hash and nothing else.
    """
    style = Markup(_style_text(*more))  # noqa: S704 - our own stylesheet
    return _reports().get_template(template).render(view=view, style=style, policy=report_policy(*more))


@functools.cache
def _reports() -> Environment:
    return environment()


def _style_text(*more: str) -> str:
    return f"\n{stylesheet()}{stylesheet(more)}"


def report_policy(*more: str) -> str:
    """The content security policy of a report: its style block by hash, nothing else. For the HTTP header too."""
    hashed = base64.b64encode(hashlib.sha256(_style_text(*more).encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{hashed}'; base-uri 'none'; form-action 'none'"
