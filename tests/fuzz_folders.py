"""Study folders as a stranger might send them: a good one, altered here and there, and what reads it.

Every input is one small study with one to three alterations: an edited record, mask, model, state or archive (see
fuzzing.py), a pipe, a device, a link or a folder in the place of a file, a file of another run, runs that are renamed
or gone. The explorer's opening, redrawing, going on and tagging may end in a result or in one line; anything else is a
finding, and so are ten seconds and a large piece of memory. The figures of so many inputs are added to results/fuzzing.json;
with a second number as another seed:

    python tests/fuzz_folders.py 100000 1
"""
import contextlib, io, json, os, random, resource, shutil, signal, sys, tempfile, time, traceback
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import fuzzing
from sparse_sharing_nb.cli import main as command, message_of
from sparse_sharing_nb.explorer.densities import open_study
from sparse_sharing_nb.runs import intervals, study
from sparse_sharing_nb.runs.models import config_of
from sparse_sharing_nb.runs.report import make_table, read_records, study_text, write_results
from sparse_sharing_nb.runs.tagger import tag

SIZES = "--corpus own=a.txt,a.txt,a.txt:2=pos,3=ner --hidden 2 --epochs 2 --rounds 2 --epochs-per-round 1 --warmup-epochs 1"
LIMITS = [2, 100, 10**4, 10**6, 1e-9, 1., "../../x", "/etc/passwd", "newswire", "conll2003", "a=/dev/zero:2=pos", "glove", "$\\frac{$"]
MOST_SECONDS, MOST_MEGABYTES = 10, 400    # of one input


def stop(history): raise KeyboardInterrupt


class Folder:
    "A small study that can be altered, and put back as it was."
    def __init__(self, place):
        self.place, self.home = Path(place), Path(place)/"study"
        shutil.copy(fuzzing.SEEDS/"columns-1.txt", self.place/"a.txt")
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            command(["study", "--methods", "single,sparse", *SIZES.split(), "--workers", "1", "--out", str(self.home)])
        records = [json.loads(path.read_text()) for path in self.home.glob("runs/*/record.json")]
        self.configs = [config_of(record["config"]) for record in records]
        self.loaded = study.load_data(*study.text_of(self.configs[0]))
        self.leave_a_state()
        self.files = {path: path.read_bytes() for path in self.place.rglob("*") if path.is_file()}

    def leave_a_state(self):
        "Beside a finished run the state of one that was stopped."
        config = next(c for c in self.configs if c.method == "single")
        with tempfile.TemporaryDirectory() as out:
            try: study.run(config, out, on_epoch=stop, progress=False, loaded=self.loaded)
            except KeyboardInterrupt: pass
            shutil.copy(Path(out)/"runs"/config.id/"state.safetensors", self.home/"runs"/config.id)

    def restore(self):
        "All as it was."
        for path in self.place.iterdir(): remove(path)
        for path, content in self.files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def run_of(self, dice): return self.home/"runs"/dice.one_of([c.id for c in self.configs])


def remove(path):
    "Whatever it is."
    if path.is_dir() and not path.is_symlink(): shutil.rmtree(path)
    else: path.unlink(missing_ok=True)


def edited(path, content, dice):
    "Another content of the file."
    name = path.name
    kind = ("record" if name == "record.json" else "archive" if name.endswith(".gz") else
            "model" if name.endswith(".safetensors") else "columns")
    if kind == "archive": content = fuzzing.gzip.decompress(content)
    for _ in range(1 + dice(3)):
        edit = fuzzing.EDITORS.get(kind, fuzzing.edit_bytes) if dice(5) else fuzzing.edit_bytes
        try: content = edit(content, dice)
        except fuzzing.BROKEN: content = fuzzing.edit_bytes(content, dice)
    return fuzzing.gzip.compress(content, 1) if kind == "archive" and dice(8) else content


def huge(path): os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), 2**36)

SPECIAL = [os.mkfifo, os.mkdir, Path.touch, lambda path: os.symlink("/dev/zero", path), lambda path: os.symlink("/dev/full", path),
           lambda path: os.symlink("nowhere", path), lambda path: os.symlink(path.name, path),
           lambda path: os.symlink("..", path), lambda path: os.symlink("/proc/self/mem", path)]


def alter(folder, dice):
    "One alteration."
    places = [path for path in folder.files if path.name != "lock" and path.suffix not in (".png", ".md")]
    parents = [path.parent for path in places if path.parent != folder.place]
    path, kind = dice.one_of(places), dice(20)
    if not path.is_file(): return    # a pipe by now, or gone
    if kind < 14: path.write_bytes(edited(path, folder.files[path], dice))
    elif kind == 14:
        path = dice.one_of([*folder.files, *parents])
        remove(path)
        dice.one_of(SPECIAL)(path)
    elif kind == 15: remove(dice.one_of([path, *parents]))
    elif kind == 16: path.write_bytes(folder.files[dice.one_of(places)])    # another file
    elif kind == 17: path.write_bytes(folder.files.get(folder.run_of(dice)/path.name, b""))    # of another run
    elif kind == 18: os.rename(folder.run_of(dice), folder.home/"runs"/dice.one_of(["x", "a"*60, ".x", "0123456789ab"]))
    else: shutil.copytree(folder.run_of(dice), folder.home/"runs"/dice.one_of(["y", "b"*12]), symlinks=True)


