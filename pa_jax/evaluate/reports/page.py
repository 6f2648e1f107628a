"""Reports as one HTML page that needs nothing beside it: no script, no font, no other host."""

import base64
import html
from collections.abc import Mapping, Sequence

from pa_jax.evaluate.reports import tables

# Nothing may be fetched or run, whatever a model wrote into the page.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_STYLE = """
:root { color-scheme: light dark; --line: #cfd4da; --soft: #f3f5f7; --faint: #5b6570;
        --good: #1a6b2f; --bad: #a3262c; }
@media (prefers-color-scheme: dark) {
  :root { --line: #3b434c; --soft: #1d2227; --faint: #a2acb6; --good: #7fd496; --bad: #ff9a97; }
  body { background: #121518; color: #e7eaed; }
  img { filter: invert(1) hue-rotate(180deg); }
}
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75em; margin: 2em auto; padding: 0 1em; }
h1 { overflow-wrap: anywhere; } h2 { margin-top: 2em; border-bottom: 1px solid var(--line); }
nav a { margin-right: 1em; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; }
th, td { border-bottom: 1px solid var(--line); padding: .3em .7em; text-align: left;
         vertical-align: top; }
th { white-space: nowrap; }
img { max-width: 100%; height: auto; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1.2em; }
dt { color: var(--faint); } dd { margin: 0; overflow-wrap: anywhere; }
blockquote { margin: .4em 0 1em 1em; } p.note { color: var(--faint); }
summary { cursor: pointer; }
"""


def document(title: str, parts: Sequence[str], *, style: str = "") -> str:
    """The page of parts that are HTML already."""
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{text(title)}</title>\n<style>{_STYLE}{style}</style>\n</head>\n<body>",
            f"<h1>{text(title)}</h1>",
            *parts,
            "</body>\n</html>\n",
        ]
    )


def render(
    about: Mapping[str, object],
    made: Sequence[tables.Table],
    found: Sequence[tables.ReplySample],
    picture: bytes,
) -> str:
    """An evaluation: facts of the run, the chart (SVG), the tables and the samples."""
    parts = [facts(about), image(picture, "Means and 95 % intervals")]
    for one in made:
        parts += [f"<h2>{text(one.title)}</h2>", table(one.head, one.lines)]
    parts += ["<h2>Samples</h2>"] if found else []
    for title in dict.fromkeys(sample.title for sample in found):
        parts.append(f"<h3>{text(title)}</h3>")
        parts += [_sample(sample) for sample in found if sample.title == title]
    return document("Evaluation", parts)


def facts(about: Mapping[str, object]) -> str:
    """Names and values, a line each."""
    lines = (f"<dt>{text(key)}</dt><dd>{text(value)}</dd>" for key, value in about.items())
    return f"<dl>{''.join(lines)}</dl>"


def table(head: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    """Cells as text under their heads; on a narrow screen it scrolls by itself."""
    top = "".join(f'<th scope="col">{text(cell)}</th>' for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{text(cell)}</td>" for cell in line) + "</tr>" for line in lines
    )
    return (
        f'<div class="wide" tabindex="0"><table><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def image(svg: bytes, alt: str) -> str:
    """An SVG picture, whole inside the page."""
    data = base64.b64encode(svg).decode()
    return f'<p><img alt="{text(alt)}" src="data:image/svg+xml;base64,{data}"></p>'


def text(value: object) -> str:
    """What a person or a model wrote, as text and nothing else."""
    return html.escape(str(value))


def _sample(sample: tables.ReplySample) -> str:
    said = f"<p>User: {text(sample.user)}</p>" if sample.user else ""
    return (
        f"<p><code>{text(sample.id)}</code> {text(sample.measures)}</p>"
        f"<blockquote>{said}<p>{text(sample.text)}</p></blockquote>"
    )
