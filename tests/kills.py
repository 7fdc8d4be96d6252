"""Kills at random moments: a parent, a worker, both, the whole group. It must end with the same bits, and leave nothing.

So many kills, with one and with two workers in turn; the figures go to results/kills.json:

    python tests/kills.py 100
"""
import json, os, random, signal, sys, tempfile, time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from test_resume import bits, finish, processes, start, workers_of

RESULTS = Path(__file__).parent.parent/"results"/"kills.json"
VICTIMS = "parent", "worker", "both", "group"    # the group holds joblib's tracker too, which tidies up


def kill(process, victim, dice):
    "Kill what there is of a study; returns who was killed."
    workers = workers_of(process)
    if victim in ("worker", "both") and not workers: victim = "parent"
    if victim == "group": os.killpg(process.pid, signal.SIGKILL)
    else:
        those = dict(parent=[process.pid], worker=[dice.choice(workers or [0])], both=[process.pid, *workers])
        for pid in those[victim]: os.kill(pid, signal.SIGKILL)
    return victim


def seconds_until_gone(process, victim):
    "How long it takes until all processes of a study have ended, and its output is closed."
    started = time.monotonic()
    output, _ = process.communicate(timeout=60)
    while processes(process.pid): time.sleep(.05)
    lines = [line for line in output.splitlines() if ": dev " not in line]    # but for those of finished runs
    assert "Traceback" not in output, output
    if victim == "worker": assert process.returncode == 2 and len(lines) == 1, output
    return time.monotonic() - started


def left_over(out):
    "What should not lie in the folder of a finished study."
    return [str(path) for path in out.rglob("*") if path.name.startswith(".") or "state" in path.name]


def semaphores():
    "Those of joblib, where Linux keeps them."
    return set(Path("/dev/shm").glob("sem.loky-*"))


def epochs_done(out):
    "Of the command that runs; see `counting_bar`."
    return sum(path.stat().st_size for path in out.glob(".shared-*/progress"))


def wait_until(process, out, epochs, seconds, with_workers):
    "Wait for so many epochs and for workers if asked for, or the end, and then so many seconds."
    while process.poll() is None:
        try:
            if epochs_done(out) >= epochs and (workers_of(process) or not with_workers): break
        except OSError: pass    # it is being removed
        time.sleep(.05)
    time.sleep(seconds)
    return process.poll() is None


def kill_until_done(out, workers, n, dice, kills):
    "Start a study and kill it, at most n times, then let it end; kills takes one dictionary for each."
    for _ in range(n):
        process = start(out, workers)
        early, victim = dice.random() < .1, dice.choice(VICTIMS)    # while it starts; later it works for a while
        wants_workers = workers > 1 and victim in ("worker", "both")
        epochs = 0 if early else dice.randrange(1, 12)
        if not wait_until(process, out, epochs, dice.uniform(0, .5), wants_workers):
            process.communicate()
            break
        victim = kill(process, victim, dice)
        seconds = seconds_until_gone(process, victim)
        left = sum(f"-{process.pid}-" in path.name for path in semaphores())
        kills.append(dict(victim=victim, workers=workers, seconds=seconds, semaphores=left))
        print(len(kills), kills[-1], flush=True)
    finish(start(out, workers), 1800)


def summary(kills, studies):
    "What is worth keeping."
    def count(key): return dict(Counter(found[key] for found in kills))
    left = {victim: max(found["semaphores"] for found in kills if found["victim"] == victim)
            for victim in count("victim")}
    longest = round(max(found["seconds"] for found in kills), 1)
    return dict(kills=len(kills), victims=count("victim"), workers=count("workers"), studies=studies,
                same_bits=studies, processes_left=0, files_left=0, most_semaphores_left=left,
                longest_seconds_until_gone=longest)


def main(n, seed=0):
    "Kill n times; write down how it went. Whatever is not as it should be ends it."
    dice, kills, studies = random.Random(seed), [], 0
    holder = tempfile.TemporaryDirectory(prefix="kills-")    # gone when the program ends
    folder, scratch = Path(holder.name), Path(holder.name)/"scratch"
    scratch.mkdir()
    os.environ["TMPDIR"] = str(scratch)    # of the studies
    finish(start(folder/"whole"), 1800)
    whole = bits(folder/"whole")
    while len(kills) < n:
        out, workers = folder/str(studies), 1 + studies%2
        kill_until_done(out, workers, min(8, n-len(kills)), dice, kills)
        assert bits(out) == whole and not left_over(out), left_over(out)
        others = [path for path in scratch.iterdir() if "torchinductor" not in path.name]    # PyTorch's own
        assert not others, others
        studies += 1
        RESULTS.write_text(json.dumps(summary(kills, studies), indent=1) + "\n")
    print(RESULTS.read_text())


if __name__ == "__main__": main(*map(int, sys.argv[1:]))
