"The CRF head: agrees with counting every row, trains, saves and tags, and leaves everything else as it was."
import itertools, json
from pathlib import Path

import pytest, torch
from sparse_sharing_nb.cli import main
from sparse_sharing_nb.crf import best_labels, task_loss
from sparse_sharing_nb.tagging import Vocab
from sparse_sharing_nb.network import build_network, n_core_parameters
from sparse_sharing_nb.pruning import prunable
from sparse_sharing_nb.runs.models import Config

VOCAB = Vocab(["<unknown>"], ["<padding>", "<unknown>"], {"pos": ["a", "b", "c"], "ner": ["O"]})
STUDY = ["study", "--methods", "hard,sparse,soft", "--crf", "--epochs", "2", "--rounds", "1",
         "--epochs-per-round", "1", "--hidden", "8", "--workers", "1"]


def row_score(crf, logits, row):
    "What a CRF gives one row of labels. logits: (time, n_labels)."
    words = logits[range(len(row)), row].sum()
    pairs = sum(crf.transitions[a, b] for a, b in zip(row, row[1:]))
    return words + pairs + crf.start_transitions[row[0]] + crf.end_transitions[row[-1]]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("task, n_words", [("pos", 1), ("pos", 4), ("ner", 1), ("ner", 3)])
def test_agrees_with_counting_every_row(seed, task, n_words):
    network = build_network(VOCAB, seed=seed, crf=True, hidden=2, word_dim=2)
    crf, n_labels = network.crfs[task], len(VOCAB.labels[task])
    for p in crf.parameters(): torch.nn.init.normal_(p)
    logits = 2*torch.randn(2, n_words, n_labels)
    rows = list(itertools.product(range(n_labels), repeat=n_words))
    first, second = ([row_score(crf, sentence, row) for row in rows] for sentence in logits)
    scores = torch.stack([*first, *second]).reshape(2, len(rows))
    assert best_labels(network, task, logits).tolist() == [list(rows[i]) for i in scores.argmax(1)]
    gold = torch.tensor([rows[0], rows[-1]])
    expected = (scores.logsumexp(1) - scores[[0, 1], [0, -1]]).sum()/(2*n_words)
    assert torch.allclose(task_loss(network, task, logits, gold), expected, atol=1e-5)


def test_is_a_head_and_nothing_else():
    plain, crf = (build_network(VOCAB, seed=3, crf=on, hidden=2, word_dim=2) for on in (False, True))
    start = crf.state_dict()
    assert all(torch.equal(w, start[name]) for name, w in plain.state_dict().items())
    assert n_core_parameters(plain) == n_core_parameters(crf) and prunable(plain) == prunable(crf)
    assert Config().id == Config(crf=False).id != Config(crf=True).id


def test_from_training_to_tagging(tmp_path, capsys):
    text = Path(__file__).parent/"seeds"/"columns-1.txt"
    assert main([*STUDY, "--corpus", f"a={text},{text}:3=ner,2=pos", "--out", str(tmp_path)]) is None
    records = [json.loads(path.read_text()) for path in tmp_path.glob("runs/*/record.json")]
    assert all(r["config"]["crf"] for r in records)
    for model in (r["id"] for r in records if r["method"] in ("hard", "sparse", "soft")):
        capsys.readouterr()
        assert main(["tag", "--model", str(tmp_path/"runs"/model), "She left."]) is None
        assert capsys.readouterr().out.count("\t") == 6


def test_without_the_library(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sparse_sharing_nb.runs.study.find_spec", lambda name: None)
    assert main(["study", "--crf", "--out", str(tmp_path)]) == 2
    assert "sparse_sharing_nb[crf]" in capsys.readouterr().err
