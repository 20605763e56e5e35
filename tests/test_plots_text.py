"""Coloured words: what is written, what is coloured how, and that nothing is lost or dangerous."""

import re
from collections.abc import Sequence
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from tabtext.errors import DataError
from tabtext.plots.style import BLUE, INK, ORANGE
from tabtext.plots.text import coloured_html, coloured_text, coloured_words
from tabtext.text.restoration import restore
from tabtext.text.special_tokens import SPECIAL_TOKENS
from tabtext.text.subwords import SubwordTokenizer

TOKENS = [
    *["xxbos", "xxmaj", "it", "'s", "a", "xxup", "bad", ",", "well", "-", "made", "film"],
    *["xxrep", "3", "!", "xxeos"],
]
CONTRIBUTIONS = [0.5, 0.1, 0.2, 0.0, 0.0, -1.0, -3.0, 0.0, 2.0, 0.0, 1.0, 0.25, 0.1, 0.0, 0.3, -0.5]
WORDS = ["3", "a", "good", "film", "n't", "'s", ",", '"', "-", "("]

some_tokens = st.lists(
    st.one_of(
        st.sampled_from(
            [*SPECIAL_TOKENS, "3", "a", "good", "film", "n't", "'s", ",", '"', "-", "("]
        ),
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4),
    ),
    max_size=15,
)


