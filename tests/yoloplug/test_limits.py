"""Requests without end are refused first; each of them is a case in a process with limits of time and memory.

The sweep (slow) generates damaged and hostile variants of a model file and runs `yoloplug` on each: an exit code of 0
or 2, at most one line of error, no traceback, ten seconds, no memory beyond what a model needs.
"""

import contextlib
import io
import multiprocessing
import os
import random
import resource
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from yoloplug.cli import main
from yoloplug.errors import YoloplugError
from yoloplug.limits import DEPTH, NODES, TEXT, check_yaml

MODEL = """nc: 3
scales:
  n: [0.33, 0.25, 1024]
activation: nn.SiLU()
backbone:
- [-1, 1, Conv, [64, 3, 2]]
- [-1, 3, C2f_gnConv, [128, True, {order: 3}]]
- [-1, 1, Conv, [256, 3, 2]]
head:
- [[1, 2], 1, Detect, [nc]]
"""
LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 20_000, f"line 1: more than {DEPTH} lists within lists"),
        ("a: " + "{b: " * 9_000, f"more than {DEPTH} lists"),
        (LAUGHS, f"more than {NODES:,} values"),
        ("a: &x [1, *x]", r"line 1: \*x refers to what it stands in"),
        ("&x {k: &y [*x]}", r"\*x refers to what it stands in"),
        ("x" * (TEXT + 1), f"{TEXT + 1:,} characters, at most {TEXT:,} are read"),
    ],
)
def test_yaml_without_end_is_refused(text: str, message: str) -> None:
    start = time.process_time()
    with pytest.raises(YoloplugError, match=message):
        check_yaml(text)
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    "text", [MODEL, "a: [1, 2", "- &a [1]\n- *a\n- *a", "a: *nowhere", "", "\t\0", "!!python/object:x {}"]
)
def test_other_yaml_is_left_to_the_reader(text: str) -> None:
    check_yaml(text)


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """Once, before the forks: each of them answers in a fraction of a second then."""
    from yoloplug.modelfile.report import check

    check("yolov8n.yaml", 64)


def run(arguments: list[str], seconds: float, mebibytes: int) -> tuple[int | None, str]:
    """Exit code (None: no answer in time, negative: killed) and stderr of `yoloplug` in a fork with limits."""
    receive, send = multiprocessing.Pipe(duplex=False)
    child = os.fork()
    if child == 0:
        code = 99
        try:
            now = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
            resource.setrlimit(resource.RLIMIT_AS, (now + mebibytes * 2**20,) * 2)
            import torch

            torch.set_num_threads(1)
            errors = io.StringIO()
            try:
                with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
                    code = main(arguments)
            except SystemExit as error:
                code = int(error.code or 0)
            except BaseException:
                import traceback

                errors.write(traceback.format_exc())
            send.send((code, errors.getvalue()))
        finally:
            os._exit(0)
    answer: tuple[int | None, str] = (None, "no answer in time")
    send.close()
    with contextlib.suppress(EOFError):
        if receive.poll(seconds):
            answer = receive.recv()
    os.kill(child, 9)
    os.waitpid(child, 0)
    return answer


