"""Whatever a file holds, reading it ends in a result or in our own error, soon and in little memory.

The long search is tests/fuzzing.py."""
import ast, gzip, json, os, pickle, shutil, sys, tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parent))
import fuzzing
from sparse_sharing_nb.cli import main
from sparse_sharing_nb.files import read_tensors
from sparse_sharing_nb.tagging import InputError
from sparse_sharing_nb.text.readers import read_corpus
from sparse_sharing_nb.runs.report import make_table, read_records

ROOT = Path(__file__).parent.parent
N_EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", 60))
quickly = settings(max_examples=N_EXAMPLES, deadline=None, derandomize=True, database=None,
                   suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
LETTERS = "a1 \t\n\r\0\x85\u2028\ufeff_-.#=:,B-IO[]{}()\"'é\U0001F600"
each_target = pytest.mark.parametrize("target", fuzzing.TARGETS)


@pytest.fixture
def path(target, monkeypatch):
    "The place of the target's file."
    monkeypatch.chdir(fuzzing.FOLDER)
    path = fuzzing.prepare(target)
    fuzzing.attempt(target, path, fuzzing.content(target, b"\1"))            # what is imported only once
    return path


@each_target
def test_the_seeds_are_good(target, path):
    if target == "settings": pytest.skip("several parsers, each of which refuses the others' words")
    for seed in fuzzing.SEEDS.glob(f"{target}-*"):
        problem, *_ = fuzzing.attempt(target, path, seed.read_bytes())
        assert problem is None, f"{seed}: {problem}"


@each_target
@quickly
@given(data=st.binary(min_size=2, max_size=80))
def test_edited_files(target, path, data):
    file = fuzzing.content(target, data)
    problem, seconds, peak = fuzzing.attempt(target, path, file, measure=True)
    assert not problem, problem
    assert seconds < 2 + 2*len(file)/1e6 and peak < 2e7 + 20*len(file)    # measuring memory takes time


@pytest.mark.parametrize("target", ["columns", "conllu", "iob2", "plus", "misc", "raw", "cut", "vectors", "toml", "settings",
                                    "record"])
@quickly
@given(text=st.text(alphabet=st.sampled_from(LETTERS), max_size=200))
def test_any_text(target, path, text):
    problem, *_ = fuzzing.attempt(target, path, text.encode())
    assert not problem, problem


LARGE = {    # about a megabyte in shapes that are hard on a reader
    "one word a sentence": ("columns", b"Hello UH O\n\n"*90_000),
    "short words": ("columns", b"".join(b"w%d X O\n%s" % (i, b"\n"*(i % 20 == 0)) for i in range(100_000))),
    "one long sentence": ("columns", b"the DT O\n"*110_000),
    "one long line": ("columns", b"a "*500_000),
    "blank lines": ("columns", b"\n"*1_000_000),
    "one long word": ("columns", b"a"*1_000_000 + b" NN O\n"),
    "numbers": ("conllu", b"".join(b"%d\ta%s\n" % (i, b"\t_"*8) for i in range(1, 40_000))),
    "comments": ("conllu", b"# sent_id = a\n"*70_000),
    "ranges": ("conllu", b"1-2\ta%s\n" % (b"\t_"*8)*40_000),
    "names": ("iob2", b"".join(b"# sent_id = %d\n1\tOslo\tB-LOC\t-\t-\n\n" % i for i in range(30_000))),
    "one long text": ("raw", b"He left. "*110_000),
    "text without blanks": ("raw", b"a."*500_000),
    "text without letters": ("raw", "\u3002".encode()*300_000),
    "no blank lines": ("cut", b"1\tword\n"*120_000),
    "pairs": ("misc", b"1\ta%s\tname=B-X|a=b\n\n" % (b"\t_"*7)*30_000),
    "long vector": ("vectors", b"the" + b" 1"*500_000),
    "many vectors": ("vectors", b"".join(b"w%d 1 2 3\n" % i for i in range(80_000)) + b"the 1 2 3\n"),
    "one long name": ("vectors", b"a"*1_000_000),
    "deep": ("record", b"["*1_000_000),
    "long list": ("record", b"[" + b"0,"*500_000 + b"0]"),
    "digits": ("record", b"9"*1_000_000),
    "long key": ("toml", b"a."*500_000 + b"a = 1"),
    "long setting": ("settings", b"a=" + b"x,"*500_000 + b":2=pos"),
    "many seeds": ("settings", b"0-9,"*250_000),
}


def peak_of_reading(target, path):
    "The most memory, in bytes, that the reader alone holds: of a corpus without what is made from it."
    read = read_corpus if target in ("columns", "conllu", "iob2", "misc") else fuzzing.TARGETS[target][1]
    tracemalloc.start()
    try: read(path)
    except InputError: pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("shape", LARGE)
def test_large_and_odd(shape, monkeypatch):
    """Two seconds for each megabyte, five times as many on a busy machine (a hang takes far longer).

    And a reader holds less than twenty times the file."""
    target, file = LARGE[shape]
    monkeypatch.chdir(fuzzing.FOLDER)
    path = fuzzing.prepare(target)
    fuzzing.attempt(target, path, b"")                                    # what is imported only once
    problem, seconds, _ = fuzzing.attempt(target, path, file)
    assert not problem and seconds < 10*max(1, len(file)/1e6), (problem, seconds)
    peak = peak_of_reading(target, path)
    assert peak < 20*len(file), f"{peak/len(file):.0f} times the file"


STUDY = ["study", "--methods", "hard,sparse", "--hidden", "4", "--epochs", "1", "--rounds", "1",
         "--epochs-per-round", "1", "--warmup-epochs", "0", "--workers", "1"]
SENTENCES = {"one word": ["Oslo NNP B-LOC"],
             "1000 words": ["word NN O"]*1000,
             "1000 words and a name": ["word NN O"]*999 + ["Oslo NNP B-LOC"]}


@pytest.mark.parametrize("lines", SENTENCES.values(), ids=SENTENCES)
def test_short_and_long_sentences_and_one_label(lines, tmp_path, capsys):
    "Trained, scored and used to tag, with a task that has a single label in training."
    text = tmp_path/"a.txt"
    text.write_text(("\n".join(lines) + "\n\n")*3)
    assert main([*STUDY, "--corpus", f"a={text},{text}:2=pos,3=ner", "--out", str(tmp_path/"out")]) is None
    model = capsys.readouterr().out.strip().splitlines()[-1].split()[3]
    assert main(["tag", "--model", model, "x"]) is None and capsys.readouterr().out.count("\t") == 2


def test_a_model_of_a_newer_version(tmp_path, capsys):
    tensors, about = read_tensors(fuzzing.SEEDS/"model-1.safetensors", "about")
    about["config"]["dreams"] = True
    save_file(tensors, tmp_path/"model.safetensors", {"about": json.dumps(about)})
    assert main(["tag", "--model", str(tmp_path), "x"]) == 2
    message = capsys.readouterr().err
    assert "newer version" in message and message.count("\n") == 1


def test_a_record_of_a_newer_version(tmp_path, capsys):
    run = tmp_path/"runs"/"0"
    run.mkdir(parents=True)
    shutil.copy(fuzzing.SEEDS/"model-1.safetensors", run/"model.safetensors")
    record = json.loads((fuzzing.SEEDS/"record-1.json").read_text())
    newer = {"method": "dreaming", "versions": {"sparse_sharing_nb": "9.9"}}
    (run/"record.json").write_text(json.dumps(record | newer))
    assert main(["redraw", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert "written by version 9.9" in message and message.count("\n") == 1


def test_a_damaged_warm_up_takes_along_what_was_made_from_it(tmp_path):
    "First its searches, then the models of these; found by the long search."
    lines = gzip.decompress((fuzzing.SEEDS/"archive-1.gz").read_bytes()).splitlines()
    methods = [json.loads(line)["method"] for line in lines]
    assert {"warmup", "search", "sparse"} < {*methods}
    others = [line for line, method in zip(lines, methods) if method != "warmup"]
    (tmp_path/"records.jsonl.gz").write_bytes(gzip.compress(b"\n".join(others)))
    records = read_records(tmp_path)
    assert {r["method"] for r in records} == {"single", "hard", "soft"} and make_table(records)


def test_letters_that_are_none(tmp_path, capsys):
    "What the shell could not decode ends in a line, not in a traceback."
    (tmp_path/"model.safetensors").write_bytes((fuzzing.SEEDS/"model-1.safetensors").read_bytes())
    assert main(["tag", "--model", str(tmp_path), "caf\udce9"]) in (None, 2)
    assert main(["study", "--corpus", "a=\udce9.txt:2=pos", "--out", str(tmp_path/"out")]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_nothing_is_ever_executed(tmp_path):
    "No pickle and no eval in the library; a pickle in the place of any file is refused without being run."
    for module in (ROOT/"sparse_sharing_nb").rglob("*.py"):
        tree = ast.walk(ast.parse(module.read_text(encoding="utf-8")))
        calls = {ast.unparse(node.func) for node in tree if isinstance(node, ast.Call)}
        assert not calls & {"eval", "exec", "compile", "__import__", "torch.load"}, module
        assert not [call for call in calls if "pickle" in call], module
    class Bomb:
        def __reduce__(self): return (Path(tmp_path/"exploded").touch, ())
    for target in fuzzing.TARGETS:
        problem, *_ = fuzzing.attempt(target, fuzzing.prepare(target), pickle.dumps(Bomb()))
        assert not problem, problem
    assert not (tmp_path/"exploded").exists()
