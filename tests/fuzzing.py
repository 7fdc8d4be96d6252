"""Damaged files for everything that reads files, and a coverage-guided search for those that break something.

`content` turns bytes, which a fuzzer draws, into the content of a file: a good one of ours, edited. Every
target reads such a file; it may return or raise InputError, anything else is a finding. tests/test_fuzzing.py
does this with Hypothesis on each change. The long search wants atheris (pip install atheris) and adds its
figures to results/fuzzing.json; so many inputs for each target, or for those that are named:

    python tests/fuzzing.py 20000
    python tests/fuzzing.py 5000 columns toml
"""
import copy, gzip, json, os, re, shutil, struct, subprocess, sys, tempfile, time, tracemalloc, traceback
from functools import lru_cache
from itertools import chain
from pathlib import Path
from unicodedata import category

FOLDER = Path(tempfile.mkdtemp(prefix="fuzzing-"))
SEEDS = Path(__file__).parent/"seeds"    # good files, made by make_seeds.py from the built-in corpus
ODD = [
    # white space, and what some take for it
    b"\0", b"\xef\xbb\xbf", b"\r\n", b"\r", b"\t", b" ", b"\n\n", b"\n\t\n",
    "\x85".encode(), "\u2028".encode(), "\xa0".encode(), b"\xff", b"\xed\xa0\x80", "\U0001F600".encode(),
    # words and signs of the formats
    b"B-", b"B-O", b"I-OTH", b"_", b"-DOCSTART-", b"1-2\t", b"1.1\t", b"#", b"# sent_id = a-1\n",
    b"B", b"U-", b"M-", b"name=B-PER|", b"(person", b"# global.columns = ID FORM X Y\n", b"# a\tb\n",
    b"'", b'"', b"[", b"{", b"]", b"}", b"=", b".", b",", b":",
    # what running text is made of
    b"Dr. ", b"n't", "\u2019s".encode(), b"https://", b"a@b.org", "\u3002".encode(), "\u4ed6\u8d70".encode(),
    "\u0301".encode(), "\u0928\u092e\u0938\u094d".encode(), "\U0001F44D\U0001F3FD".encode(), b"...",
    # numbers and the like
    b"nan", b"inf", b"1e999", b"9"*30, b"-1", b"0", b"true", b"null", b"related(pos,.5)",
    b"\\u0000", b"\\ud800", b"a"*300]
VALUES = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, 1e308, float("nan"), float("inf"), .5,
    "", "a", "O", "B-PER", "\ud800", "\0",
    "soft", "search", "hierarchical", "warmup", "sparse", "pos", "ner", "x"*300,
    [], [[]], [0], ["pos"], ["pos", "ner"], [[1, 2, 3]], {}, {"pos": 1}, {"a": {}}, "none"]
BROKEN = ValueError, KeyError, TypeError, AttributeError, struct.error, IndexError, RecursionError


class Dice:
    "Decisions taken from bytes; 0 when they are used up."
    def __init__(self, data): self.data, self.place = data, 0

    def __call__(self, n):
        "A number from 0 to n-1."
        width = 1 if n <= 256 else 3
        piece = self.data[self.place:self.place+width]
        self.place += width
        return int.from_bytes(piece, "big") % n

    def one_of(self, values):
        "One of them, as a copy."
        return copy.deepcopy(values[self(len(values))])


def edit_bytes(content, dice):
    "Cut, repeat, move, insert or change a stretch."
    a = dice(len(content)+1)
    b = min(len(content), a + dice(40))
    before, stretch, after = content[:a], content[a:b], content[b:]
    kind = dice(6)
    if kind == 0: return before + after
    if kind == 1: return before + stretch*(2+dice(20)) + after
    if kind == 2:
        c, rest = dice(len(content)+1), before + after
        return rest[:c] + stretch + rest[c:]
    if kind == 3: return before + bytes([dice(256)]) + content[a+1:]
    return before + dice.one_of(ODD) + (stretch if kind == 4 else b"") + after


def places(value):
    "Every (container, key) in a value, the containers of lists and dictionaries."
    if isinstance(value, dict): items = list(value.items())
    elif isinstance(value, list): items = list(enumerate(value))
    else: items = []
    long = isinstance(value, list) and len(value) > 6
    for key, inner in items:
        yield value, key
        if not long or key <= 3: yield from places(inner)    # of long lists the start