class Seen(HTMLParser):
    """What a reader of the page sees, and which tags there are."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.tags, self.styles = "", [], dict[str, str]()
        self._style = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._style = str(dict(attrs).get("style", ""))

    def handle_endtag(self, tag: str) -> None:
        self._style = ""

    def handle_data(self, data: str) -> None:
        self.text += data
        self.styles[data] = self._style


def luminance(colour: str) -> float:
    parts = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_words_are_spelled_as_people_write_them() -> None:
    words = coloured_words(TOKENS, CONTRIBUTIONS)

    written = "".join(word.before + word.text for word in words)
    assert written == restore(TOKENS) == "It's a BAD, well-made film!!!"
    assert [word.text for word in words if word.text] == [
        *["It", "'s", "a", "BAD", ",", "well", "-", "made", "film", "!!!"]
    ]


def test_a_mark_counts_with_its_word() -> None:
    words = {word.text: word.contribution for word in coloured_words(TOKENS, CONTRIBUTIONS)}

    assert words["It"] == pytest.approx(0.3)
    assert words["BAD"] == -4.0
    assert words["!!!"] == pytest.approx(0.4)


@given(tokens=some_tokens, data=st.data())
def test_no_text_and_no_contribution_is_lost(tokens: list[str], data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(-8, 8), min_size=len(tokens), max_size=len(tokens)))

    words = coloured_words(tokens, values)

    assert "".join(word.before + word.text for word in words) == restore(tokens)
    assert sum(word.contribution for word in words) == sum(values)


def test_pieces_of_words_stand_without_spaces() -> None:
    words = coloured_words(
        ["▁a", "▁mas", "ter", "piece"],
        [0, 1, 2, 3],
        restore=lambda tokens: "".join(tokens).replace("▁", " ").strip(),
    )

    assert [(word.before, word.text) for word in words] == [
        *[("", "a"), (" ", "mas"), ("", "ter"), ("", "piece")]
    ]


def test_text_columns_stand_on_lines_of_their_own() -> None:
    tokens = ["xxbos", "xxfld", "1", "good", "xxfld", "2", "bad", "xxeos"]

    words = coloured_words(tokens, np.ones(8))

    assert [(word.before, word.text) for word in words if word.text] == [
        ("", "good"),
        ("\n", "bad"),
    ]


@pytest.mark.parametrize(
    "text", ["Отличный фильм, всем! и ещё", "good 漢字 film 👩\u200d👩\u200d👧 é", "это good фильм"]
)
def test_pieces_that_end_within_a_character_are_coloured_together(text: str) -> None:
    known = ["Отличный фильм, смотреть всем! Хороший фильм.", "this is a film"] * 20
    tokenizer = SubwordTokenizer("bpe", 300).trained_on(known)
    tokens = tokenizer.tokenize([text])[0]

    words = coloured_words(tokens, np.ones(len(tokens)), restore=tokenizer.restore)

    assert "".join(word.before + word.text for word in words) == text
    assert sum(word.contribution for word in words) == len(tokens)
    assert all(word.text and word.contribution for word in words)
    assert not any(word.before for word in words)


def test_what_is_not_in_the_text_is_told_apart_from_its_beginning_and_end() -> None:
    def without_vowels(tokens: Sequence[str]) -> str:
        kept = tokens if len(tokens) == 1 else [token for token in tokens if token != "aeiou"]
        return " ".join(token for token in kept if not token.startswith("xx"))

    tokens, values = ["xxbos", "good", "aeiou", "film", "xxeos"], [1.0, 2.0, 4.0, 8.0, 16.0]

    words = coloured_words(tokens, values, restore=without_vowels)
    page = coloured_html(tokens, values, restore=without_vowels)

    assert [(word.text, word.unplaced) for word in words] == [
        *[("", ""), ("good", ""), ("", "aeiou"), ("film", ""), ("", "")]
    ]
    assert "beginning and end of the text add +17" in page
    assert "not found in the text: aeiou, which add +4" in page


# -------------------------------------------------------------------------------------------- HTML


def test_a_page_shows_the_text_and_a_legend() -> None:
    seen = Seen(coloured_html(TOKENS, CONTRIBUTIONS, label="positive"))

    assert seen.text.startswith("It's a BAD, well-made film!!!")
    assert "speaks for positive" in seen.text
    assert "speaks against positive" in seen.text
    assert "full colour from 4 on" in seen.text


def test_words_for_and_against_differ_in_colour_and_in_line() -> None:
    styles = Seen(coloured_html(TOKENS, CONTRIBUTIONS)).styles

    assert "solid" in styles["well"]
    assert f"dashed {ORANGE}" in styles["BAD"]
    assert styles["-"] == ""
    assert f"solid {BLUE}" in Seen(coloured_html(["good"], [1.0])).styles["good"]


def test_stronger_words_have_stronger_colours() -> None:
    styles = Seen(coloured_html(["a", "b", "c"], [1.0, 0.5, 0.1])).styles

    backgrounds = [re.findall("background:(#......)", styles[word])[0] for word in "abc"]
    assert [luminance(colour) for colour in backgrounds] == sorted(map(luminance, backgrounds))


@pytest.mark.parametrize("sign", [1, -1])
def test_letters_can_be_read_on_the_strongest_colour(sign: int) -> None:
    style = Seen(coloured_html(["word"], [sign])).styles["word"]

    background = re.findall("background:(#......)", style)[0]
    contrast = (luminance(background) + 0.05) / (luminance(INK) + 0.05)
    assert contrast > 4.5  # WCAG 2, level AA


def test_a_limit_makes_texts_comparable() -> None:
    weak = Seen(coloured_html(["word"], [1.0], limit=4.0)).styles["word"]
    strong = Seen(coloured_html(["word"], [4.0], limit=4.0)).styles["word"]

    assert weak != strong
    assert strong == Seen(coloured_html(["word"], [9.0], limit=4.0)).styles["word"]


def test_what_comes_from_the_text_is_no_markup() -> None:
    page = coloured_html(
        ["<script>", "alert(1)", '"', "&"], [1.0, 0.0, -1.0, 1.0], label="<b>bold</b>"
    )

    seen = Seen(page)
    assert set(seen.tags) == {"figure", "p", "span", "figcaption"}
    assert "<script>" in seen.text
    assert "speaks for <b>bold</b>" in seen.text


def test_a_page_needs_nothing_else() -> None:
    page = coloured_html(TOKENS, CONTRIBUTIONS)

    assert "http" not in page
    assert "class=" not in page
    assert "overflow-wrap:anywhere" in page  # narrow screens


def test_what_a_reader_does_not_see_is_told() -> None:
    page = coloured_html(["xxbos", "good", "xxeos"], [0.75, 1.0, 0.25])

    assert "beginning and end of the text add +1" in page


@pytest.mark.parametrize("values", [[0.0, 0.0], [1e-300, 0.0]])
def test_a_text_that_nothing_is_known_of_is_shown_all_the_same(values: list[float]) -> None:
    assert "a film" in re.sub("<[^>]*>", "", coloured_html(["a", "film"], values))


def test_an_empty_text_has_a_legend_alone() -> None:
    assert "raises the output" in coloured_html([], [])


# ---------------------------------------------------------------------------------------- terminal


def printed(text: Text, *, width: int = 80, colours: bool = True) -> str:
    console = Console(
        width=width, force_terminal=colours, color_system="truecolor" if colours else None
    )
    with console.capture() as capture:
        console.print(text)
    return capture.get()


def test_a_terminal_shows_the_text_and_a_legend() -> None:
    shown = printed(coloured_text(TOKENS, CONTRIBUTIONS, label="positive"), colours=False)

    assert shown.startswith("It's a BAD, well-made film!!!\n\n")
    assert "speaks for positive" in shown
    assert "\x1b" not in shown


def test_words_for_and_against_differ_without_colours_too() -> None:
    text = coloured_text(TOKENS, CONTRIBUTIONS)

    styles = {text.plain[span.start : span.end]: str(span.style) for span in text.spans}
    assert styles["well"].startswith("bold ")
    assert styles["BAD"].startswith("underline ")
    assert "-" not in styles


def test_a_word_cannot_steer_the_terminal() -> None:
    shown = printed(coloured_text(["good\x1b[2J\x07", "\x9b31m"], [1.0, 0.0]), colours=False)

    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "\x9b" not in shown
    assert shown.startswith("good\ufffd[2J\ufffd \ufffd31m")


def test_square_brackets_are_no_markup() -> None:
    assert "[bold]" in printed(coloured_text(["[bold]", "word"], [1.0, 0.0]), colours=False)


# ---------------------------------------------------------------------------------------- bad input


def test_each_token_needs_one_contribution() -> None:
    with pytest.raises(DataError, match=r"2 tokens and contributions of shape \(3,\)"):
        coloured_words(["a", "b"], [1, 2, 3])


def test_contributions_must_be_finite() -> None:
    with pytest.raises(DataError, match="contribution 1 is not finite"):
        coloured_html(["a", "b"], [1, float("nan")])
