"""A rehearsal of the worst minute: transcription fails at a rate limit, and the next run goes on from there.

A scripted engine plays two people who speak for 100.5 seconds; nothing leaves the machine and nothing is kept.
"""

import subprocess
import sys
import tempfile
import wave
from pathlib import Path

HERE = Path(__file__).resolve().parent
SECONDS = 100.5


def main(evt: str) -> int:
    """Play the scene and return the exit code of the run that succeeds."""
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder) / "hearing.wav"
        make_recording(recording)
        engines = ["--diarizer", f"script:{HERE / 'demo.toml'}", "--transcriber", f"script:{HERE / 'demo.toml'}"]
        base = [evt, "--home", f"{folder}/home"]
        show(base, ["run", str(recording), "-o", folder, *engines])
        show(base, ["list"])
        code = show(base, ["run", str(recording), "-o", folder])
        show(base, ["list"])
        print((Path(folder) / "hearing.txt").read_text()[:400])
        return code


def make_recording(path: Path) -> None:
    """Write the sample's speech over and over, 100.5 seconds of it."""
    with wave.open(str(HERE / "jfk.wav")) as sample:
        speech, rate = sample.readframes(sample.getnframes()), sample.getframerate()
    size = int(SECONDS * rate) * 2
    with wave.open(str(path), "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(rate)
        recording.writeframes((speech * (size // len(speech) + 1))[:size])


def show(base: list[str], arguments: list[str]) -> int:
    """Run a command as a user would see it."""
    print(f"\n$ evt {' '.join(arguments)}", flush=True)
    return subprocess.run([*base, *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "evt"))