def named(container, key):
    "What it holds at a key, as a copy; 0 if there is none any more."
    known = container if isinstance(container, dict) else range(len(container))
    return copy.deepcopy(container[key]) if key in known else 0


def edit_json(value, dice):
    "Replace, remove, rename, repeat or copy something somewhere."
    found = list(places(value))
    if not found: return dice.one_of(VALUES)
    (where, key), kind = found[dice(len(found))], dice(5)
    if kind <= 1: where[key] = dice.one_of(VALUES)
    elif kind == 2: del where[key]
    elif kind == 3 and isinstance(where, dict):
        new = str(dice.one_of(VALUES))[:50]
        where[new] = where.pop(key)
    elif kind == 3: where.extend([copy.deepcopy(where[key])]*(1+dice(9)))
    else: where[key] = named(*found[dice(len(found))])
    return value


def edit_text(content, dice):
    "Edit JSON as it stands in a file."
    return json.dumps(edit_json(json.loads(content), dice)).encode()


def edit_a_line(content, dice):
    "Edit the JSON of one line."
    lines = content.split(b"\n")
    i = dice(len(lines))
    lines[i] = edit_text(lines[i], dice)
    return b"\n".join(lines)


def edit_tensors(content, dice):
    "Edit the header of a safetensors file, or the JSON kept in it."
    size, = struct.unpack("<Q", content[:8])
    header = json.loads(content[8:8+size])
    if dice(3):
        about = header["__metadata__"]
        key = list(about)[0]
        try: about[key] = edit_text(about[key], dice).decode()
        except ValueError: pass
    else: header = edit_json(header, dice)
    packed = json.dumps(header).encode()
    return struct.pack("<Q", len(packed)) + packed + content[8+size:]


EDITORS = {"model": edit_tensors, "round": edit_tensors, "state": edit_tensors,
           "record": edit_text, "archive": edit_a_line}    # of all others the bytes


@lru_cache
def good_files(target):
    "The seeds of a target."
    files = [path.read_bytes() for path in sorted(SEEDS.glob(f"{target}-*"))]
    return [gzip.decompress(file) for file in files] if target == "archive" else files


def content(target, data):
    "The file that these bytes stand for: themselves, or a seed of the target, edited a few times."
    dice = Dice(data)
    if dice(16) == 0: return data[1:]
    seeds = good_files(target)
    good = seeds[dice(len(seeds))]
    for _ in range(1 + dice(4)):
        edit = EDITORS.get(target, edit_bytes) if dice(4) else edit_bytes
        try: good = edit(good, dice)
        except BROKEN: good = edit_bytes(good, dice)
    return gzip.compress(good, 1) if target == "archive" and dice(8) else good


def read_columns(path):
    from sparse_sharing_nb.text.corpora import described_corpus
    described_corpus({"train": path, "tasks": {"pos": 2, "ner": 3}})


def read_conllu(path):
    from sparse_sharing_nb.text.corpora import described_corpus
    described_corpus({"train": path, "tasks": {"upos": 4, "deprel": 8}})


def read_iob2(path):
    from sparse_sharing_nb.text.corpora import described_corpus
    names = {"train": path, "tasks": {"ner": 3}}
    described_corpus({"train": SEEDS/"conllu-1.conllu", "tasks": {"upos": 4}, "layers": [names]})


def read_conllu_plus(path):
    from sparse_sharing_nb.text.corpora import described_corpus
    described_corpus({"train": path, "tasks": {"upos": 3, "ner": 4}})


def read_misc(path):
    from sparse_sharing_nb.text.corpora import described_corpus
    described_corpus({"train": path, "word": 2, "outside": ["B-O"], "tasks": {"names": 10, "ner": 10}})


def read_raw_text(path):
    "Whatever the training text looked like; what is cut is all of it but blanks, control signs and the like."
    from sparse_sharing_nb.runs.tagger import raw_sentences
    from sparse_sharing_nb.text.raw_text import cutting_of
    letters = path.read_bytes().decode(errors="ignore")
    n_signs = sum(not letter.isspace() and category(letter) not in ("Cc", "Cf") for letter in letters)
    for words, language in (("do n't", "en"), ("don't 5%", "xx"), ("l' - a", "fr")):
        sentences = raw_sentences(path, cutting_of(words.split()), language)
        cut = chain.from_iterable(chain.from_iterable(words) for _, words, _ in sentences)
        n_cut = sum(category(letter) != "Cf" for letter in cut)
        assert n_cut == n_signs, f"{n_cut - n_signs} signs too many"


