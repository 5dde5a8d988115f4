# SPDX-License-Identifier: Apache-2.0
"""Charts as inline SVG that a strict content security policy and both themes can live with.

vl-convert's SVG is read and written anew from an allow-list: no ``style``, script, link, id or font survives, so
several charts stand on one page and nothing is fetched. Colours that the chart uses as names (`INKS`) become classes
that the stylesheet colours for light, dark and print; the light colour stays as the fallback.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

from markupsafe import Markup, escape

from reports.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Class name -> the colour that stands for it in the specification; also what a reader without the stylesheet sees.
INKS: Final[Mapping[str, str]] = {
    "paper": "#fefefe",
    "ink": "#1d2126",
    "soft": "#575e69",
    "rule": "#c9ccd1",
    "one": "#3d444f",
    "band": "#e4e7ec",
    "amplified": "#a33c0a",
    "suppressed": "#0b569e",
    "shifted": "#6a3d9a",
    "equivalent": "#2f6f4f",
    "inconclusive": "#7a5a00",
    "not-run": "#646b76",
}
_CLASSES: Final = {colour: name for name, colour in INKS.items()}

_ELEMENTS: Final = frozenset({"g", "path", "line", "rect", "text"})
_ATTRIBUTES: Final = (
    "transform", "d", "x", "y", "x2", "y2", "width", "height", "text-anchor", "font-size", "font-weight",
    "stroke-width", "stroke-dasharray", "opacity",
)  # fmt: skip
_NAMESPACE: Final = "{http://www.w3.org/2000/svg}"
_LONG_NUMBER: Final = re.compile(r"-?\d+\.\d{3,}(?:e-?\d+)?")


def clean(svg: str, *, title: str, description: str) -> Markup:
    """An accessible, self-contained ``<svg role="img">`` of what vl-convert drew.

    Args:
        svg: as vl-convert returns it.
        title: the chart's name, read out in place of the picture.
        description: what the chart shows, in a sentence or two.

    Numbers are rounded to hundredths of a unit, so that the last digit of a machine's logarithm changes no byte.
    """
    root = ET.fromstring(svg)  # noqa: S314 - as above
    box = " ".join(_rounded(part) for part in root.get("viewBox", "0 0 1 1").split())
    width = _rounded(root.get("width", "1"))
    body = "".join(_children(root))
    return Markup(  # noqa: S704 - every attribute and text below is escaped or from the allow-list
        f'<svg class="chart" role="img" viewBox="{escape(box)}" width="{escape(width)}" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{escape(visible(title))}</title>'
        f"<desc>{escape(visible(description))}</desc>{body}</svg>"
    )


def _children(element: ET.Element) -> Iterator[str]:
    for child in element:
        name = child.tag.removeprefix(_NAMESPACE)
        if name not in _ELEMENTS or _draws_nothing(child, name):
            continue
        inner = escape(visible(child.text or "")) if name == "text" else "".join(_children(child))
        if name == "g" and not inner:
            continue
        yield f"<{name}{_attributes(child)}>{inner}</{name}>" if inner else f"<{name}{_attributes(child)}/>"


def _draws_nothing(element: ET.Element, name: str) -> bool:
    """Backgrounds and foregrounds of groups: vl-convert writes them even where they are empty."""
    if name == "path":
        return element.get("class") in {"background", "foreground"} or not element.get("d")
    return name == "rect" and element.get("fill") == "white"


def _attributes(element: ET.Element) -> str:
    written = []
    classes = []
    for paint in ("fill", "stroke"):
        value = element.get(paint)
        if value in _CLASSES:
            classes.append(f"{paint}-{_CLASSES[value]}")
        if value is not None and (value in _CLASSES or value in {"none", "transparent"}):
            written.append((paint, "none" if value == "transparent" else value))
    written += [(name, _rounded(value)) for name in _ATTRIBUTES if (value := element.get(name)) is not None]
    if classes:
        written.insert(0, ("class", " ".join(classes)))
    return "".join(f' {name}="{escape(value)}"' for name, value in written)


def _rounded(text: str) -> str:
    return _LONG_NUMBER.sub(lambda match: f"{float(match.group()):.2f}", text)
