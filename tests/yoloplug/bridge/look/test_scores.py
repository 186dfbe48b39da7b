"""Which predictions a heat map explains, of outputs of each kind of head made by hand."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from yoloplug.bridge.look.inside import Inside, Score, _best_of, _findings, _outlines
from yoloplug.errors import YoloplugError

NAMES = {0: "ant", 1: "bee"}


class Detect(nn.Module):
    nc, f = 2, -1


class RTDETRDecoder(Detect):
    pass


def inside(task: str, head: nn.Module) -> Inside:
    network = nn.Module()
    network.model = nn.Sequential(nn.Identity(), head)
    image = np.zeros((8, 8, 3), np.uint8)
    return Inside(network, task, NAMES, torch.zeros(1, 3, 8, 8), image, (0, 0, 8, 8), [], None)


def told(scores: list[Score]) -> list[tuple[float, int]]:
    return [(round(float(score.value), 3), score.label) for score in scores]


def boxes() -> Tensor:
    """(1, 4 + classes + a mask's coefficient, predictions): two that cover 9 of 11 parts of each other, in x; two that
    cover 6 of 10, in y; one by itself; one that is weak."""
    rows = [
        (10, 10, 10, 20, 0.9, 0.1, 0.99),
        (11, 10, 10, 20, 0.2, 0.8, 0.99),
        (60, 60, 10, 20, 0.7, 0.1, 0.99),
        (60, 65, 10, 20, 0.6, 0.1, 0.99),
        (99, 10, 10, 20, 0.1, 0.3, 0.99),
        (10, 99, 10, 20, 0.2, 0.2, 0.99),
    ]
    return torch.tensor(rows).T[None]


def test_boxes_above_conf_in_falling_order_those_of_one_place_once() -> None:
    look, output = inside("segment", Detect()), ((boxes(), torch.zeros(1)), None)
    every = [(0.9, 0), (0.8, 1), (0.7, 0), (0.6, 0), (0.3, 1)]
    assert told(look.scores(output, None)) == [(0.9, 0), (0.7, 0), (0.6, 0), (0.3, 1)]
    assert told(look.scores(output, None, iou=0.83)) == told(look.scores(output, None, iou=1)) == every
    assert told(look.scores(output, None, iou=0.8)) == [(0.9, 0), (0.7, 0), (0.6, 0), (0.3, 1)]
    assert told(look.scores(output, None, iou=0.5)) == [(0.9, 0), (0.7, 0), (0.3, 1)]
    assert told(look.scores(output, None, top=2)) == [(0.9, 0), (0.7, 0)]
    assert told(look.scores(output, None, conf=0.7)) == [(0.9, 0), (0.7, 0)]
    assert told(look.scores(output, [1])) == [(0.8, 1), (0.3, 1)]
    assert told(look.scores(output, [1], conf=0.95)) == [(0.8, 1)]  # none above: the best
    many = torch.cat([boxes()[..., 4:5]] * 20, dim=2)
    many[0, 0] += 100 * torch.arange(20)
    assert len(look.scores(many, None)) == 16


def test_end_to_end_heads_say_score_and_class() -> None:
    head = Detect()
    head.end2end = True  # type: ignore[assignment]
    rows = torch.tensor([[0, 0, 9, 9, 0.4, 1, 7], [0, 0, 9, 9, 0.9, 0, 7], [0, 0, 9, 9, 0.2, 0, 7]])
    look = inside("segment", head)
    assert told(look.scores(rows[None], None)) == [(0.9, 0), (0.4, 1)]  # nothing is suppressed
    assert told(look.scores(rows[None], [1])) == [(0.4, 1)]
    assert told(look.scores(rows[None, :0], None)) == []


def test_rtdetr_hides_its_logits_behind_the_decoded_boxes() -> None:
    logits = torch.tensor([[[[0.0, 2.0], [-3.0, -4.0], [1.0, 0.0]]]])  # (layers, N, queries, nc)
    first = torch.full_like(logits, 9.0)
    output = (None, (None, torch.cat([first, logits])))
    look = inside("detect", RTDETRDecoder())
    expected = [(torch.tensor(2.0), 1), (torch.tensor(1.0), 0)]
    assert told(look.scores(output, None)) == [(round(float(v.sigmoid()), 3), label) for v, label in expected]
    assert len(look.scores(output, None, top=1)) == 1


def test_labels_lie_where_the_scores_lie() -> None:
    values, labels = _best_of(torch.empty(5, 2, device="meta"), [0, 1])
    assert values.device.type == labels.device.type == "meta" and labels.shape == (5,)


def test_classes_of_a_whole_image() -> None:
    look, logits = inside("classify", Detect()), torch.tensor([[0.5, 2.0]])
    assert told(look.scores((logits * 0, logits), None)) == told(look.scores(logits, None)) == [(2.0, 1)]
    assert told(look.scores(logits, [0])) == [(0.5, 0)]
    with pytest.raises(YoloplugError, match="no class scores"):
        inside("depth", Detect()).scores(logits, None)


def test_classes_of_pixels() -> None:
    """The sum over the pixels that a class wins; the best pixel of one that wins none."""
    logits = torch.tensor([[[3.0, 1.0], [2.0, 0.0]], [[1.0, 0.5], [4.0, -1.0]]])[None]
    look = inside("semantic", Detect())
    assert told(look.scores((logits, None), None)) == [(4.0, 0), (4.0, 1)]
    assert told(look.scores(logits, [1])) == [(4.0, 1)]
    beaten = torch.stack([torch.ones(2, 2), torch.tensor([[0.5, 0.25], [0.0, -1]])])[None]
    assert told(look.scores(beaten, [1])) == [(0.5, 1)]
    assert told(look.scores(beaten, None)) == [(4.0, 0)]
    one = torch.tensor([[[2.0, -1.0], [0.5, 0.0]]])[None]
    assert told(look.scores(one, [0])) == [(2.5, 0)]
    assert told(look.scores(-one.abs(), [0])) == [(0.0, 0)]


def test_a_pass_with_and_without_a_graph() -> None:
    look = inside("detect", Detect())
    look.rows[-1].shape, look.rows[-1].shapes, seen = "of an earlier input", "too", []
    look.network.forward = lambda x: seen.append(x) or x * 2  # type: ignore[assignment]
    assert look.run().requires_grad is False and look.rows[-1].shape is look.rows[-1].shapes is None
    assert look.run(with_graph=True).requires_grad is True
    assert torch.equal(seen[0], look.input) and seen[0] is not look.input


def test_the_model_has_a_name_where_the_checkpoint_says_it() -> None:
    look = inside("detect", Detect())
    assert look.yaml_name == "" and look.head_sources() == [0]
    look.network.yaml = {"yaml_file": "runs/mine.yaml"}  # type: ignore[assignment]
    assert look.yaml_name == "mine"
    look.network.yaml = {}  # type: ignore[assignment]
    assert look.yaml_name == ""


def test_outlines_and_findings_of_results() -> None:
    """Corners of upright boxes clockwise from the upper left; of turned ones as they are."""
    found: Any = SimpleNamespace(names=NAMES, obb=None, boxes=None)
    assert _outlines(found) == [] and _findings(found) is None
    shared = {"cls": torch.tensor([1.0]), "conf": torch.tensor([0.5])}
    found.boxes = SimpleNamespace(xyxy=torch.tensor([[1.0, 2.0, 5.0, 7.0]]), **shared)
    ((polygon, label, conf),) = _outlines(found)
    assert polygon.tolist() == [[1, 2], [5, 2], [5, 7], [1, 7]] and (label, conf) == ("bee", 0.5)
    turned = torch.arange(8.0).reshape(1, 4, 2)
    found.obb = SimpleNamespace(xyxyxyxy=turned, **shared)
    ((polygon, *_),) = _outlines(found)
    assert polygon.tolist() == turned[0].tolist()
    picture, asked = np.arange(12, dtype=np.uint8).reshape(2, 2, 3), []
    found.plot = lambda boxes: asked.append(boxes) or picture
    for kind in ("masks", "keypoints", "semantic_mask", "probs", "depth"):
        drawn = _findings(SimpleNamespace(plot=found.plot, **{kind: 1}))
        assert drawn is not None and drawn[0, 0].tolist() == [2, 1, 0] and asked.pop() is False
