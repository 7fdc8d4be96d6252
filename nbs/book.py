"""The book as a web site that needs no other: `python nbs/book.py FOLDER`.

Chapters and their order come from the map in index.ipynb; what cells printed is taken as it was committed."""
import ast, json, re, shutil, sys, tempfile
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
LINK = re.compile(r"\[[^]]*\]\(([\w/]+)\.ipynb\)")
OUTSIDE = re.compile(r"\]\(((?:\.\./)*)\.\./(results|archive|sparse_sharing_nb)/")    # of nbs/, the top here
MEASURED = ("Sliders", "play"), ("Results", "results/README"), ("Older results", "archive/README")
PLAY = """# Move the sliders

How much of the network does each task keep, and how much do they share then?
<a href="results/explorer.html">The same on a page of its own</a>.

<iframe src="results/explorer.html" title="The explorer"></iframe>
"""
WIDGET = "application/vnd.jupyter.widget-view+json"
STYLE = """@font-face { font-family: "STIX Two Math"; src: url("STIXTwoMath-Regular.ttf"); }
math { font-family: "STIX Two Math", math; font-size: 110%; }
div.formula { overflow-x: auto; margin: 1rem 0; }
.bd-main .bd-content .bd-article-container { max-width: 60rem; }
iframe { width: 100%; height: 75rem; border: 0; }
div.cell pre { font-size: 75%; }
"""


def source(cell):
    "What stands in a cell."
    return "".join(cell["source"])


def rows(index):
    "The notebooks of each row, {row: [name, …]}, as the map in index.ipynb lists them."
    found = {"core": []}
    for line in re.findall(r"^\| .*$", "\n".join(map(source, index["cells"])), re.M):
        names, row = LINK.findall(line), line.split("|")[1].strip()
        if LINK.match(row): found["core"] += names
        elif names: found[row or "others"] = names
    return found


def title(name):
    "What a notebook is called in the list of chapters: its title, in the core behind its number."
    first = source(json.loads((HERE/f"{name}.ipynb").read_text(encoding="utf-8"))["cells"][0])
    number = re.match(r"\d\d", name)
    return " ".join([*([number[0]] if number else []), first.splitlines()[0].removeprefix("# ")])


