from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.speech.alignment import split_text
from pipeline.speech.scripts import joined


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["Hello,", "world."], "Hello, world."),
        (["你", "好，", "吗？"], "你好，吗？"),
        (["我", "用", "Python", "写"], "我用 Python 写"),
        (["「こ」", "れ"], "「こ」れ"),
        (["Привет,", "мир"], "Привет, мир"),
        (["שלום", "עולם"], "שלום עולם"),
        (["안녕", "하세요"], "안녕 하세요"),
        (["你", "好.", "Hello"], "你好. Hello"),
        ([], ""),
        (["", "a"], "a"),
    ],
)
def test_words_are_put_together_as_their_script_is_written(words: list[str], text: str) -> None:
    assert joined(words) == text


@given(st.text(st.sampled_from("你好世界こんにちは。，「」")))
def test_a_text_without_spaces_is_the_same_after_it_was_cut_into_words_and_joined(text: str) -> None:
    words = split_text(text)
    if words and not any(" " in word for word in words):
        assert joined(words) == text
