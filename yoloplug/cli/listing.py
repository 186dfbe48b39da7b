"""What `yoloplug blocks` and `yoloplug show` print, without importing a block: a table and pages made beforehand.

`python docs/catalogue.py --pages-only` makes both from the registry and the docstrings; a test compares.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from yoloplug.registry import Block, unknown

KINDS = {"conv": "sets width and stride itself", "keep": "keeps width and stride; a Conv before it sets them"}
TABLE = Path(__file__).with_name("blocks.json")
_IN_WHEEL = Path(__file__).parents[1] / "block_pages"
_IN_SOURCE_TREE = Path(__file__).parents[2] / "docs" / "blocks"


def rows(blocks: Iterable[Block]) -> str:
    """The table of blocks, as text of `blocks.json`."""
    fields = ("name", "summary", "paper", "kind", "hosts", "constraints")
    ordered = sorted(blocks, key=lambda block: block.name.lower())
    return json.dumps([{field: getattr(block, field) for field in fields} for block in ordered], indent=1) + "\n"


def listed() -> str:
    """Every block in five lines."""
    return "\n".join(
        f"{block['name']}: {block['summary']}\n"
        f"    paper        {block['paper']}\n"
        f"    kind         {block['kind']} ({KINDS[block['kind']]})\n"
        f"    YAML names   {', '.join(block['hosts'])}\n"
        f"    constraints  {block['constraints']}"
        for block in _table()
    )


def host_names() -> set[str]:
    """Every YAML name of the blocks."""
    return {name for block in _table() for name in block["hosts"]}


def shown(name: str) -> str:
    """The page of a block. Raises UnknownBlock."""
    hosts = {block["name"]: block["hosts"] for block in _table()}
    if name not in hosts:
        raise unknown(name, hosts)
    pages = _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_SOURCE_TREE
    return (pages / f"{name}.md").read_text(encoding="utf-8")


def _table() -> list[dict[str, Any]]:
    table: list[dict[str, Any]] = json.loads(TABLE.read_text(encoding="utf-8"))
    return table
