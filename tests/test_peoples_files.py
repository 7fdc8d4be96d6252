"What people's files did to it: the smallest input of each kind of fault, and siblings. Every right value is a test."
import gzip, json, logging

import pytest
from sparse_sharing_nb.cli import main
from sparse_sharing_nb.tagging import InputError
from sparse_sharing_nb.text.corpora import corpus_tasks, load_tasks, named_corpus
from sparse_sharing_nb.text.vectors import load_vectors


def lines(*sentences):
    "Twenty times these sentences; words between blanks, sentences as lists of rows; columns between tabs."
    texts = ["\n".join("\t".join(row.split()) for row in sentence) for sentence in sentences]
    return "\n\n".join(texts*20) + "\n"


@pytest.fixture
def corpus(tmp_path):
    "Tasks of a file with this content."
    def read(content, columns, name="a.txt"):
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path/name).write_bytes(data)
        return load_tasks([f"x={tmp_path/name}:{columns}"])
    return read


def first(tasks, task): return tasks[task].tags["train"][0]


def refusal(corpus, *args):
    "What is said about a corpus, without the folder."
    with pytest.raises(InputError) as caught: corpus(*args)
    return str(caught.value).rpartition("/")[2]


# a class is erased, once

@pytest.mark.parametrize("tag", ["B-OTH", "I-OTH", "B-O"])
def test_no_class_is_erased(corpus, tag):
    tasks = corpus(lines([f"1 Ida {tag}", "2 sings O"]), "3=ner", "oth.iob2")
    assert first(tasks, "ner") == [f"S-{tag[2:]}", "O"]


@pytest.mark.parametrize("word", ["B-O", "B-OTH", "I-O"])
def test_no_word_is_replaced(corpus, word):
    tasks = corpus(lines([f"1 {word} B-PER", "2 sings O"]), "3=ner", "a.iob2")
    assert tasks["ner"].sentences["train"][0] == [word, "sings"]


def test_the_repair_belongs_to_its_corpus_and_says_so(tmp_path, caplog):
    "Only in the label column of EWT's layer; others may ask for it in TOML."
    (tmp_path/"ewt").mkdir()
    (tmp_path/"uner_ewt").mkdir()
    sentence = ["1 B-O _ NOUN NN _ _ root _ _", "2 sings _ VERB V _ _ x _ _"]
    text = "".join(f"# sent_id = {i}\n" + lines(sentence).partition("\n\n")[0] + "\n\n" for i in range(20))
    (tmp_path/"ewt/en_ewt-ud-train.conllu").write_text(text)
    names = "".join(f"# sent_id = {i}\n1\tB-O\tB-OTH\tB-OTH\n2\tsings\tB-PER\t_\n\n" for i in range(20))
    (tmp_path/"uner_ewt/en_ewt-ud-train.iob2").write_text(names)
    with caplog.at_level(logging.INFO): tasks = named_corpus("ewt", tmp_path)
    assert first(tasks, "ner") == ["O", "S-PER"] and tasks["ner"].sentences["train"][0] == ["B-O", "sings"]
    assert "20 labels (B-OTH" in caplog.text
    (tmp_path/"a.toml").write_text('[a]\ntrain = "uner_ewt/en_ewt-ud-train.iob2"\ntasks = {ner = 3}\n')
    assert first(corpus_tasks(str(tmp_path/"a.toml")), "ner") == ["S-OTH", "S-PER"]
    (tmp_path/"a.toml").write_text((tmp_path/"a.toml").read_text() + 'outside = ["B-OTH"]\n')
    assert first(corpus_tasks(str(tmp_path/"a.toml")), "ner") == ["O", "S-PER"]


# numbers as words

NUMBERED = {
    "numbers": ["1 Ida PRON B-PER", "2 left VERB O"], "from 0": ["0 Ida PRON B-PER", "1 left VERB O"],
    "with a sign": ["1. Ida PRON B-PER", "2. left VERB O"], "same": ["doc Ida PRON B-PER", "doc left VERB O"],
    "ranges between": ["1 Ida PRON B-PER", "2-3 d'être X O", "2 left VERB O"]}

