"""`evt models`: a model is fetched only when asked for, verified before it is placed, and goes as it came."""

from __future__ import annotations

import importlib.util
import json
import os
import pty
import random
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.models import dropping
from pipeline.models.cached import look
from pipeline.models.catalogue import choose
from pipeline.models.getting import Steps, fetch, offer_of
from pipeline.models.hub_client import Hub
from pipeline.providers.hub import is_repository
from pipeline.providers.transcribe_whisper import MODELS, NEEDED, find_model
from tests.support import tiny_whisper
from tests.support.cli import ROOT, START, Evt
from tests.support.dying import is_killed
from tests.support.hub_server import SIGNATURE, HubServer, Repository, blob_id, sha256

SMALL, TINY, OWN = MODELS["small"], MODELS["tiny"], "someone/whisper-of-theirs"
PYANNOTE = "pyannote/speaker-diarization-community-1"
TOKEN = "hf_canary0123456789"
LARGE = random.Random(1).randbytes(3_000_000)

installed = importlib.util.find_spec("faster_whisper") is not None
with_whisper = pytest.mark.skipif(not installed, reason="faster-whisper isn't installed: extra `whisper`")


def whisper_files(large: bytes = LARGE) -> dict[str, bytes]:
    return {
        "model.bin": large,
        "config.json": b'{"suppress_ids": []}',
        "tokenizer.json": b"{}",
        "vocabulary.json": b"[]",
        "README.md": b"read me",
        ".gitattributes": b"* text",
        "onnx/model.onnx": b"for others",
    }


PYANNOTE_FILES = {
    "config.yaml": b"pipeline:\n  params:\n    segmentation: $model/segmentation\n    embedding: $model/embedding\n"
    b"    plda: $model/plda\n",
    "segmentation/pytorch_model.bin": LARGE[:200_000],
    "embedding/pytorch_model.bin": LARGE[:150_000],
    "plda/plda.npz": b"plda",
    "plda/README.md": b"read me",
}


@pytest.fixture
def hub() -> Iterator[HubServer]:
    repositories = {
        SMALL: Repository(whisper_files()),
        TINY: Repository(whisper_files(LARGE[:120_000])),
        OWN: Repository(whisper_files(b"tiny weights"), licence=None),
        PYANNOTE: Repository(PYANNOTE_FILES, licence="cc-by-4.0", gated=True),
        "bert/base": Repository({"config.json": b"{}", "model.safetensors": b"x"}),
    }
    with HubServer(repositories, token=TOKEN) as server:
        yield server


class Models:
    """`evt models` with a cache of its own and a hub on the loopback."""

    def __init__(self, evt: Evt, hub: HubServer) -> None:
        self.evt = evt
        self.hub = hub
        self.cache = evt.folder / "cache"
        self.environment = {"HF_HUB_CACHE": str(self.cache), "HF_ENDPOINT": hub.endpoint}

    def __call__(self, *arguments: str, code: int | None = 0, **more: str) -> subprocess.CompletedProcess[str]:
        return self.evt("models", *arguments, code=code, **{**self.environment, **more})

    def json(self, *arguments: str, **more: Any) -> Any:
        return json.loads(self(*arguments, "--json", **more).stdout)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return self.evt.start("models", *arguments, env=self.evt.environment(**self.environment))

    def folder(self, repository: str = SMALL) -> Path:
        return self.cache / f"models--{repository.replace('/', '--')}"

    def listed(self, name: str) -> Any:
        return next(model for model in self.json("list")["models"] if model["name"] == name)


@pytest.fixture
def models(evt: Evt, hub: HubServer) -> Models:
    return Models(evt, hub)


def links(snapshot: Path) -> dict[str, str]:
    return {str(p.relative_to(snapshot)): os.readlink(p) for p in snapshot.rglob("*") if p.is_symlink()}


def test_a_model_is_fetched_as_the_tools_of_the_hub_lay_it_and_only_what_the_engine_reads(models: Models) -> None:
    done = models("get", "small", "--yes")
    said = done.stdout
    assert done.stderr == "" or not installed, "no progress where nobody looks"
    files, folder = whisper_files(), models.folder()
    revision = models.hub.repositories[SMALL].revision
    for fact in (revision, models.hub.endpoint, "4 files, 3.0 MB", "mit", str(folder), "free"):
        assert fact in said
    assert (folder / "refs" / "main").read_text() == revision
    names = {"model.bin": sha256(LARGE)} | {
        name: blob_id(files[name]) for name in ("config.json", "tokenizer.json", "vocabulary.json")
    }
    assert links(folder / "snapshots" / revision) == {name: f"../../blobs/{blob}" for name, blob in names.items()}
    assert {path.name: path.read_bytes() for path in (folder / "blobs").iterdir()} == {
        blob: files[name] for name, blob in names.items()
    }
    assert find_model("small", models.cache) is not None


