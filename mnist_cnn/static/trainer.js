// Trains the network of the text in the page. `mnist_cnn.trainer` puts this script, its style and its settings into one piece of HTML;
// the training itself is in `trainer_engine.js`, a Web Worker. In node it gives the functions that need no page.
(() => {
'use strict';

// ---- settings

const CHOICES = {
  n: [100, 300, 1000, 3000, 10000], lr: [1e-4, 3e-4, 1e-3, 2e-3, 5e-3, 1e-2, 3e-2, 0.1, 0.3, 1], bs: [8, 16, 32, 64, 128], epochs: [1, 200],
  optimizer: {adam: 'Adam', momentum: 'SGD, momentum 0.9', sgd: 'SGD'}, decay: [0, 1e-3, 1e-2, 0.1, 0.5, 1], shift: [0, 1, 2, 3],
  wrong: [0, 0.1, 0.25, 0.5, 0.75, 1], init: {good: 'good', zeros: 'all zero', large: 'ten times too large'}, seed: [0, 2 ** 32 - 1],
};
const DEFAULTS = {n: 10000, lr: 2e-3, bs: 32, epochs: 4, optimizer: 'adam', decay: 0, shift: 0, wrong: 0, init: 'good', seed: 42};
const LABELS = {n: 'training digits', lr: 'learning rate', bs: 'batch size', epochs: 'epochs', optimizer: 'optimizer', decay: 'weight decay',
                shift: 'moved by up to, pixels', wrong: 'random labels', init: 'initial weights', seed: 'seed'};
const PRESETS = {
  overfit: {title: 'Overfit on 300 digits', runs: [{n: 300, epochs: 40}],
            watch: 'It soon knows all 300. Its loss on held-out digits falls, then rises again.'},
  memorize: {title: 'Memorize random labels', runs: [{n: 300, epochs: 80, wrong: 1}],
             watch: 'There is nothing to learn, and it learns it all the same. On held-out digits it guesses.'},
  fast: {title: 'Learning rate too high', runs: [{n: 3000, epochs: 2, lr: 0.3}], watch: 'The loss jumps to hundreds, then stays near 2.3, which is guessing among ten classes.'},
  dead: {title: 'Dead units', runs: [{n: 3000, epochs: 3, optimizer: 'sgd', lr: 0.1}, {n: 3000, epochs: 3, lr: 0.01}],
         watch: 'First plain SGD, then Adam. Adam’s first steps kill about half of the 32 units of fc1, or more: they are 0 for every digit, and few come back.'},
  augment: {title: 'What augmentation buys', runs: [{n: 300, epochs: 40}, {n: 300, epochs: 40, shift: 2}],
            watch: 'First 300 digits as they are. Then each moved by up to two pixels, differently in each epoch: more held-out digits are right.'},
};

// What may stand in an address, and nothing else: a setting that is unknown or impossible is as in `base`.
function tidy(given, base = DEFAULTS) {
  const s = {...base};
  for (const [key, allowed] of Object.entries(CHOICES)) {
    if (!(key in given)) continue;
    const v = Array.isArray(allowed) ? Number(given[key]) : String(given[key]);
    const range = ['epochs', 'seed'].includes(key);
    if (range ? Number.isInteger(v) && v >= allowed[0] && v <= allowed[1] : Array.isArray(allowed) ? allowed.includes(v) : Object.hasOwn(allowed, v)) s[key] = v;
  }
  return s;
}
// settings as text: those that differ from `base`, such as "n:300,lr:0.01"
const encode = (s, base) => Object.keys(CHOICES).filter(k => s[k] !== base[k]).map(k => `${k}:${s[k]}`).join(',') || 'as-it-is';
const decode = (text, base) => tidy(Object.fromEntries(text.split(',').map(p => p.split(':')).filter(p => p.length === 2)), base);
const inHash = (hash, key) => hash.replace(/^#/, '').split('&').find(p => p.startsWith(key + '='))?.slice(key.length + 1);
// the settings in the hash, null where there are none or the address is broken
function fromHash(hash, key, base) {
  const text = inHash(hash, key);
  try { return text === undefined ? null : decode(decodeURIComponent(text), base); } catch { return null; }
}
// the hash with `key` set to `text`; anchors of headings, which hold no =, go
const withKey = (hash, key, text) => '#' + [...hash.replace(/^#/, '').split('&').filter(p => p.includes('=') && !p.startsWith(key + '=')), `${key}=${text}`].join('&');
const different = (a, b) => Object.keys(CHOICES).filter(k => a[k] !== b[k]).map(k => `${LABELS[k]} ${shown(k, a[k])}`).join(', ');
const shown = (key, v) => key === 'wrong' ? `${100 * v}%` : Array.isArray(CHOICES[key]) ? v.toLocaleString('en-US', {maximumFractionDigits: 9, useGrouping: key !== 'seed'}) : CHOICES[key][v];

// The Python lines that make the same run.
function python(s, n_held = 2000) {
  const opt = {adam: s.decay ? `, opt=partial(FlatAdam, weight_decay=${s.decay})` : '', sgd: s.decay ? `, opt=partial(torch.optim.SGD, weight_decay=${s.decay})` : ', opt=torch.optim.SGD',
               momentum: `, opt=partial(torch.optim.SGD, momentum=0.9${s.decay ? `, weight_decay=${s.decay}` : ''})`}[s.optimizer];
  const ours = ['page_digits', ...(s.shift ? ['Shift'] : []), ...(s.wrong ? ['mislabel'] : [])].join(', ');
  return [
    ...(opt.includes('partial') ? ['from functools import partial'] : []), ...(opt.includes('torch') ? ['import torch'] : []),
    'from mnist_cnn.data import Batches', 'from mnist_cnn.files import save_weights', 'from mnist_cnn.model import SimpleCNN',
    ...(opt.includes('FlatAdam') ? ['from mnist_cnn.steps import FlatAdam'] : []),
    `from mnist_cnn.trainer import ${ours}`, 'from mnist_cnn.training import evaluate, fit, set_seed', '',
    `x, y, *held_out = page_digits(${s.n}${n_held === 2000 ? '' : `, ${n_held}`})`, ...(s.wrong ? [`y = mislabel(y, ${s.wrong}, ${s.seed})`] : []),
    `set_seed(${s.seed})`, 'model = SimpleCNN()',
    ...(s.init === 'good' ? [] : [`for p in model.parameters(): p.data.mul_(${s.init === 'zeros' ? 0 : 10})`]),
    `train = Batches(x, y, bs=${s.bs}, shuffle=True${s.shift ? `, augment=Shift(${s.shift})` : ''})`,
    `fit(model, train, n_epochs=${s.epochs}, lr=${s.lr}${opt})`, 'print(evaluate(model, Batches(*held_out)))', 'save_weights(model, "mine.pt")',
  ].join('\n');
}

// ---- curves

const WIDE = 320, HIGH = 170, LEFT = 34, BOTTOM = 22, TOP = 8, RIGHT = 6;
// A scale's marks: about `n` round numbers from 0 to `most`.
function ticks(most, n = 4) {
  const raw = most / n, power = 10 ** Math.floor(Math.log10(raw)), step = [1, 2, 5, 10].map(v => v * power).find(v => v >= raw * 0.999);
  return Array.from({length: Math.floor(most / step + 1e-9) + 1}, (_, i) => +(i * step).toPrecision(6));
}
// A line through [x, y], within the frame, as an SVG path.
const line = (points, mx, my) => points.filter(p => p.every(Number.isFinite)).map(([x, y], i) => `${i ? 'L' : 'M'}${(LEFT + x / mx * (WIDE - LEFT - RIGHT)).toFixed(1)} ${(HIGH - BOTTOM - Math.min(y, my) / my * (HIGH - BOTTOM - TOP)).toFixed(1)}`).join('');
// What the axis of the losses reaches to: a run that went astray does not press the others flat.
const highest = points => Math.min(6, Math.max(2.5, ...points.flatMap(p => [p.loss, p.train_loss]).filter(Number.isFinite)));
// Digits seen after so many steps on `n` digits: an epoch's last batch may be smaller.
function seenAfter(steps, n, bs) {
  const each = Math.ceil(n / bs);
  return Math.floor(steps / each) * n + steps % each * bs;
}
// At most `most` points of the losses of the steps, means of as many steps each, over the digits seen.
function smooth(losses, n, bs, most = 120) {
  const each = Math.max(1, Math.ceil(losses.length / most)), out = [];
  for (let i = 0; i < losses.length; i += each) {
    const part = losses.slice(i, i + each);
    out.push([seenAfter(i + part.length, n, bs), part.reduce((a, b) => a + b, 0) / part.length]);
  }
  return out;
}

if (typeof document === 'undefined') {
  module.exports = {CHOICES, DEFAULTS, PRESETS, tidy, encode, decode, inHash, fromHash, withKey, different, python, ticks, line, highest, smooth};
  return;
}

// ---- the page

// WebAssembly with SIMD, workers and unpacking: null, or what is missing
function missing() {
  const simd = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];
  if (typeof WebAssembly !== 'object' || !WebAssembly.validate(new Uint8Array(simd))) return 'WebAssembly with SIMD';
  if (typeof Worker !== 'function') return 'Web Workers';
  if (typeof DecompressionStream !== 'function') return 'DecompressionStream';
  return null;
}
const decoded = base64 => Uint8Array.from(atob(base64), c => c.charCodeAt(0)).buffer;
const svg = (tag, attributes = {}, ...children) => {
  const e = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  e.append(...children);
  return e;
};

// One diagram: `draw` takes lines {points, class} and what the axes reach to.
class Chart {
  constructor(title, percent) {
    this.percent = percent;
    this.frame = svg('g', {class: 'mct-frame'});
    this.lines = svg('g');
    this.element = svg('svg', {viewBox: `0 0 ${WIDE} ${HIGH}`, role: 'img', 'aria-label': title, class: 'mct-chart'}, this.frame, this.lines);
    this.title = title;
  }
  draw(lines, mx, my, says) {
    const key = `${mx} ${my}`, {percent} = this;
    if (key !== this.key) {
      this.key = key;
      const y = v => +line([[0, v]], mx, my).split(' ')[1], x = v => +line([[v, 0]], mx, my).slice(1).split(' ')[0];
      this.frame.replaceChildren(
        ...ticks(my).flatMap(v => [svg('path', {d: `M${LEFT} ${y(v)}H${WIDE - RIGHT}`}), svg('text', {x: LEFT - 4, y: y(v) + 3.5, 'text-anchor': 'end'}, percent ? `${Math.round(100 * v)}%` : v)]),
        ...ticks(mx, 3).map(v => svg('text', {x: x(v), y: HIGH - 8, 'text-anchor': !v ? 'start' : x(v) > WIDE - 20 ? 'end' : 'middle'}, v >= 1000 ? `${v / 1000}k` : v)));
    }
    this.lines.replaceChildren(...lines.map(l => svg('path', {d: line(l.points, mx, my), class: l.class})));
    this.element.setAttribute('aria-label', `${this.title}${says ? `: ${says}` : ''}`);
  }
}

function start(root) {
  const {make, percent, number, Maps, grey, start: startPlayground, forward} = window.mnistCnnPage;
  const given = JSON.parse(root.querySelector('script[type="application/json"]').textContent), {layers, small, trainer: name} = given;
  const base = tidy(given.settings), still = [...root.childNodes];
  let settings = {...base}, worker = null, ready = null, state = null, losses = [], points = [], earlier = null, queue = [], asked = 0, wanted = '', playground = null, picture = null;
  let training = false, begun = 0, told = 0, own = [], taught = 0, due = [], readAt = 0;  // `begun` counts the runs, `taught` the times on own digits

  // ---- the parts
  const live = make('p', {class: 'mct-live', role: 'status', 'aria-live': 'polite'});
  const button = (text, click, more = {}) => make('button', {type: 'button', click, ...more}, text);
  const train = button('Train', () => go(), {class: 'mct-train'}), pause = button('Pause', () => halt()), one = button('One step', () => oneStep()), reset = button('Reset', () => again());
  const bar = make('progress', {max: 1, value: 0, 'aria-label': 'How far the training is'}), status = make('p', {class: 'mct-status'}, 'Not trained yet: its weights are random numbers.'), holds = make('p', {class: 'mct-note'});
  const cells = Object.fromEntries(['right on held-out digits', 'right on training digits', 'steps', 'digits seen', 'seconds', 'digits a second', 'dead units of fc1'].map(k => [k, make('dd', {}, '–')]));
  const numbers = make('dl', {class: 'mct-numbers'}, ...Object.entries(cells).map(([k, dd]) => make('div', {}, make('dt', {}, k), dd)));
  const charts = {accuracy: new Chart('Accuracy over the digits seen', true), loss: new Chart('Loss over the digits seen', false)};
  const key = make('p', {class: 'mct-key'}, make('span', {class: 'mct-of-train'}, 'training digits'), make('span', {class: 'mct-of-held'}, 'held-out digits'),
    make('span', {class: 'mct-of-batch'}, 'batches'), make('span', {class: 'mct-of-earlier', hidden: ''}, 'the run before'));
  const before = make('p', {class: 'mct-note', hidden: ''});
  const rows = make('tbody'), table = make('details', {class: 'mct-table'}, make('summary', {}, 'The curves as numbers'),
    make('table', {}, make('thead', {}, make('tr', {}, ...['digits seen', 'training loss', 'held-out loss', 'training accuracy', 'held-out accuracy'].map(t => make('th', {scope: 'col'}, t)))), rows));
  const filters = new Maps([16, 3, 3], 'The sixteen filters of conv1'), maps = new Maps([16, 28, 28], 'What the filters make of a held-out digit');
  [filters.unit, maps.unit] = [10, 2];
  for (const m of [filters, maps]) { m.element.setAttribute('role', 'img'); m.element.className = 'mct-maps'; }
  const seen = make('canvas', {width: 56, height: 56, role: 'img', 'aria-label': 'The held-out digit'});
  const inside = make('div', {class: 'mct-inside', hidden: ''}, make('p', {class: 'mct-note'}, 'The sixteen filters of conv1 (orange is above zero, blue below)'), filters.element,
    make('p', {class: 'mct-note'}, 'What they make of the digit on the left'), make('div', {class: 'mct-row'}, seen, maps.element));
  const mistakes = make('div', {class: 'mct-mistakes'}), misread = make('section', {hidden: '', 'aria-label': 'Mistakes'}, make('p', {class: 'mct-head'}, 'What it misreads'), mistakes);
  const after = make('div', {class: 'mct-after', hidden: ''});

  // ---- settings
  const fields = {};
  const setting = key => {
    const allowed = CHOICES[key], set = e => change({[key]: e.target.value});
    const input = ['epochs', 'seed'].includes(key) ? make('input', {type: 'number', min: allowed[0], max: allowed[1], step: 1, change: set})
      : make('select', {change: set}, ...(Array.isArray(allowed) ? allowed : Object.keys(allowed)).map(v => make('option', {value: v}, shown(key, v))));
    fields[key] = input;
    return make('label', {}, make('span', {}, LABELS[key]), input);
  };
  const controls = make('details', {class: 'mct-settings'}, make('summary', {}, 'Settings'), make('div', {class: 'mct-fields'}, ...Object.keys(CHOICES).map(setting)),
    make('p', {}, button('As they were', () => change(base)), ' ', make('span', {class: 'mct-note'}, 'The settings stand in the address of this page, so it can be sent to someone.')));
  controls.open = !small;
  const watch = make('p', {class: 'mct-watch', hidden: ''});
  const presets = Object.entries(PRESETS).filter(([k]) => given.presets.includes(k)).map(([k, p]) => button(p.title, () => present(k), {'data-preset': k, 'aria-pressed': 'false'}));
  function fill() {
    for (const [k, e] of Object.entries(fields)) e.value = settings[k];
    if (ready) for (const o of fields.n.options) o.disabled = +o.value > ready.n;
    holds.textContent = ready && settings.n > ready.n ? `Only ${ready.n} training digits are in this notebook; all 10,000 are on the site.` : '';
    code.textContent = python(ready ? {...settings, n: Math.min(settings.n, ready.n)} : settings, ready ? ready.n_held : 2000);
  }
  function toAddress() { history.replaceState(history.state, '', withKey(location.hash, name, encode(settings, base))); }
  function change(to, quiet = false) {
    const next = tidy(to, settings), odd = Object.keys(to).find(k => next[k] != to[k]);  // a number may come as text
    if (different(next, settings)) {
      settings = next;
      if (!quiet) toAddress();
      wanted = '';
      mark(null);
      if (begun) { keep(); training = false; begin(); buttons(); say('New weights, not trained yet.'); }
    }
    fill();
    if (odd) holds.textContent = live.textContent = `${LABELS[odd]}: only whole numbers from ${CHOICES[odd].join(' to ')}.`;
  }
  function mark(preset) {
    presets.forEach(b => b.setAttribute('aria-pressed', String(b.dataset.preset === preset)));
    watch.hidden = !preset;
    if (preset) watch.textContent = PRESETS[preset].watch;
  }

  // ---- the worker, and what it says
  function send(message, transfer = []) { if (ready || message.type === 'load') worker.postMessage(message, transfer); else queue.push(message); }
  function wake() {
    if (worker) return;
    const {files, parts} = given;
    worker = new Worker(files ? files.engine : URL.createObjectURL(new Blob([parts.engine], {type: 'text/javascript'})));
    worker.onmessage = ({data}) => { if (!data.run || data.run === begun) HEAR[data.type](data); };  // an earlier run's are late
    worker.onerror = e => fault(e.message || 'the worker does not start');
    const kinds = ['wasm', 'digits', 'typical'];
    send({type: 'load', ...Object.fromEntries(kinds.map(k => [k, files ? new URL(files[k], document.baseURI).href : decoded(parts[k])]))});
    say('The digits are being loaded.');
  }
  function fault(message) {
    training = false;
    if (!ready) {  // another try may load it
      worker?.terminate();
      [worker, queue, begun] = [null, [], 0];
    }
    buttons();
    status.textContent = live.textContent = `This does not work here: ${message}.`;
  }
  const HEAR = {
    loading({name, loaded, total}) { if (name === 'the digits' && total) { bar.value = loaded / total; say(`Loading digits: ${Math.round(100 * loaded / total)}%`, false); } },
    ready(data) {
      ready = data;
      picture = data.digits[given.digit ?? 5].pixels;
      grey(seen, picture);
      for (const m of queue.splice(0)) send(m);
      fill();
    },
    state(data) {
      losses.push(...data.losses);
      if (data.point) points.push(data.point);
      const ended = data.done && (!state || !state.done);
      state = data;
      root.dataset.memory = data.memory;
      soon();
      if (ended) finish();
      else milestone();
    },
    mistakes: data => drawMistakes(data),
    own: data => toldOwn(data),
    file: data => save(data),
    error: data => fault(data.message),
  };
  function say(text, aloud = true) { status.textContent = text; if (aloud) live.textContent = text; }
  function begin() {
    begunWith = settings;
    [losses, points, state, told] = [[], [], null, 0];
    if (taught) { taughtTimes(0); ownSays.textContent = ''; drawOwn(); }
    send({type: 'begin', settings, number: ++begun});
  }
  function keep() { if (points.length > 1) earlier = {points: [...points], settings: begunWith}; }
  let begunWith = settings;

  // ---- what the buttons do
  function go(fresh = false) {
    wake();
    if (!state || state.done || fresh) { if (state) keep(); begin(); }
    training = true;
    send({type: 'go'});
    buttons();
    say('Training.', true);
  }
  function halt() { training = false; send({type: 'pause'}); buttons(); say(`Paused after ${state ? state.steps : 0} steps.`); send({type: 'mistakes', most: 24}); }
  function oneStep() {
    wake();
    if (!state || state.done) { if (state) keep(); begin(); }
    training = false;
    send({type: 'step'});
    buttons();
  }
  function again() { wake(); keep(); training = false; begin(); buttons(); mistakes.replaceChildren(); misread.hidden = true; say('New weights, not trained yet.'); }
  function present(k, run = 0) {
    settings = tidy(PRESETS[k].runs[run], {...DEFAULTS, seed: settings.seed});
    toAddress();
    fill();
    mark(k);
    wanted = PRESETS[k].runs[run + 1] ? k : '';
    if (!run) [earlier, points] = [null, []];  // so that nothing is kept
    go(true);
  }
  function finish() {
    training = false;
    const last = points[points.length - 1];
    say(state.stopped || `Done: ${percent(last.all)} of the held-out digits are right, after ${state.steps} steps and ${number(state.seconds, 1)} seconds of training.`);
    root.dataset.done = state.stopped ? 'stopped' : String(last.all);
    if (wanted) present(wanted, 1);
    else { buttons(); send({type: 'mistakes', most: 24}); }
  }
  function milestone() {  // a screen reader is told now and then, not ten times a second
    const last = points[points.length - 1];
    if (!training || !last || state.steps / state.n_steps < told + 0.25) return;
    told = Math.floor(4 * state.steps / state.n_steps) / 4;
    live.textContent = `${Math.round(100 * told)}% done: ${percent(last.accuracy)} of held-out digits right.`;
    send({type: 'mistakes', most: 24});
  }
  function buttons() {
    const had = document.activeElement;
    train.disabled = training;
    train.textContent = state && !state.done && state.steps && !training ? 'Train on' : 'Train';
    pause.disabled = !training;
    one.disabled = training;
    reset.disabled = training || !state;
    if ([train, pause, one, reset].includes(had) && had.disabled) (training ? pause : train).focus({preventScroll: true});
    root.dataset.training = String(training);
  }

  // ---- drawing
  // one part a frame, so that none takes long; what is asked for again while it waits keeps its place
  const PARTS = [tell, curves, look, read];
  function soon() {
    for (const part of PARTS) if (!due.includes(part)) due.push(part);
    if (!asked) asked = requestAnimationFrame(draw);
  }
  function draw() {
    const part = due.shift();
    if (state) part();
    asked = due.length ? requestAnimationFrame(draw) : 0;
  }
  function tell() {
    const last = points[points.length - 1], s = state;
    if (!s.stopped && training) say(`Epoch ${Math.max(1, s.epoch)} of ${settings.epochs}, step ${s.steps} of ${s.n_steps}`, false);
    bar.value = s.n_steps ? s.steps / s.n_steps : 0;
    const now = {steps: s.steps.toLocaleString('en-US'), 'digits seen': s.seen.toLocaleString('en-US'), seconds: number(s.seconds, 1), 'digits a second': s.seconds && s.seen ? Math.round(s.seen / s.seconds).toLocaleString('en-US') : '–'};
    if (last) Object.assign(now, {'right on held-out digits': percent(last.all ?? last.accuracy), 'right on training digits': percent(last.train), 'dead units of fc1': `${last.dead} of 32`});
    for (const [k, v] of Object.entries(now)) if (cells[k].textContent !== v) cells[k].textContent = v;
    root.dataset.steps = s.steps;
    buttons();
  }
  const arrays = () => state.arrays = state.arrays || toArrays(state.weights);
  function look() {
    if (inside.hidden) { inside.hidden = false; arrange(); }
    filters.draw(arrays()[0]);
    if (picture) maps.draw(forward({layers: [layers[0]], mean: 0, std: 1}, arrays(), picture)[1]);
  }
  function read() {  // a whole reading is the dearest: four times a second are enough while it changes
    if (after.hidden) openAfter(arrays());
    else if (!training || performance.now() - readAt > 250) { readAt = performance.now(); playground.network(arrays()); }
  }
  function arrange() {
    const room = inside.clientWidth;
    if (!room) return;
    filters.layout(room);
    maps.layout(room - 70);
    soon();
  }
  function curves() {
    const last = points[points.length - 1];
    if (!last) return;
    const {bs, epochs} = settings, all = [...points, ...(earlier ? earlier.points : [])], my = highest(all), mx = Math.max(state.n * epochs, ...all.map(p => p.seen));
    const of = (run, key) => run.map(p => [p.seen, p[key]]), old = key => earlier ? [{points: of(earlier.points, key), class: 'mct-of-earlier'}] : [];
    charts.accuracy.draw([...old('accuracy'), {points: of(points, 'train'), class: 'mct-of-train'}, {points: of(points, 'accuracy'), class: 'mct-of-held'}], mx, 1,
      `${percent(last.train)} of training digits and ${percent(last.accuracy)} of held-out digits right after ${last.seen} digits`);
    charts.loss.draw([...old('loss'), {points: smooth(losses, state.n, bs), class: 'mct-of-batch'}, {points: of(points, 'train_loss'), class: 'mct-of-train'}, {points: of(points, 'loss'), class: 'mct-of-held'}], mx, my,
      `${number(last.train_loss)} on training digits and ${number(last.loss)} on held-out digits`);
    key.querySelector('.mct-of-earlier').hidden = before.hidden = !earlier;
    if (earlier) before.textContent = `The run before, dashed (held-out digits): ${different(earlier.settings, settings) || 'the same settings'}.`;
    if (rows.of !== points) { rows.replaceChildren(); rows.of = points; }  // another run
    rows.append(...points.slice(rows.children.length).map(p => make('tr', {}, ...[p.seen, number(p.train_loss), number(p.loss), percent(p.train), percent(p.accuracy)].map(v => make('td', {}, String(v))))));
  }
  function drawMistakes({n, n_held, shown: found}) {
    misread.hidden = false;
    mistakes.replaceChildren(make('p', {class: 'mct-note'}, n ? `${n} of ${n_held.toLocaleString('en-US')} held-out digits. The most confident mistakes: what it says, and in brackets what it should say.` : `None of ${n_held} held-out digits.`),
      make('ul', {}, ...found.map(d => {
        const c = make('canvas', {width: 28, height: 28, role: 'img', 'aria-label': `A ${d.label}`});
        grey(c, d.pixels);
        return make('li', {}, c, make('span', {}, `${d.answer} (${d.label})`));
      })));
  }
  // flat weights as the page's arrays: C has a convolution's as O×K×K×I, PyTorch as O×I×K×K
  function toArrays(flat) {
    let at = 0;
    return layers.filter(l => l.weight !== undefined).flatMap(l => {
      const [O] = l.out, I = l.in[0], area = l.op === 'conv' ? l.kernel_size[0] * l.kernel_size[1] : 1, n = O * I * area, w = new Float64Array(n);
      for (let o = 0, k = 0; o < O; o++) for (let i = 0; i < I; i++) for (let p = 0; p < area; p++) w[k++] = flat[at + (o * area + p) * I + i];
      const b = Float64Array.from(flat.subarray(at + n, at + n + O));
      at += n + O;
      return [w, b];
    });
  }

  // ---- afterwards: draw, your own digits, take it home
  const digitsRow = make('div', {class: 'mct-labels', role: 'group', 'aria-label': 'What you have drawn'}), mine = make('ul', {class: 'mct-own'}), ownSays = make('p', {class: 'mct-note', role: 'status'});
  const teach = button('Train on my digits', () => trainOwn(), {disabled: ''});
  const code = make('code'), leftOut = make('span'), download = button('Download the weights', () => send({type: 'file'})), downloaded = make('p', {class: 'mct-note', role: 'status'});
  function openAfter(arrays) {
    after.hidden = false;
    const box = make('div', {class: 'mnist-cnn-playground', 'data-ready': 'true'});
    playground = startPlayground(box, {layers, lengths: [], classes: [...'0123456789'], mean: 0, std: 1, folded: true, digits: ready.digits, digits_are: 'Held-out digit', typical: {data: ready.typical, limit: given.strange}, states: [{label: '', accuracy: null, arrays}]});
    digitsRow.append(make('span', {}, 'This was a'), ...[...'0123456789'].map(c => button(c, () => addOwn(+c))));
    after.append(make('p', {class: 'mct-head'}, 'Draw a digit: your own network reads it'), box,
      make('details', {class: 'mct-fold'}, make('summary', {}, 'Train it on your own handwriting'), make('p', {}, 'Draw a digit above, or take one, and say what it is. After a few, train on: half of each batch are your digits, half are the others. A held-out digit that you take is learned too, but it still counts among the held-out ones.'), digitsRow, mine,
        make('p', {}, teach), ownSays),
      make('details', {class: 'mct-fold', ...(small ? {} : {open: ''})}, make('summary', {}, 'Take it home'), make('p', {}, download), downloaded,
        make('p', {}, 'The file is read by ', make('code', {}, 'load_weights'), ', ', make('code', {}, 'mnist-cnn evaluate'), ' and ', make('code', {}, 'mnist-cnn predict --weights'), '. These lines train the same network in Python, from the same random numbers', leftOut, ':'),
        make('pre', {tabindex: 0, role: 'region', 'aria-label': 'Python'}, code)));
  }
  function addOwn(label) {
    const pixels = playground.drawing();
    if (!pixels) { ownSays.textContent = 'Draw a digit first, or take one.'; return; }
    own.push({label, pixels: pixels.slice()});
    playground.clear();
    ownSays.textContent = `${own.length} of your digits.`;
    drawOwn();
  }
  function drawOwn(wrong = null) {
    teach.disabled = !own.length;
    mine.replaceChildren(...own.map((d, i) => {
      const c = make('canvas', {width: 28, height: 28, role: 'img', 'aria-label': `Your ${d.label}`}), bad = wrong && wrong.includes(i);
      grey(c, d.pixels);
      return make('li', {}, c, make('span', {}, `${d.label}${wrong ? bad ? ' ✗' : ' ✓' : ''}`), button('×', () => removeOwn(i), {'aria-label': `Remove your digit ${i + 1}, a ${d.label}`}));
    }));
  }
  function removeOwn(i) {  // the focus, which was on the button, goes to the next one
    own.splice(i, 1);
    drawOwn();
    (mine.querySelectorAll('button')[Math.min(i, own.length - 1)] || digitsRow.querySelector('button')).focus();
  }
  function taughtTimes(n) {
    taught = n;
    leftOut.textContent = n ? `; in the page it was also trained ${n === 1 ? 'once' : `${n} times`} on your own digits, which these lines leave out` : '';
  }
  function trainOwn() {
    const x = new Uint8Array(784 * own.length);
    own.forEach((d, i) => x.set(d.pixels, 784 * i));
    training = false;
    buttons();
    ownSays.textContent = 'Training on your digits.';
    taughtTimes(taught + 1);
    send({type: 'own', x, y: Uint8Array.from(own, d => d.label), n_steps: 60});
  }
  function toldOwn({n, before, after: now, wrong, held}) {
    drawOwn(wrong);
    say(`Trained on your digits: ${percent(held[1])} of the held-out digits are right.`, false);
    ownSays.textContent = `Of your ${n} digits it read ${Math.round(before * n)} before, ${Math.round(now * n)} now; of the held-out digits ${percent(held[0])} before, ${percent(held[1])} now.`;
  }
  function save({data, accuracy}) {
    const link = make('a', {href: URL.createObjectURL(new Blob([data], {type: 'application/octet-stream'})), download: 'mine.safetensors'});
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    downloaded.textContent = `mine.safetensors: SimpleCNN, ${percent(accuracy)} of the held-out digits right.`;
    root.dataset.downloaded = accuracy;
  }

  // ---- begin
  function restore() {
    const found = fromHash(location.hash, name, base);
    if (!found) return;
    change(found, true);
    if (location.hash.startsWith(`#${name}=`)) root.scrollIntoView();
  }
  const lack = missing();
  if (lack) {
    root.append(make('p', {}, `This browser has no ${lack}, so nothing can be trained here. A network that is trained already stands on the page of the playground.`));
    return;
  }
  const body = make('div', {class: `mct${small ? ' mct-small' : ''}`, role: 'group', 'aria-label': 'Train a network'}, live,
    presets.length ? make('div', {class: 'mct-presets', role: 'group', 'aria-label': 'Runs that show something'}, ...presets) : null, watch,
    make('div', {class: 'mct-buttons'}, train, pause, one, reset), bar, status, holds, controls,
    make('div', {class: 'mct-charts'}, ...Object.entries(charts).map(([k, c]) => make('figure', {}, make('figcaption', {}, k === 'loss' ? 'Loss' : 'Accuracy', make('span', {class: 'mct-note'}, ', over the digits seen')), c.element))), key, before,
    numbers, make('div', {}, inside), misread, table, after);
  for (const e of still) if (e.nodeName !== 'SCRIPT') e.remove();
  root.append(body);
  for (const c of Object.values(charts)) c.draw([], base.n * base.epochs, c.percent ? 1 : 2.5, 'nothing yet');
  root.addEventListener('focusin', e => { e.target.dataset.lmSuppressShortcuts = 'true'; });  // JupyterLab is to take no key pressed here
  new ResizeObserver(arrange).observe(inside);
  arrange();
  fill();
  buttons();
  restore();
  addEventListener('hashchange', restore);
}

function all() {
  for (const root of document.querySelectorAll('.mnist-cnn-trainer:not([data-ready])')) {
    root.dataset.ready = 'true';
    try { start(root); } catch (e) { console.error(e); }
  }
}
if (window.mnistCnnPage) all(); else addEventListener('DOMContentLoaded', all);
})();
