"Real corpora as their makers left them; corpora of one's own: partly labelled, joined, described in TOML."
import os
from collections import Counter
from itertools import chain
from pathlib import Path

import pytest
from sparse_sharing_nb.tagging import InputError, build_vocab, encode
from sparse_sharing_nb.text.corpora import corpus_tasks, load_tasks, make_tasks, named_corpus
from sparse_sharing_nb.text.readers import Table, join_tables, read_numbered, read_table

DATA = Path(os.environ.get("SPARSE_SHARING_DATA", "nowhere"))


def needs(*folders):
    "Skip a test unless these corpora are here."
    here = all((DATA/folder).is_dir() for folder in folders)
    return pytest.mark.skipif(not here, reason=f"no {' or '.join(folders)} in SPARSE_SHARING_DATA")


def n_tokens(sentences): return sum(map(len, sentences))


@needs("ewt")
@pytest.mark.parametrize("split, size", [("train", (12_544, 204_577)), ("dev", (2_001, 25_147))])
def test_ewt_has_its_official_size_without_ranges_and_empty_nodes(split, size):
    path = DATA/"ewt"/f"en_ewt-ud-{split}.conllu"
    table = read_numbered(path)
    assert (len(table.rows), n_tokens(table.rows)) == size and len(set(table.ids)) == size[0]
    file = path.read_text(encoding="utf-8").split("\n")
    for s in range(0, size[0], 97):
        for i, row in enumerate(table.rows[s]):                # every token is on the line that `where` says
            line = int(table.where(s, i).rpartition(":")[2])
            assert file[line-1].split("\t") == list(row)


@needs("ewt")
def test_ewt_tasks():
    tasks = load_tasks(["ewt"], ["upos", "xpos", "deprel", "pp"], DATA)
    assert len(set(chain(*tasks["upos"].tags["train"]))) == 17
    assert "root" in set(chain(*tasks["deprel"].tags["dev"])) and tasks["deprel"].scheme is None
    assert tasks["upos"].sentences is tasks["deprel"].sentences is tasks["pp"].sentences


@needs("ewt", "uner_ewt")
def test_names_join_ewt_on_sent_id(tmp_path):
    base = read_numbered(DATA/"ewt"/"en_ewt-ud-dev.conllu")
    names = read_numbered(DATA/"uner_ewt"/"en_ewt-ud-dev.iob2")
    assert n_tokens(names.rows) == 25_149
    joined = join_tables(base, names)
    assert sum(rows[0][10:] == ("_",)*5 for rows in joined.rows) == 3       # the three that were mended since
    tasks = make_tasks({"train": joined, "dev": joined}, {"upos": 3, "ner": 12})
    assert len(tasks["upos"].tags["train"]) == 2_001 and len(tasks["ner"].tags["train"]) == 1_998
    assert {label[2:] for label in chain(*tasks["ner"].tags["dev"])} == {"", "PER", "LOC", "ORG"}
    words = Counter(word.lower() for word in chain(*tasks["upos"].sentences["train"]))
    frequent = {word for word in words if words[word] > 1}
    assert set(build_vocab(tasks).words[1:]) == frequent                    # a shared sentence counts once


@needs("ewt")
def test_ewt_without_a_training_file_of_names():
    if (DATA/"uner_ewt"/"en_ewt-ud-train.iob2").exists(): pytest.skip("the file is there")
    assert "ner" not in named_corpus("ewt", DATA)
    with pytest.raises(InputError, match="no task 'ner' in what is here of ewt"):
        load_tasks(["ewt:ner"], data=DATA)


@needs("conll2000")
def test_conll2000_holds_out_a_tenth_and_has_no_test():
    table, tasks = read_table(DATA/"conll2000"/"train.txt"), named_corpus("conll2000", DATA)
    assert (len(table.rows), n_tokens(table.rows)) == (8_936, 211_727)
    assert len(tasks["chunk"].tags["train"]) == 8_043 and len(tasks["chunk"].tags["dev"]) == 893
    assert set(tasks["chunk"].tags) <= {"train", "dev", "test"}
    assert (DATA/"conll2000"/"test.txt").exists() or "test" not in tasks["pos"].tags


@needs("wnut17")
def test_wnut17_with_its_tabs_between_sentences():
    tasks = named_corpus("wnut17", DATA)["ner"]
    for split, size in (("train", (3_394, 62_730)), ("dev", (1_009, 15_733))):
        assert (len(tasks.tags[split]), n_tokens(tasks.tags[split])) == size
    assert max(map(len, tasks.tags["dev"])) == 82
    assert len({label[2:] for label in chain(*tasks.tags["train"])}) == 7
    assert any("\U0001F602" in sentence for sentence in tasks.sentences["dev"])


