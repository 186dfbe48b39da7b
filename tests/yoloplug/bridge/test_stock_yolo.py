"""The stock `yolo` command on our models, from start to end: train, kill, resume, val, predict, export, reload."""

import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from ultralytics import YOLO

YOLO_COMMAND = Path(sys.executable).with_name("yolo")
SMALL = ["imgsz=64", "batch=4", "workers=0", "device=cpu", "plots=False", "deterministic=True", "seed=0"]


def yolo(folder: Path, *args: str, **environment: str) -> str:
    """Run the installed command in an empty folder; its output. Fails the test when it fails."""
    command = [str(YOLO_COMMAND), *args, f"project={folder}", "exist_ok=True"]
    run = subprocess.run(command, cwd=folder, env=os.environ | environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return run.stdout + run.stderr


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_detection_data: Path) -> Path:
    """A run of three epochs that was killed in its second or third and then resumed."""
    folder = tmp_path_factory.mktemp("run")
    last = folder / "t" / "weights" / "last.pt"
    train = [str(YOLO_COMMAND), "detect", "train", "model=yolov8n-C2f_gnConv.yaml", f"data={tiny_detection_data}"]
    log = (folder / "log.txt").open("w")
    process = subprocess.Popen(
        [*train, "epochs=200", *SMALL, f"project={folder}", "name=t"], cwd=folder, stdout=log, stderr=log
    )
    kill_beside_a_whole(last, process, folder / "log.txt")
    checkpoint = torch.load(last, weights_only=False)
    assert 0 <= checkpoint["epoch"] < 199
    checkpoint["train_args"]["epochs"] = checkpoint["epoch"] + 3  # end soon after the resume
    torch.save(checkpoint, last)
    output = yolo(folder, "detect", "train", "resume", f"model={last}")
    assert "Resuming training" in output
    assert torch.load(last, weights_only=False)["epoch"] == -1, "finished and stripped"
    return folder / "t" / "weights" / "best.pt"


def kill_beside_a_whole(last: Path, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Kill the training while last.pt can be read: it stands still while one looks, and goes on where it cannot."""
    while process.poll() is None:
        if last.exists():
            process.send_signal(signal.SIGSTOP)
            if zipfile.is_zipfile(last):
                process.kill()
                assert process.wait() == -signal.SIGKILL
                return
            process.send_signal(signal.SIGCONT)
        time.sleep(0.05)
    raise AssertionError(log.read_text()[-3000:])


def test_a_whole_copy_is_kept_on_request(tiny_detection_data: Path, tmp_path: Path) -> None:
    train = ["detect", "train", "model=yolov8n-C2f_gnConv.yaml", f"data={tiny_detection_data}", "epochs=1", "name=t"]
    yolo(tmp_path, *train, *SMALL, YOLOPLUG_KEEP="1")
    weights = tmp_path / "t" / "weights"
    for name in ("last", "best"):
        kept, written = (torch.load(weights / f"{name}{end}.pt", weights_only=False) for end in ("_saved", ""))
        assert kept["epoch"] == 0 and written["epoch"] == -1, "the copy is from before the optimiser was taken out"
        assert kept["optimizer"] is not None
    yolo(tmp_path, *train, *SMALL, "name=u")
    assert {path.name for path in (tmp_path / "u" / "weights").iterdir()} == {"last.pt", "best.pt"}


def test_resumed_checkpoint_holds_our_blocks(trained: Path) -> None:
    model = torch.load(trained, weights_only=False)["model"]
    assert type(model.model[2]).__name__ == "C2f_gnConv"
    assert model.yaml["backbone"][2][2] == "C2f_gnConv"


def test_val_and_predict(trained: Path, tiny_detection_data: Path, tmp_path: Path) -> None:
    assert "mAP50-95" in yolo(tmp_path, "detect", "val", f"model={trained}", f"data={tiny_detection_data}", *SMALL)
    yolo(
        tmp_path, "detect", "predict", f"model={trained}", f"source={tiny_detection_data.parent}/images/val", "imgsz=64"
    )
    assert len(list((tmp_path / "predict").glob("*.jpg"))) == 2


def test_restricted_loading_accepts_the_checkpoint(trained: Path, tiny_detection_data: Path, tmp_path: Path) -> None:
    source = f"source={tiny_detection_data.parent}/images/val"
    yolo(tmp_path, "detect", "predict", f"model={trained}", source, "imgsz=64", ULTRALYTICS_SAFE_LOAD="1")


def test_fresh_process_without_the_start_up_hook_loads_the_checkpoint(trained: Path, tmp_path: Path) -> None:
    code = f"from ultralytics import YOLO; print(type(YOLO({str(trained)!r}).model.model[2]).__name__)"
    environment = os.environ | {"YOLOPLUG_DISABLE": "1"}
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.stdout.strip().endswith("C2f_gnConv"), run.stderr


@pytest.mark.parametrize("name", ["gnConv", "SCConv", "DCNv2", "DCNv3", "GBC"])
@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
def test_stock_export_equals_eager(name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = YOLO(f"yolov8n-C2f_{name}.yaml")
    model.model.names = {0: "thing"}
    with torch.no_grad():
        for parameter in model.model.parameters():  # offsets predicted from zero weights would hide a wrong sampling
            parameter.add_(0.02 * torch.randn_like(parameter))
    torch.save({"model": model.model, "train_args": {}, "epoch": -1}, tmp_path / "m.pt")
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    eager = YOLO("m.pt")
    exported = Path(YOLO("m.pt").export(format=kind, imgsz=(64, 96), verbose=False))
    x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    expected = eager.model.eval()(x)[0].detach().numpy()
    if kind == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
        actual = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
    else:
        actual = torch.jit.load(str(exported))(x)
        actual = (actual[0] if isinstance(actual, tuple) else actual).numpy()
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-3 if name == "SCConv" else 2e-4)
