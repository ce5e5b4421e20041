"""Recordings are read by a child process: what they do to it ends with it, and it can do nothing else."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipeline.audio import convert as in_process
from pipeline.audio import reading
from pipeline.audio.sandbox import client, landlock
from pipeline.audio.sandbox.limits import Limits
from pipeline.audio.sandbox.server import DESCRIPTORS
from pipeline.audio.voice_activity import find_speech, speech_intervals
from pipeline.errors import DecoderError, SourceRejectedError, StoppedError
from tests.support.cli import Evt
from tests.test_audio_convert import LOSSLESS, OTHER, RATE_HZ, ROOT, SPEECH, Quiet, at_44_khz_in_a_room, repack

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="NOT RUN: the layers are Linux'"),
]

LOSSY = {
    "mp3": ("talk.mp3", "libmp3lame", 44_100),
    "aac": ("talk.m4a", "aac", 44_100),
    "opus": ("talk.ogg", "libopus", 48_000),
    "webm": ("talk.webm", "libopus", 48_000),
    "avi": ("talk.avi", "libmp3lame", 48_000),
    "ts": ("talk.ts", "aac", 48_000),
    "alac": ("talk.m4a", "alac", 16_000),
    "flac": ("talk.flac", "flac", 16_000),
    "mkv": ("talk.mkv", "pcm_s16le", 16_000),
}
DEADLINE_S = 10.0


def write(path: Path, case: str) -> Path:
    if case in LOSSLESS:
        target = path / LOSSLESS[case][0]
        soundfile.write(target, at_44_khz_in_a_room(), 44_100, LOSSLESS[case][1])
    elif case == "call":
        target = path / "call.wav"
        soundfile.write(target, np.stack([SPEECH, OTHER], axis=1), RATE_HZ)
    else:
        name, codec, rate = LOSSY[case]
        target = path / name
        repack(ROOT / "samples" / "jfk.wav", target, codec, rate=rate)
    return target


@pytest.mark.parametrize("case", [*LOSSLESS, *LOSSY, "call"])
def test_a_child_makes_of_every_codec_the_same_bytes_as_this_process(tmp_path: Path, case: str) -> None:
    source = write(tmp_path, case)
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    works = Quiet(), Quiet()
    assert client.convert(source, there, work=works[0]) == in_process.convert(source, here, work=works[1])
    assert works[0].seen == works[1].seen
    assert {path.name: path.read_bytes() for path in here.iterdir()} == {
        path.name: path.read_bytes() for path in there.iterdir()
    }
    assert client.stated_s(source) == reading.stated_s(source)


def test_what_is_no_recording_is_rejected_in_the_same_words(tmp_path: Path) -> None:
    (tmp_path / "page.wav").write_text("<!DOCTYPE html><html><body>Not found</body></html>")
    os.mkfifo(tmp_path / "pipe")
    for name in ("gone.wav", ".", "page.wav", "pipe"):
        messages = []
        for convert in (client.convert, in_process.convert):
            with pytest.raises(SourceRejectedError) as caught:
                convert(tmp_path / name, tmp_path, work=Quiet())
            messages.append(str(caught.value))
        assert messages[0] == messages[1]
        assert client.stated_s(tmp_path / name) is None


def test_a_child_hears_the_same_speech_as_this_process(tmp_path: Path) -> None:
    client.convert(ROOT / "samples" / "jfk.wav", tmp_path, work=Quiet())
    heard = speech_intervals(tmp_path / "audio.flac", lambda: None)
    assert heard
    assert heard == find_speech(tmp_path / "audio.flac", lambda: None)


def test_what_is_gone_or_damaged_is_an_error_of_the_disk(tmp_path: Path) -> None:
    (tmp_path / "audio.flac").write_bytes(b"no flac")
    for name in ("audio.flac", "gone.flac"):
        with pytest.raises(OSError, match=name):
            speech_intervals(tmp_path / name, lambda: None)


def test_threads_convert_side_by_side(tmp_path: Path) -> None:
    def converted(number: int) -> str:
        folder = tmp_path / str(number)
        folder.mkdir()
        return client.convert(ROOT / "samples" / "jfk.wav", folder, work=Quiet()).tracks[0].pcm_sha256

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(converted, range(16)))) == 1


# What ends a child.


def long_silence(path: Path, gigabytes: float, channels: int = 8) -> Path:
    """Write hours of silence that take no room on the disk: an AU file with a hole in it."""
    with path.open("wb") as file:
        file.write(struct.pack(">4sIIIII", b".snd", 24, 0xFFFFFFFF, 3, 48_000, channels))
        file.truncate(int(gigabytes * 2**30))
    return path


def children_of(pid: int) -> set[int]:
    with suppress(OSError):
        return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    return set()


def server_pid() -> int:
    assert client.SERVER.pid is not None
    return client.SERVER.pid


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


class Sends(Quiet):
    """Sends a signal to the child once it is at work."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def progress(self, done_s: float, total_s: float) -> None:
        if not self.seen:
            (child,) = children_of(server_pid())
            os.kill(child, self._number)
        super().progress(done_s, total_s)


