"A study folder that somebody else made: what it holds is refused in one line, and leads nowhere."
import json, os, shutil, signal, sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import fuzz_folders
from sparse_sharing_nb.cli import main
from sparse_sharing_nb.explorer.densities import open_study
from sparse_sharing_nb.runs.report import read_records
from sparse_sharing_nb.runs.study import load_data
from sparse_sharing_nb.tagging import InputError

SIZES = "--tasks pos,ner --train-sentences 60 --hidden 8 --epochs 2 --rounds 2 --epochs-per-round 1".split()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    "A small study."
    out = tmp_path_factory.mktemp("study")
    assert main(["study", "--methods", "single,sparse", *SIZES, "--workers", "1", "--out", str(out)]) is None
    return out


@pytest.fixture
def folder(made, tmp_path):
    "A copy, to be altered; whoever waits for ever is stopped."
    def alarm(number, frame): raise TimeoutError("it waits for ever")
    signal.signal(signal.SIGALRM, alarm)
    signal.alarm(60)
    yield shutil.copytree(made, tmp_path/"study")
    signal.alarm(0)


def a_run(folder, method):
    "A run of this method, and its record."
    for path in sorted(folder.glob("runs/*/record.json")):
        record = json.loads(path.read_text())
        if record["method"] == method: return path.parent, record


CONFIGS = {
    "unknown preset": dict(preset="slow"), "vectors": dict(vectors=3), "sentences": dict(train_sentences="all"),
    "no corpus": dict(corpus=[]), "many units": dict(hidden=10**9), "many sentences": dict(train_sentences=10**9),
    "another run": dict(needs=["../../elsewhere"]), "formula": dict(tasks=["pos", r"$\frac{$"]),
    "not whole": dict(hidden=8.0), "escape": dict(corpus=["\x1b[31m"])}

@pytest.mark.parametrize("change", CONFIGS.values(), ids=CONFIGS)
def test_a_changed_configuration(folder, change):
    run, record = a_run(folder, "search")
    record["config"] |= change
    (run/"record.json").write_text(json.dumps(record))
    with pytest.raises(InputError): open_study(folder)


CHANGES = {"elsewhere": dict(id="../../x"), "another": dict(id="0123456789ab"), "score": dict(dev={"pos": 10**30}),
           "tasks": dict(tasks=["ner", "pos"]), "method": dict(method="hard")}

@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_record(folder, change, capsys):
    run, record = a_run(folder, "single")
    (run/"record.json").write_text(json.dumps(record | change))
    assert main(["redraw", str(folder)]) == 2
    assert "record.json: " in capsys.readouterr().err.splitlines()[-1]


SPECIAL = {"pipe": os.mkfifo, "device": lambda path: os.symlink("/dev/zero", path),
           "folder": os.mkdir, "nowhere": lambda path: os.symlink("nowhere", path)}

@pytest.mark.parametrize("make", SPECIAL.values(), ids=SPECIAL)
@pytest.mark.parametrize("name", ["record.json", "model.safetensors"])
def test_special_files(folder, name, make, capsys):
    "The run counts as not finished: nobody waits, nobody reads without end."
    run, record = a_run(folder, "single")
    (run/name).unlink()
    make(run/name)
    assert record["id"] not in [found["id"] for found in read_records(folder)]
    assert main(["tag", "--model", str(run), "Hello."]) == (2 if name != "record.json" else None)


@pytest.mark.parametrize("make", [SPECIAL["pipe"], SPECIAL["device"]], ids=["pipe", "device"])
def test_special_archives(folder, make, capsys):
    shutil.rmtree(folder/"runs")
    (folder/"records.jsonl.gz").unlink()
    make(folder/"records.jsonl.gz")
    assert main(["redraw", str(folder)]) == 2 and "not a plain file" in capsys.readouterr().err


def test_a_command_that_is_a_pipe(folder):
    (folder/"command.txt").unlink()
    os.mkfifo(folder/"command.txt")
    argv = ["study", "--methods", "single,sparse", *SIZES, "--workers", "1", "--out", str(folder)]
    assert main(argv) is None and (folder/"command.txt").is_file()


