// The trainer's engine and functions against numbers that Python wrote into the folder TRAINER_NUMBERS; run by tests/test_trainer.py.
'use strict';
const test = require('node:test'), assert = require('node:assert'), fs = require('node:fs'), path = require('node:path'), zlib = require('node:zlib');
const e = require('../../mnist_cnn/static/trainer_engine.js'), page = require('../../mnist_cnn/static/trainer.js');
const folder = process.env.TRAINER_NUMBERS, python = JSON.parse(fs.readFileSync(path.join(folder, 'numbers.json')));
const digits = e.unpack(zlib.gunzipSync(fs.readFileSync(path.join(folder, 'digits.bin'))));
const kernels = new e.Kernels(new WebAssembly.Module(fs.readFileSync(process.env.TRAINER_WASM || path.join(__dirname, '../../mnist_cnn/native/SimpleCNN.wasm'))));

function trained(settings, most = Infinity) {
  const run = new e.Run(kernels, digits, settings);
  while (!run.done && run.steps < most) run.step();
  return run;
}
const apart = (a, b) => a.reduce((m, v, i) => Math.max(m, Math.abs(v - b[i])), 0);
const median = list => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

test('torch draws the same numbers', () => {
  const random = new e.Random(python.random.seed), {uniform, below, permutation, generators, after} = python.random;
  uniform.forEach(v => assert.equal(Math.fround(random.uniform(-0.25, 0.75)), Math.fround(v)));
  below.forEach(v => assert.equal(random.below(10), v));
  assert.deepEqual([...random.permutation(permutation.length)], permutation);
  assert.equal(random.seed(), generators);
  after.forEach(v => assert.equal(random.below(1000), v));
  assert.deepEqual([...e.mislabel(Uint8Array.from(python.labels.given), python.labels.fraction, python.labels.seed)], python.labels.made);
});

test('a seed begins with the same weights as in Python', () => {
  for (const [seed, state] of Object.entries(python.initial)) {
    const found = e.toState(e.initial(new e.Random(+seed), 'good'));
    assert.equal(found.length, state.length);
    state.forEach((a, i) => assert.ok(found[i].length === a.length && apart(a, found[i]) === 0, `${seed}, array ${i}`));
  }
});

test('the same losses and weights as fit in PyTorch', () => {
  // In float64. Where two numbers under a pool are equal but for rounding, a run in float32 takes another path, here and in PyTorch: hence the median.
  for (const [name, runs] of Object.entries(python.runs)) {
    const losses = [], weights = [];
    for (const {settings, losses: wanted, state} of runs) {
      const run = trained(settings);
      assert.equal(run.losses.length, wanted.length);
      assert.ok(apart(wanted.slice(0, 10), run.losses) < 1e-4, `${name}, seed ${settings.seed}: ${apart(wanted.slice(0, 10), run.losses)} in the first ten steps`);
      losses.push(apart(wanted.slice(0, 200), run.losses));
      weights.push(Math.max(...e.toState(kernels.weight).map((a, i) => apart(state[i], a))));
    }
    assert.ok(median(losses) < 1e-4 && median(weights) < 1e-3, `${name}: losses differ by ${losses}, weights by ${weights}`);
  }
});

test('the same loss at each of 200 steps of a run in PyTorch, from its weights', () => {
  const {settings, losses} = python.followed, data = fs.readFileSync(path.join(folder, 'weights.bin')), run = new e.Run(kernels, digits, settings);
  assert.equal(losses.length, 200);
  losses.forEach((loss, step) => {
    const all = new Float32Array(data.buffer.slice(data.byteOffset + 4 * kernels.n * step, data.byteOffset + 4 * kernels.n * (step + 1)));
    let at = 0;
    kernels.weight.set(e.toFlat(e.LAYERS.flatMap(([, shape]) => [shape.reduce((a, b) => a * b), shape[0]].map(n => all.subarray(at, at += n)))));
    const found = run.step();
    assert.ok(Math.abs(found - loss) < 1e-4, `step ${step}: ${found}, not ${loss}`);
  });
});

