"The main job from the command line: in parallel, on built-in and real text, repeatable, of use afterwards."
import json, os, re, shutil, subprocess, sys
from dataclasses import replace
from pathlib import Path

import pytest
from sparse_sharing_nb.cli import main
from sparse_sharing_nb.network import build_network
from sparse_sharing_nb.runs.models import config_of
from sparse_sharing_nb.runs.report import read_records
from sparse_sharing_nb.runs.study import run_all
from sparse_sharing_nb.tagging import Task, build_vocab, encode
from sparse_sharing_nb.text.newswire import newswire_rows
from sparse_sharing_nb.training import PRESETS, evaluate, fit

ROOT = Path(__file__).parent.parent
DATA = os.environ.get("SPARSE_SHARING_DATA")
needs_conll2003 = pytest.mark.skipif(not DATA or not (Path(DATA)/"conll2003").is_dir(),
                                     reason="no conll2003/ in the folder SPARSE_SHARING_DATA")
FIELDS = """id config corpus tasks method seed dev test params tokens seconds tokens_per_second
            epoch_equivalents versions commit""".split()


def study(out, *arguments):
    "Run a study; its records by what was trained."
    assert main(["study", *arguments, "--out", str(out)]) is None
    records = [json.loads(path.read_text()) for path in out.glob("runs/*/record.json")]
    return {"+".join(r["tasks"]): r for r in records if r["method"] not in ("warmup", "search", "branch", "hard")}


@pytest.fixture(scope="module")
def newswire(tmp_path_factory):
    "Single tasks on the built-in corpus, as many sentences and units as in the demo."
    out = tmp_path_factory.mktemp("newswire")
    return out, study(out, "--methods", "single", "--train-sentences", "1500", "--hidden", "100",
                      "--lr", "4e-3", "--batch-size", "16", "--epochs", "8")


def test_newswire_is_neither_trivial_nor_hopeless(newswire):
    dev = {task: record["dev"][task] for task, record in newswire[1].items()}
    assert 80 < dev["ner"] < 96 and 85 < dev["chunk"] < 98 and 88 < dev["pos"] < 99, dev


def test_what_a_study_leaves(newswire):
    out, records = newswire
    for record in records.values(): assert set(FIELDS) <= set(record)
    table = json.loads((out/"table.json").read_text())
    assert table[0]["dev"]["ner"]["values"] == [records["ner"]["dev"]["ner"]]
    assert "| single |" in (out/"table.md").read_text()
    assert sorted(p.name for p in out.glob("figures/*.png")) == ["epochs.png", "scores.png"]
    half_done = [p for p in out.rglob("*") if p.name.startswith(".") or p.name == "state.safetensors"]
    assert not half_done


def test_tagging_from_standard_input(newswire):
    out, records = newswire
    program, model = Path(sys.executable).with_name("sparse-sharing"), out/"runs"/records["pos"]["id"]
    text = "The minister resigned on Monday.\nShe left.\n"
    command = [program, "tag", "--model", model]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [len(row) for row in rows] == [2]*6 + [1] + [2]*3 + [1]
    assert ["The", "DT"] in rows and [".", "."] in rows


def test_same_seed_same_bits_in_another_process(tmp_path):
    arguments = ["--methods", "single", "--tasks", "pos,ner", "--train-sentences", "200", "--epochs", "2",
                 "--hidden", "16"]
    first = study(tmp_path/"a", *arguments, "--workers", "1")
    second = study(tmp_path/"b", *arguments, "--workers", "2")
    for name in first:
        model = f"runs/{first[name]['id']}/model.safetensors"
        assert (tmp_path/"a"/model).read_bytes() == (tmp_path/"b"/model).read_bytes()
        assert first[name]["dev"] == second[name]["dev"] and first[name]["test"] == second[name]["test"]


def test_records_run_again(tmp_path):
    "Configurations, as they stand in the records, are enough to make every number again."
    methods = ("hard,soft,hierarchical,sparse,sparse-no-warmup,sparse-shuffled,sparse-swapped,"
               "sparse-one-stage")
    sizes = "--train-sentences 150 --epochs 3 --rounds 2 --epochs-per-round 1 --warmup-epochs 1 --hidden 16"
    how = "--lr 8e-3 --batch-size 8"
    study(tmp_path/"first", "--tasks", "pp,ner", "--methods", methods, *sizes.split(), *how.split())
    records = read_records(tmp_path/"first")
    again = run_all([config_of(r["config"]) for r in records], tmp_path/"second")
    repeated = {"id", "dev", "test", "counts", "overlap", "density", "params", "epoch_equivalents"}
    for one, other in zip(records, again):
        for key in repeated & set(one): assert one[key] == other[key]
    models = {r["method"]: r for r in records}
    overlap = {name: r["overlap"]["all"]["ratio"] for name, r in models.items() if "overlap" in r}
    assert overlap["sparse-shuffled"] == overlap["sparse-swapped"] == overlap["sparse"]
    assert models["sparse-one-stage"]["epoch_equivalents"] == pytest.approx(models["hard"]["epoch_equivalents"])
    assert overlap["sparse"] != overlap["hierarchical"]
    assert models["sparse-swapped"]["density"]["pp"] == models["sparse"]["density"]["ner"]


