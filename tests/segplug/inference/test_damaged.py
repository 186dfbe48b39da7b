"""Whatever becomes of a model file, there is one message or the right result: never a traceback, never other cracks."""

import copy
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from segplug.errors import SegplugError
from segplug.inference.checkpoint import load_model, read_checkpoint
from segplug.inference.export import export_model
from segplug.inference.predictor import load
from segplug.training.config import TrainConfig
from segplug.training.run import train

RECORDED = Path(__file__).parents[1] / "recorded" / "format1"
WRONG = (None, -1, 1e308, "x", "", [], {}, [None], {"a": 1}, torch.zeros(2), True)
FLIPS = 60
Note = Callable[[str, object], None]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("exported")
    return {
        "onnx": export_model(RECORDED / "best.ckpt", "onnx", folder / "m.onnx").path,
        "torchscript": export_model(RECORDED / "best.ckpt", "torchscript", folder / "m.torchscript").path,
        "ckpt": RECORDED / "best.ckpt",
    }


@pytest.mark.parametrize("kind", ["ckpt", "onnx", "torchscript"])
def test_a_flipped_byte_is_found_or_changes_nothing(kind: str, exported: dict[str, Path], tmp_path: Path) -> None:
    expected, found = np.load(RECORDED / "expected.npz"), 0
    whole = exported[kind].read_bytes()
    right = load(exported[kind], "cpu")(expected["photo"])
    for place in np.random.default_rng(0).integers(0, len(whole), FLIPS):
        path = tmp_path / f"flipped{exported[kind].suffix}"
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            predictor = load(path, "cpu")
        except SegplugError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            found += 1
        else:
            np.testing.assert_array_equal(predictor(expected["photo"]), right)
    assert found > FLIPS / 3


def test_code_in_a_checkpoint_does_not_run_and_is_named(tmp_path: Path) -> None:
    """torch's own message advises to load it all the same."""

    class Runs:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "trap"),)

    torch.save({"segplug": {"format": 1}, "state_dict": Runs()}, tmp_path / "evil.ckpt")
    with pytest.raises(SegplugError) as raised:
        read_checkpoint(tmp_path / "evil.ckpt")
    assert str(raised.value) == (
        f"{tmp_path}/evil.ckpt: not a readable checkpoint (it names posix.mkdir, which may run any code); "
        "train again or use another"
    )
    assert not (tmp_path / "trap").exists()


def test_changed_weights_differ_from_their_checksum(tiny: Callable[..., TrainConfig], tmp_path: Path) -> None:
    contents = torch.load(train(tiny(epochs=1)) / "last.ckpt", weights_only=True)
    next(iter(contents["state_dict"].values())).add_(1e-3)
    torch.save(contents, tmp_path / "m.ckpt")
    with pytest.raises(SegplugError, match=r"m\.ckpt: damaged: the weights differ from their checksum"):
        load(tmp_path / "m.ckpt", "cpu")


def test_no_flipped_byte_of_the_archives_directory_goes_unseen(tmp_path: Path) -> None:
    """There a part can be marked as a folder, whose contents torch then takes from whatever lies in memory."""
    whole, path = (RECORDED / "best.ckpt").read_bytes(), tmp_path / "m.ckpt"
    photo = np.load(RECORDED / "expected.npz")["photo"]
    right, start = load(RECORDED / "best.ckpt", "cpu")(photo), whole.index(b"PK\x01\x02")
    for place in range(start, start + 3 * 46, 2):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            predictor = load(path, "cpu")
        except SegplugError:
            continue
        np.testing.assert_array_equal(predictor(photo), right)


@pytest.mark.parametrize("kind", ["ckpt", "onnx", "torchscript"])
def test_a_file_cut_short_is_refused(kind: str, exported: dict[str, Path], tmp_path: Path) -> None:
    whole = exported[kind].read_bytes()
    for share in (0, 0.1, 0.5, 0.99):
        path = tmp_path / f"short{exported[kind].suffix}"
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(SegplugError, match=path.name):
            load(path, "cpu")


