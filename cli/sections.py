"""A section of the file of settings that is no command's options.

Owns what such a section must be able to do. A new one (accounts of a broker, say) is a module with
a :class:`Section` called ``section`` and a row in :data:`cli.keys.SECTIONS`; ``ofs config`` and the
check at every start then know it.

It refuses to know what any section holds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from data.errors import ConfigError

if TYPE_CHECKING:
    from cli.settings import Settings
    from data.settings_file import SettingsFile


class Row(NamedTuple):
    """One setting with its value and where it came from, as ``ofs config show`` prints it.

    ``origin`` is ``flag``, ``environment``, ``file`` or ``default``; ``where`` is the flag, the
    variable or ``file:line``, empty for a default.
    """

    key: str
    value: Any
    origin: str
    where: str


class Section(ABC):
    """One section; a subclass says what stands in it.

    ``doc`` is one sentence for the schema and for people.
    """

    name: str
    doc: str

    @abstractmethod
    def faults(self, file: SettingsFile) -> Iterator[ConfigError]:
        """What is wrong with the section of ``file``; run at every start, so it must be cheap."""

    def deep_faults(self, settings: Settings) -> Iterator[ConfigError]:
        """What only a dear look can find; run by ``ofs config check``."""
        yield from ()

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the section."""

    @abstractmethod
    def rows(self, settings: Settings) -> Iterator[Row]:
        """The settings of the section, as ``ofs config show`` lists them."""


def load(name: str) -> Section:
    """The section called ``name`` of :data:`cli.keys.SECTIONS`."""
    from importlib import import_module

    from cli.keys import SECTIONS

    section: Section = import_module(SECTIONS[name]).section
    return section
