"""``ofs completion``: the script that teaches a shell to complete ofs.

Prints click's own script; the words come from :mod:`cli.complete`.
"""

from __future__ import annotations

import click

from cli import common
from cli.common import App
from data.errors import UsageError


@common.command(
    "completion",
    examples=(
        "ofs completion bash",
        "ofs completion zsh > _ofs",
        "ofs completion fish > ofs.fish",
    ),
    exits=(),
    tolerant=True,
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish", "powershell"]))
def command(app: App, shell: str) -> None:
    """Print the script that completes ofs in a shell.

    It completes commands, options, venues, symbols, kinds, runs and strategies of the log and the
    runs that the command line means. To have it in every new shell:

    \b
    bash        eval "$(ofs completion bash)"       as a line of ~/.bashrc (bash 4.4 or newer)
    zsh         eval "$(ofs completion zsh)"        as a line of ~/.zshrc, below compinit
    fish        ofs completion fish > ~/.config/fish/completions/ofs.fish
    powershell  ofs completion powershell | Out-String | Invoke-Expression     in $PROFILE
    """
    from click.shell_completion import get_completion_class

    from cli.main import COMPLETION
    from cli.settings import root_of

    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(
            f"this version of click has no script for {shell}",
            where="SHELL",
            why=f"click is {_version()}; 8.5 brought the script for powershell",
            do="python -m pip install --upgrade click",
        )
    script = kind(root_of(click.get_current_context()), {}, "ofs", COMPLETION)
    # Not source(): that starts a bash to ask for its version, which the help tells.
    app.print((script.source_template % script.source_vars()).rstrip("\n"))


def _version() -> str:
    from importlib.metadata import version

    return version("click")