@pytest.mark.parametrize("rows", NUMBERED.values(), ids=NUMBERED)
@pytest.mark.parametrize("name", ["a.conll", "a.tsv"])
def test_a_column_that_is_no_word(corpus, rows, name):
    content = lines(rows)
    assert "word=2,4=ner" in refusal(corpus, content, "4=names", name)
    tasks = corpus(content, "word=2,4=names", name)
    words = tasks["names"].sentences["train"][0]
    assert words[0] == "Ida" and words[-1] == "left"


def test_a_number_that_goes_on_through_the_file(corpus):
    rows = "\n\n".join(f"{2*i}\tIda\tB-PER\n{2*i+1}\tleft\tO" for i in range(20))
    assert "counts 1, 2, 3" in refusal(corpus, rows, "3=ner")


def test_conllu_under_another_name(corpus):
    rows = [f"{n} {word} _ X" + " _"*6 for n, word in enumerate(("Ida", "left"), 1)]
    assert "call the file .conllu" in refusal(corpus, lines(rows), "4=upos", "a.conll")
    assert corpus(lines(rows), "4=upos", "a.CONLLU")["upos"].sentences["train"][0] == ["Ida", "left"]


@pytest.mark.parametrize("name", ["a.IOB2", "a.Iob2", "a.iob2"])
def test_endings_in_capitals(corpus, name):
    assert corpus(lines(["1 Ida B-PER", "2 left O"]), "3=ner", name)["ner"].sentences["train"][0] == ["Ida", "left"]


def test_toml_in_capitals_with_a_column_for_the_word(tmp_path):
    (tmp_path/"a.tsv").write_text(lines(NUMBERED["numbers"]))
    (tmp_path/"A.TOML").write_text('[a]\ntrain = "a.tsv"\nword = 2\ntasks = {ner = 4}\n')
    assert load_tasks([str(tmp_path/"A.TOML")])["ner"].sentences["train"][0] == ["Ida", "left"]


def test_numbers_that_are_words(corpus):
    "Sentences may hold nothing but numbers; only those of all sentences would be suspicious."
    content = lines(["1 CD", "2 CD"], ["Ida NNP", "left VBD"])
    assert corpus(content, "2=pos")["pos"].sentences["train"][0] == ["1", "2"]


# each fault its own message

FAULTS = {
    "no word": ("Ida\tB-PER\n\tO\n", "a.txt:2: column 1 is empty"),
    "no label": ("Ida\tNN\tO\nleft\t\tO\n", "a.txt:2: column 2 is empty"),
    "no last label": ("Ida\tO\nleft\t\n", "a.txt:2: 1 column where the sentence began with 2"),
    "a comment": ("# by me\nIda\tO\nleft\tO\n", "a.txt:1: 3 columns where the next line has 2; if it is"),
    "a hash and more": ("#by me\tX\tX\nIda\tO\n", "a.txt:1: 3 columns where the next line has 2; if it is"),
    "JSON": ('{"tokens": ["Ida", "left"], "tags": ["B-PER", "O"]}\n'*9, "a.txt:1: JSON"),
    "JSON lists": ('[["Ida", "B-PER"], ["left", "O"]]\n'*9, "a.txt:1: JSON"),
    "no blank lines": ("Ida\tB-PER\nlives\tO\n"*200, "a.txt: one sentence of 400 words was read; put a blank line"),
    "hardly any": ("Ida\tB-PER\nlives\tO\n"*100, "a.txt: one sentence of 200 words was read, and one"),
    "none but between articles": (("Ida\tB-PER\n"*3000 + "\n")*2, "a.txt: 2 sentences with 6000 words was read"),
}

@pytest.mark.parametrize("content, message", FAULTS.values(), ids=FAULTS)
def test_what_is_wrong(corpus, content, message):
    assert refusal(corpus, content, "2=ner").startswith(message)


@pytest.mark.parametrize("comment", ["# sent_id = a", "# text = a\tb", "# by me,\ton Monday", "# newdoc"])
def test_trailing_blanks_and_comments(corpus, comment):
    content = lines(["Ida B-PER", "left O"]).replace("O\n", "O\t \n").replace("Ida", f"{comment}\nIda")
    tasks = corpus(content, "2=ner")
    assert tasks["ner"].sentences["train"][0] == ["Ida", "left"] and first(tasks, "ner") == ["S-PER", "O"]


