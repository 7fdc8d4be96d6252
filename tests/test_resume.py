"Runs survive: killed at any moment, done by two studies at once, or damaged, they end with the same bits."
import json, os, random, signal, subprocess, sys, time
from pathlib import Path

import pytest
from safetensors.numpy import load_file

PROGRAM = Path(sys.executable).with_name("sparse-sharing")
METHODS = "single,subnet,hard,soft,hierarchical,sparse,sparse-independent,sparse-one-stage"
SIZES = "--train-sentences 300 --hidden 16 --epochs 4 --rounds 2 --epochs-per-round 2 --warmup-epochs 1"
COMMAND = [PROGRAM, "study", "--tasks", "pos,ner", "--methods", METHODS, *SIZES.split()]


def hear_signals():
    "Also where the tests run in the background, or under nohup."
    for number in (signal.SIGINT, signal.SIGHUP): signal.signal(number, signal.SIG_DFL)


def start(out, workers=2):
    """The study in a process group of its own, which can be killed as a whole; Ctrl-C reaches it also
    where the tests run in the background."""
    command = [*COMMAND, "--out", out, "--workers", str(workers)]
    return subprocess.Popen(command, start_new_session=True, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            preexec_fn=hear_signals)


def finish(process, seconds=300):
    output, _ = process.communicate(timeout=seconds)
    assert process.returncode == 0, output


def bits(out):
    "All weights and masks of a study, and all its scores."
    weights, scores = {}, {}
    for path in out.glob("runs/*/*.safetensors"):
        for name, tensor in load_file(path).items():
            weights[path.parent.name, path.name, name] = tensor.tobytes()
    for path in out.glob("runs/*/record.json"):
        record = json.loads(path.read_text())
        rounds = [found["dev"] for found in record.get("rounds", ())]
        scores[path.parent.name] = record.get("dev"), record.get("test"), record.get("counts"), rounds
    return weights, scores


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    out = tmp_path_factory.mktemp("uninterrupted")
    finish(start(out))
    return bits(out)


def test_nothing_half_done_is_left(uninterrupted):
    weights, scores = uninterrupted
    assert len(scores) == 15    # warm-up, 2 searches, branches, single, subnets, 6 of both tasks
    files = {file.removesuffix(".safetensors") for _, file, _ in weights}
    assert files == {"model", "round-0", "round-1", "round-2"}


def test_killed_at_random_moments(uninterrupted, tmp_path):
    dice = random.Random(time.time_ns())
    moments = [dice.uniform(2, 5) for _ in range(4)]
    print("killed after", moments)        # shown when the test fails
    for moment in moments:
        process = start(tmp_path)
        try: process.wait(moment)
        except subprocess.TimeoutExpired: os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    finish(start(tmp_path))
    assert bits(tmp_path) == uninterrupted
    half_done = [p for p in tmp_path.rglob("*") if p.name.startswith(".") or "state" in p.name]
    assert not half_done


def test_interrupted_by_ctrl_c(uninterrupted, tmp_path):
    process = start(tmp_path)
    process.stdout.readline()             # the first run is done, others are under way
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and "same command" in output and "Traceback" not in output, output
    finish(start(tmp_path))
    assert bits(tmp_path) == uninterrupted


def test_two_studies_in_one_folder(uninterrupted, tmp_path):
    both = [start(tmp_path), start(tmp_path)]
    for process in both: finish(process)
    assert bits(tmp_path) == uninterrupted


def test_truncated_files(uninterrupted, tmp_path):
    finish(start(tmp_path))
    files = [path for path in sorted(tmp_path.glob("runs/*/*")) if path.name != "lock"]
    for path in random.Random(0).sample(files, 5):
        path.write_bytes(path.read_bytes()[:path.stat().st_size//2])
    finish(start(tmp_path))
    assert bits(tmp_path) == uninterrupted


def processes(group):
    "The living processes of a process group: {id: command line}."
    listed = subprocess.run(["ps", "-ww", "-eo", "pid=,pgid=,stat=,args="], capture_output=True, text=True).stdout
    found = {}
    for line in listed.splitlines():
        pid, of, state, args = line.split(maxsplit=3)
        if int(of) == group and not state.startswith("Z"): found[int(pid)] = args
    return found


def all_gone(process, seconds=10):
    "Have all processes of a study ended, now or within seconds?"
    end = time.monotonic() + seconds
    while processes(process.pid) and time.monotonic() < end: time.sleep(.05)
    return not processes(process.pid)


def workers_of(process):
    "The ids of its workers."
    return [pid for pid, args in processes(process.pid).items() if "LokyProcess" in args]


@pytest.fixture
def with_workers(tmp_path):
    "A study whose workers are at work."
    process = start(tmp_path)
    for _ in range(2): process.stdout.readline()    # the first run goes without workers
    assert workers_of(process)
    yield process
    if process.poll() is None: os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name)
def test_workers_end_with_their_parent(with_workers, tmp_path, number):
    os.kill(with_workers.pid, number)
    output, _ = with_workers.communicate(timeout=20)    # nobody holds it open
    assert "Traceback" not in output and all_gone(with_workers)
    assert not list(tmp_path.glob(".*"))


def test_a_worker_is_killed(with_workers, tmp_path):
    os.kill(workers_of(with_workers)[0], signal.SIGKILL)
    output, _ = with_workers.communicate(timeout=60)
    assert with_workers.returncode == 2 and output.count("\n") == 1, output
    assert "a worker process was ended" in output
    assert all_gone(with_workers) and not list(tmp_path.glob(".*"))


def test_what_a_killed_study_shared_is_removed(with_workers, tmp_path):
    os.killpg(with_workers.pid, signal.SIGKILL)
    with_workers.communicate()
    assert len(list(tmp_path.glob(".shared-*"))) == 1
    finish(start(tmp_path))
    assert not list(tmp_path.glob(".*"))
