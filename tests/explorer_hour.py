"""An hour at the explorer: is its memory flat? `python tests/explorer_hour.py FILE [MINUTES]`

A browser on which somebody presses and moves whatever there is, at random, and three students who do so without
one; all reload now and then. Once a minute the memory of the server and of the page are written to FILE."""
import json, os, random, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import sync_playwright
from test_explorer import CHROMIUM, JSON, memory, shell, start_explorer, type_into, wait_for

TASKS, WORDS = ("pos", "chunk", "ner"), "Neil Zimsen said the dealer of Zanova was arrested on Monday .".split()


def press(page, rng):
    "Any button that can be pressed; trainings, too, and their cancelling."
    rng.choice(page.locator(".ssn .left .buttons button:enabled").all()).click()


def slide(page, rng):
    "A slider by a few stops."
    page.get_by_label(f"density of {rng.choice(TASKS)}").focus()
    key = rng.choice(["ArrowLeft", "ArrowRight", "PageUp", "PageDown"])
    for _ in range(rng.randrange(1, 9)): page.keyboard.press(key)


def write_sentence(page, rng):
    "As many words as fit."
    type_into(page, "sentence", " ".join(rng.choices(WORDS, k=rng.randrange(1, 60)))[:400])


def write_line(page, rng):
    "A setting, typed."
    line = " ".join(f"{task}={rng.randrange(101)}%" for task in TASKS)
    type_into(page, "setting", line + rng.choice(["", ", independently shuffled"]))


def look(page, rng):
    "Another matrix; the presenter's view, and back."
    options = page.get_by_label("matrix", exact=True).locator("option").count()
    page.get_by_label("matrix", exact=True).select_option(index=rng.randrange(options))
    for _ in range(2): page.get_by_role("button", name="presenter").click()


def reload(page, rng):
    "As somebody does who is lost."
    page.reload()
    page.wait_for_selector(".ssn .scores svg")


ACTIONS = {slide: 8, press: 5, write_sentence: 3, write_line: 3, look: 1, reload: 1}


def ask_at_random(address, number, end):
    "A student without a browser; how often it asked."
    rng, n_asked = random.Random(number), 0
    while time.time() < end:
        stops, placement = {task: rng.randrange(104) for task in TASKS}, rng.choice(["pruned", "independently shuffled"])
        sentence = " ".join(rng.choices(WORDS, k=rng.randrange(1, 60)))
        asked = [("score", dict(task=task, stop=stop, placement=placement)) for task, stop in stops.items()]
        asked.append(("tags", dict(stops=stops, placement=placement, sentence=sentence)))
        for what, body in asked: shell(address, "POST", f"/ask/{what}", json.dumps(body), JSON)
        if rng.random() < .1: shell(address, "GET", "/")
        n_asked += len(asked)
        time.sleep(6*rng.random())
    return n_asked


def heap(wire):
    "Memory of the page's script, in MB, once its rubbish is gone."
    wire.send("HeapProfiler.collectGarbage")
    measured = wire.send("Performance.getMetrics")["metrics"]
    return next(m["value"] for m in measured if m["name"] == "JSHeapUsedSize")/1e6


def use(page, wire, process, minutes, write):
    "Act at random, and measure once a minute."
    rng, counts, samples, started, errors = random.Random(0), dict.fromkeys(ACTIONS, 0), [], time.time(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("dialog", lambda dialog: dialog.accept())
    while (passed := (time.time() - started)/60) < minutes:
        if passed >= len(samples):
            samples.append([round(passed, 1), round(memory(process), 1), round(heap(wire), 1)])
            actions = {act.__name__: n for act, n in counts.items()}
            write(dict(samples=["minute", "MB of the server", "MB of the page"], at=samples,
                       actions=actions, errors=errors))
        act, = rng.choices(list(ACTIONS), list(ACTIONS.values()))
        act(page, rng)
        counts[act] += 1
        page.wait_for_timeout(2500*rng.random())


def main(file, minutes=60):
    "Start everything, and use it."
    def write(found): Path(file).write_text(json.dumps(found, indent=1) + "\n")
    with TemporaryDirectory() as home, sync_playwright() as p, ThreadPoolExecutor(3) as pool:
        process, address = start_explorer(Path(home))
        try:
            wait_for(address)
            options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
            browser = p.chromium.launch(executable_path=CHROMIUM, args=options)
            page = browser.new_page(viewport=dict(width=1280, height=900))
            wire = page.context.new_cdp_session(page)
            wire.send("Performance.enable")
            page.goto(address)
            page.wait_for_selector(".ssn .scores svg")
            end = time.time() + 60*minutes
            students = [pool.submit(ask_at_random, address, number, end) for number in range(3)]
            use(page, wire, process, minutes, write)
            print(sum(student.result() for student in students), "questions of students")
            browser.close()
        finally:
            process.terminate()
            process.wait(20)


if __name__ == "__main__": main(sys.argv[1], *map(float, sys.argv[2:]))
