"""How well do libraries cut the texts of tests/raw_text.tsv? Adds to results/raw-text.json what is installed here.

    python tests/compare_raw_text.py

A text counts if all its sentences, or all its words, are as the file has them."""
import json, re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

HERE = Path(__file__).parent
OUT = HERE.parent/"results"/"raw-text.json"
RELEASED = {"sentencex": "2026-09", "syntok": "2022-03", "pysbd": "2021-02", "spacy": "2026-10",
            "icu4py": "2026-10", "uniseg": "2026-01"}    # as the package index says
LICENCES = dict.fromkeys(RELEASED, "MIT")


def texts():
    "(language, text, sentences of words) of every line."
    for line in (HERE/"raw_text.tsv").read_text(encoding="utf-8").splitlines():
        language, text, cut = line.split("\t")
        yield language, text, [sentence.split() for sentence in cut.split(" ‖ ")]


def sentencex():
    from sentencex import segment
    return segment, None


def syntok():
    from syntok import segmenter, tokenizer
    cutter = tokenizer.Tokenizer()
    def sentences(language, text):
        found = [sentence for paragraph in segmenter.process(text) for sentence in paragraph]
        return ["".join(word.spacing + word.value for word in sentence) for sentence in found]
    def words(language, text): return [word.value for word in cutter.tokenize(text)]
    return sentences, words


def pysbd():
    from pysbd import Segmenter
    def sentences(language, text): return Segmenter(language=language, clean=False).segment(text)
    return sentences, None


def spacy():
    from spacy import blank
    known = {}
    def document(language, text):
        "Japanese rules want a package more, so it goes without."
        if language not in known:
            known[language] = blank("xx" if language == "ja" else language)
            known[language].add_pipe("sentencizer")
        return known[language](text)
    def sentences(language, text): return [found.text for found in document(language, text).sents]
    def words(language, text): return [found.text for found in document(language, text)]
    return sentences, words


def icu4py():
    from icu4py.breakers import SentenceBreaker, WordBreaker
    def sentences(language, text): return list(map(str, SentenceBreaker(text, language)))
    def words(language, text): return list(map(str, WordBreaker(text, language)))
    return sentences, words


def uniseg():
    from uniseg.sentencebreak import sentences as cut_sentences
    from uniseg.wordbreak import words as cut_words
    def sentences(language, text): return cut_sentences(text)
    def words(language, text): return cut_words(text)
    return sentences, words


def without_blanks(text): return re.sub(r"\s", "", text)


def right_sentences(sentences):
    "How many texts a library cuts into the right sentences."
    n = 0
    for language, text, wanted in texts():
        found = [without_blanks(sentence) for sentence in sentences(language, text) if sentence.strip()]
        n += found == ["".join(words) for words in wanted]
    return n


def right_words(words):
    "How many texts a library cuts into the right words."
    n = 0
    for language, text, wanted in texts():
        found = [word for word in words(language, text) if word.strip()]
        n += found == [word for sentence in wanted for word in sentence]
    return n


def needed(name, found=None):
    "A distribution and all that it needs."
    found = set() if found is None else found
    try: package = distribution(name)
    except PackageNotFoundError: return found    # for another system, or an option
    if package.metadata["Name"].lower() in found: return found
    found.add(package.metadata["Name"].lower())
    for line in package.requires or ():
        if "extra ==" not in line: needed(re.match(r"[\w.-]+", line)[0], found)
    return found


def megabytes(name):
    "Of what has to be installed for it."
    files = [package.locate_file(file) for package in map(distribution, needed(name)) for file in package.files or ()]
    return round(sum(Path(file).stat().st_size for file in files if Path(file).is_file())/1e6, 1)


if __name__ == "__main__":
    result = json.loads(OUT.read_text(encoding="utf-8")) if OUT.exists() else {"libraries": {}}
    result["texts"] = len(list(texts()))
    for library in (sentencex, syntok, pysbd, spacy, icu4py, uniseg):
        name = library.__name__
        try: sentences, words = library()
        except ImportError: continue
        result["libraries"][name] = dict(
            version=distribution(name).version, released=RELEASED[name], licence=LICENCES[name],
            megabytes=megabytes(name), sentences=right_sentences(sentences), words=words and right_words(words))
        print(name, result["libraries"][name])
    OUT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