@pytest.mark.parametrize("word", ["#", "#spring", "#1"])
def test_words_that_begin_like_a_comment(corpus, word):
    assert corpus(lines([f"{word} X", "left O"]), "2=pos")["pos"].sentences["train"][0] == [word, "left"]


def test_an_empty_cell_of_conllu(corpus):
    row = "1\tIda\t\tX" + "\t_"*6 + "\n"
    assert refusal(corpus, row, "4=upos", "a.conllu").startswith("a.conllu:1: column 3 is empty; write _")


# spans under any name, in any spelling

SPELLINGS = {"IOB1": "I-PER I-PER O", "BIO2": "B-PER I-PER O", "BIOES": "B-PER E-PER O", "BILOU": "B-PER L-PER O",
             "middle": "I-PER M-PER O", "only I": "I-PER I-PER O"}

@pytest.mark.parametrize("task", ["names", "ner"])
@pytest.mark.parametrize("tags", SPELLINGS.values(), ids=SPELLINGS)
def test_spelled_spans(corpus, task, tags):
    rows = [f"{word} {tag}" for word, tag in zip(("Ida", "Lund", "left"), tags.split())]
    tasks = corpus(lines(rows), f"2={task}")
    assert tasks[task].scheme and first(tasks, task) == (["B-PER", "I-PER" if task == "names" else "E-PER", "O"])


@pytest.mark.parametrize("tag", ["S-LOC", "U-LOC", "W-LOC", "I-LOC", "E-LOC", "L-LOC"])
def test_one_word_spans(corpus, tag):
    tasks = corpus(lines([f"Oslo {tag}", "lives O"]), "2=names")
    assert tasks["names"].scheme == "BIO2" and first(tasks, "names") == ["B-LOC", "O"]


@pytest.mark.parametrize("tags", ["B I O", "B E S", "B L O"])
def test_letters_without_a_type(corpus, tags):
    "As of a text that is cut into words, or with one kind of name."
    rows = [f"{word} {tag}" for word, tag in zip(("Ida", "Lund", "left"), tags.split())]
    tasks = corpus(lines(rows), "2=cuts")
    last = "B-cuts" if tags.endswith("S") else "O"
    assert tasks["cuts"].scheme == "BIO2" and first(tasks, "cuts") == ["B-cuts", "I-cuts", last]
    assert corpus(lines(["Ida B", "Lund NN"]), "2=pos")["pos"].scheme is None


def test_types_without_a_letter(corpus):
    rows = ["Ida PER", "Lund PER", "left O"]
    assert first(corpus(lines(rows), "2=ner"), "ner") == ["B-PER", "E-PER", "O"]
    assert corpus(lines(rows), "2=classes")["classes"].scheme is None


@pytest.mark.parametrize("tags", ["(PER* *) *", "B_PER I_PER O", "B:PER I:PER O"])
def test_spans_that_could_mean_two_things(corpus, tags):
    rows = [f"{word} {tag}" for word, tag in zip(("Ida", "Lund", "left"), tags.split())]
    assert "write O, or B- I- E- S-" in refusal(corpus, lines(rows), "2=names")


def misc(*cells):
    "Rows of CoNLL-U with these cells of MISC."
    return lines([f"{n} w{n}x _ X" + " _"*5 + f" {cell}" for n, cell in enumerate(cells, 1)])


def test_names_in_misc(corpus):
    tasks = corpus(misc("name=B-PER", "SpaceAfter=No|name=I-PER", "name=O"), "10=names", "a.conllu")
    assert first(tasks, "names") == ["B-PER", "I-PER", "O"] and tasks["names"].scheme == "BIO2"
    silent = corpus(misc("name=B-PER", "SpaceAfter=No", "_"), "10=ner", "b.conllu")
    assert first(silent, "ner") == ["S-PER", "O", "O"]


def test_brackets_in_misc(corpus):
    message = refusal(corpus, misc("Entity=(person", "Entity=person)", "_"), "10=names", "a.conllu")
    assert message.startswith("a.conllu:1: 'Entity=(person'") and "write them as name=B-person" in message
    assert "leave one" in refusal(corpus, misc("a=B-X|b=B-Y", "_"), "10=names", "a.conllu")