def failure(source: Path, folder: Path, work: Quiet | None = None, limits: Limits | None = None) -> str:
    with pytest.raises(DecoderError) as caught:
        client.convert(source, folder, work=work or Quiet(), limits=limits)
    assert repr(source.name) in str(caught.value)
    assert eventually(lambda: not children_of(server_pid()))
    return str(caught.value)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
def test_a_decoder_that_crashes_is_one_sentence_and_the_next_recording_is_read(
    tmp_path: Path, number: signal.Signals
) -> None:
    text = failure(long_silence(tmp_path / "long.au", 8), tmp_path, Sends(number))
    assert number.name in text
    assert "save it as WAV" in text
    assert client.convert(ROOT / "samples" / "jfk.wav", tmp_path, work=Quiet()).tracks


def test_a_decoder_that_hangs_is_ended(tmp_path: Path) -> None:
    text = failure(long_silence(tmp_path / "long.au", 8), tmp_path, Sends(signal.SIGSTOP), Limits(stall_s=0.5))
    assert "nothing came of it for 0.5 s" in text


def test_sound_without_end_is_ended_by_its_length(tmp_path: Path) -> None:
    source = long_silence(tmp_path / "long.au", 8)
    assert "more sound came out" in failure(source, tmp_path, limits=Limits(sound_s=20))


def test_a_decode_without_end_is_ended_by_its_computing_time(tmp_path: Path) -> None:
    source = long_silence(tmp_path / "long.au", 8)
    assert "computing time" in failure(source, tmp_path, limits=Limits(opening_s=0, cpu_s_per_s=0))


def test_a_decode_that_takes_for_ever_is_ended_by_the_clock(tmp_path: Path) -> None:
    source = long_silence(tmp_path / "long.au", 8)
    assert "it took more than" in failure(source, tmp_path, limits=Limits(any_wall_s=0.5, wall_s_per_s=0))


def test_a_file_that_would_fill_the_disk_is_ended(tmp_path: Path) -> None:
    source = tmp_path / "noise.wav"
    soundfile.write(source, np.random.default_rng(0).integers(-9000, 9000, RATE_HZ * 60 * 40, np.int16), RATE_HZ)
    limits = Limits(sound_s=0.001)
    text = failure(source, tmp_path, limits=Limits(sound_s=0.001))
    assert "more sound came out" in text
    assert limits.file_bytes < 65 * 2**20


def memory_bomb(path: Path) -> Path:
    """Write an MP4 of 100 kB whose table of contents wants more than two gigabytes."""
    repack(ROOT / "samples" / "jfk.wav", path, "aac", rate=44_100)
    data = bytearray(path.read_bytes())
    count = 80_000_000
    for box, offset, fields in ((b"stsz", 8, (1, count)), (b"stts", 12, (count,)), (b"stsc", 16, (count,))):
        at = data.index(box) + offset
        data[at : at + 4 * len(fields)] = struct.pack(f">{len(fields)}I", *fields)
    path.write_bytes(data)
    return path


