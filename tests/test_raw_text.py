"Running text, cut as the training text was."
from pathlib import Path

import pytest
from sparse_sharing_nb.tagging import InputError
from sparse_sharing_nb.text.raw_text import Cutting, cutting_of, tokenize

LINES = (Path(__file__).parent/"raw_text.tsv").read_text(encoding="utf-8").splitlines()
HARD = {"Am 3.", "M. Dup", "Qu'est", "Où vas", "“已经很", "「もう遅", "“देर", "He sai", "Rock '"}    # begin so; not right yet


def cut(text, *how): return [" ".join(words) for words in tokenize(text, *how)]


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_sixty_texts(line):
    "All but nine; one that comes right some day is to be taken off the list."
    language, text, wanted = line.split("\t")
    right = cut(text, Cutting(elisions=language == "fr"), language) == wanted.split(" ‖ ")
    assert right != text.startswith(tuple(HARD))


TEXTS = {
    "Dr. Ida Lund left.": ["Dr. Ida Lund left ."], "Prof. Berg, Mrs. Lund met.": ["Prof. Berg , Mrs. Lund met ."],
    "“It’s late.”": ["“ It ’s late . ”"], "She’ll say ‘no’.": ["She ’ll say ‘ no ’ ."],
    "CAN'T": ["CA N'T"], "I CAN’T, HE'S": ["I CA N’T , HE 'S"],
    "https://example.org/a": ["https://example.org/a"], "(see www.example.org).": ["( see www.example.org ) ."],
    "a@b.org": ["a@b.org"], "Ask ida.l@b.co.uk.": ["Ask ida.l@b.co.uk ."],
    "@ida": ["@ida"], "Hi @ida_l: #spring!": ["Hi @ida_l : #spring !"],
    "नमस्ते": ["नमस्ते"], "cafe\u0301 e\u0301lan": ["cafe\u0301 e\u0301lan"],
    "Sie ging. Ärzte kamen.": ["Sie ging .", "Ärzte kamen ."], "No vino. Él sí.": ["No vino .", "Él sí ."],
    "Он ушёл. Она нет.": ["Он ушёл .", "Она нет ."], "他走了。她来了。": ["他 走 了 。", "她 来 了 。"],
    '"Go." She went.': ['" Go . "', "She went ."], "(He left.) She won.": ["( He left . )", "She won ."],
    "It fell 5%. Then it rose.": ["It fell 5 % .", "Then it rose ."], "😀👍🏽 ok": ["😀 👍🏽 ok"],
    "a\x1fb \x1d": ["a b"], "\u200bIda\u200e left": ["Ida left"], "Donau\u00adschiff": ["Donau\u00adschiff"],
    "One.\nTwo": ["One .", "Two"], "": [], " \t\u3000": []}

@pytest.mark.parametrize("text, wanted", TEXTS.items(), ids=TEXTS)
def test_what_was_cut_badly(text, wanted):
    assert cut(text) == wanted


@pytest.mark.parametrize("text", ["x"*20_000, "a."*5_000, "他"*5_000, "'"*5_000, "http://"*2_000, "a-"*5_000, "@"*9_999])
def test_odd_texts_are_cut_soon(text):
    "And nothing gets lost but blanks."
    assert "".join(word for words in tokenize(text) for word in words) == text


@pytest.mark.parametrize("words, text, wanted", [
    ("do n't", "I don't.", "I do n't ."), ("don't", "I don't, it's.", "I don't , it's ."), ("i’m", "I’m in", "I’m in"),
    ("l'", "L'eau d’or", "L' eau d’ or"), ("5%", "Up 7%", "Up 7%"), ("go", "Up 7%", "Up 7 %"),
    ("- a", "well-known", "well - known"), ("well-known -", "well-known", "well-known"),
    ("他 走", "他走了", "他 走 了"), ("go", "他走了", "他 走 了")])
def test_cut_as_the_training_text(words, text, wanted):
    assert cut(text, cutting_of(words.split())) == [wanted]


def test_words_of_several_signs_are_not_guessed():
    with pytest.raises(InputError, match="--column-file"): cut("他走了", cutting_of(["学生", "北京"]))