def test_conllu_plus(corpus):
    content = "# global.columns = ID FORM UPOS NER\n" + lines(["1 Ida X B-PER", "2 left X O"])
    tasks = corpus(content, "3=upos,4=names", "a.conllup")
    assert tasks["names"].sentences["train"][0] == ["Ida", "left"] and first(tasks, "names") == ["B-PER", "O"]
    assert "global.columns" in refusal(corpus, lines(["1 Ida X"]), "3=upos", "b.conllup")
    assert "these two first" in refusal(corpus, "# global.columns = FORM NER\nIda\tO\n", "2=ner", "b.conllup")


# vectors

SPACES = "oslo 1 2\nlund 3 4\n, 5 6\n"
VECTORS = {"spaces": SPACES.encode(), "tabs": SPACES.replace(" ", "\t").encode(),
           "header": ("3 2\n" + SPACES).encode(), "header and tabs": ("3 2\n" + SPACES.replace(" ", "\t")).encode(),
           "byte-order mark": b"\xef\xbb\xbf" + SPACES.encode(), "gzip": gzip.compress(SPACES.encode()),
           "Windows": SPACES.replace("\n", "\r\n").encode(), "commas": b"oslo,1,2\nlund,3,4\n",
           "a title": b"word d1 d2\n" + SPACES.encode()}

@pytest.mark.parametrize("content", VECTORS.values(), ids=VECTORS)
def test_vectors(content, tmp_path):
    (tmp_path/"a.vec").write_bytes(content)
    found = load_vectors(str(tmp_path/"a.vec"), ["oslo", "Lund", "zebra"], tmp_path)
    assert {word: vector.tolist() for word, vector in found.items()} == {"oslo": [1, 2], "lund": [3, 4]}


BAD_VECTORS = {"empty": (b"", "empty"), "blank": (b"\n\n", "1: expected a word"), "zip": (b"PK\3\4...", "zip"),
               "half of a gzip": (gzip.compress(SPACES.encode()*99)[:40], "damaged"),
               "semicolons": (b"oslo;1;2\n", "1: expected")}

@pytest.mark.parametrize("content, message", BAD_VECTORS.values(), ids=BAD_VECTORS)
def test_bad_vectors(content, message, tmp_path):
    (tmp_path/"a.vec").write_bytes(content)
    with pytest.raises(InputError, match=message): load_vectors(str(tmp_path/"a.vec"), ["oslo"], tmp_path)


@pytest.mark.parametrize("file, written, expected", [
    ("Oslo 1 2", "Oslo", [1, 2]), ("oslo 1 2", "Oslo", [1, 2]), ("OSLO 1 2", "Oslo", None),
    ("Oslo 1 2\noslo 3 4", "Oslo", [1, 2]), ("Oslo 1 2\noslo 3 4", "Oslo oslo", [3, 4]),
    ("OSLO 1 2", "Oslo OSLO", [1, 2]), ("Ärzte 1 2", "Ärzte", [1, 2])])
def test_cased_vectors(file, written, expected, tmp_path):
    "As written, then lower-cased; a word that is also written in small letters takes the vector of these."
    (tmp_path/"a.vec").write_text("x 0 0\n" + file + "\n")
    found = load_vectors(str(tmp_path/"a.vec"), ["x", *written.split()], tmp_path)
    key = written.split()[0].lower()
    assert (found[key].tolist() if key in found else None) == expected


def test_the_record_and_the_table_say_it(tmp_path, capsys):
    "How many words have a vector, and what a score is."
    (tmp_path/"a.txt").write_text(lines(["Ida NN I-PER", "sings V O"], ["Oslo NN O", "sings V O"]))
    (tmp_path/"a.vec").write_text("Ida 1 2\nsings 3 4\n")
    argv = ["study", "--corpus", f"a={tmp_path/'a.txt'}:2=kinds,3=names", "--vectors", str(tmp_path/"a.vec"),
            "--methods", "hard", "--epochs", "1", "--hidden", "4", "--workers", "1", "--out", str(tmp_path/"out")]
    assert main(argv) is None
    shown = capsys.readouterr()
    assert "train 2 of 3 (67%)" in shown.err and "| kinds (dev accuracy) | names (dev F1) |" in shown.out
    record = json.loads(next((tmp_path/"out").glob("runs/*/record.json")).read_text())
    assert record["words_with_vectors"]["train"] == [2, 3] and record["measures"] == {"kinds": "accuracy", "names": "F1"}
