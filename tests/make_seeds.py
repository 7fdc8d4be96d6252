"""Makes the good files in tests/seeds/ from the built-in corpus, as small as they can be.

Run it again when a format changes."""
import gzip, json, shutil, tempfile
from pathlib import Path

import torch
from fuzzing import tiny_network
from safetensors.torch import save_file
from sparse_sharing_nb.cli import main
from sparse_sharing_nb.text.newswire import newswire_rows
from sparse_sharing_nb.files import read_tensors
from sparse_sharing_nb.runs.resume import save_state
from sparse_sharing_nb.training import PRESETS, State, copy_weights, make_optimisers

SEEDS = Path(__file__).parent/"seeds"
STUDY = ["--methods", "single,hard,sparse,soft", "--hidden", "2", "--epochs", "2", "--rounds", "1",
         "--epochs-per-round", "1", "--warmup-epochs", "1", "--workers", "1"]
SETTINGS = ["a=columns-1.txt:2=pos,3=ner",
            "newswire:pos,related(pos,0.5)=cousin",
            "wnut17:ner=names",
            "0-2,5",
            "a-b=x.txt,y.txt,z.txt:10=x",
            "n=f.TSV:word=2,4=ner"]
SPLIT_WORD = """# sent_id = a-1
1-2\tdon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tdo\t_\tX\t_\t_\t_\tdep\t_\t_
2\tn't\t_\tX\t_\t_\t_\tdep\t_\t_
2.1\tgo\t_\tX\t_\t_\t_\tdep\t_\t_
3\t.\t_\tX\t_\t_\t_\tdep\t_\t_

"""
DESCRIBED = """[a]
train = "columns-1.txt"
tasks = {pos = 2, ner = 3}
"""
MARKED = """[c]
train = "iob2-1.iob2"
word = 2
tasks = {ner = 3}
outside = ["B-OTH"]
"""
LAYERED = """[b]
train = "conllu-1.conllu"
dev = "conllu-1.conllu"
tasks = {upos = 4}

[[b.layers]]
train = "iob2-1.iob2"
dev = "iob2-1.iob2"
tasks = {ner = 3}
"""


def write(name, text):
    "One seed, of bytes or text."
    (SEEDS/name).write_bytes(text if isinstance(text, bytes) else text.encode())


def columns(sentence):
    "A row per token: word, POS, name."
    return "\n".join(f"{word}\t{pos}\t{ner}" for word, pos, _, ner in sentence)


def ragged_columns(i, sentence):
    "The same with blanks; every other sentence lacks its names."
    return "\n".join(f"{word} {pos} {ner}" if i % 2 else f"{word} {pos}" for word, pos, _, ner in sentence)


def conllu(i, sentence):
    "One sentence with its comments and ten columns."
    lines = [f"# sent_id = a-{i}", f"# text = {' '.join(word for word, *_ in sentence)}"]
    for n, (word, pos, *_) in enumerate(sentence, 1):
        relation = "root" if n == 1 else "dep"
        lines.append(f"{n}\t{word}\t{word.lower()}\tX\t{pos}\t_\t{n-1}\t{relation}\t_\t_")
    return "\n".join(lines) + "\n\n"


def iob2(i, sentence):
    "The names of one sentence."
    lines = [f"# sent_id = a-{i}"]
    for n, (word, _, _, ner) in enumerate(sentence, 1): lines.append(f"{n}\t{word}\t{ner}\t-\t-")
    return "\n".join(lines) + "\n\n"


def numbered(sentence):
    "Number, word, POS, name: for CoNLL-U Plus, and for words that are cut already."
    return "\n".join(f"{n}\t{word}\t{pos}\t{ner}" for n, (word, pos, _, ner) in enumerate(sentence, 1))


def misc(sentence):
    "Names among other things."
    rows = [f"{n}\t{word}" + "\t_"*7 + f"\tSpaceAfter=No|name={ner}" for n, (word, _, _, ner) in enumerate(sentence, 1)]
    return "\n".join(rows)


