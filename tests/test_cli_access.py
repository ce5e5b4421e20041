"""Where keys and URLs come from: a key goes only where its own source says, and nothing shows one."""

from __future__ import annotations

import copy
import json
import os
import pickle
import threading
import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cli.errors import SettingsError
from cli.settings.access import Source, find_access, key_problem, load_access, paired, url_problem
from cli.settings.dotenv import parse_dotenv
from cli.settings.files import read_files
from pipeline.calls.accounts import home_key
from pipeline.home import Home
from pipeline.providers.remote import Access
from pipeline.secret import Secret

CANARY = "sk-canary-1234"


class Place:
    """A home and a current folder, with what stands in their files."""

    def __init__(self, root: Path) -> None:
        self.home = Home(root / "home")
        self.folder = root / "folder"
        self.home.root.mkdir()
        self.folder.mkdir()

    def trust(self) -> None:
        self.home.trusted.write_text(f"{self.folder.resolve()}\n")

    def write(self, *, config: str = "", local: str = "", variables: str = "") -> None:
        files = {self.home.config: config, self.folder / "evt.toml": local, self.folder / ".env": variables}
        for path, text in files.items():
            path.unlink(missing_ok=True)
            if text:
                path.write_text(text)
                path.chmod(0o600)

    def access(self, name: str = "openai", *, make: bool = False, **environment: str) -> Access:
        return load_access(self.home, environment, self.folder, make=make)[name]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def revealed(access: Access) -> str | None:
    return access.key.reveal() if access.key else None


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("openai", "OPENAI_API_KEY"),
        ("pyannoteai", "PYANNOTEAI_API_TOKEN"),
        ("pyannoteai", "PYANNOTEAI_API_KEY"),
        ("pyannoteai", "PYANNOTE_API_KEY"),
    ],
)
def test_a_key_of_the_environment_goes_to_the_provider_s_own_url(place: Place, name: str, variable: str) -> None:
    access = place.access(name, **{variable: CANARY})
    assert (access.url, revealed(access), access.source) == (None, CANARY, f"${variable}")
    assert (access.problem, access.note) == (None, None)


def test_without_any_source_there_is_neither_key_nor_problem(place: Place) -> None:
    assert place.access(OPENAI_API_KEY="", OPENAI_BASE_URL="") == Access()
    assert not place.home.account_key.exists()


def test_another_provider_is_looked_for_once_a_file_names_it(place: Place) -> None:
    environment = {"ACME_VOICE_API_KEY": CANARY, "ACME_VOICE_BASE_URL": "https://acme.example/v1"}
    assert "acme-voice" not in load_access(place.home, environment, place.folder)
    assert (
        revealed(load_access(place.home, environment, place.folder, names=["acme-voice"])["acme-voice"]) == CANARY
    )
    place.write(config="[acme-voice]\nconcurrency = 3\n")
    access = place.access("acme-voice", **environment)
    assert (access.url, revealed(access), access.concurrency) == ("https://acme.example/v1", CANARY, 3)


def test_files_of_a_folder_that_is_not_trusted_name_neither_key_nor_url_nor_number(place: Place) -> None:
    hostile = '[openai]\nbase_url = "http://evil.example"\napi_key = "theirs"\nconcurrency = 1000\n'
    variables = "OPENAI_BASE_URL=http://evil.example\nOPENAI_API_KEY=theirs\n"
    place.write(local=hostile + '[evil]\nbase_url = "http://evil.example"\n', variables=variables)
    assert place.access(OPENAI_API_KEY=CANARY) == Access(key=Secret(CANARY), source="$OPENAI_API_KEY")
    assert place.access() == Access()
    assert "evil" not in load_access(place.home, {}, place.folder)


def test_the_variables_of_a_folder_that_is_not_trusted_are_not_even_read(place: Place) -> None:
    """A link to itself can't be."""
    (place.folder / ".env").symlink_to(".env")
    assert place.access(OPENAI_API_KEY=CANARY).note is None
    place.trust()
    with pytest.raises(SettingsError, match=r"\.env can't be read"):
        place.access()


def test_a_pipe_in_the_place_of_a_settings_file_is_refused_rather_than_waited_for(place: Place) -> None:
    os.mkfifo(place.folder / "evt.toml")
    with pytest.raises(SettingsError, match="no regular file"):
        place.access()


