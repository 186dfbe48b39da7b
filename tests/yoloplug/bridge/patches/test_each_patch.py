"""Each patch by itself, on as much of Ultralytics as it touches."""

import enum
import pickle
import runpy
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import yoloplug
from tests.yoloplug.bridge.test_releases import RELEASES
from yoloplug.blocks.parts.norms.corrected_batch_norm_2d import CorrectedBatchNorm2d
from yoloplug.bridge import yaml_files
from yoloplug.bridge.checkpoints.safe_load import _attribute_of_a_layer
from yoloplug.bridge.patches import checkpoints, disabled, keep, parse, statistics
from yoloplug.bridge.patches.load import _is_changed, _network
from yoloplug.bridge.patches.restricted import check_activation, is_restricted, refuse_code, restricted
from yoloplug.bridge.place import Renamed
from yoloplug.errors import YoloplugError
from yoloplug.hosts import host, host_names


@pytest.mark.parametrize("value", ["", "0", "1"])
def test_copies_are_kept_where_they_are_asked_for(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOLOPLUG_KEEP", value)
    callbacks: Any = SimpleNamespace(default_callbacks={"on_model_save": []})
    keep.patch(callbacks)
    assert callbacks.default_callbacks["on_model_save"] == ([keep.on_model_save] if value == "1" else [])


def test_both_checkpoints_are_kept_beside_them(tmp_path: Path) -> None:
    for name in ("last", "best"):
        (tmp_path / f"{name}.pt").write_text(name)
    keep.on_model_save(SimpleNamespace(last=tmp_path / "last.pt", best_fitness=1, fitness=0))
    assert (tmp_path / "last_saved.pt").read_text() == "last" and not (tmp_path / "best_saved.pt").exists()
    keep.on_model_save(SimpleNamespace(last=tmp_path / "last.pt", best_fitness=1, fitness=1))
    assert (tmp_path / "best_saved.pt").read_text() == "best"


def test_turned_off_a_row_of_ours_is_explained_and_any_other_is_as_it_was() -> None:
    def parse_model(name: str, ch: int = 3) -> str:
        return {"Conv": f"built {ch}"}[name]

    tasks: Any = SimpleNamespace(parse_model=parse_model)
    disabled.patch(tasks)
    assert tasks.parse_model("Conv") == "built 3" and tasks.parse_model("Conv", ch=1) == "built 1"
    assert tasks.parse_model("Conv", 2) == "built 2"
    with pytest.raises(KeyError, match="gnConv is a block of yoloplug, which YOLOPLUG_DISABLE=1 turns off; unset it"):
        tasks.parse_model("gnConv")
    with pytest.raises(KeyError, match=r"^'Konv'$"):
        tasks.parse_model("Konv")


def test_a_new_model_has_seen_no_batch() -> None:
    norm, order = CorrectedBatchNorm2d(3), []
    norm(torch.rand(2, 3, 4, 4))
    tasks: Any = SimpleNamespace(initialize_weights=lambda model: order.append(bool(norm.settled)))
    tasks.initialize_weights.__name__ = "initialize_weights"
    statistics.patch(tasks)
    plain = nn.BatchNorm2d(3)
    plain(torch.rand(2, 3, 4, 4))
    tasks.initialize_weights(nn.Sequential(norm, plain))
    assert order == [True] and not norm.settled and plain.num_batches_tracked == 1


def test_the_releases_that_are_told_are_those_that_are_tested() -> None:
    """And nothing is refused before anything was patched."""
    first, last = parse.TESTED.split(" to ")
    assert first == RELEASES[0] and tuple(map(int, last.split("."))) > tuple(map(int, RELEASES[-2].split(".")))
    assert runpy.run_path(str(parse.__file__))["refusal"] == ""


def other(d: Any, ch: Any) -> None:
    """Of another release."""


def no_chain(d: Any, ch: Any, verbose: bool = True) -> None:
    for _ in d:
        pass


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (other, r"parse_model takes \(d, ch\) instead of \(d, ch, verbose\)"),
        (no_chain, r"parse_model has 0 chains `if m in \.\.\.` where one was expected"),
    ],
)
def test_a_release_of_another_shape_stays_as_it_is(function: Any, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parse, "refusal", "")
    code, name = function.__code__, host_names()[0]
    tasks = ModuleType("tasks")
    tasks.parse_model, tasks.nn, tasks.Conv = function, nn, nn.Conv2d  # type: ignore[attr-defined]
    parse.patch(tasks)
    assert function.__code__ is code and parse.RULE not in vars(tasks) and tasks.Conv is nn.Conv2d
    assert set(host_names()) <= vars(tasks).keys()
    with pytest.raises(
        parse.UnsupportedUltralytics, match=f"cannot add its blocks to ultralytics .*: {reason}.*{parse.TESTED}"
    ):
        vars(tasks)[name](8, 8)
    assert vars(tasks)[name].__name__ == name and vars(tasks)[name].__module__ == "yoloplug.hosts"