def go_on(folder, dice):
    "One run of the study again, most often as if it had not been finished."
    config = dice.one_of(folder.configs)
    if dice(4): remove(folder.home/"runs"/config.id/"record.json")
    study.run(config, folder.home, progress=False, loaded=folder.loaded)


def redraw(folder, dice):
    "Tables always, the figures sometimes, since they take long."
    if not dice(6): shutil.rmtree(folder.home/"runs", ignore_errors=True)    # of the archive
    if not dice(1000): write_results(folder.home)
    else: study_text(make_table(read_records(folder.home)))


def open_it(folder, dice): open_study(folder.home, n_tokens=100)


def tag_something(folder, dice): tag(folder.run_of(dice), [["The", "minister"], ["x"]])


TARGETS = {"study: open": open_it, "study: redraw": redraw, "study: tag": tag_something, "study: go on": go_on}
WEIGHTS = 38, 30, 30, 2    # of a hundred inputs


def megabytes(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1000


class Hang(BaseException): "Nobody's except clause catches it."
def alarm(number, frame): raise Hang


def attempt(folder, target, dice):
    "(None, '' or a traceback; seconds of the processor; megabytes by which the highest memory grew), see fuzzing.py."
    try:
        for _ in range(1 + dice(3)): alter(folder, dice)
    except OSError: pass    # two alterations that exclude each other
    before, began, problem = megabytes(), time.process_time(), None
    signal.setitimer(signal.ITIMER_REAL, 30*MOST_SECONDS)    # of the clock, on a busy machine
    try: TARGETS[target](folder, dice)
    except Hang: problem = traceback.format_exc()
    except Exception as error:
        message = message_of(error)
        clean = message is not None and "too little memory" not in message
        problem = "" if clean else traceback.format_exc()
    finally: signal.setitimer(signal.ITIMER_REAL, 0)
    return problem, time.process_time() - began, megabytes() - before


def figures(): return dict(inputs=0, accepted=0, seconds=0., slowest_s=0., largest_bytes=0, most_megabytes=0, findings={})


def add(found, problem, seconds, grown, data):
    "One more input; of each finding the first, with the bytes that make it again."
    found["inputs"] += 1
    found["accepted"] += problem is None
    found["slowest_s"] = max(found["slowest_s"], seconds)
    found["most_megabytes"] = max(found["most_megabytes"], round(grown))
    if not problem and (seconds > MOST_SECONDS or grown > MOST_MEGABYTES): problem = f"{seconds:.0f} s, {grown:.0f} MB"
    if problem: found["findings"].setdefault(problem.strip().splitlines()[-1][:160], problem[-1500:] + data.hex())


def search(n, seed=0):
    "So many inputs: {target: figures}."
    rng, found, targets = random.Random(seed), {target: figures() for target in TARGETS}, list(TARGETS)
    signal.signal(signal.SIGALRM, alarm)
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(dir=memory) as place, contextlib.chdir(place):
        folder = Folder(place)
        for target in targets: attempt(folder, target, fuzzing.Dice(b""))    # what is imported only once
        began = time.monotonic()
        for _ in range(n):
            folder.restore()
            target, data = rng.choices(targets, WEIGHTS)[0], rng.randbytes(90)
            add(found[target], *attempt(folder, target, fuzzing.Dice(data)), data)
            found[target]["seconds"] += time.monotonic() - began
            began = time.monotonic()
    return found


def keep(found):
    "Add what was found to the results."
    path = Path(__file__).parents[1]/"results"/"fuzzing.json"
    result = json.loads(path.read_text(encoding="utf-8"))
    for target, now in found.items():
        before = result["targets"].get(target, {})
        most = max(before.get("most_megabytes", 0), now["most_megabytes"])
        result["targets"][target] = fuzzing.add_up(before, now) | dict(most_megabytes=most)
    for key in ("inputs", "seconds"): result[key] = round(sum(t[key] for t in result["targets"].values()))
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def main(n, seed=0):
    "Search, a thousand inputs at a time."
    fuzzing.VALUES = fuzzing.VALUES + LIMITS
    intervals.bootstrap.__defaults__ = (20, 0)                      # draws, seed; there is nothing to conclude
    study.load_data = lru_cache(64)(study.load_data.__wrapped__)    # several texts are asked for in turn
    for done in range(0, n, 1000):
        found = search(min(1000, n-done), f"{seed}-{done}")
        keep(found)
        print(done, {target: (now["inputs"], now["accepted"]) for target, now in found.items()}, flush=True)
        for target in found.values():
            for problem in target["findings"].values(): print(problem, flush=True)


if __name__ == "__main__": main(*map(int, sys.argv[1:]))
