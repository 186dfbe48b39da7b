"""Put every form of the report into one folder."""

from pathlib import Path

from experiments.report.page import page
from experiments.report.plots import PLOTS, draw_plots
from experiments.report.rows import compare, read_run
from experiments.report.text import csv_table, latex, markdown

__all__ = ["write_report"]


def write_report(folders: list[Path], out: Path) -> Path:
    """Write report.html, report.md, table.tex, table.csv and plots/*.png and *.svg; the HTML's path.

    Plots of an earlier report there are removed. Raises SpecError when a folder has no finished cell. The HTML needs
    no other file.
    """
    runs = [read_run(folder) for folder in folders]
    comparisons = compare(runs)
    (out / "plots").mkdir(parents=True, exist_ok=True)
    for old in (path for name in PLOTS for path in (out / "plots").glob(f"*-{name}.*")):
        old.unlink()
    drawn = [draw_plots(comparison) for comparison in comparisons]
    for index, plots in enumerate(drawn, start=1):
        for name, picture in plots.items():
            (out / "plots" / f"{index}-{name}.png").write_bytes(picture.png)
            (out / "plots" / f"{index}-{name}.svg").write_bytes(picture.light)
    (out / "report.md").write_text(markdown(runs, comparisons, drawn), encoding="utf-8")
    (out / "table.tex").write_text(latex(comparisons), encoding="utf-8")
    (out / "table.csv").write_text(csv_table(comparisons), encoding="utf-8")
    html = out / "report.html"
    html.write_text(page(runs, comparisons, drawn), encoding="utf-8")
    return html
