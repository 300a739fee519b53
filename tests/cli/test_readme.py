"""The README's commands run, in the order in which they stand there."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import pytest

from data.venue.archive import serve
from tests.cli.run import ROOT, ofs, words_of

BLOCKS = re.compile(r"```sh\n(.*?)```", re.DOTALL)
MAY_FIND = ("ofs diff", "ofs log check", "ofs log gaps", "ofs log fill")
"""Commands that end with 1 when they find something."""


def readme_commands() -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = [line for block in BLOCKS.findall(text) for line in block.splitlines()]
    assert lines and all(line.startswith("ofs ") for line in lines)
    return lines


def archive(folder: Path) -> None:
    """The archive file that the README names, with three trades in it."""
    rows = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n"
    rows += "".join(
        f"{n},60000.{n},0.01{n},{n},{n},17231612550{n}0,{'true' if n % 2 else 'false'}\n"
        for n in range(1, 4)
    )
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("BTCUSDT-aggTrades-2024-08-08.csv", rows)
    (folder / "BTCUSDT-aggTrades-2024-08-08.zip").write_bytes(content.getvalue())


@pytest.mark.timeout(600)
def test_every_command_of_the_readme_runs(tmp_path: Path) -> None:
    archive(tmp_path)
    with serve() as server:
        for line in readme_commands():
            words, out = words_of(line)
            result = ofs(*words[1:], home=tmp_path, OFS_FETCH_ENDPOINT=server.url)
            if out:
                (tmp_path / out).write_text(result.out, encoding="utf-8")
            allowed = (0, 1) if line.startswith(MAY_FIND) else (0,)
            assert result.code in allowed, f"{line}\n{result.out}\n{result.err}"
            assert "Traceback" not in result.err, line
    assert (tmp_path / "fills.parquet").is_file()


def test_the_first_screen_holds_the_two_lines() -> None:
    screen = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:24]
    indented = [line.strip() for line in screen if line.startswith("    ")]
    assert indented == [
        "python -m pip install .; ofs backtest",
        'python -m pip install -e ".[test]"; python -m pytest',
    ]
