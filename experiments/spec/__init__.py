"""The spec: one YAML file, read strictly."""
