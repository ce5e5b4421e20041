"""The seeded bugs still apply to the code as it is; that each is noticed is `make mutants`."""

import shutil
from pathlib import Path

import pytest

from proofs.mutations import MUTATIONS

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_seeded_bug_changes_the_code_and_leaves_it_python(mutation, tmp_path):
    shutil.copytree(ROOT / "eventlog", tmp_path / "eventlog", ignore=shutil.ignore_patterns("__pycache__"))
    mutation.apply(tmp_path)
    changed = (tmp_path / mutation.file).read_text()
    assert changed != (ROOT / mutation.file).read_text()
    compile(changed, mutation.file, "exec")


def test_there_are_more_than_twenty_and_no_two_of_one_name():
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS) > 20
