"""What mkdocs and mkdocstrings fill in: the tables of config keys, and columns in docstrings."""

import inspect

import config_keys  # beside this file, which mkdocs puts on the path
import griffe

MARK = "<!-- config keys -->"


def on_page_markdown(markdown: str, **_: object) -> str:
    """Mkdocs' hook: the marker becomes the tables of all configs."""
    if MARK not in markdown:
        return markdown
    names = config_keys.configs.names()
    return markdown.replace(MARK, "\n\n".join(config_keys.table(name) for name in names))


class Columns(griffe.Extension):
    """Docstring lines in columns (name, two blanks, meaning) as a list for mkdocstrings."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        if obj.docstring is not None:
            obj.docstring.value = listed(obj.docstring.value)


def listed(doc: str) -> str:
    """The docstring with its columns as Markdown lists, and what stands between them."""
    lines, inside = [], False
    for line in inspect.cleandoc(doc).split("\n"):
        match = config_keys.FIELD.fullmatch(line.strip())
        if match:
            lines += ([] if inside else [""]) + [f"- `{match['names']}`: {match['text']}"]
            inside = True
        elif inside and line.startswith("  "):
            lines.append(f"  {line.strip()}")
        else:
            lines += ([""] if inside else []) + [line]
            inside = False
    return "\n".join(lines)
