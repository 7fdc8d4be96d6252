"The notebooks are the source: the library is what they export, they run, and they keep to our style."
import ast, json, os, re, shutil, subprocess, sys
from collections import Counter
from pathlib import Path

import pytest
from IPython.core.inputtransformer2 import TransformerManager

ROOT = Path(__file__).parent.parent
NBS = ROOT/"nbs"
NOTEBOOKS = sorted(nb for nb in NBS.rglob("*.ipynb") if ".ipynb_checkpoints" not in nb.parts)
NAMES = [str(nb.relative_to(NBS).with_suffix("")) for nb in NOTEBOOKS]
assert NOTEBOOKS, "no notebook found"
each_notebook = pytest.mark.parametrize("nb", NOTEBOOKS, ids=NAMES)


def run(tool, *args, cwd=ROOT, **kwargs):
    "Run one of nbdev's commands, the one installed beside this Python; its output is shown where it fails."
    command = [Path(sys.executable).with_name(tool), *args]
    done = subprocess.run(command, cwd=cwd, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **kwargs)
    assert done.returncode == 0, done.stdout
    return done.stdout


def texts(folder, pattern):
    "The text of every file in `folder`, however deep, whose name matches."
    found = [path for path in folder.rglob(pattern) if ".ipynb_checkpoints" not in path.parts]
    return {path.relative_to(folder): path.read_text(encoding="utf-8") for path in found}


def contents(nb):
    "A notebook as a dictionary."
    return json.loads(nb.read_text(encoding="utf-8"))


def sources(nb, kind="code"):
    "The source of every cell of one kind."
    return ["".join(cell["source"]) for cell in contents(nb)["cells"] if cell["cell_type"] == kind]


def outputs(nb):
    "Every committed output, without the pixels of its pictures."
    found = [output for cell in contents(nb)["cells"] for output in cell.get("outputs", [])]
    for output in found: output.get("data", {}).pop("image/png", None)
    return found


@pytest.fixture
def copy(tmp_path):
    "A copy of the project that a test may change."
    shutil.copy(ROOT/"settings.ini", tmp_path)
    for name in ("nbs", "sparse_sharing_nb"):
        shutil.copytree(ROOT/name, tmp_path/name, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    return tmp_path


def test_library_is_what_the_notebooks_export(copy):
    "A module edited by hand, forgotten or left over differs from a fresh export."
    for module in (copy/"sparse_sharing_nb").rglob("*.py"): module.unlink()
    run("nbdev_export", cwd=copy)
    ours, fresh = (texts(folder/"sparse_sharing_nb", "*.py") for folder in (ROOT, copy))
    assert ours == fresh, "run nbdev_export"


def test_notebooks_are_clean(copy):
    "Counters, ids in reprs and editor metadata are not committed."
    run("nbdev_clean", cwd=copy)
    assert texts(ROOT/"nbs", "*.ipynb") == texts(copy/"nbs", "*.ipynb"), "run nbdev_clean"


@each_notebook
def test_runs(nb):
    "Top to bottom in a fresh process, one thread; each takes less than a minute, on a busy machine several."
    env = {**os.environ, "SSN_PROFILE": "quick", "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    assert "Success." in run("nbdev_test", "--path", nb, env=env, timeout=300)


@each_notebook
def test_runs_every_cell(nb):
    "No notebook excuses a cell from the test above, but for the slow ones."
    code = "\n".join(sources(nb) + sources(nb, "raw") + sources(nb, "markdown"))
    assert not re.search(r"^#\|\s*(eval:\s*false|notest)|^\W*skip_exec:", code, re.MULTILINE)


@each_notebook
def test_imports_are_explicit(nb):
    assert not re.search(r"^\s*from .* import \*", "\n".join(sources(nb)), re.MULTILINE)


@each_notebook
def test_cells_are_short(nb):
    assert not [cell for cell in sources(nb) if len(cell.splitlines()) > 25]


@each_notebook
def test_names_are_defined_once(nb):
    "Run out of order, a second `def` of the same name would silently win."
    code = "\n".join(TransformerManager().transform_cell(cell) for cell in sources(nb))
    definitions = [node for node in ast.parse(code).body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    names = Counter(node.name for node in definitions)
    assert not [name for name, n in names.items() if n > 1]


@each_notebook
def test_prose_accompanies_code(nb):
    assert 2*len(sources(nb, "markdown")) >= len(sources(nb))


@each_notebook
def test_claims_are_asserted(nb):
    code = sources(nb)
    assert 5*sum("assert" in cell for cell in code) >= len(code)


@each_notebook
def test_outputs_are_fit_to_print(nb):
    "Committed, without errors, widget state or paths of somebody's machine, and small."
    found = outputs(nb)
    assert found, "no outputs: run make notebooks"
    assert not [output for output in found if output["output_type"] == "error"]
    text = json.dumps(found, indent=0).replace("\\n", "\n")
    assert not re.findall(r"(?<!\w)/(?:work|tmp|root|home|Users)\b.*", text)
    assert "widgets" not in contents(nb)["metadata"]
    assert nb.stat().st_size <= 200*1024