def test_files_of_a_trusted_folder_come_between_the_environment_and_the_home(place: Place) -> None:
    place.trust()
    place.write(
        config='[openai]\napi_key = "of-home"\n',
        local='[openai]\napi_key = "of-folder"\n',
        variables="OPENAI_API_KEY=of-variables\n",
    )
    assert revealed(place.access(OPENAI_API_KEY="of-environment")) == "of-environment"
    assert revealed(place.access()) == "of-variables"
    (place.folder / ".env").unlink()
    assert revealed(place.access()) == "of-folder"
    (place.folder / "evt.toml").unlink()
    assert place.access().source == str(place.home.config)


def test_the_file_that_is_shared_cannot_send_the_key_of_the_file_that_is_not(place: Place) -> None:
    """A project's evt.toml may change with a download; its `.env` is the user's alone."""
    place.trust()
    place.write(local='[openai]\nbase_url = "http://new.example"\n', variables=f"OPENAI_API_KEY={CANARY}\n")
    access = place.access()
    assert (access.url, access.key) == ("http://new.example", None)
    assert access.note is not None
    assert ".env" in access.note
    assert access.problem is None


def test_a_key_that_is_passed_over_is_said_with_both_places(place: Place) -> None:
    place.write(config='[openai]\nbase_url = "http://127.0.0.1:9/v1"\napi_key = "mine"\n')
    access = place.access(OPENAI_API_KEY=CANARY)
    assert (access.url, revealed(access)) == ("http://127.0.0.1:9/v1", "mine")
    assert access.note is not None
    assert "$OPENAI_API_KEY" in access.note
    assert str(place.home.config) in access.note
    assert CANARY not in access.note
    access = place.access(OPENAI_BASE_URL="http://127.0.0.1:8/v1")
    assert (access.url, access.key, access.source) == ("http://127.0.0.1:8/v1", None, "$OPENAI_BASE_URL")
    assert access.note is not None
    assert "$OPENAI_BASE_URL" in access.note


texts = st.one_of(st.none(), st.sampled_from(["a", "b", "c"]))
sources = st.lists(
    st.builds(Source, url=texts, key=st.one_of(st.none(), st.sampled_from("xyz").map(Secret))), max_size=4
)


@given(sources)
@example([Source(key=Secret("x")), Source(url="a")])
@example([Source(url="a"), Source(key=Secret("x"))])
def test_a_key_is_never_used_with_the_url_of_another_source(found: list[Source]) -> None:
    chosen = paired(found)
    urls = [source.url for source in found if source.url]
    keys = [source.key for source in found if source.key]
    assert chosen == Source() or chosen in found
    assert chosen.url == (urls[0] if urls else None)
    if not urls:
        assert chosen.key == (keys[0] if keys else None)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=4, max_size=4))
def test_the_pair_rule_holds_for_the_real_sources(tmp_path_factory: pytest.TempPathFactory, said: list) -> None:
    """Each source that speaks at all says which it is, in its key and in its URL; the two always agree."""
    place = Place(tmp_path_factory.mktemp("place"))
    place.trust()
    parts = [
        {field: text for field, text, is_there in (("url", f"http://h{i}", url), ("key", f"k{i}", key)) if is_there}
        for i, (url, key) in enumerate(said)
    ]
    names = {"url": "base_url", "key": "api_key"}
    variables = [{f"OPENAI_{names[field].upper()}": text for field, text in part.items()} for part in parts]
    tables = [
        "".join(["[openai]\n", *(f'{names[field]} = "{text}"\n' for field, text in part.items())]) for part in parts
    ]
    place.write(
        config=tables[3],
        local=tables[2],
        variables="".join(f"{name}={text}\n" for name, text in variables[1].items()),
    )
    access = place.access(**variables[0])
    with_url = [i for i, part in enumerate(parts) if "url" in part]
    with_key = [i for i, part in enumerate(parts) if "key" in part]
    if with_url:
        first = with_url[0]
        assert access.url == f"http://h{first}"
        assert revealed(access) == (f"k{first}" if first in with_key else None)
        assert (access.note is None) == ((first in with_key and with_key[0] >= first) or not with_key)
    else:
        assert (access.url, revealed(access)) == (None, f"k{with_key[0]}" if with_key else None)
        assert access.note is None


@pytest.mark.parametrize(
    "key", ["with space", "line\nbreak", "carriage\r", "tab\t", "ключ", "nul\0", "\ud800", "\u200b"]
)
def test_what_cannot_be_a_key_is_a_problem_that_names_the_variable_and_shows_nothing(
    place: Place, key: str
) -> None:
    access = place.access(OPENAI_API_KEY=f"sk-{key}-end")
    assert access.key is None
    assert access.problem is not None
    assert access.problem.startswith("$OPENAI_API_KEY holds")
    assert key not in access.problem
    assert "sk-" not in repr(access)


