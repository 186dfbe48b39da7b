"""Names from files and specs as text of a format, never as its syntax."""

import re

from yoloplug.names import printable

_LATEX = {
    "\\": r"\textbackslash{}", "_": r"\_", "&": r"\&", "%": r"\%", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "±": r"$\pm$", "²": r"$^2$", "<": "$<$", ">": "$>$",
    "|": r"\textbar{}", '"': "''", "`": r"\textasciigrave{}",
}  # fmt: skip
# What CommonMark and GitHub would read as syntax inside a line: the characters always, brackets, tags, entities and
# underscores only where they make a link, a tag, an entity or emphasis.
_MARKDOWN = re.compile(r"[\\`*|~$]|](?=[(\[:])|<(?=[A-Za-z/!?])|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_])")


def markdown(text: str) -> str:
    """For the inside of a line or of a table's cell."""
    return _MARKDOWN.sub(lambda match: f"\\{match[0]}", printable(text).replace("\n", " "))


def latex(text: str) -> str:
    """For text mode; quotation marks upright, what TeX cannot set under inputenc's utf8 stays to its user."""
    return "".join(_LATEX.get(character, character) for character in printable(text))


def csv_text(text: str) -> str:
    """For a cell of a spreadsheet: what would begin a formula there gets an apostrophe before it (OWASP)."""
    shown = printable(text)
    return f"'{shown}" if shown.startswith(("=", "+", "-", "@")) else shown