@needs("ewt", "conll2000", "wnut17")
def test_tasks_of_three_corpora():
    tasks = load_tasks(["ewt:upos=pos", "conll2000:chunk", "wnut17:ner"], None, DATA, 500)
    assert list(tasks) == ["pos", "chunk", "ner"]
    assert [len(task.tags["train"]) for task in tasks.values()] == [500]*3
    data = encode(tasks, build_vocab(tasks))
    assert [data.schemes[task] for task in tasks] == [None, "BIO2", "BIOES"]


def test_partly_labelled(tmp_path):
    "Sentences without a column, or with nothing but _ in it, are skipped for that task and serve the other."
    (tmp_path/"a.txt").write_text("Oslo NNP B-LOC\n\nYes UH\n\nNo UH _\n\n"*10)
    tasks = load_tasks([f"a={tmp_path/'a.txt'}:2=pos,3=ner"])
    assert len(tasks["pos"].tags["train"]) == 27
    assert tasks["ner"].tags == {"train": [["S-LOC"]]*9, "dev": [["S-LOC"]]}
    data = encode(tasks, build_vocab(tasks))
    assert len(data.splits["ner"]["train"].tags) == 9
    assert data.vocab.words == ["<unknown>", "no", "oslo", "yes"]


def test_a_test_file_without_labels_of_a_task(tmp_path):
    (tmp_path/"a.txt").write_text("Oslo NNP B-LOC\n\n"*20)
    (tmp_path/"b.txt").write_text("Oslo NNP\n\n"*20)
    tasks = load_tasks([f"a={tmp_path/'a.txt'},{tmp_path/'a.txt'},{tmp_path/'b.txt'}:2=pos,3=ner"])
    assert sorted(tasks["pos"].tags) == ["dev", "test", "train"]
    assert sorted(tasks["ner"].tags) == ["dev", "train"]


TOML = """
[a]
train = "a.txt"
tasks = {pos = 2}

[b]
train = "b.conllu"
dev = "b.conllu"
tasks = {upos = 4}

[[b.layers]]
train = "b.iob2"
dev = "b.iob2"
tasks = {ner = 3}
"""


def test_toml(tmp_path):
    conllu = [f"# sent_id = {i}\n1\tOslo\t_\tPROPN" + "\t_"*6 for i in range(20)]
    iob2 = [f"# sent_id = {i}\n1\tOslo\tB-LOC" for i in range(0, 20, 2)]
    (tmp_path/"a.txt").write_text("Oslo NNP\n\n"*20)
    (tmp_path/"b.conllu").write_text("\n\n".join(conllu))
    (tmp_path/"b.iob2").write_text("\n\n".join(iob2))
    (tmp_path/"mine.toml").write_text(TOML)
    tasks = load_tasks([str(tmp_path/"mine.toml")])
    assert list(tasks) == ["pos", "upos", "ner"]
    assert [len(task.tags["train"]) for task in tasks.values()] == [18, 20, 10]
    assert tasks["ner"].tags["dev"] == [["S-LOC"]]*10
    assert list(load_tasks([str(tmp_path/"mine.toml")], ["ner", "pos"])) == ["ner", "pos"]


def test_layers_keep_their_columns_where_the_first_sentence_has_no_partner():
    base = Table([[("1", "a", "X")], [("1", "b", "Y")]], "base", [1, 3], ["1", "2"], {}, 1)
    one = join_tables(base, Table([[("1", "b", "P")]], "one", [1], ["2"], {}, 1))
    two = join_tables(one, Table([[("1", "a", "Q")]], "two", [1], ["1"], {}, 1))
    assert two.rows == [[("1", "a", "X", "_", "_", "_", "1", "a", "Q")],
                        [("1", "b", "Y", "1", "b", "P", "_", "_", "_")]]


def test_one_related_task_in_two_spellings():
    "It is one task, and the names of those after it do not shift."
    spec = "newswire:related(pos,.5)=a,related(pos,0.50)=b,related(ner,1)=c"
    tasks = corpus_tasks(spec, train_sentences=20)
    assert tasks["a"].tags == tasks["b"].tags
    assert {label[2:] for label in chain(*tasks["c"].tags["dev"])} == {"", "PER", "LOC", "ORG", "MISC"}


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_file_name_too_long(split, tmp_path):
    "Even asking whether such a file exists is an error of the system's; the fuzzer found it for dev."
    (tmp_path/"a.txt").write_text("Oslo\tNNP\n")
    files = {"train": "a.txt"} | {split: "b"*300 + ".txt"}
    lines = ["[mine]", *(f'{name} = "{file}"' for name, file in files.items()), "tasks = {pos = 2}"]
    (tmp_path/"mine.toml").write_text("\n".join(lines))
    with pytest.raises(InputError, match="cannot be read"): load_tasks((str(tmp_path/"mine.toml"),))
