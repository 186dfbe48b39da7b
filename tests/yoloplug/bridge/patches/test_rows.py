"""What a YAML row of ours may say, and how a wrong one is refused: file, row, reason, remedy."""

import copy
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from ultralytics.nn import tasks
from ultralytics.nn.tasks import DetectionModel, yaml_model_load

from yoloplug.bridge.patches.parse import _arguments, _Names, _quoted
from yoloplug.hosts import host


def build(row: int, *change: Any, **config: Any) -> DetectionModel:
    """Stock yolov8n with one backbone row replaced."""
    model = yaml_model_load("yolov8n.yaml") | config
    model["backbone"] = copy.deepcopy(model["backbone"])
    model["backbone"][row] = list(change)
    return DetectionModel(model, verbose=False)


@pytest.mark.parametrize(
    ("row", "error", "message"),
    [
        ([-1, 3, "C2f_gnConv", [128, True, {"ordre": 3}]], TypeError, r"unexpected keyword argument 'ordre'"),
        ([-1, 3, "C2f_gnConv", [128, True, {"order": 9}]], ValueError, r"c=16 is not divisible by .*use order <= 5"),
        (
            [-1, 3, "C2f_gnConv", ["wide", True]],
            TypeError,
            r"first argument is the width, a whole number from 1 on, got \['wide'",
        ),
        ([[-1, 0], 3, "C2f_gnConv", [128, True]], ValueError, r"takes one input, got from=\[-1, 0\]"),
        ([-1, 6, "gnConv", [256, 3, 2]], ValueError, r"2 repeats change width or size .*row of its own"),
    ],
)
def test_a_wrong_row_names_file_and_row(row: list[Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=rf"yolov8n\.yaml, row 2: (C2f_)?gnConv: .*{message}"):
        build(2, *row)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("C2f_gnKonv", "; did you mean C2f_gnConv"),
        ("Konv", "; did you mean Conv"),
        ("torch_safe_loat", "; it is neither in Ultralytics nor in yoloplug;"),  # near a function's name
        ("Quatsch", "; it is neither in Ultralytics nor in yoloplug;"),
    ],
)
def test_a_name_that_nobody_has_is_named_with_the_nearest(name: str, said: str) -> None:
    with pytest.raises(KeyError, match=rf"yolov8n\.yaml, row 2: unknown module '{name}'{said}.*yoloplug blocks\)"):
        build(2, -1, 3, name, [128, True])


@pytest.mark.parametrize("row", [[-1, 3, "C2f_gnConv"], [-1, 3, "C2f_gnConv", 128], [-1, 3, "gnConv", [64], 1]])
def test_a_row_that_is_none_names_file_and_row(row: list[Any]) -> None:
    with pytest.raises(ValueError, match=r"yolov8n\.yaml, row 2: a row is \[from, repeats, module, args\], got \[-1"):
        build(2, *row)


def test_trying_a_row_draws_no_random_numbers() -> None:
    """The trial on the meta device leaves the seed's sequence to the model itself."""
    torch.manual_seed(0)
    first = build(2, -1, 3, "C2f_gnConv", [128, True]).state_dict()
    torch.manual_seed(0)
    second = build(2, -1, 3, "C2f_gnConv", [128, True]).state_dict()
    stock = torch.manual_seed(0) and DetectionModel("yolov8n.yaml", verbose=False).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert all(torch.equal(first[key], stock[key]) for key in stock if key.startswith(("model.0.", "model.1.")))


def test_repeats_that_change_nothing_are_a_sequence() -> None:
    rows = build(2, -1, 6, "gnConv", [128, 3, 1]).model[2]
    assert [type(m).__name__ for m in rows] == ["gnConv", "gnConv"]


def test_rows_that_keep_width_and_size_may_repeat_with_options_by_position() -> None:
    assert len(build(2, -1, 6, "CondConv", [128, 3, 1, 4]).model[2]) == 2


def test_rows_of_ours_ask_for_the_head_of_yolo11_as_stock_c3k2_does() -> None:
    for name, legacy in (("yolo11n.yaml", False), ("yolov8n.yaml", True)):
        ours = yaml_model_load(name)
        for part in ("backbone", "head"):
            ours[part] = [
                [f, n, f"{m}_gnConv" if m in ("C3k2", "C2f") else m, args] for f, n, m, args in map(list, ours[part])
            ]
        head = DetectionModel(ours, verbose=False).model[-1]
        if hasattr(head, "legacy"):
            assert head.legacy is legacy is DetectionModel(name, verbose=False).model[-1].legacy


OPTIONS = {"order": 2}


