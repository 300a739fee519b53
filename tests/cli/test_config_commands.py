"""``ofs config`` and the file of settings that the README shows."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.cli.conftest import Ofs
from tests.cli.run import ROOT, ofs

README = (ROOT / "README.md").read_text(encoding="utf-8")


def example() -> str:
    """The ofs.toml of the README."""
    found = re.search(r"\n## Settings\n.*?```toml\n(.*?)```", README, re.DOTALL)
    assert found
    return found[1]


def rows(run: Ofs, *words: str) -> dict[str, dict[str, Any]]:
    done = run("config", "show", "--json", *words)
    assert (done.code, done.err) == (0, "")
    return {row["key"]: row for row in done.json()}


def test_the_file_of_the_readme_counts(run: Ofs, tmp_path: Path) -> None:
    (tmp_path / "ofs.toml").write_text(example(), encoding="utf-8")
    assert run("config", "check").out == "ok: ofs.toml\n"
    shown = rows(run)
    flat = leaves(tomllib.loads(example()))
    assert len(flat) >= 8
    for key, value in flat.items():
        row = shown[key]
        assert row["origin"] == "file" and row["where"].startswith("ofs.toml:"), row
        line = example().splitlines()[int(row["where"].partition(":")[2]) - 1]
        assert line.split(" = ")[0] in key
        assert str(row["value"]) == str(value)
    assert shown["import.symbol"] == {
        "key": "import.symbol", "value": None, "origin": "default", "where": "",
    }  # fmt: skip
    assert shown["set.sim.taker_fee"]["origin"] == "default"


def leaves(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for key, value in table.items():
        below = isinstance(value, dict)
        out.update(leaves(value, f"{prefix}{key}.") if below else {prefix + key: value})
    return out


def test_show_says_where_from(run: Ofs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ofs.toml").write_text(
        "[import]\nlevels = 10\n[set]\nsim.spread = 0.10\n", encoding="utf-8"
    )
    monkeypatch.setenv("OFS_IMPORT_CADENCE", "1s")
    monkeypatch.setenv("NO_COLOR", "1")
    out = run("--log", "x", "config", "show", "--origin").out
    lines = [tuple(line.split()) for line in out.splitlines()]
    assert lines[0] == ("origin", "key", "value")
    assert {
        ("--log", "log", "x"), ("NO_COLOR", "color", "false"),
        ("ofs.toml:2", "import.levels", "10"), ("OFS_IMPORT_CADENCE", "import.cadence", "1s"),
        ("ofs.toml:4", "set.sim.spread", "0.10"), ("default", "import.venue"),
        ("default", "backtest.strategy", "delta_flip"), ("default", "set.flip.mode", "seed"),
    } <= set(lines)  # fmt: skip
    plain = run("config", "show", "import").out.splitlines()
    words = [" ".join(line.split()) for line in plain]
    assert plain[0].split() == ["key", "value"] and "import.levels 10" in words
    assert all(line.startswith("import.") for line in plain[1:])
    assert next(iter(rows(run, "set.sim"))).startswith("set.sim.")
    wrong = run("config", "show", "imprt")
    assert wrong.code == 2 and "there is no setting or section 'imprt'" in wrong.err


def test_check_lists_every_mistake(run: Ofs, tmp_path: Path, monkeypatch: Any) -> None:
    text = "lg = 'x'\n[import]\nlevels = 'a'\n[log.gaps]\nhol = 1\n"
    (tmp_path / "ofs.toml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("OFS_IMPORT_LEVELS", "b")
    monkeypatch.setenv("OFS_LOG_GAPS_HOL", "1")
    done = run("config", "check", "--json")
    facts = done.json()
    assert done.code == 3 and not facts["ok"] and facts["files"] == ["ofs.toml"]
    places = [mistake["where"] for mistake in facts["mistakes"]]
    assert places == ["ofs.toml:1", "ofs.toml:3", "ofs.toml:5", "OFS_IMPORT_LEVELS"]
    assert facts["warnings"] == [
        "OFS_LOG_GAPS_HOL in the environment means nothing to ofs; did you mean OFS_LOG_GAPS_HOLE?"
    ]
    text = run("config", "check").out
    assert text.count("error: ") == 4 and text.count("warning: ") == 1


@pytest.mark.parametrize(
    ("text", "where", "said"),
    [
        ("[set]\nentry_zz = 1\n", "no.toml:2", "did you mean 'entry_z'?"),
        ("[set]\nentry_z = 0.01\n", "no.toml:2", "at least 0.1"),
        ("[set.sim]\n\nspread = -1\n", "no.toml:3", "out of range"),
        ("[set]\nsim.order_latency = 50\n", "no.toml:2", "50ms"),
        ("[backtest]\nstrategy = 'x'\n[set]\nnotional = 1\n", "no.toml:2", "delta_flip"),
        ("[set.decision]\nstep = '7s'\nslow = '20s'\n", "no.toml:2, no.toml:3", "multiple"),
        ("x = \n", "no.toml:1", "mend the line"),
    ],
)
def test_check_looks_into_parameters(
    text: str, where: str, said: str, run: Ofs, tmp_path: Path
) -> None:
    (tmp_path / "no.toml").write_text(text, encoding="utf-8")
    done = run("config", "check", "no.toml")
    assert done.code == 3 and f"where: {where}\n" in done.out and said in done.out


def test_the_schema_agrees_with_the_check(run: Ofs, tmp_path: Path) -> None:
    schema = run("config", "schema").json()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    right = (
        example(), 'log = "x"', '[log]\ndir = "x"\n[log.gaps]\nhole = 5', "[runs]\nlimit = 3",
        '[import]\ncadence = "1s"', '[log.ls]\nkinds = ["trade"]', "[synth]\nstrength = [1, 2]",
        '[synth]\npattern = "all"', "[import]\ncadence = 0", "[set]\nentry_z = 2",
        '[set]\nbook.stale = "1s"', '[set]\nbook = "prefer"', '[set.flip]\nmode = "cusum"',
    )  # fmt: skip
    wrong = (
        "lgo = 1", "log = 1", "[runs]\nlimit = 0", '[runs]\nlimit = "3"', "[import]\ncadence = 5",
        "[import]\nlevls = 5", "[synth]\nstrength = [1]", "[log.gap]\nhole = 5", "json = 1",
        '[set.flip]\nmode = "cusm"', "[set.sim]\nspred = 1", "[backtest]\nset = 1",
    )  # fmt: skip
    for texts, good in ((right, True), (wrong, False)):
        for text in texts:
            (tmp_path / "x.toml").write_text(text, encoding="utf-8")
            values = json.loads(json.dumps(tomllib.loads(text)))
            assert validator.is_valid(values) is good, text
            assert (run("config", "check", "x.toml").code == 0) is good, text


def test_every_mistake_is_told_by_real_processes(tmp_path: Path) -> None:
    (tmp_path / "ofs.toml").write_text("[bakctest]\nx = 1\n", encoding="utf-8")
    done = ofs("config", "check", home=tmp_path)
    assert (done.code, done.err) == (3, "")
    assert "where: ofs.toml:1" in done.out and "did you mean 'backtest'?" in done.out
    assert ofs("config", "show", home=tmp_path).code == 3
    (tmp_path / "ofs.toml").unlink()
    none = ofs("config", "check", home=tmp_path)
    assert none.code == 0 and "there is no file of settings; looked for ofs.toml and " in none.out


def test_parameters_of_other_strategies_are_passed_over(run: Ofs, tmp_path: Path) -> None:
    """A file that serves two strategies does not stop either; a misspelt key stops both."""
    (tmp_path / "mine.py").write_text(
        (ROOT / "strategies" / "delta_flip.py").read_text(encoding="utf-8").replace(
            '"entry_z"', '"my_z"'
        ),
        encoding="utf-8",
    )  # fmt: skip
    from cli.section_set import fitting
    from strategies import get

    said: list[str] = []

    class App:
        say = staticmethod(said.append)

    mine = get(str(tmp_path / "mine.py"))
    given = {"entry_z": "2", "my_z": "3", "sim.spread": "1", "entry_zz": "1"}
    kept = fitting(App, mine, given)  # type: ignore[arg-type]
    assert kept == {"my_z": "3", "sim.spread": "1", "entry_zz": "1"}
    assert len(said) == 1 and "entry_z" in said[0] and "passed over" in said[0]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[set]\n\nsim.spread = -1\n", "set.sim.spread (ofs.toml:3)"),
        ("[set]\nentry_z = 'a'\n", "set.entry_z (ofs.toml:2)"),
        ("[set]\nentry_zz = 1\n", "set.entry_zz (ofs.toml:2)"),
        ("[set.decision]\nslow = '7s'\n", "set.decision.slow (ofs.toml:2)"),
    ],
)
def test_a_backtest_names_the_line_of_a_parameter(
    text: str, where: str, run: Ofs, tmp_path: Path
) -> None:
    (tmp_path / "ofs.toml").write_text(text, encoding="utf-8")
    done = run("backtest")
    assert done.code == 3 and f"  where: {where}\n" in done.err
    flag = run("backtest", "--config", "ofs.toml", "--set", "sim.spread=-2")
    assert "where: --set sim.spread" in flag.err or where in flag.err


def test_an_error_about_the_log_says_who_named_it(
    run: Ofs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ofs.toml").write_text('\nlog = "none"\nruns = "nor"\n', encoding="utf-8")
    assert "where: none (log in ofs.toml:2)\n" in run("log", "ls").err
    assert "where: nor (runs in ofs.toml:3)\n" in run("verify", "x").err
    monkeypatch.setenv("OFS_LOG", "env")
    assert "where: env (OFS_LOG)\n" in run("log", "ls").err
    assert "where: flag\n" in run("log", "ls", "--log", "flag").err


def test_a_configured_log_is_not_taken_for_that_of_a_run(run: Ofs, tmp_path: Path) -> None:
    """Only a flag says that a run's log lies elsewhere; a file says where logs usually lie."""
    assert run("synth", "--days", "0.01", "--log", "one").code == 0
    words = ("backtest", "--log", "one", "--symbol", "BTCUSDT")
    assert run(*words, "--json").code == 0
    (tmp_path / "ofs.toml").write_text('log = "two"\n', encoding="utf-8")
    assert run("verify", "last").code == 0
    shown = run("report", "last")
    assert shown.code == 0 and "two" not in shown.err
    other = run("verify", "last", "--log", "two")
    assert other.code == 4 and "two" in other.err