def test_orders_and_weights_stand_side_by_side(tmp_path):
    "Each is a row of its own, compared with the same tasks alone; another order or weight, another network."
    sizes = "--tasks pp,ner --train-sentences 150 --epochs 2 --hidden 16 --lr 8e-3 --batch-size 8".split()
    study(tmp_path, "--methods", "single,hard", *sizes)
    study(tmp_path, "--methods", "single,hard", "--weights", "pp=0.3", *sizes)
    study(tmp_path, "--methods", "single,hard", "--order", "shuffled", *sizes)
    rows = {row["name"]: row for row in json.loads((tmp_path/"table.json").read_text())}
    joint = ["hard order=together", "hard order=together weights=0.3,1.0", "hard order=shuffled"]
    assert set(rows) == {"single", *joint}
    assert all(set(rows[name]["against"]["single"]["dev"]) == {"pp", "ner"} for name in joint)
    assert len({rows[name]["dev"]["pp"]["mean"] for name in joint}) == 3


@needs_conll2003
def test_conll2003(tmp_path):
    "Real text: names are learned from 2,000 sentences in four epochs, with the real vectors."
    arguments = "--corpus conll2003 --tasks ner --methods single --vectors glove --train-sentences 2000"
    how = "--epochs 4 --lr 4e-3 --batch-size 16"
    record = study(tmp_path, *arguments.split(), *how.split(), "--data", DATA)["ner"]
    assert record["dev"]["ner"] > 70 and record["test"]["ner"] > 65
    assert record["params"] == 453_930 and record["peak_memory_mb"] < 1200


def test_two_files_of_ones_own(tmp_path, capsys):
    "Different sentences, different tasks, from file to table and tagged text."
    for name, seed in (("a", 1), ("b", 2)):
        with open(tmp_path/f"{name}.txt", "w", encoding="utf-8") as file:
            for sentence in newswire_rows(300, seed):
                for row in sentence: print(*row, sep="\t", file=file)
                print(file=file)
    corpora = ["--corpus", f"a={tmp_path/'a.txt'}:2=pos", "--corpus", f"b={tmp_path/'b.txt'}:4=names"]
    records = study(tmp_path/"out", *corpora, "--methods", "hard,sparse", "--epochs", "5", "--rounds", "2",
                    "--hidden", "32", "--lr", "4e-3", "--batch-size", "16")
    sparse = records["pos+names"]
    assert {"pos", "names"} == set(sparse["dev"]) and sparse["dev"]["pos"] > 30
    assert sparse["test"] == {"pos": None, "names": None}
    assert set(sparse["overlap"]) == {"pos+names", "all"} and set(sparse["density"]) == {"pos", "names"}
    capsys.readouterr()
    main(["tag", "--model", str(tmp_path/"out"/"runs"/sparse["id"]), "She left."])
    assert [len(line.split("\t")) for line in capsys.readouterr().out.splitlines()] == [3, 3, 3, 1]


STUDIES = [path.parent for path in sorted(ROOT.glob("[ar]*/*/records.jsonl.gz"))]

@pytest.mark.parametrize("folder", STUDIES, ids=lambda folder: "/".join(folder.parts[-2:]))
def test_tables_follow_from_records(folder, tmp_path):
    "What is committed is what `redraw` makes of the records, without training and without the corpus."
    shutil.copy(folder/"records.jsonl.gz", tmp_path)
    assert main(["redraw", str(tmp_path)]) is None
    for name in ("table.md", "table.json"):
        assert (tmp_path/name).read_text() == (folder/name).read_text(), name
    drawn, committed = tmp_path.glob("figures/*"), folder.glob("figures/*")
    assert {p.name for p in drawn} == {p.name for p in committed}
    assert (folder/"command.txt").read_text().startswith("sparse-sharing study ")


def test_vectors_are_copies():
    "A piece of a mapped file, sent to a worker process, would map the whole file there, once for every word."
    from sparse_sharing_nb.text.vectors import glove_vectors
    assert {type(vector).__name__ for vector in glove_vectors(["the", "minister"]).values()} == {"ndarray"}


def test_readme_says_what_was_measured():
    "Every measured figure in the README follows from a table under results/."
    readme = (ROOT/"README.md").read_text(encoding="utf-8")
    quoted = re.findall(r"([-+−]?[\d,]*\d(?:\.\d+)?)<!-- (.+?) -->", readme)
    assert len(quoted) == readme.count("<!--") > 15
    for printed, path in quoted:
        name, row, *keys = path.split("/")
        table = ROOT/"results"/name/"table.json"
        if not table.exists(): table = ROOT/"results"/f"{name}.json"
        value = next(r for r in json.loads(table.read_text()) if r["name"] == row)
        for key in keys: value = value[key]
        n_decimals = len(printed.partition(".")[2])
        assert float(printed.replace("−", "-").replace(",", "")) == round(value, n_decimals), path


def test_help_does_not_wait_for_torch():
    code = """
import sys
from sparse_sharing_nb.cli import make_parser
make_parser()
sys.exit("torch" in sys.modules or "numpy" in sys.modules)"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_one_word_and_one_label():
    "Sentences of one word, and tasks with a single label, pass through training and scoring."
    texts = {"train": [["Oslo"], ["Anna", "Oslo"], ["Oslo"]], "dev": [["Oslo"], ["Oslo", "Anna"]]}
    def always(label): return {split: [[label]*len(s) for s in texts[split]] for split in texts}
    tasks = {"one": Task("one", None, texts, always("x")), "span": Task("span", "BIO2", texts, always("B-LOC"))}
    data = encode(tasks, build_vocab(tasks))
    network = build_network(data.vocab, hidden=4)
    last = fit(network, data, replace(PRESETS["fast"], epochs=2), progress=False)[-1]
    assert last["dev"] == {"one": 100, "span": 100} and last["loss"] == {"one": 0, "span": 0}
    assert last["tokens"] == 2*4 and last["evaluated_tokens"] == 2*3
    assert evaluate(network, data, "span").tolist() == [[1, 1, 1], [2, 2, 2]]    # two spans side by side
