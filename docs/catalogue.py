"""Makes docs/catalogue.md and docs/blocks/*.md: `python docs/catalogue.py`, from the repository root or anywhere.

It runs the tests that compare the blocks with their references and their ONNX files with eager, measures every block
beside a plain 3x3 Conv, keeps the numbers in docs/catalogue.csv and writes the pages. `--only NAME ...` measures these
and keeps the other rows, `--pages-only` writes the pages from the CSV and the docstrings. A block without a measurement
is an error, never an empty cell.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import ultralytics

import yoloplug
from yoloplug import BLOCKS
from yoloplug.cli import listing
from yoloplug.cli.block_page import page
from yoloplug.files import read_csv, write_csv, write_text
from yoloplug.registry import Block

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
CSV = DOCS / "catalogue.csv"
CHANNELS, SIZE, RUNS = 64, 80, 50

Row = dict[str, str]
COLUMNS = (
    "block references parity_error onnx_error params conv_params forward_ms conv_forward_ms forward_ratio step_ms "
    "conv_step_ms step_ratio protocol date versions"
).split()


class Incomplete(Exception):
    """Blocks without a measurement; the message names them and the remedy."""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", default=[], help="measure these blocks, keep other rows")
    parser.add_argument("--pages-only", action="store_true", help="measure nothing")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the timing (default 1)")
    args = parser.parse_args(argv)
    unknown = sorted(set(args.only) - set(BLOCKS))
    try:
        if unknown:
            raise Incomplete(f"unknown blocks {', '.join(unknown)}; known: {', '.join(sorted(BLOCKS))}")
        rows = read_rows(CSV)
        if not args.pages_only:
            names = args.only or sorted(BLOCKS)
            rows |= measure(names, args.threads)
            write_csv(CSV, COLUMNS, (rows[name] for name in sorted(BLOCKS, key=str.lower) if name in rows))
        write_pages(DOCS / "blocks", BLOCKS.values())
        write_text(listing.TABLE, listing.rows(BLOCKS.values()))
        (DOCS / "catalogue.md").write_text(catalogue(rows, BLOCKS.values()), encoding="utf-8")
    except Incomplete as error:
        print(f"catalogue: {error}", file=sys.stderr)
        return 1
    print(f"wrote {DOCS / 'catalogue.md'} and {len(BLOCKS)} pages in {DOCS / 'blocks'}")
    return 0


def measure(names: list[str], threads: int) -> dict[str, Row]:
    """One row a block, from a run of the tests and a run of the clock."""
    from yoloplug.cost.blocks import block_costs, lone_seat
    from yoloplug.cost.flops import count_parameters
    from yoloplug.cost.timing import TimingProtocol

    errors = run_tests(names)
    torch.set_num_threads(threads)
    protocol = TimingProtocol(imgsz=SIZE * 8, threads=threads, runs=RUNS)
    described = f"{protocol.machine}, float32, medians of {protocol.runs} forward and {protocol.steps} training passes"
    versions = (
        f"yoloplug {yoloplug.__version__}, torch {torch.__version__}, ultralytics {ultralytics.__version__}, "
        f"onnxruntime {onnxruntime.__version__}, Python {platform.python_version()}"
    )
    rows = {}
    for name in names:
        parity, onnx = errors[name, "parity"], errors[name, "onnx"]
        (cost,) = block_costs([lone_seat(name, CHANNELS, SIZE)], protocol)
        seat = lone_seat(name, CHANNELS, SIZE).module
        row = {
            "block": name,
            "references": "; ".join(sorted(parity)),
            "parity_error": f"{max(parity.values()):.1e}",
            "onnx_error": f"{max(onnx.values()):.1e}",
            "params": count_parameters(seat.block),
            "conv_params": CHANNELS * CHANNELS * 9,
            "forward_ms": f"{cost.forward.median:.3f}",
            "conv_forward_ms": f"{cost.conv_forward.median:.3f}",
            "forward_ratio": f"{cost.forward_ratio:.2f}",
            "step_ms": f"{cost.step.median:.3f}",
            "conv_step_ms": f"{cost.conv_step.median:.3f}",
            "step_ratio": f"{cost.step_ratio:.2f}",
            "protocol": described,
            "date": date.today().isoformat(),
            "versions": versions,
        }
        rows[name] = {key: str(row[key]) for key in COLUMNS}
        print(
            f"{name}: forward {row['forward_ratio']}x, forward+backward {row['step_ratio']}x a plain Conv", flush=True
        )
    return rows


def run_tests(names: list[str]) -> dict[tuple[str, str], dict[str, float]]:
    """(block, "parity" or "onnx") -> reference -> largest relative error, as the tests noted it.

    Raises Incomplete if a test fails or if one of the blocks was not compared.
    """
    wanted = re.compile(rf"\b({'|'.join(map(re.escape, names))})\b")
    files = [f for f in (ROOT / "tests/yoloplug/blocks").glob("test_*.py") if wanted.search(f.read_text("utf-8"))]
    onnx = [f"{ROOT}/tests/yoloplug/test_block_contract.py::test_onnx_equals_eager[{name}]" for name in names]
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "measurements.jsonl"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--measurements", str(notes)]
        done = subprocess.run([*command, *map(str, sorted(files)), *onnx], cwd=ROOT, env=os.environ)
        if done.returncode:
            raise Incomplete("the comparisons with the references failed; nothing was written")
        return collect(map(json.loads, notes.read_text("utf-8").splitlines()), names)


def collect(notes: Iterable[dict[str, object]], names: list[str]) -> dict[tuple[str, str], dict[str, float]]:
    """The largest error of every reference. Raises Incomplete naming the blocks that lack one of the two kinds."""
    errors: dict[tuple[str, str], dict[str, float]] = {}
    for note in notes:
        found = errors.setdefault((str(note["block"]), str(note["kind"])), {})
        reference, error = str(note["reference"]), float(str(note["error"]))
        found[reference] = max(error, found.get(reference, 0.0))
    for kind, source in (("parity", "golden(...).check or `measured` in a test of theirs"), ("onnx", "the contract")):
        missing = [name for name in names if (name, kind) not in errors]
        if missing:
            raise Incomplete(f"no {kind} measurement of {', '.join(missing)}; it comes from {source}")
    return errors


def read_rows(file: Path) -> dict[str, Row]:
    return {row["block"]: row for row in read_csv(file)} if file.exists() else {}


def write_pages(folder: Path, blocks: Iterable[Block]) -> None:
    """One page a block; pages of blocks that are gone go too."""
    folder.mkdir(exist_ok=True)
    texts = {f"{block.name}.md": page(block) for block in blocks}
    for old in folder.glob("*.md"):
        if old.name not in texts:
            old.unlink()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def catalogue(rows: dict[str, Row], blocks: Iterable[Block]) -> str:
    """docs/catalogue.md. Raises Incomplete naming the blocks without a complete row."""
    blocks = sorted(blocks, key=lambda block: block.name.lower())
    missing = [b.name for b in blocks if not all(rows.get(b.name, {}).get(key) for key in COLUMNS)]
    if missing:
        raise Incomplete(
            f"no measurement of {', '.join(missing)}; run python docs/catalogue.py --only {' '.join(missing)}"
        )
    lines = []
    for block in blocks:
        row = rows[block.name]
        references = row["references"].split("; ")
        cells = (
            f"[{block.name}](blocks/{block.name}.md)",
            _link(block.paper),
            ", ".join(sorted({_source(reference) for reference in references}, key=str.lower)),
            f"{row['parity_error']} ({len(references)})",
            row["onnx_error"],
            f"{int(row['params']):,}",
            f"`{block.macs}`",
            row["forward_ratio"],
            row["step_ratio"],
        )
        lines.append(f"| {' | '.join(cells)} |")
    runs = {(row["date"], row["protocol"], row["versions"]) for row in (rows[b.name] for b in blocks)}
    stated = [f"- {when}: {protocol}; {versions}" for when, protocol, versions in sorted(runs)]
    conv = CHANNELS * CHANNELS * 9
    return f"""# Which blocks are there, how exact are they and what do they cost?

