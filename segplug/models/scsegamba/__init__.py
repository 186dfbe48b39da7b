"""SCSegamba (CVPR 2025): structure-aware selective scans for cracks, in plain torch."""

from segplug.models.scsegamba.model import SCSegamba

__all__ = ["SCSegamba"]
