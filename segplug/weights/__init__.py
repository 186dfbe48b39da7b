"""Networks that come with the package, ready to predict: their names, licences and model cards.

Each is three files here: NAME.ckpt, a checkpoint in half precision (`segplug export --format half`), NAME.LICENSE and
the model card NAME.md.
"""

from dataclasses import dataclass
from pathlib import Path

from segplug.errors import unknown_name

__all__ = ["DEFAULT", "MODEL_SUFFIXES", "SHIPPED", "ShippedModel", "licence_note", "model_file"]

FOLDER = Path(__file__).parent
MODEL_SUFFIXES = {".ckpt", ".onnx", ".pt2", ".torchscript"}


@dataclass(frozen=True)
class ShippedModel:
    """about and licence: one line each."""

    name: str
    about: str
    licence: str

    @property
    def file(self) -> Path:
        return FOLDER / f"{self.name}.ckpt"

    @property
    def licence_file(self) -> Path:
        return FOLDER / f"{self.name}.LICENSE"

    @property
    def card(self) -> Path:
        return FOLDER / f"{self.name}.md"


SHIPPED: dict[str, ShippedModel] = {
    model.name: model
    for model in (
        ShippedModel(
            "cracks-drawn",
            "GBCNet on EfficientNet-Lite0, trained on drawn cracks alone",
            "Apache-2.0, as the encoder's weights that it began from; no photograph limits its use",
        ),
    )
}
DEFAULT = "cracks-drawn"


def model_file(given: Path | str) -> Path:
    """The file of a shipped model's name; any other path as it is.

    Raises SegplugError on a bare word that is neither a file nor a name in SHIPPED.
    """
    path, name = Path(given), str(given)
    if name in SHIPPED:
        return SHIPPED[name].file
    if not path.exists() and path.suffix not in MODEL_SUFFIXES and path.name == name:
        raise unknown_name("model", name, SHIPPED)
    return path


def licence_note(given: Path | str) -> str | None:
    """One line for the user of a shipped model, None for any other."""
    model = SHIPPED.get(str(given))
    return (
        None if model is None else f"model {model.name}: {model.about}. Licence: {model.licence} ({model.licence_file})"
    )
