"""Research convolution blocks for unmodified Ultralytics. Importing this package activates the plug-in, lazily."""

from yoloplug import boot

TYPE_CHECKING = False  # as typing's, without importing typing at start-up
if TYPE_CHECKING:
    from yoloplug.registry import BLOCKS, register

__version__ = "0.1.0"
__all__ = ["BLOCKS", "register"]

boot.install()


def __getattr__(name: str) -> object:
    """Public names on first use, so that start-up imports nothing but sys and os."""
    if name in __all__:
        import yoloplug.blocks  # noqa: F401  (fills the registry)
        from yoloplug import registry

        return getattr(registry, name)
    raise AttributeError(f"module 'yoloplug' has no attribute {name!r}")
