"""Sessions for developers: ``nox -s lint typecheck test bench``."""

from __future__ import annotations

import nox

nox.options.sessions = ["lint", "typecheck", "test"]
nox.options.reuse_existing_virtualenvs = True

PYTHONS = ["3.11", "3.12", "3.13"]
PACKAGES = ("data", "engine", "strategies", "cli")


@nox.session
def lint(session: nox.Session) -> None:
    """Lint, and check the format."""
    session.install("ruff>=0.8")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def typecheck(session: nox.Session) -> None:
    """Check the types of the packages."""
    session.install("-e", ".[dev]")
    session.run("mypy", *PACKAGES)


@nox.session(python=PYTHONS)
def test(session: nox.Session) -> None:
    """Run the tests; what follows ``--`` goes to pytest."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure this machine; what follows ``--`` goes to ``ofs bench``."""
    session.install(".")
    session.run("ofs", "bench", *session.posargs)


@nox.session
def campaign(session: nox.Session) -> None:
    """Run the campaigns whole (hours); what follows ``--`` goes to pytest."""
    session.install("-e", ".[test]")
    words = ("-o", "addopts=", "-p", "no:xdist", "-m", "campaign", "-rP")
    session.run("python", "-m", "pytest", *words, *session.posargs, env={"OFS_CAMPAIGN": "1"})
