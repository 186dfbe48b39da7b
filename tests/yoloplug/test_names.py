"""The end of every message about an unknown name."""

import pytest

from yoloplug.names import choices, did_you_mean, nearest


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("c2f_gnconv", "; did you mean C2f_gnConv?"),
        ("C3k", "; did you mean C3?"),
        ("zzz", ""),
        (3, "; did you mean C3?"),
    ],
)
def test_case_does_not_matter(name: object, answer: str) -> None:
    known = ["C2f", "C3", "C2f_gnConv"] if name != 3 else ["C3"]
    assert did_you_mean(name, known) == answer


def test_names_that_differ_in_case_only_are_all_known() -> None:
    assert nearest("SCCONV", ["SCConv", "ScConv", "Conv"], most=2) == ["SCConv", "ScConv"]


def test_valid_names_are_listed() -> None:
    assert choices("iu", ["miou", "iou"]) == "; did you mean iou or miou? (valid: iou, miou)"
    many = choices("name_7", [f"name_{i}" for i in range(100)])
    assert "name_7," in many and many.endswith(", … (100 in all))") and many.count(",") < 20
