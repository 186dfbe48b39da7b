"""Keys of trained networks under the names of changed ones, for whole models without memory."""

import functools
import re
from collections.abc import Callable

import pytest

from tests.yoloplug.weights.networks import Network, model, swapped, with_row, without_row
from yoloplug.bridge.graph import aligned, graph_rows
from yoloplug.registry import BLOCKS
from yoloplug.weights.align import GraphRow, align
from yoloplug.weights.placement import Placement, placement

BASES = ["yolov8n.yaml", "yolo11n.yaml", "yolo26n.yaml", "rtdetr-l.yaml", "yolov8n-p2.yaml", "yolov8n-p6.yaml"]
FEW = [("yolov8n.yaml", 0), ("yolov8n.yaml", 4), ("yolov8n.yaml", 15), ("yolo11n.yaml", 10), ("yolo26n.yaml", 8),
       ("rtdetr-l.yaml", 6), ("yolov8n-p2.yaml", 17)]  # fmt: skip
FAMILIES = sorted({name.partition("_")[2] for block in BLOCKS.values() for name in block.hosts if name[:4] == "C2f_"})


@functools.cache
def trained(name: str) -> Network:
    return Network(model(name))


@functools.cache
def rows(name: str) -> list[GraphRow]:
    return graph_rows(trained(name))


def found(source: Network, target: Network) -> Placement:
    return placement(aligned(source, target), source, target)


def renumbered(key: str, number: Callable[[int], int]) -> str:
    return re.sub(r"(?<=model\.)\d+", lambda digits: str(number(int(digits[0]))), key, count=1)


def check_insertion(name: str, after: int, kind: str) -> None:
    """Every tensor of the source has its place, and it is in its own layer."""
    source, target = trained(name), Network(with_row(model(name), after, [1, kind, []]))
    expected = {renumbered(key, lambda i: i + (i > after)): key for key in source.state_dict()}
    assert placement(align(rows(name), graph_rows(target)), source, target).keys == expected


@pytest.mark.parametrize("name, after", FEW)
def test_an_inserted_row_costs_nothing(name: str, after: int) -> None:
    check_insertion(name, after, "SCConv")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["SCConv", "C2f_DBB", "DCNv2"])
@pytest.mark.parametrize("name", BASES)
def test_a_row_inserted_anywhere_costs_nothing(name: str, kind: str) -> None:
    for after in range(len(trained(name).model) - 1):
        check_insertion(name, after, kind)


@pytest.mark.parametrize("name, after", [("yolov8n.yaml", 6), ("yolo11n.yaml", 2), ("rtdetr-l.yaml", 1)])
def test_a_removed_row_costs_only_itself(name: str, after: int) -> None:
    """Away again with what was inserted, weights of all other rows as in the source."""
    source = Network(with_row(model(name), after, [1, "gnConv", []]))
    kept = {key for key in source.state_dict() if not key.startswith(f"model.{after + 1}.")}
    expected = {renumbered(key, lambda i: i - (i > after)): key for key in kept}
    assert found(source, trained(name)).keys == expected


def test_a_stock_row_is_left_out() -> None:
    target = Network(without_row(model("yolov8n.yaml"), 9))
    keys = found(trained("yolov8n.yaml"), target).keys
    expected = {
        renumbered(k, lambda i: i - (i > 9)): k for k in trained("yolov8n.yaml").state_dict() if ".9." not in k[:8]
    }
    assert keys == expected


def check_swap(block: str) -> None:
    """Of every row all but the second convolutions of bottlenecks goes to its own name."""
    source = trained("yolov8n.yaml")
    target = Network(swapped(model("yolov8n.yaml"), {"C2f": f"C2f_{block}"}))
    keys = found(source, target).keys
    assert all(ours == theirs for ours, theirs in keys.items())
    lost = {key for key in source.state_dict() if key not in keys}
    is_unit = BLOCKS[block].place == "bottleneck"
    assert all(re.search(r"\.m\.\d\." if is_unit else r"\.m\.\d\.cv2\.", key) for key in lost), lost
    gain_and_shift = {key for key in keys if re.search(r"\.m\.\d\.cv2\.", key)}
    assert {key.rpartition(".cv2.")[2] for key in gain_and_shift} <= {"bn.weight", "bn.bias"}
    assert bool(gain_and_shift) == (BLOCKS[block].tail == "norm+act" and not is_unit)