def test_what_a_patched_function_is_given_reaches_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.pt").write_bytes(b"no zip")

    def torch_safe_load(weight: str, *args: Any, **kwargs: Any) -> Any:
        return weight, args, kwargs

    def check_file(file: Any, *args: Any, **kwargs: Any) -> Any:
        return file, args, kwargs

    tasks: Any = SimpleNamespace(torch_safe_load=torch_safe_load)
    checks: Any = SimpleNamespace(check_file=check_file)
    checkpoints.patch(tasks)
    yaml_files.patch(checks)
    for name in ("x.pt", "none.pt"):
        assert tasks.torch_safe_load(name, 1, only=2) == (name, (1,), {"only": 2})
    shipped = str(yaml_files.model_yamls()["yolov8-C2f_gnConv.yaml"])
    assert checks.check_file("yolov8n-C2f_gnConv.yaml", ".yaml", hard=False) == (shipped, (".yaml",), {"hard": False})
    assert checks.check_file(Path("mine.yaml")) == (Path("mine.yaml"), (), {})


def test_activations_are_layers_with_plain_arguments() -> None:
    for good in ("nn.SiLU()", "torch.nn.LeakyReLU(0.1)", " nn.Hardtanh(min_val=-2, max_val=2.5) "):
        check_activation(good)
    check_activation("nn.SiLU()".ljust(200))
    long = "nn.SiLU()".ljust(201)
    for bad in (
        "nn.SiLU",
        "SiLU()",
        "nn.functional()",
        "nn.Nothing()",
        "nn.LeakyReLU(open('x'))",
        "nn.Softmax(dim=f())",
        long,
        "1 +",
        3,
    ):
        with pytest.raises(ValueError, match=r"'activation' is a layer of torch\.nn with plain arguments"):
            check_activation(bad)


def test_rows_that_name_a_function_are_refused_while_a_checkpoint_is_read() -> None:
    namespace = {"Conv": nn.Conv2d, "torch_load": torch.load}
    row = [-1, 1, "Conv", []]
    refuse_code({"backbone": [row], "head": [[-1, 1, "nn.Upsample", []], [-1, 1, "unknown", []]]}, namespace)
    for part in ("backbone", "head"):
        with pytest.raises(ValueError, match="'torch_load' is no layer"):
            refuse_code({"backbone": [row], "head": [row]} | {part: [row, [-1, 1, "torch_load", []]]}, namespace)
    with pytest.raises(ValueError, match="activation"):
        refuse_code({"activation": "print()", "backbone": [], "head": []}, namespace)
    with ThreadPoolExecutor(1) as fresh:
        assert fresh.submit(is_restricted).result() is False
    with pytest.raises(RuntimeError), restricted():
        assert is_restricted() is True
        raise RuntimeError
    assert is_restricted() is False


def test_attributes_that_a_checkpoint_may_take() -> None:
    Mode = enum.Enum("Mode", "LINEAR")
    conv = nn.Conv2d(1, 1, 1)
    assert _attribute_of_a_layer(nn.Conv2d, "forward") is nn.Conv2d.forward
    assert _attribute_of_a_layer(Mode, "LINEAR") is Mode.LINEAR
    assert _attribute_of_a_layer(conv, "forward").__self__ is conv
    for owner, name in (
        (nn.Conv2d, "__init__"),
        (conv, "weight"),
        (conv, "__class__"),
        (dict, "fromkeys"),
        (1, "real"),
    ):
        with pytest.raises(pickle.UnpicklingError, match=f"getattr of '{name}' on "):
            _attribute_of_a_layer(owner, name)


class Network(nn.Module):
    def __init__(self, *rows: nn.Module) -> None:
        super().__init__()
        self.model, self.yaml = nn.Sequential(*rows), {}
        for row in rows:
            row.f = -1  # type: ignore[assignment]