@with_whisper
def test_the_hub_s_own_client_finds_what_was_fetched(models: Models) -> None:
    from huggingface_hub import snapshot_download

    models("get", "small", "--yes")
    found = snapshot_download(SMALL, cache_dir=models.cache, local_files_only=True, allow_patterns=["*.json"])
    assert found == str(models.folder() / "snapshots" / models.hub.repositories[SMALL].revision)


def test_without_a_terminal_nothing_is_fetched_or_removed_without_yes(models: Models) -> None:
    for more in ([], ["--json"]):
        assert "--yes fetches" in models("get", "small", *more, code=3).stderr
    assert not models.cache.exists()
    models("get", "tiny", "--yes")
    for more in ([], ["--json"]):
        assert "--yes removes" in models("remove", "tiny", *more, code=3).stderr
    assert find_model("tiny", models.cache) is not None


@pytest.mark.parametrize(("answer", "is_fetched"), [("y", True), ("n", False)])
def test_on_a_terminal_it_asks(models: Models, answer: str, is_fetched: bool) -> None:
    ours, theirs = pty.openpty()
    environment = models.evt.environment(**models.environment)
    process = subprocess.Popen(
        [*START, "models", "get", "tiny"], cwd=models.evt.work, env=environment, stdin=theirs, stdout=theirs,
        stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while b"Fetch it? [y/N]" not in shown:
        shown += os.read(ours, 4096)
    os.write(ours, f"{answer}\n".encode())
    while process.poll() is None:
        try:
            shown += os.read(ours, 4096)
        except OSError:
            break
    assert process.wait(60) == 0
    os.close(ours)
    assert (find_model("tiny", models.cache) is not None) == is_fetched


def test_a_model_that_is_here_is_said_to_be_and_nobody_is_asked(models: Models) -> None:
    models("get", "small", "--yes")
    models.hub.asked.clear()
    assert "Nothing was fetched" in models("get", "small").stdout
    assert models.json("get", "small")["was_here"] is True
    assert models.hub.asked == []


def test_a_fetch_that_was_killed_goes_on_where_it_was(models: Models) -> None:
    models.hub.faults.stall_after = 1_000_000
    process = models.start("get", "small", "--yes")
    assert models.hub.faults.stalled.wait(60)
    part = models.folder() / "blobs" / f"{sha256(LARGE)}.incomplete"
    while not part.exists() or part.stat().st_size < 900_000:
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    here = part.stat().st_size
    assert find_model("small", models.cache) is None
    listed = models.listed("small")
    assert (listed["state"], listed["here_bytes"] >= here) == ("incomplete", True)
    assert "of it" in models("list").stdout
    models("path", "small", code=3)
    models.hub.faults.go_on.set()
    models.hub.asked.clear()
    said = models.json("get", "small", "--yes")
    assert models.hub.first_bytes("model.bin") == [here]
    assert said["fetched_bytes"] == said["size_bytes"] - said["here_bytes"]
    assert Path(models("path", "small").stdout.strip(), "model.bin").read_bytes() == LARGE


def test_connections_that_are_cut_go_on_as_long_as_something_comes(models: Models) -> None:
    models.hub.faults.cut_after = 1_000_000
    models("get", "small", "--yes")
    assert models.hub.first_bytes("model.bin") == [0, 1_000_000, 2_000_000]
    assert find_model("small", models.cache) is not None


def test_a_hub_that_gives_nothing_more_is_told_in_one_line_and_the_fetch_goes_on_later(models: Models) -> None:
    models.hub.faults.cut_after = 0
    said = models("get", "small", "--yes", code=1).stderr
    assert "broke off in the middle of" in said
    assert said.count("\n") == 1
    models.hub.faults.cut_after = None
    models("get", "small", "--yes")


def test_a_server_that_knows_no_ranges_begins_anew_and_the_result_is_right(models: Models) -> None:
    models.hub.faults.cut_after, models.hub.faults.cuts = 1_000_000, 1
    models.hub.faults.ignores_range = True
    models("get", "small", "--yes")
    assert Path(models("path", "small").stdout.strip(), "model.bin").read_bytes() == LARGE


@pytest.mark.parametrize("file", ["model.bin", "tokenizer.json"])
def test_wrong_bytes_are_never_placed(models: Models, file: str) -> None:
    right = whisper_files()[file]
    models.hub.faults.wrong = {file: b"x" * len(right)}
    said = models("get", "small", "--yes", code=1).stderr
    assert file in said
    assert "other digest" in said
    assert said.count("\n") == 1
    digests = {path.name for path in (models.folder() / "blobs").iterdir()}
    assert not digests & {sha256(right), blob_id(right), f"{sha256(right)}.incomplete"}
    assert not (models.folder() / "snapshots").exists()
    assert find_model("small", models.cache) is None
    models.hub.faults.wrong = {}
    models("get", "small", "--yes")


def test_a_part_that_was_damaged_on_the_disk_is_found_out_and_fetched_anew(models: Models) -> None:
    part = models.folder() / "blobs" / f"{sha256(LARGE)}.incomplete"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1_000_000)
    models("get", "small", "--yes", code=1)
    models("get", "small", "--yes")