class Measures(Quiet):
    """Notes the peak of the child's memory while it is asked to stop, ten times a second."""

    peak_mib = 0

    def check(self) -> None:
        for child in children_of(server_pid()):
            with suppress(OSError, StopIteration):
                lines = Path(f"/proc/{child}/status").read_text().splitlines()
                peak = next(line for line in lines if line.startswith("VmHWM"))
                self.peak_mib = max(self.peak_mib, int(peak.split()[1]) // 1024)


def test_a_file_that_wants_gigabytes_gets_none_and_fails(tmp_path: Path) -> None:
    work = Measures()
    with pytest.raises((SourceRejectedError, DecoderError), match=r"bomb\.m4a"):
        client.convert(memory_bomb(tmp_path / "bomb.m4a"), tmp_path, work=work)
    assert work.peak_mib < 1024


def test_a_recording_that_needs_more_memory_than_it_may_have_fails(tmp_path: Path) -> None:
    text = failure(long_silence(tmp_path / "long.au", 1), tmp_path, limits=Limits(memory_bytes=60 * 2**20))
    assert "more memory" in text or "crashed" in text


def test_an_ordinary_recording_of_a_day_is_within_the_limits() -> None:
    """A day of stereo at 48 kHz takes 120 s of CPU time on one slow core, twice that where it is read twice."""
    day = 86_400.0
    assert Limits().cpu_s(day) > 10 * 240
    assert Limits().wall_s(day) > day
    assert Limits().file_bytes > day * 32_000
    assert Limits().sound_s > 4 * day


# What a child can't do.

ACTIONS = """
import ctypes, fcntl, json, os, resource, signal, socket, struct, subprocess, sys
from pathlib import Path
from pipeline.audio.sandbox.confine import confine
from pipeline.audio.sandbox.limits import Limits
from pipeline.audio.voice_activity import find_speech, speech_intervals
source, folder, outside = map(Path, sys.argv[1:4])
port, confined = map(int, sys.argv[4:])
line, _ = socket.socketpair()
layers = confine(Limits(), [source], folder) if confined else ()
def forked():
    if (pid := os.fork()) == 0:
        os._exit(0)
    os.waitpid(pid, 0)
def raised():
    resource.setrlimit(resource.RLIMIT_NOFILE, (99, 99))
actions = {
    "read the source": lambda: source.read_bytes(),
    "write its folder": lambda: (folder / "audio.flac").write_bytes(b"x"),
    "read another file": lambda: (outside / "secret").read_bytes(),
    "list a folder": lambda: os.listdir(outside),
    "write another file": lambda: (outside / "new").write_bytes(b"x"),
    "change rights": lambda: os.chmod(outside / "secret", 0o600),
    "link": lambda: os.symlink("/etc/passwd", folder / "link"),
    "rename": lambda: os.rename(outside / "secret", outside / "secret"),
    "connect": lambda: socket.create_connection(("127.0.0.1", port), 1).close(),
    "make a local socket": lambda: socket.socketpair(),
    "fork": forked,
    "run a program": lambda: subprocess.run(["true"], check=True),
    "signal another process": lambda: os.kill(os.getppid(), 0),
    "have the kernel signal another process": lambda: fcntl.fcntl(line, fcntl.F_SETOWN, os.getppid()),
    "choose which signal": lambda: fcntl.fcntl(line, fcntl.F_SETSIG, signal.SIGUSR1),
    "have it signal by ioctl": lambda: fcntl.ioctl(line, 0x8901, struct.pack("i", os.getppid())),
    "raise a limit": raised,
}
done = {}
for name, action in actions.items():
    try:
        action()
        done[name] = True
    except (OSError, RuntimeError, ValueError, subprocess.SubprocessError):
        done[name] = False
print(json.dumps([layers, done]))
"""


@contextmanager
def listening() -> Iterator[tuple[int, Callable[[], bool]]]:
    """Yield a port, and what says whether anybody else has connected to it; each is hung up on at once."""
    seen: list[object] = []

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, address = server.accept()
                connection.close()
                seen.append(address)

    def was_connected() -> bool:
        with socket.create_connection(server.getsockname()) as last:  # the others came before it
            assert eventually(lambda: last.getsockname() in seen)
            return len(seen) > 1

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1], was_connected
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def tried(folder: Path, *, confined: bool) -> tuple[list[str], dict[str, bool]]:
    inside, outside = folder / "inside", folder / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (folder / "source").write_text("source")
    with listening() as (port, was_connected):
        arguments = [folder / "source", inside, outside, port, int(confined)]
        command = [sys.executable, "-c", ACTIONS, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
        layers, could = json.loads(done.stdout)
        assert was_connected() == could["connect"]
    return layers, could


def test_a_child_reads_its_recording_and_writes_its_folder_and_nothing_else(tmp_path: Path) -> None:
    layers, could = tried(tmp_path, confined=True)
    has_landlock, has_seccomp = landlock.version() > 0, Path("/proc/sys/kernel/seccomp").exists()
    assert layers == ["limits", *["landlock"] * has_landlock, *["seccomp"] * has_seccomp]
    if len(layers) < 3:
        pytest.skip(f"NOT RUN: this kernel has only {layers}")
    assert [action for action, possible in could.items() if possible] == ["read the source", "write its folder"]


def test_without_confinement_all_of_that_is_possible(tmp_path: Path) -> None:
    assert all(tried(tmp_path, confined=False)[1].values())


PLAYLISTS = {
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:11\n#EXTINF:11,\n{target}\n#EXT-X-ENDLIST\n",
    "list.ffconcat": "ffconcat version 1.0\nfile '{target}'\n",
}
RAW = """
import sys, av
from pathlib import Path
from pipeline.audio.sandbox.confine import confine
from pipeline.audio.sandbox.child import code_folders
from pipeline.audio.sandbox.limits import Limits
from pipeline.audio.voice_activity import find_speech, speech_intervals
from pipeline.audio.sandbox.server import NEEDED
from importlib import import_module
for name in NEEDED: import_module(name)
if sys.argv[2] == "1":
    confine(Limits(), [Path(sys.argv[1])], None, code_folders())
try:
    options = {"protocol_whitelist": "file,http,tcp", "safe": "0", "extension_picky": "0"}
    with av.open(sys.argv[1], options=options) as container:
        next(container.decode(audio=0))
except Exception as error:
    print(type(error).__name__)
"""


@contextmanager
def watched(path: Path) -> Iterator[Callable[[], bool]]:
    """Yield what says whether a file was opened since; by inotify."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_NONBLOCK)
    assert libc.inotify_add_watch(descriptor, os.fsencode(path), 0x20) >= 0  # IN_OPEN

    def was_opened() -> bool:
        with suppress(BlockingIOError):
            return bool(os.read(descriptor, 4096))
        return False

    try:
        yield was_opened
    finally:
        os.close(descriptor)


def avi_with_a_playlist(folder: Path, playlist: str) -> Path:
    """Write an AVI whose subtitles are a playlist, which older libraries followed."""
    path = folder / "film.avi"
    repack(ROOT / "samples" / "jfk.wav", path, "libmp3lame", rate=48_000)
    body = b"GAB2\0" + struct.pack("<HIHHI", 2, 0, 0, 4, len(playlist)) + playlist.encode()
    data = path.read_bytes()
    path.write_bytes(data + b"01tx" + struct.pack("<I", len(body)) + body)
    return path


def hostile(folder: Path, kind: str, target: str) -> Path:
    if kind == "film.avi":
        return avi_with_a_playlist(folder, PLAYLISTS["list.m3u8"].format(target=target))
    path = folder / kind
    path.write_text(PLAYLISTS[kind].format(target=target))
    return path


@pytest.mark.parametrize("kind", [*PLAYLISTS, "film.avi"])
def test_a_file_that_names_others_has_none_of_them_opened(tmp_path: Path, kind: str) -> None:
    canary = tmp_path / "canary.mp3"
    soundfile.write(canary, SPEECH, RATE_HZ)
    with watched(canary) as was_opened, listening() as (port, was_connected):
        for target in (f"file:{canary}", str(canary), f"http://127.0.0.1:{port}/x.mp3"):
            with suppress(SourceRejectedError, DecoderError):
                client.convert(hostile(tmp_path, kind, target), tmp_path, work=Quiet())
        assert not was_opened()
        assert not was_connected()


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("confined", [True, False])
def test_even_a_library_that_follows_playlists_reaches_nothing(
    tmp_path: Path, kind: str, *, confined: bool
) -> None:
    """libav is told to follow them here; unconfined, it does, which shows that this test sees it."""
    canary = tmp_path / "canary.mp3"
    soundfile.write(canary, SPEECH, RATE_HZ)
    with watched(canary) as was_opened, listening() as (port, was_connected):
        for target in (str(canary), f"http://127.0.0.1:{port}/x.mp3"):
            command = [sys.executable, "-c", RAW, str(hostile(tmp_path, kind, target)), str(int(confined))]
            subprocess.run(command, capture_output=True, check=False, cwd=ROOT, timeout=DEADLINE_S)
        assert (was_opened(), was_connected()) == (not confined, not confined)


# Children that lie.

TRACK = {"name": "audio.flac", "channel": None, "pcm_sha256": "0" * 64, "samples": 5}
LIES: list[object] = [
    {"progress": ["far", 1]}, {"progress": [None, 1]}, {"refused": 1}, {"refused": [5]}, {"failed": ["no_memory"]},
    {"done": 1}, {"done": {"tracks": 1, "metadata": {}}}, {"done": {"tracks": [TRACK]}},
    {"done": {"tracks": [], "metadata": {}}}, {"done": {"tracks": [TRACK, TRACK], "metadata": {}}},
    {"done": {"tracks": [TRACK | {"samples": -1}], "metadata": {}}},
    {"done": {"tracks": [TRACK | {"samples": 1.5}], "metadata": {}}},
    {"done": {"tracks": [TRACK | {"channel": 1}], "metadata": {}}},
    {"done": {"tracks": [TRACK | {"name": "../audio.flac"}], "metadata": {}}},
    {"done": {"tracks": [TRACK | {"name": "channel-1.flac", "channel": 1}], "metadata": {}}},
    {"done": {"tracks": [TRACK], "metadata": [1]}}, {"done": {"tracks": [TRACK], "metadata": {"a": {"b": 1}}}},
    {"done": {"tracks": [TRACK], "metadata": {"gaps_s": float("nan")}}},
    {"done": {"tracks": [TRACK], "metadata": {"codec": "\x1b[2J"}}},
    {"done": {"tracks": [TRACK], "metadata": {str(n): "x" * 2000 for n in range(40)}}},
]  # fmt: skip


class Lying:
    """In the place of a server: each child answers only this."""

    def __init__(self, lie: object) -> None:
        self.lie = lie

    def connect(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        theirs.sendall(json.dumps(self.lie).encode() + b"\n")
        threading.Thread(target=lambda: (theirs.recv(65_536), theirs.close())).start()
        return ours

    def exit_code(self) -> None:
        """It runs."""


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: json.dumps(lie)[:60])
def test_an_answer_that_makes_no_sense_is_an_error_of_the_decoder_and_nothing_of_it_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lie: object
) -> None:
    monkeypatch.setattr(client, "SERVER", Lying(lie))
    (tmp_path / "audio.flac").write_bytes(b"fLaC")
    (tmp_path / "channel-1.flac").write_bytes(b"fLaC")
    with pytest.raises(DecoderError, match="makes no sense"):
        client.convert(ROOT / "samples" / "jfk.wav", tmp_path, work=Quiet())


def test_the_answer_of_an_honest_child_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "SERVER", Lying({"done": {"tracks": [TRACK], "metadata": {"codec": "flac"}}}))
    (tmp_path / "audio.flac").write_bytes(b"fLaC")
    assert client.convert(ROOT / "samples" / "jfk.wav", tmp_path, work=Quiet()).tracks[0].samples == 5


# How children end.


class Stops(Sends):
    """Is asked to stop while the child hangs, and so doesn't notice that nobody listens any more."""

    def progress(self, done_s: float, total_s: float) -> None:
        super().progress(done_s, total_s)
        raise StoppedError("stopped")


def test_who_is_asked_to_stop_leaves_no_child(tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        client.convert(long_silence(tmp_path / "long.au", 8), tmp_path, work=Stops(signal.SIGSTOP))
    assert eventually(lambda: not children_of(server_pid()))


def test_a_server_that_was_killed_is_started_again(tmp_path: Path) -> None:
    client.stated_s(ROOT / "samples" / "jfk.wav")
    old = server_pid()
    os.kill(old, signal.SIGKILL)
    assert eventually(lambda: is_gone(old))
    assert client.stated_s(ROOT / "samples" / "jfk.wav") == 11.0
    assert server_pid() != old


CONVERTS = """
import sys
from pathlib import Path
from pipeline.audio.sandbox import client, landlock
class Tells:
    def check(self): pass
    def progress(self, done_s, total_s): print(client.SERVER.pid, flush=True)
client.convert(Path(sys.argv[1]), Path(sys.argv[2]), work=Tells())
"""


@contextmanager
def converting(folder: Path, *prefix: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Yield a process in the middle of a conversion, and the pid of its server."""
    source = long_silence(folder / "long.au", 50)
    command = [*prefix, sys.executable, "-c", CONVERTS, str(source), str(folder)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, **environment}
    ) as process:
        assert process.stdout is not None
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def test_kill_9_leaves_neither_server_nor_child(tmp_path: Path) -> None:
    with converting(tmp_path) as (process, server):
        (child,) = children_of(server)
        assert not is_gone(child)
        assert os.getsid(server) == server != os.getsid(process.pid)  # Ctrl-C doesn't reach it
        process.kill()
        assert eventually(lambda: is_gone(server) and is_gone(child))


def test_a_child_ends_with_its_server_and_is_begun_once_more(tmp_path: Path) -> None:
    with converting(tmp_path) as (process, server):
        (child,) = children_of(server)
        os.kill(server, signal.SIGKILL)
        assert eventually(lambda: is_gone(child))
        assert process.stdout is not None
        pids = (int(line) for line in process.stdout)
        other = next(pid for pid in pids if pid != server)
        os.kill(other, signal.SIGKILL)
        assert process.wait(DEADLINE_S) == 1


def test_threads_that_find_the_server_dead_start_one_and_use_it_together(tmp_path: Path) -> None:
    threads, converted = 8, tmp_path / "short.flac"
    soundfile.write(converted, SPEECH[:RATE_HZ], RATE_HZ)
    wanted = client.pairs("speech", converted, lambda: None)
    together = threading.Barrier(threads)

    def hears(_: int) -> list[tuple[int, int]]:
        together.wait()
        return client.pairs("speech", converted, lambda: None)

    with ThreadPoolExecutor(threads) as pool:
        for _ in range(3):
            os.kill(server_pid(), signal.SIGKILL)
            assert list(pool.map(hears, range(threads))) == [wanted] * threads


def test_a_child_has_few_descriptors_to_close_however_many_the_system_allows(tmp_path: Path) -> None:
    with converting(tmp_path) as (_, server):
        assert resource.prlimit(server, resource.RLIMIT_NOFILE)[0] <= DESCRIPTORS
        (child,) = children_of(server)
        # The null device thrice, the connection, the recording; what libraries opened for themselves is gone.
        assert len(os.listdir(f"/proc/{child}/fd")) <= 8


def test_no_secret_of_the_environment_reaches_the_server_or_its_children(tmp_path: Path) -> None:
    with converting(tmp_path, OPENAI_API_KEY="sk-canary-4711", EVT_SOMETHING="canary-4712") as (_, server):
        for pid in (server, *children_of(server)):
            assert b"canary" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_it_works_where_there_is_no_proc(tmp_path: Path) -> None:
    if os.geteuid() or not shutil.which("unshare"):
        pytest.skip("NOT RUN: only root can take /proc away")
    script = 'umount -l /proc && exec "$@"'
    jfk = str(ROOT / "samples" / "jfk.wav")
    command = ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-c", CONVERTS, jfk, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "audio.flac").stat().st_size


def test_a_hostile_recording_fails_one_stage_and_the_others_go_on(tmp_path: Path) -> None:
    evt = Evt(tmp_path)
    bomb, talk = memory_bomb(evt.work / "bomb.m4a"), evt.speech("talk.wav")
    done = evt.run(bomb, talk, code=3)
    assert "bomb.m4a" in done.stderr
    types = [
        json.loads(line)["type"]
        for log in evt.home.glob("logs/*/*.jsonl")
        for line in log.read_bytes().splitlines()
    ]
    assert (types.count("stage.failed"), types.count("run.finished")) == (1, 2)
    assert (evt.work / "talk.txt").exists()


def test_threads_of_the_parent_are_none_the_more(tmp_path: Path) -> None:
    threads = threading.active_count()
    client.convert(ROOT / "samples" / "jfk.wav", tmp_path, work=Quiet())
    assert threading.active_count() == threads
