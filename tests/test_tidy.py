"""The rules of the house, held by reading the source tree; each test lists every offender."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click

from cli.common import Command
from cli.lazy import LazyGroup
from cli.main import ofs
from tests.cli.run import words_of

ROOT = Path(__file__).parents[1]
FLOORS = {"cli": 4.0, "strategies": 3.0, "engine": 2.0, "replays": 1.5, "data": 1.0}
# dataclasses only declare; they bring neither a clock nor I/O.
KERNEL_MAY_IMPORT = (
    "numpy", "numba", "math", "data.events", "engine.kernel", "dataclasses", "__future__",
)  # fmt: skip
IMPURE = {"open", "print", "input", "exec", "eval", "random", "time", "datetime", "os", "sys"}
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 500
GIVES_A_REASON = re.compile(r"# (?:noqa: BLE001\W+)?(?:reason:)? ?\w+ \w+ \w+")
PHYSICAL = re.compile(r"price|qty|bid|ask|volume|notional|\bts\b|\brate\b|delta")
UNITS = re.compile(
    r"int64|int8|float64|\bns\b|\bfp9\b|arrays?\b|records?\b|scaled|fixed.point|bits?\b|shape"
    r"|seconds?\b|levels?\b|\bprice|\bqty\b|quantit|money|count|index|number",
    re.IGNORECASE,
)


def sources(*tops: str) -> list[Path]:
    """Python files below the named top folders (all packages and the tests without a name)."""
    found = [p for top in tops or (*FLOORS, "tests") for p in (ROOT / top).rglob("*.py")]
    return sorted(p for p in found if "__pycache__" not in p.parts)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All nodes of a file, found once for all the tests that look through them."""
    return tuple(ast.walk(tree(path)))


def place(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT).as_posix()}:{line}"


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in nodes(path):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, full dotted name) of everything that ``path`` imports, anywhere in the file."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*parents, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def within(name: str, allowed: tuple[str, ...]) -> bool:
    return any(name == a or name.startswith(f"{a}.") for a in allowed)


def test_the_tree_is_there() -> None:
    assert len(sources(*FLOORS)) > 30
    assert all((ROOT / floor).is_dir() for floor in FLOORS)


