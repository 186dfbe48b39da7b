"""Networks by name: GBCNet, SCSegamba, smp's architectures, encoders and decoders."""