def test_the_network_in_what_load_is_given() -> None:
    network, average = Network(nn.Conv2d(1, 1, 1)), Network(nn.Conv2d(1, 1, 1))
    assert _network(network) is _network({"model": network, "ema": None}) is network
    assert _network({"model": network, "ema": average}) is average
    assert _network(SimpleNamespace(_orig_mod=network)) is network
    for none in (Renamed(network, None), {"model": None}, {"weight": torch.zeros(1)}, nn.Conv2d(1, 1, 1), Network()):  # type: ignore[arg-type]
        assert _network(none) is None


def test_only_networks_with_other_rows_and_a_block_of_ours_are_changed() -> None:
    def stock() -> Network:
        return Network(nn.Conv2d(8, 8, 1), nn.ReLU())

    def ours(f: int = -1) -> Network:
        made = Network(nn.Conv2d(8, 8, 1), host("DBB")(8, 8))
        made.model[1].f = f  # type: ignore[union-attr]
        return made

    assert _is_changed(stock(), ours()) and _is_changed(ours(), stock()) and _is_changed(ours(), ours(0))
    assert not _is_changed(ours(), ours()) and not _is_changed(stock(), Network(nn.Conv2d(8, 8, 1)))


def test_shipped_yamls_are_found_by_bare_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = yaml_files.model_yamls()["yolov8-C2f_gnConv.yaml"]
    for name in ("yolov8-C2f_gnConv.yaml", "yolov8n-C2f_gnConv.yaml", "yolov8x-C2f_gnConv.yaml"):
        assert yaml_files.find(name) == str(shipped)
    for name in (
        "yolov8q-C2f_gnConv.yaml",
        "here/yolov8n-C2f_gnConv.yaml",
        "yolov8n.yaml",
        "yolov8n-C2f_gnConv.yml",
        "",
    ):
        assert yaml_files.find(name) is None
    Path("yolov8n-C2f_gnConv.yaml").write_text("")
    assert yaml_files.find("yolov8n-C2f_gnConv.yaml") is None


def test_a_wheel_has_its_own_yamls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert yaml_files.model_yamls()["yolov8-C2f_gnConv.yaml"].parent == Path(__file__).parents[4] / "model_yamls"
    assert yaml_files._IN_WHEEL == Path(yoloplug.__file__).parent / "model_yamls"
    (tmp_path / "b.yaml").write_text("")
    (tmp_path / "a.txt").write_text("")
    monkeypatch.setattr(yaml_files, "_IN_WHEEL", tmp_path)
    assert yaml_files.model_yamls() == {"b.yaml": tmp_path / "b.yaml"}


def test_model_names_are_resolved_with_their_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run3x").mkdir()
    (tmp_path / "run3x" / "mine.yaml").write_text("")
    (tmp_path / "run3x" / "yolov8s-mine.yml").write_text("")
    for name, file, scale in (
        ("yolov8n.yaml", "yolov8.yaml", "n"),
        ("yolov8.yaml", "yolov8.yaml", ""),
        ("yolov8m-C2f_gnConv.yaml", "yolov8-C2f_gnConv.yaml", "m"),
        ("run3x/mine.yaml", "mine.yaml", ""),
        ("run3x/yolov8s-mine.yml", "yolov8s-mine.yml", "s"),
    ):
        found = yaml_files.locate(name)
        assert (found[0].name, found[1]) == (file, scale)
    for name in ("https://example.org/a.yaml", "best.pt", "yaml"):
        with pytest.raises(YoloplugError, match="is not the name of a YAML file"):
            yaml_files.locate(name)
    with pytest.raises(
        YoloplugError, match=r"no model YAML 'yolov8n-C2f_gnKonv\.yaml' here, .*; did you mean yolov8-C2f_gnConv"
    ):
        yaml_files.locate("yolov8n-C2f_gnKonv.yaml")
    known = yaml_files.known_names()
    assert known == sorted(set(known)) and {"yolov8.yaml", "rtdetr-l.yaml", "yolov8-C2f_gnConv.yaml"} <= set(known)

    def several(name: str, hard: bool) -> str:
        raise FileNotFoundError("Multiple files match")

    monkeypatch.setattr("ultralytics.utils.checks.check_yaml", several)
    with pytest.raises(YoloplugError, match=r"^mine\.yaml: Multiple files match"):
        yaml_files.locate("mine.yaml")
