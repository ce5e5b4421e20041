"""Bundles of strangers: whatever is in them, nothing lies where a file of ours wouldn't, nothing fills up."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import resource
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventlog.errors import EvtError
from eventlog.store import Store
from pipeline.artifacts import Artifacts
from pipeline.bundles.form import Limits, is_bundled, is_pipeline
from pipeline.bundles.importing import Importing
from pipeline.errors import ArtifactMissingError, BundleError
from pipeline.home import Home
from projections.events import ArtifactRef
from tests.support.bundles import Files, entry, files_of, made_of, packed, taken_apart
from tests.support.cli import START, Evt

PIPELINE = "0123456789abcdef"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that can be imported."""
    evt = Evt(tmp_path_factory.mktemp("real"))
    evt.speech(seconds=3.0)
    evt.run("talk.wav")
    evt("bundle", "talk.wav", "-o", "b")
    return evt.work / "b"


@pytest.fixture(scope="module")
def files(real: Path) -> tuple[str, Files]:
    ((pipeline, found),) = files_of(real).items()
    return pipeline, found


def importing(root: Path) -> Importing:
    home = Home(root / "home")
    home.root.mkdir(exist_ok=True)
    return Importing(home, Store(str(home.logs)), "anna", lambda: "run1")


def everything(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def refused(root: Path, bundle: bytes, limits: Limits | None = None) -> str:
    """Import a bundle, which must be refused and leave nothing; return what is said."""
    (root / "bundle").write_bytes(bundle)
    task = importing(root)
    before = everything(root)
    with pytest.raises(BundleError) as caught:
        task.import_(root / "bundle", limits or Limits(), time.monotonic)
    assert everything(root) == before | {name for name in ("home/logs",) if (root / name).is_dir()} | {
        f"home/logs/{path.name}" for path in (root / "home" / "logs").glob("*")
    }
    assert not list((root / "home" / "logs").glob("*/*"))
    return str(caught.value)


HOSTILE = [
    "../../../evil",
    "artifacts/../../evil",
    "artifacts/merge/1/../../../evil",
    "artifacts/merge/1/..",
    "artifacts/merge/1/.",
    "artifacts/merge/1//evil",
    "/etc/evil",
    "//evil",
    "artifacts//etc/evil",
    "artifacts/merge/1/",
    "artifacts/merge/1",
    "artifacts/merge/-1/a",
    "artifacts/merge/01/a",
    "artifacts/merge/\u0661/a",
    "artifacts/merge/1/.scratch/a",
    "artifacts/merge/1/-rf",
    "artifacts/merge/1/a\0b",
    "artifacts/merge/1/a\nb",
    "artifacts/merge/1/a\\..\\b",
    "artifacts/merge/1/a:b",
    "artifacts/merge/1/%2e%2e",
    "artifacts/merge/1/\u202egpj.a",
    "artifacts/merge/1/\uff0e\uff0e",
    "artifacts/merge/1/ä",
    "artifacts/merge/1/ a",
    "artifacts/merge/1/a/b/c/d/e",
    f"artifacts/merge/1/{'a' * 200}",
    "artifacts/voiceprints/1/a",
    "artifacts/Merge/1/a",
    "artifacts/salt/a",
    "artifacts/text/xyz/text.json",
    "artifacts/text/0123456789abcdef/other.json",
    "config.toml",
    "account-key",
    "voiceprints/Anna.json",
    "beside/config.toml",
    "beside/../evil",
    "beside/0123456789abcdef.jsonl",
    "beside/ffffffffffffffff.torn-1-0123456789abcdef",
    "log2",
    "LOG",
    "",
    ".",
    "~/evil",
    "C:\\evil",
    "artifacts/merge/1/\ud800",
]


@pytest.mark.parametrize("path", HOSTILE, ids=ascii)
def test_a_file_of_a_name_that_evt_gives_none_is_refused(
    files: tuple[str, Files], tmp_path: Path, path: str
) -> None:
    pipeline, found = files
    said = refused(tmp_path, made_of(pipeline, [*found, (path, b"evil")]))
    assert "foreign name" in said or "one name" in said or "no manifest" in said


@pytest.mark.parametrize("path", HOSTILE, ids=ascii)
def test_no_artifact_has_such_a_name(path: str) -> None:
    assert not is_bundled(path.removeprefix("artifacts/"))


@given(st.text(max_size=60))
def test_what_may_be_bundled_stays_below_its_folder(path: str) -> None:
    if is_bundled(path):
        assert os.path.normpath(path) == path
        assert not path.startswith(("/", "..", "."))
        assert path.isascii()


@pytest.mark.parametrize(
    "name",
    ["", "..", "../x", "/", "a/b", "0123456789ABCDEF", "0123456789abcde", "ghijklmnopqrstuv", f"{PIPELINE}.1",
     f"{PIPELINE}.02", f"{PIPELINE}.", f"{PIPELINE}.2.3", f"{PIPELINE}.head", f"{PIPELINE}\n", f"{PIPELINE}.\u0662",
     "0" * 65, None, 7, [PIPELINE]],
    ids=ascii,
)  # fmt: skip
def test_no_pipeline_has_such_a_name(files: tuple[str, Files], tmp_path: Path, name: Any) -> None:
    assert not is_pipeline(name)
    assert "the name of a pipeline is none" in refused(tmp_path, made_of(name, files[1]))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("artifacts/merge/1/a", "artifacts/merge/1/a"),
        ("artifacts/merge/1/a", "artifacts/merge/1/A"),
        ("artifacts/merge/1/a", "artifacts/merge/1/a/b"),
        ("artifacts/merge/1/A/b", "artifacts/merge/1/a"),
        ("log", "artifacts/merge/1/a"),
    ],
)
def test_two_files_of_one_name_are_refused(files: tuple[str, Files], tmp_path: Path, one: str, two: str) -> None:
    pipeline, found = files
    assert "have one name" in refused(tmp_path, made_of(pipeline, [*found, (one, b"1"), (two, b"2")]))


