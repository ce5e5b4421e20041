"""The built-in transcriber: the words it must get right, and how its processes end."""

import os
import re
import select
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import jiwer
import numpy as np
import pytest

from pipeline.audio.soundfiles import FlacWriter
from pipeline.errors import ProviderError, StoppedError
from pipeline.providers.base import Chunk
from pipeline.providers.transcribe_builtin import BuiltinTranscriber

ROOT = Path(__file__).parent.parent
JFK = ROOT / "samples" / "jfk.wav"
JFK_WORDS = (
    "and so my fellow americans ask not what your country can do for you ask what you can do for your country"
)
QUILTER = ROOT / "samples" / "quilter.wav"
QUILTER_WORDS = "mr quilter is the apostle of the middle classes and we are glad to welcome his gospel"
RATE = 16000

slow = pytest.mark.slow


class Watch:
    """A run that nobody stops; it knows when a call waits."""

    def __init__(self):
        self.waiting = threading.Event()

    def check(self):
        self.waiting.set()

    def progress(self, done_s, total_s):
        pass


class Stop(Watch):
    def check(self):
        raise StoppedError("The user asked to stop.")


@pytest.fixture
def transcriber():
    transcriber = BuiltinTranscriber()
    yield transcriber
    transcriber.close()


NOBODY = {
    "silence": np.zeros(RATE * 10),
    "one sample": np.ones(1),
    "noise": np.random.default_rng(1).normal(0, 100, RATE * 2),
    "hum": 3000 * np.sin(np.arange(RATE * 2) * 2 * np.pi * 50 / RATE),
}


@pytest.fixture(scope="module")
def heard(tmp_path_factory):
    """What one worker hears in a recording, and where nobody speaks."""
    transcriber = BuiltinTranscriber()
    answers = {"quilter": transcriber.transcribe(whole(QUILTER), {}, Watch())}
    for name, sound in NOBODY.items():
        chunk = whole(flac(tmp_path_factory.mktemp("sounds") / "sound.flac", sound))
        answers[name] = transcriber.transcribe(chunk, {}, Watch())
    transcriber.close()
    return answers


def whole(path):
    import soundfile

    return Chunk(path=path, start=0, end=soundfile.info(path).frames, channel=None, unit="chunk 1")


def phrase():
    """Two words, quickly transcribed."""
    return Chunk(path=QUILTER, start=0, end=int(1.3 * RATE), channel=None, unit="chunk 1")


def text(answer):
    return " ".join(re.sub(r"[^a-z' ]", "", word["text"].lower()) for word in answer["words"])


def flac(path, samples):
    writer = FlacWriter(path)
    writer.write(samples.astype("int16"))
    writer.close()
    return path


def children():
    """The ids of the workers that this process started and that are alive."""
    command = ["ps", "-A", "-ww", "-o", "pid=,ppid=,stat=,args="]
    rows = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    found = [row.split(maxsplit=3) for row in rows]
    ours = [row for row in found if row[1] == str(os.getpid()) and not row[2].startswith("Z")]
    return [int(row[0]) for row in ours if "transcribe_builtin" in row[3]]


def test_it_says_what_it_is_and_imports_no_decoder_for_that():
    code = (
        "import sys; from pipeline.providers.transcribe_builtin import BuiltinTranscriber as B; e = B().engine();"
        "print(e.name, e.version, e.languages, e.draft, e.key_options, e.lacking);"
        "print({'pocketsphinx', 'numpy', 'soundfile', 'multiprocessing'} & set(sys.modules))"
    )
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert printed.stdout == "builtin 1 ('en',) True () None\nset()\n"


def test_without_pocketsphinx_it_says_what_to_do(tmp_path):
    """A Python that has what evt always needs, and no pocketsphinx, as from 3.14 on."""
    for package in ("attr", "attrs", "orjson"):
        (tmp_path / package).symlink_to(Path(find_spec(package).origin).parent)
    code = "from pipeline.providers.transcribe_builtin import BuiltinTranscriber as B; print(B().engine().lacking)"
    printed = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "pocketsphinx" in printed.stdout
    assert "Install evt with Python 3.11, 3.12 or 3.13" in printed.stdout


@slow
def test_clear_speech_has_few_enough_wrong_words(heard):
    assert jiwer.wer(QUILTER_WORDS, text(heard["quilter"])) <= 0.40


@pytest.mark.heavy
def test_slow_clear_speech_has_fewer_wrong_words(transcriber):
    assert jiwer.wer(JFK_WORDS, text(transcriber.transcribe(whole(JFK), {}, Watch()))) <= 0.28


@slow
def test_words_are_words_with_times_within_the_chunk_and_confidences(heard):
    quilter = heard["quilter"]
    times = [time for word in quilter["words"] for time in (word["start_s"], word["end_s"])]
    assert times == sorted(times)
    assert 0.3 < times[0] < 0.8  # its first word begins at 0.54 s
    assert times[-1] <= quilter["metadata"]["chunk_s"]
    assert all(re.fullmatch(r"[a-z'.-]+", word["text"]) for word in quilter["words"])
    assert all(0 <= word["confidence"] <= 1 for word in quilter["words"])


