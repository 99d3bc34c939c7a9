from __future__ import annotations

import random

from benchmarks.faults.texts import Texts, normal


def test_a_mark_is_in_each_line_of_its_text_and_in_no_other() -> None:
    texts = Texts(random.Random(1))
    made = [texts.new() for _ in range(200)]
    assert len({text.mark for text in made}) == 200
    for text in made:
        assert all(line.split()[0] == text.mark for line in text.body.splitlines())
    words = [set(text.words.split()) for text in made]
    assert all(made[1].mark not in other for number, other in enumerate(words) if number != 1)


def test_the_seed_decides_all() -> None:
    assert Texts(random.Random(2)).new(9) == Texts(random.Random(2)).new(9)
    assert len(Texts(random.Random(2)).new(9).body.splitlines()) == 9


def test_texts_that_differ_by_space_alone_are_equal() -> None:
    assert normal(" a\n b\t c ") == "a b c"
