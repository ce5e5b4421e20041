"""Providers by name: ours from a table, those of other packages by their entry points, broken ones without harm."""

import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from pipeline.errors import ServicesFileError
from pipeline.providers.context import Context
from pipeline.providers.foreign import DIARIZER, GROUPS, TRANSCRIBER
from pipeline.providers.registry import CANDIDATES, OURS, Providers, best_local
from pipeline.providers.remote import Access
from pipeline.providers.services import load_services
from pipeline.secret import Secret
from projections.engine import Engine, with_probed
from tests.support import packages

ROOT = Path(__file__).parent.parent

GOOD = """
from attrs import evolve
from pipeline.providers.transcribe_builtin import BuiltinTranscriber
from projections.engine import Engine

class Transcriber(BuiltinTranscriber):
    def __init__(self, context):
        super().__init__()
        self.context = context

    def engine(self):
        return Engine("NAME", 3, languages=("en",))

def make(context):
    return Transcriber(context)
"""


@pytest.fixture
def bring(tmp_path, monkeypatch):
    """Install packages, each of which brings one provider, and put them on the search path."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(name, source, *, kind=TRANSCRIBER, package=None):
        module = f"{package or name}_module".replace("-", "_")
        points = f"[{GROUPS[kind]}]\n{name} = {module}:make\n"
        packages.install(tmp_path, package or name, points, {f"{module}.py": source.replace("NAME", name)})

    return install


def lacking(name, kind=TRANSCRIBER):
    found = Providers({}).engines(*((name, "builtin") if kind == DIARIZER else ("none", name)), None)
    return found[0 if kind == DIARIZER else 1][name].lacking


def test_the_entry_points_of_our_own_package_are_those_of_the_table():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"] == {GROUPS[kind]: dict(names) for kind, names in OURS.items()}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in OURS for name in OURS[kind]])
def test_every_name_of_ours_leads_to_a_provider_of_that_name(kind, name):
    """A file that isn't part of this installation is the only thing that may be lacking of one."""
    module, _, function = OURS[kind][name].partition(":")
    engine = Providers({}).every_engine()[0 if kind == DIARIZER else 1][name]
    assert engine.name == name
    if find_spec(module):
        assert callable(getattr(import_module(module), function))
    else:
        assert (
            engine.lacking == f"This installation of evt lacks the file of {name!r} ({module}). Install evt again."
        )


def test_a_plan_gets_what_was_named_and_what_auto_may_become_and_nothing_else():
    diarizers, transcribers, _ = Providers({}).engines("none", "builtin", None)
    assert (set(diarizers), set(transcribers)) == ({"none"}, {"builtin"})
    diarizers, transcribers, best = Providers({}).engines("auto", "auto", None)
    assert (set(diarizers), set(transcribers)) == (set(CANDIDATES[DIARIZER]), set(CANDIDATES[TRANSCRIBER]))
    assert best == best_local(transcribers)


def test_the_best_local_transcriber_is_the_first_that_is_ready():
    ready, not_ready = Engine("whisper", 1), Engine("whisper", 1, lacking="a model")
    assert best_local({"whisper": ready, "builtin": Engine("builtin", 1)}) == "whisper"
    assert best_local({"whisper": not_ready, "builtin": Engine("builtin", 1)}) == "builtin"
    assert best_local({"somebody-elses": Engine("somebody-elses", 1)}) == "builtin"


def test_a_name_that_nobody_brings_lacks_everything_and_the_others_are_named(bring):
    bring("loud", GOOD)
    said = lacking("nothing")
    assert said.startswith("there is no transcription engine 'nothing'; there are: builtin, loud, openai, ")
    assert lacking("nothing", DIARIZER).startswith("there is no diarization engine 'nothing'; there are: builtin, ")
    with pytest.raises(KeyError):
        Providers({}).transcriber("nothing", None)


def test_a_provider_of_another_package_is_found_by_its_name_and_made_with_its_context(bring, tmp_path):
    bring("loud", GOOD)
    access = Access(url="http://127.0.0.1", key=Secret("k"))
    providers = Providers({"A": "1"}, access={"loud": access}, voiceprints=tmp_path)
    assert providers.engines("none", "loud", "big")[1]["loud"].version == 3
    context = providers.transcriber("loud", "big").context
    assert context == Context("big", {"A": "1"}, access, providers.services, tmp_path)
    assert "loud" in providers.every_engine()[1]