test('accuracy, loss and dead units as Python measures them', () => {
  const {state, accuracy, loss, dead} = python.measured;
  kernels.weight.set(e.toFlat(state));
  const found = new e.Run(kernels, digits, {n: 100}, kernels.weight.slice()).measure(digits.held);
  assert.ok(Math.abs(found.accuracy - accuracy) < 1e-9 && Math.abs(found.loss - loss) < 1e-4 && found.dead === dead, JSON.stringify([found.accuracy, found.loss, found.dead]));
  assert.equal(found.mistakes.length, Math.round((1 - accuracy) * digits.held.y.length));
});

test('flat weights and arrays are the same numbers', () => {
  const flat = Float32Array.from({length: kernels.n}, (_, i) => i);
  assert.deepEqual(e.toFlat(e.toState(flat)), flat);
  fs.writeFileSync(path.join(folder, 'made.safetensors'), e.safetensors(e.toState(flat)));
});

// ---- what the presets claim, each in the words of its sentence

const few = e.unpack(zlib.gunzipSync(fs.readFileSync(path.join(folder, 'few.bin'))));  // what a notebook holds
const preset = (name, seed, held) => page.PRESETS[name].runs.map(r => {
  const run = new e.Run(kernels, held, page.tidy(r, {...page.DEFAULTS, seed})), measuring = new e.Measuring(run);
  let loudest = 0;
  for (measuring.point(); !run.done;) { loudest = Math.max(loudest, run.step()); measuring.point(); }
  return {points: run.points, last: run.points[run.points.length - 1], loudest};
});
for (const [where, held, seed] of [['the site', digits, 42], ['a notebook', few, 42], ...(process.env.LONG ? [['the site', digits, 7], ['a notebook', few, 7], ['a notebook', few, 1]] : [])]) {
  const of = `on ${where}, seed ${seed}`;
  test(`overfit ${of}: all training digits right, the held-out loss falls and rises again`, () => {
    const [{points, last}] = preset('overfit', seed, held), least = Math.min(...points.map(p => p.loss));
    assert.ok(last.train === 1 && last.all < 0.92 && last.loss > 1.2 * least && points[0].loss > 1.2 * least, JSON.stringify([last, least]));
  });
  test(`memorize ${of}: random labels are learned, held-out digits guessed`, () => {
    const [{last}] = preset('memorize', seed, held);
    assert.ok(last.train > 0.95 && last.all < 0.2, JSON.stringify(last));
  });
  test(`learning rate too high ${of}: the loss jumps and stays near 2.3`, () => {
    const [{last, loudest}] = preset('fast', seed, held);
    assert.ok(loudest > 100 && Math.abs(last.loss - Math.log(10)) < 0.1 && last.all < 0.2, JSON.stringify([loudest, last]));
  });
  test(`dead units ${of}: few with SGD, about half or more with Adam, of which few come back`, () => {
    const [sgd, adam] = preset('dead', seed, held).map(r => r.points.slice(1).map(p => p.dead)), ends = adam.at(-1);
    assert.ok(sgd.at(-1) <= 8 && adam[0] >= 13 && ends >= 11 && Math.max(...adam) <= 24 && adam[0] - ends <= adam[0] / 4, JSON.stringify([sgd, adam]));
  });
  test(`augmentation ${of}: more held-out digits are right`, () => {
    const [without, moved] = preset('augment', seed, held).map(r => r.last);
    assert.ok(moved.all > without.all + 0.01, JSON.stringify([without.all, moved.all]));
  });
}

test('a loss that is not a number stops the run and says why', () => {
  const run = trained({n: 300, bs: 8, epochs: 50, optimizer: 'momentum', lr: 1e6});
  assert.match(run.stopped, /smaller learning rate/);
});

test('own digits are learned, and the others are not forgotten', () => {
  const run = trained({n: 3000, bs: 32, epochs: 2}), before = run.measure(digits.held).accuracy;
  // ten digits turned by a quarter, which the network has never seen
  const x = new Uint8Array(7840), y = Uint8Array.from({length: 10}, (_, i) => digits.held.y[i]);
  for (let i = 0; i < 10; i++) for (let r = 0; r < 28; r++) for (let c = 0; c < 28; c++) x[i * 784 + r * 28 + c] = digits.held.x[i * 784 + c * 28 + 27 - r];
  const first = run.measure({x, y}).accuracy;
  e.trainOwn(run, {x, y}, 60);
  assert.ok(run.measure({x, y}).accuracy > first + 0.2, `${first} to ${run.measure({x, y}).accuracy}`);
  assert.ok(run.measure(digits.held).accuracy > before - 0.04);
});

