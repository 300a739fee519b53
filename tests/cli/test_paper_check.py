"""A session's configuration as ``--check`` shows it, and the recipes of the README around it."""

from __future__ import annotations

import configparser
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from cli.paper_check import around, check, fitted
from data.errors import EXIT_CONFIG, EXIT_OK, ConfigError
from engine.runtime.paper_config import parse_paper
from tests.cli.run import ROOT
from tests.cli.world import PLANS

LEAST = 'venue = "binance-um"\nsymbols = ["BTCUSDT"]\nstrategy = "delta_flip"\n'


@dataclass
class Heard:
    """An App that keeps what a command prints."""

    json: bool = False
    lines: list[str] = field(default_factory=list)
    value: dict[str, Any] = field(default_factory=dict)

    def print(self, text: str = "") -> None:
        self.lines.append(text)

    def emit(self, value: dict[str, Any]) -> None:
        self.value = value


def checked(folder: Path, text: str, *, json: bool = False) -> tuple[int, Heard]:
    file = folder / "paper.toml"
    file.write_text(text, encoding="utf-8")
    heard = Heard(json)
    return check(heard, file), heard  # type: ignore[arg-type]


def test_what_is_printed_is_the_configuration_again(tmp_path: Path) -> None:
    code, heard = checked(tmp_path, LEAST + "[settings]\nentry_z = 2.5\n")
    assert code == EXIT_OK
    text = "\n".join(heard.lines)
    assert "# plans is not given" in text and 'checkpoint = "1h"' in text
    again, heard = checked(tmp_path, text)
    assert again == EXIT_OK and "\n".join(heard.lines) == text


@pytest.mark.parametrize("venue", ["binance-um", "binance-spot", "bybit"])
def test_the_default_streams_are_some_that_the_venue_has(tmp_path: Path, venue: str) -> None:
    code, heard = checked(tmp_path, LEAST.replace("binance-um", venue))
    assert code == EXIT_OK, heard.lines
    shown = next(line for line in heard.lines if line.startswith("streams"))
    assert ("mark" in shown) == (venue != "binance-spot")


def test_json_has_every_key_and_every_setting(tmp_path: Path) -> None:
    code, heard = checked(tmp_path, LEAST, json=True)
    said = heard.value
    assert code == EXIT_OK and said["ok"] and not said["mistakes"]
    assert said["keys"]["gates.uptime_min"] == "0.99" and said["keys"]["http.port"] == "8710"
    assert said["settings"]["entry_z"] and len(said["identity"]) == 64


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (LEAST + "[settings]\nentry_zz = 1\n", 5, "did you mean 'entry_z'"),
        (LEAST + '[settings]\nentry_z = "high"\n', 5, "'high' is not a value for entry_z"),
        (LEAST + 'plans = "plans.toml"\n', 0, "takes no plans"),
        (LEAST.replace("delta_flip", "delta_flop"), 0, "did you mean 'delta_flip'?"),
        (LEAST + 'model = "none.toml"\n', 0, "none.toml"),
        (LEAST.replace("-um", "-spot") + 'streams = ["trade", "mark"]\n', 0, "no stream of mark"),
    ],
)
def test_what_a_session_would_refuse_is_refused(
    tmp_path: Path, text: str, line: int, what: str
) -> None:
    (tmp_path / "plans.toml").write_text(PLANS, encoding="utf-8")
    code, heard = checked(tmp_path, text)
    said = "\n".join(heard.lines)
    assert code == EXIT_CONFIG
    assert what in said and (not line or f"paper.toml:{line}" in said), said
    assert checked(tmp_path, text, json=True)[1].value["mistakes"]


def test_every_mistake_is_printed(tmp_path: Path) -> None:
    code, heard = checked(tmp_path, LEAST + "a = 1\nb = 2\n")
    assert code == EXIT_CONFIG and len(heard.lines) == 2


def test_plans_are_compiled_for_each_symbol(tmp_path: Path) -> None:
    (tmp_path / "plans.toml").write_text(PLANS, encoding="utf-8")
    text = LEAST.replace("delta_flip", "plan_watch") + 'plans = "plans.toml"\n'
    assert checked(tmp_path, text)[0] == EXIT_OK


# --- the README ----------------------------------------------------------------------------------


def block(language: str, beginning: str) -> str:
    """The only block of the README in ``language`` that begins so."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.findall(rf"```{language}\n({re.escape(beginning)}.*?)```", text, re.DOTALL)
    assert len(found) == 1
    return str(found[0])


def test_the_example_of_the_readme_can_run(tmp_path: Path) -> None:
    text = block("toml", "# paper.toml")
    assert checked(tmp_path, text)[0] == EXIT_OK
    config = parse_paper(text, "paper.toml", tmp_path).sound()
    _, settled, model = fitted(config)
    assert settled["entry_z"] == "2.5" and model is None
    broken = text.replace("entry_z", "entry_zz")
    with pytest.raises(ConfigError, match="no setting"):
        fitted(parse_paper(broken, "paper.toml", tmp_path).sound())


def test_what_would_fail_later_is_told_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OFS_HTTP_TOKEN", raising=False)
    beside = '[http]\nhost = "0.0.0.0"\n[reference]\nlog = "gone"\n'
    code, heard = checked(tmp_path, LEAST + beside)
    said = "\n".join(heard.lines)
    assert code == EXIT_CONFIG and "OFS_HTTP_TOKEN" in said
    assert "paper.toml: log in [reference]" in said and str(tmp_path / "gone") in said
    config = parse_paper(LEAST + beside, "paper.toml", tmp_path).sound()
    assert [m.what for m in around(config, http=False)] == [around(config)[1].what]
    monkeypatch.setenv("OFS_HTTP_TOKEN", "a1" * 8)
    assert checked(tmp_path, LEAST + '[http]\nhost = "0.0.0.0"\n')[0] == EXIT_OK


def test_a_wrong_strategy_and_missing_plans_are_called_by_their_names(tmp_path: Path) -> None:
    code, heard = checked(tmp_path, LEAST.replace("delta_flip", "delta_flp"))
    said = "\n".join(heard.lines)
    assert code == EXIT_CONFIG and "paper.toml: strategy" in said and "'delta_flip'" in said
    code, heard = checked(tmp_path, 'plans = "gone.toml"\n' + LEAST)
    assert code == EXIT_CONFIG and "cannot read a file of plans" in heard.lines[0]


def test_the_unit_and_the_service_are_well_formed() -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=True)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(block("ini", "[Unit]"))
    assert set(unit) == {"DEFAULT", "Unit", "Service", "Install"}
    start = unit["Service"]["ExecStart"]
    service = ElementTree.fromstring(block("xml", "<service>"))
    assert start.endswith(str(service.findtext("arguments")))
    assert unit["Service"]["ReadWritePaths"] == unit["Service"]["WorkingDirectory"]
