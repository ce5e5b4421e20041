"""Shell completion: scripts for the shells, and what they are answered: commands, options, ids, names, files."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from cli import main as cli
from cli.commands.completion import SHELLS
from cli.completion import OFFERED_MAX, PIPELINES, RECORDINGS
from tests.support.cli import ROOT, Evt
from tests.support.homes import head_of, lines_of, listed, place
from tests.support.runs import History

IDS = [f"{number:02x}{number:014x}" for number in range(1, 4)]
NAMES = ["talk of Anna.wav", "Budget's end.wav", "x;rm.wav"]


@pytest.fixture
def known(evt: Evt) -> Evt:
    """Three pipelines, which a list has seen."""
    for pipeline, name in zip(IDS, NAMES, strict=True):
        made = History()
        made.run()
        made.events[0].input["name"] = name  # type: ignore[attr-defined] # the pipeline's first event
        lines = lines_of(pipeline, made.events)
        place(evt.home / "logs", f"{pipeline}.jsonl", b"".join(lines))
        place(evt.home / "logs", f"{pipeline}.head", head_of(lines[-1]))
    listed(evt.home / "logs", evt.home / "index.sqlite")
    return evt


def answers(evt: Evt, *words: str, shell: str = "zsh") -> list[str]:
    """Return what is offered for the last word."""
    line = {
        "COMP_WORDS": " ".join(["evt", *words]),
        "COMP_CWORD": str(len(words)),
        "_EVT_COMPLETE": f"{shell}_complete",
    }
    done = evt(**line)
    assert done.stderr == ""
    if shell == "bash":
        return [item.partition(",")[2] for item in done.stdout.splitlines() if item.startswith("plain,")]
    lines = done.stdout.splitlines()
    return [value for kind, value in zip(lines[::3], lines[1::3], strict=False) if kind == "plain"]


def test_commands_options_and_their_values_are_offered(known: Evt) -> None:
    assert answers(known, "sh") == ["show"]
    assert "--speakers" in answers(known, "run", "--spe")
    assert answers(known, "run", "--refresh", "di") == ["diarization"]


@pytest.mark.parametrize("shell", SHELLS)
def test_ids_and_names_are_offered(known: Evt, shell: str) -> None:
    if shell == "fish":
        done = known(_EVT_COMPLETE="fish_complete", COMP_WORDS="evt show 02", COMP_CWORD="02")
        assert IDS[1] in done.stdout
        return
    assert answers(known, "show", "02", shell=shell) == [IDS[1]]
    assert answers(known, "show", "02", "--json", shell=shell) == ["--json"]
    assert [name.replace("\\", "") for name in answers(known, "path", "Bud", shell=shell)] == ["Budget's end.wav"]
    assert {name.replace("\\", "") for name in answers(known, "validate", '""', shell=shell)} >= {*IDS, *NAMES}


def test_where_a_recording_is_meant_files_come_first(known: Evt) -> None:
    assert answers(known, "run", '""') == []
    (known.work / "0night.wav").touch()
    assert answers(known, "run", "0") == ["0night.wav", *sorted(IDS)]


def test_a_home_that_no_list_has_seen_offers_ids_and_nothing_is_written(known: Evt) -> None:
    index = known.home / "index.sqlite"
    index.unlink()
    assert answers(known, "show", "03") == [IDS[2]]
    assert not index.exists()
    assert answers(known, "show", "zz") == []
    index.write_bytes(b"damaged" * 1000)
    assert answers(known, "show", "03") == [IDS[2]]


def test_the_commands_that_take_pipelines_are_just_those() -> None:
    context = click.Context(cli.evt)
    commands = {name: cli.evt.get_command(context, name) for name in cli.COMMANDS}
    shown = {
        name: parameter.metavar or ""
        for name, command in commands.items()
        if command is not None
        for parameter in command.params
        if isinstance(parameter, click.Argument) and "ID" in (parameter.metavar or "").strip("[].").split("|")
    }
    assert set(shown) == PIPELINES
    assert {name for name, metavar in shown.items() if metavar.lstrip("[").startswith("FILE")} == RECORDINGS
    assert OFFERED_MAX < 1000


def test_an_id_is_completed_without_the_command_and_without_reading_a_log(known: Evt) -> None:
    program = (
        "import sys, atexit; from cli.main import main\n"
        "atexit.register(lambda: print('LOADED', *sys.modules))\n"
        "main([])"
    )
    line = {"COMP_WORDS": "evt show 02", "COMP_CWORD": "2", "_EVT_COMPLETE": "bash_complete"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=known.environment(**line),
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert IDS[1] in done.stdout
    loaded = set(done.stdout.rpartition("LOADED ")[2].split())
    never = {
        "cli.commands.show",
        "projections.fold",
        "projections.events",
        "eventlog.store",
        "pipeline.runner",
        "numpy",
    }
    assert sorted(never & loaded) == []


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_of_each_shell_is_printed_and_accepted_by_it(evt: Evt, shell: str, tmp_path: Path) -> None:
    script = evt("completion", shell).stdout
    assert "_EVT_COMPLETE" in script
    if shutil.which(shell):
        path = tmp_path / "script"
        path.write_text(script)
        subprocess.run([shell, "-n", path], check=True, capture_output=True)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_what_the_help_says_works_in_an_empty_home(evt: Evt, tmp_path: Path) -> None:
    said = evt("completion", "--help").stdout
    lines = [line.strip() for line in said.splitlines() if line.strip().startswith(("mkdir", "evt completion"))]
    program = f'evt() {{ {sys.executable} -c "from cli.main import main; main()" "$@"; }}'
    home = tmp_path / "empty"
    home.mkdir()
    subprocess.run(
        ["bash", "-ec", "\n".join([program, *lines])], env=evt.environment(HOME=str(home)), cwd=home, check=True
    )
    made = {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file() and path.stat().st_size}
    places = (".local/share/bash-completion/completions/evt", ".zfunc/_evt", ".config/fish/completions/evt.fish")
    assert made == {*places}
    readme = (ROOT / "README.md").read_text()
    assert all(f"$ {line}\n" in readme for line in lines[:2])


def test_bash_itself_completes_a_name_with_spaces_and_quotes(known: Evt) -> None:
    """The function that the script defines is called as bash calls it; `evt` is the one of this checkout."""
    program = f"""
evt() {{ :; }}
env() {{ command env "${{@:1:$#-1}}" {sys.executable} -c 'from cli.main import main; main([])'; }}
{known("completion", "bash").stdout}
COMP_WORDS=(evt show Bud); COMP_CWORD=2
_evt_completion evt Bud show
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(
        ["bash", "-c", program], cwd=known.work, env=known.environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[0] == r"Budget\'s\ end.wav"