def label(code):
    "What a folded cell is called: the names that it defines, or its imports; nothing for a cell to read."
    body = ast.parse(re.sub(r"^[%!].*$", "pass", code, flags=re.M)).body
    imports = [node for node in body if isinstance(node, (ast.Import, ast.ImportFrom))]
    functions = [node for node in body if isinstance(node, ast.FunctionDef)]
    if len(imports) > len(body)/2 and not functions: return "imports"
    if re.search(r"^ask\(", code, re.M): return "how it is asked"    # see lessons/predict
    if not code.startswith("#| export"): return ""
    plain = [target for node in body if isinstance(node, ast.Assign) for target in node.targets]
    names = [node.name for node in body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    names += [ast.unparse(target) for target in plain]
    return "library: " + ", ".join(names) if names else "library"


def linked(output):
    "An output whose links lead to pages; Sphinx minds those in texts only."
    if "text/markdown" not in output.get("data", {}): return output
    text = OUTSIDE.sub(r"](\1\2/", "".join(output["data"]["text/markdown"]))
    text = re.sub(r"\]\(((?!http)[^)#]+)\.(?:ipynb|md)", r"](\1.html", text)
    return output | {"data": {"text/markdown": text}}


def page_cell(cell):
    "A cell as the page shows it: no marks for nbdev, folded where it has a label, no widget."
    text = OUTSIDE.sub(r"](\1\2/", source(cell))
    if cell["cell_type"] != "code": return cell | {"source": text}
    called, text = label(text), re.sub(r"^#\| .*\n?", "", text, flags=re.M)
    folded = {"tags": ["hide-input"], "mystnb": {"code_prompt_show": called, "code_prompt_hide": called}}
    seen = [linked(output) for output in cell["outputs"] if WIDGET not in output.get("data", {})]
    return cell | {"source": text, "outputs": seen, "metadata": folded if called else {}}


def contents(index):
    "The list of chapters, as a cell that shows in the margin only."
    def tree(caption, entries):
        lines = "\n".join(f"{called} <{name}>" for called, name in entries)
        return f"```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{lines}\n```\n"
    trees = [tree(row, [(title(name), name) for name in names]) for row, names in rows(index).items()]
    trees.append(tree("what was measured", MEASURED))
    return dict(cell_type="markdown", id="contents", metadata={}, source="\n".join(trees))


def tables(folder):
    "The tables of all studies in a folder, as a list that shows in the margin only."
    names = sorted(path.parent.name for path in (ROOT/folder).glob("*/table.md"))
    return "\n```{toctree}\n:hidden:\n\n" + "".join(f"{name} <{name}/table>\n" for name in names) + "```\n"


def lay_out(folder):
    "Write what Sphinx reads: the notebooks at the top, and what they link to beside them."
    for path in HERE.rglob("*.ipynb"):
        if ".ipynb_checkpoints" in path.parts: continue
        notebook = json.loads(path.read_text(encoding="utf-8"))
        cells = [page_cell(cell) for cell in notebook["cells"] if not source(cell).startswith("#| default_exp")]
        if path == HERE/"index.ipynb": cells.append(contents(notebook))
        place = folder/path.relative_to(HERE)
        place.parent.mkdir(exist_ok=True)
        place.write_text(json.dumps(notebook | {"cells": cells}), encoding="utf-8")
    beside = "results/**/*.*", "archive/**/*.*", "sparse_sharing_nb/explorer/page.*"
    for path in [path for pattern in beside for path in ROOT.glob(pattern)]:
        if path.suffix not in {".md", ".png", ".js", ".css"}: continue
        place = folder/path.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix != ".md": shutil.copy(path, place)
        else:
            text = path.read_text(encoding="utf-8").replace("](../nbs/", "](../")
            more = tables(path.parent.name) if path.name == "README.md" else ""
            place.write_text(("" if more else f"# {path.parent.name}\n\n") + text + more, encoding="utf-8")
    (folder/"play.md").write_text(PLAY, encoding="utf-8")
    (folder/"static").mkdir()
    (folder/"static"/"math.css").write_text(STYLE, encoding="utf-8")
    shutil.copy(Path(find_spec("ziamath").origin).parent/"fonts"/"STIXTwoMath-Regular.ttf", folder/"static")
    (folder/"extra"/"results").mkdir(parents=True)
    shutil.copy(ROOT/"results"/"explorer.html", folder/"extra"/"results")


def formula(translator, node):
    "A formula as MathML, which browsers draw by themselves."
    from docutils.nodes import SkipNode
    from latex2mathml.converter import convert
    inline = node.tagname == "math"
    text = convert(node.astext(), display="inline" if inline else "block")
    translator.body.append(text if inline else f'<div class="formula">{text}</div>')
    raise SkipNode


def setup(app):
    "What Sphinx calls."
    app.add_html_math_renderer("mathml", (formula, None), (formula, None))


SETTINGS = dict(
    project="Sparse sharing", root_doc="index", extensions=["myst_nb", "book"], exclude_patterns=["extra"],
    myst_enable_extensions=["dollarmath"], nb_execution_mode="off", suppress_warnings=["myst.header"],
    html_title="Sparse sharing, built in notebooks", html_math_renderer="mathml", html_extra_path=["extra"],
    html_static_path=["static"], html_css_files=["math.css"], html_use_index=False, html_copy_source=False,
    html_show_search_summary=False,    # it would fetch pages, which a browser refuses without a server
    html_show_sourcelink=False, html_show_copyright=False, html_theme="sphinx_book_theme",
    html_theme_options=dict(navbar_persistent=[], use_download_button=False, use_fullscreen_button=False))


def write(folder):
    "Build the site; a link that leads nowhere is an error. An older site stays until the new one is whole."
    from sphinx.application import Sphinx
    with tempfile.TemporaryDirectory() as work:
        pages, site, trees = (Path(work)/name for name in ("pages", "site", "trees"))
        pages.mkdir()
        lay_out(pages)
        app = Sphinx(pages, None, site, trees, "html", SETTINGS, warningiserror=True)
        app.build()
        if app.statuscode: sys.exit(app.statuscode)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.move(site, folder)
    return folder/"index.html"


if __name__ == "__main__":
    print(write(Path(sys.argv[1]).resolve()))
