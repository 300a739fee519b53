"""Commands of the README and of the helps that no test runs as they stand, because they need a
venue, a terminal or a service: each is a command that exists, with options that it takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from cli.lazy import LazyGroup
from cli.main import ofs
from tests.cli.run import ROOT, words_of
from tests.cli.test_readme import help_examples, needs_more, readme_examples

TEXTS = re.compile(r"```text\n(.*?)```", re.DOTALL)
SERVICES = re.compile(r"^ExecStart=\S*/(ofs .*)$|<arguments>(.*)</arguments>", re.MULTILINE)


def lines() -> Iterator[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for block in TEXTS.findall(text):
        yield from (line for line in block.splitlines() if line.startswith("ofs "))
    for unit, service in SERVICES.findall(text):
        yield unit or f"ofs {service}"
    yield from filter(needs_more, [*readme_examples(), *help_examples()])


def test_there_are_such_lines() -> None:
    found = list(lines())
    assert sum(line.startswith("ofs paper --config paper.toml --runs") for line in found) == 2
    assert any(line.startswith("ofs record ") for line in found)


@pytest.mark.parametrize("line", sorted(set(lines())))
def test_a_line_is_a_command_with_options_that_it_takes(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words, _ = words_of(line)
    command: click.Command = ofs
    context = command.make_context("ofs", words[1:])
    while isinstance(command, LazyGroup):
        kept = "_protected_args" if hasattr(context, "_protected_args") else "protected_args"
        rest = [*getattr(context, kept), *context.args]  # click 8.2 gave it another name
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None, line
        command, context = found, found.make_context(name, rest, parent=context)
    assert not context.args
