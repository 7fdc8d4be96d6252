"""Slides as one file that needs no other: `python nbs/lessons/slides.py FILE`.

What slides.ipynb says and what its cells printed, put into reveal.js by the slide types of its cells."""
import html, re, sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
STYLE = """
:root { --r-main-font: system-ui, "DejaVu Sans", sans-serif; --r-heading-font: var(--r-main-font); }
.reveal { --r-main-font-size: 34px; --r-heading1-size: 1.9em; --r-heading2-size: 1.4em; }
.reveal h1, .reveal h2 { text-transform: none; letter-spacing: 0; margin: .4em 0; text-align: center; }
.reveal section { text-align: left; padding: 0 50px; box-sizing: border-box; }
.reveal section img { display: block; max-height: 560px; max-width: 100%; margin: 0 auto; }
.reveal table { font-size: .85em; } .reveal p, .reveal ul { margin: .6em 0; }
.reveal .anchor-link { display: none; }
"""
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{style}</style></head>
<body><div class="reveal"><div class="slides">{slides}</div></div><script>{script}</script>
<script>Reveal.initialize({{width: 1280, height: 720, hash: true, slideNumber: true, center: true,
  transition: "none", plugins: [RevealNotes]}});</script></body></html>
"""


def shown(cell):
    "A cell as HTML: its text, or what its code printed."
    from nbconvert import HTMLExporter
    from nbformat.v4 import new_notebook
    exporter = HTMLExporter(template_name="basic", exclude_input=True, exclude_output_prompt=True)
    return exporter.from_notebook_node(new_notebook(cells=[cell]))[0]


def sections(notebook):
    "One <section> for each slide: cells follow on the slide before them, unless they begin one."
    found = []
    for cell in notebook["cells"]:
        kind = cell["metadata"].get("slideshow", {}).get("slide_type", "-")
        if kind == "skip": continue
        if kind in ("slide", "subslide"): found.append([])
        text = re.sub(r'<a href="[^"]*\.ipynb">([^<]*)</a>', r"\1", shown(cell))    # links out of the file
        if kind == "notes": text = f'<aside class="notes">{text}</aside>'
        if kind == "fragment": text = f'<div class="fragment">{text}</div>'
        found[-1].append(text)
    return [f"<section>{''.join(parts)}</section>" for parts in found]


def reveal(name):
    "A file of reveal.js, which a package brings along; what it would load from elsewhere is left out."
    folder = Path(find_spec("sphinx_revealjs").origin).parent/"_static"/"revealjs"
    text = (folder/name).read_text(encoding="utf-8")
    return re.sub(r"@import url\([^)]*\);|//# sourceMappingURL=.*", "", text).replace("</script", r"<\/script")


def write(path):
    "The whole file."
    from nbformat import read
    notebook = read(HERE/"slides.ipynb", 4)
    style = "".join(map(reveal, ("dist/reset.css", "dist/reveal.css", "dist/theme/white.css"))) + STYLE
    script = "".join(map(reveal, ("dist/reveal.js", "plugin/notes/notes.js")))
    title = html.escape("Sparse sharing, in 45 minutes")
    text = PAGE.format(title=title, style=style, slides="\n".join(sections(notebook)), script=script)
    path.write_text(text, encoding="utf-8")
    return path


if __name__ == "__main__":
    made = write(Path(sys.argv[1]))
    print(f"{made}: {made.stat().st_size:,} bytes")