@pytest.mark.parametrize(
    "url",
    [
        "api.openai.com/v1", "ftp://host", "http://:80", "http:///v1", "https://user:pw@host", "https://@host",
        "https://host?key=1", "https://host#x", "http://host:port", "http://host:99999", "http://a b", "http://h\n",
        "http://[::1",
    ],
)  # fmt: skip
def test_what_cannot_be_a_url_is_a_problem_and_no_key_goes_anywhere(place: Place, url: str) -> None:
    access = place.access(OPENAI_API_KEY=CANARY, OPENAI_BASE_URL=url)
    assert (access.url, access.key) == (None, None)
    assert access.problem is not None
    assert access.problem.startswith("$OPENAI_BASE_URL holds")
    assert url not in access.problem


@pytest.mark.parametrize("url", ["https://api.openai.com/v1", "http://127.0.0.1:8000", "http://[::1]:8000/v1/"])
def test_urls_of_services_are_taken_as_they_stand(url: str) -> None:
    assert url_problem(url, "$X") is None


@given(st.text(max_size=8))
def test_a_key_is_printable_ascii_without_white_space(text: str) -> None:
    good = bool(text) and all("!" <= char <= "~" for char in text)
    assert (key_problem(text, "$X") is None) == good


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("concurrency = 0", "1 to 1000"),
        ("concurrency = 2.5", "1 to 1000"),
        ("concurrency = true", "1 to 1000"),
        ("requests_per_minute = 0", "above 0"),
        ("requests_per_minute = nan", "above 0"),
        ('requests_per_minute = "60"', "above 0"),
        ("api_key = 12345678", "text"),
        ('base_url = ["sk-canary-1234"]', "text"),
        ('key = "sk-canary-1234"', "There are: api_key"),
        ('sk-canary-1234 = "x"', "There are: api_key"),
    ],
)
def test_a_table_with_what_cannot_be_is_refused_without_showing_it(place: Place, table: str, says: str) -> None:
    place.write(config=f"[openai]\n{table}\n")
    with pytest.raises(SettingsError, match=says) as caught:
        place.access()
    assert str(place.home.config) in str(caught.value)
    assert "12345678" not in str(caught.value)
    assert CANARY not in str(caught.value)


def test_a_file_that_cannot_be_parsed_is_refused_without_showing_what_it_holds(place: Place) -> None:
    for line in (
        f"api_key = {CANARY}",
        f'api_key = "{CANARY}',
        f'api_key = "{CANARY}" x',
        f'"{CANARY}" "{CANARY}"',
    ):
        place.write(config=f"[openai]\n{line}\n")
        with pytest.raises(SettingsError, match="can't be read") as caught:
            place.access()
        assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_numbers_come_from_the_first_file_that_names_them(place: Place) -> None:
    place.trust()
    place.write(config="[openai]\nconcurrency = 8\nrequests_per_minute = 60\n", local="[openai]\nconcurrency = 2\n")
    access = place.access()
    assert (access.concurrency, access.requests_per_minute) == (2, 60)


def test_a_file_with_a_key_that_others_may_read_is_noted_with_the_remedy(place: Place) -> None:
    place.trust()
    place.write(config=f'[openai]\napi_key = "{CANARY}"\n', variables="PYANNOTEAI_API_TOKEN=x\n")
    assert place.access().note is None
    for name, path in (("openai", place.home.config), ("pyannoteai", place.folder / ".env")):
        path.chmod(0o640)
        note = place.access(name).note
        assert note is not None
        assert f"chmod 600 {path}" in note
    place.write(config='[openai]\nbase_url = "http://127.0.0.1"\n')
    place.home.config.chmod(0o644)
    assert place.access().note is None


def test_accounts_have_names_that_only_the_home_can_make(tmp_path: Path) -> None:
    places = [Place(tmp_path / name) for name in ("one", "two") if not (tmp_path / name).mkdir()]
    names = [place.access(make=True, OPENAI_API_KEY=CANARY).account for place in places]
    assert all(len(bytes.fromhex(name)) == 4 for name in names)
    assert names[0] != names[1]
    again, other = places[0].access(OPENAI_API_KEY=CANARY), places[0].access(OPENAI_API_KEY="other")
    assert again.account == names[0]
    assert other.account != names[0]
    assert places[0].access("pyannoteai", PYANNOTEAI_API_TOKEN=CANARY).account != names[0]


