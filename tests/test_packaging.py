"What a user gets from `pip install`: built as an sdist, then a wheel from it, installed in an environment of its own."
import json, os, re, shlex, shutil, subprocess, sys, tarfile, time, urllib.error, urllib.request, zipfile
from configparser import ConfigParser
from email import message_from_string
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ini = ConfigParser(delimiters=["="], interpolation=None)
ini.read(ROOT/"settings.ini", encoding="utf-8")
CFG = ini["DEFAULT"]
TORCH = os.environ.get("TORCH", "torch==" + version("torch").partition("+")[0])  # the build that make installs


def run(*command, cwd):
    "The output of a command that has to succeed."
    done = subprocess.run(command, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    "The folder with the sdist and with the wheel built from that sdist."
    tmp = tmp_path_factory.mktemp("build")
    leave = shutil.ignore_patterns(".*", "demo", "build", "dist", "results", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, tmp/"tree", ignore=leave)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", "dist", "tree", cwd=tmp)
    return tmp/"dist"


@pytest.fixture(scope="module")
def clean(dist, tmp_path_factory):
    "The scripts folder of an environment that holds the wheel and what it asks for, nothing else."
    tmp = tmp_path_factory.mktemp("clean")
    run(sys.executable, "-m", "venv", "venv", cwd=tmp)
    for wanted in (shlex.split(TORCH), dist.glob("*.whl")):
        run(tmp/"venv/bin/python", "-m", "pip", "install", "--no-compile", *wanted, cwd=tmp)
    return tmp/"venv/bin"


def test_sdist_has_what_the_build_reads(dist):
    with tarfile.open(next(dist.glob("*.tar.gz"))) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"settings.ini", "setup.py", "pyproject.toml", "README.md", "LICENSE"} <= names


def test_metadata_is_what_settings_say(dist):
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as wheel:
        text = wheel.read(next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))).decode()
    meta = message_from_string(text)
    assert (meta["Name"], meta["Version"]) == (CFG["lib_name"], CFG["version"])
    assert (meta["License-Expression"], meta["Requires-Python"]) == (CFG["license"], ">=" + CFG["min_python"])
    assert {*meta.get_all("Provides-Extra")} == {k.removesuffix("_requirements") for k in CFG if k.endswith("_requirements")}


def test_every_module_imports(clean, tmp_path):
    code = """
import importlib, pkgutil, sparse_sharing_nb as package
for module in pkgutil.walk_packages(package.__path__, "sparse_sharing_nb."): print(importlib.import_module(module.name).__name__)
"""
    names = run(clean/"python", "-I", "-c", code, cwd=tmp_path).split()
    files = [path.relative_to(ROOT).with_suffix("") for path in (ROOT/"sparse_sharing_nb").rglob("*.py")]
    modules = {".".join(file.parts).removesuffix(".__init__") for file in files}
    assert {*names} == modules - {"sparse_sharing_nb"}


def test_command_line_starts(clean, tmp_path):
    assert "usage: sparse-sharing" in run(clean/"sparse-sharing", "--help", cwd=tmp_path)


def test_explorer_says_what_it_lacks(clean, tmp_path):
    done = subprocess.run([clean/"sparse-sharing", "explore", "--no-browser"], cwd=tmp_path, text=True, capture_output=True)
    assert done.returncode == 2 and "[page]" in done.stderr and "Traceback" not in done.stderr


def test_makers_tools_are_not_needed(clean, tmp_path):
    "nbdev makes the library and JupyterLab shows it; neither comes along."
    installed = {dist["name"] for dist in json.loads(run(clean/"python", "-m", "pip", "list", "--format", "json", cwd=tmp_path))}
    assert "torch" in installed and not installed & {"nbdev", "fastcore", "jupyterlab"}


def test_page_needs_only_its_extra(clean, dist, tmp_path):
    "The explorer as a page, from the wheel: a server, and a kernel that runs it."
    run(clean/"python", "-m", "pip", "install", "--no-compile", f"{next(dist.glob('*.whl'))}[page]", cwd=tmp_path)
    server = subprocess.Popen([clean/"sparse-sharing", "explore", "--no-browser"], cwd=tmp_path, text=True, stdout=subprocess.PIPE)
    try:
        address = next(match[0] for line in server.stdout if (match := re.search(r"http://\S+", line)))
        text, end = "", time.time() + 120
        while not text and time.time() < end:
            try: text = urllib.request.urlopen(address, timeout=120).read().decode()
            except urllib.error.URLError: time.sleep(.5)                     # not listening yet, or an error of the page
    finally: server.terminate(); server.wait(20)
    assert "application/vnd.jupyter.widget-view+json" in text and "Traceback" not in text
