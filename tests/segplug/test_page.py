"""Pages: escaped, self-contained, readable in light and dark; one palette for all of them and for pictures."""

import re
from pathlib import Path

import numpy as np
import pytest
from jinja2 import UndefinedError

from segplug.draw import draw_comparison, draw_overlay
from segplug.page import palette
from segplug.page.render import Entry, data_uri, render

ROOT = Path(__file__).parents[2]


@pytest.fixture
def template(tmp_path: Path) -> Path:
    file = tmp_path / "own.html"
    file.write_text(
        '{% extends "page.html" %}{% from "parts.html" import facts, key, problems, table %}{% block body %}'
        '{{ table(["a", "b"], rows, "quality") }}{{ facts(pairs) }}{{ problems("Wrong", lines) }}'
        "{{ key(palette.OUTCOMES) }}{% endblock %}",
        encoding="utf-8",
    )
    return file


def test_every_value_is_escaped(template: Path) -> None:
    evil = "<script>alert('1')</script>\"&"
    page = render(
        template, title=evil, rows=[[Entry(evil, evil, evil), Entry(evil, evil)]], pairs=[(evil, evil)], lines=[evil]
    )
    assert "<script" not in page and page.count("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&#34;&amp;") == 10


def test_a_page_loads_nothing_and_knows_both_grounds(template: Path) -> None:
    page = render(template, title="t", rows=[[Entry("my_long_name"), Entry("1")]], pairs=[], lines=[])
    assert not re.findall(r"https?://|url\(|<link|<script", page) and "my_<wbr>long_<wbr>name" in page
    for colours in (palette.LIGHT, palette.DARK):
        assert all(f"--{name}: {colour};" in page for name, colour in colours.items())
    assert palette.LIGHT.keys() == palette.DARK.keys() == set(re.findall(r"var\(--([a-z-]+)\)", page))
    assert all(f"background:{colour}" in page for colour in palette.OUTCOMES.values())


def test_a_value_that_is_missing_raises(template: Path) -> None:
    with pytest.raises(UndefinedError, match="'lines' is undefined"):
        render(template, title="t", rows=[], pairs=[])


@pytest.mark.parametrize("colours", [palette.LIGHT, palette.DARK], ids=["light", "dark"])
def test_text_has_the_contrast_of_wcag_aa(colours: dict[str, str]) -> None:
    for text, ground in (("ink", "ground"), ("faint", "ground"), ("ink", "panel"), ("warn", "warn-ground")):
        bright, dark = sorted((_luminance(colours[text]), _luminance(colours[ground])), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, (text, ground)


def _luminance(colour: str) -> float:
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in np.array(palette.rgb(colour)) / 255]
    return float(np.dot((0.2126, 0.7152, 0.0722), linear))


def test_colours_are_written_down_once() -> None:
    files = [file for package in ("segplug", "experiments") for file in (ROOT / package).rglob("*.py")]
    named = [file.name for file in files if re.search(r'"#[0-9a-fA-F]{6}"', file.read_text(encoding="utf-8"))]
    assert sorted(set(named) - {"theme.py", "pictures.py"}) == ["draw.py", "palette.py"]


def test_pictures_take_the_palette() -> None:
    image = np.full((2, 4, 3), 100, np.uint8)
    truth = np.array([[1, 1, 0, 0], [0, 0, 0, 0]], bool)
    found = np.array([[1, 0, 1, 0], [0, 0, 0, 0]], bool)
    valid = np.array([[1, 1, 1, 1], [1, 1, 1, 0]], bool)
    panel = draw_comparison(image, truth, found, valid, 1 / 3)[-2:, -4:]
    drawn = [tuple(panel[0, column]) for column in range(4)]
    assert drawn == [*map(palette.rgb, (palette.HIT, palette.MISS, palette.FALSE_ALARM)), (0, 0, 0)]
    assert tuple(panel[1, 3]) == palette.rgb(palette.UNLABELLED)
    overlay = draw_overlay(image, truth)
    assert tuple(overlay[0, 0]) == (178, 58, 58) and tuple(overlay[1, 0]) == (100, 100, 100)


def test_data_uri() -> None:
    assert data_uri(b"\x00\xff", "png") == "data:image/png;base64,AP8="


def test_a_sentence_in_small_print_may_break_and_figures_may_not(template: Path) -> None:
    reason, figures = "it may be chance: one model trained again differs as much", "-0.012\n[-0.0244, +0.0002]"
    page = render(template, title="t", rows=[[Entry("m"), Entry("1", reason), Entry("1", figures)]], pairs=[], lines=[])
    assert f'<small class="sentence">{reason}</small>' in page and f"<small>{figures}</small>" in page
