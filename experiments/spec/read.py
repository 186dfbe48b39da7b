"""A spec's file, parsed once: the comparison that it asks for, and where in it each key stands."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from experiments.errors import SpecError
from experiments.spec.spec import Spec
from segplug.errors import SegplugError
from segplug.settings import Key, SettingError, build
from segplug.yaml_file import Document, read_document
from yoloplug.errors import YoloplugError


@dataclass(frozen=True)
class SpecFile:
    spec: Spec
    document: Document

    @contextmanager
    def at(self, *key: str | int) -> Iterator[None]:
        """Give an error of the block the spec's file, key and line: for faults that only models and data show."""
        with _at(self.document, key):
            yield


def read_spec(path: Path) -> SpecFile:
    """Read and check the text alone; `experiments.run.plan` looks at models and data. Raises SpecError."""
    try:
        document = read_document(path)
    except SettingError as error:
        raise SpecError(error.problem, error.key, error.path, error.line) from error
    except SegplugError as error:
        raise SpecError(f"the spec cannot be read: {error}") from error
    with _at(document, ()):
        return SpecFile(build(Spec, document.value), document)


@contextmanager
def _at(document: Document, key: Key) -> Iterator[None]:
    try:
        yield
    except SettingError as error:
        if error.path is not None:
            raise
        key = (*key, *error.key)
        raise SpecError(error.problem, key, document.path, document.line(key)) from error
    except (SegplugError, YoloplugError) as error:
        raise SpecError(str(error), key, document.path, document.line(key)) from error
