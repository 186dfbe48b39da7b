"""One HTML file from a template that extends `page.html`; nothing in it is loaded from elsewhere."""

import base64
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from segplug.page import palette
from yoloplug.names import printable


@dataclass(frozen=True)
class Entry:
    """Of a table: a value, below it in small print what belongs to it, a line each; `link` makes it a link."""

    value: str
    small: str = ""
    link: str = ""


def render(template: Path, **values: object) -> str:
    """The page of `template` (Jinja2), which finds `page.html` and `parts.html` beside its own neighbours.

    `page.html` wants `title`. Values are escaped; a value that the template names and nobody gives raises.
    """
    environment = Environment(
        loader=FileSystemLoader([template.parent, Path(__file__).parent]),
        autoescape=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template.name).render(palette=palette, **values)


def data_uri(content: bytes, kind: str) -> str:
    """`kind`: jpeg, png, svg+xml."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
