"""Encoders beside smp's and timm's. Importing this package adds them to smp's dictionary, as smp's own modules do."""

from segmentation_models_pytorch.encoders import encoders

from segplug.encoders.hornet import HorNetEncoder, hornet_encoders
from segplug.encoders.weights import load_encoder_weights

__all__ = ["HorNetEncoder", "load_encoder_weights"]

encoders.update(hornet_encoders)