def test_a_diarizer_takes_its_model_behind_its_name(bring):
    source = GOOD.replace("def make", "Transcriber.diarize = print\ndef make")
    bring("turns", source, kind=DIARIZER)
    providers = Providers({})
    assert providers.diarizer("turns:models/big").context.model == "models/big"
    assert providers.diarizer("turns").context.model is None
    assert providers.engines("turns:x", "builtin", None)[0]["turns:x"].version == 3


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("import not_there", "ModuleNotFoundError"),
        ("raise RuntimeError('at import')", "RuntimeError"),
        ("import sys; sys.exit(1)", "SystemExit"),
        ("def make", "SyntaxError"),
        ("", "AttributeError"),
        ("make = 5", "TypeError"),
        ("def make(context): return None", "TypeError"),
        ("def make(context): return 1 / 0", "ZeroDivisionError"),
        (GOOD.replace('return Engine("NAME", 3, languages=("en",))', "return {}"), "TypeError"),
        (GOOD.replace('return Engine("NAME", 3, languages=("en",))', "return 1 / 0"), "ZeroDivisionError"),
        (GOOD.replace('Engine("NAME"', 'Engine("builtin"'), "ValueError"),
    ],
)
def test_a_broken_package_is_listed_with_what_is_wrong_and_breaks_nothing_else(bring, source, error):
    name = f"broken-{abs(hash(source))}"
    bring(name, source)
    said = lacking(name)
    assert f"The package {name} 1.0 brings a transcriber '{name}' that can't be used here ({error} in " in said
    assert said.endswith("Update or uninstall that package, or ask its authors.")
    _, transcribers = Providers({}).every_engine()
    assert transcribers[name].lacking == said
    assert transcribers["builtin"].name == "builtin"


def test_our_own_names_are_never_taken_by_another_package(bring):
    for name in ("builtin", "auto", "script", "script:x"):
        bring(name, GOOD.replace("3", "99"), package=f"taker-of-{name.replace(':', '-')}")
    providers = Providers({})
    _, transcribers = providers.every_engine()
    assert transcribers["builtin"].version == 1
    assert set(transcribers) == set(OURS[TRANSCRIBER])
    assert len(providers.shadowed()) == 4
    assert "'builtin' of another package is passed over" in " ".join(providers.shadowed())


def test_a_name_that_two_packages_bring_belongs_to_neither(bring):
    bring("twice", GOOD, package="first-one")
    bring("twice", GOOD, package="second-one")
    said = lacking("twice")
    assert "first-one 1.0" in said
    assert "second-one 1.0" in said
    assert said.endswith("each bring a transcriber 'twice', so none is taken. Uninstall all but one.")


def test_what_an_older_installation_of_evt_says_of_itself_is_not_heard(bring):
    bring("oldname", GOOD, package="evt-transcribe")
    assert "there is no transcription engine" in lacking("oldname")


@pytest.mark.parametrize(
    ("doing", "looks"),
    [
        ("Providers({}).engines('auto', 'auto', None)", False),
        ("Providers({}).engines('none', 'openai', None)", False),
        ("main(['--home', 'no-such-home', 'list'])", False),
        ("main(['--help'])", False),
        ("main(['run', '--help'])", False),
        ("Providers({}).engines('none', 'somebody-elses', None)", True),
        ("Providers({}).every_engine()", True),
    ],
)
def test_entry_points_are_looked_for_only_where_somebody_elses_provider_may_be_wanted(
    bring, doing, looks, tmp_path
):
    """Looking for them reads a file of every installed package."""
    bring("somebody-elses", GOOD)
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); seen = [];"
        "sys.addaudithook(lambda event, args: seen.append(str(args[0])) if event == 'open' else None);"
        "from cli.main import _run as main; from pipeline.providers.registry import Providers;"
        f"{doing}; print(any(name.endswith('entry_points.txt') for name in seen))"
    )
    printed = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert printed.stdout.splitlines()[-1] == str(looks)


def test_services_come_from_evt_unless_others_are_given(tmp_path):
    override = tmp_path / "services.toml"
    override.write_text("[openai]\nconcurrency = 9\n")
    assert Providers({}).services.service("openai")["concurrency"] == 4
    assert Providers({}, services=load_services(override)).services.service("openai")["concurrency"] == 9
    override.write_text("date = ")
    with pytest.raises(ServicesFileError):
        load_services(override)


def test_what_was_found_out_replaces_the_guess_and_only_a_guess():
    guessed = Engine("openai", 1, origin="http://127.0.0.1", model="m", facts={"format": "json"}, unprobed=True)
    probed = {
        ("openai", "http://127.0.0.1", "m"): {"format": "verbose_json", "word_times": False, "speakers": True}
    }
    found = with_probed(guessed, probed)
    assert (found.word_times, found.speakers, found.unprobed) == (False, True, False)
    assert found.facts == {"format": "verbose_json", "word_times": False, "speakers": True}
    for other in (
        Engine("openai", 1, origin="http://127.0.0.1", model="m", facts={"format": "json"}),
        Engine("openai", 1, origin="http://127.0.0.1", model="n", unprobed=True),
        Engine("openai", 1, origin="https://elsewhere", model="m", unprobed=True),
    ):
        assert with_probed(other, probed) is other


def test_what_was_found_out_reaches_the_engines_of_a_plan(bring):
    bring("server", GOOD.replace('languages=("en",)', 'unprobed=True, origin="o", model="m"'))
    _, found, _ = Providers({}).engines("none", "server", "m", {("server", "o", "m"): {"word_times": False}})
    assert (found["server"].word_times, found["server"].unprobed) == (False, False)
