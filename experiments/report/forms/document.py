"""What a report says, in order and in no format yet; the templates beside this file make it HTML, Markdown, LaTeX."""

from dataclasses import dataclass

from experiments.report.comparison import Comparison
from experiments.report.examples import Example, examples, how_chosen
from experiments.report.facts import Facts, environment_facts, method_facts, reproduce, unfinished
from experiments.report.figures.draw import PLOTS, Drawn
from experiments.report.rows import Run
from experiments.report.tables.cost import cost_table
from experiments.report.tables.errors import error_table
from experiments.report.tables.overall import overall_tables
from experiments.report.tables.quality import per_class
from experiments.report.tables.sentences import expectations, sentences, verdict_in_one
from experiments.report.tables.table import Table
from experiments.report.tables.verdicts import quality_tables


@dataclass(frozen=True)
class Section:
    """One comparison."""

    title: str
    verdict: str
    sentences: list[str]
    expectations: list[str]
    quality: list[Table]
    cost: Table
    errors: list[Table]
    drawn: Drawn
    examples: list[Example]
    how_chosen: str
    method: Facts

    @property
    def tables(self) -> list[Table]:
        return [*self.quality, self.cost, *self.errors]


@dataclass(frozen=True)
class Origin:
    """Where the rows of one run come from, and how to make them again."""

    name: str
    environment: Facts
    commands: str
    unfinished: list[str]
    spec: str | None


@dataclass(frozen=True)
class Document:
    sections: list[Section]
    overall: list[Table]
    origins: list[Origin]

    @property
    def title(self) -> str:
        return " and ".join(dict.fromkeys(section.title for section in self.sections))

    @property
    def titled_tables(self) -> list[tuple[str, list[Table]]]:
        overall = [("Over all data sets", self.overall)] if self.overall else []
        return overall + [(section.title, section.tables) for section in self.sections]

    @property
    def captions(self) -> dict[str, str]:
        """Of the plots, by name."""
        return {name: caption for name, (_, caption) in PLOTS.items()}


def document(runs: list[Run], comparisons: list[Comparison], drawn: list[Drawn]) -> Document:
    """`drawn` holds the plots of each comparison."""
    sections = list(map(_section, comparisons, drawn))
    return Document(sections, overall_tables(comparisons), list(map(_origin, runs)))


def _section(comparison: Comparison, drawn: Drawn) -> Section:
    classes, errors = per_class(comparison), error_table(comparison)
    return Section(
        title=comparison.title,
        verdict=verdict_in_one(comparison),
        sentences=sentences(comparison),
        expectations=expectations(comparison),
        quality=quality_tables(comparison) + ([classes] if classes else []),
        cost=cost_table(comparison),
        errors=[errors] if errors else [],
        drawn=drawn,
        examples=examples(comparison),
        how_chosen=how_chosen(comparison),
        method=method_facts(comparison),
    )


def _origin(run: Run) -> Origin:
    return Origin(
        name=run.rows[0]["name"],
        environment=environment_facts(run.rows),
        commands=reproduce(run),
        unfinished=unfinished(run),
        spec=run.spec_text,
    )
