"Downloads against a server of our own: good, tampered with, gone, cut short, refused by disk or user."
import gzip, hashlib, http.server, io, os, socket, subprocess, sys, threading, time, tracemalloc, zipfile
from itertools import chain
from pathlib import Path

import pytest
from sparse_sharing_nb.text import downloads
from sparse_sharing_nb.cli import main
from sparse_sharing_nb.tagging import InputError
from sparse_sharing_nb.text.corpora import load_tasks
from sparse_sharing_nb.text.downloads import SOURCES, Source, fetch_corpus, fetch_file, git_hash

DATA = Path(os.environ.get("SPARSE_SHARING_DATA", "nowhere"))
TEXT = b"Oslo\tB-location\n\t\n"*30


def sha(content): return "sha256:" + hashlib.sha256(content).hexdigest()
def git(content): return "git:" + git_hash(content)


@pytest.fixture
def server():
    "An address, and what is served there: {path: content, or (content, length that is promised)}."
    pages = {}
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            page = pages.get(self.path)
            if page is None: return self.send_error(404)
            content, length = page if isinstance(page, tuple) else (page, len(page))
            self.send_response(200)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(content)
        def log_message(self, *args): pass
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", pages
    server.shutdown()
    server.server_close()


@pytest.fixture
def tiny(server, monkeypatch):
    "The corpus wnut17 in miniature, with its own pins, on our server in the place of GitHub."
    address, pages = server
    pins = {"wnut17train.conll": sha(TEXT), "emerging.dev.conll": sha(TEXT),
            "emerging.test.annotated": git(TEXT)}
    for name in pins: pages[f"/me/it/0/{name}"] = TEXT
    files = {f"wnut17/{name}": (name, pin) for name, pin in pins.items()}
    monkeypatch.setitem(SOURCES, "wnut17", Source("CC BY 4.0", "Be kind.", 1, "me/it/0", files))
    monkeypatch.setattr(downloads, "GITHUB", address)
    return pages


def there(folder): return sorted(p.name for p in folder.rglob("*") if p.is_file())


def test_fetched_once_and_then_offline(tiny, tmp_path, capsys):
    assert main(["download", "wnut17", "--yes", "--data", str(tmp_path)]) is None
    assert "CC BY 4.0. Be kind." in capsys.readouterr().err
    assert there(tmp_path) == ["emerging.dev.conll", "emerging.test.annotated", "wnut17train.conll"]
    tiny.clear()                                                             # the server has nothing any more
    assert main(["download", "wnut17", "--yes", "--data", str(tmp_path)]) is None
    assert len(load_tasks(["wnut17"], data=tmp_path)["ner"].tags["test"]) == 30


