"""Reports from finished rows: HTML, Markdown, LaTeX, CSV and plots. Nothing here trains."""

from experiments.report.write import write_report

__all__ = ["write_report"]
