"""`evt run` as a user meets it: the real program, real files, a scripted engine."""

from __future__ import annotations

import hashlib
import shutil

import pytest

from tests.support.cli import Evt
from tests.support.openai_server import OpenAIServer
from tests.support.service import Request, Response

pytestmark = pytest.mark.slow


def test_one_command_gives_a_transcript_in_every_format(evt: Evt) -> None:
    evt.speech()
    done = evt.run("talk.wav")
    assert sorted(path.name for path in evt.work.glob("talk.*")) == [
        "talk.json", "talk.rttm", "talk.srt", "talk.txt", "talk.vtt", "talk.wav",
    ]  # fmt: skip
    assert "SPEAKER_00: one two" in (evt.work / "talk.txt").read_text()
    assert "talk.txt" in done.stdout
    assert "audio_conversion: done" in done.stderr


def test_the_first_run_says_where_things_are_kept_and_the_second_does_not(evt: Evt) -> None:
    evt.speech()
    first = evt.run("talk.wav").stderr
    assert str(evt.home) in first
    assert "Nothing left this machine." in first
    assert "evt doctor" in first
    assert "are kept in" not in evt.run("talk.wav").stderr


def test_the_same_command_again_appends_nothing_and_says_so(evt: Evt) -> None:
    evt.speech()
    evt.run("talk.wav")
    before = evt.log().read_bytes()
    assert "nothing to do" in evt.run("talk.wav").stdout
    assert "nothing to do" in evt("run", "talk.wav").stdout
    assert evt.log().read_bytes() == before


def test_another_name_and_folder_is_the_same_pipeline_and_nothing_runs_again(evt: Evt) -> None:
    evt.speech()
    evt.run("talk.wav")
    (evt.work / "sub").mkdir()
    shutil.copy(evt.work / "talk.wav", evt.work / "sub" / "copy.wav")
    before = evt.log().read_bytes()
    assert "nothing to do" in evt("run", "sub/copy.wav").stdout
    assert (evt.work / "copy.txt").read_bytes() == (evt.work / "talk.txt").read_bytes()
    assert evt.log().read_bytes() == before


def test_a_run_by_id_needs_no_recording_unless_a_stage_reads_it(evt: Evt) -> None:
    recording = evt.speech()
    evt.run("talk.wav")
    moved = recording.rename(evt.work / "moved.wav")
    pipeline = evt.log().stem
    assert "nothing to do" in evt("run", pipeline[:6]).stdout
    shutil.rmtree(evt.home / "artifacts" / pipeline[:2] / pipeline / "audio_conversion")
    refused = evt("run", pipeline, "--refresh", "diarization", code=3)
    assert "--input FILE" in refused.stderr
    evt("run", pipeline, "--refresh", "diarization", "--input", str(moved))


def test_a_rate_limit_fails_one_stage_and_the_next_run_does_only_that(evt: Evt) -> None:
    """Two completed stages, one failed; then transcription, merge and export alone."""
    failure = '[[failures]]\noperation = "transcription"\nattempts = [1]\nmessage = "rate limit exceeded"'
    evt.script.write_text(evt.script.read_text() + "\n" + failure)
    evt.speech()
    failed = evt.run("talk.wav", code=1)
    assert "rate limit exceeded" in failed.stderr
    (summary,) = evt.json("list")
    assert (summary["status"], summary["failed_stage"]) == ("failed", "transcription")
    assert summary["completed_stages"] == ["audio_conversion", "diarization"]
    (report,) = evt.json("run", "talk.wav")
    assert sorted(report["ran"]) == ["export", "merge", "transcription"]
    assert report["reused"] == ["audio_conversion", "diarization"]


def test_the_options_of_before_hold_after_a_failure(evt: Evt) -> None:
    failure = '[[failures]]\noperation = "transcription"\nattempts = [1]'
    evt.script.write_text(evt.script.read_text() + "\n" + failure)
    evt.speech()
    evt.run("talk.wav", "--format", "txt", code=1)
    evt("run", "talk.wav")
    assert sorted(path.name for path in evt.work.glob("talk.*")) == ["talk.txt", "talk.wav"]


def test_another_option_runs_just_what_depends_on_it(evt: Evt) -> None:
    evt.speech()
    evt.run("talk.wav", "--format", "txt")
    plan = evt.json("plan", "talk.wav", "--format", "txt,srt")[0]
    assert [step["decision"] for step in plan["stages"]] == ["reuse", "reuse", "reuse", "reuse", "run"]
    assert "named by you" in plan["stages"][-1]["reason"]
    (report,) = evt.json("run", "talk.wav", "--format", "txt,srt")
    assert report["ran"] == ["export"]


