"A study that is starved or bereft: one line, nothing lost, nothing left behind."
import errno, os, signal, subprocess, sys, time
from pathlib import Path

import pytest
from safetensors import SafetensorError
from sparse_sharing_nb.cli import main, message_of

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


SHORT = [MemoryError(), ImportError("libtorch_cpu.so: failed to map segment from shared object"),
         RuntimeError("could not execute a primitive"), RuntimeError("could not create a primitive"),
         RuntimeError("DefaultCPUAllocator: can't allocate memory"), RuntimeError("can't start new thread")]

@pytest.mark.parametrize("error", SHORT, ids=repr)
def test_what_too_little_memory_looks_like(error):
    assert "too little memory" in message_of(error)


@pytest.mark.parametrize("megabytes", [8, 40, 160])
def test_too_little_memory(tmp_path, megabytes):
    "So much beyond what importing takes: one line and status 2, unless a library in C ends the process."
    if not Path("/proc/self/statm").exists(): pytest.skip("needs Linux")
    code = f"""if True:
        import resource, sys
        import sparse_sharing_nb.runs.study
        from sparse_sharing_nb.cli import main
        taken = int(open("/proc/self/statm").read().split()[0])*resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + {megabytes}*10**6,)*2)
        sys.exit(main(sys.argv[1:]))"""
    command = [sys.executable, "-c", code, *SMALL, "--out", tmp_path, "--workers", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if done.returncode < 0 or "OpenBLAS" in done.stderr: return
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert "too little memory" in done.stderr.splitlines()[-1]
