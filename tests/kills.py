"""Kills at random moments: a parent, a worker, all of a study. It must end with the same bits, and leave nothing.

So many kills, with one and with two workers in turn; the figures go to results/kills.json:

    python tests/kills.py 100
"""
import json, os, random, signal, subprocess, sys, tempfile, time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from test_resume import bits, finish, processes, start, workers_of

RESULTS = Path(__file__).parent.parent/"results"/"kills.json"
VICTIMS = "parent", "worker", "all"


def kill(process, victim, dice):
    "Kill what there is of a study; returns who was killed."
    workers = workers_of(process)
    if victim == "worker" and not workers: victim = "parent"
    if victim == "all": os.killpg(process.pid, signal.SIGKILL)
    else: os.kill(process.pid if victim == "parent" else dice.choice(workers), signal.SIGKILL)
    return victim


def seconds_until_gone(process):
    "How long it takes until all processes of a study have ended, and its output is closed."
    started = time.monotonic()
    output, _ = process.communicate(timeout=60)
    while processes(process.pid): time.sleep(.05)
    assert process.returncode == 2 or "Traceback" not in output, output
    return time.monotonic() - started


def strangers():
    "What lies in temporary folders under names such as ours and joblib's."
    places = [Path(tempfile.gettempdir()), Path("/dev/shm")]
    found = {path for place in places for path in place.glob("joblib_memmapping*")}
    return found | {path for place in places for path in place.glob("sparse-sharing*")}


def left_over(out):
    "What should not lie in the folder of a finished study."
    return [str(path) for path in out.rglob("*") if path.name.startswith(".") or "state" in path.name]


def kill_until_done(out, workers, n, dice):
    "Start a study and kill it, at most n times; then let it end. Returns [(who was killed, seconds)]."
    kills = []
    while len(kills) < n:
        process = start(out, workers)
        try: process.wait(dice.uniform(1, 12))
        except subprocess.TimeoutExpired:
            victim = kill(process, dice.choice(VICTIMS), dice)
            kills.append((victim, seconds_until_gone(process)))
            print(len(kills), *kills[-1], flush=True)
        else:
            process.communicate()
            break
    finish(start(out, workers))
    return kills


def main(n, seed=0):
    "Kill n times; write down how it went."
    dice, kills, studies, before = random.Random(seed), [], 0, strangers()
    holder = tempfile.TemporaryDirectory(prefix="kills-")    # gone when the program ends
    folder = Path(holder.name)
    finish(start(folder/"whole"))
    whole = bits(folder/"whole")
    while len(kills) < n:
        out, workers = folder/str(studies), 1 + studies%2
        kills += kill_until_done(out, workers, min(5, n-len(kills)), dice)
        assert bits(out) == whole and not left_over(out), left_over(out)
        studies += 1
    assert strangers() <= before
    found = dict(kills=dict(Counter(victim for victim, _ in kills)), studies=studies, same_bits=studies,
                 longest_seconds_until_gone=round(max(seconds for _, seconds in kills), 1), files_left=0)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    print(found)


if __name__ == "__main__": main(*map(int, sys.argv[1:]))