def test_one_pipeline_twice_is_refused(real: Path, tmp_path: Path) -> None:
    manifest, content = taken_apart(real)
    manifest["pipelines"] *= 2
    assert "a pipeline twice" in refused(tmp_path, packed(manifest, content * 2))


def archives() -> dict[str, bytes]:
    """Return archives of other kinds that lead outside, in all the ways that they have."""
    made: dict[str, bytes] = {}
    kinds = {
        "symlink": (tarfile.SYMTYPE, "../../outside"),
        "hardlink": (tarfile.LNKTYPE, "../../outside"),
        "device": (tarfile.CHRTYPE, ""),
        "fifo": (tarfile.FIFOTYPE, ""),
        "slip": (tarfile.REGTYPE, ""),
    }
    for name, (kind, link) in kinds.items():
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            info = tarfile.TarInfo("../../evil" if name == "slip" else "log")
            info.type, info.linkname = kind, link
            tar.addfile(info)
        made[name] = buffer.getvalue()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("../../evil", "evil")
    return {**made, "zip": buffer.getvalue(), "empty": b"", "text": b"hello\n", "log": b'{"v":1}\n'}


@pytest.mark.parametrize("name", archives())
@pytest.mark.parametrize("wrap", [lambda content: content, lambda content: packed(content + b"\n")])
def test_an_archive_of_another_kind_is_refused(tmp_path: Path, name: str, wrap: Callable[[bytes], bytes]) -> None:
    refused(tmp_path, wrap(archives()[name]))


def changed(manifest: dict[str, Any], **more: Any) -> dict[str, Any]:
    (member,) = manifest["pipelines"]
    return {**manifest, "pipelines": [{**member, **more}]}


def test_a_manifest_that_does_not_fit_is_refused(real: Path, tmp_path: Path) -> None:
    manifest, content = taken_apart(real)
    (member,) = manifest["pipelines"]
    log, *others = member["files"]
    for wrong in (
        {**manifest, "pipelines": []},
        {**manifest, "pipelines": {}},
        {**manifest, "evt_bundle": True},
        {"evt_bundle": 1},
        [],
        changed(manifest, files=[]),
        changed(manifest, files=others),
        changed(manifest, files=[*others, log]),
        changed(manifest, files=[{**log, "size_bytes": -1}, *others]),
        changed(manifest, files=[{**log, "size_bytes": 1.5}, *others]),
        changed(manifest, files=[{**log, "size_bytes": 10**30}, *others]),
        changed(manifest, files=[{**log, "size_bytes": log["size_bytes"] - 1}, *others]),
        changed(manifest, files=[{**log, "size_bytes": log["size_bytes"] + 1}, *others]),
        changed(manifest, files=[{**log, "sha256": "0" * 64}, *others]),
        changed(manifest, files=[{**log, "sha256": None}, *others]),
        changed(manifest, files=[None]),
        changed(manifest, files=member["files"][:-1]),
        changed(manifest, head=None),
        changed(manifest, head={"seq": member["head"]["seq"] - 1, "sha256": member["head"]["sha256"]}),
        changed(manifest, head={"seq": member["head"]["seq"], "sha256": "0" * 64}),
        changed(manifest, head={"seq": 10**17, "sha256": member["head"]["sha256"]}),
        changed(manifest, copy="no"),
    ):
        refused(tmp_path, packed(wrong, content))  # type: ignore[arg-type] # one of them is a list
    assert "newer evt" in refused(tmp_path, packed({**manifest, "evt_bundle": 2}, content))


