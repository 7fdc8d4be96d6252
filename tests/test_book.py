"The book as a web site: all chapters, every link, nothing from elsewhere, in a real browser."
import importlib.util, json, re, subprocess, sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup
from test_explorer import browser
from test_house import CORE, ROWS

ROOT = Path(__file__).parent.parent
spec = importlib.util.spec_from_file_location("book", ROOT/"nbs"/"book.py")
book = importlib.util.module_from_spec(spec)
spec.loader.exec_module(book)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    "The folder of the site, built once."
    folder = tmp_path_factory.mktemp("book")/"book"
    done = subprocess.run([sys.executable, ROOT/"nbs"/"book.py", folder], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout[-3000:]
    return folder


@pytest.fixture(scope="module")
def pages(site):
    "Every page of the site, read."
    ours = [path for path in site.rglob("*.html") if path.name != "explorer.html" and "_static" not in path.parts]
    return {path: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser") for path in ours}


def test_chapters_are_the_rows_of_the_shelf(site, pages):
    shelf = pages[site/"index.html"].select_one("nav.bd-links")
    captions = [caption.get_text(strip=True) for caption in shelf.select("p.caption")]
    lists = [[link["href"].removesuffix(".html") for link in part.select("li.toctree-l1 > a")]
             for part in shelf.select("ul.nav")]
    found = dict(zip(captions, lists))
    assert found.pop("what was measured") == ["play", "results/README", "archive/README"]
    assert found == {row: [name for name in names.split() if name != "index"] for row, names in ROWS.items()}


def test_titles_are_those_of_the_notebooks(site, pages):
    for name in CORE:
        cells = json.loads((ROOT/"nbs"/f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
        title = "".join(cells[0]["source"]).splitlines()[0].removeprefix("# ")
        assert pages[site/f"{name}.html"].h1.find(string=True) == title


def test_every_link_leads_somewhere(site, pages):
    ids = {path: {tag["id"] for tag in page.select("[id]")} for path, page in pages.items()}
    for path, page in pages.items():
        for tag in page.select("a[href], link[href], img[src], script[src], iframe[src]"):
            parts = urlsplit(tag.get("href") or tag.get("src"))
            if parts.scheme: continue
            place = (path.parent/unquote(parts.path)).resolve() if parts.path else path
            assert place.exists(), (path, tag)
            if parts.fragment and place in ids: assert unquote(parts.fragment) in ids[place], (path, tag)


def test_nothing_comes_from_elsewhere(site, pages):
    "Texts link to papers; what a page loads, fonts included, is here."
    for path, page in pages.items():
        loaded = [tag.get("href") or tag.get("src") for tag in page.select("link, img, script, iframe")]
        assert not [address for address in loaded if address and urlsplit(address).netloc], path
    for style in site.rglob("*.css"):
        for address in re.findall(r"url\(['\"]?([^)'\"]+)", style.read_text(encoding="utf-8")):
            if address.startswith(("data:", "#")): continue
            assert (style.parent/urlsplit(address).path).exists(), (style, address)


def test_what_cells_printed_is_there(site, pages):
    "Committed outputs, not a new run: tables, pictures, and no widget without its kernel."
    assert "hard − single" in pages[site/"index.html"].get_text()
    for name in CORE:
        n_pictures = (ROOT/"nbs"/f"{name}.ipynb").read_text(encoding="utf-8").count('"image/png"')
        assert len(pages[site/f"{name}.html"].select(".cell_output img")) == n_pictures
    for path in pages: assert not re.search("widget-view|traceback ", path.read_text(encoding="utf-8")), path


def test_library_and_imports_are_folded(site, pages):
    page = pages[site/"01_tagging.html"]
    folded = {fold.select_one(".collapsed").get_text(strip=True): fold for fold in page.select("details.hide")}
    assert "imports" in folded and "class Task" in folded["library: Task"].get_text()
    assert "#| export" not in page.get_text() and "default_exp" not in page.get_text()


def test_what_a_folded_cell_is_called():
    assert book.label("import os\nfrom a import b") == book.label("import a\nimport b\na.set(1)") == "imports"
    assert book.label("import os\nfrom a import b\ndef f(): pass") == book.label("import os\nprint(1)") == ""
    assert book.label("#| export\nA = 1\ndef f(): pass\nclass C: pass") == "library: f, C, A"
    assert book.label("#| export\nf.x.append(1)") == "library"
    assert book.label("def draw(): pass\nask('How many?', {}, 1, draw)") == "how it is asked"
    assert book.label("def f(): pass") == book.label("%matplotlib inline\nprint(1)") == ""


def open_page(browser, path, width=1280, **how):
    "A page that notes what goes wrong, and what it asks other machines for."
    page = browser.new_page(viewport=dict(width=width, height=900), **how)
    page.wrong = []
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("request", lambda asked: page.wrong.append(asked.url) if asked.url.startswith("http") else None)
    page.goto(path.as_uri())
    return page


@pytest.mark.parametrize("width", (390, 1280))
@pytest.mark.parametrize("dark", (False, True), ids=("light", "dark"))
def test_pages_fit_and_are_quiet(browser, site, width, dark):
    "Nothing sticks out at the side, no error, no request; dark where the reader's machine is."
    for name in ("index", "01_tagging", "06_merging", "lessons/exercises", "results/main/table", "play"):
        page = open_page(browser, site/f"{name}.html", width, color_scheme="dark" if dark else "light")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        light = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")
        assert (int(light) < 80) == dark, name
        assert page.wrong == [], name
        page.close()


def test_a_search_finds(browser, site):
    page = open_page(browser, site/"search.html", color_scheme="light")
    page.goto((site/"search.html").as_uri() + "?q=rewinding")
    page.wait_for_selector("#search-results li a[href*='findings/rewinding.html']", timeout=30_000)
    assert page.wrong == []
    page.close()


def test_formulas_are_drawn_with_their_font(browser, site):
    "The index of F₁ stands lower than its letter; the font came with the page."
    page = open_page(browser, site/"01_tagging.html")
    page.wait_for_function("document.fonts.check('16px \"STIX Two Math\"')")
    letter, index = (page.locator(f"math msub > :nth-child({n})").first.bounding_box() for n in (1, 2))
    assert index["y"] + index["height"] > letter["y"] + letter["height"] and index["x"] > letter["x"]
    page.close()


def test_the_explorer_is_inside(browser, site):
    page = open_page(browser, site/"play.html")
    frame = page.frame_locator("iframe")
    frame.locator("input[type=range]").first.wait_for(timeout=30_000)
    before = frame.locator("body").inner_text()
    frame.locator("input[type=range]").first.press("ArrowRight")
    page.frames[1].wait_for_function("before => document.body.innerText != before", arg=before)
    assert page.wrong == []
    page.close()
