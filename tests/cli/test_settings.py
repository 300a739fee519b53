"""Which layer counts, and what is said about a value that no option would take."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import types
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli import common, keys, main
from cli.common import KINDS, TIME
from cli.units import BYTE_RATE, DURATION, RATE, SECONDS, SIZE
from data.errors import DataError, UsageError
from tests.cli.run import ROOT, ofs

LAYERS = ("user", "project", "environment", "before", "after")
"""From the lowest to the highest; ``before`` and ``after`` are flags before and after a command."""

KEYS = {
    "log": ("OFS_LOG", "--log", [f"L{n}" for n in range(5)]),
    "json": ("OFS_JSON", "--json", [True, False, True, False, True]),
    "fake.name": ("OFS_FAKE_NAME", "--name", [f"N{n}" for n in range(5)]),
    "fake.level": ("OFS_FAKE_LEVEL", "--level", [11, 12, 13, 14, 15]),
    "fake.pause": ("OFS_FAKE_PAUSE", "--pause", ["1s", "2s", "3s", "4s", "5s"]),
    "fake.tags": ("OFS_FAKE_TAGS", "--tags", [["a"], ["b", "c"], ["d"], ["e"], ["f", "g"]]),
}
"""Variable, flag, and what each layer says."""

PAUSE_NS = {"1s": 10**9, "2s": 2 * 10**9, "3s": 3 * 10**9, "4s": 4 * 10**9, "5s": 5 * 10**9}


SEEN: list[Any] = []
"""What the command of these tests was called with."""


@pytest.fixture(scope="module", autouse=True)
def fake() -> Iterator[list[Any]]:
    """A command with an option of each type."""

    @click.option("--name")
    @click.option("--level", type=click.IntRange(1, 20), default=1)
    @click.option("--share", type=click.FloatRange(0, 1, min_open=True))
    @click.option("--pause", type=DURATION, default="0")
    @click.option("--silence", type=SECONDS)
    @click.option("--size", type=SIZE)
    @click.option("--speed", type=RATE)
    @click.option("--byte-speed", type=BYTE_RATE)
    @click.option("--tags", multiple=True)
    @click.option("--pair", type=float, nargs=2)
    @click.option("--mode", type=click.Choice(["fast", "slow"]))
    @click.option("--when", type=TIME)
    @click.option("--kinds", type=KINDS, default=())
    @click.option("--where", type=click.Path())
    @click.option("--deep/--flat", default=True)
    @click.option("--dry-run", is_flag=True)
    @click.option("--checked", callback=refuse_zero)
    @common.set_option
    def body(app: common.App, **options: Any) -> None:
        SEEN.append((app, options))
        if options["name"] == "raise":
            raise UsageError("no such name", where="--name, --level", do="take another")
        if options["name"] == "lost":
            raise DataError("no such folder", where="--where")

    module = types.ModuleType("fake_command")
    module.command = common.command("fake", examples=())(body)  # type: ignore[attr-defined]
    # Not patch.dict: it would forget every module that is imported meanwhile.
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "fake_command", module)
        patch.setitem(main.ofs.lazy, "fake", ("fake_command", "A command for a test."))
        yield SEEN


def refuse_zero(_ctx: Any, _param: Any, value: Any) -> Any:
    if value == "0":
        raise click.BadParameter("zero is refused")
    return value


def toml(values: dict[str, Any]) -> str:
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())


def called(words: list[str]) -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main.run(words)
    return code, out.getvalue(), err.getvalue()


@st.composite
def layered(draw: st.DrawFn) -> dict[str, set[str]]:
    """Which layers set which key; a parameter of one command has no flag before it."""
    return {
        key: draw(st.sets(st.sampled_from(LAYERS if "." not in key else (*LAYERS[:3], "after"))))
        for key in KEYS
    }


def words_for(key: str, layer: str) -> list[str]:
    _, flag, says = KEYS[key]
    value = says[LAYERS.index(layer)]
    if isinstance(value, bool):
        return [flag if value else flag.replace("--", "--no-")]
    return [
        w for item in (value if isinstance(value, list) else [value]) for w in (flag, str(item))
    ]


@settings(deadline=None)
@given(layered(), st.booleans())
def test_the_highest_layer_counts(sets: dict[str, set[str]], named: bool) -> None:
    with tempfile.TemporaryDirectory() as home, chdir(home):
        says = {k: {a: KEYS[k][2][LAYERS.index(a)] for a in layers} for k, layers in sets.items()}
        project = Path("other.toml" if named else "ofs.toml")
        user = Path("config", "ofs", "ofs.toml")
        user.parent.mkdir(parents=True)
        for path, layer in ((project, "project"), (user, "user")):
            path.write_text(
                toml({k: v[layer] for k, v in says.items() if layer in v}), encoding="utf-8"
            )
        env = {KEYS[k][0]: v["environment"] for k, v in says.items() if "environment" in v}
        env = {k: " ".join(v) if isinstance(v, list) else str(v) for k, v in env.items()}
        env |= {"OFS_CONFIG": str(project)} if named else {}
        clean = {k: v for k, v in os.environ.items() if not k.startswith("OFS_")}
        clean |= {"XDG_CONFIG_HOME": str(Path("config").absolute()), "HOME": home}
        with (
            mock.patch("cli.settings.user_file", lambda: user),
            mock.patch.dict(os.environ, {**clean, **env}, clear=True),
        ):
            before = [w for k in KEYS if "before" in sets[k] for w in words_for(k, "before")]
            after = [w for k in KEYS if "after" in sets[k] for w in words_for(k, "after")]
            SEEN.clear()
            assert called([*before, "fake", *after]) == (0, "", "")
            shown = called([*before, "--json", "config", "show", "fake", "log"])
    check_values(SEEN[0], says, project)
    check_origins(json.loads(shown[1]), says, project, user)


def check_values(call: Any, says: dict[str, dict[str, Any]], project: Path) -> None:
    app, options = call
    top = {k: v[max(v, key=LAYERS.index)] if v else None for k, v in says.items()}
    if top["log"] is not None:
        path = Path(app.log)
        assert path.name == top["log"] and app.log_named
        lowest = max(says["log"], key=LAYERS.index)
        parent = {"user": Path("config", "ofs")}.get(lowest, Path())
        assert path.parent == parent
    assert app.log_flag == bool({"before", "after"} & set(says["log"]))
    assert app.json is bool(top["json"])
    assert options["name"] == top["fake.name"]
    assert options["level"] == (top["fake.level"] or 1)
    assert options["pause"] == PAUSE_NS.get(top["fake.pause"], 0)
    assert list(options["tags"]) == (top["fake.tags"] or [])


def check_origins(
    rows: list[dict[str, Any]], says: dict[str, dict[str, Any]], project: Path, user: Path
) -> None:
    by_key = {row["key"]: row for row in rows}
    for key in ("fake.name", "fake.level", "fake.pause", "fake.tags"):
        low = [layer for layer in LAYERS[:3] if layer in says[key]]
        row = by_key[key]
        if not low:
            assert (row["origin"], row["where"]) == ("default", "")
        elif low[-1] == "environment":
            assert (row["origin"], row["where"]) == ("environment", KEYS[key][0])
        else:
            path = project if low[-1] == "project" else user
            line = [k for k in KEYS if low[-1] in says[k]].index(key) + 1
            assert (row["origin"], row["where"]) == ("file", f"{path}:{line}")
            assert row["value"] == says[key][low[-1]]
    if "before" in says["log"]:
        assert (by_key["log"]["origin"], by_key["log"]["where"]) == ("flag", "--log")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in [n for n in os.environ if n.startswith("OFS_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setattr("cli.settings.user_file", lambda: tmp_path / "user" / "ofs.toml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


RIGHT = [
    ("level = 20", "level", 20),
    ("share = 1", "share", 1.0),
    ("share = 0.25", "share", 0.25),
    ('pause = "1h30m"', "pause", 5_400_000_000_000),
    ("pause = 0", "pause", 0),
    ("silence = 2.5", "silence", 2_500_000_000),
    ('silence = "250ms"', "silence", 250_000_000),
    ('size = "2GiB"', "size", 2 << 30),
    ('speed = "120/min"', "speed", 2.0),
    ('byte-speed = "5MiB/s"', "byte_speed", 5.0 * (1 << 20)),
    ('tags = "one"', "tags", ("one",)),
    ("pair = [1, 2.5]", "pair", (1.0, 2.5)),
    ('mode = "slow"', "mode", "slow"),
    ("when = 1970-01-02", "when", 86_400 * 10**9),
    ("when = 1970-01-01T01:00:00+01:00", "when", 0),
    ('when = "1970-01-02"', "when", 86_400 * 10**9),
    ('kinds = "trade,bar"', "kinds", ("trade", "bar")),
    ('kinds = ["trade", "bar"]', "kinds", ("trade", "bar")),
    ("deep = false", "deep", False),
]


@pytest.mark.parametrize(("line", "name", "value"), RIGHT, ids=[r[0] for r in RIGHT])
def test_a_value_of_a_file_is_what_the_flag_gives(
    line: str, name: str, value: Any, home: Path, fake: list[Any]
) -> None:
    (home / "ofs.toml").write_text(f"[fake]\n{line}\n", encoding="utf-8")
    fake.clear()
    assert called(["fake"])[0] == 0
    assert fake[0][1][name] == value and type(fake[0][1][name]) is type(value)


WRONG = [
    ("level = 21", "1<=x<=20", "a whole number from 1 to 20"),
    ("level = 2.5", "not a valid integer", "a whole number"),
    ('level = "2"', '"2" is text', "without quotes"),
    ("level = true", "true is no value", "a whole number"),
    ("level = [1]", "not a list", "a whole number"),
    ("share = 0", "0<x<=1", "a number above 0 to 1"),
    ("name = 5", "5 is a number", "text, in quotes"),
    ("name = {x = 1}", "a table is no value", "text"),
    ("pause = 5", "'5' is no duration", "a duration such as 5s"),
    ('pause = "5 parsecs"', "no duration", "5s"),
    ('size = "2"', "no size", "2GiB"),
    ('speed = "fast"', "no rate", "20/s"),
    ('byte-speed = "5/s"', "no byte_rate", "5MiB/s"),
    ('mode = "slwo"', "slwo", "one of fast, slow"),
    ("pair = 1", "1 is no list", "a list of 2, each a number"),
    ("pair = [1]", "2 values", "a list of 2"),
    ("when = 07:32:00", "07:32:00", "2024-08-08"),
    ('kinds = "trde"', "did you mean trade?", "trade,depth"),
    ('deep = "yes"', '"yes" is not true or false', "true or false"),
    ("tags = [1]", "1 is a number", "text, in quotes"),
    ('checked = "0"', "zero is refused", ""),
]


@pytest.mark.parametrize(("line", "why", "fits"), WRONG, ids=[w[0] for w in WRONG])
def test_a_wrong_value_names_its_line(line: str, why: str, fits: str, home: Path) -> None:
    (home / "ofs.toml").write_text(f"# settings\n[fake]\n\n{line}\n", encoding="utf-8")
    code, out, err = called(["fake"])
    assert (code, out) == (3, "")
    name = line.partition(" ")[0]
    assert err.startswith(f"error: fake.{name} cannot be that\n  where: ofs.toml:4\n")
    assert why in err and fits in err


UNKNOWN = [
    ("levl = 1", 1, "there is no setting 'levl'", "the"),
    ("lgo = 'x'", 1, "there is no setting 'lgo'", "'log'"),
    ("[fkae]\nx = 1", 1, "there is no section [fkae]", "'fake'"),
    ("[zzzz]", 1, "there is no section [zzzz]", "backtest"),
    ("[fake]\nlevl = 1", 2, "there is no setting 'levl' in [fake]", "'level'"),
    ("[fake]\nbyte_speed = '1'", 2, "there is no setting 'byte_speed'", "'byte-speed'"),
    ("[fake.level]\nx = 1", 1, "fake.level cannot be that", "whole number"),
    ("[fake]\nlog = 'x'", 2, "'log' is no setting of one command", "at the top"),
    ("[fake]\ndry-run = true", 2, "'dry-run' is no setting", "give the flag"),
    ("[fake]\nset = ['a=1']", 2, "'set' is a section of its own", "[set]"),
    ("[log.chek]\nx = 1", 1, "there is no section [log.chek]", "'check'"),
    ("[log]\nfolder = 'x'", 2, "there is no setting 'folder' in [log]", "dir"),
    ("[log.gaps]\nhole = 0", 2, "log.gaps.hole cannot be that", "5s"),
    ("fake = 1", 1, "'fake' is a section", "[fake]"),
    ("set = 1", 1, "'set' is a section", "[set]"),
    ("[set]\na = [1]", 2, "'a' cannot be that", "text, a number"),
    ("config = 'x'", 1, "'config' is a section", ""),
    ("[config]\ncheck = 1", 2, "'config.check' is a section", ""),
    ("debug = true", 1, "there is no setting 'debug'", ""),
]


@pytest.mark.parametrize(("text", "line", "what", "do"), UNKNOWN, ids=[u[0] for u in UNKNOWN])
@pytest.mark.parametrize("command", ["runs", "fake"])
def test_a_wrong_key_stops_every_command(
    text: str, line: int, what: str, do: str, command: str, home: Path
) -> None:
    (home / "user").mkdir()
    (home / "user" / "ofs.toml").write_text(text, encoding="utf-8")
    code, out, err = called([command])
    assert (code, out) == (3, "")
    assert what in err and f"where: {home / 'user' / 'ofs.toml'}:{line}\n" in err
    assert do in err.split("do: ")[1]


def test_all_mistakes_are_counted_and_the_first_line_comes_first(home: Path) -> None:
    (home / "ofs.toml").write_text(
        "[fake]\nx1 = 1\n[log.ls]\nx2 = 1\n[runs]\nlimit = 0\n", encoding="utf-8"
    )
    err = called(["runs"])[2]
    assert "ofs.toml:2" in err and "(2 more mistakes: see 'ofs config check')" in err


@pytest.mark.parametrize("words", [["fake", "--help"], ["--help"], ["config", "schema"],
                                   ["completion", "bash"], ["log", "--help"]])  # fmt: skip
def test_help_needs_no_right_settings(words: list[str], home: Path) -> None:
    (home / "ofs.toml").write_text("this is no TOML", encoding="utf-8")
    assert called(words)[0] == 0


def test_relative_paths_are_relative_to_their_file(home: Path, fake: list[Any]) -> None:
    (home / "sub").mkdir()
    text = 'log = "s3://bucket/log"\nruns = "r"\n[fake]\nwhere = "w/x"\n[backtest]\n'
    (home / "sub" / "x.toml").write_text(text + 'strategy = "mine.py:S"\n', encoding="utf-8")
    fake.clear()
    assert called(["fake", "--config", "sub/x.toml"])[0] == 0
    assert called(["--config", str(home / "sub" / "x.toml"), "fake", "--where", "w"])[0] == 0
    (relative, first), (absolute, second) = fake
    assert relative.log == "s3://bucket/log" and relative.runs == Path("sub/r")
    assert absolute.runs == home / "sub" / "r"
    assert (Path(first["where"]), second["where"]) == (Path("sub/w/x"), "w")
    shown = json.loads(
        called(["config", "show", "--config", "sub/x.toml", "backtest", "--json"])[1]
    )
    strategy = next(row for row in shown if row["key"] == "backtest.strategy")
    assert strategy["value"] == str(Path("sub/mine.py:S"))


def test_log_and_runs_are_sections_too(home: Path, fake: list[Any]) -> None:
    (home / "ofs.toml").write_text(
        '[log]\ndir = "d"\n[log.ls]\nvenue = "v"\n[runs]\ndir = "r"\n', encoding="utf-8"
    )
    fake.clear()
    assert called(["fake"])[0] == 0
    assert (fake[0][0].log, fake[0][0].runs) == ("d", Path("r"))
    (home / "ofs.toml").write_text("[log]\ndir = 5\n", encoding="utf-8")
    assert "log cannot be that\n  where: ofs.toml:2" in called(["fake"])[2]


def test_a_missing_file_that_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert called(["fake", "--config", "no.toml"])[0] == 3
    monkeypatch.setenv("OFS_CONFIG", "no.toml")
    code, _, err = called(["fake"])
    assert code == 3 and "where: no.toml" in err and "OFS_CONFIG names it" in err


def test_a_wrong_variable_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFS_FAKE_LEVEL", "much")
    code, _, err = called(["fake"])
    assert code == 3 and "where: OFS_FAKE_LEVEL" in err and "a whole number from 1 to 20" in err
    assert called(["fake", "--level", "3"])[0] == 0  # the flag counts, nobody asks the variable
    monkeypatch.setenv("OFS_FAKE_LEVEL", "")
    monkeypatch.setenv("OFS_JSON", "perhaps")
    assert "OFS_JSON" in called(["fake"])[2]


def test_an_error_of_the_command_names_the_layer(home: Path) -> None:
    (home / "ofs.toml").write_text('[fake]\nname = "raise"\n', encoding="utf-8")
    code, _, err = called(["fake"])
    assert code == 3 and "where: fake.name (ofs.toml:2), --level\n" in err
    assert called(["fake", "--name", "raise"])[0] == 2
    (home / "ofs.toml").write_text('[fake]\nname = "lost"\nwhere = "w"\n', encoding="utf-8")
    code, _, err = called(["fake"])
    assert code == 4 and "where: fake.where (ofs.toml:3)" in err


def test_parameters_are_merged_key_by_key(
    home: Path, monkeypatch: pytest.MonkeyPatch, fake: list[Any]
) -> None:
    (home / "user").mkdir()
    (home / "user" / "ofs.toml").write_text(
        "[set]\na = 1\nb = 1\nc = 1\nd = 0.10\n[set.g]\nx = 1\n", encoding="utf-8"
    )
    (home / "ofs.toml").write_text(
        '[set]\nb = 2\nc = 2\ng.x = true\n"g.y" = "5s"\n', encoding="utf-8"
    )
    monkeypatch.setenv("OFS_SET", "c=3 g.z=3")
    fake.clear()
    assert called(["fake", "--set", "e=4", "--set", "e=5"])[0] == 0
    assert fake[0][1]["settings"] == {
        "a": "1", "b": "2", "c": "3", "d": "0.10", "g.x": "true", "g.y": "5s", "g.z": "3", "e": "5",
    }  # fmt: skip
    monkeypatch.setenv("OFS_SET", "c")
    assert called(["fake"])[0] == 3
    monkeypatch.delenv("OFS_SET")
    assert called(["fake", "--set", "c"])[0] == 2


def test_every_setting_has_a_name_of_its_own() -> None:
    found = keys.all_keys(main.ofs)
    for names in ([k.dotted for k in found], [*(k.variable for k in found), *keys.OTHER_VARIABLES]):
        assert len(names) == len(set(names)), sorted(n for n in names if names.count(n) > 1)
    sections = set(keys.SECTIONS)
    assert not sections & {*main.ofs.lazy, *keys.shared_keys(main.ofs)}


def test_every_variable_that_is_written_about_means_something() -> None:
    known = {*keys.OTHER_VARIABLES, *(key.variable for key in keys.all_keys(main.ofs))}
    files = [ROOT / "README.md", *(p for top in ("cli", "data", "engine") for p in
             (ROOT / top).rglob("*.py"))]  # fmt: skip
    for path in files:
        text = path.read_text(encoding="utf-8")
        for found in re.findall(r"(?<![A-Z_])OFS_[A-Z0-9_]*[A-Z0-9]", text):
            assert found in known, f"{path}: {found}"


def test_exit_codes_of_real_processes(tmp_path: Path) -> None:
    (tmp_path / "ofs.toml").write_text("[runs]\nlimit = 'x'\n", encoding="utf-8")
    done = ofs("log", "ls", home=tmp_path)
    assert (done.code, done.out) == (3, "") and "where: ofs.toml:2" in done.err
    assert "Traceback" not in done.err
    (tmp_path / "ofs.toml").unlink()
    user = tmp_path / "config" / "ofs"
    user.mkdir(parents=True)
    (user / "ofs.toml").write_text("[runs]\nlimit = 1\nlimt = 2\n", encoding="utf-8")
    assert ofs("runs", home=tmp_path).code == (3 if os.name == "posix" else 0)


def test_what_is_called_ofs_toml_and_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "ofs.toml").mkdir()
    done = ofs("runs", home=tmp_path)
    assert done.code == 3 and "cannot read a file of settings" in done.err
    assert "where: ofs.toml" in done.err
