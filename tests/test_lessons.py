"The exercises: the solved copy passes, the student's does not, and each usual mistake gets its sentence."
import importlib.util, json, re, shutil, subprocess, sys
from configparser import ConfigParser
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import pytest, yaml
from sparse_sharing_nb.files import read_tensors
from test_explorer import browser, start_lab, wait_for
from test_house import CORE

ROOT = Path(__file__).parent.parent
LESSONS = ROOT/"nbs"/"lessons"
spec = importlib.util.spec_from_file_location("hand_out", LESSONS/"hand_out.py")
hand_out = importlib.util.module_from_spec(spec)
spec.loader.exec_module(hand_out)
NOTEBOOK = json.loads((LESSONS/"exercises.ipynb").read_text(encoding="utf-8"))


@pytest.fixture(autouse=True, scope="module")
def no_windows():
    "Draw, and show nothing."
    matplotlib.use("Agg")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(LESSONS)
        patch.setattr(plt, "show", plt.close)
        yield


def run(change, slow=False):
    "Run a copy of the notebook cell by cell: its names, and what its checks said that failed."
    names, failed = {}, []
    for text in hand_out.code_cells(hand_out.copy_of(NOTEBOOK, change)):
        if text.startswith("#| slow") and not slow: continue
        try: exec(text, names)
        except AssertionError as error: failed.append(str(error))
    return names, failed


@pytest.fixture(scope="module")
def names():
    "What the solved copy defines."
    found, failed = run(hand_out.solved)
    assert failed == []
    return found


def test_the_solved_copy_passes_and_trains():
    names, failed = run(hand_out.solved, slow=True)
    assert failed == [] and set(names["table"]) == {"hard", "sparse, the library", "sparse, yours"}
    assert all(names["same"])    # the student's own functions find the masks of the library


def test_every_check_of_the_student_s_copy_fails():
    failed = run(hand_out.stub)[1]
    assert failed == ["Nothing is written yet: fill the stub (or one that this needs)."]*11


