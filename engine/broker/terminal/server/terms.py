"""The terms on which a sandbox trades: a file with the account, the rates and the symbols.

Owns the file (TOML: ``[account]``, ``[rates]``, ``[symbols.NAME]``) and its checks. What must hold:
every key is one of the specification's, every error names the line.

It refuses to know logs and options.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from data.errors import ConfigError, DataError
from data.toml_lines import key_lines
from engine.broker.terminal.server.specs import AccountSpec, SymbolSpec, changed


@dataclass(frozen=True, slots=True)
class Terms:
    """What a file says: values of the account, rates by currency, values of symbols by name."""

    account: dict[str, Any] = field(default_factory=dict)
    rates: tuple[tuple[str, float], ...] = ()
    symbols: dict[str, dict[str, Any]] = field(default_factory=dict)
    where: str = "the terms"

    def account_of(self, spec: AccountSpec) -> AccountSpec:
        """The account with what the file says of it."""
        made: AccountSpec = changed(spec, self.account, f"{self.where}, [account]")
        return replace(made, rates=self.rates) if self.rates else made

    def symbol_of(self, spec: SymbolSpec) -> SymbolSpec:
        """A symbol with what the file says of it."""
        where = f"{self.where}, [symbols.{spec.name}]"
        made: SymbolSpec = changed(spec, self.symbols.get(spec.name, {}), where)
        return made

    def names(self, known: list[str]) -> None:
        """ConfigError where the file speaks of a symbol that is not traded."""
        for name in self.symbols:
            if name not in known:
                raise ConfigError(
                    f"no symbol {name} is traded here",
                    where=self.where,
                    why=f"there are {', '.join(known)}",
                    do="write the name of the terminal's symbol",
                )


def read_terms(path: Path) -> Terms:
    """The terms of a file; DataError where it is not there, ConfigError where it is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError("cannot read the file of terms", where=str(path), why=str(error)) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError("the file of terms is no TOML", where=str(path), why=str(error)) from None
    lines = key_lines(text)
    tables = {k: v for k, v in content.items() if isinstance(v, dict)}
    for key in content:
        if key not in ("account", "rates", "symbols") or key not in tables:
            raise ConfigError(
                f"there is no table {key!r}",
                where=f"{path}:{lines.get((key,), 1)}",
                do="write [account], [rates] and [symbols.NAME]",
            )
    rates = tables.get("rates", {})
    for currency, rate in rates.items():
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or rate <= 0:
            raise ConfigError(
                f"the rate of {currency} cannot be {rate!r}",
                where=f"{path}:{lines.get(('rates', currency), 1)}",
                do="write the price of one unit in the account's currency",
            )
    pairs = tuple((currency, float(rate)) for currency, rate in rates.items())
    return Terms(tables.get("account", {}), pairs, tables.get("symbols", {}), str(path))
