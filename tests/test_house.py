"""The house: the method in a row, wings around it.

A row leads from notebook to notebook; a class can read every line."""
import ast, io, json, re, tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NBS, PACKAGE = ROOT/"nbs", ROOT/"sparse_sharing_nb"
METHOD = "tagging crf network training pruning selection merging joint baselines one_stage".split()
MAY_IMPORT = {
    "files": {"tagging"},
    "lessons": {"tagging"},
    "text": {"tagging", "files", "text"},
    "runs": {*METHOD, "files", "text", "runs"},
    "explorer": {*METHOD, "files", "text", "runs", "explorer"}}
ROWS = {
    "core": "index 01_tagging 02_network 03_training 04_pruning 05_selection 06_merging 07_joint "
            "08_baselines 09_one_stage 10_negative_transfer",
    "findings": "findings/claims findings/task_weights findings/room findings/election "
                "findings/density findings/relatedness findings/rewinding",
    "lessons": "lessons/exercises lessons/teaching lessons/slides lessons/predict",
    "text": "text/newswire text/related text/readers text/schemes text/corpora text/raw_text "
            "text/vectors text/downloads text/own_corpus",
    "runs": "runs/resume runs/models runs/tagger runs/study runs/intervals runs/report runs/speed",
    "explorer": "explorer/densities explorer/answers explorer/page explorer/server explorer/export",
    "others": "crf files cli"}
NOTEBOOKS = [name for row in ROWS.values() for name in row.split()]
CORE = ROWS["core"].split()


def module_name(path):
    "A file of the package as Python names it, such as text.corpora."
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def written_lines(code):
    "The lines of a module without its list of names, which nbdev makes."
    return re.sub(r"^__all__ = .*?\]\n", "", code, flags=re.M | re.S).splitlines()


FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if not path.name.startswith("_")]
MODULES = {module_name(path): path.read_text(encoding="utf-8") for path in FILES}
LINES = {name: written_lines(code) for name, code in MODULES.items()}


def nodes(code, kind):
    "All nodes of one kind in some code."
    return [node for node in ast.walk(ast.parse(code)) if isinstance(node, kind)]


def imported(name):
    "The modules of this package that a module imports, wherever in it."
    here, found = ["sparse_sharing_nb", *name.split(".")], set()
    for node in nodes(MODULES[name], ast.Import): found |= {alias.name for alias in node.names}
    for node in nodes(MODULES[name], ast.ImportFrom):
        above = here[:len(here)-node.level] if node.level else []
        place = ".".join([*above, *filter(None, [node.module])])
        found |= {place, *(f"{place}.{alias.name}" for alias in node.names)}    # a module, or names of one
    inside = {module.removeprefix("sparse_sharing_nb.") for module in found}
    return inside & set(MODULES)


def cells(name, kind):
    "The source of every cell of one kind."
    found = json.loads((NBS/f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == kind]


def words(name):
    "How many words of prose."
    return len(" ".join(cells(name, "markdown")).split())


def code_lines(name):
    "How many lines of code that are not blank."
    return sum(bool(line.strip()) for line in "\n".join(cells(name, "code")).splitlines())


def test_every_notebook_has_its_place():
    found = [nb for nb in NBS.rglob("*.ipynb") if ".ipynb_checkpoints" not in nb.parts]
    assert sorted(NOTEBOOKS) == sorted(str(nb.relative_to(NBS).with_suffix("")) for nb in found)


@pytest.mark.parametrize("name", MODULES)
def test_arrows(name):
    "The method imports no wing; a wing imports the method, files, and the wings it stands on."
    place = name.split(".")[0]
    found = {module.split(".")[0] for module in imported(name)}
    allowed = set(METHOD) if name in METHOD else MAY_IMPORT.get(place)
    if place != "cli": assert found <= allowed, found - allowed


def test_no_circles():
    "Take away the modules that import nothing any more, again and again: none is left."
    left = {name: imported(name) for name in MODULES}
    while ground := [name for name, below in left.items() if not below]:
        left = {name: below - set(ground) for name, below in left.items() if name not in ground}
    assert not left


@pytest.mark.parametrize("name", METHOD)
def test_method_touches_no_file(name):
    used = {node.id for node in nodes(MODULES[name], ast.Name)}
    modules = {alias.name for node in nodes(MODULES[name], ast.Import) for alias in node.names}
    modules |= {node.module for node in nodes(MODULES[name], ast.ImportFrom)}
    calls = {ast.unparse(node.func) for node in nodes(MODULES[name], ast.Call)}
    assert not calls & {"torch.save", "torch.load", "np.load", "np.save", "np.savez"}
    assert not used & {"open", "Path"} and not modules & {"json", "os", "pathlib", "shutil", "tempfile"}


@pytest.mark.parametrize("row", ROWS)
def test_each_row_leads_on(row):
    "The last line of a notebook leads to the next of its row; the last one back to the map."
    names = ROWS[row].split()
    for name, following in zip(names, names[1:]):
        last_line = cells(name, "markdown")[-1].strip().splitlines()[-1]
        link = re.findall(r"\]\(([^)]+\.ipynb)\)", last_line)
        assert link, name
        assert (NBS/name).parent.joinpath(link[0]).resolve() == NBS/f"{following}.ipynb", (name, link)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_links_lead_somewhere(name):
    for link in re.findall(r"\]\((?!http|#)([^)#\s]+)", "\n".join(cells(name, "markdown"))):
        assert (NBS/name).parent.joinpath(link).resolve().exists(), link


@pytest.mark.parametrize("name", [name for name in NOTEBOOKS if name != "index"])
def test_first_cell_says_where_one_is(name):
    "Core or which wing, how long to read, how long to run."
    first = cells(name, "markdown")[0]
    assert re.search(r"\*\*(Core|Wing)\*\*", first), first
    assert re.search(r"\*\*Takes\*\* .*minutes? to read", first), first


def test_core_is_short():
    before = CORE[:CORE.index("04_pruning")]
    assert sum(map(words, before)) <= 6_000 and sum(map(code_lines, before)) <= 1_000
    assert sum(map(words, CORE)) <= 11_000


@pytest.mark.parametrize("name", MODULES)
def test_lines_are_narrow(name):
    "No exported line over 110 characters, nine of ten within 95."
    widths = [len(line) for line in LINES[name] if line.strip()]
    wide = [line for line in LINES[name] if len(line) > 110]
    assert not wide
    assert sum(width > 95 for width in widths) <= .1*len(widths)


KINDS = ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp


def is_nested(node):
    "Does a comprehension loop twice, or hold another?"
    inside = [other for other in ast.walk(node) if isinstance(other, KINDS)]    # itself among them
    return len(node.generators) > 1 or len(inside) > 1


def semicolons(code):
    "How many there are, those in strings apart."
    return sum(token.string == ";" for token in tokenize.generate_tokens(io.StringIO(code).readline))


def test_one_thought_a_line():
    "Nested comprehensions and lambdas are rare in a thousand lines, and there is no semicolon."
    thousands = sum(map(len, LINES.values()))/1000
    nested = sum(is_nested(node) for code in MODULES.values() for node in nodes(code, KINDS))/thousands
    lambdas = sum(len(nodes(code, ast.Lambda)) for code in MODULES.values())/thousands
    assert nested <= 2 and lambdas <= 3 and not any(map(semicolons, MODULES.values())), (nested, lambdas)