MISTAKES = {    # {exercise: [(what somebody writes, words of the sentence that must come)]}
    1: [("""
def span_f1(gold, guess):
    pairs = [(a, b) for one, other in zip(gold, guess) for a, b in zip(one, other)]
    return 100*sum(a == b for a, b in pairs)/len(pairs)""", "as a whole or not at all"),
        ("""
def span_f1(gold, guess):
    found = []
    for a, b in zip(gold, guess):
        a, b = set(to_spans(a)), set(to_spans(b))
        found.append(200*len(a & b)/max(1, len(a) + len(b)))
    return sum(found)/len(found)""", "mean of F1 over sentences"),
        ("""
def span_f1(gold, guess):
    a = {span for tags in gold for span in to_spans(tags)}
    b = {span for tags in guess for span in to_spans(tags)}
    return 200*len(a & b)/max(1, len(a) + len(b))""", "sentence by sentence")],
    2: [("""
def keep_largest(weights, mask, n_keep):
    sizes = flat(weights, mask).abs()*flat(mask, mask)
    return shaped(sizes >= sizes.sort().values[-n_keep], mask)""", "threshold"),
        ("""
def keep_largest(weights, mask, n_keep):
    order = flat(weights, mask).argsort(descending=True, stable=True)
    chosen = torch.zeros(len(order), dtype=torch.bool)
    chosen[order[:n_keep]] = True
    return shaped(chosen, mask)""", "rank with the sign"),
        ("""
def keep_largest(weights, mask, n_keep):
    order = flat(weights, mask).abs().argsort(descending=True, stable=True)
    chosen = torch.zeros(len(order), dtype=torch.bool)
    chosen[order[:n_keep]] = True
    return shaped(chosen, mask)""", "pruned before came back")],
    3: [("""
def step(w, mask, x, y):
    w = w.clone().requires_grad_()
    gradient, = torch.autograd.grad(((x @ w - y)**2).mean(), [w])
    return (w - .1*gradient).detach()""", "Zeroing removes nothing"),
        ("""
def step(w, mask, x, y):
    w = (w*mask).requires_grad_()
    gradient, = torch.autograd.grad(((x @ w - y)**2).mean(), [w])
    return (w - .1*gradient).detach()""", "not on their gradients"),
        ("""
def step(w, mask, x, y):
    w = w.clone().requires_grad_()
    gradient, = torch.autograd.grad(((x @ w - y)**2).mean(), [w])
    return (w - .1*gradient*mask).detach()""", "not on the weights")],
    4: [("""
def one_round(train, w0, weights, mask, n_keep):
    mask = keep_largest(weights, mask, n_keep)
    return mask, train(weights, mask)""", "Rewind"),
        ("""
def one_round(train, w0, weights, mask, n_keep):
    mask = keep_largest(w0, mask, n_keep)
    return mask, train(w0, mask)""", "prune by `w0`")],
    5: [("""
def beyond_chance(masks):
    kept = torch.stack([flat(mask, mask) for mask in masks])
    return (kept.all(0).sum()/kept.any(0).sum()).item()""", "Chance is forgotten"),
        ("""
def beyond_chance(masks):
    kept = torch.stack([flat(mask, mask) for mask in masks])
    ratio, shares = (kept.all(0).sum()/kept.any(0).sum()).item(), kept.double().mean(1)
    chance = (shares.prod()/(1 - (1 - shares).prod())).item()
    return (ratio - chance)/(1 - chance)""", "one density for the whole network")],
    6: [("""
def merge_and_count(masks, n_biases):
    owners = torch.stack([flat(mask, mask) for mask in masks]).sum(0)
    return torch.bincount(owners, minlength=len(masks)+1).tolist(), int(owners.sum()) + n_biases
""", "added up the masks"),
        ("""
def merge_and_count(masks, n_biases):
    kept = torch.stack([flat(mask, mask) for mask in masks])
    found = torch.bincount(kept.sum(0), minlength=len(masks)+1).tolist()
    return found, int(kept.all(0).sum()) + n_biases""", "what all tasks keep")],
    7: [("""
def take_turns(weights, masks, turns):
    after, one = [], torch.optim.SGD([weights], lr=.1, momentum=.9)
    for task in turns:
        one.zero_grad()
        (weights*masks[task]).sum().backward()
        one.step()
        after.append(weights.detach().clone())
    return after""", "memory leaks"),
        ("""
def take_turns(weights, masks, turns):
    after, one = [], {task: torch.optim.SGD([weights], lr=.1, momentum=.9) for task in masks}
    for task in turns:
        one[task].zero_grad()
        (weights*masks[task]).sum().backward()
        one[task].step()
        weights.data *= masks[task]
        after.append(weights.detach().clone())
    return after""", "erased A's weights"),
        ("""
def take_turns(weights, masks, turns):
    after, one = [], {task: torch.optim.SGD([weights], lr=.1, momentum=.9) for task in masks}
    for task in turns:
        one[task].zero_grad()
        weights.sum().backward()
        one[task].step()
        after.append(weights.detach().clone())
    return after""", "no mask in the loss")],
    8: [("""
def elect_signs(moves):
    winner = sum(move.sign() for move in moves.values()).sign()
    return {task: (move.sign() == winner) & (move != 0) for task, move in moves.items()}""", "count heads"),
        ("""
def elect_signs(moves):
    total = sum(moves.values())
    return {task: move*total >= 0 for task, move in moves.items()}""", "did not claim"),
        ("""
def elect_signs(moves):
    signs = torch.stack([move.sign() for move in moves.values()])
    agreed = (signs == signs[0]).all(0)
    return {task: agreed & (move != 0) for task, move in moves.items()}""", "agreement of all")],
    9: [("""
def choose(records):
    return max(records[1:], key=lambda r: r["test"])""", "best round on test"),
        ("""
def choose(records):
    return max(records, key=lambda r: r["dev"])""", "Round 0 is the whole network"),
        ("""
def choose(records):
    return max([r for r in records if r["round"]], key=lambda r: r["dev"])""", "take the sparser one")],
    10: [("""
def read_interval(low, high):
    return "win" if low + high > 0 else "loss" if low + high < 0 else "nothing\"""", "the middle"),
         ("""
def read_interval(low, high):
    return "loss" if low < 0 else "win\"""", "One end below 0 is not a loss"),
         ("""
def read_interval(low, high):
    return "win" if low >= 0 else "loss" if high <= 0 else "nothing\"""", "ends at 0")],
    11: [("""
def search(train, w0, mask, counts):
    weights, dev = train(w0, mask)
    for n_keep in counts[1:]: mask, (weights, dev) = one_round(train, w0, weights, mask, n_keep)
    return mask""", "mask of the last round"),
         ("""
def search(train, w0, mask, counts):
    weights, dev = train(w0, mask)
    masks, records = [mask], [dict(round=0, dev=dev)]
    for r, n_keep in enumerate(counts[1:], 1):
        found, (weights, dev) = one_round(train, w0, weights, mask, n_keep)
        masks.append(found)
        records.append(dict(round=r, dev=dev))
    return masks[choose(records)["round"]]""", "came back"),
         ("""
def search(train, w0, mask, counts):
    weights, dev = train(w0, mask)
    masks, records = [mask], [dict(round=0, dev=dev)]
    for r, n_keep in enumerate(counts[1:], 1):
        mask, (weights, dev) = one_round(train, weights, weights, mask, n_keep)
        masks.append(mask)
        records.append(dict(round=r, dev=dev))
    return masks[choose(records)["round"]]""", "go on from trained weights")]}
