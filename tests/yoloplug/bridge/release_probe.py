"""Run in a child process against one Ultralytics release: builds models from our rows, prints JSON.

Not a test itself: test_releases.py calls it with PYTHONPATH set to that release.
"""

import copy
import inspect
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
import ultralytics
from ultralytics.nn import tasks

import yoloplug
from yoloplug import hosts

calls: list[list[object]] = []


@yoloplug.register("Probe", kind="conv", paper="none")
class Probe(torch.nn.Conv2d):
    """Records the arguments that a row gives."""

    def __init__(
        self, c1: int, c2: int, k: int = 3, s: int = 1, mode: str = "f", size: str | None = "3x3", n: int = 1
    ) -> None:
        super().__init__(c1, c2, k, s, k // 2)
        note("Probe", c1, c2, k, s, mode, size, n)


def note(*call: object) -> None:
    """Keep a construction; the trial on the meta device before it is not one."""
    if not torch.empty(0).is_meta:
        calls.append(list(call))


def record(name: str) -> None:
    """Note the exact constructor arguments of one host class."""
    cls = hosts.host(name)
    stock = cls.__init__

    def init(self: object, *args: object) -> None:
        note("host Probe" if name == "Probe" else name, *args)
        stock(self, *args)  # type: ignore[misc]

    cls.__init__ = init  # type: ignore[method-assign]


def model(rows: list[list[object]], scale: str, head: str = "Detect") -> dict[str, object]:
    """A small detector with the given backbone rows; the head reads the last of them."""
    scales = {"n": [0.33, 0.25, 1024], "x": [1.0, 1.25, 512]}
    return {
        "nc": 64, "scale": scale, "scales": scales, "yaml_file": "probe.yaml",
        "backbone": rows, "head": [[[len(rows) - 1], 1, head, ["nc"]]],
    }  # fmt: skip


def build(rows: list[list[object]], scale: str) -> tuple[torch.nn.Module, list[list[object]]]:
    """The model and the constructor calls that its first build made (a stride probe builds nothing)."""
    calls.clear()
    built = tasks.DetectionModel(model(rows, scale), ch=3, verbose=False)
    return built, list(calls)


def arguments(scale: str) -> tuple[list[list[object]], list[list[object]]]:
    """What the constructors of stock rows get from the stock parser, and ours for the same rows from our hook.

    The other answers of this probe rest on the hook: it ends here where the two differ.
    """
    families = ["C2f", "C3"] + ["C3k2"] * ("C3k2_Probe" in hosts.host_names())
    rows: list[list[object]] = [[-1, 1, "Conv", [96, 3, 2]], [-1, 1, "Conv", [128]], [-1, 3, "Conv", [128, 1, 1]]]
    for name in families[:2]:
        rows += [[-1, 1, name, [128]], [-1, 6, name, [1024, True]], [-1, 3, name, [256, False]]]
    rows += [[-1, 2, "C3k2", [256, False, 0.25]], [-1, 2, "C3k2", [512, True]]] * ("C3k2" in families)
    found: list[list[list[object]]] = []
    for plugged in (False, True):
        names = {"Conv": "Probe" if plugged else "Conv", **{f: f"{f}_Probe" if plugged else f for f in families}}
        parsed = [[f, n, names[str(name)], list(args)] for f, n, name, args in rows]  # type: ignore[call-overload]
        classes = {name: hosts.host(new) if plugged else vars(tasks)[name] for name, new in names.items()}
        seen: list[list[object]] = []
        undo = [watched(cls, name, seen) for name, cls in classes.items()]
        undo.append(watched(tasks.Detect, "Detect", []))  # what is inside of it is no row
        tasks.parse_model(copy.deepcopy(model(parsed, scale)), 3, verbose=False)
        for put_back in undo:
            put_back()
        found.append(seen)
    if found[0] != found[1]:
        raise SystemExit(f"the hook reads rows unlike the stock parser: {found}")
    return found[0], found[1]


_depth = [0]


def watched(cls: type, name: str, seen: list[list[object]]) -> Callable[[], None]:
    """Note what the rows' own constructors get, not those of layers inside; returns what undoes it."""
    stock = cls.__init__

    def init(self: object, *args: object, **named: object) -> None:
        if not _depth[0] and type(self) is cls and not torch.empty(0).is_meta:
            seen.append([name, *args])
        _depth[0] += 1
        try:
            stock(self, *args, **named)  # type: ignore[misc]
        finally:
            _depth[0] -= 1

    own = "__init__" in vars(cls)
    cls.__init__ = init  # type: ignore[misc]
    return lambda: setattr(cls, "__init__", stock) if own else delattr(cls, "__init__")


def stock_is_unchanged(name: str) -> bool:
    """Whether the extended parse_model and the source on disk build the same layers from a stock YAML."""
    namespace: dict[str, Callable[..., tuple[torch.nn.Module, list[int]]]] = {}
    exec(inspect.getsource(tasks.parse_model), tasks.__dict__, namespace)
    config = tasks.yaml_model_load(name)
    (ours, save), (stock, stock_save) = (
        parse(copy.deepcopy(config), 3, verbose=False) for parse in (tasks.parse_model, namespace["parse_model"])
    )
    return str(ours) == str(stock) and save == stock_save


def surface(folder: Path) -> dict[str, object]:
    """What `yoloplug.cost` and the experiments ask of the bridge, on this release."""
    from ultralytics.utils import LOGGER, SETTINGS

    from yoloplug.bridge import training
    from yoloplug.bridge.checkpoints.description import CheckpointError
    from yoloplug.bridge.checkpoints.safe_load import read_checkpoint
    from yoloplug.bridge.model import built, create, fused, load, plain_conv, task_of

    config = tasks.yaml_model_load("yolov8n.yaml")
    network = built(config | {"scale": "n"}, "detect", 2, {"box": 5.0})
    boxes = {"cls": torch.zeros(1, 1), "bboxes": torch.tensor([[0.5, 0.5, 0.2, 0.2]]), "batch_idx": torch.zeros(1)}
    loss = network({"img": torch.rand(1, 3, 64, 64), **boxes})[0].sum()
    part = torch.nn.Sequential(hosts.host("gnConv")(16, 16), plain_conv(16, 16, 3)).eval()
    x = torch.rand(1, 16, 8, 8)
    with training.quiet(), training.logging_to(("tensorboard",)):
        loggers = {name: SETTINGS[name] for name in ("tensorboard", "wandb", "clearml") if name in SETTINGS}
        quiet = LOGGER.level
    torch.save({"model": create("yolov8n-C2f_gnConv.yaml").model, "train_args": {}, "epoch": -1}, folder / "a.pt")
    try:
        loaded = type(load(folder / "a.pt").get_submodule("model.2")).__name__
    except CheckpointError as error:  # releases from before torch 2.6 do not say weights_only=False
        loaded = str(error)
    return {
        "loss": bool(loss.isfinite()) and loss.requires_grad,
        "args": network.args.box,
        "task": [task_of(config), task_of(tasks.yaml_model_load("yolov8n-seg.yaml"))],
        "fused": float((fused(part)(x) - part(x)).abs().max()),
        "norms": sum(isinstance(module, torch.nn.BatchNorm2d) for module in fused(part).modules()),
        "optimizers": training.optimizers(),
        "names": sorted({"epochs", "mosaic", "lr0"} & training.argument_names()),
        "faults": [training.argument_fault("mosaic", value) for value in (0.5, "much")],
        "loggers": loggers,
        "quiet": quiet,
        "checkpoint": type(read_checkpoint(folder / "a.pt")["model"]).__name__,
        "loaded": loaded,
    }


def loading(folder: Path) -> dict[str, object]:
    """A trained yolov8n in one with a row more, by Ultralytics' own `load`, and in itself."""
    yoloplug.swap("yolov8n.yaml", insert=[("SCConv", 4)], output=folder / "yolov8-in.yaml")
    os.chdir(folder)  # Ultralytics takes the scale's letter out of the whole path: tmp4c2md would become tmp4c2d
    source, same, changed = (
        tasks.DetectionModel(name, verbose=False) for name in ("yolov8n.yaml", "yolov8n.yaml", "yolov8n-in.yaml")
    )
    same.load(source, verbose=False)
    changed.load(source, verbose=False)
    pairs = [(name, name.split(".")) for name in source.state_dict()]
    moved = {name: ".".join(["model", str(int(part[1]) + (int(part[1]) > 4)), *part[2:]]) for name, part in pairs}
    theirs, into_same, into_changed = source.state_dict(), same.state_dict(), changed.state_dict()
    return {
        "same": all(torch.equal(value, into_same[name]) for name, value in theirs.items()),
        "changed": all(torch.equal(value, into_changed[moved[name]]) for name, value in theirs.items()),
        "patched": hasattr(tasks.BaseModel.load, "__wrapped__"),
    }


def main() -> dict[str, object]:
    out: dict[str, object] = {"version": ultralytics.__version__, "file": tasks.__file__}
    out["arguments"] = {scale: arguments(scale) for scale in "nx"}
    has_c3k2 = "C3k2_gnConv" in hosts.host_names()
    out["c3k2"] = has_c3k2
    out["has_legacy"] = "legacy" in tasks.parse_model.__code__.co_varnames
    for name in ["Probe", "gnConv", "C2f_gnConv", "C3_gnConv"] + ["C3k2_gnConv"] * has_c3k2:
        record(name)
    for scale in "nx":
        rows: list[list[object]] = [
            [-1, 1, "Conv", [64, 3, 2]],
            [-1, 1, "gnConv", [64, 3, 2, {"order": 2}]],
            [-1, 1, "gnConv", [128, {"order": 3}]],
            [-1, 6, "C2f_gnConv", [128, True, {"order": 2}]],
            [-1, 3, "C3_gnConv", [256]],
            [-1, 1, "Probe", [64, 3, 2, "act", "3x3"]],  # strings that the stock loop would replace or choke on
            [-1, 1, "Probe", [64, {"mode": "f", "size": "None", "n": 7}]],
        ]
        built, made = build(rows, scale)
        rebuilt = tasks.DetectionModel(built.yaml, ch=3, verbose=False)
        x = torch.rand(1, 3, 64, 96)
        rebuilt.load_state_dict(copy.deepcopy(built).eval().state_dict())
        same = torch.equal(built.eval()(x)[0], rebuilt.eval()(x)[0])
        out["stem_unscaled"] = built.model[0].conv.out_channels == 64
        norms = [m for m in built.modules() if isinstance(m, hosts.ScaleFreeNorm)]
        out["fresh"] = bool(norms) and all(float(m.settled) == 0 and not m.running_var.any() for m in norms)
        types = [layer.type.rsplit(".", 1)[-1] for layer in built.model]
        out[scale] = {
            "calls": made,
            "types": types,
            "repeats": len(built.model[3].m),
            "legacy": getattr(built.model[-1], "legacy", None),
            "same_after_rebuild": same,
        }
        if has_c3k2:
            built, made = build(
                [[-1, 1, "Conv", [64, 3, 2]], [-1, 2, "C3k2_gnConv", [256, False, 0.25, {"order": 2}]]], scale
            )
            out[f"c3k2_{scale}"] = {
                "calls": [call for call in made if call[0] == "C3k2_gnConv"],
                "c1": built.model[0].conv.out_channels,
                "inner": type(built.model[1].m[0]).__name__,
                "legacy": getattr(built.model[-1], "legacy", None),
            }
    try:
        tasks.DetectionModel(model([[-1, 1, "C2f_gnConvv", [64]]], "n"), ch=3, verbose=False)
    except KeyError as error:
        out["typo"] = error.args[0]
    out["stock_models_equal"] = {name: stock_is_unchanged(name) for name in ("yolov8n.yaml", "yolov5n.yaml")}
    out["restricted"] = hasattr(tasks, "_SafeLoad")
    if out["restricted"]:
        tasks._SafeLoad._local.active = True
        build([[-1, 1, "gnConv", [64, 3, 2, {"order": 2}]]], "n")
        tasks._SafeLoad._local.active = False
    with tempfile.TemporaryDirectory() as folder:
        out["surface"] = surface(Path(folder))
        out["loading"] = loading(Path(folder))
    return out


if __name__ == "__main__":
    result = main()
    sys.stdout.write("\nPROBE " + json.dumps(result) + "\n")