@pytest.mark.parametrize(
    ("name", "given", "args", "model", "made"),
    [
        ("gnConv", -1, [64, 3, 2], {}, (32, [24, 32, 3, 2], 1, None)),
        ("gnConv", 0, [], {}, (8, [8, 8], 1, None)),
        ("gnConv", -1, [None, 5], {}, (24, [24, 24, 5], 1, None)),
        ("gnConv", -1, [OPTIONS], {}, (24, [24, 24, 3, 1, OPTIONS], 1, None)),
        ("gnConv", -1, [64, 5, OPTIONS], {}, (32, [24, 32, 5, 1, OPTIONS], 1, None)),
        ("gnConv", -1, [1000], {}, (256, [24, 256], 1, None)),  # at most 512, of which half
        ("gnConv", -1, [50], {}, (32, [24, 32], 1, None)),  # a multiple of eight
        ("CondParamConv", [1, 0], [64], {}, (32, [16, 32, 3, 1, {"c_condition": 8}], 1, None)),
        ("CondParamConv", [1, 0], [64, 5, 2, {"x": 2}], {}, (32, [16, 32, 5, 2, {"c_condition": 8, "x": 2}], 1, None)),
        ("C2f_gnConv", -1, [64, True], {}, (32, [24, 32, 1, True], 1, None)),
        ("C2f_gnConv", 1, [None, True, OPTIONS], {}, (16, [16, 16, 1, True, OPTIONS], 1, None)),
        ("C3k2_gnConv", -1, [64, False, 0.25], {"scale": "n"}, (32, [24, 32, 1, False, 0.25], 1, False)),
        ("C3k2_gnConv", -1, [64, False, 0.25], {"scale": "m"}, (32, [24, 32, 1, True, 0.25], 1, False)),
        ("C3k2_gnConv", -1, [64, False], {"scales": {"x": 1, "n": 1}}, (32, [24, 32, 1, True], 1, False)),
        ("C3k2_gnConv", -1, [64, False], {}, (32, [24, 32, 1, False], 1, False)),
    ],
)  # fmt: skip
def test_what_a_row_gives_its_constructor(name: str, given: Any, args: list[Any], model: Any, made: Any) -> None:
    """Widths of 8, 16 and 24 channels before it, at half the width and at most 512."""
    before = copy.deepcopy(args)
    assert _arguments(host(name), model, given, 1, args, [8, 16, 24], 0.5, 512, None) == made
    assert args == before


def test_repeats_stay_repeats_of_a_layer_and_become_the_hosts() -> None:
    assert _arguments(host("gnConv"), {}, -1, 2, [None, 3, 1, OPTIONS], [16], 1, 512, True)[2:] == (2, True)
    assert _arguments(host("C2f_gnConv"), {}, -1, 3, [], [16], 1, 512, True) == (16, [16, 16, 3], 1, True)
    for args in ([16, 3, 2], [32]):
        with pytest.raises(ValueError, match="2 repeats change width or size more than once"):
            _arguments(host("gnConv"), {}, -1, 2, args, [16], 1, 512, None)


@pytest.mark.parametrize("width", [0, -8, True, "64", 6.5])
def test_a_width_is_a_whole_number_from_1_on(width: Any) -> None:
    with pytest.raises(TypeError, match="the first argument is the width"):
        _arguments(host("gnConv"), {}, -1, 1, [width], [16], 1, 512, None)
    assert _arguments(host("gnConv"), {}, -1, 1, [1], [16], 1, 512, None)[0] == 8


def test_a_dict_without_a_file_is_a_model_yaml_and_other_entries_are_left_to_stock() -> None:
    """Also where a row is none: only those that name a block of ours are read."""
    wrong = {"nc": 1, "backbone": [[-1, 1, "gnConv", [8], 5]], "head": []}
    for error, row, said in (
        (ValueError, wrong["backbone"][0], r"model YAML, row 0: a row is \[from, repeats, module, args\]"),
        (ValueError, [-1, 1, "gnConv", [8, 5, 1, {"order": 9}]], r"model YAML, row 0: gnConv: "),
        (KeyError, [-1, 1, "gnKonv", [8]], r"model YAML, row 0: unknown module 'gnKonv'"),
    ):
        with pytest.raises(error, match=said):
            tasks.parse_model({"nc": 1, "backbone": [row], "head": []}, 3, verbose=False)
    fresh = ModuleType("tasks")
    fresh.Conv = tasks.Conv  # type: ignore[attr-defined]
    names, odd = _Names(fresh), [[-1, 1, "Conv"], "text", [-1, 1], [-1, 1, 5], [-1, 1, "nn.ReLU"]]
    plain: dict[str, Any] = {"backbone": odd, "head": [[]]}
    assert names.prepare(plain) is plain and not names.classes
    mixed = {**plain, "head": [[-1, 1, "gnConv", ["f"]], [-1, 1, "torchvision.ops.X", []]]}
    assert names.prepare(mixed) == {**mixed, "head": [[-1, 1, "gnConv", ["'f'"]], mixed["head"][1]]}
    assert names.classes == {host("gnConv")} and vars(fresh)["gnConv"] is host("gnConv")


def test_the_extended_function_has_the_lines_of_its_file() -> None:
    """So that a traceback and a debugger show the right ones."""
    code, source = tasks.parse_model.__code__, Path(str(tasks.__file__)).read_text().splitlines()
    assert code.co_filename == tasks.__file__ and source[code.co_firstlineno - 1].startswith("def parse_model(")
    lines = [line for *_, line in code.co_lines() if line]
    assert any("for i, (f, n, m, args) in" in source[line - 1] for line in lines) and max(lines) <= len(source)


def test_strings_of_a_row_survive_the_stock_loop() -> None:
    row = [-1, 1, "gnConv", [64, "f", "None", {"act": "None", "filter": "dw7"}]]
    assert _quoted({}, 0, row) == [-1, 1, "gnConv", [64, "'f'", "None", {"act": None, "filter": "dw7"}]]


def test_a_row_cut_short_does_not_hide_the_name_of_an_unknown_one() -> None:
    rows = [[-1, 1], [-1, 1, "gnKonv", [8]]]
    with pytest.raises(KeyError, match=r"model YAML, row 1: unknown module 'gnKonv'"):
        tasks.parse_model({"nc": 1, "backbone": rows, "head": []}, 3, verbose=False)
