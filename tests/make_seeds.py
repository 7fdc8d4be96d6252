"Makes the good files in tests/seeds/ from the built-in corpus, as small as they can be. Run it again when a format changes."
import gzip, json, shutil, tempfile
from pathlib import Path

import torch
from fuzzing import tiny_network
from safetensors.torch import save_file
from sparse_sharing_nb.cli import main
from sparse_sharing_nb.text.newswire import newswire_rows
from sparse_sharing_nb.files import read_tensors
from sparse_sharing_nb.runs.resume import save_state
from sparse_sharing_nb.training import PRESETS, State, copy_weights, make_optimiser

SEEDS = Path(__file__).parent/"seeds"
shutil.rmtree(SEEDS, ignore_errors=True); SEEDS.mkdir()
write = lambda name, text: (SEEDS/name).write_bytes(text if isinstance(text, bytes) else text.encode())
sentences = [s for s in newswire_rows(400, 7) if len(s) < 9][:24]

write("columns-1.txt", "\n\n".join("\n".join(f"{w}\t{pos}\t{ner}" for w, pos, _, ner in s) for s in sentences) + "\n")
write("columns-2.txt", "-DOCSTART- -X- O\n\n" + "\n\n".join("\n".join(f"{w} {pos}" + f" {ner}"*(i % 2) for w, pos, _, ner in s) for i, s in enumerate(sentences)) + "\n")
rows = lambda s: "".join(f"{i}\t{w}\t{w.lower()}\tX\t{pos}\t_\t{i-1}\t{'root' if i == 1 else 'dep'}\t_\t_\n" for i, (w, pos, *_) in enumerate(s, 1))
write("conllu-1.conllu", "".join(f"# sent_id = a-{i}\n# text = {' '.join(r[0] for r in s)}\n{rows(s)}\n" for i, s in enumerate(sentences)))
write("conllu-2.conllu", ("# sent_id = a-1\n1-2\tdon't" + "\t_"*8 + "\n" + "".join(f"{n}\t{w}\t_\tX\t_\t_\t_\tdep\t_\t_\n" for n, w in (("1", "do"), ("2", "n't"), ("2.1", "go"), ("3", "."))) + "\n")*2)
write("iob2-1.iob2", "".join(f"# sent_id = a-{i}\n" + "".join(f"{n}\t{r[0]}\t{r[3]}\t-\t-\n" for n, r in enumerate(s, 1)) + "\n" for i, s in enumerate(sentences) if i != 2))
words = sorted({w.lower() for s in sentences for w, *_ in s})[:30] + ["the", "a", ","]
write("vectors-1.vec", "".join(f"{w} {i/9:.3f} -0.5 {i}e-3\n" for i, w in enumerate(words)))
write("vectors-2.vec", f"{len(words)} 2\n" + "".join(f"{w} {i} .5\n" for i, w in enumerate(words)))
for i, text in enumerate(("a=columns-1.txt:2=pos,3=ner", "newswire:pos,related(pos,0.5)=cousin", "wnut17:ner=names", "0-2,5", "a-b=x.txt,y.txt,z.txt:10=x"), 1): write(f"settings-{i}", text)
write("toml-1.toml", '[a]\ntrain = "columns-1.txt"\ntasks = {pos = 2, ner = 3}\n')
write("toml-2.toml", '[b]\ntrain = "conllu-1.conllu"\ndev = "conllu-1.conllu"\ntasks = {upos = 4}\n\n[[b.layers]]\ntrain = "iob2-1.iob2"\ndev = "iob2-1.iob2"\ntasks = {ner = 3}\n')

with tempfile.TemporaryDirectory() as folder:
    out = Path(folder)/"out"
    main(["study", "--corpus", f"a={SEEDS/'columns-1.txt'},{SEEDS/'columns-1.txt'},{SEEDS/'columns-1.txt'}:2=pos,3=ner", "--methods", "single,hard,sparse,soft",
          "--hidden", "2", "--epochs", "2", "--rounds", "1", "--epochs-per-round", "1", "--warmup-epochs", "1", "--vectors", str(SEEDS/"vectors-2.vec"), "--workers", "1", "--out", str(out)])
    hide = lambda text: text.replace(str(SEEDS), "seeds")
    models = {json.loads(p.read_text())["method"]: p.parent for p in sorted(out.glob("runs/*/record.json"))}
    for i, method in enumerate(("hard", "sparse", "soft"), 1):
        tensors, about = read_tensors(models[method]/"model.safetensors", "about")
        save_file(tensors, SEEDS/f"model-{i}.safetensors", {"about": hide(json.dumps(about))})
    for i, method in enumerate(("hard", "single", "soft"), 1): write(f"record-{i}.json", hide((models[method]/"record.json").read_text()))
    write("round-1.safetensors", (models["search"]/"round-1.safetensors").read_bytes())
    write("archive-1.gz", gzip.compress(hide(gzip.decompress((out/"records.jsonl.gz").read_bytes()).decode()).encode(), mtime=0))
    _, about = read_tensors(SEEDS/"model-1.safetensors", "about")
    write("about.json", json.dumps(dict(vocab=about["vocab"])))

network = tiny_network(); optimiser = make_optimiser(network, PRESETS["fast"])
for p in network.parameters(): p.grad = torch.zeros_like(p)
optimiser.step()
history = [dict(epoch=1, loss={"pos": 1.}, dev={"pos": 50.}, mean_dev=50., tokens=9, evaluated_tokens=9, seconds=1.)]
save_state(SEEDS/"state-1.safetensors", State(network.state_dict(), optimiser.state_dict(), copy_weights(network), history))