CASES = [(number, *mistake) for number, mistakes in MISTAKES.items() for mistake in mistakes]


@pytest.mark.parametrize("number, code, words", CASES, ids=[f"{n}: {words}" for n, _, words in CASES])
def test_a_usual_mistake_gets_its_sentence(names, capsys, number, code, words):
    tried = dict(names)
    exec(code, tried)
    function = code.split("def ")[1].split("(")[0]
    said = names[f"check_{number}"](tried[function])
    printed = capsys.readouterr().out
    assert words in said, said
    assert "✗" in printed and "yours" in printed and "spec" in printed

FOUND = {    # wrong answers that older checks let pass
    1: ["""
def span_f1(gold, guess):
    right = total = 0
    for a, b in zip(gold, guess):
        a, b = to_spans(a), to_spans(b)
        if not a: continue
        right, total = right + len({*a} & {*b}), total + len(a) + len(b)
    return 200*right/max(1, total)"""],
    2: ["""
def keep_largest(weights, mask, n_keep):
    order = (flat(weights, mask).abs()*flat(mask, mask)).argsort(descending=True, stable=True)
    chosen = torch.zeros(len(order), dtype=torch.bool)
    chosen[order[:n_keep]] = True
    return shaped(chosen, mask)""", """
def keep_largest(weights, mask, n_keep):
    sizes = flat(weights, mask).abs()
    sizes[~flat(mask, mask)] = -1
    chosen = torch.zeros(len(sizes), dtype=torch.bool)
    chosen[sizes.argsort(descending=True, stable=True)[:n_keep]] = True
    for name, part in shaped(chosen, mask).items(): mask[name].copy_(part)
    return mask"""],
    4: ["""
def one_round(train, w0, weights, mask, n_keep):
    mask = keep_largest(weights, mask, n_keep)
    return mask, {name: weight*mask[name] for name, weight in weights.items()}"""],
    5: ["""
def beyond_chance(masks):
    kept = torch.stack([flat(mask, mask) for mask in masks])
    ratio, shared, touched = (kept.all(0).sum()/kept.any(0).sum()).item(), 0, 0
    for name in masks[0]:
        shares = torch.stack([mask[name].double().mean() for mask in masks])
        shared, touched = shared + shares.prod().item(), touched + 1 - (1 - shares).prod().item()
    return (ratio - shared/touched)/(1 - shared/touched)"""],
    6: ["""
def merge_and_count(masks, n_biases):
    owners = torch.stack([mask["w"] for mask in masks]).sum(0)
    by_owners = torch.bincount(owners, minlength=len(masks)+1).tolist()
    return by_owners, sum(by_owners[1:]) + n_biases"""],
    8: ["""
def elect_signs(moves):
    return {task: move.sign() == sum(moves.values()).sign() for task, move in moves.items()}"""],
    9: ["""
def choose(records): return max((r for r in records if r["round"]), key=lambda r: (r["dev"], r["test"]))"""],
    10: ["""
def read_interval(low, high): return "win" if low > 0 else "loss" if high <= 0 else "nothing" """],
    11: ["""
def search(train, w0, mask, counts):
    (weights, dev), masks, records = train(w0, mask), [mask], [dict(round=0, dev=0)]
    for r, n_keep in enumerate(counts[1:], 1):
        mask, (_, dev) = one_round(train, w0, weights, mask, n_keep)
        masks.append(mask)
        records.append(dict(round=r, dev=dev))
    return masks[choose(records)["round"]]""", """
def search(train, w0, mask, counts):
    weights, dev = train(w0, mask)
    masks, devs = [mask], [dev]
    for n_keep in counts[1:]:
        mask, (weights, dev) = one_round(train, w0, weights, mask, n_keep)
        masks.append(mask)
        devs.append(dev)
    return masks[devs.index(max(devs))]"""]}


