"Tagging what people have: files, words already cut, pipes, bytes that are no text."
import io, json, subprocess, sys

import pytest
from sparse_sharing_nb.cli import main
from sparse_sharing_nb.text.corpora import load_tasks

SMALL = "--tasks pos,ner --methods single --train-sentences 60 --epochs 1 --hidden 8 --workers 1".split()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    "The folder of a small model that tags names."
    out = tmp_path_factory.mktemp("study")
    assert main(["study", *SMALL, "--out", str(out)]) is None
    records = [json.loads(path.read_text()) for path in out.glob("runs/*/record.json")]
    name, = [record["id"] for record in records if record["tasks"] == ["ner"]]
    return str(out/"runs"/name)


def piped(model, *words, given=b"", cut=""):
    "What the command writes, as a process of its own in a shell: status, output, errors."
    command = [sys.executable, "-c", "import sys; from sparse_sharing_nb.cli import main; sys.exit(main())"]
    line = subprocess.list2cmdline([*command, "tag", "--model", model, *words])
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {line} {cut}"], input=given, capture_output=True)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def run(capsys, *words):
    "Status, output and errors of a command in this process."
    status = main(["tag", *words])
    shown = capsys.readouterr()
    return status, shown.out, shown.err


@pytest.mark.parametrize("source", ["--file", "--column-file", "standard input"])
def test_nobody_reads_on(model, source, tmp_path):
    "head has seen enough: no word about it, and the status that shells expect."
    (tmp_path/"a.txt").write_text("word\n"*30_000 if source == "--file" else "word\n\n"*30_000)
    words = [] if source == "standard input" else [source, str(tmp_path/"a.txt")]
    given = (tmp_path/"a.txt").read_bytes() if not words else b""
    status, out, err = piped(model, *words, given=given, cut="| head -1")
    assert status == 141 and out.startswith("word\t") and err == ""


BYTES = {"Latin-1": (b"caf\xe9 au lait\n", "not valid UTF-8"), "a NUL": (b"a\0b\n", "a NUL byte"),
         "UTF-16": ("Anna".encode("utf-16"), "standard input")}

@pytest.mark.parametrize("given, message", BYTES.values(), ids=BYTES)
def test_bytes_that_are_no_text(model, given, message, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("LC_ALL", "C")
    status, out, err = piped(model, given=given)
    assert status == 2 and out == "" and message in err and err.count("\n") == 1
    (tmp_path/"a.txt").write_bytes(given)
    for option in ("--file", "--column-file"):
        status, out, err = run(capsys, "--model", model, option, str(tmp_path/"a.txt"))
        assert status == 2 and out == "" and "a.txt" in err


@pytest.mark.parametrize("given", ["\ufeffAnna left.\n", "Anna \ufeffleft.\n", "Anna left.\r\n", "Anna\u2028left.\n"])
def test_marks_that_are_no_word(model, given, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
    status, out, _ = run(capsys, "--model", model)
    words = [line.split("\t")[0] for line in out.split("\n") if line]
    assert status is None and words == ["Anna", "left", "."]


def test_the_name_of_a_file_is_no_text(model, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path/"notes").write_text("Anna left.")
    for name in ("test.txt", "notes", "corpus.CoNLLU"):
        status, out, err = run(capsys, "--model", model, name)
        assert status == 2 and out == "" and f"--file {name}" in err
    status, out, _ = run(capsys, "--model", model, "--file", "notes")
    assert status is None and out.startswith("Anna\t")


@pytest.mark.parametrize("option", ["--file", "--column-file"])
@pytest.mark.parametrize("name", ["nowhere.txt", ".", ""])
def test_missing_files(model, option, name, capsys):
    status, out, err = run(capsys, "--model", model, option, name)
    assert status == 2 and out == "" and err.count("\n") == 1


COLUMNS = "Anna\tNNP\tx\nleft\tVBD\ty\n\n. . z\n"

def test_columns_stay_and_tags_follow(model, tmp_path, capsys):
    (tmp_path/"a.tsv").write_text(COLUMNS)
    status, out, err = run(capsys, "--model", model, "--column-file", str(tmp_path/"a.tsv"))
    rows = [line.split("\t") for line in out.splitlines() if line]
    assert [row[:3] for row in rows] == [["Anna", "NNP", "x"], ["left", "VBD", "y"], [".", ".", "z"]]
    assert {len(row) for row in rows} == {4} and "3 words" in err and "a second" in err


def test_numbered_columns(model, tmp_path, capsys):
    numbered = "1\tAnna\n2\tleft\n\n1\tYes\n"
    (tmp_path/"a.tsv").write_text(numbered)
    status, out, err = run(capsys, "--model", model, "--column-file", str(tmp_path/"a.tsv"))
    assert status == 2 and out == "" and "--word 2" in err
    for name, words in (("a.tsv", ["--word", "2"]), ("a.iob2", [])):
        (tmp_path/name).write_text(numbered.replace("\n", "\tO\n").replace("\n\tO\n", "\n\n"))
        given = ["--column-file", str(tmp_path/name), *words, "--format", "jsonl"]
        status, out, _ = run(capsys, "--model", model, *given)
        assert [json.loads(line)["words"] for line in out.splitlines()] == [["Anna", "left"], ["Yes"]]
    status, _, err = run(capsys, "--model", model, "--word", "2", "Anna left.")
    assert status == 2 and "--word" in err


@pytest.mark.parametrize("form", ["columns", "conllu"])
def test_what_is_printed_can_be_read(model, form, tmp_path, capsys):
    "And says the same in every format."
    text = "Anna Lund left Oslo. She won. "*20
    _, out, _ = run(capsys, "--model", model, "--format", form, text)
    name, column = ("a.txt", 2) if form == "columns" else ("a.conllu", 10)
    (tmp_path/name).write_text(out)
    tasks = load_tasks([f"a={tmp_path/name}:{column}=ner"])
    read = [word for sentence in tasks["ner"].sentences["train"] for word in sentence]
    assert read[:4] == ["Anna", "Lund", "left", "Oslo"]
    _, lines, _ = run(capsys, "--model", model, "--format", "jsonl", text)
    assert len(lines.splitlines()) == 40 and json.loads(lines.splitlines()[0])["tags"].keys() == {"ner"}
