"""`preserve` in a YAML's rows: inserted ones, refusals, what Ultralytics does to the network, its optimiser groups."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import onnxruntime
import pytest
import torch
from torch import nn
from ultralytics import YOLO
from ultralytics.engine.trainer import BaseTrainer
from ultralytics.nn.modules import C2f, Conv
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils.torch_utils import initialize_weights

from yoloplug import BLOCKS, hosts
from yoloplug.blocks.parts.norms.layer_scale import LayerScale
from yoloplug.preserve import Beside, take_norm

Make = Callable[..., DetectionModel]
Maps = Callable[..., list[torch.Tensor]]


@pytest.mark.parametrize("name", ["gnConv", "DCNv2", "CondConv", "HorBlock", "PartialConv", "CondParamConv"])
def test_an_inserted_row_passes_its_input_on_and_learns(name: str) -> None:
    row = hosts.host(name)(32, 32, 3, 1, {"preserve": "inserted"})
    x = torch.rand(2, 32, 9, 9)
    assert torch.equal(row.train()(x), x) and torch.equal(row.eval()(x), x)
    row.train()(x).square().mean().backward()
    assert (row.block.gamma.weight.grad != 0).all()
    nn.init.ones_(row.block.gamma.weight)
    expected = row.eval()(x)
    row.fuse()
    torch.testing.assert_close(row(x), expected, rtol=1e-4, atol=1e-5)


def test_an_inserted_c2f_is_a_row_of_its_own(stock: DetectionModel) -> None:
    config = copy.deepcopy(stock.yaml)
    config["backbone"].append([-1, 1, "C2f_SCConv", [128, True, {"preserve": "inserted"}]])
    config["head"] = [[-1, 1, "nn.Identity", []], [[5], 1, "Detect", ["nc"]]]
    model = DetectionModel(config, verbose=False).eval()
    row = model.model[5]
    assert isinstance(row, hosts.Inserted) and isinstance(row.block, C2f)
    x = torch.rand(1, 128, 8, 8)
    assert torch.equal(row(x), x)
    again = DetectionModel(copy.deepcopy(model.yaml), verbose=False)
    again.load(model, verbose=False)  # as fine-tuning and resuming do
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in model.state_dict().items())
    config["backbone"].insert(5, [-1, 1, "gnConv", [128, 3, 1, {"preserve": "inserted"}]])
    config["head"][1][0] = [6]
    longer = DetectionModel(copy.deepcopy(config), verbose=False)
    longer.load(model, verbose=False)
    moved = longer.model[6].state_dict()
    assert all(torch.equal(value, moved[key]) for key, value in row.state_dict().items())


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("gnConv", (32, 64, 3, 1, {"preserve": "inserted"}), "inserted adds to the row's input.*32 to 64 channels"),
        ("gnConv", (32, 32, 3, 2, {"preserve": "inserted"}), "and s=2; use preserve: true in the place of a stock row"),
        ("gnConv", (32, 32, 3, 1, {"preserve": "yes"}), "preserve must be true .* got 'yes'"),
        ("C2f_gnConv", (32, 32, 1, True, {"preserve": 3}), "preserve must be true .* got 3"),
    ],
)
def test_what_cannot_be_preserved_is_refused(name: str, args: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        hosts.host(name)(*args)


def test_a_misspelt_preserve_is_answered_with_the_right_one() -> None:
    with pytest.raises(TypeError, match=r"did you mean preserve\?"):
        hosts.host("gnConv")(32, 32, 3, 1, {"preserv": True})


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("DCNv2", Conv(32, 32, 1), r"DCNv2 with this width and these arguments cannot be Conv2d\(32, 32, k=1, s=1\)"),
        ("DCNv2", Conv(32, 32, 3, act=False), "DCNv2 starts as a Conv of the row's activation, not Conv"),
        (
            "SCConv",
            Conv(32, 32, 3, 2),
            r"SCConv stands beside Conv2d\(32, 32, k=3, s=1\), not Conv2d\(32, 32, k=3, s=2\)",
        ),
        ("SCConv", nn.MaxPool2d(2), "SCConv starts as a Conv of the row's activation, not MaxPool2d"),
    ],
)
def test_a_source_that_does_not_fit_is_refused(name: str, source: nn.Module, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        hosts.host(name)(32, 32, 3, 1, {"preserve": True}).start_as(source)


@pytest.mark.parametrize("name", ["DCNv1", "DOConv", "ACBlock", "CondConv", "HetConv", "AtrousConv", "GatedConv"])
def test_a_row_is_exact_only_where_its_arguments_allow_it(name: str) -> None:
    """Other groups, dilations or activations: the block stands beside the convolution."""
    exact = {"HetConv": {"p": 1}, "AtrousConv": {"d": 1}}.get(name, {})
    other = {"HetConv": {}, "AtrousConv": {}, "GatedConv": {"gate_first": False}}.get(name, {"g": 2})
    source = Conv(32, 32, 3).eval()
    x = torch.rand(2, 32, 9, 9)
    for options, beside in ((exact, False), (other, True)):
        row = hosts.host(name)(32, 32, 3, 1, {"preserve": True, **options}).eval()
        initialize_weights(row)
        initialize_weights(source)
        row.start_as(source)
        assert isinstance(row.block, Beside) == beside
        torch.testing.assert_close(row(x), source(x), rtol=1e-4, atol=1e-5)


def test_a_norm_of_another_eps_maps_as_its_source() -> None:
    source, norm = nn.BatchNorm2d(8, eps=1e-3), hosts.ScaleFreeNorm(8)
    for tensor in (source.weight, source.bias, source.running_mean, source.running_var):
        tensor.data.uniform_(0, 1)
    source.running_var.data[0] = 1e-6  # eps is a thousand times the variance
    take_norm(norm, source)
    x = torch.rand(2, 8, 5, 5)
    torch.testing.assert_close(norm.eval()(x), source.eval()(x), rtol=1e-5, atol=1e-5)


def test_fused_a_row_has_no_module_more_than_it_needs() -> None:
    def fused(name: str, **options: Any) -> nn.Module:
        row = hosts.host(name)(32, 32, 3, 1, {"preserve": True, **options}).eval()
        row.start_as(Conv(32, 32, 3))
        for module in row.modules():
            if isinstance(module, LayerScale):
                nn.init.uniform_(module.weight)
        x = torch.rand(1, 32, 9, 9)
        expected = row(x)
        row.fuse()
        row.fuse()
        torch.testing.assert_close(row(x), expected, rtol=1e-4, atol=1e-5)
        assert not any(isinstance(module, nn.BatchNorm2d) for module in row.modules())
        return row.block

    for name in ("ACBlock", "DBB", "RepVGGBlock", "DOConv", "PointwiseConv"):
        assert type(fused(name)) is nn.Conv2d, name
    assert type(fused("DOConv", g=2)) is Beside  # a grouped convolution beside a dense one
    gn = fused("gnConv")
    assert isinstance(gn, Beside) and all(isinstance(m, nn.Identity) for m in (gn.norm, gn.act, gn.gamma))


@pytest.mark.parametrize("optimizer", ["SGD", "AdamW", "MuSGD"])
def test_norms_gammas_and_gates_are_not_decayed_nor_given_to_muon(optimizer: str) -> None:
    pytest.importorskip("ultralytics.optim.muon")
    for name in sorted(BLOCKS):
        row = hosts.host(name)(64, 64, 3, 1, {"preserve": True})
        model = nn.Sequential()
        model.model = nn.Sequential(row, nn.Linear(1, 1))
        trainer = SimpleNamespace(args=SimpleNamespace(), data={"nc": 1})
        built = BaseTrainer.build_optimizer(trainer, model, optimizer, 0.01, 0.9, decay=1e-3)
        group = {id(p): each for each in built.param_groups for p in each["params"]}
        gammas = [m.weight for m in row.modules() if isinstance(m, LayerScale)]
        norms = [p for m in row.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters()]
        vectors = [p for p in row.parameters() if p.ndim < 2]
        for parameter in [*gammas, *norms, *vectors]:
            assert group[id(parameter)]["weight_decay"] == 0 and not group[id(parameter)].get("use_muon"), name
        assert all(gamma.shape == (64,) for gamma in gammas)


def test_training_resuming_and_export_keep_function_and_structure(
    preserved: Make,
    stock: DetectionModel,
    heads: Maps,
    tiny_detection_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stock training from a saved start, stopped after an epoch and resumed; TorchScript and ONNX equal to eager."""
    monkeypatch.chdir(tmp_path)
    model, x = preserved("gnConv"), torch.rand(1, 3, 64, 64)
    expected = heads(copy.deepcopy(stock).half().float(), x, False)  # as `save` stores weights
    yolo = YOLO("yolov8n.yaml")
    yolo.model = model
    yolo.save("init.pt")

    def check(trainer: Any) -> None:
        for mine, own in zip(heads(copy.deepcopy(trainer.model), x, False), expected, strict=True):
            torch.testing.assert_close(mine, own, rtol=0, atol=1e-4)

    def stop(trainer: Any) -> None:
        raise KeyboardInterrupt

    options = {"imgsz": 64, "batch": 2, "workers": 0, "plots": False, "verbose": False, "project": str(tmp_path)}
    trained = YOLO("init.pt")
    trained.add_callback("on_train_start", check)
    trained.add_callback("on_model_save", stop)
    with pytest.raises(KeyboardInterrupt):
        trained.train(data=str(tiny_detection_data), epochs=2, optimizer="SGD", lr0=0.01, warmup_epochs=0, **options)
    resumed = YOLO(trained.trainer.last)
    resumed.train(resume=True)
    again = YOLO(resumed.trainer.last)
    rows = [module for module in again.model.modules() if isinstance(module, Beside)]
    assert len(rows) == 4 and all(row.gamma.weight.abs().max() > 0 for row in rows)
    said = again.model.float().eval()(x)[0]
    scripted = torch.jit.load(again.export(format="torchscript", imgsz=64))
    onnx = onnxruntime.InferenceSession(YOLO(resumed.trainer.last).export(format="onnx", imgsz=64, simplify=False))
    (from_onnx, *_) = onnx.run(None, {onnx.get_inputs()[0].name: x.numpy()})
    for found in (scripted(x), torch.from_numpy(from_onnx)):
        found = found[0] if isinstance(found, tuple) else found
        torch.testing.assert_close(found, said, rtol=1e-3, atol=1e-3)