@pytest.mark.parametrize("number, code", [(number, code) for number, codes in FOUND.items() for code in codes])
def test_a_mistake_that_once_passed(names, number, code):
    tried = dict(names)
    exec(code, tried)
    assert names[f"check_{number}"](tried[code.split("def ")[1].split("(")[0]]) != "right"



def test_every_exercise_has_two_usual_mistakes():
    n_checks = sum("def check_" in text for text in hand_out.code_cells(NOTEBOOK))
    assert set(MISTAKES) == set(range(1, n_checks + 1))
    assert all(len(mistakes) >= 2 for mistakes in MISTAKES.values())


ODD = None, [], 3, "x", {}, (1, 2), {"w": 1}, [[1.], [2., 3.]], ({"w": [1.]}, {"w": None}), {"pos": None}


@pytest.mark.parametrize("number", MISTAKES)
@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_whatever_a_function_gives_is_shown(names, capsys, number, odd):
    said = names[f"check_{number}"](lambda *given: odd)
    assert said != "right" and "✗" in capsys.readouterr().out
    plt.close("all")


def test_an_error_in_a_function_is_shown_and_not_raised(names, capsys):
    def broken(*given): raise ValueError("a slip")
    for number in MISTAKES:
        assert names[f"check_{number}"](broken) != "right"
        assert "ValueError: a slip" in capsys.readouterr().out


RIGHT_TOO = {    # other ways to be right
    1: """
def span_f1(gold, guess):
    a = {(i, *span) for i, tags in enumerate(gold) for span in to_spans(tags)}
    b = {(i, *span) for i, tags in enumerate(guess) for span in to_spans(tags)}
    return 200*len(a & b)/(len(a) + len(b)) if a or b else 0""",
    2: """
def keep_largest(weights, mask, n_keep):
    listed = [(-abs(w), i) for i, w in enumerate(flat(weights, mask).tolist()) if flat(mask, mask)[i]]
    kept = {i for _, i in sorted(listed)[:n_keep]}
    return shaped(torch.tensor([i in kept for i in range(flat(mask, mask).numel())]), mask)""",
    3: """
def step(w, mask, x, y):
    w = w*mask
    gradient = 2*x.T @ (x @ w - y)/len(y)
    return w - .1*gradient*mask""",
    4: """
def one_round(train, w0, weights, mask, n_keep):
    smaller = keep_largest(weights, mask, n_keep)
    trained = train(copy.deepcopy(w0), smaller)
    return [smaller, trained]""",
    5: """
def beyond_chance(masks):
    return corrected_overlap(masks)""",
    6: """
def merge_and_count(masks, n_biases):
    owners = sum(flat(mask, mask).int() for mask in masks).tolist()
    return [owners.count(n) for n in range(len(masks) + 1)], sum(n > 0 for n in owners) + n_biases""",
    7: """
def take_turns(weights, masks, turns):
    after, memory = [], {task: torch.zeros(4) for task in masks}
    for task in turns:
        memory[task] = .9*memory[task] + masks[task]
        with torch.no_grad(): weights -= .1*memory[task]
        after.append(weights.detach().tolist())
    return after""",
    8: """
def elect_signs(moves):
    total = sum(moves.values())
    return {task: (move*total > 0).tolist() for task, move in moves.items()}""",
    9: """
def choose(records):
    ordered = sorted(records, key=lambda r: r["round"], reverse=True)
    return max(ordered[:-1], key=lambda r: r["dev"])""",
    10: """
def read_interval(low, high):
    return "nothing" if low <= 0 <= high else "win" if low > 0 else "loss\"""",
    11: """
def search(train, w0, mask, counts):
    weights, dev = train(w0, mask)
    found = [dict(round=0, dev=dev, mask=mask)]
    while len(found) < len(counts):
        mask, (weights, dev) = one_round(train, w0, weights, mask, counts[len(found)])
        found.append(dict(round=len(found), dev=dev, mask=mask))
    return choose(found)["mask"]"""}