def test_again_finds_a_damaged_file_and_a_newer_revision(models: Models) -> None:
    models("get", "small", "--yes")
    blob = models.folder() / "blobs" / sha256(LARGE)
    blob.write_bytes(b"x" * len(LARGE))
    assert models.json("get", "small", "--again", "--yes")["fetched_bytes"] == len(LARGE)
    assert blob.read_bytes() == LARGE
    assert models.json("get", "small", "--again", "--yes")["fetched_bytes"] == 0
    models.hub.repositories[SMALL].files["config.json"] = b'{"newer": 1}'
    newer = models.json("get", "small", "--again", "--yes")
    assert newer["fetched_bytes"] == len(b'{"newer": 1}')
    assert models("path", "small").stdout.strip().endswith(models.hub.repositories[SMALL].revision)


def test_two_fetches_at_once_fetch_each_file_once(models: Models) -> None:
    models.hub.faults.stall_after = 1_000_000
    first = models.start("get", "small", "--yes")
    assert models.hub.faults.stalled.wait(60)
    second = models.start("get", "small", "--yes")
    assert second.stderr is not None
    assert "waiting" in second.stderr.readline()
    refused = models("remove", "small", "--yes", code=3).stderr
    assert "fetches" in refused
    models.hub.faults.go_on.set()
    for process in (first, second):
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert models.hub.first_bytes("model.bin") == [0]
    assert find_model("small", models.cache) is not None


def test_what_has_terms_to_accept_is_explained_and_fetched_with_a_token(models: Models) -> None:
    said = models("get", PYANNOTE, "--yes", code=3).stderr
    assert f"accept them at {models.hub.endpoint}/{PYANNOTE}" in said
    assert "HF_TOKEN" in said
    said = models("get", PYANNOTE, "--yes", code=3, HF_TOKEN="hf_ofsomeoneelse").stderr
    assert "accept the terms" in said
    assert "hf_of" not in said
    done = models("get", PYANNOTE, "--yes", HF_TOKEN=TOKEN)
    assert TOKEN not in done.stdout + done.stderr
    assert models.listed(PYANNOTE)["state"] == "here"
    held = {str(p.relative_to(models.json("path", PYANNOTE)[0]["folder"])) for p in _files(models)}
    assert held == set(PYANNOTE_FILES) - {"plda/README.md"}


def _files(models: Models) -> list[Path]:
    return [path for path in Path(models.json("path", PYANNOTE)[0]["folder"]).rglob("*") if path.is_file()]


def test_the_token_goes_to_the_hub_and_not_where_it_redirects_to(models: Models) -> None:
    models("get", "small", "--yes", HF_TOKEN=TOKEN)
    sent = {(asked.where, asked.headers.get("Authorization")) for asked in models.hub.asked}
    assert sent == {("hub", f"Bearer {TOKEN}"), ("store", None)}


def test_the_token_and_signed_addresses_are_in_no_error_and_no_log(models: Models) -> None:
    models.hub.faults.status = {"store": 403}
    log = models.evt.folder / "evt.log"
    more = {**models.environment, "HF_TOKEN": TOKEN}
    done = models.evt("--log-file", log, "models", "get", "small", "--yes", code=1, **more)
    for text in (done.stdout, done.stderr, log.read_text()):
        assert TOKEN not in text
        assert SIGNATURE not in text
    assert "status 403" in done.stderr


