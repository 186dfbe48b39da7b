"""Every shipped YAML builds, runs, fuses and keeps its header's promises, at scale n; larger scales are slow tests."""

import copy
import re
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import pytest
import torch
from torch import nn
from ultralytics import YOLO
from ultralytics.cfg import get_cfg
from ultralytics.nn.modules import Conv

from yoloplug.bridge.yaml_files import find, locate, model_yamls
from yoloplug.hosts import ConvLike

NAMES = sorted(model_yamls())


def at_scale(name: str, scale: str) -> str:
    """yolov8-C2f_gnConv.yaml -> yolov8n-C2f_gnConv.yaml"""
    return re.sub(r"^(yolov?\d+)", rf"\1{scale}", name)


def flat(output: object) -> list[torch.Tensor]:
    """Every tensor of a model's output, whatever its nesting."""
    if isinstance(output, torch.Tensor):
        return [output]
    values = output.values() if isinstance(output, dict) else output if isinstance(output, list | tuple) else ()
    return [tensor for value in values for tensor in flat(value)]


@pytest.mark.parametrize("name", NAMES)
def test_builds_runs_and_fuses_by_bare_name(
    name: str, randomise_norms: Callable[[nn.Module], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = YOLO(at_scale(name, "n"), verbose=False).model.double().eval()
    randomise_norms(model)
    x = torch.rand(1, 3, 64, 96, dtype=torch.double)
    before = flat(model(x))[0]
    model.fuse(verbose=False)
    ours = [m for m in model.modules() if isinstance(m, ConvLike)]
    assert ours and not any(isinstance(inner, nn.BatchNorm2d) for m in ours for inner in m.modules())
    after = flat(model(x))[0]
    torch.testing.assert_close(after, before, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_training_starts_as_a_stock_model_does(name: str) -> None:
    """One step from the YAML: our layers' outputs vary like a stock Conv's and every weight learns."""
    torch.manual_seed(0)
    model = YOLO(at_scale(name, "n"), verbose=False).model.train()
    model.args = get_cfg()
    variances: dict[bool, list[float]] = {True: [], False: []}
    for module in model.modules():
        if isinstance(module, ConvLike) or type(module) is Conv:
            module.register_forward_hook(
                lambda m, _, y: variances[isinstance(m, ConvLike)].append(y.detach().var().item())
            )
    batch = squares(model)
    loss = model(batch)[0].sum()
    stock = sorted(variances[False])[len(variances[False]) // 2]
    assert all(0.1 * stock <= variance <= 10 * stock for variance in variances[True])
    loss.backward()
    torch.optim.SGD(model.parameters(), lr=1e-3).step()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)
    assert model(batch)[0].isfinite().all()


def squares(model: nn.Module) -> dict[str, torch.Tensor]:
    """A batch of two images with one bright square each, as Ultralytics' loaders give it."""
    images = 0.3 * torch.rand(2, 3, 64, 64)
    images[:, :, 16:48, 16:48] = 1
    batch = {"img": images, "cls": torch.zeros(2, 1), "bboxes": torch.tensor([[0.5, 0.5, 0.5, 0.5]] * 2)}
    batch["batch_idx"] = torch.arange(2.0)
    if model.task == "segment":
        masks = torch.zeros(2, 16, 16)
        masks[:, 4:12, 4:12] = 1
        batch |= {"masks": masks, "sem_masks": masks.long()}
    return batch


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_stock_export_equals_eager(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`yolo export format=onnx dynamic=True`, run by onnxruntime at another size and batch."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    yolo = YOLO(at_scale(name, "n"), verbose=False)
    file = yolo.export(format="onnx", imgsz=64, dynamic=True, simplify=False, verbose=False)
    session = onnxruntime.InferenceSession(file)
    x = torch.rand(2, 3, 96, 128)
    expected = flat(yolo.model.eval().fuse(verbose=False)(x))[0]
    (y, *_) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    assert (torch.from_numpy(y) - expected).abs().max() <= 1e-4 * expected.abs().max()


@pytest.mark.parametrize("name", NAMES)
def test_header_says_what_differs_and_how_to_call_it(name: str) -> None:
    header = [line for line in model_yamls()[name].read_text().splitlines() if line.startswith("#")]
    assert len(header) >= 4 and at_scale(name, "n") in header[-1]


@pytest.mark.slow
@pytest.mark.parametrize("scale", ["s", "m", "l", "x"])
@pytest.mark.parametrize("name", NAMES)
def test_larger_scales_build_and_run(name: str, scale: str) -> None:
    model = YOLO(at_scale(name, scale), verbose=False).model.eval()
    assert all(torch.isfinite(t).all() for t in flat(model(torch.rand(1, 3, 64, 64))))


def test_activation_of_the_yaml_reaches_our_blocks() -> None:
    from ultralytics.nn.tasks import DetectionModel, yaml_model_load

    config = yaml_model_load("yolov8n-C2f_gnConv.yaml") | {"activation": "torch.nn.LeakyReLU(0.1)"}
    model = DetectionModel(copy.deepcopy(config), verbose=False)
    assert {type(m.act) for m in model.modules() if isinstance(m, ConvLike)} == {nn.LeakyReLU}


@pytest.mark.parametrize("folder", ["runs", "run3x", "exp2s/a1n"])
def test_the_scale_is_the_files_whatever_its_folder_is_called(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir(parents=True)
    file = tmp_path / folder / "yolov8-mine.yaml"
    file.write_text("nc: 1\n")
    assert locate(str(file.with_name("yolov8n-mine.yaml"))) == (file, "n") and locate(str(file)) == (file, "")


def test_names_resolve_only_where_they_should(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ours = str(model_yamls()["yolov8-C2f_gnConv.yaml"])
    assert find("yolov8n-C2f_gnConv.yaml") == find("yolov8-C2f_gnConv.yaml") == ours
    assert find("yolov8z-C2f_gnConv.yaml") is None
    assert find("yolov8n.yaml") is None
    assert find("elsewhere/yolov8n-C2f_gnConv.yaml") is None
    Path("yolov8-C2f_gnConv.yaml").write_text("nc: 1\n")
    assert find("yolov8-C2f_gnConv.yaml") is None, "the user's own file wins"
