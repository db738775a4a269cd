"""The magic words of the `local` video provider, as text."""

import pytest

from mediagate.providers.local.spec import VIDEOS
from mediagate.providers.local.words import UnknownWord, Words, parse


def test_a_prompt_without_words_stays_as_it_is() -> None:
    prompt = "A cat [on a roof], mediagate:slow, [mediagate"
    assert parse(prompt) == (Words(), prompt)


@pytest.mark.parametrize(
    ("word", "meaning"),
    [
        ("refuse-input", Words(refuse_input=True)),
        ("reject", Words(reject=True)),
        ("stuck", Words(stuck=True)),
        ("lost", Words(lost=True)),
        ("crash", Words(crash=True)),
        ("slow", Words(slow=20.0)),
        ("slow=1.5", Words(slow=1.5)),
        ("late", Words(late=10.0)),
        ("late=0", Words(late=0.0)),
        (" Slow=3600 ", Words(slow=3600.0)),
    ],
)
def test_each_word_is_understood_and_taken_out(word: str, meaning: Words) -> None:
    words, text = parse(f"A cat [mediagate:{word}] walks")
    assert words == meaning
    assert text.split() == ["A", "cat", "walks"]


def test_words_combine() -> None:
    words, text = parse("[mediagate:slow=3]a cat[MEDIAGATE:reject]")
    assert words == Words(slow=3.0, reject=True)
    assert text.strip() == "a cat"


@pytest.mark.parametrize(
    "word",
    [
        "",
        "slwo",
        "slow=",
        "slow=-1",
        "slow=1e3",
        "slow=nan",
        "slow=3601",
        "slow=٣",
        "stuck=1",
        "reject=",
        "refuse_input",
    ],
)
def test_what_means_nothing_is_refused_with_the_list_of_words(word: str) -> None:
    with pytest.raises(
        UnknownWord, match="Known: refuse-input, reject, stuck, lost, crash, slow=SECONDS, late=SECONDS"
    ):
        parse(f"a cat [mediagate:{word}]")


def test_a_long_unknown_word_is_not_repeated_in_full() -> None:
    with pytest.raises(UnknownWord) as caught:
        parse(f"[mediagate:{'x' * 10_000}]")
    assert len(str(caught.value)) < 400


def test_the_spec_agrees_with_itself() -> None:
    for model in VIDEOS.models.values():
        assert model.default_size in model.sizes
        assert model.default_seconds in model.seconds
        assert all(int(side) % 2 == 0 for size in model.sizes for side in size.split("x"))
