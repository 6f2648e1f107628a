"""Reports as one HTML page that needs nothing beside it: no script, no font, no other host."""

import base64

import jinja2

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("pa_jax.evaluate.reports"),
    autoescape=True,  # what a person or a model wrote is text and nothing else
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_TEMPLATES.filters["base64"] = lambda data: base64.b64encode(data).decode()


def render(template: str, **figures: object) -> str:
    """The page that a template of templates/ makes of its figures."""
    return _TEMPLATES.get_template(template).render(figures)
