"""`evt help`: what the topics name exists, and what they say agrees with the program."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import click
import pytest

from cli import exit_codes
from cli.commands.help import TOPICS, text_of
from cli.main import COMMANDS, evt
from tests.support.cli import ROOT, Evt


def named(text: str) -> list[tuple[str, list[str]]]:
    """Return the commands that a text names, each with its options."""
    found = re.findall(r"(?:`|^ {2}|\()evt ((?:--[a-z]+ )?[a-z]+)([^`\n)]*)", text, re.MULTILINE)
    return [(name.split()[-1], re.findall(r"(?<!\S)--[a-z-]+", f"{name} {rest}")) for name, rest in found]


def options(name: str) -> set[str]:
    context = click.Context(evt, info_name="evt")
    command = evt.get_command(context, name)
    assert command is not None
    inner = list(command.commands.values()) if isinstance(command, click.Group) else []
    return {option for item in (evt, command, *inner) for parameter in item.params for option in parameter.opts}


@pytest.mark.parametrize("topic", TOPICS)
def test_commands_and_options_that_a_topic_names_exist(topic: str) -> None:
    found = named(text_of(topic))
    assert found
    for name, flags in found:
        assert name in COMMANDS
        assert {*flags} <= options(name), (name, flags)


@pytest.mark.parametrize("topic", TOPICS)
def test_pages_that_a_topic_names_exist_and_its_lines_fit(topic: str) -> None:
    text = text_of(topic)
    assert all((ROOT / page).exists() for page in re.findall(r"docs/[a-z-]+\.md", text))
    assert max(map(len, text.splitlines())) <= 125


def test_every_exit_code_is_explained_and_no_other() -> None:
    known = {value for name, value in vars(exit_codes).items() if name.isupper() and isinstance(value, int)}
    assert {int(code) for code in re.findall(r"^ {2}(\d+) ", text_of("exit-codes"), re.MULTILINE)} == known


def test_every_topic_comes_with_the_wheel_and_no_other_page_lies_there() -> None:
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["cli"]
    pages = [path.relative_to(ROOT / "cli") for path in (ROOT / "cli" / "topics").iterdir()]
    assert {path.stem for path in pages} == TOPICS.keys()
    assert all(any(fnmatch(str(path), pattern) for pattern in data) for path in pages)
    assert isinstance(pages[0], Path)


def test_help_shows_a_command_one_within_it_a_topic_or_all(evt: Evt) -> None:
    assert evt("help", "run").stdout == evt("run", "--help").stdout
    assert evt("help", "config", "set").stdout == evt("config", "set", "--help").stdout
    assert evt("help", "privacy").stdout == text_of("privacy")
    everything = evt("help").stdout
    assert all(name in everything for name in (*COMMANDS, *TOPICS))


def test_what_is_neither_is_a_usage_error(evt: Evt) -> None:
    for names in (["nonsense"], ["run", "set"], ["privacy", "run"]):
        assert "evt help" in evt("help", *names, code=2).stderr
