"Runs survive: killed at any moment, done by two studies at once, or damaged afterwards, they end with the same bits."
import json, os, random, signal, subprocess, sys, time
from pathlib import Path

import pytest
from safetensors.numpy import load_file

COMMAND = [Path(sys.executable).with_name("sparse-sharing"), "study", "--tasks", "pos,ner", "--methods", "single,subnet,hard,soft,hierarchical,sparse,sparse-independent", "--train-sentences", "300",
           "--hidden", "16", "--epochs", "4", "--rounds", "2", "--epochs-per-round", "2", "--warmup-epochs", "1", "--workers", "2"]


def start(out):
    "The study in a process group of its own, which can be killed as a whole; Ctrl-C reaches it also where the tests run in the background."
    return subprocess.Popen([*COMMAND, "--out", out], start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


def finish(process):
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output


def bits(out):
    "All weights and masks of a study, and all its scores."
    weights = {(path.parent.name, path.name, name): tensor.tobytes() for path in out.glob("runs/*/*.safetensors") for name, tensor in load_file(path).items()}
    records = {path.parent.name: json.loads(path.read_text()) for path in out.glob("runs/*/record.json")}
    return weights, {name: (r.get("dev"), r.get("test"), r.get("counts"), [s["dev"] for s in r.get("rounds", ())]) for name, r in records.items()}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    out = tmp_path_factory.mktemp("uninterrupted")
    finish(start(out))
    return bits(out)


def test_nothing_half_done_is_left(uninterrupted):
    weights, scores = uninterrupted
    assert len(scores) == 12                                              # warm-up, 2 searches, 2 single, 2 subnets, 5 of both tasks
    assert sorted({file for _, file, _ in weights}) == ["model.safetensors", "round-0.safetensors", "round-1.safetensors", "round-2.safetensors"]


def test_killed_at_random_moments(uninterrupted, tmp_path):
    dice = random.Random(time.time_ns())
    moments = [dice.uniform(2, 5) for _ in range(4)]
    print("killed after", moments)                                        # shown when the test fails
    for moment in moments:
        process = start(tmp_path)
        try: process.wait(moment)
        except subprocess.TimeoutExpired: os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    finish(start(tmp_path))
    assert bits(tmp_path) == uninterrupted
    assert not [p for p in tmp_path.rglob("*") if p.name.startswith(".") or "state" in p.name]    # nothing half-done is left


def test_interrupted_by_ctrl_c(uninterrupted, tmp_path):
    process = start(tmp_path)
    process.stdout.readline()                                             # the first run is done, others are under way
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
    for path in random.Random(0).sample(files, 5): path.write_bytes(path.read_bytes()[:path.stat().st_size//2])
    finish(start(tmp_path))
    assert bits(tmp_path) == uninterrupted
