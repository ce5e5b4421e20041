"""Install evt into an environment of its own, then transcribe the sample recording. Needs Python 3.11 to 3.13.

usage: python3 install.py [FOLDER]     (default: ~/.local/lib/evt, with a link ~/.local/bin/evt)
"""

import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    """Make the environment, install, link, and run the sample."""
    if sys.platform == "win32":
        print("Windows itself is not supported; install evt in WSL (the Windows Subsystem for Linux).")
        return 1
    if not (3, 11) <= sys.version_info[:2] <= (3, 13):
        found = ".".join(map(str, sys.version_info[:2]))
        print(f"evt needs Python 3.11, 3.12 or 3.13; this is {found}. Call install.py with one of those.")
        return 1
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path.home() / ".local" / "lib" / "evt"
    print(f"Installing evt into {folder} …", flush=True)
    shutil.rmtree(HERE / "build", ignore_errors=True)  # what an older version left would be packed again
    venv.create(folder, with_pip=True, clear=False)
    python = folder / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade"]
    # Wheels only: no compiler is needed, and none is looked for.
    subprocess.run([*pip, "--only-binary", ":all:", "--no-binary", "evt-transcribe", HERE], check=True)
    evt = _link(folder / "bin" / "evt") if len(sys.argv) < 2 else folder / "bin" / "evt"
    print("Transcribing samples/jfk.wav …", flush=True)
    transcripts = Path("transcripts")
    code = subprocess.run([evt, "run", HERE / "samples" / "jfk.wav", "-o", transcripts], check=False).returncode
    if code == 0:
        print(f"\n{(transcripts / 'jfk.txt').read_text()}\nNow try your own:  {evt} run FILE")
    return code


def _link(program: Path) -> Path:
    """Put a link to the program where most systems look for a user's programs."""
    link = Path.home() / ".local" / "bin" / "evt"
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink() or not link.exists():
        link.unlink(missing_ok=True)
        link.symlink_to(program)
        return link
    print(f"{link} is something else, so it was left alone; evt is {program}.")
    return program


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        print("The packages could not be installed; the lines above say why. Nothing else was changed.")
        sys.exit(error.returncode)
