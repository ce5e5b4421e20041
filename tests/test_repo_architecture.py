"""The shape of the packages: imports go one way, each client library has one door, projections are pure.

The checker reads files with `ast`, so that it also sees imports which no test happens to carry out; trees with a
planted violation show that it would see one.
"""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from attrs import evolve, frozen

from eventlog.store import Store

ROOT = Path(__file__).resolve().parent.parent

CHAIN = ("eventlog", "projections", "pipeline", "cli")
"""Each may import itself and what stands before it."""

AUDIO = frozenset({"av", "pydub", "soundfile", "soxr", "webrtcvad"})
SPEECH = frozenset({"ctranslate2", "faster_whisper", "httpx2", "openai", "pocketsphinx", "requests"})
SPEECH |= {"huggingface_hub", "pyannote", "torch"}
DOCUMENTS = frozenset({"docx"})
SYSTEM = frozenset({"backports", "certifi", "msgspec", "platformdirs", "rich", "sqlite3", "tomlkit"})
CLIENTS = AUDIO | SPEECH | DOCUMENTS | SYSTEM
"""Libraries that have one door: exactly one file knows how they are called."""

HEAVY = CLIENTS - {"sqlite3"}
"""Imported inside functions only, so that importing our modules stays cheap."""

PACKAGES = {
    "eventlog": frozenset({"attrs", "backports", "msgspec", "orjson"}),
    "projections": frozenset({"attrs", "orjson"}),
    "pipeline": frozenset({"attrs", "certifi", "orjson", "numpy", "platformdirs", "sqlite3"})
    | AUDIO
    | SPEECH
    | DOCUMENTS,
    "cli": frozenset({"attrs", "orjson", "click", "rich", "tomlkit"}),
}
"""What each package may import besides the standard library and ours."""

PURE = frozenset({"__future__", "attrs", "collections", "enum", "functools", "hashlib", "itertools", "math"})
PURE |= {"datetime", "decimal", "orjson", "re", "typing"}
PURE_OURS = ("projections", "eventlog.decoding", "eventlog.record", "eventlog.values")
"""All that projections may import: nothing with a disk, a clock, a network, chance or a logger behind it."""
IMPURE_CALLS = frozenset({"open", "print", "input", "exec", "eval", "__import__"})
IMPURE_CALLS |= {"date.today", "datetime.now", "datetime.utcnow", "datetime.today"}

_BY_NAME = re.compile(rf"({'|'.join(CHAIN)})(\.\w+)+:\w+")
"""A module and a class in it, written down to be imported when it is wanted."""


@frozen
class Import:
    """One imported name: `module` in full, `is_deferred` if importing the file doesn't carry it out."""

    file: Path
    line: int
    module: str
    is_deferred: bool = False

    @property
    def package(self) -> str:
        return self.file.parts[0]

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]

    def breaks(self, rule: str) -> str:
        return f"{self.file}:{self.line}: {self.module}: {rule}"


def violations(root: Path) -> list[str]:
    """Return a sentence for each place in a tree of the four packages that breaks a rule."""
    trees = {path.relative_to(root): ast.parse(path.read_text()) for name in CHAIN for path in _files(root / name)}
    found = [item for file, tree in trees.items() for item in imports(tree, file)]
    calls = [
        broken for file, tree in trees.items() if file.parts[0] == "projections" for broken in _calls(tree, file)
    ]
    return sorted(
        {*_one_way(found), *_foreign(found), *_impure(found), *_second_doors(found), *_eager(found), *calls}
    )


def imports(tree: ast.AST, file: Path) -> Iterator[Import]:
    """Yield what a file imports, also inside functions, for types only, or by a name in a string."""
    for node in ast.iter_child_nodes(tree):
        yield from _imported(node, file)
        deferred = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or _is_for_types(node)
        for item in imports(node, file):
            yield evolve(item, is_deferred=True) if deferred else item


def _imported(node: ast.AST, file: Path) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(file, node.lineno, alias.name) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        above = file.parent.parts[: len(file.parent.parts) - node.level + 1] if node.level else ()
        module = ".".join([*above, *([node.module] if node.module else [])])
        yield from (Import(file, node.lineno, f"{module}.{alias.name}") for alias in node.names)
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
        first = node.args[0] if node.args else None
        first = first.values[0] if isinstance(first, ast.JoinedStr) else first
        if isinstance(first, ast.Constant):
            yield Import(file, node.lineno, str(first.value).rstrip("."))
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _BY_NAME.fullmatch(node.value):
        yield Import(file, node.lineno, node.value.replace(":", "."), is_deferred=True)


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def _one_way(found: Iterable[Import]) -> Iterator[str]:
    for item in found:
        if item.top in CHAIN and CHAIN.index(item.top) > CHAIN.index(item.package):
            yield item.breaks(f"imports go one way: {' → '.join(reversed(CHAIN))}")


def _foreign(found: Iterable[Import]) -> Iterator[str]:
    for item in found:
        known = sys.stdlib_module_names | PACKAGES[item.package] | set(CHAIN)
        if item.top not in known:
            yield item.breaks(f"{item.file} may not import this")


def _impure(found: Iterable[Import]) -> Iterator[str]:
    for item in found:
        ours = any(f"{item.module}.".startswith(f"{name}.") for name in PURE_OURS)
        if item.package == "projections" and item.top not in PURE and not ours:
            yield item.breaks("projections are pure")


def _calls(tree: ast.AST, file: Path) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in IMPURE_CALLS:
            yield f"{file}:{node.lineno}: {ast.unparse(node.func)}(): projections are pure"


def _second_doors(found: Iterable[Import]) -> Iterator[str]:
    doors: dict[str, set[str]] = defaultdict(set)
    for item in found:
        if item.top in CLIENTS:
            doors[item.top].add(str(item.file))
    return (f"{name} has {len(files)} doors: {sorted(files)}" for name, files in doors.items() if len(files) > 1)