@pytest.mark.parametrize(
    ("faults", "code", "says"),
    [
        ({"api": 429}, 1, "asks to wait 17 s"),
        ({"api": 500}, 1, "status 500"),
        ({"file": 500}, 1, "status 500"),
        ({"api": 404}, 3, "has no model"),
        ({"file": 401}, 3, "given only to those who accepted"),
        ({"store": 503}, 1, "status 503"),
    ],
)
def test_what_the_hub_refuses_is_said_in_one_line(
    models: Models, faults: dict[str, int], code: int, says: str
) -> None:
    models.hub.faults.status = faults
    said = models("get", "small", "--yes", code=code).stderr
    assert says in said
    assert said.count("\n") == 1
    assert find_model("small", models.cache) is None


def test_a_hub_that_cannot_be_reached_is_said_in_one_line(models: Models) -> None:
    said = models("get", "small", "--yes", code=1, HF_ENDPOINT="http://127.0.0.1:9").stderr
    assert "can't be reached (connection refused)" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_a_redirect_to_anything_but_http_is_not_followed(models: Models, target: str) -> None:
    models.hub.faults.redirect = target
    assert "redirects" in models("get", "small", "--yes", code=1).stderr
    assert find_model("small", models.cache) is None


def test_without_room_nothing_is_fetched(models: Models) -> None:
    models.hub.faults.sizes = {"model.bin": 10**16}
    assert "no room" in models("get", "small", "--yes", code=3).stderr
    assert not models.cache.exists()


@pytest.mark.parametrize("path", ["../../evil", "/evil", "a\\b", "a\nb", ""])
def test_a_listing_that_leads_out_of_the_repository_is_refused(models: Models, path: str) -> None:
    models.hub.repositories[SMALL].files[path] = b"evil"
    assert "can't be understood" in models("get", "small", "--yes", code=1).stderr
    assert not models.cache.exists()


def test_names_aliases_and_repositories_are_understood_and_others_get_candidates(models: Models) -> None:
    said = models("get", "smal", code=3).stderr
    assert "small" in said.splitlines()[1:][0]
    assert models("get", "../etc/passwd", code=3).stderr
    assert choose("turbo").name == "large-v3-turbo"
    assert choose(SMALL).name == "small"
    models("get", OWN, "--yes")
    assert models.listed(OWN)["engine"] == "whisper"
    assert "no model that evt can use" in models("get", "bert/base", "--yes", code=3).stderr
    assert "has no model no/such" in models("get", "no/such", "--yes", code=3).stderr
    assert not is_repository("a/b/c") and not is_repository("a/..") and not is_repository("-a/b")  # noqa: PT018


@pytest.mark.parametrize("how", ["flag", "EVT_OFFLINE", "HF_HUB_OFFLINE", "evt.toml"])
def test_offline_nothing_is_fetched(models: Models, how: str) -> None:
    flags = ["--offline"] if how == "flag" else []
    if how == "evt.toml":
        (models.evt.work / "evt.toml").write_text("offline = true")
    more = {how: "1"} if how.isupper() else {}
    said = models.evt(*flags, "models", "get", "small", "--yes", code=3, **models.environment, **more).stderr
    assert "Nothing is fetched" in said
    assert models.hub.asked == []


@pytest.mark.parametrize("endpoint", ["http://example.com", "ftp://127.0.0.1", "https://user:pw@127.0.0.1", "x"])
def test_an_endpoint_that_is_none_or_not_private_is_refused_without_showing_it(
    models: Models, endpoint: str
) -> None:
    said = models("get", "small", "--yes", code=3, HF_ENDPOINT=endpoint, HF_TOKEN=TOKEN).stderr
    assert "$HF_ENDPOINT" in said
    assert "pw@" not in said


def test_no_other_command_asks_the_hub(models: Models) -> None:
    models("get", "tiny", "--yes")
    models.hub.asked.clear()
    models.evt.speech()
    for arguments in (
        ["models", "list"], ["models", "path"], ["doctor"], ["providers"], ["providers", "whisper"],
        ["plan", "talk.wav", "--transcriber", "whisper", "--model", "small"],
        ["run", "talk.wav", "--transcriber", "whisper", "--model", "small"],
        ["run", "talk.wav", *models.evt.engines], ["models", "remove", "tiny", "--yes"],
    ):  # fmt: skip
        models.evt(*arguments, code=None, **models.environment, HF_TOKEN=TOKEN)
    assert models.hub.asked == []


@with_whisper
def test_doctor_and_providers_name_the_command_that_gets_a_model(models: Models) -> None:
    models.evt.home.mkdir()
    assert "evt models get small" in models.evt("doctor", **models.environment).stdout
    assert "evt models get small" in models.evt("providers", "whisper", **models.environment).stdout