def read_cut_words(path):
    "Words that are to be tagged, and every way to write them down."
    from sparse_sharing_nb.runs.tagger import FORMATS, file_sentences
    for _, words, rows in file_sentences(path, 1):
        for write in FORMATS.values(): write(words, rows, {"pos": ["X"]*len(words)})


def read_vectors(path):
    from sparse_sharing_nb.text.vectors import load_vectors
    vectors = load_vectors(str(path), ["the", "A", "Minister", "minister", "of", ","], cache=FOLDER/"cache")
    assert len({len(vector) for vector in vectors.values()}) == 1


def read_settings(path):
    "What can stand behind --corpus and --seeds."
    from sparse_sharing_nb.cli import names, seeds
    from sparse_sharing_nb.tagging import InputError
    from sparse_sharing_nb.text.corpora import own_corpus, pick_tasks, related_pairs
    text = os.fsdecode(path.read_bytes())                     # as it comes from the shell
    for read in (names, seeds):
        try: read(text)
        except ValueError: pass
    try: own_corpus(text)
    except InputError: pass
    try: related_pairs(pick_tasks(text)[1])
    except InputError: pass


def read_description(path):
    from sparse_sharing_nb.text.corpora import corpus_tasks
    corpus_tasks(str(path))


def read_model(path):
    from sparse_sharing_nb.runs.tagger import tag
    tag(path.parent, [["The", "minister"], ["x"]])


def read_round(path):
    from sparse_sharing_nb.pruning import check_mask
    from sparse_sharing_nb.runs.resume import load_round
    found = load_round(path)
    if found: check_mask(tiny_network(), found[0])


def tiny_network():
    "The network that the seeds are of."
    from sparse_sharing_nb.tagging import Vocab
    from sparse_sharing_nb.runs.models import Config, make_network
    about = json.loads((SEEDS/"about.json").read_text())
    return make_network(Config(method="hard", seed=0, hidden=2), Vocab(**about["vocab"]), word_dim=2)


def read_state(path):
    from sparse_sharing_nb.runs.resume import load_state
    from sparse_sharing_nb.training import PRESETS, go_on, make_optimisers
    network = tiny_network()
    state, optimisers = load_state(path, network), make_optimisers(network, PRESETS["fast"], ["pos"])
    if state is not None:
        go_on(network, optimisers, state)
        for p in network.parameters(): p.grad = p.detach()*0
        optimisers["pos"].step()


def tables(records):
    from sparse_sharing_nb.runs.report import make_table, table_text
    rows = make_table(records)
    for split in ("dev", "test"): table_text(rows, split)


def read_a_record(path):
    "In a folder of its name, if it has a name for a folder."
    from sparse_sharing_nb.runs.report import read_records
    try: name = json.loads(path.read_bytes())["id"]
    except (ValueError, TypeError, KeyError, RecursionError): name = None
    fits = isinstance(name, str) and re.fullmatch(r"\w{1,40}", name)
    folder = path.parent.with_name(name if fits else path.parent.name)
    path.parent.rename(folder)
    try: tables(read_records(path.parents[2]))
    finally: folder.rename(path.parent)


def read_archive(path):
    from sparse_sharing_nb.runs.report import read_records
    tables(read_records(path.parent))


TARGETS = {    # name: (where the file goes, who reads it)
    "columns": ("a.txt", read_columns),
    "conllu": ("a.conllu", read_conllu),
    "iob2": ("a.iob2", read_iob2),
    "plus": ("a.conllup", read_conllu_plus),
    "misc": ("misc.conllu", read_misc),
    "raw": ("raw.txt", read_raw_text),
    "cut": ("cut.tsv", read_cut_words),
    "vectors": ("a.vec", read_vectors),
    "settings": ("settings", read_settings),
    "toml": ("toml/a.toml", read_description),
    "model": ("model/model.safetensors", read_model),
    "round": ("round-0.safetensors", read_round),
    "state": ("state.safetensors", read_state),
    "record": ("one/runs/0/record.json", read_a_record),
    "archive": ("many/records.jsonl.gz", read_archive)}