def write_more_texts(sentences):
    "Other formats, and running text in many languages."
    lines = "\n\n".join(map(numbered, sentences)) + "\n"
    write("plus-1.conllup", f"# global.columns = ID FORM UPOS NER\n{lines}")
    write("cut-1.tsv", lines)
    write("misc-1.conllu", "\n\n".join(map(misc, sentences)) + "\n")
    texts = [line.split("\t")[1] for line in (SEEDS.parent/"raw_text.tsv").read_text(encoding="utf-8").splitlines()]
    write("raw-1.txt", " ".join(texts[:12]) + "\n")
    write("raw-2.txt", "\n".join(texts[12::3]) + "\n")
    write("vectors-3.vec", gzip.compress("the\t1\t2\nMinister\t3\t4\n".encode(), mtime=0))
    write("toml-3.toml", MARKED)


def write_texts():
    "Corpora, vectors, descriptions and settings."
    sentences = [s for s in newswire_rows(400, 7) if len(s) < 9][:24]
    write("columns-1.txt", "\n\n".join(map(columns, sentences)) + "\n")
    ragged = "\n\n".join(ragged_columns(i, s) for i, s in enumerate(sentences))
    write("columns-2.txt", f"-DOCSTART- -X- O\n\n{ragged}\n")
    write("conllu-1.conllu", "".join(conllu(i, s) for i, s in enumerate(sentences)))
    write("conllu-2.conllu", SPLIT_WORD*2)
    write("iob2-1.iob2", "".join(iob2(i, s) for i, s in enumerate(sentences) if i != 2))

    spelled = {word.lower() for sentence in sentences for word, *_ in sentence}
    words = [*sorted(spelled)[:30], "the", "a", ","]
    write("vectors-1.vec", "".join(f"{word} {i/9:.3f} -0.5 {i}e-3\n" for i, word in enumerate(words)))
    numbers = "".join(f"{word} {i} .5\n" for i, word in enumerate(words))
    write("vectors-2.vec", f"{len(words)} 2\n{numbers}")

    write_more_texts(sentences)
    for i, text in enumerate(SETTINGS, 1): write(f"settings-{i}", text)
    write("toml-1.toml", DESCRIBED)
    write("toml-2.toml", LAYERED)


def hide(text):
    "Without the place of this folder."
    return text.replace(str(SEEDS), "seeds")


def write_study(out):
    "What a small study leaves in its folder."
    text = SEEDS/"columns-1.txt"
    corpus = ["--corpus", f"a={text},{text},{text}:2=pos,3=ner", "--vectors", str(SEEDS/"vectors-2.vec")]
    main(["study", *corpus, *STUDY, "--out", str(out)])
    records = sorted(out.glob("runs/*/record.json"))
    runs = {json.loads(path.read_text())["method"]: path.parent for path in records}
    for i, method in enumerate(("hard", "sparse", "soft"), 1):
        tensors, about = read_tensors(runs[method]/"model.safetensors", "about")
        save_file(tensors, SEEDS/f"model-{i}.safetensors", {"about": hide(json.dumps(about))})
    for i, method in enumerate(("hard", "single", "soft"), 1):
        write(f"record-{i}.json", hide((runs[method]/"record.json").read_text()))
    write("round-1.safetensors", (runs["search"]/"round-1.safetensors").read_bytes())
    archive = gzip.decompress((out/"records.jsonl.gz").read_bytes()).decode()
    write("archive-1.gz", gzip.compress(hide(archive).encode(), mtime=0))
    _, about = read_tensors(SEEDS/"model-1.safetensors", "about")
    write("about.json", json.dumps(dict(vocab=about["vocab"])))


def write_state():
    "The state of a training after its first epoch."
    network = tiny_network()
    optimiser, = make_optimisers(network, PRESETS["fast"], ["pos"]).values()
    for p in network.parameters(): p.grad = torch.zeros_like(p)
    optimiser.step()
    epoch = dict(epoch=1, loss={"pos": 1.}, dev={"pos": 50.}, mean_dev=50.,
                 tokens=9, evaluated_tokens=9, seconds=1.)
    state = State(network.state_dict(), {"pos": optimiser.state_dict()}, copy_weights(network), [epoch])
    save_state(SEEDS/"state-1.safetensors", state)


if __name__ == "__main__":
    shutil.rmtree(SEEDS, ignore_errors=True)
    SEEDS.mkdir()
    write_texts()
    with tempfile.TemporaryDirectory() as folder: write_study(Path(folder)/"out")
    write_state()
