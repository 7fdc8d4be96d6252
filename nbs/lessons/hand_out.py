"""What a class gets of the exercises: `python nbs/lessons/hand_out.py FOLDER`.

One source, exercises.ipynb; what stands between BEGIN SOLUTION and END SOLUTION is the solution."""
import contextlib, io, json, re, sys, zipfile
from pathlib import Path

HERE = Path(__file__).parent
REGION = re.compile(r"^( *)### BEGIN SOLUTION\n(.*?)\n *### END SOLUTION$", re.M | re.S)
LINK = re.compile(r"\[([^]]+)\]\([^)]+\.ipynb\)")
NEEDED = "main/table.json", "density-2000/table.json"    # of results/, which the exercises read


def source(cell):
    "What stands in a cell."
    return "".join(cell["source"])


def with_source(cell, text):
    "The same cell with another text, and without what the old one printed."
    emptied = {"outputs": [], "execution_count": None} if cell["cell_type"] == "code" else {}
    return cell | emptied | {"source": text.splitlines(True)}


def stub(text):
    "A text with a place to write where its solution was, and without links to the rest of the book."
    return REGION.sub(r"\1# your lines\n\1raise NotImplementedError", LINK.sub(r"\1", text))


def solved(text):
    "A text with its solution, without the marks around it, and without links."
    return REGION.sub(r"\2", LINK.sub(r"\1", text))


def folded(cell):
    "The solution of a cell as a cell to unfold."
    lines = REGION.search(source(cell))[2]
    text = f"<details><summary>Solution</summary>\n\n```python\n{lines}\n```\n</details>"
    return dict(cell_type="markdown", id=f"s{cell['id'][:7]}", metadata={}, source=text.splitlines(True))


def copy_of(notebook, change, fold=False):
    "A copy of the notebook: `change` for every text; with `fold` each solution folded behind the hints."
    cells, waiting = [], None
    for cell in notebook["cells"]:
        cells.append(with_source(cell, change(source(cell))))
        if waiting: cells.append(waiting)
        waiting = folded(cell) if fold and REGION.search(source(cell)) else None
    return notebook | {"cells": cells}


def code_cells(notebook):
    "The texts of the code cells."
    return [source(cell) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def trained_state(notebook, path):
    "Run the solved notebook up to `prepare`, and keep what that gives in a safetensors file."
    from safetensors.torch import save_file
    names = {}
    with contextlib.redirect_stdout(io.StringIO()):
        for text in code_cells(copy_of(notebook, solved)):
            exec(text, names)
            if "prepare" in names: break
        tensors, table = names["prepare"]()
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(whole, path, {"table": json.dumps(table)})


def write(folder):
    "student/, alone/ (solutions folded), solved/, and class.zip with all that a student needs."
    notebook = json.loads((HERE/"exercises.ipynb").read_text(encoding="utf-8"))
    kinds = {"student": (stub, False), "alone": (stub, True), "solved": (solved, False)}
    for kind, how in kinds.items():
        (folder/kind).mkdir(parents=True, exist_ok=True)
        text = json.dumps(copy_of(notebook, *how), indent=1, ensure_ascii=False)
        (folder/kind/"exercises.ipynb").write_text(text + "\n", encoding="utf-8")
    trained_state(notebook, folder/"trained.safetensors")
    with zipfile.ZipFile(folder/"class.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(folder/"student"/"exercises.ipynb", "class/exercises.ipynb")
        archive.write(folder/"trained.safetensors", "class/trained.safetensors")
        for name in NEEDED: archive.write(HERE.parent.parent/"results"/name, f"class/results/{name}")
    return folder/"class.zip"


if __name__ == "__main__":
    import matplotlib
    matplotlib.use("Agg")
    made = write(Path(sys.argv[1]))
    print(f"{made}: {made.stat().st_size:,} bytes")
