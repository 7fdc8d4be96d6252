"A study that is starved or bereft: one line, nothing lost, nothing left behind."
import errno, os, signal, subprocess, sys, time
from pathlib import Path

import pytest
from safetensors import SafetensorError
from sparse_sharing_nb.cli import main, message_of
from sparse_sharing_nb.runs.study import shared_folder

SEEDS = Path(__file__).parent/"seeds"
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
    """So much beyond what importing takes: one line and status 2, unless a library in C ends the process.

    Nobody can promise more: with 400, SciPy's OpenBLAS, which comes with the first score, never stops asking."""
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
    before, message, _ = done.stderr.partition("too little memory")    # after it PyTorch may stumble as it ends
    assert done.returncode == 2 and message and "Traceback" not in before, done.stderr


KILLED = """if True:
    import os, signal, sys
    import sparse_sharing_nb.files as files
    from sparse_sharing_nb.cli import main
    move = os.replace
    def killed(part, path):
        if path.name == sys.argv[1]: os.kill(os.getpid(), signal.SIGKILL)
        move(part, path)
    files.os.replace = killed
    main(sys.argv[2:])"""

@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("name", ["table.json", "table.md", "records.jsonl.gz", "epochs.png", "command.txt"])
def test_killed_while_a_file_was_half_written(tmp_path, name):
    "The half lies where the next command of the study finds it, which leaves those of living ones alone."
    (tmp_path/"records.jsonl.gz").write_bytes((SEEDS/"archive-1.gz").read_bytes())
    redraw = ["redraw", str(tmp_path)]
    argv = redraw if name != "command.txt" else [*SMALL, "--out", str(tmp_path)]
    done = subprocess.run([sys.executable, "-c", KILLED, name, *argv], capture_output=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr
    hidden = list(tmp_path.rglob(".*"))
    assert [path for path in hidden if path.name.startswith(f".{name}.")]    # there is a half of it
    left, = tmp_path.glob(".*")
    with shared_folder(tmp_path) as living:
        for path in (left, living): os.utime(path, (0, 0))                   # long ago
        assert main(redraw) is None
        assert list(tmp_path.rglob(".*")) == [living]