def test_a_deleted_artifact_is_made_again_only_if_something_needs_it(evt: Evt) -> None:
    evt.speech()
    evt.run("talk.wav")
    lost = next(evt.home.glob("artifacts/*/*/merge/1/transcript.json"))
    lost.unlink()
    assert "nothing to do" in evt("run", "talk.wav").stdout
    assert "transcript.json is missing" in evt("validate", code=1).stdout
    (report,) = evt.json("run", "talk.wav", "--refresh", "export")
    assert report["ran"] == ["merge", "export"]


def test_a_delivery_that_the_user_changed_is_kept(evt: Evt) -> None:
    evt.speech()
    evt.run("talk.wav", "--format", "txt")
    (evt.work / "talk.txt").write_text("my corrections\n")
    done = evt("run", "talk.wav")
    assert (evt.work / "talk.txt").read_text() == "my corrections\n"
    assert "SPEAKER_00" in (evt.work / "talk.new.txt").read_text()
    assert "left as it is" in done.stderr
    assert "nothing to do" in evt("run", "talk.wav").stdout


def test_an_older_export_of_ours_is_replaced(evt: Evt) -> None:
    evt.speech()
    evt.run("talk.wav", "--format", "txt")
    evt.script.write_text(evt.script.read_text().replace('"one"', '"uno"'))
    evt("run", "talk.wav", "--refresh", "transcription")
    assert "uno two" in (evt.work / "talk.txt").read_text()
    assert not (evt.work / "talk.new.txt").exists()


def test_a_changed_engine_is_stale_reused_and_reported(evt: Evt) -> None:
    evt.speech()
    evt.run("talk.wav", "--format", "txt")
    evt.script.write_text(evt.script.read_text().replace('"one"', '"uno"'))
    done = evt("run", "talk.wav")
    assert "stale" in done.stderr
    assert "nothing to do" in done.stdout


def test_names_that_collide_in_the_output_folder_get_their_suffix(evt: Evt) -> None:
    evt.speech("talk.wav", seed=1)
    shutil.move(evt.speech("other.wav", seed=2), evt.work / "talk.wave")
    evt.run("talk.wav", "talk.wave", "--format", "txt")
    assert sorted(path.name for path in evt.work.glob("*.txt")) == ["talk.wav.txt", "talk.wave.txt"]


def test_one_bad_file_does_not_stop_the_others_and_the_worst_code_counts(evt: Evt) -> None:
    evt.speech("good.wav")
    (evt.work / "bad.wav").write_text("<html>not audio</html>")
    done = evt.run("bad.wav", "good.wav", "missing.wav", "--format", "txt", code=3)
    assert (evt.work / "good.txt").exists()
    assert "bad.wav" in done.stderr
    assert "missing.wav" in done.stderr


def test_the_log_can_be_checked_with_sha256sum(evt: Evt) -> None:
    evt.speech()
    evt.run("talk.wav")
    lines = evt.log().read_bytes().splitlines(keepends=True)
    records = evt.records()
    for number in range(1, len(lines)):
        assert hashlib.sha256(lines[number - 1]).hexdigest() == records[number]["prev"]


def test_a_finished_log_ends_sealed_and_its_status_is_completed(evt: Evt) -> None:
    evt.speech()
    evt.run("talk.wav")
    assert evt.types()[-2:] == ["run.finished", "log.sealed"]
    assert evt.json("list")[0]["status"] == "completed"


