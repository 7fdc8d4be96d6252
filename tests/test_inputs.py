"Bad input: one line that names the file and line, or the argument; status 2; nothing written."
import pytest
from sparse_sharing_nb.cli import main

GOOD = b"Anna NNP B-PER\nslept VBD O\n\n" * 20
FILES = {                                             # content -> what the message must say
    "empty": (b"", "bad.txt: no sentence"),
    "blank lines only": (b"\n\n \n", "bad.txt: no sentence"),
    "ragged": (GOOD + b"Oslo NNP B-LOC\nslept VBD\n", "bad.txt:62: 2 columns"),
    "NUL byte": (GOOD + b"Os\0lo NNP B-LOC\n", "bad.txt:61: a NUL byte"),
    "not UTF-8": (GOOD + b"\xffslo NNP B-LOC\n", "bad.txt:61: not valid UTF-8"),
    "missing column": (b"Anna NNP\nslept VBD\n\n" * 20, "bad.txt:1: no column 3"),
    "not a span label": (GOOD + b"Oslo NNP LOC\n", "bad.txt:61: 'LOC'"),
    "one sentence": (b"Anna NNP B-PER\n", "bad.txt: one sentence of 1 word was read"),
}
ARGUMENTS = {
    "corpus": (["--corpus", "conll2004"], "--corpus conll2004"),
    "task": (["--tasks", "pos,parsing"], "--tasks parsing"),
    "method": (["--methods", "double"], "--methods double"),
    "preset": (["--preset", "slow"], "--preset slow"),
    "vectors": (["--vectors", "nowhere.txt"], "--vectors nowhere.txt"),
    "frozen nothing": (["--freeze-vectors"], "--freeze-vectors"),
    "data folder": (["--corpus", "conll2003", "--data", "nowhere"], "--data nowhere"),
    "no data folder": (["--corpus", "conll2003"], "SPARSE_SHARING_DATA"),
    "tolerance": (["--tolerance", "-1"], "--tolerance -1"),
    "learning rate": (["--lr", "0"], "--lr 0"),
    "clip": (["--clip", "0"], "--clip 0"),
    "weight": (["--weights", "pos=0"], "--weights pos=0.0"),
    "endless weight": (["--weights", "pos=inf"], "--weights pos=inf"),
    "no number": (["--weights", "pos=nan"], "--weights pos=nan"),
    "weight of no task": (["--weights", "parsing=0.3"], "--weights parsing"),
    "flat": (["--stop-flat", "-1"], "--stop-flat -1"),
    "density": (["--final-density", "1.5"], "--final-density 1.5"),
    "round": (["--rounds", "2", "--at-rounds", "1-3"], "--at-rounds 3"),
    "warm-up": (["--epochs", "2", "--warmup-epochs", "2"], "--warmup-epochs 2"),
    "own file": (["--corpus", "mine=nowhere.txt:2=pos"], "nowhere.txt: cannot be read"),
}


def complaint(argv, capsys):
    "The one line with which a command refuses."
    assert main(argv) == 2
    message = capsys.readouterr().err.strip()
    assert "\n" not in message and message.startswith("sparse-sharing ")
    return message


@pytest.mark.parametrize("content, expected", FILES.values(), ids=FILES)
def test_file(content, expected, tmp_path, capsys):
    (tmp_path/"bad.txt").write_bytes(content)
    argv = ["study", "--corpus", f"mine={tmp_path/'bad.txt'}:2=pos,3=ner", "--out", str(tmp_path/"out")]
    assert expected in complaint(argv, capsys)
    assert not list((tmp_path/"out").iterdir())


@pytest.mark.parametrize("arguments, expected", ARGUMENTS.values(), ids=ARGUMENTS)
def test_argument(arguments, expected, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("SPARSE_SHARING_DATA", raising=False)
    assert expected in complaint(["study", *arguments, "--out", str(tmp_path/"out")], capsys)
    assert not (tmp_path/"out").exists() or not list((tmp_path/"out").iterdir())


def test_out_is_a_file(tmp_path, capsys):
    (tmp_path/"file").write_text("")
    assert "file: cannot be written" in complaint(["study", "--out", str(tmp_path/"file")], capsys)


BAD_MODELS = {"missing": None, "empty": b"", "garbage": b"not safetensors at all"}

@pytest.mark.parametrize("content", BAD_MODELS.values(), ids=BAD_MODELS)
def test_model(content, tmp_path, capsys):
    if content is not None: (tmp_path/"model.safetensors").write_bytes(content)
    assert str(tmp_path) in complaint(["tag", "--model", str(tmp_path), "Hello."], capsys)


@pytest.mark.parametrize("line", ["", "study", "study --out x --epochs 0", "study --out x --seeds a",
                                  "study --out x --seeds 2-1", "study --out x --tasks ,", "dance"])
def test_words_the_command_does_not_know(line, capsys):
    with pytest.raises(SystemExit) as stopped: main(line.split())
    assert stopped.value.code == 2 and "usage: sparse-sharing" in capsys.readouterr().err


def test_windows_file_with_byte_order_mark(tmp_path):
    from sparse_sharing_nb.text.readers import read_table
    (tmp_path/"plain.txt").write_bytes(GOOD)
    (tmp_path/"windows.txt").write_bytes(b"\xef\xbb\xbf" + GOOD.replace(b"\n", b"\r\n"))
    assert read_table(tmp_path/"plain.txt").rows == read_table(tmp_path/"windows.txt").rows
