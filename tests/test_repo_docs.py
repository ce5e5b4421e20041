"""The documents say what the program does: generated pages are fresh, links lead somewhere, commands exist."""

import importlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest

from cli import exit_codes
from cli import main as cli
from cli.settings.access import _KEY_VARIABLES, FIELDS, PROVIDERS
from cli.settings.limits import LIMITS
from eventlog.errors import EvtError
from projections.events import EVENTS
from projections.graph import DEFAULTS, FORMATS, STAGES
from projections.limits import IN_DOUBT

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
README = (ROOT / "README.md").read_text()

OTHER_PROGRAMS = {"find", "cat", "make", "mkdir", "python3", "rm"}
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = load_generator()


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def consoles(text: str) -> list[str]:
    """Return the blocks that show a terminal."""
    return re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[str]:
    return [
        line.removeprefix("$ ") for block in consoles(text) for line in block.splitlines() if line.startswith("$")
    ]


def anchors(text: str) -> set[str]:
    """Return what a page's headings are called in links, as GitHub makes it of them."""
    headings = re.findall(r"^#+ (.+)$", CODE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", ["cli.md", "events.md", "man/evt.1"])
def test_a_generated_page_is_fresh(name):
    """If this fails, call `make docs` and look at what changed."""
    assert (DOCS / name).read_text() == GENERATOR.pages()[name]


@pytest.mark.skipif(shutil.which("man") is None or shutil.which("groff") is None, reason="needs man and groff")
def test_the_man_page_is_one_and_names_every_command_and_exit_code():
    page = DOCS / "man" / "evt.1"
    environment = {**os.environ, "MANWIDTH": "100", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        ["man", "--warnings=w", "-l", page], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    shown = re.sub(r".\x08", "", done.stdout)
    shown = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert [name for name in cli.COMMANDS if f"   evt {name}\n" not in shown] == []
    assert [code for code in GENERATOR.EXIT_CODES if not re.search(rf"^ +{code}( |$)", shown, re.MULTILINE)] == []
    assert "evt run talk.wav --language de --transcriber whisper" in shown


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_is_documented(command):
    assert f"evt-{command}" in anchors((DOCS / "cli.md").read_text())
    assert f"| `evt {command}` | {cli.COMMANDS[command]} |" in README


def test_every_command_says_the_same_in_the_list_and_in_its_own_help():
    context = click.Context(cli.evt)
    found = {name: cli.evt.get_command(context, name) for name in cli.COMMANDS}
    assert {name: command.short_help for name, command in found.items() if command} == cli.COMMANDS


def test_every_exit_code_is_documented():
    own = {name: value for name, value in vars(exit_codes).items() if name.isupper() and isinstance(value, int)}
    assert set(own.values()) == set(GENERATOR.EXIT_CODES)


def test_every_error_that_has_an_exit_code_exists():
    """The table is by name, so a renamed class would silently become exit code 1."""
    for path in [*(ROOT / "cli").glob("*.py"), *(ROOT / "cli" / "commands").glob("*.py")]:
        importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    assert set(exit_codes._EXIT_CODES) <= {error.__name__ for error in _descendants(EvtError)}


def test_every_event_and_each_of_its_fields_is_explained():
    page = (DOCS / "events.md").read_text()
    assert {type_.replace(".", "") for type_ in EVENTS} <= anchors(page)
    assert re.findall(r"^\| `\w+` \| .* \|\s*\|$", page, re.MULTILINE) == []


def test_every_setting_is_documented():
    page = (DOCS / "settings.md").read_text()
    assert [name for name in DEFAULTS if f"| `{name}` | `--" not in page or f"EVT_{name.upper()}" not in page] == []


def test_every_limit_and_variable_of_a_service_is_documented():
    page = (DOCS / "settings.md").read_text()
    names = [name for name in LIMITS if f"| `{name}` |" not in page or f"`EVT_{name.upper()}`" not in page]
    variables = [f"{name.upper()}_BASE_URL" for name in PROVIDERS] + [
        "OPENAI_API_KEY",
        *_KEY_VARIABLES["pyannoteai"],
    ]
    assert [*names, *(name for name in (*variables, *FIELDS, *IN_DOUBT) if f"`{name}`" not in page)] == []


def test_the_documents_name_every_stage_and_format():
    text = README + (DOCS / "architecture.md").read_text() + (DOCS / "cli.md").read_text()
    assert [name for name in (*STAGES, *FORMATS) if name not in text] == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page):
    for target in LINK.findall(CODE.sub("", page.read_text())):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked.read_text()), target


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_that_are_shown_exist_and_take_these_options(page):
    for line in commands(page.read_text()):
        program, *arguments = shlex.split(line)
        if program != "evt":
            assert program in OTHER_PROGRAMS, line
            continue
        assert arguments[0] in cli.COMMANDS, line
        command = cli.evt.get_command(click.Context(cli.evt), arguments[0])
        assert command is not None
        command.make_parser(click.Context(command)).parse_args(arguments[1:])


@pytest.mark.parametrize(
    "target", ["check", "test", "pyannote", "demo", "accuracy", "oracles", "bench", "proofs", "docs"]
)
def test_every_make_target_is_explained(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert f"| `make {target}` |" in (ROOT / "CONTRIBUTING.md").read_text()


def test_the_changelog_of_each_release_begins_with_the_log_format():
    releases = re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[1:]
    assert releases
    assert all(re.search(r"^### (.*)$", text, re.MULTILINE)[1] == "Log format" for text in releases)


@pytest.mark.slow
def test_the_demo_of_the_readme_prints_what_it_says(tmp_path):
    """Times and hashes vary, and so may the words of a draft; everything else is compared."""
    shutil.copytree(ROOT / "samples", tmp_path / "samples")
    evt = Path(sys.executable).with_name("evt")
    environment = {**os.environ, "EVT_HOME": str(tmp_path / "home"), "PATH": f"{evt.parent}:{os.environ['PATH']}"}
    demo = README.split("## Try it")[1].split("\n## ")[0]
    shown = [part.partition("\n") for block in consoles(demo) for part in re.split(r"^\$ ", block, flags=re.M)[1:]]
    assert len(shown) >= 4
    for line, _, output in shown:
        said = subprocess.run(
            ["/bin/sh", "-c", f"{line} 2>&1"],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert masked(output) == masked(said), line


def masked(text: str) -> list[str]:
    """Return the lines of an output without what differs from day to day."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", text)
    text = re.sub(r"\b(\d+ min )?\d+(\.\d+)? s\b", "SECONDS", text)
    text = re.sub(r"\b\d+ words", "WORDS", text)
    text = re.sub(r"(\] SPEAKER_\d\d: ).*", r"\1SPEECH", text)
    first_run = text.partition("\nLogs and copies of the audio")[0]
    return [line.rstrip() for line in first_run.strip().splitlines()]


def _descendants(cls: type) -> set[type]:
    return {cls, *(found for child in cls.__subclasses__() for found in _descendants(child))}