def _eager(found: Iterable[Import]) -> Iterator[str]:
    return (i.breaks("import it inside the function") for i in found if i.top in HEAVY and not i.is_deferred)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def test_the_packages_keep_the_rules():
    assert violations(ROOT) == []


def test_every_client_that_is_used_is_known_to_the_checker():
    """A new dependency has to be put into a table here, where somebody decides whether it needs one door."""
    used = {item.top for name in CHAIN for path in _files(ROOT / name) for item in imports(_tree(path), Path(name))}
    ours = {*CHAIN, "attrs", "orjson", "click", "numpy"}
    assert used - ours - sys.stdlib_module_names <= CLIENTS


def test_starting_any_command_loads_no_heavy_library():
    """Claimed of the running program too, since a library can be loaded by another."""
    commands = [f"cli.commands.{path.stem}" for path in _files(ROOT / "cli" / "commands")]
    program = f"import sys, pipeline.runner, {', '.join(commands)}; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", program], text=True, cwd=ROOT).split()
    assert {"cli.commands.run", "attrs"} <= set(loaded)
    assert sorted({"numpy", *HEAVY} & set(loaded)) == []


IDLE = {"rich", "asyncio", "subprocess", "concurrent", "ctypes", "multiprocessing", "numpy", "importlib.metadata"}
READING = {
    "--help": IDLE | {"attr", "orjson", "eventlog", "pipeline", "projections"},
    "list": IDLE | {"pipeline.runner"},
    "replay": IDLE | {"pipeline.runner"},
}
"""What a command must not have loaded when it ends; none of them is needed to read a log."""


@pytest.mark.parametrize("command", READING)
def test_a_command_that_reads_loads_only_what_it_needs(command, tmp_path):
    Store(str(tmp_path / "logs")).open_writer("aa1", run="01", create=True).writer.close()
    arguments = (
        [command] if command == "--help" else ["--home", str(tmp_path), command, *["aa1"] * (command == "replay")]
    )
    program = (
        "import sys, atexit; from cli.main import main\n"
        "atexit.register(lambda: print('LOADED', *sys.modules))\n"
        f"main({arguments!r})"
    )
    done = subprocess.run([sys.executable, "-c", program], text=True, cwd=ROOT, capture_output=True, check=True)
    loaded = set(done.stdout.rpartition("LOADED ")[2].split())
    assert f"cli.{'main' if command == '--help' else 'commands.' + command}" in loaded
    assert sorted((READING[command] | HEAVY) & loaded) == []


def test_a_tree_without_violations_passes(tmp_path):
    plant(tmp_path, "projections/plan.py", "import hashlib\nfrom eventlog.values import Value\nimport orjson")
    plant(tmp_path, "pipeline/audio.py", "if TYPE_CHECKING:\n    import av\ndef decode():\n    import av, numpy")
    plant(tmp_path, "cli/main.py", "import click\nfrom pipeline import runner\nfrom . import options")
    assert violations(tmp_path) == []


@pytest.mark.parametrize(
    ("file", "source", "rule"),
    [
        ("eventlog/store.py", "from projections.fold import fold", "one way"),
        ("projections/fold.py", "def f():\n    import pipeline.runner", "one way"),
        ("pipeline/runner.py", "from cli import main", "one way"),
        ("pipeline/runner.py", "from ..cli import main", "one way"),
        ("pipeline/runner.py", "importlib.import_module('cli.main')", "one way"),
        ("pipeline/runner.py", "import_module(f'cli.{name}')", "one way"),
        ("pipeline/runner.py", "TABLE = {'main': 'cli.main:Main'}", "one way"),
        ("eventlog/store.py", "if TYPE_CHECKING:\n    from projections import state", "one way"),
        ("eventlog/store.py", "import click", "may not import"),
        ("pipeline/runner.py", "import click", "may not import"),
        ("pipeline/runner.py", "import tests.support", "may not import"),
        ("cli/main.py", "def f():\n    import soundfile", "may not import"),
        *(
            ("projections/fold.py", f"import {name}", "pure")
            for name in ["os", "pathlib", "time", "random", "socket", "logging", "subprocess", "numpy"]
        ),
        ("projections/fold.py", "def f():\n    from time import time", "pure"),
        ("projections/fold.py", "from eventlog import store", "pure"),
        ("projections/fold.py", "def f(path):\n    return open(path).read()", "pure"),
        ("pipeline/audio.py", "import av", "inside the function"),
        ("pipeline/audio.py", "try:\n    import soxr\nexcept ImportError:\n    soxr = None", "inside the function"),
        ("pipeline/audio.py", "class A:\n    from pydub import silence", "inside the function"),
        ("cli/progress.py", "from rich.console import Console", "inside the function"),
    ],
)
def test_a_planted_violation_is_found(tmp_path, file, source, rule):
    plant(tmp_path, file, source)
    assert any(rule in sentence and file in sentence for sentence in violations(tmp_path))


@pytest.mark.parametrize("name", sorted(AUDIO | SPEECH | DOCUMENTS | {"sqlite3"}))
def test_a_second_door_to_a_client_is_found(tmp_path, name):
    plant(tmp_path, "pipeline/one.py", f"def f():\n    import {name}")
    assert violations(tmp_path) == []
    plant(tmp_path, "pipeline/two.py", f"def f():\n    from {name} import something")
    assert violations(tmp_path) == [f"{name} has 2 doors: ['pipeline/one.py', 'pipeline/two.py']"]


def plant(root: Path, file: str, source: str) -> None:
    path = root / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(source)


def _tree(path: Path) -> ast.AST:
    return ast.parse(path.read_text())
