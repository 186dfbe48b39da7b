"""Encoders beside smp's and timm's. Importing this package adds them to smp's dictionary, as smp's own modules do."""

from segmentation_models_pytorch.encoders import encoders

from segplug.models.encoders.hornet import HorNetEncoder, hornet_encoders
from segplug.models.encoders.weights import load_encoder_weights

__all__ = ["HorNetEncoder", "load_encoder_weights"]

encoders.update(hornet_encoders)