@pytest.mark.slow
@with_whisper
def test_a_fetched_model_is_taken_by_a_run_without_any_option(models: Models, tmp_path: Path) -> None:
    built = tiny_whisper.build(tmp_path / "built")
    files = {path.name: path.read_bytes() for path in built.iterdir()}
    models.hub.repositories[TINY] = Repository(files)
    models("get", "tiny", "--yes")
    assert models.listed("tiny")["taken"] is True
    models.hub.asked.clear()
    models.evt("run", ROOT / "samples" / "jfk.wav", "--diarizer", "none", **models.environment)
    succeeded = [r for r in models.evt.records() if r["type"] == "stage.succeeded"]
    assert any('"tiny"' in json.dumps(record) for record in succeeded)
    assert models.hub.asked == []


def test_the_list_says_what_is_here_and_what_a_run_would_take(models: Models) -> None:
    before = models.json("list")["models"]
    assert [model["name"] for model in before] == [*MODELS, PYANNOTE]
    assert {model["state"] for model in before} == {"absent"}
    sizes = {model["name"]: model["size_bytes"] for model in before}
    assert sizes["large-v3"] > sizes["large-v3-turbo"] > sizes["medium"] > sizes["small"] > sizes["tiny"]
    models("get", "tiny", "--yes")
    here = models.listed("tiny")
    files = whisper_files(LARGE[:120_000])
    needed = sum(len(files[name]) for name in (*NEEDED, "vocabulary.json"))
    assert (here["state"], here["size_bytes"], here["is_measured"]) == ("here", needed, True)
    assert here["taken"] is installed
    assert models("path").stdout.split() == [here["folder"]]


def test_a_removal_leaves_what_other_revisions_use_and_counts_what_went(models: Models) -> None:
    models("get", "small", "--yes")
    old = models.hub.repositories[SMALL].revision
    models.hub.repositories[SMALL].files["config.json"] = b'{"newer": 1}'
    models("get", "small", "--again", "--yes")
    said = models("remove", "small", "--yes").stdout
    assert "Other programs" in said
    assert "1 other revision" in said
    assert "Removed 52 B" in said  # the newer configuration, 12 B, and the name of the revision, 40 B
    left = models.folder() / "snapshots" / old
    assert (left / "model.bin").read_bytes() == LARGE
    assert find_model("small", models.cache) is None
    assert "nothing to remove" in models("remove", "small", "--yes", code=3).stderr


def test_a_removal_takes_the_whole_folder_and_what_a_broken_fetch_left(models: Models) -> None:
    models("get", "small", "--yes")
    (models.folder() / "blobs" / f"{'a' * 64}.12345678.incomplete").write_bytes(b"left by another tool")
    size = sum(p.lstat().st_size for p in (models.folder() / "blobs").iterdir())
    assert models.json("remove", "small", "--yes")["removed"]["size_bytes"] == size + 40, "and refs/main"
    assert not models.folder().exists()


def test_nothing_is_removed_through_a_link(models: Models) -> None:
    models("get", "small", "--yes")
    elsewhere = models.folder().rename(models.evt.folder / "elsewhere")
    models.folder().symlink_to(elsewhere)
    assert "is a link" in models("remove", "small", "--yes", code=3).stderr
    assert len(list((elsewhere / "blobs").iterdir())) == 4


def test_a_removal_that_dies_anywhere_leaves_no_model_and_can_be_repeated(models: Models) -> None:
    choice, deaths, folder = choose("small"), 0, models.folder()
    models("get", "small", "--yes")
    kept = folder.rename(models.evt.folder / "kept")
    for step in range(1, 40):
        shutil.copytree(kept, folder, symlinks=True, dirs_exist_ok=True)
        if not is_killed(step, lambda: dropping.drop(look(models.cache, choice))):
            break
        deaths += 1
        found = find_model("small", models.cache)
        assert found is None or (step == 1 and (found.folder / "model.bin").read_bytes() == LARGE)
        dropping.drop(look(models.cache, choice))
        assert not any(path.is_file() or path.is_symlink() for path in folder.rglob("*"))
    assert deaths > 8


def test_a_fetch_that_dies_anywhere_leaves_no_model_and_can_be_repeated(models: Models) -> None:
    hub, choice, deaths = Hub(models.hub.endpoint), choose("small"), 0
    steps = Steps(lambda _: None, lambda: None)
    for step in range(1, 80):
        if not is_killed(step, lambda: fetch(hub, offer_of(hub, models.cache, choice), steps)):
            break
        deaths += 1
        found = find_model("small", models.cache)
        assert found is None or (found.folder / "model.bin").read_bytes() == LARGE
        if found:
            dropping.drop(look(models.cache, choice))
    assert deaths > 8
    assert find_model("small", models.cache) is not None