def test_only_a_command_that_may_write_makes_the_key_that_names_accounts(place: Place) -> None:
    assert place.access(OPENAI_API_KEY=CANARY).account == ""
    assert list(place.home.root.iterdir()) == []
    assert place.access(make=True).account == ""
    assert list(place.home.root.iterdir()) == []
    assert place.access(make=True, OPENAI_API_KEY=CANARY).account
    assert [path.name for path in place.home.root.iterdir()] == ["account-key"]
    assert place.home.account_key.stat().st_mode & 0o777 == 0o600
    assert place.home.account_key.stat().st_size == 32


def test_all_who_make_the_key_that_names_accounts_at_once_get_the_same(place: Place) -> None:
    together = threading.Barrier(8)

    def make(_: int) -> bytes | None:
        together.wait()
        return home_key(place.home, make=True)

    with ThreadPoolExecutor(8) as pool:
        assert len({*pool.map(make, range(8))}) == 1
    assert [path.name for path in place.home.root.iterdir()] == ["account-key"]


def test_a_damaged_account_key_is_never_replaced_by_itself(place: Place) -> None:
    place.home.account_key.write_bytes(b"short")
    with pytest.raises(SettingsError, match="5 bytes instead of 32"):
        place.access(make=True, OPENAI_API_KEY=CANARY)
    assert place.home.account_key.read_bytes() == b"short"


def shows_of(value: object) -> list[str]:
    """Return all that can be made to print of a value."""
    return [repr(value), str(value), f"{value}", f"{value!r:>20}", "%s" % value, json.dumps(value, default=str)]  # noqa: UP031


def test_a_secret_is_never_shown() -> None:
    secret = Secret(CANARY)
    access = Access(key=secret)
    plain: Mapping[str, object] = attrs.asdict(access)
    for value in (secret, access, plain, [secret], copy.copy(secret), copy.deepcopy(access)):
        assert [shown for shown in shows_of(value) if "canary" in shown] == []
        assert b"canary" not in orjson.dumps(value, default=str)
    assert copy.deepcopy(access).key == secret
    for value in (secret, plain["key"]):
        for dump in (orjson.dumps, json.dumps):
            with pytest.raises(TypeError) as caught:
                dump(value)
            assert "canary" not in str(caught.value)
    for value in (secret, access, plain):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with pytest.raises(TypeError, match="never pickled"):
                pickle.dumps(value, protocol)
    assert not hasattr(secret, "__dict__")


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("KEY=a", "a"),
        ("  export KEY = a  ", "a"),
        ("KEY=a # comment", "a"),
        ("KEY=a#b", "a#b"),
        ("KEY=# comment", ""),
        ("KEY=", ""),
        ("KEY='a # b' # c", "a # b"),
        (r'KEY="a \" b\n" # c', 'a " b\n'),
        (r"KEY='a\n'", r"a\n"),
        ("KEY=${HOME}$X", "${HOME}$X"),
        ("KEY=a\r", "a"),
        ("KEY=a=b", "a=b"),
        ("KEY=a\nKEY=b", "b"),
        ("#KEY=a", None),
        ("KEY", None),
        ("KEY-X=a", None),
        ('KEY="a', "a\n"),
    ],
)
def test_variables_are_read_from_a_file_without_being_expanded(line: str, value: str | None) -> None:
    assert parse_dotenv(f"OTHER=1\n{line}\nLAST=2\n").get("KEY") == value
    assert parse_dotenv(line).get("KEY") == value


def test_a_byte_order_mark_is_no_part_of_the_first_name() -> None:
    assert parse_dotenv("\ufeffKEY=a") == {"KEY": "a"}


@given(st.text())
def test_any_text_can_be_read_as_variables(text: str) -> None:
    for name in parse_dotenv(text):
        assert name.isidentifier()


def test_the_files_as_read_do_not_show_what_they_hold(place: Place) -> None:
    place.trust()
    key = f'[openai]\napi_key = "{CANARY}"\n'
    place.write(config=key, local=key, variables=f"OPENAI_API_KEY={CANARY}\n")
    files = read_files(place.home, place.folder)
    assert files.variables == {"OPENAI_API_KEY": CANARY}
    assert "canary" not in repr(files) + repr(find_access(files, {}))


def test_a_folder_in_the_place_of_the_variables_is_passed_over(place: Place) -> None:
    place.trust()
    (place.folder / ".env").mkdir()
    assert place.access() == Access()