def test_the_cache_is_where_studies_look(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("SPARSE_SHARING_DATA", raising=False)
    assert main(["study", "--corpus", "wnut17", "--out", str(tmp_path/"out")]) == 2
    assert "sparse-sharing download wnut17" in capsys.readouterr().err
    assert main(["download", "wnut17", "--yes"]) is None
    assert len(load_tasks(["wnut17"])["ner"].tags["train"]) == 30
    capsys.readouterr()
    main(["corpora"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-2] for line in lines if line.startswith("wnut17")] == ["yes"]


PAGES = {    # what comes in the place of a file -> what the message must say
    "tampered": (b"something else", "not the file that was expected"),
    "missing": (None, "cannot be fetched"),
    "cut off": ((TEXT[:99], len(TEXT)), "cannot be fetched"),
    "half": (TEXT[:99], "not the file that was expected")}
EACH_HASH = {"ids": ["SHA-256", "git's hash"]}


@pytest.mark.parametrize("file", ["wnut17train.conll", "emerging.test.annotated"], **EACH_HASH)
@pytest.mark.parametrize("page, expected", PAGES.values(), ids=PAGES)
def test_a_bad_file_is_not_kept(tiny, tmp_path, capsys, file, page, expected):
    tiny[f"/me/it/0/{file}"] = page
    assert main(["download", "wnut17", "--yes", "--data", str(tmp_path)]) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert expected in message and file in message and file not in there(tmp_path)
    assert not [name for name in there(tmp_path) if name.startswith("tmp")]
    tiny[f"/me/it/0/{file}"] = TEXT                             # the same command again completes it
    assert main(["download", "wnut17", "--yes", "--data", str(tmp_path)]) is None
    assert len(there(tmp_path)) == 3


def test_a_damaged_file_is_fetched_again(tiny, tmp_path):
    fetch_corpus("wnut17", tmp_path)
    for path in tmp_path.glob("wnut17/*"): path.write_bytes(TEXT[:50])    # as an old program might leave it
    fetch_corpus("wnut17", tmp_path)
    assert {path.read_bytes() for path in tmp_path.glob("wnut17/*")} == {TEXT}


def test_the_server_is_gone(tmp_path):
    with pytest.raises(InputError, match="cannot be fetched .ConnectionError."):
        fetch_file("http://127.0.0.1:9/a", tmp_path/"a", sha(b""))
    assert not there(tmp_path)


@pytest.mark.parametrize("pin", [sha(b"x"*5_000_000), git(b"x"*5_000_000)], **EACH_HASH)
def test_a_full_disk(server, tmp_path, pin):
    "A process that may write no more than a megabyte into a file, as if the disk ended there."
    address, pages = server
    pages["/a"] = b"x"*5_000_000
    code = f"""
import resource
from pathlib import Path
from sparse_sharing_nb.text.downloads import InputError, fetch_file
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
try: fetch_file({address + "/a"!r}, Path({str(tmp_path/"a")!r}), {pin!r})
except InputError as e: print(e)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "cannot be written (File too large); make room" in done.stdout, done
    assert not there(tmp_path)


def test_the_zip_is_unpacked(server, tmp_path, monkeypatch):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name in ("train.txt", "test.txt"): file.writestr(f"conll2000/{name}", "Oslo NNP B-NP\n\n"*30)
    address, pages = server
    pages["/me/it/0/c.zip"] = packed.getvalue()
    files = {"conll2000.zip": ("c.zip", sha(packed.getvalue()))}
    monkeypatch.setitem(SOURCES, "conll2000", Source("", "", 1, "me/it/0", files))
    for _ in range(2): fetch_corpus("conll2000", tmp_path, address)
    assert sorted(load_tasks(["conll2000"], data=tmp_path)["chunk"].tags) == ["dev", "test", "train"]


@pytest.mark.parametrize("argv, expected", [
    (["wnut17"], "not fetched"), (["wnut18", "--yes"], "wnut18: no such corpus")])
def test_no_consent_no_file(tiny, tmp_path, capsys, argv, expected, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("yes\n"))                  # a pipe is nobody
    assert main(["download", *argv, "--data", str(tmp_path)]) == 2
    assert expected in capsys.readouterr().err and not there(tmp_path)


@pytest.mark.parametrize("answer, kept", [("yes", 3), ("no", 0), ("", 0)])
def test_somebody_is_asked(tiny, tmp_path, monkeypatch, answer, kept):
    keyboard = io.StringIO(answer + "\n")
    keyboard.isatty = lambda: True
    monkeypatch.setattr(sys, "stdin", keyboard)
    assert main(["download", "wnut17", "--data", str(tmp_path)]) == (None if kept else 2)
    assert len(there(tmp_path)) == kept


def dripping():
    "The address of a server that sends a byte ten times a second, for ever."
    listening = socket.create_server(("127.0.0.1", 0))
    def serve():
        with listening, listening.accept()[0] as s:
            s.recv(10_000)
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            try:
                while True:
                    s.sendall(b"x")
                    time.sleep(.1)
            except OSError: pass    # the other side has had enough
    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{listening.getsockname()[1]}/a"


def test_too_slow(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "PATIENCE", 1)
    started = time.monotonic()
    with pytest.raises(InputError, match="cannot be fetched .Timeout."):
        fetch_file(dripping(), tmp_path/"a", sha(b""))
    assert time.monotonic() - started < 5 and not there(tmp_path)


@pytest.mark.parametrize("pin", [sha(b""), git(b"")], **EACH_HASH)
def test_too_large(server, tmp_path, monkeypatch, pin):
    monkeypatch.setattr(downloads, "MOST_BYTES", 1_000_000)
    address, pages = server
    pages["/a"] = b"x"*5_000_000
    with pytest.raises(InputError, match="not the file that was expected"):
        fetch_file(address + "/a", tmp_path/"a", pin)
    assert not there(tmp_path)


def test_a_packed_bomb_stays_packed(tmp_path):
    "Two hundred megabytes in two hundred kilobytes: whoever asked for no packing gets what was sent, and no more."
    bomb = gzip.compress(bytes(200_000_000), 1)
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(bomb)))
            self.end_headers()
            self.wfile.write(bomb)
        def log_message(self, *args): pass
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tracemalloc.start()
        address = f"http://127.0.0.1:{server.server_port}/a"
        with pytest.raises(InputError, match="not the file"): fetch_file(address, tmp_path/"a", sha(b""))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        server.shutdown()
    assert peak < 20_000_000 and not there(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="other systems have other rights")
def test_the_cache_is_nobody_elses(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert main(["download", "wnut17", "--yes"]) is None
    assert (tmp_path/"sparse_sharing_nb").stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(not DATA.is_dir(), reason="no folder SPARSE_SHARING_DATA")
def test_the_pins_are_those_of_the_real_files():
    n_found = 0
    for source in SOURCES.values():
        for file, (_, pin) in chain(*(part.files.items() for part in source.parts)):
            if not (DATA/file).is_file(): continue
            content = (DATA/file).read_bytes()
            assert pin in (sha(content), git(content)), file
            n_found += 1
    assert n_found >= 5
