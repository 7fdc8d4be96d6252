"Whatever a file holds, reading it ends in a result or in our own error, soon and in little memory. The long search is tests/fuzzing.py."
import ast, gzip, json, os, pickle, sys, tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

sys.path.insert(0, str(Path(__file__).parent))
import fuzzing
from sparse_sharing_nb.cli import main
from sparse_sharing_nb.tagging import InputError
from sparse_sharing_nb.text.readers import read_corpus
from sparse_sharing_nb.runs.report import make_table, read_records

ROOT = Path(__file__).parent.parent
quickly = settings(max_examples=int(os.environ.get("FUZZ_EXAMPLES", 60)), deadline=None, derandomize=True, database=None,
                   suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
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
    problem, seconds, peak = fuzzing.attempt(target, path, file := fuzzing.content(target, data), measure=True)
    assert not problem, problem
    assert seconds < 2 + 2*len(file)/1e6 and peak < 2e7 + 20*len(file)    # measuring memory takes time


@pytest.mark.parametrize("target", ["columns", "conllu", "iob2", "vectors", "toml", "settings", "record"])
@quickly
@given(text=st.text(alphabet=st.sampled_from("a1 \t\n\r\0\x85\u2028\ufeff_-.#=:,B-IO[]{}()\"'é\U0001F600"), max_size=200))
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


@pytest.mark.parametrize("shape", LARGE)
def test_large_and_odd(shape, monkeypatch):
    "Two seconds for each megabyte, five times as many on a busy machine (a hang takes far longer), and a reader holds less than twenty times the file."
    target, file = LARGE[shape]
    monkeypatch.chdir(fuzzing.FOLDER)
    path = fuzzing.prepare(target)
    fuzzing.attempt(target, path, b"")                                    # what is imported only once
    problem, seconds, _ = fuzzing.attempt(target, path, file)
    assert not problem and seconds < 10*max(1, len(file)/1e6), (problem, seconds)
    read = (lambda *_: read_corpus(path)) if target in ("columns", "conllu", "iob2") else fuzzing.TARGETS[target][1]    # readers alone
    tracemalloc.start()
    try: read(path)
    except InputError: pass
    peak = tracemalloc.get_traced_memory()[1]; tracemalloc.stop()
    assert peak < 20*len(file), f"{peak/len(file):.0f} times the file"


@pytest.mark.parametrize("lines", [["Oslo NNP B-LOC"], ["word NN O"]*1000, ["word NN O"]*999 + ["Oslo NNP B-LOC"]], ids=["one word", "1000 words", "1000 words and a name"])
def test_short_and_long_sentences_and_one_label(lines, tmp_path, capsys):
    "Trained, scored and used to tag, with a task that has a single label in training."
    (tmp_path/"a.txt").write_text(("\n".join(lines) + "\n\n")*3)
    argv = ["study", "--corpus", f"a={tmp_path/'a.txt'},{tmp_path/'a.txt'}:2=pos,3=ner", "--methods", "hard,sparse", "--hidden", "4", "--epochs", "1", "--rounds", "1",
            "--epochs-per-round", "1", "--warmup-epochs", "0", "--workers", "1", "--out", str(tmp_path/"out")]
    assert main(argv) is None
    model = capsys.readouterr().out.strip().splitlines()[-1].split()[3]
    assert main(["tag", "--model", model, "x"]) is None and capsys.readouterr().out.count("\t") == 2


@pytest.mark.parametrize("field, value, said", [("config", {"dreams": True}, "newer version"), ("versions", {}, "version")])
def test_a_newer_version(field, value, said, tmp_path, capsys):
    from safetensors.torch import save_file
    from sparse_sharing_nb.files import read_tensors
    record = json.loads((fuzzing.SEEDS/"record-1.json").read_text())
    tensors, about = read_tensors(fuzzing.SEEDS/"model-1.safetensors", "about")
    if field == "config":
        about["config"] |= value; save_file(tensors, tmp_path/"model.safetensors", {"about": json.dumps(about)})
        assert main(["tag", "--model", str(tmp_path), "x"]) == 2
    else:
        run = tmp_path/"runs"/"0"; run.mkdir(parents=True)
        save_file(tensors, run/"model.safetensors", {"about": json.dumps(about)})
        (run/"record.json").write_text(json.dumps(record | {"method": "dreaming", "versions": {"sparse_sharing_nb": "9.9"}}))
        assert main(["redraw", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert said in message and message.count("\n") == 1


def test_a_damaged_warm_up_takes_along_what_was_made_from_it(tmp_path):
    "First its searches, then the models of these; found by the long search."
    lines = gzip.decompress((fuzzing.SEEDS/"archive-1.gz").read_bytes()).splitlines()
    assert {"warmup", "search", "sparse"} < {json.loads(line)["method"] for line in lines}
    (tmp_path/"records.jsonl.gz").write_bytes(gzip.compress(b"\n".join(line for line in lines if json.loads(line)["method"] != "warmup")))
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
        assert not calls & {"eval", "exec", "compile", "__import__", "torch.load"} and not [c for c in calls if "pickle" in c], module
    class Bomb:
        def __reduce__(self): return (Path(tmp_path/"exploded").touch, ())
    for target in fuzzing.TARGETS:
        problem, *_ = fuzzing.attempt(target, fuzzing.prepare(target), pickle.dumps(Bomb()))
        assert not problem, problem
    assert not (tmp_path/"exploded").exists()
