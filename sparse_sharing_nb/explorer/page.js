// The page of the explorer. It runs in three places: on our server's page, in a notebook, and in a file
// that has neither. `data` says what there is to show, `levels` which weight falls when, and
// `ask(what, body)` fetches what has to be counted with the network. Text reaches the page as text only.

const PRUNED = "pruned", SHUFFLED = "independently shuffled", HIERARCHICAL = "hierarchical";
const ELECTED = "elected";    // in one stage: a slider says how much its task claims
const PLACEMENTS = [PRUNED, SHUFFLED, HIERARCHICAL, ELECTED];
const NOBODY = "#E6E6E6", ALL = "#444444", INK = "#1a1a1a";
const REMEMBERED = 8;    // joint trainings that stay in the table
const SIDE = 7;          // of the square of a weight, in pixels

// ---------------------------------------------------------------- helpers

function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
        if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
        else node.setAttribute(name, value);
    }
    node.append(...children);    // a string becomes a text node: markup in a name stays harmless
    return node;
}
const make = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);
const draw = (tag, attributes = {}, ...children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
const pause = ms => new Promise(done => setTimeout(done, ms));
const sum = numbers => numbers.reduce((a, b) => a + b, 0);
const percent = share => `${+(100*share).toFixed(2)}%`;
const digits = (value, n = 2) => value === null ? "–" : value.toFixed(n).replace(/^-(0\.?0*)$/, "$1");
const signed = (value, n = 2) => (value > 0 ? "+" : "") + digits(value, n);
const bytesOf = base64 => Uint8Array.from(atob(base64), c => c.charCodeAt(0));
const show = (node, ...children) => node.replaceChildren(...children);

// ---------------------------------------------------------------- a setting

// {stops: {task: number of the slider's stop}, placement}; a line of text says the same, to be copied
const pruned = stops => ({stops: {...stops}, placement: PRUNED});
const electedSetting = e => ({stops: {...e.data.half}, placement: ELECTED});
const copyOf = setting => ({stops: {...setting.stops}, placement: setting.placement});
const keyOf = setting => `${Object.values(setting.stops).join(",")} ${setting.placement}`;
const keptAt = (e, task, stop) => e.data.stops[task][stop].kept / e.nWeights;
const everything = e => Object.fromEntries(e.tasks.map(task => [task, e.data.stops[task].length - 1]));

function writeSetting(e, setting) {
    const words = e.tasks.map(task => `${task}=${percent(keptAt(e, task, setting.stops[task]))}`);
    return words.join(" ") + (setting.placement === PRUNED ? "" : `, ${setting.placement}`);
}

function readWord(e, word, setting) {
    const [, name, number] = word.match(/^(.+)[=:]([\d.]+)%?$/) ?? [];
    const task = e.tasks.find(task => task.toLowerCase() === name), share = parseFloat(number)/100;
    if (!task || !(share >= 0 && share <= 1)) {
        const example = `${e.tasks[0]}=50%`;
        throw Error(`${word}: not understood; write ${example} or one of: ${PLACEMENTS.join(", ")}`);
    }
    const away = e.data.stops[task].map(stop => Math.abs(stop.kept - share*e.nWeights));
    setting.stops[task] = away.indexOf(Math.min(...away));    // the nearest place where the slider can stand
}

// Names in any case, commas or spaces; a task left out keeps its value, an empty line changes nothing.
function readSetting(e, line) {
    const setting = copyOf(e.setting);
    let rest = line.slice(0, 500).toLowerCase();
    if (!rest.trim()) return setting;
    const placement = PLACEMENTS.find(name => rest.includes(name));
    if (placement === ELECTED && !e.elected) throw Error(`elected: press ${ACTIONS.stage[0]} first`);
    if (placement === ELECTED) return electedSetting(e);
    setting.placement = placement ?? PRUNED;
    if (placement) rest = rest.replace(placement, " ");
    rest = rest.replace(/\s*([=:])\s*/g, "$1").replace(/\s+%/g, "%");
    for (const word of rest.split(/[\s,;]+/).filter(Boolean)) readWord(e, word, setting);
    if (setting.placement === HIERARCHICAL && !e.highest)
        throw Error("hierarchical: needs a network of two layers, and this one has one");
    return setting;
}

// ---------------------------------------------------------------- masks: who owns how many weights

// A weight is kept at every stop from its level on. `levels` holds a byte for each weight, task after task,
// first as pruned, then as independently shuffled.
function levelsOf(e, task, placement) {
    const number = e.tasks.indexOf(task) + (placement === SHUFFLED ? e.tasks.length : 0);
    return e.levels.subarray(number*e.nWeights, (number + 1)*e.nWeights);
}

// What one stage elected comes with its training, as the owners of every weight.
const isElected = e => e.setting.placement === ELECTED;

// In hierarchical sharing the first task loses the highest layer.
const isDropped = (e, task, tensor) => e.setting.placement === HIERARCHICAL
    && task === e.tasks[0] && tensor.layer === e.highest;

// The owners of a weight as a number: bit i says that task i keeps it.
// For each tensor: how many of its weights have which owners.
function countOwners(e) {
    const levels = e.tasks.map(task => levelsOf(e, task, e.setting.placement));
    return e.data.tensors.map(tensor => {
        const counts = new Int32Array(2**e.tasks.length), end = tensor.start + tensor.size;
        const stops = e.tasks.map(task => isDropped(e, task, tensor) ? -1 : e.setting.stops[task]);
        if (isElected(e)) for (const owners of e.elected.subarray(tensor.start, end)) counts[owners]++;
        else for (let w = tensor.start; w < end; w++) {
            let owners = 0;
            for (let i = 0; i < levels.length; i++) owners |= (levels[i][w] <= stops[i]) << i;
            counts[owners]++;
        }
        return counts;
    });
}

const countIf = (counts, holds) => sum(Array.from(counts, (n, owners) => holds(owners) ? n : 0));
const ownedBy = (counts, i) => countIf(counts, owners => owners >> i & 1);
const totalOf = (e, holds) => sum(e.counts.map(counts => countIf(counts, holds)));

// Weights kept by all over weights kept by any; by chance, at these densities of every tensor; and beyond.
function overlap(e, tasks) {
    const group = sum(tasks.map(i => 1 << i));
    const ratio = totalOf(e, owners => (owners & group) === group)/totalOf(e, owners => owners & group);
    let shared = 0, touched = 0;
    e.counts.forEach((counts, l) => {
        const size = e.data.tensors[l].size, densities = tasks.map(i => ownedBy(counts, i)/size);
        shared += size*densities.reduce((a, d) => a*d, 1);
        touched += size*(1 - densities.reduce((a, d) => a*(1 - d), 1));
    });
    if (!touched) return {ratio: null, chance: null, corrected: null};
    const chance = shared/touched;
    return {ratio, chance, corrected: chance === 1 ? null : (ratio - chance)/(1 - chance)};
}

const overlapOfAll = e => overlap(e, e.tasks.map((_, i) => i));
const density = (e, i) => totalOf(e, owners => owners >> i & 1)/e.nWeights;
const merged = e => totalOf(e, owners => owners > 0) + e.data.nBiases;

// ---------------------------------------------------------------- pictures of the masks

function overlapCell(e, i, j) {
    const {ratio, chance, corrected} = overlap(e, [i, j]);
    const dark = (.45*(ratio ?? 0)).toFixed(2), style = `background: rgba(0,0,0,${dark})`;
    const about = corrected === null ? "–" : signed(corrected);
    return make("td", {style}, make("b", {}, digits(ratio)),
        make("small", {}, `chance ${digits(chance)}`), make("small", {}, `corrected ${about}`));
}

function densityCell(e, i) {
    const style = `background: ${e.data.colours[i]}4D`;
    const lines = [`${e.tasks[i]} keeps`, percent(density(e, i))];
    return make("td", {style}, ...lines.map(line => make("span", {}, line)));
}

function showOverlap(e) {
    const rows = e.tasks.map((_, i) => {
        const cells = e.tasks.slice(0, i).map((_, j) => overlapCell(e, i, j));
        return make("tr", {}, ...cells, densityCell(e, i));
    });
    show(e.ui.overlap, make("caption", {}, "overlap ratio"), ...rows);
}

function showLayers(e) {
    const rows = [...new Set(e.data.tensors.map(tensor => tensor.layer))].map(layer => {
        const places = e.data.tensors.flatMap((tensor, l) => tensor.layer === layer ? [l] : []);
        const size = sum(places.map(l => e.data.tensors[l].size));
        const bars = e.tasks.map((task, i) => {
            const share = sum(places.map(l => ownedBy(e.counts[l], i)))/size;
            const style = `width: ${100*share}%; background: ${e.data.colours[i]}`;
            const track = make("span", {class: "track"}, make("span", {style}));
            return make("div", {}, track, `${task} ${(100*share).toFixed(0)}%`);
        });
        return make("tr", {}, make("th", {}, layer), make("td", {}, ...bars));
    });
    show(e.ui.layers, make("caption", {}, "density per layer"), ...rows);
}

function coloursOf(e, owners) {
    if (!owners) return [NOBODY];
    if (owners === 2**e.tasks.length - 1 && e.tasks.length > 1) return [ALL];
    return e.data.colours.filter((_, i) => owners >> i & 1);
}

// A corner of one matrix, a square for each weight in the colours of its owners.
function showMatrix(e) {
    const part = e.data.parts[e.ui.part.value], canvas = e.ui.matrix, pen = canvas.getContext("2d");
    const rows = Math.min(part.rows, 32), columns = Math.min(part.columns, 32), of = ownersIn(e, part);
    canvas.width = columns*SIDE;
    canvas.height = rows*SIDE;
    for (let row = 0; row < rows; row++) for (let column = 0; column < columns; column++) {
        const colours = coloursOf(e, of(part.start + row*part.columns + column));
        paint(pen, column*SIDE, row*SIDE, colours);
    }
    const size = `${rows} by ${columns} weights`;
    canvas.setAttribute("aria-label", `${part.name}: ${size}. ${describeOwners(e)}`);
}

// Weight -> its owners, in one piece of the network.
function ownersIn(e, part) {
    if (isElected(e)) return w => e.elected[w];
    const tensor = e.data.tensors[part.tensor];
    const levels = e.tasks.map(task => levelsOf(e, task, e.setting.placement));
    const stops = e.tasks.map(task => isDropped(e, task, tensor) ? -1 : e.setting.stops[task]);
    return w => sum(levels.map((level, i) => (level[w] <= stops[i]) << i));
}

function paint(pen, x, y, colours) {
    const width = (SIDE - 1)/colours.length;
    colours.forEach((colour, i) => {
        pen.fillStyle = colour;
        pen.fillRect(x + i*width, y, width, SIDE - 1);
    });
}

function ownersName(e, owners) {
    return e.tasks.filter((_, i) => owners >> i & 1).join(" + ") || "nobody";
}

function describeOwners(e) {
    const shares = [...Array(2**e.tasks.length).keys()].map(owners => {
        const n = totalOf(e, others => others === owners);
        return `${ownersName(e, owners)} ${percent(n/e.nWeights)}`;
    });
    return `In the whole network the weights belong to: ${shares.join(", ")}.`;
}

function ownersLegend(e) {
    const bits = owners => sum(e.tasks.map((_, i) => owners >> i & 1));
    const sets = [...Array(2**e.tasks.length).keys()].sort((a, b) => bits(a) - bits(b));
    return sets.map(owners => key(coloursOf(e, owners), ownersName(e, owners)));
}

function key(colours, words) {
    const parts = colours.map(colour => make("i", {style: `background: ${colour}`}));
    return make("span", {class: "key"}, make("span", {class: "patch"}, ...parts), words);
}

function showSharing(e) {
    const {ratio, chance, corrected} = overlapOfAll(e), n = merged(e), all = e.data.nCore;
    const bold = text => make("b", {}, text), count = n => n.toLocaleString("en");
    const together = [bold("All tasks together"), " share ", bold(digits(ratio)), " of the weights they use ",
        `(chance ${digits(chance)}, corrected ${digits(corrected)}). `];
    const share = `(${(100*n/all).toFixed(0)}%)`;
    const size = [bold("Merged network: "), bold(count(n)), ` of ${count(all)} core parameters ${share}. `];
    show(e.ui.sharing, ...together, ...size, bold("Masks: "), `${e.setting.placement}.`);
}

// ---------------------------------------------------------------- pictures of the scores

const scoreKey = (task, stop, placement) => `${task} ${stop} ${placement}`;
const trainingOf = (e, setting) => e.trainings.find(training => training.key === keyOf(setting));

// A hierarchical head reads another layer than the one it was trained on: its subnet has no score alone.
// Nor have elected ones: they were never trained by themselves.
const isTrained = (e, task) => !isElected(e)
    && (e.setting.placement !== HIERARCHICAL || task !== e.tasks[0]);
const placementOf = e => e.setting.placement === SHUFFLED ? SHUFFLED : PRUNED;
const scoreOf = (e, task) => e.scores.get(scoreKey(task, e.setting.stops[task], placementOf(e)));
const denseOf = (e, task) => e.scores.get(scoreKey(task, e.data.stops[task].length - 1, PRUNED))[0];

function axes(e, width, height, xs, toX, toY, size) {
    const grid = [], left = toX(xs[0]), right = toX(xs.at(-1));
    for (let y = e.floor; y <= 100; y += e.floor < 60 ? 20 : 10) grid.push(
        draw("line", {x1: left, x2: right, y1: toY(y), y2: toY(y), class: "grid"}),
        draw("text", {x: left - 5, y: toY(y) + .35*size, "text-anchor": "end"}, `${y}`));
    for (const x of xs) grid.push(
        draw("line", {x1: toX(x), x2: toX(x), y1: toY(e.floor), y2: toY(100), class: "grid"}),
        draw("text", {x: toX(x), y: height - 3, "text-anchor": "middle"}, `${x}`));
    return draw("svg", {width, height, viewBox: `0 0 ${width} ${height}`, role: "img"}, ...grid);
}

// Where things stand in a picture: letters keep their size, whatever its width.
function frame(e, node, x0, x1) {
    const size = parseFloat(getComputedStyle(node).fontSize), width = node.clientWidth || 240;
    const lines = e.root.classList.contains("presenter") ? 8.8 : 13;
    const height = Math.max(8*size, Math.min(.75*width, lines*size));
    const left = 2.2*size, right = width - 1.4*size;
    const toX = x => left + (x - x0)/(x1 - x0)*(right - left);
    const top = .6*size, tall = height - 1.8*size - top;
    const toY = y => top + (100 - Math.max(y, e.floor))/(100 - e.floor)*tall;
    return {size, width, height, toX, toY};
}

const line = (points, look) =>
    draw("polyline", {points: points.map(point => point.join(",")).join(" "), fill: "none", ...look});
const whisker = (x, [, low, high], toY) =>
    draw("line", {x1: x, x2: x, y1: toY(low), y2: toY(high), stroke: "black", "stroke-width": 3});

function scorePicture(e, task, i, node) {
    const {size, width, height, toX, toY} = frame(e, node, 0, 100), colour = e.data.colours[i];
    const picture = axes(e, width, height, [0, 50, 100], toX, toY, size), dense = toY(denseOf(e, task));
    picture.append(draw("line", {x1: toX(0), x2: toX(100), y1: dense, y2: dense, class: "dense"}));
    const at = placement => e.data.rounds[task].map(stop => {
        const [score] = e.scores.get(scoreKey(task, stop, placement));
        return [toX(100*keptAt(e, task, stop)), toY(score)];
    });
    picture.append(...dotted(at(SHUFFLED), "#777", "white"), ...dotted(at(PRUNED), colour, colour));
    const x = toX(100*density(e, i)), together = trainingOf(e, e.setting)?.final[task];
    const alone = isTrained(e, task) && scoreOf(e, task);
    if (together) picture.append(whisker(x + 12, together, toY), diamond(x + 12, toY(together[0]), colour));
    if (alone) picture.append(whisker(x, alone, toY), disc(x, toY(alone[0]), colour));
    return picture;
}

function dotted(points, stroke, fill) {
    const dots = points.map(([cx, cy]) => draw("circle", {cx, cy, r: 4, stroke, fill}));
    return [line(points, {stroke, "stroke-width": 1.5}), ...dots];
}

const disc = (cx, cy, fill) => draw("circle", {cx, cy, r: 8, fill, stroke: "black", "stroke-width": 2});

const diamond = (x, y, fill) => draw("path",
    {d: `M${x} ${y-9}L${x+9} ${y}L${x} ${y+9}L${x-9} ${y}Z`, fill, stroke: "black", "stroke-width": 2});

// What can be said of a task in this setting: alone, as its own search trained it, and trained jointly.
function said(label, score, why) {
    const number = make("b", {}, score ? score[0].toFixed(1) : "–");
    const below = score ? `${score[1].toFixed(1)}–${score[2].toFixed(1)}` : why;
    return make("div", {}, make("span", {}, label), number, make("small", {}, below));
}

function scoreWords(e, task) {
    const alone = isTrained(e, task) ? scoreOf(e, task) : null;
    const together = trainingOf(e, e.setting)?.final[task];
    const label = e.setting.placement === SHUFFLED ? "alone, moved" : "alone";
    return [said(label, alone, isTrained(e, task) ? "…" : "not trained this way"),
            said("jointly", together, "not trained yet")];
}

function showScores(e) {
    e.tasks.forEach((task, i) => {
        const {picture, words} = e.ui.scores[task];
        show(words, ...scoreWords(e, task));
        show(picture, scorePicture(e, task, i, picture));
        const said = words.innerText.replace(/\n/g, ", ");
        picture.firstChild.setAttribute("aria-label", `${task}, score over density: ${said}`);
    });
    showHistory(e);
}

// Dev scores of joint training, epoch by epoch: the training that is going on, or that of this setting.
function showHistory(e) {
    const node = e.ui.history.picture, training = e.running ?? trainingOf(e, e.setting);
    const n = training?.epochs ?? e.data.epochs, history = training?.history ?? [];
    const {size, width, height, toX, toY} = frame(e, node, 1, Math.max(n, 2));
    const ticks = [...new Set([1, Math.ceil(n/2), n])];
    const picture = axes(e, width, height, ticks, toX, toY, size);
    e.tasks.forEach((task, i) => {
        const points = history.map((dev, epoch) => [toX(epoch + 1), toY(dev[task])]);
        picture.append(...dotted(points, e.data.colours[i], e.data.colours[i]));
    });
    show(node, picture);
    show(e.ui.history.words, historyWords(e, training, history.at(-1)));
    const said = e.ui.history.words.innerText.replace(/\n/g, ", ");
    picture.setAttribute("aria-label", `joint training, score over epoch: ${said}`);
}

function historyWords(e, training, last) {
    const words = e.running ? e.running.words : training ? "this setting" : "press train jointly";
    const keyOf = (task, i) => key([e.data.colours[i]], `${task} ${last[task].toFixed(1)}`);
    return make("div", {}, make("span", {}, words), ...(last ? e.tasks.map(keyOf) : []));
}

// ---------------------------------------------------------------- what has to be asked

async function fetchScore(e, task, stop, placement) {
    const name = scoreKey(task, stop, placement);
    if (!e.scores.has(name)) e.scores.set(name, (await e.ask("score", {task, stop, placement})).score);
}

async function fetchScores(e) {
    const {stops, placement} = copyOf(e.setting), key = keyOf(e.setting);
    for (const task of e.tasks.filter(task => isTrained(e, task))) {
        await fetchScore(e, task, stops[task], placement === SHUFFLED ? SHUFFLED : PRUNED);
        if (keyOf(e.setting) !== key) return;    // the sliders have moved on
    }
    showScores(e);
    if (e.data.live) await fetchTags(e);
}

async function fetchTags(e) {
    const body = {...copyOf(e.setting), sentence: e.ui.sentence.value}, key = keyOf(e.setting);
    const {sentences} = await e.ask("tags", body);
    if (keyOf(e.setting) === key) show(e.ui.tags, ...sentences.map(sentence => tagsTable(e, sentence)));
}

function tagCell(e, i, label, dense) {
    const isOutside = label === "O", name = isOutside ? "·" : label;
    const style = isOutside ? "" : `background: ${e.data.colours[i]}4D`;
    if (label === dense) return make("td", {style}, name);
    return make("td", {style, class: "changed"}, label, make("small", {}, `was ${dense}`));
}

function tagsTable(e, {words, tags, dense}) {
    const rows = e.tasks.map((task, i) => {
        const cells = words.map((_, n) => tagCell(e, i, tags[task][n], dense[task][n]));
        return make("tr", {}, make("th", {style: `background: ${e.data.colours[i]}4D`}, task), ...cells);
    });
    const head = make("tr", {}, make("th"), ...words.map(word => make("th", {}, word)));
    return make("div", {class: "scroll", tabindex: 0}, make("table", {class: "tags"}, head, ...rows));
}

function say(e, text) {
    show(e.ui.message, text);
}

// Whatever an answer brings, an error becomes a message.
async function trying(e, act) {
    try { await act(); } catch (error) { say(e, error.message); }
}

// ---------------------------------------------------------------- joint training

async function train(e, setting) {
    const key = keyOf(setting);
    if (trainingOf(e, setting))
        return say(e, "this setting has been trained: see the table of joint trainings");
    say(e, "");
    let state = await e.ask("train", setting);
    e.running = {key, setting};
    while (!state.over) {
        const isEarly = setting.placement === ELECTED && !state.history.length;
        const words = state.ahead ? `waits for ${state.ahead} before it`
            : isEarly ? "branches, then an election …" : "training …";
        Object.assign(e.running, {...state, words});
        showProgress(e, state.share);
        await pause(250);
        state = await e.ask("progress", setting);
    }
    e.running = null;
    if (state.final) remember(e, {...state, setting});
    showProgress(e, 0);
    showScores(e);
}

// Nothing to set: the masks come out of the training. They are shown unless sliders have moved meanwhile.
async function trainInOneStage(e) {
    const setting = electedSetting(e), before = keyOf(e.setting);
    if (!trainingOf(e, setting)) await train(e, setting);
    if (trainingOf(e, setting) && keyOf(e.setting) === before) moveTo(e, setting);
}

function remember(e, training) {
    const {setting} = training, was = e.setting;
    if (training.owners) e.elected = bytesOf(training.owners);
    e.setting = setting;    // what was trained, wherever the sliders are by now
    e.counts = countOwners(e);
    Object.assign(training, {key: keyOf(setting), parameters: merged(e), overlap: overlapOfAll(e).ratio});
    e.setting = was;
    e.counts = countOwners(e);
    e.trainings.push(training);
    if (e.data.live) e.trainings.splice(0, e.trainings.length - REMEMBERED);
    showTrainings(e);
}

function showProgress(e, share) {
    e.ui.progress.value = share;
    e.ui.progress.style.visibility = e.running ? "visible" : "hidden";
    for (const name of ["train", "stage"]) e.buttons[name].disabled = Boolean(e.running);
    e.buttons.cancel.disabled = !e.running;
    showHistory(e);
}

function rowOf(e, training) {
    const scores = e.tasks.flatMap(task => {
        const value = training.final[task][0];
        return [value.toFixed(1), signed(value - denseOf(e, task), 1)];
    });
    const {setting, parameters, seconds} = training;
    return [writeSetting(e, setting), parameters, digits(training.overlap), ...scores, seconds.toFixed(0)];
}

const heads = e => ["setting", "parameters", "overlap", ...e.tasks.flatMap(task => [task, "Δ"]), "seconds"];

function showTrainings(e) {
    const rows = e.trainings.map(training => {
        const [name, ...cells] = rowOf(e, training);
        const back = make("button", {onclick: () => moveTo(e, copyOf(training.setting))}, name);
        return make("tr", {}, make("td", {}, back), ...cells.map(cell => make("td", {}, cell)));
    });
    const head = make("tr", {}, ...heads(e).map(name => make("th", {}, name)));
    show(e.ui.trainings, head, ...rows);
    e.ui.memory.hidden = !rows.length;
}

function csvOf(e) {
    const quoted = cell => `"${String(cell).replace(/"/g, '""').replace(/^[=+@-](?=\D)/, "'$&")}"`;
    const rows = [heads(e), ...e.trainings.map(training => rowOf(e, training))];
    return rows.map(row => row.map(quoted).join(",")).join("\n") + "\n";
}

function download(e) {
    const href = URL.createObjectURL(new Blob([csvOf(e)], {type: "text/csv"}));
    make("a", {href, download: "joint-trainings.csv"}).click();
    setTimeout(() => URL.revokeObjectURL(href), 1000);
}

// ---------------------------------------------------------------- what happens when something moves

// What masks alone decide is drawn at once; the rest when the sliders have rested for a moment.
function moved(e) {
    e.counts = countOwners(e);
    showSliders(e);
    showOverlap(e);
    showLayers(e);
    showMatrix(e);
    showSharing(e);
    say(e, "");
    e.ui.line.value = writeSetting(e, e.setting);
    e.ui.link.href = linkTo(e.ui.line.value);
    clearTimeout(e.timer);
    e.timer = setTimeout(() => trying(e, () => fetchScores(e)), 60);
    showScores(e);
}

// The link opens the page in this setting; it keeps whatever else the address holds, such as a token.
function linkTo(line) {
    const asked = new URLSearchParams(location.search);
    asked.set("setting", line);
    return `?${asked}`;
}

function showSliders(e) {
    e.tasks.forEach((task, i) => {
        const stop = e.setting.stops[task], {slider, readout} = e.ui.sliders[task], share = density(e, i);
        const isCut = e.setting.placement === HIERARCHICAL && i === 0;
        slider.value = stop;
        const {label} = e.data.stops[task][stop];
        const words = isCut ? `${percent(share)}, without ${e.highest}`
            : isElected(e) ? `${(100*share).toFixed(1)}% of ${label}` : label;
        show(readout, words);
        slider.setAttribute("aria-valuetext", words);
    });
}

function moveTo(e, setting) {
    e.setting = setting;
    moved(e);
}

function shuffle(e) {
    const full = everything(e), isFull = task => e.setting.stops[task] === full[task];
    if (e.tasks.every(isFull))
        return say(e, "whole tensors are kept: there is nothing to shuffle; move a slider first");
    moveTo(e, {...copyOf(e.setting), placement: SHUFFLED});
}

function cancel(e) {
    if (e.running) trying(e, () => e.ask("cancel", e.running.setting));
}

function reset(e) {
    cancel(e);
    e.ui.sentence.value = e.data.sentence;
    moveTo(e, pruned(e.data.opening));
}

// {button: [what it says, what it explains, what it does]}
const ACTIONS = {
    best: ["best on dev", "each task at its best round", e => moveTo(e, pruned(e.data.best))],
    pruned: ["as pruned", "these densities, as they were found", e => moveTo(e, pruned(e.setting.stops))],
    shuffle: ["shuffle independently", "the same densities, each task at random places of its own", shuffle],
    hard: ["hard sharing", "every task keeps every weight", e => moveTo(e, pruned(everything(e)))],
    hierarchical: ["hierarchical", "the first task reads all layers but the highest",
        e => moveTo(e, {stops: everything(e), placement: HIERARCHICAL})],
    stage: ["one stage", "without a search: each task claims half of the weights, and the tasks elect",
        e => trying(e, () => trainInOneStage(e))],
    train: ["train jointly", "from w0 with these masks", e => trying(e, () => train(e, copyOf(e.setting)))],
    cancel: ["cancel", "stop the training", cancel],
    reset: ["reset", "as it was at the start", reset],
};

// ---------------------------------------------------------------- predict first

// What is counted once a question's setting is on the page: a number, or which of the choices came true.
const MEASURES = {
    overlap: e => overlap(e, [0, 1]).ratio,
    loss: e => {
        const task = e.tasks.at(-1), stop = e.setting.stops[task];
        const [stayed, moved] = [PRUNED, SHUFFLED].map(where => e.scores.get(scoreKey(task, stop, where))[0]);
        return stayed - moved;
    },
};

async function fetchBoth(e) {
    const task = e.tasks.at(-1), stop = e.setting.stops[task];
    for (const placement of [PRUNED, SHUFFLED]) await fetchScore(e, task, stop, placement);
}

async function reveal(e, question, said, answer) {
    moveTo(e, copyOf(question.setting));
    await fetchBoth(e);
    const found = MEASURES[question.measure](e);
    const isNumber = !question.choices, {chance} = overlap(e, [0, 1]);
    const verdict = isNumber ? `You said ${said}; it is ${digits(found)}, and ${digits(chance)} by chance. `
        : `You said: ${said}. It is ${found.toFixed(1)} points. `;
    show(answer, make("b", {}, verdict), question.answer);
}

function predictionOf(question, number) {
    const label = `your prediction for question ${number}`;
    const range = {type: "number", min: 0, max: 1, step: .01, placeholder: "0 to 1"};
    if (!question.choices) return make("input", {...range, "aria-label": label});
    const optionOf = choice => make("option", {value: choice}, choice || "choose …");
    const options = ["", ...question.choices].map(optionOf);
    return make("select", {"aria-label": label}, ...options);
}

function questionCard(e, question, number) {
    const prediction = predictionOf(question, number);
    const answer = make("p", {class: "answer", "aria-live": "polite"});
    const isGiven = () => prediction.value !== "" && prediction.checkValidity();
    const button = make("button", {disabled: "", onclick: () =>
        trying(e, () => reveal(e, question, prediction.value, answer))}, `show question ${number}`);
    prediction.addEventListener("input", () => button.disabled = !isGiven());
    const asked = make("p", {}, make("b", {}, `${number}. Predict first. `), question.text);
    return make("div", {class: "card"}, asked, make("div", {class: "row"}, prediction, button), answer);
}

function questions(e) {
    const cards = e.data.questions.map((question, i) => questionCard(e, question, i + 1));
    const choose = make("select", {"aria-label": "question", onchange: event =>
        cards.forEach((card, i) => card.hidden = i !== Number(event.target.value))});
    cards.forEach((card, i) => {
        card.hidden = i > 0;
        choose.append(make("option", {value: i}, `question ${i + 1}`));
    });
    return make("div", {class: "questions"}, choose, ...cards);
}

// ---------------------------------------------------------------- everything in its place

function sliderOf(e, task, i) {
    const slider = make("input", {type: "range", min: 0, max: e.data.stops[task].length - 1, step: 1,
        "aria-label": `density of ${task}`, style: `--colour: ${e.data.colours[i]}`,
        oninput: () => {
            e.setting.stops[task] = Number(slider.value);
            if (isElected(e)) e.setting.placement = PRUNED;
            moved(e);
        }});
    const readout = make("output", {class: "readout"});
    e.ui.sliders[task] = {slider, readout};
    return make("div", {class: "slider"}, make("span", {class: "name"}, task), slider, readout);
}

function buttonOf(e, name) {
    const [words, title, act] = ACTIONS[name];
    e.buttons[name] = make("button", {title, onclick: () => act(e)}, words);
    return e.buttons[name];
}

function makeInputs(e) {
    const options = e.data.parts.map((part, i) => make("option", {value: i}, part.name));
    const read = () => trying(e, () => moveTo(e, readSetting(e, e.ui.line.value)));
    const tag = () => trying(e, () => fetchTags(e));
    Object.assign(e.ui, {
        part: make("select", {"aria-label": "matrix", onchange: () => showMatrix(e)}, ...options),
        line: make("input", {"aria-label": "setting", maxlength: 500, onchange: read}),
        link: make("a", {hidden: ""}, "link to this setting"),
        sentence: make("input", {"aria-label": "sentence", maxlength: 400, onchange: tag}),
    });
    e.ui.link.hidden = !e.inPage;
    e.ui.part.value = e.data.part;
    e.ui.sentence.value = e.data.sentence;
}

function makeOutputs(e) {
    Object.assign(e.ui, {
        overlap: make("table", {class: "overlap"}), layers: make("table", {class: "layers"}),
        matrix: make("canvas", {role: "img"}), sharing: make("p", {class: "sharing", "aria-live": "polite"}),
        message: make("div", {class: "note", role: "alert"}), tags: make("div"),
        progress: make("progress", {max: 1, value: 0, "aria-label": "training"}),
        trainings: make("table", {class: "trainings"}), sliders: {}, scores: {},
    });
    for (const task of e.tasks) e.ui.scores[task] = panel();
    e.ui.history = panel();
}

const panel = () => ({picture: make("div", {class: "picture"}), words: make("div", {class: "words"})});

function scorePanels(e) {
    const titled = (title, {picture, words}) =>
        make("figure", {}, make("figcaption", {}, title), words, picture);
    return [...e.tasks.map(task => titled(task, e.ui.scores[task])), titled("trained jointly", e.ui.history)];
}

function memory(e) {
    const which = e.data.live ? `The last ${REMEMBERED} stay.` : "All were counted beforehand.";
    const about = `Δ: points above the dense network, trained alone. Seconds are those of this training: masks
        as pruned had cost a search before it, elected ones had not. ${which} Press a setting to go to it.`;
    const save = make("button", {onclick: () => download(e)}, "save as CSV");
    const table = make("div", {class: "scroll", tabindex: 0}, e.ui.trainings);
    const title = make("h3", {}, "joint trainings");
    e.ui.memory = make("section", {class: "memory"}, title, table, make("p", {}, about), save);
    return e.ui.memory;
}

function leftSide(e) {
    const sliders = e.tasks.map((task, i) => sliderOf(e, task, i));
    const buttons = make("div", {class: "buttons"}, ...Object.keys(ACTIONS).map(name => buttonOf(e, name)));
    const title = make("h3", {}, "density (share of weights kept)");
    const handles = make("div", {class: "sliders"}, title, ...sliders);
    const controls = [handles, e.ui.message, buttons, e.ui.progress, questions(e)];
    return make("div", {class: "left"}, ...controls);
}

function rightSide(e) {
    const legend = make("div", {class: "legend"}, ...ownersLegend(e));
    const matrix = make("div", {class: "matrix"}, e.ui.part, e.ui.matrix, legend);
    const n = e.data.nTokens.toLocaleString("en");
    const about = `Large dot: the subnet of this moment, alone; diamond: trained jointly; bars: 95% sampling
        error of ${n} or more tokens of dev text. Small dots: rounds of the search; hollow: the same densities
        at random places (at the lower edge if below it); dashed: the dense network.`;
    const masks = make("div", {class: "masks"}, e.ui.overlap, matrix, e.ui.layers);
    const scores = make("div", {class: "scores"}, ...scorePanels(e));
    return make("div", {class: "right"}, masks, e.ui.sharing, scores, make("p", {class: "about"}, about));
}

function presenter(e) {
    const isOn = e.root.classList.toggle("presenter");
    e.ui.presenter.setAttribute("aria-pressed", isOn);
    showScores(e);
}

function layOut(e) {
    const look = {class: "presenter-switch", "aria-pressed": false, onclick: () => presenter(e)};
    e.ui.presenter = make("button", look, "presenter");
    const words = "The explorer: move the pruning rates, watch overlap and accuracy";
    const title = make("header", {}, make("h2", {}, words), e.ui.presenter);
    const labelled = (name, ...nodes) => make("div", {class: "field"}, make("span", {}, name), ...nodes);
    const typed = [labelled("setting", e.ui.line, e.ui.link)];
    if (e.data.live) typed.push(labelled("sentence", e.ui.sentence), e.ui.tags);
    const sides = make("div", {class: "sides"}, leftSide(e), rightSide(e));
    show(e.root, title, sides, make("div", {class: "below"}, ...typed, memory(e)));
}

function lockButtons(e) {
    showProgress(e, 0);
    if (e.highest) return;
    e.buttons.hierarchical.disabled = true;
    show(e.buttons.hierarchical, "hierarchical (needs two layers)");
}

function firstSetting(e) {
    const line = new URLSearchParams(location.search).get("setting");
    if (line && e.inPage) trying(e, () => moveTo(e, readSetting(e, line)));
}

// The layer that hierarchical sharing takes away from the first task; null if there is but one.
function highestLayer(e) {
    const layers = e.data.tensors.map(tensor => tensor.layer).filter(name => name.startsWith("layer"));
    const n = new Set(layers).size;
    return n > 1 ? `layer ${n}` : null;
}

// Pictures of scores begin a little below the worst round of all searches.
function lowestShown(e) {
    const of = task => e.data.rounds[task].map(stop => e.scores.get(scoreKey(task, stop, PRUNED))[0]);
    return Math.max(0, 10*Math.floor(Math.min(...e.tasks.flatMap(of))/10 - .5));
}

export function start(root, data, levels, ask, inPage = true) {
    const e = {root, data, levels, ask, inPage, tasks: data.tasks};
    Object.assign(e, {ui: {}, buttons: {}, trainings: [], running: null});
    e.nWeights = sum(data.tensors.map(tensor => tensor.size));
    e.highest = highestLayer(e);
    e.scores = new Map(Object.entries(data.scores));
    e.floor = lowestShown(e);
    e.setting = pruned(data.opening);
    root.classList.add("ssn");
    root.addEventListener("keydown", event => event.stopPropagation());    // or JupyterLab would take the key
    makeInputs(e);
    makeOutputs(e);
    layOut(e);
    e.counts = countOwners(e);
    lockButtons(e);
    for (const training of data.trainings) remember(e, training);
    showTrainings(e);
    moved(e);
    firstSetting(e);
    new ResizeObserver(() => showScores(e)).observe(root);
    return e;
}

// ---------------------------------------------------------------- three places to get answers from

// From our server.
export async function askServer(what, body) {
    const headers = {"Content-Type": "application/json"};
    let reply;
    try { reply = await fetch(`ask/${what}`, {method: "POST", headers, body: JSON.stringify(body)}); }
    catch { throw Error("no answer: was the explorer stopped? Start it again and reload the page"); }
    const answer = await reply.json();
    if (!reply.ok) throw Error(answer.error);
    return answer;
}

// From what was counted beforehand, in a page without a server.
export function askNobody(what) {
    const why = {train: "this page has no server: go back to a setting in the table of joint trainings",
                 score: "this score was not counted beforehand"};
    return Promise.reject(Error(why[what] ?? "this page has no server"));
}

// From the kernel of a notebook.
function askKernel(model) {
    const waiting = new Map();
    let number = 0;
    model.on("msg:custom", ({id, answer, error}) => {
        const [done, failed] = waiting.get(id) ?? [];
        waiting.delete(id);
        if (error) failed?.(Error(error)); else done?.(answer);
    });
    return (what, body) => new Promise((done, failed) => {
        waiting.set(++number, [done, failed]);
        model.send({id: number, what, body});
    });
}

export default {
    render({model, el}) {
        const {buffer, byteOffset, byteLength} = model.get("levels");
        const levels = new Uint8Array(buffer, byteOffset, byteLength);
        start(el, model.get("data"), levels, askKernel(model), false);
    },
};