@pytest.mark.parametrize("number", RIGHT_TOO)
def test_another_right_answer_passes(names, number):
    tried = dict(names)
    exec(RIGHT_TOO[number], tried)
    function = RIGHT_TOO[number].split("def ")[1].split("(")[0]
    assert names[f"check_{number}"](tried[function]) == "right"


def test_the_trained_state_is_what_the_notebook_prepares(tmp_path):
    "A notebook of two cells; the one after `prepare` is not run."
    made = "import torch\ndef prepare(): return {'w0 w': torch.ones(2, 1).T}, {'hard': {'ner': 50.}}"
    cells = [made, "1/0"]
    notebook = {"cells": [dict(cell_type="code", id=str(i), source=[text]) for i, text in enumerate(cells)]}
    hand_out.trained_state(notebook, tmp_path/"trained.safetensors")
    tensors, table = read_tensors(tmp_path/"trained.safetensors", "table")
    assert tensors["w0 w"].tolist() == [[1., 1.]] and table == {"hard": {"ner": 50.}}


def test_the_hand_outs(tmp_path, monkeypatch, names):
    "Solutions are in two of the three copies; the zip holds all that the student's copy reads."
    def keep_nothing(notebook, path): path.write_bytes(b"")    # training has its own test, above
    monkeypatch.setattr(hand_out, "trained_state", keep_nothing)
    made = hand_out.write(tmp_path)
    kinds = "student", "alone", "solved"
    student, alone, solved = ((tmp_path/kind/"exercises.ipynb").read_text() for kind in kinds)
    assert "BEGIN SOLUTION" not in student + alone + solved
    assert student.count("raise NotImplementedError") == alone.count("raise NotImplementedError") == 11
    assert "raise NotImplementedError" not in solved and alone.count("<summary>Solution") == 11
    assert "shares.prod()" in alone and "shares.prod()" in solved and "shares.prod()" not in student
    assert ".ipynb)" not in student + alone + solved    # links out of the folder
    shutil.unpack_archive(made, tmp_path)
    read = [f"results/{name}" for name in hand_out.NEEDED]
    assert (tmp_path/"class"/"exercises.ipynb").read_text() == student
    for name in ("trained.safetensors", *read): assert (tmp_path/"class"/name).exists()


