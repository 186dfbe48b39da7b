"""Research convolution blocks for unmodified Ultralytics. Importing this package activates the plug-in, lazily.

    import yoloplug

    yoloplug.create("yolov8n-C2f_gnConv.yaml").train(data="coco8.yaml", epochs=3)  # an ultralytics.YOLO
    y = yoloplug.gnConv(64)(torch.rand(1, 64, 20, 20))  # any block of the catalogue, in any network
    print(yoloplug.check("yolov8n-C2f_gnConv.yaml"))  # every row explained
    yoloplug.swap("yolov8n.yaml", {"C2f": "C2f_SCConv"}, match="params", output="yolov8-mine.yaml")
    print(yoloplug.transfer("yolov8n.pt", "yolov8-mine.yaml", "init.pt", preserve=True))
    print(yoloplug.profile("yolov8n.yaml", "yolov8n-C2f_gnConv.yaml"))
    yoloplug.Inspection("best.pt", "photo.jpg").draw("look/", blocks=[4])

The command `yoloplug` does the same. Importing this package imports neither torch nor Ultralytics.
"""

from yoloplug import boot
from yoloplug.version import __version__

TYPE_CHECKING = False  # as typing's, without importing typing at start-up
if TYPE_CHECKING:
    from yoloplug.blocks import *  # noqa: F403
    from yoloplug.bridge.look.inspection import Inspection
    from yoloplug.bridge.model import create
    from yoloplug.bridge.transfer import transfer
    from yoloplug.cost.profiles import profile
    from yoloplug.errors import YoloplugError
    from yoloplug.modelfile.report import check
    from yoloplug.modelfile.swapped import swap
    from yoloplug.registry import BLOCKS, register

__all__ = [
    "BLOCKS",
    "Inspection",
    "YoloplugError",
    "__version__",
    "check",
    "create",
    "profile",
    "register",
    "swap",
    "transfer",
]

_HOMES = {
    "BLOCKS": "yoloplug.registry",
    "Inspection": "yoloplug.bridge.look.inspection",
    "YoloplugError": "yoloplug.errors",
    "check": "yoloplug.modelfile.report",
    "create": "yoloplug.bridge.model",
    "profile": "yoloplug.cost.profiles",
    "register": "yoloplug.registry",
    "swap": "yoloplug.modelfile.swapped",
    "transfer": "yoloplug.bridge.transfer",
}

boot.install("yoloplug.bridge")


def __getattr__(name: str) -> object:
    """Public names and the catalogue's blocks on first use, so that start-up imports nothing but sys and os."""
    from importlib import import_module
    from importlib.util import find_spec

    if name.startswith("_") or (name not in _HOMES and find_spec(f"yoloplug.{name}")):  # a module, not yet imported
        raise AttributeError(f"module 'yoloplug' has no attribute {name!r}")
    import yoloplug.blocks  # noqa: F401  (fills the registry)
    from yoloplug.registry import BLOCKS

    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in BLOCKS:
        return BLOCKS[name].cls
    from yoloplug.names import did_you_mean

    raise AttributeError(f"module 'yoloplug' has no attribute {name!r}{did_you_mean(name, [*_HOMES, *BLOCKS])}")


def __dir__() -> list[str]:
    """The names above, and the blocks."""
    import yoloplug.blocks  # noqa: F401
    from yoloplug.registry import BLOCKS

    return [*__all__, *BLOCKS]
