"""Which setting wins: flags, the environment, files and the profile among them; limits and what they can be."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.errors import SettingsError
from cli.options import named_from
from cli.settings.limits import LIMITS, checked_limit, shown_limit, stored_limit
from cli.settings.settings import Settings, load_settings
from projections.limits import IN_DOUBT, Limits
from projections.money import Money
from projections.options import ENVIRONMENT, FILE, FLAG, resolve_options
from projections.state import PipelineState


class Place:
    """A home and a current folder."""

    def __init__(self, root: Path) -> None:
        self.home = root / "home"
        self.home.mkdir()
        self.folder = root / "folder"
        self.folder.mkdir()

    def write(self, config: str = "", local: str = "") -> None:
        (self.home / "config.toml").write_text(config)
        (self.folder / "evt.toml").write_text(local)

    def trust(self) -> None:
        (self.home / "trusted").write_text(f"{self.folder.resolve()}\n")

    def load(self, flags: dict[str, Any] | None = None, **environment: str) -> Settings:
        return load_settings(str(self.home), environment=environment, flags=flags)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    made = Place(tmp_path)
    monkeypatch.chdir(made.folder)
    return made


def option_of(settings: Settings, name: str, **flags: Any) -> tuple[Any, str]:
    option = resolve_options(named_from(flags, settings), PipelineState(""))[name]
    return option.value, option.source


def test_without_any_setting_the_limits_are_the_documented_ones(place: Place) -> None:
    settings = place.load()
    assert settings.limits == Limits()
    assert settings.limits == Limits(
        max_cost=None,
        max_batch_cost=None,
        in_doubt="auto",
        in_doubt_amount=Money(Decimal("0.25"), "USD"),
        in_doubt_share=Decimal("0.05"),
        grace_s=60.0,
        attempts=6,
        retry_wait_s=0.5,
        retry_limit_s=900.0,
    )
    assert settings.profile is None


def test_after_a_termination_the_grace_is_never_longer_than_what_is_left_before_the_kill() -> None:
    assert Limits().term_grace_s == 8
    assert Limits(grace_s=3).term_grace_s == 3


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_comes_from_a_flag_the_environment_and_files_in_this_order(place: Place, name: str) -> None:
    values = ["ask", "repeat", "stop", "auto"] if name == "in_doubt" else ["0.5", "0.25", "0.75", "1"]
    values = ["2", "3", "4", "5"] if name in {"attempts", "jobs"} else values
    wanted = [checked_limit(name, value, "here") for value in values]
    place.trust()
    place.write(config=f'{name} = "{values[3]}"', local=f'{name} = "{values[2]}"')
    variable = {f"EVT_{name.upper()}": values[1]}
    assert getattr(place.load({name: values[0]}, **variable).limits, name) == wanted[0]
    assert getattr(place.load({name: None}, **variable).limits, name) == wanted[1]
    assert getattr(place.load().limits, name) == wanted[2]
    (place.home / "trusted").unlink()
    settings = place.load()
    assert getattr(settings.limits, name) == wanted[3]
    assert any(name in note and "evt trust" in note for note in settings.ignored)


def test_limits_are_no_stage_options(place: Place) -> None:
    place.write(config='max_cost = 5\n[profiles.p]\nin_doubt = "stop"')
    settings = place.load({"profile": "p", "max_batch_cost": "7"})
    named = named_from({"max_cost": "1", "profile": "p"}, settings)
    assert [{*named.options}, {*named.environment}, {*named.files}] == [set(), set(), set()]
    assert settings.limits.max_cost == Money(Decimal(5), "USD")
    assert settings.limits.in_doubt == "stop"


@pytest.mark.parametrize(
    ("name", "written", "value"),
    [
        ("max_cost", "2.50", Money(Decimal("2.50"), "USD")),
        ("max_cost", "2.50 EUR", Money(Decimal("2.50"), "EUR")),
        ("max_cost", "2.5eur", Money(Decimal("2.5"), "EUR")),
        ("max_cost", 0, Money(Decimal(0), "USD")),
        ("max_batch_cost", 2.5, Money(Decimal("2.5"), "USD")),
        ("in_doubt_amount", "0.000001", Money(Decimal("0.000001"), "USD")),
        ("in_doubt_share", 0.05, Decimal("0.05")),
        ("in_doubt_share", "1", Decimal(1)),
        ("grace_s", 0, 0.0),
        ("grace_s", "2.5", 2.5),
        ("attempts", "6", 6),
        ("attempts", 1, 1),
        ("retry_limit_s", 86400, 86400.0),
    ],
)
def test_limits_are_read_from_text_and_numbers_alike(name: str, written: Any, value: Any) -> None:
    found = checked_limit(name, written, "here")
    assert (found, type(found)) == (value, type(value))


BAD = [
    "",
    " ",
    "-1",
    "nan",
    "inf",
    "1e9",
    "1e999",
    "9" * 40,
    "1,5",
    "٣",
    "1 USDX",
    "1 €",
    "1  USD",
    "one",
    "\n1",
    "1\n",
]


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize(
    "value", [*BAD, True, None, -1, float("nan"), float("inf"), [], {}, ["1"], {"a": "sk-canary"}]
)
def test_what_cannot_be_a_limit_is_refused_with_its_place(name: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=f"^here: {name} can't be") as caught:
        checked_limit(name, value, "here")
    assert "canary" not in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("in_doubt_share", "1.01"), ("attempts", 0), ("attempts", 101), ("attempts", 1.5), ("grace_s", 86401),
        ("in_doubt", "Ask"), ("in_doubt", 1),
    ],
)  # fmt: skip
def test_limits_have_limits(name: str, value: Any) -> None:
    with pytest.raises(SettingsError):
        checked_limit(name, value, "here")


amounts = st.decimals(0, 10**6, places=4).map(str)


@given(
    st.one_of(
        st.tuples(
            st.sampled_from(["max_cost", "in_doubt_amount"]), st.builds("{} {}".format, amounts, st.just("EUR"))
        ),
        st.tuples(st.just("in_doubt"), st.sampled_from(IN_DOUBT)),
        st.tuples(st.sampled_from(["grace_s", "retry_wait_s"]), st.decimals(0, 86400, places=4).map(str)),
        st.tuples(st.just("in_doubt_share"), st.decimals(0, 1, places=4).map(str)),
        st.tuples(st.just("attempts"), st.integers(1, 100).map(str)),
    )
)
def test_a_limit_that_is_stored_or_shown_is_read_again_as_it_was(limit: tuple[str, str]) -> None:
    name, text = limit
    value = checked_limit(name, text, "here")
    assert checked_limit(name, stored_limit(value), "here") == value
    assert checked_limit(name, shown_limit(value), "here") == value


def test_a_limit_in_a_currency_that_nothing_can_be_compared_with_is_refused(place: Place) -> None:
    assert place.load({"max_cost": "2 EUR"}).limits.max_cost == Money(Decimal(2), "EUR")
    with pytest.raises(SettingsError, match="EUR, USD"):
        place.load({"max_cost": "2 GBP"})
    (place.home / "services.toml").write_text('[rates]\nGBP = "1.3"\n')
    assert place.load({"max_cost": "2 GBP"}).limits.max_cost == Money(Decimal(2), "GBP")


CLOUD = (
    '[profiles.cloud]\ntranscriber = "script:/x"\nlanguage = "de"\nin_doubt = "stop"\noutput_dir = "of-profile"\n'
)


def test_a_profile_has_the_rank_of_what_chose_it(place: Place) -> None:
    place.write(config=CLOUD)
    assert option_of(place.load(), "transcriber") == ("auto", "default")
    by_flag = place.load({"profile": "cloud"})
    assert option_of(by_flag, "transcriber") == ("script:/x", FLAG)
    assert option_of(by_flag, "language", language="fr") == ("fr", FLAG)
    assert (by_flag.profile, by_flag.limits.in_doubt, str(by_flag.output_dir)) == ("cloud", "stop", "of-profile")
    by_variable = place.load(EVT_PROFILE="cloud")
    assert option_of(by_variable, "transcriber") == ("script:/x", ENVIRONMENT)
    place.write(config=f'profile = "cloud"\nlanguage = "en"\n{CLOUD}')
    by_file = place.load()
    assert option_of(by_file, "transcriber") == ("script:/x", FILE)
    assert option_of(by_file, "language") == ("de", FILE)
    assert by_file.origins["language"].endswith("config.toml [profiles.cloud]")


def test_a_flag_and_a_variable_beside_a_profile_win_over_it(place: Place) -> None:
    place.write(config=CLOUD)
    settings = place.load({"profile": "cloud", "in_doubt": "ask"})
    assert settings.limits.in_doubt == "ask"
    settings = place.load(EVT_PROFILE="cloud", EVT_LANGUAGE="fr", EVT_IN_DOUBT="repeat")
    assert option_of(settings, "language") == ("fr", ENVIRONMENT)
    assert settings.limits.in_doubt == "repeat"
    assert option_of(place.load({"profile": "cloud"}, EVT_LANGUAGE="fr"), "language") == ("de", FLAG)


def test_only_one_profile_counts(place: Place) -> None:
    other = "[profiles.other]\nspeakers = 3\n[profiles.empty]\n"
    place.write(config=f'profile = "cloud"\n{CLOUD}{other}')
    settings = place.load({"profile": "empty"}, EVT_PROFILE="other")
    assert settings.profile == "empty"
    assert [option_of(settings, name)[0] for name in ("language", "speakers")] == ["auto", None]


def test_an_unknown_profile_is_refused_with_those_that_there_are(place: Place) -> None:
    with pytest.raises(SettingsError, match=r"^--profile: there is no profile 'x'\. There are none\."):
        place.load({"profile": "x"})
    place.write(config=f"{CLOUD}[profiles.other]\n")
    for flags, variables, origin in (
        ({"profile": "x"}, {}, "--profile"),
        ({}, {"EVT_PROFILE": "x"}, r"\$EVT_PROFILE"),
    ):
        with pytest.raises(SettingsError, match=rf"^{origin}: there is no profile 'x'\. There are: cloud, other\."):
            place.load(flags, **variables)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ('[profiles.p]\nlangauge = "de"', "langauge"),
        ('[profiles.p]\nspeakers = "two"', r"\[profiles.p\]: speakers can't be"),
        ('[profiles.p]\nprofile = "q"', "no setting"),
        ('[profiles.p]\nhome = "/x"', "no setting"),
        ("[profiles.p.openai]\nconcurrency = 1", "no setting"),
        ("profiles = 1", "must be a table"),
        ("[profiles]\np = 1", "must be a table"),
        ('[profile.p]\nlanguage = "de"', r"\[profiles.NAME\]"),
        ('home = "/x"', "no setting"),
        ('[language]\nx = "sk-canary"', "language can't be a table"),
        ('["Not A Name"]\nx = "sk-canary"', "no setting"),
        ('openai = "sk-canary"', "no setting"),
        ('openai_api_key = "sk-canary"', "no setting"),
    ],
)
def test_what_a_believed_file_cannot_hold_is_refused_also_in_a_profile_that_is_not_chosen(
    place: Place, config: str, says: str
) -> None:
    place.write(config=config)
    with pytest.raises(SettingsError, match=says) as caught:
        place.load()
    assert "canary" not in str(caught.value)


def test_a_folder_that_is_not_trusted_sets_nothing_but_free_options_and_stops_nothing(place: Place) -> None:
    hostile = (
        'home = "/x"\nprofile = "p"\ntranscriber = 7\nmax_cost = 0\nlanguage = "de"\nnonsense = "\\u001b[31m"\n'
    )
    hostile += '[profiles.p]\nwhat = 1\n[openai]\nbase_url = "http://evil.example"\nwhat = 1\n'
    place.write(local=hostile)
    settings = place.load({"profile": None})
    assert settings.files == {"language": "de"}
    assert (settings.limits, settings.profile, settings.home.root) == (Limits(), None, place.home)
    assert settings.access["openai"].url is None
    names = ["home", "profile", "transcriber", "max_cost", "nonsense", "profiles", "openai"]
    assert [note.split("'")[1] for note in settings.ignored] == names
    assert "\x1b" not in "".join(settings.ignored)


def test_a_trusted_folder_has_profiles_of_its_own_over_those_of_the_home(place: Place) -> None:
    place.trust()
    place.write(config=CLOUD, local='profile = "cloud"\n[profiles.cloud]\nlanguage = "fr"\n')
    settings = place.load()
    assert option_of(settings, "language") == ("fr", FILE)
    assert option_of(settings, "transcriber") == ("script:/x", FILE)


def test_settings_are_read_without_anything_being_written(place: Place) -> None:
    before = sorted(place.home.rglob("*"))
    assert place.load(OPENAI_API_KEY="k").access["openai"].account == ""
    assert sorted(place.home.rglob("*")) == before
    assert place.load(OPENAI_API_KEY="k").with_accounts().access["openai"].account
    assert place.load(OPENAI_API_KEY="k").access["openai"].account