@pytest.mark.parametrize("block", ["gnConv", "SCConv", "DCNv2", "CondConv", "DBB", "HorBlock"])
def test_a_swapped_block_starts_fresh_in_the_old_surroundings(block: str) -> None:
    check_swap(block)


@pytest.mark.slow
@pytest.mark.parametrize("block", FAMILIES)
def test_every_block_swapped(block: str) -> None:
    check_swap(block)


def test_a_swapped_conv_with_a_stock_conv_in_front_keeps_it_there() -> None:
    """gnConv keeps its width, so that a row which halves the map has a Conv before it: the trained one."""
    keys = found(trained("yolov8n.yaml"), Network(swapped(model("yolov8n.yaml"), {"Conv": "gnConv"}))).keys
    of_row = {ours: theirs for ours, theirs in keys.items() if ours.startswith("model.3.")}
    assert of_row["model.3.pre.conv.weight"] == "model.3.conv.weight"
    assert of_row["model.3.pre.bn.running_var"] == "model.3.bn.running_var"
    assert all(ours.startswith("model.3.pre.") for ours in of_row), "the norm behind gnConv is another one"
    back = found(Network(swapped(model("yolov8n.yaml"), {"Conv": "gnConv"})), trained("yolov8n.yaml")).keys
    assert back["model.3.conv.weight"] == "model.3.pre.conv.weight"


def test_swapped_and_inserted_and_swapped_again() -> None:
    first = with_row(swapped(model("yolov8n.yaml"), {"C2f": "C2f_SCConv"}), 4, [1, "C2f_SCConv", []])
    second = with_row(swapped(model("yolov8n.yaml"), {"C2f": "C2f_gnConv", "Conv": "DCNv2"}), 8, [1, "SCConv", []])
    rows = [(p.source.index, p.target.index) for p in found(Network(first), Network(second)).alignment.pairs]
    assert rows == [(i + (i > 4), i + (i > 8)) for i in range(23)]


def test_own_checkpoint_goes_row_by_row_and_tensor_by_tensor() -> None:
    own = Network(with_row(swapped(model("yolov8n.yaml"), {"C2f": "C2f_gnConv"}), 4, [1, "gnConv", []]))
    other_classes = Network(own.yaml | {"nc": 3})
    for target in (own, other_classes):
        placed = found(own, target)
        assert placed.keys == {key: key for key in own.state_dict()} and not placed.alignment.inserted


@pytest.mark.parametrize("source, target", [("yolov8n.yaml", "yolov8n-p2.yaml"), ("yolo26n.yaml", "yolo26n-p2.yaml")])
def test_layers_of_a_head_meet_by_level_not_by_number(source: str, target: str) -> None:
    """With P2 in front, cv2.0 is of P2 and cv2.1 of P3, and the other way round without."""
    last, lasts = len(trained(source).model) - 1, len(trained(target).model) - 1
    keys = found(trained(source), trained(target)).keys
    inputs = set()
    for ours, theirs in keys.items():
        if ours.startswith(f"model.{lasts}.") and re.match(r"(one2one_)?cv[23]$", ours.split(".")[2]):
            assert theirs.startswith(f"model.{last}.")
            assert int(ours.split(".")[3]) == int(theirs.split(".")[3]) + 1
            inputs.add(ours.split(".")[3])
    assert inputs == {"1", "2", "3"}
    back = found(trained(target), trained(source)).keys
    assert {ours: theirs for theirs, ours in keys.items() if theirs.startswith(f"model.{lasts}.")} == {
        ours: theirs for ours, theirs in back.items() if ours.startswith(f"model.{last}.")
    }


@pytest.mark.parametrize("target", ["yolov8n-seg.yaml", "yolov8n-pose.yaml", "yolov8n-obb.yaml"])
def test_another_task_keeps_what_its_head_shares(target: str) -> None:
    source = trained("yolov8n.yaml")
    keys = found(source, Network(model(target))).keys
    assert keys == {key: key for key in source.state_dict()}


def test_layers_of_other_classes_never_meet() -> None:
    """A classifier's head and a decoder's have names in common with Detect's, and nothing else."""
    for target in ("yolov8n-cls.yaml", "rtdetr-l.yaml"):
        keys = found(trained("yolov8n.yaml"), Network(model(target))).keys
        assert not any(theirs.startswith("model.22.") for theirs in keys.values())