test('training on own digits leaves the run\'s optimizer as it was', () => {
  const x = digits.held.x.slice(0, 3 * 784), y = digits.held.y.slice(0, 3);
  for (const optimizer of ['adam', 'momentum']) {
    const run = trained({n: 300, optimizer}, 10), mean = kernels.mean.slice(), square = kernels.square.slice(), weight = kernels.weight.slice();
    e.trainOwn(run, {x, y}, 5);
    assert.ok(mean.some(v => v) && apart(weight, kernels.weight) > 0);
    assert.deepEqual([kernels.mean, kernels.square, run.steps], [mean, square, 10], optimizer);
  }
});

// ---- the page's functions

test('settings go through an address and come back; nonsense does not', () => {
  const s = page.tidy({n: 300, lr: 0.01, optimizer: 'sgd', wrong: 0.5, seed: 7, epochs: 3});
  assert.deepEqual(page.decode(page.encode(s, page.DEFAULTS), page.DEFAULTS), s);
  assert.deepEqual(page.decode(page.encode(page.DEFAULTS, page.DEFAULTS), page.DEFAULTS), page.DEFAULTS);
  for (const text of ['n:7', 'lr:NaN', 'optimizer:constructor', 'epochs:1e9', 'seed:-1', 'seed:0.5', '__proto__:1', 'n', ':::', 'init:toString'])
    assert.deepEqual(page.decode(text, page.DEFAULTS), page.DEFAULTS, text);
  assert.equal(page.inHash(page.withKey('#a=1&train=x', 'train', 'n:300'), 'train'), 'n:300');
  assert.deepEqual(page.fromHash('#a=1&train=n:300', 'train', page.DEFAULTS), {...page.DEFAULTS, n: 300});
  for (const broken of ['#train=%E0%A4%A', '#widget', '']) assert.equal(page.fromHash(broken, 'train', page.DEFAULTS), null);
});

test('the settings that Python knows are those of the page', () => assert.deepEqual(
  Object.fromEntries(Object.entries(python.choices).map(([k, v]) => [k, v])),
  Object.fromEntries(Object.keys(python.choices).map(k => [k, Array.isArray(page.CHOICES[k]) ? page.CHOICES[k] : Object.keys(page.CHOICES[k])]))));

test('a preset can be shown: its settings are ones that the page offers', () => {
  assert.deepEqual(Object.keys(page.PRESETS), python.presets);
  for (const {runs} of Object.values(page.PRESETS)) for (const r of runs) assert.deepEqual(page.tidy(r), {...page.DEFAULTS, ...r});
});

test('axes have round marks that reach nearly to the end', () => {
  for (const most of [1, 2.5, 6, 300, 40000]) { const t = page.ticks(most); assert.ok(t[0] === 0 && t.length >= 3 && t.length <= 6 && t[t.length - 1] <= most, `${most}: ${t}`); }
});

test('the losses of the batches stand at the digits that were seen', () => {
  const run = new e.Run(kernels, digits, {n: 100, bs: 32, epochs: 3}), seen = [];
  while (!run.done) { run.step(); seen.push(run.seen); }
  assert.deepEqual(page.smooth(run.losses, 100, 32).map(p => p[0]), seen);
  const {n, bs, epochs} = page.tidy(page.PRESETS.overfit.runs[0]), losses = Array.from({length: Math.ceil(n / bs) * epochs}, () => 1), curve = page.smooth(losses, n, bs);
  assert.ok(curve.length <= 120 && curve.at(-1)[0] === n * epochs, curve.at(-1));
});

test('a loss that is not a number leaves the chart its frame', () => {
  const points = [{loss: 2.3, train_loss: 4}, {loss: NaN, train_loss: NaN}];
  assert.equal(page.highest(points), 4);
  assert.equal(page.highest([...points, {loss: Infinity, train_loss: 700}]), 6);
  assert.equal(page.highest([]), 2.5);
});
