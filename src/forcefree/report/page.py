"""Turn an analysis, its pictures and its clips into one HTML page."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from forcefree.analysis.result import Analysis, Measure
from forcefree.report.movie import Clip

_FILES = resources.files("forcefree.report")


def render(analysis: Analysis, images: Mapping[str, bytes], movie: Sequence[Clip]) -> str:
    """Fill the template; scripts, styles and pictures become part of the page.

    Args:
        analysis: Numbers and verdicts.
        images: PNG images by name.
        movie: Clips for the viewer; an empty sequence leaves it out.

    Returns:
        HTML that opens without a network.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(number=number, value=value)
    template = environment.from_string(_text("page.html.j2"))
    return template.render(
        analysis=analysis,
        images={name: base64.b64encode(image).decode() for name, image in images.items()},
        style=Markup(_text("page.css")),  # noqa: S704 -- our own file
        library=script(_text("vendor/3Dmol-min.js")) if movie else "",
        player=script(_text("player.js")) if movie else "",
        clips=script(json.dumps([clip.plain() for clip in movie])),
        counts=_counts(analysis.measures),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def script(source: str) -> Markup:
    """JavaScript or JSON that can stand inside a script element: nothing in it ends the element or opens a comment."""
    return Markup(source.replace("</", "<\\/").replace("<!--", "<\\!--"))  # noqa: S704 -- escaped here


def number(quantity: float | None, digits: int = 3) -> str:
    """A number for people: significant digits without exponents where that is readable, a dash for None."""
    if quantity is None:
        return "–"
    magnitude = abs(quantity)
    if magnitude >= 10 ** (digits - 1):
        return f"{quantity:.0f}"
    if magnitude < 1e-4:
        return "0" if magnitude == 0 else f"{quantity:.1e}"
    return f"{quantity:.{digits}g}"


def value(quantity: float | None, error: float | None = None) -> str:
    """A number with its standard error, both to the decimals that the error allows."""
    if quantity is None or error is None or error <= 0.0:
        return number(quantity)
    decimals = 0
    while error * 10**decimals < 1.95 and decimals < 6:
        decimals += 1
    return f"{quantity:z.{decimals}f} ± {error:.{decimals}f}"


def _text(name: str) -> str:
    return (_FILES / name).read_text(encoding="utf-8")


def _counts(measures: Sequence[Measure]) -> dict[str, Any]:
    return {verdict: sum(measure.verdict == verdict for measure in measures) for verdict in ("holds", "undecided", "does not hold")}
