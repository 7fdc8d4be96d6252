"What a user gets from `pip install`: an sdist, then a wheel from it, in an environment of its own."
import json, os, re, shlex, shutil, subprocess, sys, tarfile, time, zipfile
import urllib.error, urllib.request
from configparser import ConfigParser
from email import message_from_string
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ini = ConfigParser(delimiters=["="], interpolation=None)
ini.read(ROOT/"settings.ini", encoding="utf-8")
CFG = ini["DEFAULT"]
OURS = "torch==" + version("torch").partition("+")[0]
TORCH = os.environ.get("TORCH", OURS)    # the build that make installs
IMPORT_ALL = """
import importlib, pkgutil, sparse_sharing_nb as package
for module in pkgutil.walk_packages(package.__path__, "sparse_sharing_nb."):
    print(importlib.import_module(module.name).__name__)
"""


def run(*command, cwd):
    "The output of a command that has to succeed."
    done = subprocess.run(command, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    return done.stdout


def install(scripts, *wanted, cwd):
    "Install into the environment of this scripts folder."
    run(scripts/"python", "-m", "pip", "install", "--no-compile", *wanted, cwd=cwd)


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
    scripts = tmp/"venv/bin"
    install(scripts, *shlex.split(TORCH), cwd=tmp)
    install(scripts, *dist.glob("*.whl"), cwd=tmp)
    return scripts


def test_sdist_has_what_the_build_reads(dist):
    with tarfile.open(next(dist.glob("*.tar.gz"))) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"settings.ini", "setup.py", "pyproject.toml", "README.md", "LICENSE"} <= names


def test_metadata_is_what_settings_say(dist):
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as wheel:
        member = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        meta = message_from_string(wheel.read(member).decode())
    assert (meta["Name"], meta["Version"]) == (CFG["lib_name"], CFG["version"])
    assert (meta["License-Expression"], meta["Requires-Python"]) == (CFG["license"], ">=" + CFG["min_python"])
    extras = {key.removesuffix("_requirements") for key in CFG if key.endswith("_requirements")}
    assert {*meta.get_all("Provides-Extra")} == extras


def test_every_module_imports(clean, tmp_path):
    names = run(clean/"python", "-I", "-c", IMPORT_ALL, cwd=tmp_path).split()
    files = [path.relative_to(ROOT).with_suffix("") for path in (ROOT/"sparse_sharing_nb").rglob("*.py")]
    modules = {".".join(file.parts).removesuffix(".__init__") for file in files}
    assert {*names} == modules - {"sparse_sharing_nb"}


def test_command_line_starts(clean, tmp_path):
    assert "usage: sparse-sharing" in run(clean/"sparse-sharing", "--help", cwd=tmp_path)


def test_makers_tools_are_not_needed(clean, tmp_path):
    "nbdev makes the library and JupyterLab shows it; neither comes along."
    found = json.loads(run(clean/"python", "-m", "pip", "list", "--format", "json", cwd=tmp_path))
    installed = {package["name"] for package in found}
    assert "torch" in installed and not installed & {"nbdev", "fastcore", "jupyterlab"}


def address_in(lines):
    "The first address that a server prints."
    return next(match[0] for line in lines if (match := re.search(r"http://\S+", line)))


def read_page(address):
    "The text of a page, asked for until it is there, for two minutes at most; '' after that."
    end = time.time() + 120
    while time.time() < end:
        try: return urllib.request.urlopen(address, timeout=120).read().decode()
        except urllib.error.URLError: time.sleep(.5)    # not listening yet, or an error of the page
    return ""


def test_the_explorer_needs_no_extra(clean, tmp_path):
    "The page from the wheel, with its script and its model: nobody waits for a training."
    command = [clean/"sparse-sharing", "explore", "--no-browser"]
    server = subprocess.Popen(command, cwd=tmp_path, text=True, stdout=subprocess.PIPE)
    try: text = read_page(address_in(server.stdout))
    finally:
        server.terminate()
        server.wait(20)
    assert "countOwners" in text and "round 4" in text
