"""`evt completion`: the script that makes a shell complete evt's commands, options, ids and names."""

from __future__ import annotations

import click

SHELLS = ("bash", "zsh", "fish")


@click.command("completion", short_help="Print what makes a shell complete commands, ids and names.")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print a script for a shell. With it, the shell completes commands, options, ids and names of recordings.

    \b
    Examples:
      mkdir -p ~/.local/share/bash-completion/completions
      evt completion bash > ~/.local/share/bash-completion/completions/evt
      mkdir -p ~/.zfunc  # with fpath+=~/.zfunc before compinit in ~/.zshrc
      evt completion zsh > ~/.zfunc/_evt
      mkdir -p ~/.config/fish/completions
      evt completion fish > ~/.config/fish/completions/evt.fish
    """
    from click.shell_completion import get_completion_class

    from cli.main import COMPLETES, evt

    complete = get_completion_class(shell)
    assert complete is not None, "click knows these shells"
    click.echo(complete(evt, {}, "evt", COMPLETES).source(), nl=False)