def places(contents: Any, depth: int, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key in contents if isinstance(contents, dict) and depth else ():
        yield (*before, key)
        yield from places(contents[key], depth - 1, (*before, key))


def damages(path: Path, depth: int, only: str = "") -> Iterator[tuple[str, Any]]:
    """What was done and the contents: each place of the file's dictionaries removed, and given wrong values."""
    whole = torch.load(path, weights_only=True)
    for k, place in enumerate(places(whole, depth)):
        if not ".".join(map(str, place)).startswith(only) or (place[0] == "state_dict" and len(place) > 1 and k % 40):
            continue
        for value in (KeyError, *WRONG):
            contents = copy.deepcopy(whole)
            inside = contents
            for key in place[:-1]:
                inside = inside[key]
            if value is KeyError:
                del inside[place[-1]]
            else:
                inside[place[-1]] = value
            yield f"{place} = {value}", contents


def sweep(read: Callable[[Path], Any], cases: Iterator[tuple[str, Any]], path: Path, note: Note) -> None:
    """`note` (pytest's record_property) counts how the cases end, for `--junitxml`."""
    wrong, endings = [], Counter[str]()
    for what, contents in cases:
        torch.save(contents, path)
        ending = "accepted"
        try:
            read(path)
        except SegplugError as error:
            said = str(error)
            named = str(path) in said or f"{path.parent} was started with other settings" in said
            ending = "clear" if named and "\n" not in said else "unclear"
        except Exception as error:
            ending, said = "traceback", repr(error)
        endings[ending] += 1
        if ending in ("unclear", "traceback"):
            wrong.append(f"{what}: {said}")
    note("endings", dict(endings))
    assert not wrong, "\n".join(wrong)
    assert endings.total() > 10 and endings["clear"]


@pytest.mark.parametrize("part", ["segplug.model", "segplug.row", "segplug.preprocessing", "state_dict"])
def test_wrong_contents_are_refused_or_load(part: str, tmp_path: Path, record_property: Note) -> None:
    whole = torch.load(RECORDED / "best.ckpt", weights_only=True)
    whole["segplug"]["preprocessing"] = {"mean": [0.5] * 3, "std": [0.5] * 3}
    torch.save(whole, tmp_path / "whole.ckpt")
    sweep(load_model, damages(tmp_path / "whole.ckpt", 3, part), tmp_path / "m.ckpt", record_property)


@pytest.mark.slow
def test_wrong_contents_anywhere_are_refused_or_load(tmp_path: Path, record_property: Note) -> None:
    sweep(load_model, damages(RECORDED / "best.ckpt", 4), tmp_path / "m.ckpt", record_property)


@pytest.mark.parametrize("contents", [None, 5, [], {}, {"segplug": 1}, {"segplug": {"format": 1}}, torch.zeros(3)])
def test_other_archives_are_refused(contents: Any, tmp_path: Path) -> None:
    torch.save(contents, tmp_path / "m.ckpt")
    for read in (load, load_model, lambda path: read_checkpoint(path, to_resume=True)):
        with pytest.raises(SegplugError, match=r"m\.ckpt"):
            read(tmp_path / "m.ckpt")


def resume(path: Path, cracks: Path) -> None:
    saved = torch.load(RECORDED / "last.ckpt", weights_only=True)["segplug"]["train"]
    train(replace(TrainConfig(**saved), data=str(cracks), out=str(path.parent), resume=True))


@pytest.mark.parametrize("key", ["optimizer_states", "lr_schedulers", "loops", "callbacks", "epoch"])
def test_a_damaged_state_of_training_is_refused(key: str, cracks: Path, tmp_path: Path) -> None:
    shutil.copytree(RECORDED, tmp_path / "run")
    whole = torch.load(RECORDED / "last.ckpt", weights_only=True)
    for value in (None, "x"):
        torch.save({**whole, key: value}, tmp_path / "run" / "last.ckpt")
        with pytest.raises(SegplugError, match=r"last\.ckpt"):
            resume(tmp_path / "run" / "last.ckpt", cracks)


@pytest.mark.parametrize(("key", "value"), [("epochs", "x"), ("ema", torch.zeros(2)), ("crack_values", 1e308)])
def test_a_damaged_setting_of_training_is_refused(key: str, value: object, cracks: Path, tmp_path: Path) -> None:
    shutil.copytree(RECORDED, tmp_path / "run")
    whole = torch.load(RECORDED / "last.ckpt", weights_only=True)
    whole["segplug"]["train"][key] = value
    torch.save(whole, tmp_path / "run" / "last.ckpt")
    with pytest.raises(SegplugError, match=rf"last\.ckpt: damaged: a run cannot have the setting {key} must be"):
        resume(tmp_path / "run" / "last.ckpt", cracks)


@pytest.mark.slow
def test_a_state_of_training_damaged_anywhere_is_refused_or_resumes(
    cracks: Path, tmp_path: Path, record_property: Note
) -> None:
    shutil.copytree(RECORDED, tmp_path / "run")
    cases = [c for k, c in enumerate(damages(RECORDED / "last.ckpt", 3)) if "state_dict" not in c[0] and k % 7 == 0]
    sweep(lambda path: resume(path, cracks), iter(cases), tmp_path / "run" / "last.ckpt", record_property)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("threshold", "{", "its metadata is damaged"),
        ("threshold", '"x"', "threshold is str 'x'"),
        ("threshold", "7", "its metadata is damaged .threshold 7"),
        ("size_multiple_px", "0", "its metadata is damaged"),
        ("size_multiple_px", "[]", "size_multiple_px is list"),
    ],
)
def test_damaged_metadata_of_onnx_is_refused(
    key: str, value: str, message: str, exported: dict[str, Path], tmp_path: Path
) -> None:
    model = onnx.load(exported["onnx"])
    kept = [p for p in model.metadata_props if not p.key.endswith((f".{key}", ".sha256"))]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    model.metadata_props.add(key=f"segplug.{key}", value=value)
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(SegplugError, match=rf"m\.onnx: .*{message}"):
        load(tmp_path / "m.onnx", "cpu")


def test_a_changed_onnx_file_is_told_from_an_unsealed_one(exported: dict[str, Path], tmp_path: Path) -> None:
    model = onnx.load(exported["onnx"])
    sealed = {p.key: json.loads(p.value) for p in model.metadata_props}["segplug.sha256"]
    assert len(sealed) == 64 and set(sealed) != {"0"}
    model.producer_name = "another"
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(SegplugError, match=r"m\.onnx: damaged: it differs from its checksum"):
        load(tmp_path / "m.onnx", "cpu")