@slow
@pytest.mark.parametrize("sound", NOBODY)
def test_where_nobody_speaks_there_are_no_words(heard, sound):
    assert heard[sound]["words"] == []


@pytest.mark.heavy
def test_a_chunk_has_the_same_words_whatever_was_transcribed_before(transcriber):
    """One worker hears both recordings, in turn."""
    first = transcriber.transcribe(phrase(), {}, Watch())
    transcriber.transcribe(Chunk(JFK, 0, 2 * RATE, None, "chunk 2"), {}, Watch())
    assert transcriber.transcribe(phrase(), {}, Watch()) == first
    assert text(first).startswith("mr ")
    assert len(children()) == 1


@slow
def test_nothing_is_printed(capfd):
    """Not by this process, and not by its worker, which writes to the same terminal."""
    transcriber = BuiltinTranscriber()
    transcriber.transcribe(phrase(), {}, Watch())
    transcriber.close()
    assert capfd.readouterr() == ("", "")


@slow
def test_calls_at_the_same_time_have_a_worker_each(transcriber):
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda chunk: transcriber.transcribe(chunk, {}, Watch()), [phrase(), phrase()]))
    assert answers[0] == answers[1]
    assert len(children()) == 2


@slow
def test_close_stops_a_call_under_way_and_leaves_no_process(transcriber):
    with ThreadPoolExecutor(1) as pool:
        watch = Watch()
        call = pool.submit(transcriber.transcribe, whole(JFK), {}, watch)
        assert watch.waiting.wait(30)
        transcriber.close()
        with pytest.raises(StoppedError):
            call.result(timeout=5)
    assert children() == []
    with pytest.raises(StoppedError):
        transcriber.transcribe(whole(JFK), {}, Watch())


@slow
def test_a_stop_ends_the_call_and_its_worker_but_not_the_transcriber(transcriber):
    with pytest.raises(StoppedError):
        transcriber.transcribe(whole(JFK), {}, Stop())
    assert children() == []
    assert transcriber.transcribe(phrase(), {}, Watch())["words"]


@slow
def test_a_worker_that_is_killed_fails_its_call_and_the_next_has_another(transcriber):
    with ThreadPoolExecutor(1) as pool:
        watch = Watch()
        call = pool.submit(transcriber.transcribe, whole(JFK), {}, watch)
        assert watch.waiting.wait(30)
        os.kill(children()[0], signal.SIGKILL)
        with pytest.raises(ProviderError, match="ended before its chunk was done") as raised:
            call.result(timeout=5)
    assert (raised.value.code, raised.value.retryable) == ("worker_died", True)
    assert transcriber.transcribe(phrase(), {}, Watch())["words"]


@slow
def test_a_worker_that_was_killed_between_calls_is_replaced(transcriber):
    transcriber.transcribe(phrase(), {}, Watch())
    (worker,) = children()
    os.kill(worker, signal.SIGKILL)
    os.waitid(os.P_PID, worker, os.WEXITED | os.WNOWAIT)
    assert transcriber.transcribe(phrase(), {}, Watch())["words"]


@slow
def test_workers_ignore_the_interrupt_of_the_terminal(transcriber):
    """Ctrl-C reaches every process of the terminal; the parent decides what it means for its workers."""
    with ThreadPoolExecutor(1) as pool:
        watch = Watch()
        call = pool.submit(transcriber.transcribe, phrase(), {}, watch)
        assert watch.waiting.wait(30)
        os.kill(children()[0], signal.SIGINT)
        assert call.result(timeout=60)["words"]


@slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere workers end after their chunk")
def test_workers_die_at_once_with_a_parent_that_is_killed(tmp_path):
    """The parent is killed while its worker decodes, when no Python code of the worker runs."""
    import soundfile

    speech = np.tile(soundfile.read(JFK, dtype="int16")[0], 5)
    script = tmp_path / "parent.py"
    script.write_text(PARENT.format(path=str(flac(tmp_path / "speech.flac", speech)), end=len(speech)))
    parent = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, text=True, cwd=ROOT, env=with_root()
    )
    with parent:
        worker = int(parent.stdout.readline())
        gone = os.pidfd_open(worker)
        parent.kill()
        # Decoding would take half a minute.
        assert select.select([gone], [], [], 5)[0]
        os.close(gone)


PARENT = """
import sys
from pathlib import Path
from pipeline.providers.base import Chunk
from pipeline.providers.transcribe_builtin import BuiltinTranscriber

class Watch:
    checks = 0
    def check(self):
        self.checks += 1
        if self.checks == 10:  # by then the model is loaded and the chunk being decoded
            print(transcriber._busy[0]._process.pid, flush=True)

transcriber = BuiltinTranscriber()
transcriber.transcribe(Chunk(Path({path!r}), 0, {end}, None, "chunk 1"), {{}}, Watch())
"""


def with_root():
    return {**os.environ, "PYTHONPATH": str(ROOT)}
