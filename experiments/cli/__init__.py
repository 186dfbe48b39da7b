"""`python -m experiments`: the command line."""

import argparse
import shlex
import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path

from experiments.cli import masks, run_command
from experiments.errors import SpecError
from segplug.errors import SegplugError
from yoloplug.errors import YoloplugError
from yoloplug.files import WriteError
from yoloplug.names import printable
from yoloplug.terminal import add_debug, run

__all__ = ["main"]

_REPOSITORY = Path(__file__).resolve().parents[2]


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when all is done, 1 when a cell failed, 2 when the request cannot be run."""
    typed = sys.argv[1:] if arguments is None else arguments
    given = _parser().parse_args(typed)
    advice = f"; what is finished is kept, go on with: python -m experiments {shlex.join(typed)}"
    return run("experiments", lambda: given.call(given), (SegplugError, YoloplugError, WriteError), given.debug, advice)


def _report(given: argparse.Namespace) -> int:
    from experiments.report import write_report

    page = write_report(given.folder, given.out or given.folder[0])
    print(page)
    if given.open and not webbrowser.open(page.resolve().as_uri()):
        raise SpecError("no browser to open the report with; it is written, open it yourself")
    return 0


def _time(given: argparse.Namespace) -> int:
    from experiments.run.retime import retime

    retime(given.folder)
    return 0


def _keep(given: argparse.Namespace) -> int:
    from experiments.run.keep import keep

    size = keep(given.folder, given.to)
    print(printable(f"{given.to}: {size / 2**20:.1f} MiB kept; now: python -m experiments report {given.to}"))
    return 0


def _results(given: argparse.Namespace) -> int:
    from experiments.report.published.results import stale_files

    stale = stale_files(given.results, given.page, given.readme, given.check)
    said = f"not those of {given.results}; run: python -m experiments results" if given.check else "written"
    print(printable("\n".join(f"{path}: {said}" for path in stale) or "up to date"))
    return int(given.check and bool(stale))


def _demo(given: argparse.Namespace) -> int:
    from experiments.demo import run_demo

    _, failed = run_demo(given.out)
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m experiments",
        description="Train models under one budget and report whether they differ.",
        epilog="example: python -m experiments demo",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")

    def add(call: Callable[[argparse.Namespace], int], help: str, example: str) -> argparse.ArgumentParser:
        name = example.split()[0]
        command = commands.add_parser(name, help=help, epilog=f"example: python -m experiments {example}")
        command.set_defaults(call=call)
        add_debug(command)
        return command

    run_command.add_arguments(
        add(
            run_command.run,
            "train and score every cell of a spec; finished cells are kept, killed ones resume",
            "run experiments/specs/bccd-blocks-12.yaml --data-root ~/data",
        )
    )
    command = add(
        _report,
        "HTML, Markdown, LaTeX, CSV and plots from finished cells; never trains",
        "report runs/experiments/bccd-blocks-12 runs/experiments/deepcrack-decoders --out runs/experiments/report",
    )
    command.add_argument("folder", type=Path, nargs="+", help="results of `run`; several make one report")
    command.add_argument("--out", type=Path, help="where the report goes (default: the first folder)")
    command.add_argument("--open", action="store_true", help="show it in the browser")
    command = add(
        _time,
        "measure latency, FLOPs and parameters of finished cells again, on a quiet machine",
        "time runs/experiments/bccd-blocks-12",
    )
    command.add_argument("folder", type=Path, help="results of `run`, weights included")
    command = add(
        _keep,
        "a finished run small enough to be committed: rows, curves, what each image adds to the metrics",
        "keep runs/experiments/bccd-blocks-12 --to experiments/results/bccd-blocks-12",
    )
    command.add_argument("folder", type=Path, help="results of `run`, per-image files included")
    command.add_argument("--to", type=Path, required=True, help="folder that is written")
    command = add(
        _results,
        "write docs/results.md, README's table and results/table.csv from the committed rows",
        "results --check",
    )
    command.add_argument("--check", action="store_true", help="write nothing; exit code 1 when one differs")
    for name, place in (("readme", "README.md"), ("page", "docs/results.md"), ("results", "experiments/results")):
        said = f"default: this checkout's {place}"
        command.add_argument(f"--{name}", type=Path, default=_REPOSITORY / place, help=said)
    command = add(
        _demo,
        "draw small data, train baseline and plug-in on it, write a report: minutes, no download",
        "demo --out demo",
    )
    command.add_argument("--out", type=Path, default=Path("demo"), help="folder for everything (default: demo)")
    masks.add(commands)
    return parser