def test_a_log_that_is_not_whole_is_refused(files: tuple[str, Files], tmp_path: Path) -> None:
    pipeline, ((_, log), *others) = files
    lines = log.splitlines(keepends=True)
    again = b"".join([*lines[:3], lines[3].replace(b'"data":{', b'"data":{"x":1,', 1), *lines[4:]])
    for wrong in (
        b"".join(lines[:3] + lines[4:]),
        b"".join([*lines, lines[-1]]),
        log[:-1],
        log + b"x",
        log.replace(b"talk.wav", b"walk.wav", 1),
        again,
        b"\n",
        b"\0" * len(log),
    ):
        assert "is not whole" in refused(tmp_path, made_of(pipeline, [("log", wrong), *others]))
    assert "it belongs to the log" in refused(tmp_path, made_of("f" * 16, files[1]))


def test_a_file_that_is_not_the_one_that_the_log_names_is_refused(files: tuple[str, Files], tmp_path: Path) -> None:
    pipeline, found = files
    for at, (path, content) in enumerate(found):
        if path.startswith("artifacts/") and path != "artifacts/salt":
            other = [*found[:at], (path, content + b" "), *found[at + 1 :]]
            assert "is not the one that its log names" in refused(tmp_path, made_of(pipeline, other))


def chained(log: bytes) -> bytes:
    """Return changed lines as a log that is whole."""
    lines, prev = [], "0" * 64
    for line in log.splitlines():
        body = re.sub(rb'"prev":"[0-9a-f]{64}"', b'"prev":"%s"' % prev.encode(), line[: line.rindex(b',"sum":"')])
        lines.append(b'%s,"sum":"%s"}\n' % (body, hashlib.sha256(body).hexdigest()[:16].encode()))
        prev = hashlib.sha256(lines[-1]).hexdigest()
    return b"".join(lines)


@pytest.mark.parametrize("kind", ["above", "absolute", "on the way"])
def test_a_log_that_names_a_file_outside_is_not_taken_and_such_a_file_is_never_read(
    files: tuple[str, Files], tmp_path: Path, kind: str
) -> None:
    pipeline, ((_, log), *others) = files
    secret = tmp_path / "secret"
    secret.write_bytes(b"what a stranger knows the digest of")
    up = "../" * 40
    path = {"above": f"{up}{secret}", "absolute": str(secret), "on the way": f"export/1/{up}{secret}"}[kind]
    ref = ArtifactRef(path, hashlib.sha256(secret.read_bytes()).hexdigest(), secret.stat().st_size)
    old = rb'\{"path":"export/1/transcript\.txt","sha256":"[0-9a-f]{64}","size_bytes":\d+\}'
    new = json.dumps({"path": ref.path, "sha256": ref.sha256, "size_bytes": ref.size_bytes}, separators=(",", ":"))
    hostile = chained(re.sub(old, new.encode(), log))
    kept = [file for file in others if not file[0].endswith("transcript.txt")]
    assert "names a file outside of its folder" in refused(tmp_path, made_of(pipeline, [("log", hostile), *kept]))
    (tmp_path / "artifacts").mkdir()
    artifacts = Artifacts(tmp_path / "artifacts")
    assert not artifacts.looks_whole(ref)
    assert not artifacts.is_whole(ref)
    assert artifacts.path(ref).parent == artifacts.root
    with pytest.raises(ArtifactMissingError):
        artifacts.read(ref)


def test_a_salt_that_is_none_is_refused(files: tuple[str, Files], tmp_path: Path) -> None:
    pipeline, found = files
    others = [file for file in found if file[0] != "artifacts/salt"]
    refused(tmp_path, made_of(pipeline, [*others, ("artifacts/salt", b"x" * 100)]))
    refused(tmp_path, made_of(pipeline, [*others, ("artifacts/salt", b"x" * 33)]))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_damaged_bundle_is_refused(real: Path, tmp_path: Path, data: st.DataObject) -> None:
    whole = real.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    bit = data.draw(st.integers(0, 7))
    wrong = whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :]
    for bundle in (whole[:at], wrong, whole + b"x", whole + whole):
        root = Path(tempfile.mkdtemp(dir=tmp_path))
        (root / "bundle").write_bytes(bundle)
        try:
            importing(root).import_(root / "bundle", Limits(), time.monotonic)
        except EvtError:
            assert not list(root.glob("home/logs/*/*"))
            assert not list(root.glob("home/artifacts/*/*"))
        else:
            # A bit of a header that says how to unpack, and not what: nothing else than before came of it.
            assert taken_apart(root / "bundle") == taken_apart(real)
            assert bundle == wrong


