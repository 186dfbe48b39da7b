"""The Python examples of README and docs run as they are printed, in an empty folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import experiments.cli
import segplug.cli
import yoloplug.cli

ROOT = Path(__file__).parent.parent
EXAMPLES = [
    pytest.param(code, id=f"{page.stem}-{number}")
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    for number, code in enumerate(re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M))
]


@pytest.mark.parametrize("code", EXAMPLES)
def test_example_runs(code: str, tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=os.environ, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


COMMANDS = {"yoloplug": yoloplug.cli.main, "segplug": segplug.cli.main, "python -m experiments": experiments.cli.main}
TYPED = re.compile(rf"(?<![\w/-])({'|'.join(COMMANDS)}) ([a-z]+(?: (?:data|predict)\b)?)([^\n`|;&]*)")


def test_options_in_pages_are_those_of_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    known: dict[tuple[str, str], set[str]] = {}
    for page in [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]:
        for program, command, rest in TYPED.findall(page.read_text(encoding="utf-8").replace("\\\n", " ")):
            typed = set(re.findall(r"(?<=\s)--[a-z][\w-]*", rest))
            if typed and (program, command) not in known:
                with pytest.raises(SystemExit):
                    COMMANDS[program]([*command.split(), "--help"])
                known[program, command] = set(re.findall(r"--[a-z][\w-]*", capsys.readouterr().out))
            unknown = typed - known.get((program, command), set())
            assert not unknown, f"{page.name}: {program} {command} has no {unknown}"
    assert len(known) > 15