def test_a_file_without_speech_gives_an_empty_transcript_and_says_so(evt: Evt) -> None:
    import wave

    with wave.open(str(evt.work / "quiet.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(bytes(5 * 32000))
    done = evt("run", "quiet.wav")
    assert "no speech" in done.stderr
    assert "no speech" in (evt.work / "quiet.txt").read_text()


def test_wishes_that_need_what_is_lacking_are_refused_before_anything_begins(evt: Evt) -> None:
    evt.speech()
    done = evt("run", "talk.wav", "--transcriber", "builtin", "--language", "de", code=3)
    assert "en only" in done.stderr
    assert not list(evt.home.glob("logs/*/*"))


def test_settings_of_an_untrusted_folder_choose_no_engine(evt: Evt) -> None:
    evt.speech()
    (evt.work / "evt.toml").write_text(f'transcriber = "script:{evt.script}"\nformats = ["txt"]\n')
    shown = {row["name"]: row for row in evt.json("config")["settings"]}
    assert shown["transcriber"]["value"] == "auto"
    assert shown["formats"]["value"] == "txt"
    evt("trust", evt.work)
    shown = {row["name"]: row for row in evt.json("config")["settings"]}
    assert shown["transcriber"]["value"] == f"script:{evt.script}"


def test_an_export_in_another_format_transcribes_nothing(evt: Evt) -> None:
    evt.speech()
    evt.run("talk.wav", "--format", "txt")
    evt("export", "talk.wav", "--format", "srt", "-o", "subtitles")
    assert [path.name for path in (evt.work / "subtitles").iterdir()] == ["talk.srt"]
    assert evt.types().count("call.started") == evt.types().count("call.succeeded")
    assert evt.types().count("stage.started") == 6
    assert "nothing to do" in evt("run", "talk.wav").stdout


def test_formats_may_be_written_with_spaces_and_capitals(evt: Evt) -> None:
    evt.speech()
    evt("run", "talk.wav", *evt.engines, "--format", "TXT, srt")
    assert {path.name for path in evt.work.iterdir()} == {"talk.wav", "talk.txt", "talk.srt"}
    evt("export", "talk.wav", "--format", " VTT", "-o", ".")
    assert (evt.work / "talk.vtt").is_file()


def test_an_export_of_what_was_never_run_says_so(evt: Evt) -> None:
    evt.speech()
    said = evt("export", "talk.wav", code=3).stderr
    assert "not transcribed yet" in said
    assert "goes on" not in said


def test_an_export_of_an_unfinished_pipeline_is_refused_with_what_to_do(evt: Evt) -> None:
    evt.script.write_text(evt.script.read_text() + '\n[[failures]]\noperation = "transcription"\n')
    evt.speech()
    evt.run("talk.wav", code=1)
    assert "evt run" in evt("export", "talk.wav", code=3).stderr


def test_a_refresh_asks_the_engine_anew(evt: Evt) -> None:
    evt.speech()
    evt.run("talk.wav")
    asked = evt.types().count("call.started")
    evt("run", "talk.wav", "--refresh", "transcription")
    assert evt.types().count("call.started") > asked
    assert "call.reused" not in evt.types()


def test_forgotten_options_stay_forgotten(evt: Evt) -> None:
    evt.speech()
    evt.run("talk.wav", "--format", "txt")
    evt("run", "talk.wav", "--reset-options", *evt.engines)
    assert evt.json("replay", "talk.wav")["named"].keys() == {"diarizer", "transcriber"}
    assert "nothing to do" in evt("run", "talk.wav").stdout
    assert (evt.work / "talk.srt").exists()


def test_naming_another_script_speaks_its_words(evt: Evt) -> None:
    evt.speech()
    evt.run("talk.wav", "--format", "txt")
    other = evt.script.with_name("other.toml")
    other.write_text(evt.script.read_text().replace('"one"', '"uno"'))
    evt("run", "talk.wav", "--transcriber", f"script:{other}")
    assert "uno two" in (evt.work / "talk.txt").read_text()


def test_formats_from_the_environment_are_rendered_and_those_of_an_export_do_not_stay(evt: Evt) -> None:
    evt.speech()
    evt.run("talk.wav", "--format", "txt")
    evt("export", "talk.wav", "--format", "srt", "-o", "subtitles")
    evt("run", "talk.wav", "-o", "again")
    assert [path.name for path in (evt.work / "again").iterdir()] == ["talk.txt"]
    evt("run", "talk.wav", "--reset-options", *evt.engines, "-o", "env", EVT_FORMATS="vtt")
    assert [path.name for path in (evt.work / "env").iterdir()] == ["talk.vtt"]


def test_a_log_that_is_taken_away_stops_its_own_recording_only(evt: Evt) -> None:
    evt.script.write_text(evt.script.read_text() + '\n[[delays]]\noperation = "transcription"\nseconds = 0.5\n')
    evt.speech("first.wav", seed=1)
    evt.speech("second.wav", seed=2)
    process = evt.start("run", "-j1", "first.wav", "second.wav", *evt.engines)
    next(line for line in evt.lines_of("tail", "-f", "--json") if "call.started" in line)
    evt.log().unlink()
    process.communicate(timeout=60)
    assert process.returncode == 1
    assert (evt.work / "second.txt").exists()
    assert not (evt.work / "first.txt").exists()


class Removing(OpenAIServer):
    """Takes the turns away while the words are waited for."""

    def __init__(self, evt: Evt) -> None:
        super().__init__()
        self.evt = evt

    def answer(self, request: Request) -> Response:
        for turns in self.evt.home.glob("artifacts/*/*/diarization/1/turns.json"):
            turns.unlink()
        return super().answer(request)


def test_a_run_that_loses_a_file_of_a_finished_stage_names_the_stage_and_the_file(evt: Evt) -> None:
    evt.speech()
    with Removing(evt) as server:
        wanted = ["--transcriber", "openai", "--model", "gpt-4o-transcribe"]
        service = {"OPENAI_API_KEY": "sk-0123456789", "OPENAI_BASE_URL": server.base_url}
        said = evt("run", "talk.wav", *evt.engines, *wanted, code=1, **service).stderr
    assert "diarization: diarization/1/turns.json is gone and needed." in said
    assert f"`evt run {evt.log().stem}` goes on" in said