# Too much


def rle_bomb(manifest: bytes, size_bytes: int) -> bytes:
    """Return a frame of a line and so many zeros, four bytes for each 128 KiB. Source: RFC 8878, 3.1.1."""
    blocks, rest = divmod(size_bytes, 1 << 17)
    header = b"\x28\xb5\x2f\xfd\xc4\x38" + struct.pack("<Q", len(manifest) + size_bytes)
    raw = (len(manifest) << 3).to_bytes(3, "little") + manifest
    block = (1 << 1 | 1 << 20).to_bytes(3, "little") + b"\0"
    last = (1 | 1 << 1 | rest << 3).to_bytes(3, "little") + b"\0"
    return header + raw + block * blocks + last + b"\0\0\0\0"


def test_a_bomb_of_ten_gigabytes_is_refused_at_once(tmp_path: Path) -> None:
    evt = Evt(tmp_path)
    size = 10 * 10**9
    files = [{"path": "log", "size_bytes": size, "sha256": "0" * 64}]
    member = {"id": PIPELINE, "head": {"seq": 1, "sha256": "0" * 64}, "copy": False, "files": files}
    line = json.dumps({"evt_bundle": 1, "pipelines": [member]}).encode() + b"\n"
    (evt.work / "bomb").write_bytes(rle_bomb(line, size))
    # Not ru_maxrss: what this process needs before it becomes another program counts in that, too.
    peak = "next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1]"
    tells = f"import atexit; atexit.register(lambda: print({peak}))"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", f"{tells}; {START[-1]}", "import", "bomb"],
        cwd=evt.work,
        env=evt.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 3, done.stderr
    assert "256 times" in done.stderr or "has room for" in done.stderr
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2
    assert int(done.stdout.split()[-1]) < 100_000, "kB"
    assert not [path for path in evt.home.rglob("*") if path.is_file()]


def test_a_first_line_without_an_end_is_refused(tmp_path: Path) -> None:
    said = refused(tmp_path, rle_bomb(b"", 1 << 30), Limits(more_bytes=1 << 40))
    assert "first line is longer" in said


def test_more_than_a_limit_is_refused(real: Path, tmp_path: Path) -> None:
    bundle = real.read_bytes()
    assert "bytes, of at most" in refused(tmp_path, bundle, Limits(size_bytes=1000))
    assert "files, of at most" in refused(tmp_path, bundle, Limits(files=3))
    assert "pipelines, of at most" in refused(tmp_path, bundle, Limits(pipelines=0))
    assert "takes longer" in refused(tmp_path, bundle, Limits(seconds=-1.0))
    assert "first line is longer" in refused(tmp_path, bundle, Limits(manifest_bytes=100))
    deep = b'{"evt_bundle":' + b"[" * 100_000 + b"\n"
    assert "no manifest" in refused(tmp_path, packed(deep))


def test_a_bundle_that_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    evt = Evt(tmp_path)
    os.mkfifo(evt.work / "fifo")
    (evt.work / "folder").mkdir()
    for name in ("fifo", "folder", "nothing"):
        assert evt("import", name, code=3).stderr.startswith("evt: The bundle can't be imported")
    assert "isn't read from stdin" in evt("import", "-", code=2).stderr


def test_the_command_refuses_it_too(real: Path, files: tuple[str, Files], tmp_path: Path) -> None:
    evt = Evt(tmp_path)
    (evt.work / "b").write_bytes(made_of(files[0], [*files[1], ("artifacts/../../../evil", b"evil")]))
    before = everything(tmp_path)
    assert "foreign name" in evt("import", "b", code=3).stderr
    assert everything(tmp_path) - before <= {"home", "home/index.sqlite"}
    (evt.work / "b").write_bytes(real.read_bytes())
    evt("import", "b")


def test_an_entry_is_what_its_content_is() -> None:
    assert entry("log", b"x") == {"path": "log", "size_bytes": 1, "sha256": hashlib.sha256(b"x").hexdigest()}
