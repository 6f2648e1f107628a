"""The report as one HTML page that needs nothing beside it."""

import base64
import html
from collections.abc import Mapping, Sequence

from pa_jax.evaluate import tables

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75em; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; display: block; overflow-x: auto; font-size: 13px; }
th, td { border-bottom: 1px solid #ccc; padding: .3em .7em; text-align: left; white-space: nowrap; }
img { max-width: 100%; } dt { float: left; width: 11em; color: #555; } blockquote { color: #333; }
"""


def render(
    about: Mapping[str, object],
    made: Sequence[tables.Table],
    found: Sequence[tables.Sample],
    picture: bytes,
) -> str:
    """Facts of the run, the chart, the tables and the samples; texts of models stay text."""
    image = base64.b64encode(picture).decode()
    facts = "".join(f"<dt>{_text(key)}</dt><dd>{_text(value)}</dd>" for key, value in about.items())
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><title>Evaluation</title>",
        f"<style>{_STYLE}</style><h1>Evaluation</h1><dl>{facts}</dl>",
        f'<img alt="Means and 95 % intervals" src="data:image/png;base64,{image}">',
        *map(_table, made),
        "<h2>Samples</h2>" if found else "",
    ]
    for title in dict.fromkeys(sample.title for sample in found):
        parts.append(f"<h3>{_text(title)}</h3>")
        parts += [_sample(sample) for sample in found if sample.title == title]
    return "\n".join([*parts, "</html>", ""])


def _table(table: tables.Table) -> str:
    head = "".join(f"<th>{_text(cell)}</th>" for cell in table.head)
    lines = "".join(
        "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in line) + "</tr>"
        for line in table.lines
    )
    return f"<h2>{_text(table.title)}</h2><table><tr>{head}</tr>{lines}</table>"


def _sample(sample: tables.Sample) -> str:
    said = f"<p>User: {_text(sample.user)}</p>" if sample.user else ""
    return (
        f"<p><code>{_text(sample.id)}</code> {_text(sample.measures)}</p>"
        f"<blockquote>{said}<p>{_text(sample.text)}</p></blockquote>"
    )


def _text(value: object) -> str:
    return html.escape(str(value))
