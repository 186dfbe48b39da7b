"""`yoloplug inspect`: a checkpoint told without torch and without running or importing what it names."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
import ultralytics
from ultralytics import YOLO
from ultralytics.nn import tasks

import yoloplug
from yoloplug.bridge import model as bridge
from yoloplug.bridge.checkpoints.description import CheckpointError, Description, describe, written_by
from yoloplug.bridge.checkpoints.safe_load import read_checkpoint
from yoloplug.cli import main
from yoloplug.hosts import host


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as `YOLO.save` writes it, of a model with a block of ours."""
    file = tmp_path_factory.mktemp("saved") / "saved.pt"
    YOLO("yolov8n-C2f_gnConv.yaml").save(file)
    return file


def rewritten(file: Path, target: Path, *changes: tuple[bytes, bytes]) -> Path:
    """A copy whose structure names something else, of equal length."""
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("data.pkl"):
                for before, after in changes:
                    assert before in content and len(before) == len(after)
                    content = content.replace(before, after)
            new.writestr(name, content)
    return target


def test_what_is_told(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = describe(saved)
    network = read_checkpoint(saved)["model"]
    assert (found.network, found.task, found.scale) == ("DetectionModel", "detect", "n")
    assert found.classes == list(network.names.values()) and found.source.endswith("yolov8n-C2f_gnConv.yaml")
    assert found.rows == [row[2] for part in ("backbone", "head") for row in network.yaml[part]]
    assert found.ours == {"C2f_gnConv": [i for i, row in enumerate(found.rows) if row == "C2f_gnConv"]}
    assert (
        found.made == {"ultralytics": ultralytics.__version__, "yoloplug": yoloplug.__version__} and not found.foreign
    )
    assert main(["inspect", str(saved)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{saved}: DetectionModel, task detect, 80 classes: ") and "scale n" in lines[1]
    assert lines[2].startswith(f"made by  ultralytics {ultralytics.__version__} and yoloplug {yoloplug.__version__}")


def test_a_stock_checkpoint_and_other_tasks(tmp_path: Path) -> None:
    YOLO("yolo11n-seg.yaml").save(tmp_path / "x.pt")
    found = describe(tmp_path / "x.pt")
    assert (found.network, found.task, found.ours, list(found.made)) == (
        "SegmentationModel",
        "segment",
        {},
        ["ultralytics"],
    )
    assert str(found).endswith("none of yoloplug") and written_by(tmp_path / "x.pt") == ""
    trained = read_checkpoint(tmp_path / "x.pt") | {"train_args": {"task": "pose"}}  # says more than the class
    torch.save(trained, tmp_path / "y.pt")
    assert describe(tmp_path / "y.pt").task == "pose"


def test_the_words_of_a_description() -> None:
    """At most ten classes by name; what the file does not say is left out."""
    ours = {"C2f_gnConv": [2, 4], "SCConv": [9]}
    made = {"ultralytics": "8.4.1", "yoloplug": ""}
    many = [f"c{i}" for i in range(11)]
    full = Description(
        Path("a.pt"), "PoseModel", "pose", many, "n", "a.yaml", ["Conv"] * 3, ours, made, "2026-01-02", []
    )
    assert str(full).splitlines() == [
        "a.pt: PoseModel, task pose, 11 classes: c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, …",
        "model    a.yaml, scale n, 3 rows",
        "made by  ultralytics 8.4.1 and yoloplug (version not noted), 2026-01-02",
        "block    C2f_gnConv in row 2, 4",
        "block    SCConv in row 9",
    ]
    bare = full._replace(classes=many[:10], scale="", ours={}, made={"ultralytics": "8.4.1"}, date="")
    assert str(bare).splitlines() == [
        "a.pt: PoseModel, task pose, 10 classes: c0, c1, c2, c3, c4, c5, c6, c7, c8, c9",
        "model    a.yaml, 3 rows",
        "made by  ultralytics 8.4.1",
        "block    none of yoloplug",
    ]


class OfAnotherKind(torch.nn.Module):
    pass


class Bare:
    yaml: Any


class Listed(list[Any]):
    pass


class Keyed(dict[Any, Any]):
    pass


def test_what_is_no_layer_is_read_over(tmp_path: Path) -> None:
    network = Bare()
    network.yaml = {"head": [[-1, 1, "C2f_gnConv", [8]]]}
    content = {"model": network, "host": host("C2f_gnConv"), "a": Listed([1, 2]), "b": Listed([3]), "c": Keyed(d=1)}
    torch.save(content, tmp_path / "x.pt")
    found = describe(tmp_path / "x.pt")
    assert (found.network, found.ours, found.made["yoloplug"]) == ("Bare", {"C2f_gnConv": [0]}, "")


def test_tasks_of_all_networks_of_ultralytics(tmp_path: Path) -> None:
    """By their class alone, as `YOLO.save` leaves them."""
    kinds = bridge._TASKS | {"detect ": "RTDETRDetectionModel", "detect  ": "WorldModel"}
    for task, name in kinds.items():
        network = getattr(tasks, name).__new__(getattr(tasks, name))
        torch.nn.Module.__init__(network)
        network.yaml = {"head": []}
        torch.save({"model": network}, tmp_path / "x.pt")
        assert describe(tmp_path / "x.pt").task == task.strip()


def test_names_that_a_checkpoint_needs_and_foreign_ones(tmp_path: Path) -> None:
    """Named in front of what the file holds, and dropped."""
    needed = """torch._utils _rebuild_tensor_v2, torch.nn.modules.conv Conv2d, torch FloatStorage, torch bfloat16,
        ultralytics.nn.tasks DetectionModel, ultralytics.utils.loss v8DetectionLoss, numpy dtype, builtins set,
        ultralytics.yolo.utils IterableSimpleNamespace, yoloplug.hosts C2f_gnConv, yoloplug.preserve.beside Beside,
        torchvision.transforms.functional InterpolationMode, numpy._core.multiarray scalar, builtins getattr,
        pathlib PosixPath, pathlib._local PosixPath, collections OrderedDict, torch.storage TypedStorage""".split(",")
    foreign = "torch load, torch.hub load, posix system, builtins eval, numpy load, yoloplug.files write".split(",")
    network = OfAnotherKind()
    network.yaml = {"head": []}  # type: ignore[assignment]
    torch.save({"model": network}, tmp_path / "x.pt")
    own = describe(tmp_path / "x.pt").foreign
    with zipfile.ZipFile(tmp_path / "x.pt") as old, zipfile.ZipFile(tmp_path / "y.pt", "w") as new:
        start, rest = (content := old.read("x/data.pkl"))[:2], content[2:]
        names = "".join("c{}\n{}\n0".format(*name.split()) for name in [*needed, *foreign])
        new.writestr("y/data.pkl", start + names.encode() + rest)
    assert own == [f"{__name__}.OfAnotherKind"]
    assert describe(tmp_path / "y.pt").foreign == sorted([*own, *(".".join(name.split()) for name in foreign)])


def test_a_structure_of_64_mib_is_read_and_not_a_byte_more(tmp_path: Path) -> None:
    for size, said in ((2**26, r"x\.pt: damaged"), (2**26 + 1, "structure has 67,108,865 bytes, 67,108,864 are read")):
        with zipfile.ZipFile(tmp_path / "x.pt", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
            file.writestr("x/data.pkl", bytes(size))
        with pytest.raises(CheckpointError, match=said):
            describe(tmp_path / "x.pt")


def test_the_structure_is_that_of_the_files_folder(saved: Path, tmp_path: Path) -> None:
    for name, said in (("x/deep/data.pkl", "none of torch.save"), ("x/deep/constants.pkl", "none of torch.save")):
        with zipfile.ZipFile(tmp_path / "x.pt", "w") as file:
            file.writestr(name, b"")
        with pytest.raises(CheckpointError, match=said):
            describe(tmp_path / "x.pt")
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(tmp_path / "y.pt", "w") as new:
        new.writestr("saved/data.pkl", old.read("saved/data.pkl"))
        new.writestr("saved/more/data.pkl", b"")
    assert describe(tmp_path / "y.pt")._replace(file=saved) == describe(saved)


def test_what_a_checkpoint_does_not_say(tmp_path: Path) -> None:
    """The network of the average is told where both are there; rows that are none are left out."""
    network = YOLO("yolov8n-C2f_gnConv.yaml").model
    rows = [[-1, 1, "Conv", [8]], "?", [-1, 1], [-1, 1, "SPPF"]]
    network.yaml = {"backbone": rows, "head": [[-1, 1, "C2f_gnConv", []]]}
    network.names = ["a", "b"]
    torch.save({"ema": network, "model": torch.nn.Conv2d(1, 1, 1), "date": "2026-01-02T03:04:05"}, tmp_path / "x.pt")
    found = describe(tmp_path / "x.pt")
    assert found.rows == ["Conv", "SPPF", "C2f_gnConv"]
    assert (found.ours, found.classes) == ({"C2f_gnConv": [2]}, ["a", "b"])
    assert (found.scale, found.source, found.date) == ("", "a model YAML that it does not name", "2026-01-02")
    assert found.task == "detect" and found.made == {"ultralytics": "", "yoloplug": yoloplug.__version__}
    network.yaml = {"head": [[-1, 1, "Conv", [8]]]}
    torch.save({"model": network}, tmp_path / "y.pt")
    assert describe(tmp_path / "y.pt").rows == ["Conv"]
    other = OfAnotherKind()
    other.yaml, other.names = network.yaml, None  # type: ignore[assignment]
    torch.save({"model": other}, tmp_path / "z.pt")
    found = describe(tmp_path / "z.pt")
    assert (found.network, found.task, found.classes, found.date) == ("OfAnotherKind", "unknown", [], "")


def test_neither_torch_nor_numpy_is_imported(saved: Path) -> None:
    code = f"""import sys; from yoloplug.cli import main
assert main(["inspect", {str(saved)!r}]) == 0 and not {{"torch", "numpy", "ultralytics"}} & set(sys.modules)"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_missing_block_and_the_release_that_has_it(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = yoloplug.__version__.encode()
    newer = rewritten(saved, tmp_path / "newer.pt", (b"C2f_gnConv", b"C2f_gnXonv"), (here, b"9" * len(here)))
    assert main(["inspect", str(newer)]) == 1
    version = "9" * len(here)
    told = capsys.readouterr().out
    assert f"C2f_gnXonv: not in yoloplug {yoloplug.__version__}, yoloplug {version} has: pip install" in told
    assert written_by(newer) == version
    with pytest.raises(CheckpointError, match=rf"it was made with yoloplug {version}: pip install"):
        read_checkpoint(newer)
    older = rewritten(saved, tmp_path / "older.pt", (b"C2f_gnConv", b"C2f_gnXonv"), (b"made_with", b"made_xith"))
    assert main(["inspect", str(older)]) == 1 and "a newer one may: pip install -U yoloplug" in capsys.readouterr().out
    assert written_by(older) == ""


class Runs:
    def __init__(self, *call: Any) -> None:
        self.call = call

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call[0], self.call[1:]


def test_no_code_of_the_file_runs_and_it_is_named(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trap = tmp_path / "trap"
    content = read_checkpoint(saved) | {"date": Runs(os.mkdir, str(trap)), "more": Runs(eval, "1")}
    torch.save(content, tmp_path / "evil.pt")
    assert main(["inspect", str(tmp_path / "evil.pt")]) == 1
    assert "careful  it names builtins.eval, posix.mkdir, no layer of torch" in capsys.readouterr().out
    assert not trap.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no checkpoint 'x.pt' here"),
        (b"", "x.pt: empty"),
        (b"P", "x.pt: not a file of torch.save"),
        (b"PK\3\4", "x.pt: cut off (4 bytes without the end)"),
        ({}, "x.pt: holds nothing, but no Ultralytics model"),
        (dict.fromkeys("abcdef"), "x.pt: holds a, b, c, d, e, but no Ultralytics model"),
        (b"no pickle", "x.pt: not a file of torch.save"),
        ({"a": 1}, "x.pt: holds a, but no Ultralytics model"),
        ([1], "x.pt: holds a list, not a checkpoint"),
    ],
)
def test_errors_are_one_line_and_exit_2(
    content: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    if isinstance(content, bytes):
        Path("x.pt").write_bytes(content)
    elif content is not None:
        torch.save(content, "x.pt")
    assert main(["inspect", "x.pt"]) == 2
    err = capsys.readouterr().err
    assert message in err and len(err.strip().splitlines()) == 1


@pytest.mark.parametrize("cut", [0.1, 0.3, 0.6, 0.9])
def test_damaged_structures_are_one_line(saved: Path, cut: float, tmp_path: Path) -> None:
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(tmp_path / "x.pt", "w") as new:
        content = old.read("saved/data.pkl")
        new.writestr("x/data.pkl", content[: int(cut * len(content))])
    with pytest.raises(CheckpointError, match=r"x\.pt: damaged"):
        describe(tmp_path / "x.pt")
