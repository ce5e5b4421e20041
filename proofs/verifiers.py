"""Verifiers that share no code agree on every log, whole, damaged or hostile: ours, a second one, and the shell's.

`python -m proofs.verifiers --corruptions N --shells M --seed S`. The second one, proofs/second_reader.py, was made
from docs/format.md alone; the shell's is the loop in that page, which says whole or not and is asked M times.
"""

from __future__ import annotations

import itertools
import os
import random
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache, partial
from importlib import import_module
from pathlib import Path

from attrs import define, field, frozen

from eventlog.reader import Head, Tail, scan
from proofs import corpus
from proofs.corpus import PIPELINE, STRANGER, Case, Log, in_processes, memory_folder
from proofs.damage import keep
from proofs.hostile_logs import GOLDEN, logs
from proofs.report import BrokenPromiseError, Tally, command

Judge = Callable[[bytes, str, tuple[int, str] | None], tuple[str, int, int]]
"""(content, pipeline, head) → (verdict, seq of the last good record, offset of its end)."""
FORMAT = Path(__file__).resolve().parents[1] / "docs" / "format.md"
HEADS_EVERY = 10
ANOTHER = "0" * 64


@frozen
class Question:
    """Something to be judged by all."""

    label: str
    content: bytes
    pipeline: str
    head: Head | None = None


def prove(*, corruptions: int, shells: int, processes: int, seed: int) -> Tally:
    """Compare the second verifier with ours on every log, and the shell's on some."""
    share = partial(compare, second_judge(), corruptions=corruptions, shells=shells, seed=seed)
    return in_processes(share, processes)


def second_judge() -> Judge:
    """Return the second verifier."""
    judge: Judge = import_module("proofs.second_reader").judge
    return judge


def compare(judge: Judge, first: int = 0, step: int = 1, *, corruptions: int, shells: int, seed: int) -> Tally:
    """Ask all verifiers the same questions.

    Raises:
        BrokenPromiseError: they disagree; the message names a file with the bytes.
    """
    tally = Tally()
    sample = Sample(shells // step // len(corpus.KINDS), random.Random(seed))
    for question in _fixed(first, step):
        tally.add(f"agreed on {_agreed(question, judge)}")
    for number, case in enumerate(_cases(corruptions, seed, first, step)):
        sample.offer(case)
        for question in _of_case(case, all_heads=number % HEADS_EVERY == 0):
            tally.add(f"agreed on {_agreed(question, judge)}")
    if "jq " in shell_script() and shutil.which("jq") is None:
        tally.skipped.append("the shell's verifier, as there is no jq here")
    else:
        for question in itertools.chain(_whole(first, step), sample.questions()):
            tally.add(f"the shell agreed on {_agreed_by_shell(question)}")
    return tally


@define
class Sample:
    """So many cases of each kind, each case of a kind with the same chance."""

    size: int
    rng: random.Random
    kept: dict[str, list[Case]] = field(factory=dict)
    seen: Counter[str] = field(factory=Counter)

    def offer(self, case: Case) -> None:
        """Keep a case, or don't. Source: algorithm R of Vitter, "Random sampling with a reservoir", 1985."""
        kept = self.kept.setdefault(case.kind, [])
        self.seen[case.kind] += 1
        place = self.rng.randrange(self.seen[case.kind])
        if len(kept) < self.size:
            kept.append(case)
        elif place < self.size:
            kept[place] = case

    def questions(self) -> Iterator[Question]:
        """Yield what was kept; no head, as the shell knows none."""
        for case in itertools.chain(*self.kept.values()):
            yield Question(case.label, case.content, case.log.pipeline)


def _fixed(first: int, step: int) -> Iterator[Question]:
    """Yield the golden logs, much that can be done to them, and the hostile logs."""
    hostile = (Question(f"hostile log {name!r}", content, PIPELINE) for name, content in logs(PIPELINE))
    yield from itertools.islice(itertools.chain(_whole(), _of_golden(), hostile), first, None, step)


def _whole(first: int = 0, step: int = 1) -> Iterator[Question]:
    for golden in GOLDEN[first::step]:
        yield Question(golden.name, golden.read_bytes(), golden.stem)


def _of_golden() -> Iterator[Question]:
    for golden in GOLDEN:
        lines = tuple(golden.read_bytes().splitlines(keepends=True))
        log = Log(f"golden {golden.stem}", lines, pipeline=golden.stem)
        for kind in ("surgery", "editor"):
            cases = (Case(log, kind, *one) for one in corpus.LISTED[kind](log))
            for number, case in enumerate(cases):
                yield from _of_case(case, all_heads=number % HEADS_EVERY == 0)


def _cases(corruptions: int, seed: int, first: int, step: int) -> Iterator[Case]:
    return itertools.islice(corpus.corpus(seed, first, step), len(range(first, corruptions, step)))


def _of_case(case: Case, *, all_heads: bool) -> Iterator[Question]:
    """Ask about a case with the head that lies beside it; also with true ones, and with false and later ones."""
    heads = [case.head]
    if all_heads:
        count = len(case.log.lines)
        some = {1, (count + 1) // 2, count}
        heads += [None, *(Head(seq, case.log.hashes[seq - 1]) for seq in some)]
        heads += [Head(seq, ANOTHER) for seq in {*some, count + 1, count + 2}]
    for head in heads:
        yield Question(case.label, case.content, case.log.pipeline, head)


def _agreed(question: Question, judge: Judge) -> str:
    """Return our verdict once the second verifier has given the same."""
    verdict = scan([question.content], question.pipeline, question.head)[1]
    ours = (verdict.tail.value, verdict.seq, verdict.offset)
    head = (question.head.seq, question.head.sha256) if question.head else None
    try:
        other = judge(question.content, question.pipeline, head)
    except Exception as error:
        raise _disagreement(question, f"the second verifier raises {error!r:.300}") from error
    if other != ours:
        raise _disagreement(question, f"ours says {ours}, because {verdict.reason!r}, the second {other}")
    return verdict.tail.value


def _agreed_by_shell(question: Question) -> str:
    # It is not told the log's name, so that a stranger's whole log is whole.
    names = (question.pipeline, STRANGER)
    whole = any(scan([question.content], name)[1].tail is Tail.CLEAN for name in names)
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        Path(folder, "log").write_bytes(question.content)
        Path(folder, "check.sh").write_text(shell_script())
        done = subprocess.run(["sh", "check.sh", "log"], cwd=folder, capture_output=True, check=False)
    if done.returncode not in {0, 1} or (done.returncode == 0) != whole:
        said = f"{done.returncode} {(done.stdout + done.stderr)[-500:]!r}"
        raise _disagreement(question, f"ours says {'whole' if whole else 'not whole'}, the shell {said}")
    return "a whole log" if whole else "a damaged log"


@cache
def shell_script() -> str:
    """Return the script that docs/format.md gives to those who have nothing of ours."""
    block = re.search(r"^```sh\n(.*?)^```$", FORMAT.read_text(), re.MULTILINE | re.DOTALL)
    assert block is not None
    return block[1]


def _disagreement(question: Question, what: str) -> BrokenPromiseError:
    where = f"{question.label}, of pipeline {question.pipeline}, head {question.head}"
    return BrokenPromiseError(f"{where}: {what}. Its bytes: {keep(question.content)}")


if __name__ == "__main__":
    budgets = {"corruptions": 300_000, "shells": 216, "processes": os.cpu_count() or 1}
    command("verifiers", prove, budgets)