def outputs_of(name):
    "The HTML that cells of a notebook show."
    cells = json.loads((ROOT/"nbs"/f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    found = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
    return ["".join(data["text/html"]) for data in found if "text/html" in data]


def test_the_core_asks_before_it_shows():
    "Four to six questions, none before 04; short, with a folded answer that is one of the choices."
    asked = {name: [text for text in outputs_of(name) if "Predict first" in text] for name in CORE}
    assert 4 <= sum(map(len, asked.values())) <= 6
    assert not any(asked[name] for name in CORE[:CORE.index("04_pruning")])
    for text in sum(asked.values(), []):
        parts = r"<details><summary><b>Predict first.</b> (.*) <i>(.*)\?</i></summary>(.*) \(measured: .*"
        question, choices, answer = re.fullmatch(parts, text).groups()
        assert answer in choices.split(" / ") and len(question.split()) <= 30


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    "The file of slides."
    path = tmp_path_factory.mktemp("slides")/"slides.html"
    subprocess.run([sys.executable, LESSONS/"slides.py", path], check=True)
    return path


def test_slides_ask_for_nothing_and_fit(browser, slides):
    "One file, no request, no error; on every slide all is inside of 1280 × 720, in letters of 22 pixels or more."
    page, wrong = browser.new_page(viewport=dict(width=1280, height=720)), []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda asked: wrong.append(asked.url) if asked.url.startswith("http") else None)
    page.goto(slides.as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    n_slides = page.evaluate("Reveal.getTotalSlides()")
    assert 15 <= n_slides <= 25
    for number in range(n_slides):
        page.evaluate(f"Reveal.slide({number}, 0, 99)")
        height, smallest = page.evaluate("""(() => {
            const slide = Reveal.getCurrentSlide(), texts = [...slide.querySelectorAll("h1, h2, p, li, td, th")]
            const sizes = texts.filter(text => !text.closest("aside")).map(text => parseFloat(getComputedStyle(text).fontSize))
            return [slide.scrollHeight, Math.min(...sizes)] })()""")
        assert height <= 720 and smallest >= 22, number
    assert wrong == []
    page.close()


def test_questions_come_before_their_answers(slides):
    text = slides.read_text(encoding="utf-8")
    order = "stores the fewest", "Is that much overlap", "Compared with what", "Can the first weight move", "has a memory"
    places = [text.find(words) for words in order]
    assert -1 not in places and places == sorted(places)
    assert text.count('<aside class="notes">') >= 8 and 'class="fragment"' in text


def test_what_binder_reads_is_what_settings_say():
    needs = yaml.safe_load((ROOT/".binder"/"environment.yml").read_text())["dependencies"]
    ini = ConfigParser(delimiters=["="], interpolation=None)
    ini.read(ROOT/"settings.ini", encoding="utf-8")
    settings = ini["DEFAULT"]
    assert needs[0].removeprefix("python=") in settings["python_versions"].split()
    assert needs[-1].removeprefix("pytorch-cpu") in settings["requirements"].split()[0]
    assert "notebooks_requirements" in settings and "'.[notebooks]'" in (ROOT/".binder"/"postBuild").read_text()
    readme = (ROOT/"README.md").read_text(encoding="utf-8")
    assert f"--branch v{settings['version']} {settings['git_url']}" in readme


ASK = """from sparse_sharing_nb.lessons.predict import ask
import matplotlib.pyplot as plt
def draw():
    ax = plt.subplots(figsize=(3, 2))[1]
    ax.bar(["half"], [.5])
    return ax
ask("How high?", {"low": .1, "high": .9}, .5, draw)"""


def test_a_click_shows_the_guess_in_jupyterlab(browser, tmp_path):
    "Before a guess no picture; after it one, and another one after another guess."
    process, address = start_lab(tmp_path)
    cell = dict(cell_type="code", id="ask", metadata={}, execution_count=None, outputs=[], source=ASK)
    kernel = dict(name="python3", display_name="python3", language="python")
    notebook = dict(cells=[cell], metadata=dict(kernelspec=kernel), nbformat=4, nbformat_minor=5)
    (tmp_path/"ask.ipynb").write_text(json.dumps(notebook))
    try:
        wait_for(address + "api/status")
        page = browser.new_page(viewport=dict(width=1280, height=900))
        page.goto(address + "doc/tree/ask.ipynb?reset", timeout=180_000)
        page.wait_for_function("window.jupyterapp?.commands?.hasCommand('notebook:run-all-cells')", timeout=180_000)
        page.wait_for_selector(".jp-CodeCell", timeout=180_000)
        page.evaluate("""async () => {
            await window.jupyterapp.restored;
            await window.jupyterapp.shell.currentWidget.context.sessionContext.ready;
            await window.jupyterapp.commands.execute('notebook:run-all-cells'); }""")
        picture = page.locator(".widget-image")
        page.get_by_role("button", name="low", exact=True).click(timeout=180_000)
        picture.wait_for(state="visible", timeout=60_000)
        first = picture.get_attribute("src")
        page.get_by_role("button", name="high", exact=True).click()
        page.wait_for_function("first => document.querySelector('.widget-image').src != first", arg=first, timeout=60_000)
        page.get_by_text("Your guess: high. Measured: 0.5.").wait_for()
        page.screenshot(path=tmp_path/"guess.png")
    finally:
        process.terminate()
        process.wait(20)