def test_a_floor_imports_only_what_lies_below() -> None:
    wrong = []
    for path in sources(*FLOORS):
        own = path.relative_to(ROOT).parts[0]
        for line, name in imports(path):
            top = name.split(".")[0]
            if top == "tests" or FLOORS.get(top, -1) > FLOORS[own]:
                wrong.append(f"{place(path, line)} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_the_kernel_imports_only_its_allowlist() -> None:
    wrong = [
        f"{place(path, line)} imports {name}"
        for path in sources("engine/kernel")
        for line, name in imports(path)
        if not within(name, KERNEL_MAY_IMPORT)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_kernel_has_no_clock_no_random_no_io() -> None:
    wrong = []
    for path in sources("engine/kernel"):
        for node in nodes(path):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in IMPURE:
                wrong.append(f"{place(path, node.lineno)} uses {node.id}")
            if isinstance(node, ast.Attribute) and node.attr in {"random", "tofile", "fromfile"}:
                wrong.append(f"{place(path, node.lineno)} uses .{node.attr}")
    assert not wrong, "\n".join(wrong)


def test_nothing_asks_numba_for_other_arithmetic() -> None:
    banned = {"fastmath", "parallel", "prange"}
    wrong = []
    for path in sources(*FLOORS):
        for node in nodes(path):
            if isinstance(node, ast.keyword) and node.arg in banned:
                wrong.append(f"{place(path, node.value.lineno)} passes {node.arg}")
            if isinstance(node, ast.Name) and node.id == "prange":
                wrong.append(f"{place(path, node.lineno)} uses prange")
            if isinstance(node, ast.Attribute) and node.attr == "prange":
                wrong.append(f"{place(path, node.lineno)} uses prange")
    assert not wrong, "\n".join(wrong)


def catches_all(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    names = {n.id for n in ast.walk(handler.type) if isinstance(n, ast.Name)}
    return bool(names & {"Exception", "BaseException"})


def test_whoever_catches_everything_says_why() -> None:
    wrong = []
    for path in sources(*FLOORS):
        lines = path.read_text(encoding="utf-8").splitlines()
        for node in nodes(path):
            if not isinstance(node, ast.ExceptHandler) or not catches_all(node):
                continue
            cleans_up = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
            near = "\n".join(lines[node.lineno - 2 : node.lineno + 1])
            if not cleans_up and not GIVES_A_REASON.search(near):
                wrong.append(f"{place(path, node.lineno)} gives no '# reason:'")
    assert not wrong, "\n".join(wrong)


def test_functions_are_short() -> None:
    wrong = []
    for path in sources():
        for node in functions(path):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                wrong.append(f"{place(path, node.lineno)} {node.name} has {lines} lines")
    assert not wrong, "\n".join(wrong)


def test_files_are_short() -> None:
    counts = {p: len(p.read_text(encoding="utf-8").splitlines()) for p in sources()}
    wrong = [f"{place(p, n)} has {n} lines" for p, n in counts.items() if n > FILE_LINES_MAX]
    assert not wrong, "\n".join(wrong)


def undocumented(path: Path) -> Iterator[str]:
    def visit(body: list[ast.stmt], prefix: str) -> Iterator[str]:
        for node in body:
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                continue
            if node.name.startswith("_"):
                continue
            overload = any("overload" in ast.dump(d) for d in node.decorator_list)
            if ast.get_docstring(node) is None and not overload:
                yield f"{place(path, node.lineno)} {prefix}{node.name}"
            if isinstance(node, ast.ClassDef):
                yield from visit(node.body, f"{node.name}.")

    if ast.get_docstring(tree(path)) is None and path.name != "__init__.py":
        yield f"{place(path, 1)} the module"
    yield from visit(tree(path).body, "")


def test_everything_public_is_documented() -> None:
    wrong = [text for path in sources(*FLOORS) for text in undocumented(path)]
    assert not wrong, "without a docstring:\n" + "\n".join(wrong)


def test_kernel_functions_name_units_or_shapes() -> None:
    wrong = []
    for path in sources("engine/kernel"):
        for node in tree(path).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                text = ast.get_docstring(node) or ""
                physical = any(PHYSICAL.search(arg.arg) for arg in node.args.args)
                if physical and not UNITS.search(text):
                    wrong.append(f"{place(path, node.lineno)} {node.name}: {text[:60]!r}")
    assert not wrong, "no unit, dtype or shape in the docstring of:\n" + "\n".join(wrong)


def committed_text() -> Iterator[tuple[Path, int, str]]:
    kinds = {".py", ".md", ".toml", ".yaml", ".yml", ".cfg"}
    tops = [p for p in ROOT.iterdir() if p.is_file() and p.suffix in kinds]
    for path in [*tops, ROOT / ".ci" / "run", *sources()]:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            yield path, number, line


def test_nothing_is_left_for_later() -> None:
    words = re.compile("|".join((r"\bTO" + r"DO\b", r"\bFIX" + r"ME\b", r"\bX" + r"XX\b")))
    wrong = [
        f"{place(p, n)} {line.strip()}" for p, n, line in committed_text() if words.search(line)
    ]
    assert not wrong, "\n".join(wrong)


def test_no_path_of_one_machine() -> None:
    private = re.compile(
        r"(?<![\w.}])/(?:ro" + r"ot|ho" + r"me|Us" + r"ers|op" + r"t|wo" + r"rk)/\w"
    )
    drive = re.compile(r"\b[A-Z]:\\\\?(?:Us" + r"ers|ho" + r"me)")
    wrong = [
        f"{place(p, n)} {line.strip()}"
        for p, n, line in committed_text()
        if private.search(line) or drive.search(line)
    ]
    assert not wrong, "\n".join(wrong)


def commands(group: LazyGroup, path: str) -> Iterator[tuple[str, click.Command]]:
    """(command line, command) of every command below ``group``."""
    with click.Context(group) as ctx:
        for name in group.list_commands(ctx):
            command = group.get_command(ctx, name)
            assert command is not None
            if isinstance(command, LazyGroup):
                yield from commands(command, f"{path} {name}")
            else:
                yield f"{path} {name}", command


def test_every_command_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    headings = [line for line in readme.splitlines() if line.startswith("#")]
    wrong = [
        line
        for line, _ in commands(ofs, "ofs")
        if not any(f"`{line}`" in heading or f"`{line} " in heading for heading in headings)
    ]
    assert not wrong, f"no heading of the README names {wrong}"


def test_every_command_has_help_and_two_examples_that_parse() -> None:
    wrong = []
    for line, command in commands(ofs, "ofs"):
        if not isinstance(command, Command):
            wrong.append(f"{line} is not made by cli.common.command")
            continue
        if not (command.help or "").strip():
            wrong.append(f"{line} has no help")
        if len(command.examples) < 2:
            wrong.append(f"{line} has {len(command.examples)} examples")
        for example in command.examples:
            if error := example_error(line, command, example):
                wrong.append(f"{line}: {example!r}: {error}")
    assert not wrong, "\n".join(wrong)


def example_error(line: str, command: Command, example: str) -> str:
    """Why ``example`` cannot be a command line of ``command``; empty where it can."""
    words, _ = words_of(example)
    own = line.split()
    if words[: len(own)] != own:
        return f"does not begin with {line!r}"
    try:
        command.make_context(line, words[len(own) :])
    except click.ClickException as error:
        return error.format_message()
    return ""


def test_short_helps_do_not_contradict_the_commands() -> None:
    for _, (_, text) in ofs.lazy.items():
        assert text.endswith(".") and len(text) < 70, text


def test_changelog_keeps_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    lines = text.splitlines()
    assert lines[0] == "# Changelog"
    assert "## [Unreleased]" in lines
    versions = [line for line in lines if line.startswith("## ")]
    form = re.compile(r"## \[(Unreleased|\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}$)")
    assert all(form.match(line) for line in versions), versions
    kinds = {line[4:] for line in lines if line.startswith("### ")}
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}, kinds


def test_every_dependency_has_a_lower_bound() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = project["optional-dependencies"].values()
    needs = [*project["dependencies"], *(need for group in groups for need in group)]
    # MetaTrader5 exists for Windows only and is published there in one current build at a time.
    bare = [n for n in needs if ">=" not in n and not n.startswith(("ofs[", "MetaTrader5;"))]
    assert not bare, bare


def test_every_module_lies_in_a_package() -> None:
    loose = {
        str(p.parent.relative_to(ROOT))
        for p in sources()
        if not (p.parent / "__init__.py").is_file()
    }
    assert not loose, f"Python files in folders without __init__.py are not shipped: {loose}"