def test_links_are_not_followed(folder, tmp_path, capsys):
    "Neither one in the place of the figures, nor one with the name of a part."
    (tmp_path/"precious").mkdir()
    shutil.rmtree(folder/"figures")
    (folder/"figures").symlink_to(tmp_path/"precious")
    assert main(["redraw", str(folder)]) == 2 and "figures: a link" in capsys.readouterr().err
    assert not list((tmp_path/"precious").iterdir())


def test_a_study_of_one_task_is_not_explored(folder, tmp_path, capsys):
    for path in folder.glob("runs/*/record.json"):
        record = json.loads(path.read_text())
        if record["method"] == "search" and record["tasks"] == ["ner"]: shutil.rmtree(path.parent)
    assert main(["explore", "--study", str(folder), "--no-browser"]) == 2
    assert "two tasks" in capsys.readouterr().err


def test_a_vast_network_is_not_built(folder):
    "Each number is allowed by itself; what was kept is smaller."
    for path in folder.glob("runs/*/record.json"):
        record = json.loads(path.read_text())
        record["config"] |= dict(hidden=10_000, n_layers=100)
        path.write_text(json.dumps(record))
    with pytest.raises(InputError, match="the weights are not those of the network"): open_study(folder)


def test_a_relative_corpus_is_found_from_anywhere(tmp_path, monkeypatch, capsys):
    home = tmp_path/"home"
    for place in (home, tmp_path/"elsewhere"): place.mkdir()
    monkeypatch.chdir(home)
    (home/"a.txt").write_text("Anna NNP B-PER\nslept VBD O\n\nOslo NNP B-LOC\nis VBZ O\n\n" * 40)
    own = ["--corpus", "own=a.txt:2=pos,3=ner", *SIZES]
    assert main(["study", "--methods", "sparse", *own, "--workers", "1", "--out", "study"]) is None
    monkeypatch.chdir(tmp_path/"elsewhere")
    shutil.copytree(home, tmp_path/"moved")                     # text and study together
    assert set(open_study(tmp_path/"moved"/"study").searches) == {"pos", "ner"}
    (home/"a.txt").unlink()
    capsys.readouterr()
    load_data.cache_clear()
    assert main(["explore", "--study", str(home/"study"), "--no-browser"]) == 2
    message = capsys.readouterr().err.strip()
    assert "a.txt: cannot be read (no such file)" in message and "\n" not in message


def test_a_round_of_another_network(folder):
    from safetensors.torch import load_file, save_file
    run, _ = a_run(folder, "search")
    save_file(load_file(run/"round-1.safetensors"), run/"round-1.safetensors")    # no word of its record
    with pytest.raises(InputError, match="round-1.safetensors: not a round of this search"): open_study(folder)


def test_rounds_that_are_not_nested(folder):
    "Found by tests/fuzz_folders.py: a traceback."
    from sparse_sharing_nb.runs.resume import load_round, save_round
    run, _ = a_run(folder, "search")
    first, second = (load_round(run/f"round-{r}.safetensors") for r in (0, 1))
    for r, mask in ((0, second.mask), (2, first.mask)):
        kept = (run/f"round-{r}.safetensors").read_bytes()
        save_round(run/f"round-{r}.safetensors", load_round(run/f"round-{r}.safetensors")._replace(mask=mask))
        with pytest.raises(InputError, match=f"round-{r}.safetensors: not a round of this search"): open_study(folder)
        (run/f"round-{r}.safetensors").write_bytes(kept)


def test_a_round_without_its_record(folder, capsys):
    "Found by tests/fuzz_folders.py: a traceback. What the message advises helps."
    from safetensors.torch import load_file, save_file
    again = ["study", "--methods", "single,sparse", *SIZES, "--workers", "1", "--out", str(folder)]
    for path in folder.glob("runs/*/round-*"): save_file(load_file(path), path)
    (a_run(folder, "sparse")[0]/"record.json").unlink()
    assert main(again) == 2 and "damaged; remove it" in capsys.readouterr().err
    for path in folder.glob("runs/*/round-*"): path.unlink()
    assert main(again) is None


def test_many_strange_folders():
    "The long search is tests/fuzz_folders.py."
    found = fuzz_folders.search(150)
    assert not [problem for figures in found.values() for problem in figures["findings"].values()]
    assert all(0 < figures["accepted"] < figures["inputs"] for figures in found.values() if figures["inputs"] > 40)
