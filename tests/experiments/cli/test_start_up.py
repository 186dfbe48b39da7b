"""Help comes at once: nothing is imported for it that trains, scores or draws."""

import subprocess
import sys


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom experiments.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'ultralytics', 'lightning', 'scipy', 'matplotlib', 'cv2'} & sys.modules.keys()))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.startswith("usage: python -m experiments") and said.endswith("[]\n")
    for command in ("run", "report", "time", "keep", "results", "demo", "masks"):
        assert f"    {command} " in said
