"""Put every form of the report into one folder."""

from pathlib import Path

from experiments.errors import SpecError
from experiments.report.comparison import compare
from experiments.report.figures.draw import PLOTS, draw_plots
from experiments.report.forms.document import document
from experiments.report.forms.render import html, latex, markdown
from experiments.report.forms.table_csv import csv_table
from experiments.report.rows import read_run
from yoloplug.files import write_all


def write_report(folders: list[Path], out: Path) -> Path:
    """Write report.html, report.md, table.tex, table.csv and plots/*.png and *.svg; the HTML's path.

    Plots of an earlier report there are removed. The HTML needs no other file. Raises SpecError when a folder has no
    finished cell, or `out` cannot be written; an earlier report is then left as it was.
    """
    runs = [read_run(folder) for folder in folders]
    comparisons = compare(runs)
    drawn = [draw_plots(comparison) for comparison in comparisons]
    content, page, plots = document(runs, comparisons, drawn), out / "report.html", out / "plots"
    files = {
        out / "report.md": markdown(content).encode(),
        out / "table.tex": latex(content).encode(),
        out / "table.csv": csv_table(comparisons).encode(),
        page: html(content).encode(),
    }
    for index, pictures in enumerate(drawn, start=1):
        for name, picture in pictures.items():
            files |= {plots / f"{index}-{name}.png": picture.png, plots / f"{index}-{name}.svg": picture.light}
    try:
        write_all(files)
        for old in {path for name in PLOTS for path in plots.glob(f"*-{name}.*")} - files.keys():
            old.unlink()
    except OSError as error:
        raise SpecError(f"the report is not complete: {error}; or give another --out") from error
    return page
