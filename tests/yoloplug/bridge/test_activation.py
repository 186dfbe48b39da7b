"""How the plug-in switches itself on in every kind of process, and off; and that nothing on disk changes."""

import base64
import csv
import hashlib
import importlib.metadata
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from yoloplug import boot
from yoloplug.bridge.patches import parse

BUILD = "from ultralytics import YOLO; print(type(YOLO('yolov8n-C2f_gnConv.yaml').model.model[2]).__name__)"


def python(code: str, folder: Path, *flags: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *flags, "-c", code]
    return subprocess.run(command, cwd=folder, env=os.environ | environment, capture_output=True, text=True)


def test_stock_script_in_an_empty_folder_knows_our_names_and_files(tmp_path: Path) -> None:
    run = python(BUILD, tmp_path)
    assert run.stdout.strip().endswith("C2f_gnConv"), run.stderr


def test_late_import_activates_in_a_process_that_has_no_start_up_hook(tmp_path: Path) -> None:
    paths = [path for path in sys.path if path]
    late = f"import sys; sys.path[:0] = {paths!r}; import ultralytics.nn.tasks, ultralytics.engine.model, yoloplug; "
    run = python(late + BUILD, tmp_path, "-S")
    assert run.stdout.strip().endswith("C2f_gnConv"), run.stderr


def test_disable_restores_stock_behaviour(tmp_path: Path) -> None:
    run = python(BUILD, tmp_path, YOLOPLUG_DISABLE="1")
    assert run.returncode != 0
    assert "FileNotFoundError" in run.stderr and "yolov8-C2f_gnConv.yaml" in run.stderr


def test_start_up_imports_small_modules_and_nothing_else(tmp_path: Path) -> None:
    code = "import sys; print(*sorted(sys.modules))"
    plain, hooked = (set(python(code, tmp_path, **env).stdout.split()) for env in ({"YOLOPLUG_DISABLE": "1"}, {}))
    assert hooked == plain
    assert {name for name in hooked if name.startswith("yoloplug")} == {"yoloplug", "yoloplug.boot", "yoloplug.version"}
    assert not {"ast", "inspect", "torch", "ultralytics", "yoloplug.registry", "yoloplug.bridge"} & hooked


def test_installed_ultralytics_keeps_its_hashes() -> None:
    distribution = importlib.metadata.distribution("ultralytics")
    record = distribution.read_text("RECORD")
    assert record is not None
    checked = 0
    for name, checksum, _ in csv.reader(record.splitlines()):
        if name.startswith("ultralytics/") and name.endswith((".py", ".yaml")):
            digest = hashlib.sha256(Path(str(distribution.locate_file(name))).read_bytes()).digest()
            assert checksum == "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode(), name
            checked += 1
    assert checked > 100


def test_installing_twice_watches_once() -> None:
    boot.install("yoloplug.bridge")
    boot.install("yoloplug.bridge")
    assert sum(type(finder).__name__ == "_Watcher" for finder in sys.meta_path) == 1


def test_ddp_child_process_trains_our_model(tmp_path: Path, tiny_detection_data: Path) -> None:
    """The script that Ultralytics writes for DDP children, run as the one process of its group on CPU."""
    code = f"""
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils.dist import generate_ddp_file
overrides = dict(model="yolov8n-C2f_gnConv.yaml", data={str(tiny_detection_data)!r}, epochs=1, imgsz=64, batch=4,
    workers=0, device="cpu", plots=False, val=False, project={str(tmp_path)!r}, name="ddp", exist_ok=True)
trainer = DetectionTrainer(overrides=overrides)
print("FILE", generate_ddp_file(trainer))
"""
    written = python(code, tmp_path)
    assert "FILE" in written.stdout, written.stderr
    script = written.stdout.rsplit("FILE ", 1)[1].strip()
    group = {"RANK": "-1", "LOCAL_RANK": "-1"}
    child = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=os.environ | group, capture_output=True, text=True
    )
    assert child.returncode == 0, child.stdout + child.stderr
    assert (tmp_path / "ddp" / "weights" / "last.pt").exists()


def fake_tasks(tmp_path: Path, body: str) -> types.ModuleType:
    """A module that stands for ultralytics.nn.tasks of some release, with the given loop body."""
    import torch

    source = tmp_path / "fake_tasks.py"
    source.write_text(
        "def parse_model(d, ch, verbose=True):\n"
        "    ch, width, max_channels, layers = [ch], 1.0, 1024, []\n"
        "    for i, (f, n, m, args) in enumerate(d['backbone'] + d['head']):\n"
        "        m = globals()[m]\n" + body
    )
    module = types.ModuleType("fake_tasks")
    module.__file__ = str(source)
    module.__dict__["nn"] = torch.nn
    exec(compile(source.read_text(), str(source), "exec"), module.__dict__)
    return module


@pytest.mark.parametrize(
    "body", ["        layers.append(m(*args))\n", "        if m in {int}:\n            c2 = 1\n" * 2]
)
def test_unknown_release_keeps_stock_models_and_explains_our_names(tmp_path: Path, body: str) -> None:
    tasks = fake_tasks(tmp_path, body)
    before = tasks.parse_model.__code__
    parse.patch(tasks)
    assert tasks.parse_model.__code__ is before
    with pytest.raises(
        parse.UnsupportedUltralytics, match=r"yoloplug 0\.\S+ cannot add .* ultralytics 8\.\S+: parse_model"
    ):
        tasks.C2f_gnConv(64, 64, 1)


@pytest.mark.parametrize("signature", ["d, ch", "d, ch, verbose=True, task=None", "model, ch, verbose=True"])
def test_another_signature_of_parse_model_is_refused(tmp_path: Path, signature: str) -> None:
    source = Path(
        parse.inspect.getsourcefile(__import__("ultralytics.nn.tasks").nn.tasks.parse_model) or ""
    ).read_text()
    tasks = types.ModuleType("fake_tasks")
    tasks.__file__ = str(tmp_path / "fake_tasks.py")
    changed = source.replace("def parse_model(d, ch, verbose=True)", f"def parse_model({signature})")
    assert changed != source
    Path(tasks.__file__).write_text(changed[changed.index("def parse_model") :].split("\n\n\ndef ")[0])
    exec(compile(Path(tasks.__file__).read_text(), tasks.__file__, "exec"), tasks.__dict__)
    before = tasks.parse_model.__code__
    tasks.__dict__["nn"] = __import__("torch").nn
    parse.patch(tasks)
    assert tasks.parse_model.__code__ is before
    with pytest.raises(parse.UnsupportedUltralytics, match=r"parse_model takes \(.*\) instead of \(d, ch, verbose\)"):
        tasks.C2f_gnConv(64, 64, 1)


def test_a_name_that_upstream_has_is_never_overwritten(tmp_path: Path) -> None:
    tasks = fake_tasks(tmp_path, "        layers.append(m(*args))\n")
    tasks.__dict__["gnConv"] = upstream = type("gnConv", (), {})
    parse.patch(tasks)
    assert tasks.gnConv is upstream