def prepare(target):
    "The place of the target's file, with what else has to be there."
    path = FOLDER/TARGETS[target][0]
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(SEEDS/"columns-1.txt", FOLDER)
    if target == "toml":
        for name in ("columns-1.txt", "conllu-1.conllu", "iob2-1.iob2"): shutil.copy(SEEDS/name, path.parent)
    if target == "record": shutil.copy(SEEDS/"model-1.safetensors", path.parent/"model.safetensors")
    os.chdir(FOLDER)
    return path


def attempt(target, path, file, measure=False):
    """Let the target read this: (problem, seconds, peak of memory in bytes or None).

    The problem is None, '' if it refused as it should, or the traceback."""
    from sparse_sharing_nb.tagging import InputError
    path.write_bytes(file)
    if measure: tracemalloc.start()
    began, problem, peak = time.process_time(), None, None
    try: TARGETS[target][1](path)
    except InputError: problem = ""
    except Exception: problem = traceback.format_exc()
    seconds = time.process_time() - began
    if measure:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return problem, seconds, peak


class Figures:
    "What a search has found so far."
    def __init__(self, target):
        self.target, self.began = target, time.perf_counter()
        self.counts = dict(inputs=0, accepted=0, slowest_s=0., largest_bytes=0, findings={})

    def add(self, file, problem, seconds):
        "One more file; None, '' or a traceback; the time it took."
        counts = self.counts
        counts["inputs"] += 1
        counts["accepted"] += problem is None
        counts["slowest_s"] = max(counts["slowest_s"], seconds)
        counts["largest_bytes"] = max(counts["largest_bytes"], len(file))
        if seconds > 1 + 2*len(file)/1e6: problem = problem or f"{seconds:.1f} s for {len(file)} bytes"
        if problem: self.keep(file, problem)

    def keep(self, file, problem):
        "A finding, and the first file that shows it."
        key, findings = problem.strip().splitlines()[-1][:160], self.counts["findings"]
        if key in findings: return
        findings[key] = problem[-1500:]
        (FOLDER.parent/f"finding-{self.target}-{len(findings)}").write_bytes(file)

    def save(self, out):
        "Write them down."
        seconds = time.perf_counter() - self.began
        Path(out).write_text(json.dumps(self.counts | dict(seconds=seconds)))


def first_inputs():
    "A folder of bytes to begin with."
    known = FOLDER/"corpus"
    known.mkdir()
    for i in range(64):
        rest = [7*i*j % 256 for j in range(1, 40)]
        (known/str(i)).write_bytes(bytes([1+i, *rest]))
    return known


def search(target, runs, out):
    "Search with atheris; never returns."
    import atheris
    with atheris.instrument_imports(include=["sparse_sharing_nb"]):
        import sparse_sharing_nb.cli, sparse_sharing_nb.runs.report, sparse_sharing_nb.explorer.densities
    path = prepare(target)
    attempt(target, path, content(target, b"\1"))    # what is imported only once
    figures = Figures(target)
    def try_one(data):
        file = content(target, data)
        problem, seconds, _ = attempt(target, path, file)
        figures.add(file, problem, seconds)
        n = figures.counts["inputs"]
        if n % 500 == 0 or n >= runs: figures.save(out)
    limits = ["-max_len=120", "-timeout=30", "-rss_limit_mb=4096", "-verbosity=0"]
    atheris.Setup([sys.argv[0], f"-runs={runs}", *limits, str(first_inputs())], try_one)
    atheris.Fuzz()


def add_up(before, now):
    "Figures of a target over several searches."
    sums = {key: before.get(key, 0) + now[key] for key in ("inputs", "accepted", "seconds")}
    most = {key: max(before.get(key, 0), now[key]) for key in ("slowest_s", "largest_bytes")}
    return sums | most | {"findings": before.get("findings", {}) | now["findings"]}


def search_all(targets, runs):
    "Search for each target in a process of its own, and add the figures to the results."
    path = Path(__file__).parents[1]/"results"/"fuzzing.json"
    for target in targets:
        out = FOLDER/f"{target}.json"
        command = [sys.executable, __file__, "search", target, runs, str(out)]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        result, found = json.loads(path.read_text()), json.loads(out.read_text())
        result["targets"][target] = add_up(result["targets"].get(target, {}), found)
        for key in ("inputs", "seconds"): result[key] = round(sum(t[key] for t in result["targets"].values()))
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        print(target, found, flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "search": search(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    else: search_all(sys.argv[2:] or TARGETS, sys.argv[1])