Every row comes from a run of `python docs/catalogue.py`; the numbers with all their digits are in
[catalogue.csv](catalogue.csv).

- Parity: largest difference in float64 between our output and gradients and the recorded ones of the reference code,
  over the reference's largest value, in eval and training mode; in brackets how many recordings. Where no code was
  published, the reference is what the column says, computed in the test.
- ONNX: largest difference between onnxruntime and eager in float32, over the largest value, at three sizes and batches,
  two of them not seen by the exporter. Blocks with a hard threshold may flip single values there.
- Parameters: of the block alone, {CHANNELS} channels in and out (a plain 3x3 convolution has {conv:,}).
- Multiply-adds: P output pixels, H and W the input's sides, other names are the block's options.
- Time to Conv: the block as a YAML row over a plain 3x3 Conv-BatchNorm-SiLU, both at {CHANNELS} channels and
  {SIZE}x{SIZE}, batch 1, taking turns; forward fused, forward and backward in training mode. Below 1 is faster.

| block | paper | reference | parity | ONNX | parameters | multiply-adds | time to Conv, forward | forward + backward |
|---|---|---|---|---|---|--:|---|--:|--:|
""" + "\n".join([*lines, "", "Measured on:", "", *stated, ""])


def _source(reference: str) -> str:
    """`owner/repository@commit` or package and version that a recording in tests/golden was made with."""
    file = ROOT / "tests/golden" / f"{reference}.npz"
    if not file.exists():
        return reference
    with np.load(file, allow_pickle=False) as stored:
        source = str(json.loads(str(stored["meta"]))["source"])
    found = re.match(r"\S+@\w+|[\w.]+ [\d.]+", source)
    return found[0] if found else source


def _link(paper: str) -> str:
    kind, _, number = paper.partition(":")
    return f"[{paper}]({'https://arxiv.org/abs/' if kind == 'arXiv' else 'https://doi.org/'}{number})"


if __name__ == "__main__":
    sys.exit(main())
