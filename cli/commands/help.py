"""`evt help`: the help of a command, or a page on a topic."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import click

TOPICS = {
    "exit-codes": "What each exit code means.",
    "log-format": "What a line of the log holds, and how to check it.",
    "money": "What costs money, what limits it, and what happens to calls in doubt.",
    "privacy": "What stays on this machine, and what leaves it when.",
    "settings": "Where a value comes from when you don't give it.",
}


@click.command("help", short_help="Show the help of a command, or a page on a topic.")
@click.argument("names", nargs=-1, metavar="[COMMAND|TOPIC]")
@click.pass_context
def command(context: click.Context, /, names: tuple[str, ...]) -> None:
    """Show the help of a command, or a page on a topic.

    Topics: exit-codes, log-format, money, privacy, settings.

    \b
    Examples:
      evt help run
      evt help config set
      evt help privacy
    """
    root = context.find_root()
    if not names:
        click.echo(root.get_help())
        click.echo("\nTopics (evt help TOPIC):")
        click.echo("\n".join(f"  {name:<12} {words}" for name, words in TOPICS.items()))
    elif names[0] in TOPICS and len(names) == 1:
        click.echo(text_of(names[0]), nl=False)
    else:
        click.echo(_help_of(names, root))


def text_of(topic: str) -> str:
    """Return the page on a topic."""
    return (files("cli") / "topics" / f"{topic}.md").read_text("utf-8")


def _help_of(names: tuple[str, ...], root: click.Context) -> str:
    """Return the help of a command, or of one within it."""
    found: Any = root.command
    context = root
    for name in names:
        inner = found.get_command(context, name) if isinstance(found, click.Group) else None
        if inner is None:
            raise click.UsageError(f"There is no command or topic {' '.join(names)!r}. `evt help` lists them.")
        context = click.Context(inner, info_name=name, parent=context)
        found = inner
    return context.get_help()
