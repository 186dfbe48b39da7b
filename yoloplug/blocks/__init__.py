"""The papers' operations in pure torch. Knows nothing of Ultralytics. Importing this package fills the registry."""
