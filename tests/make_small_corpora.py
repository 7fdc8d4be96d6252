"""Three small corpora in other languages and formats, from tiny grammars: for the table of seven corpora.

    python tests/make_small_corpora.py FOLDER

de.conllu has parts of speech, and names in MISC; es.tsv numbers its words and has names in BILOU; zh.txt has a
sign per line, words in BMES without a type and names in BMES with one."""
import random, sys
from pathlib import Path

GERMAN = {
    "PER": ["Ida Lund", "Jürgen Weiß", "Anna Berg", "Otto", "Frau Lund", "Emma Köhler", "Weiß"],
    "LOC": ["Köln", "Bad Aibling", "Zürich", "Weiß", "Neuss", "Berg am Laim"],
    "DET": ["der", "die", "das", "ein", "jeder"], "ADJ": ["alte", "kleine", "berg", "schnelle", "weiße", "neue"],
    "NOUN": ["Ärztin", "Zug", "Berg", "Brief", "Köhler", "Straße", "Übung"], "VERB": ["sieht", "trifft", "verlässt", "kennt"],
    "ADP": ["in", "nach", "aus", "bei"], "ADV": ["gestern", "heute", "oft", "nie"]}
SPANISH = {
    "PER": ["Ana Ruiz", "José", "Luis de la Peña", "Rosa", "Ángela Gil"], "LOC": ["Málaga", "San Juan", "Rosa", "La Peña"],
    "DET": ["el", "la", "un", "cada"], "ADJ": ["viejo", "rosa", "nueva", "alta"],
    "NOUN": ["niño", "carta", "rosa", "peña", "calle", "médica"], "VERB": ["ve", "conoce", "dejó", "llama"],
    "ADP": ["en", "a", "desde", "con"], "ADV": ["ayer", "hoy", "nunca", "allí"]}
CHINESE = {
    "PER": ["李明", "王小红", "高山", "白雪"], "LOC": ["北京", "高山县", "上海", "白河"],
    "DET": ["这个", "那个", "每个"], "ADJ": ["高", "白", "新的", "小"], "NOUN": ["学生", "山", "雪", "大河", "信"],
    "VERB": ["看见", "认识", "离开", "去"], "ADP": ["在", "从"], "ADV": ["昨天", "今天", "常常"]}
SHAPES = ["PER VERB DET NOUN", "DET ADJ NOUN VERB PER", "ADV VERB PER LOC", "PER VERB PER ADP LOC", "DET NOUN VERB ADV",
          "ADP LOC VERB DET ADJ NOUN PER", "PER ADV VERB DET ADJ NOUN ADP LOC"]


def sentences(words, n, dice):
    "Lists of (text, part of speech, name or None)."
    for _ in range(n):
        parts = []
        for kind in dice.choice(SHAPES).split():
            named = kind in ("PER", "LOC")
            parts.append((dice.choice(words[kind]), "PROPN" if named else kind, kind if named else None))
        yield parts


def marks(n, letters):
    "How n words of one span are marked: first, inside, last, single."
    first, inside, last, single = letters
    return [single] if n == 1 else [first, *[inside]*(n-2), last]


def labelled(parts, letters, cut):
    "(word, part of speech, label) of every word."
    for text, pos, kind in parts:
        words = cut(text)
        labels = [f"{mark}-{kind}" for mark in marks(len(words), letters)] if kind else ["O"]*len(words)
        yield from zip(words, [pos]*len(words), labels)


def german(dice):
    for parts in sentences(GERMAN, 700, dice):
        rows = [*labelled(parts, "BIIB", str.split), (".", "PUNCT", "O")]
        lines = [f"{n}\t{w}\t_\t{pos}\t_\t_\t_\t_\t_\tSpaceAfter=No|name={tag}" for n, (w, pos, tag) in enumerate(rows, 1)]
        yield "\n".join(lines)


def spanish(dice):
    for parts in sentences(SPANISH, 700, dice):
        rows = [*labelled(parts, "BILU", str.split), (".", "PUNCT", "O")]
        yield "\n".join("\t".join([str(n), *row]) for n, row in enumerate(rows, 1))


def chinese(dice):
    for parts in sentences(CHINESE, 700, dice):
        rows = [*labelled(parts, "BMES", list), ("。", "PUNCT", "O")]
        cut = [mark for text, *_ in [*parts, "。"] for mark in marks(len(text), "BMES")]
        yield "\n".join("\t".join([word, mark, label]) for (word, _, label), mark in zip(rows, cut))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for seed, (name, make) in enumerate({"de.conllu": german, "es.tsv": spanish, "zh.txt": chinese}.items()):
        (folder/name).write_text("\n\n".join(make(random.Random(seed))) + "\n", encoding="utf-8")