def huge_png(folder: Path) -> Path:
    """60000 x 60000 pixels in a few hundred kilobytes of zeros."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    file = folder / "huge.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10**6))))
    return file


HOSTILE: dict[str, tuple[Callable[[str], str], str]] = {
    "NUL": (lambda text: text.replace("Conv", "Co\0nv"), "not valid YAML"),
    "repeats": (lambda text: text.replace("-1, 3,", "-1, 10000000,"), "'repeats' is a whole number from 1 to 1,000"),
    "rows": (
        lambda text: text.replace("head:", "- [-1, 1, Conv, [64, 3, 1]]\n" * 2000 + "head:"),
        "2,004 rows, at most",
    ),
    "300,000 rows": (lambda text: text.replace("head:", "- [-1, 1, Conv, [64]]\n" * 300_000 + "head:"), "characters"),
    "nested": (lambda text: text.replace("[64, 3, 2]", "[" * 20_000), "lists within lists"),
    "laughs": (lambda text: LAUGHS + text, "values"),
    "recursive": (lambda text: text.replace("[64, 3, 2]", "&a [64, *a]"), "refers to what it stands in"),
    "repeats scaled": (
        lambda text: text.replace("[0.33,", "[90,").replace("-1, 3,", "-1, 900,"),
        "row 1 (line 7): 900 x 90 repeats",
    ),
    "no number": (lambda text: text.replace("0.33", ".nan"), "first two above 0"),
    "digits": (lambda text: text.replace("1024", "9" * 9000), "not valid YAML"),
    "date": (lambda text: text.replace("1024", "2001-99-99"), "not valid YAML"),
    "list key": (lambda text: "[a, b]: 1\n" + text, "not valid YAML"),
    "classes": (lambda text: text.replace("nc: 3", "nc: 100000000000"), "number of classes, 1 to 100,000"),
    "depth": (lambda text: text.replace("[0.33,", "[1.0e+9,"), "first two above 0 and at most 100"),
    "code": (lambda text: text.replace("nn.SiLU()", "__import__('os').mkdir('ran')"), "'activation' is a layer"),
    "long": (lambda text: text.replace("nn.SiLU()", "nn.SiLU(" + "-" * 5000 + "1)"), "'activation' is a layer"),
    "no layer": (lambda text: text.replace("Conv, [64", "torch_load, [64"), "unknown module 'torch_load'"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_check_answers_a_hostile_model(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    change, message = HOSTILE[kind]
    Path("yolov8n-x.yaml").write_text(change(MODEL))
    code, error = run(["check", "yolov8n-x.yaml"], 60, 3000)
    assert code == 2 and error.startswith("yoloplug: yolov8n-x.yaml") and error.count("\n") == 1, error
    assert message in error and not Path("ran").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "yolov8n.yaml", "--imgsz", "1024000000"], "imgsz must be a multiple of 32 from 32 to 16,384"),
        (["profile", "yolov8n.yaml", "--imgsz", "1024000000"], "imgsz must be a multiple of 32 from 32 to 16,384"),
        (["profile", "yolov8n.yaml", "--threads", "1000000"], "threads must be at most 1,024, got 1,000,000"),
        (["look", "m.pt", "huge.png"], "more than 150,000,000 pixels"),
        (["look", "m.pt", "huge.png", "--imgsz", "0"], "imgsz must lie between 32 and 16,384, got 0"),
        (["look", "m.pt", "huge.png", "--imgsz", "1024000000"], "imgsz must lie between 32 and 16,384"),
    ],
)
def test_sizes_without_end(arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    huge_png(tmp_path)
    code, error = run(arguments, 60, 3000)
    assert code == 2 and message in error and error.count("\n") == 1, error


def variants(count: int) -> list[str]:
    """Model files with pieces deleted, doubled, or replaced by what does not belong there."""
    draw = random.Random(0)
    odd = [
        "",
        "-1",
        "0",
        "1e400",
        ".nan",
        "null",
        "[]",
        "{}",
        "''",
        "ä",
        "🧱",
        "*x",
        "&x",
        "!!binary x",
        "%",
        "\t",
        "- ",
        ":",
    ]
    odd += [
        "2147483648",
        "-9999999999",
        "True",
        "nn.Module",
        "nn.Linear",
        "torchvision.ops.nms",
        "Path",
        "yaml",
        "'" * 3,
    ]
    pieces = []
    for token in (
        "nc: 3",
        "n:",
        "0.33",
        "1024",
        "nn.SiLU()",
        "backbone:",
        "-1",
        "Conv",
        "64",
        "3",
        "C2f_gnConv",
        "True",
    ):
        pieces.append(token)
    pieces += ["{order: 3}", "order", "head:", "[1, 2]", "Detect", "[nc]", "\n- ", ", 1,", "[", "]"]
    found = []
    for _ in range(count):
        text = MODEL
        for _ in range(draw.choice((1, 1, 2))):
            places = [i for piece in pieces for i in [text.find(piece)] if i >= 0]
            at = draw.choice(places)
            piece = next(piece for piece in pieces if text.startswith(piece, at))
            new = draw.choice([draw.choice(odd), piece * 2, text[at : at + draw.randrange(40)]])
            text = text[:at] + new + text[at + len(piece) :]
        found.append(text)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 240, 40))
def test_every_damaged_model_gets_one_clear_line(start: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    unclear = []
    for text in variants(240)[start : start + 40]:
        Path("yolov8n-x.yaml").write_text(text, encoding="utf-8")
        code, error = run(["check", "yolov8n-x.yaml"], 60, 3000)
        clear = code == 0 or (code == 2 and error.count("\n") == 1 and error.startswith("yoloplug: yolov8n-x.yaml"))
        if not clear:
            unclear.append((code, error[-400:], text))
    assert not unclear, f"{len(unclear)}: {unclear[:3]}"
