// Trains SimpleCNN: the kernels of `mnist_cnn/native`, compiled to WebAssembly, with torch's random numbers, so that a seed gives
// the run that it gives in Python. A Web Worker of `trainer.js`; in node it gives its classes, which tests compare with PyTorch.
(() => {
'use strict';

const LAYERS = [['conv1', [16, 1, 3, 3]], ['conv2', [32, 16, 3, 3]], ['fc1', [32, 1568]], ['fc2', [10, 32]]];  // in the order of the weights
const size = shape => shape.reduce((a, b) => a * b, 1);
const PIXELS = 784, CLASSES = 10, MOST = 500;  // images that go through the network at once, at most
const AS_FLOAT = Float32Array.from({length: 256}, (_, v) => v / 255);

// ---- torch's random numbers: `torch.manual_seed(seed)`, then what `uniform_`, `randint` and `randperm` draw from it on a processor

class Random {
  constructor(seed) {
    const s = this.state = new Uint32Array(624);
    s[0] = seed;
    for (let i = 1; i < 624; i++) s[i] = Math.imul(1812433253, s[i - 1] ^ s[i - 1] >>> 30) + i;
    this.at = 624;
  }
  twist() {
    const s = this.state;
    for (let i = 0; i < 624; i++) {
      const y = s[i] & 0x80000000 | s[(i + 1) % 624] & 0x7fffffff;
      s[i] = s[(i + 397) % 624] ^ y >>> 1 ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.at = 0;
  }
  next() {
    if (this.at === 624) this.twist();
    let y = this.state[this.at++];
    y ^= y >>> 11;
    y ^= y << 7 & 0x9d2c5680;
    y ^= y << 15 & 0xefc60000;
    return (y ^ y >>> 18) >>> 0;
  }
  below(n) { return this.next() % n; }
  uniform(low, high) { return (this.next() & 0xffffff) / 2 ** 24 * (high - low) + low; }
  permutation(n) {
    const order = Uint32Array.from({length: n}, (_, i) => i);
    for (let i = 0; i < n - 1; i++) {
      const k = i + this.below(n - i), v = order[i];
      order[i] = order[k];
      order[k] = v;
    }
    return order;
  }
  seed() { this.next(); return this.next(); }  // `int(torch.randint(2**62, ()))`, as far as a generator looks at it
}

// ---- weights: in C flat, with a convolution's as O×K×K×I; in Python a tensor for each name, with O×I×K×K

// Both ways: of the arrays' index k, the place in the flat weights.
function places([O, I, K = 1, L = 1]) {
  const to = new Uint32Array(O * I * K * L);
  for (let o = 0, k = 0; o < O; o++) for (let i = 0; i < I; i++) for (let y = 0; y < K; y++) for (let x = 0; x < L; x++)
    to[k++] = ((o * K + y) * L + x) * I + i;
  return to;
}
const PLACES = LAYERS.map(([, shape]) => places(shape));

// The flat weights as arrays in the order of `SimpleCNN().state_dict()`: weight and bias of each layer.
function toState(flat) {
  let at = 0;
  return LAYERS.flatMap(([, shape], l) => {
    const weight = Float32Array.from(PLACES[l], k => flat[at + k]), bias = flat.slice(at += weight.length, at + shape[0]);
    at += shape[0];
    return [weight, bias];
  });
}

function toFlat(state) {
  const flat = new Float32Array(state.reduce((n, a) => n + a.length, 0));
  let at = 0;
  LAYERS.forEach((_, l) => {
    PLACES[l].forEach((k, i) => { flat[at + k] = state[2 * l][i]; });
    flat.set(state[2 * l + 1], at += state[2 * l].length);
    at += state[2 * l + 1].length;
  });
  return flat;
}

// Initial weights as `SimpleCNN()` draws them; or all zero; or as drawn, times 10.
function initial(random, kind) {
  const times = {good: 1, zeros: 0, large: 10}[kind];
  return toFlat(LAYERS.flatMap(([, shape]) => {
    const bound = Math.fround(1 / Math.sqrt(size(shape.slice(1))));
    return [size(shape), shape[0]].map(n => Float32Array.from({length: n}, () => times * Math.fround(random.uniform(-bound, bound))));
  }));
}

// A safetensors file: the length of its head in 8 bytes, the head, the numbers.
function safetensors(state) {
  const head = {__metadata__: {format: 'pt', network: 'SimpleCNN'}};
  let at = 0;
  LAYERS.forEach(([name, shape], l) => [['weight', shape], ['bias', shape.slice(0, 1)]].forEach(([what, shape], k) => {
    head[`${name}.${what}`] = {dtype: 'F32', shape, data_offsets: [at, at += 4 * state[2 * l + k].length]};
  }));
  let text = JSON.stringify(head);
  text += ' '.repeat((8 - text.length % 8) % 8);
  const file = new Uint8Array(8 + text.length + at), view = new DataView(file.buffer);
  view.setUint32(0, text.length, true);
  file.set(new TextEncoder().encode(text), 8);
  at = 8 + text.length;
  for (const a of state) for (const v of a) { view.setFloat32(at, v, true); at += 4; }
  return file;
}

// ---- the digits: in one file, packed with gzip: how many to train on, how many held out, their pixels, their classes

function unpack({buffer, byteOffset, length}) {
  const [n, held] = new Uint32Array(buffer.slice(byteOffset, byteOffset + 8)), all = n + held;
  if (length !== 8 + all * (PIXELS + 1)) throw new Error(`the file of digits has ${length} bytes, not ${8 + all * (PIXELS + 1)}`);
  const x = new Uint8Array(buffer, byteOffset + 8, all * PIXELS), y = new Uint8Array(buffer, byteOffset + 8 + all * PIXELS, all);
  return {train: {x: x.subarray(0, n * PIXELS), y: y.subarray(0, n)}, held: {x: x.subarray(n * PIXELS), y: y.subarray(n)}};
}

// The classes of the first `n` digits, of which `share` are drawn at random: `mnist_cnn.trainer.mislabel`.
function mislabel(y, share, seed) {
  const random = new Random(seed), wrong = random.permutation(y.length), out = y.slice();
  for (let i = 0; i < Math.round(share * y.length); i++) out[wrong[i]] = random.below(CLASSES);
  return out;
}

// ---- the kernels

class Kernels {
  constructor(module) {
    const env = {expf: Math.exp, logf: Math.log, pow: Math.pow};
    const c = this.c = new WebAssembly.Instance(module, {env}).exports;
    this.n = c.count();
    this.net = c.network(MOST);
    const at = this.at = Object.fromEntries(Object.entries({weight: 4 * this.n, grad: 4 * this.n, mean: 4 * this.n, square: 4 * this.n,
      x: 4 * PIXELS * MOST, y: 8 * MOST, out: 4 * CLASSES * MOST}).map(([name, bytes]) => [name, c.room(bytes + 16)]));
    if (!this.net || Object.values(at).includes(0)) throw new Error('there is not enough memory');
    const floats = (from, n) => new Float32Array(c.memory.buffer, from, n);
    for (const name of ['weight', 'grad', 'mean', 'square']) this[name] = floats(at[name], this.n);
    this.x = floats(at.x, PIXELS * MOST);
    this.y = new Int32Array(c.memory.buffer, at.y, 2 * MOST);
    this.out = floats(at.out, CLASSES * MOST);
    this.last = floats(c.last(this.net), CLASSES * MOST);
    this.hidden = floats(c.hidden(this.net), 32 * MOST);
  }
  // image `i` of the batch: digit `from` of `x`, moved by whole pixels
  put(i, x, from, dx = 0, dy = 0) {
    const out = this.x.subarray(i * PIXELS, (i + 1) * PIXELS), at = from * PIXELS;
    if (!dx && !dy) { for (let k = 0; k < PIXELS; k++) out[k] = AS_FLOAT[x[at + k]]; return; }
    out.fill(0);
    for (let row = Math.max(0, dy); row < Math.min(28, 28 + dy); row++) for (let col = Math.max(0, dx); col < Math.min(28, 28 + dx); col++)
      out[row * 28 + col] = AS_FLOAT[x[at + (row - dy) * 28 + col - dx]];
  }
  gradient(n) { return this.c.gradient(this.net, this.at.weight, this.at.x, this.at.y, n, this.at.grad); }
  logits(n) { this.c.logits(this.net, this.at.weight, this.at.x, n, this.at.out); return this.out; }
  adam(lr, decay, step) { this.c.adam(this.net, this.at.weight, this.at.grad, this.at.mean, this.at.square, this.n, lr, decay, step); }
  sgd(lr, momentum, decay, first) { this.c.sgd(this.at.weight, this.at.grad, this.at.mean, this.n, lr, momentum, decay, first); }
}

// ---- a run

const SETTINGS = {n: 10000, lr: 2e-3, bs: 32, epochs: 4, optimizer: 'adam', decay: 0, shift: 0, wrong: 0, init: 'good', seed: 42};
const best = (logits, i) => { let b = 0; for (let c = 1; c < CLASSES; c++) if (logits[i * CLASSES + c] > logits[i * CLASSES + b]) b = c; return b; };

class Run {
  constructor(kernels, digits, settings, weights = null) {
    Object.assign(this, {kernels, digits, settings: {...SETTINGS, ...settings}, steps: 0, seen: 0, epoch: 0, at: 0, points: [], losses: [], running: null});
    const {n, seed, wrong, init} = this.settings;
    this.n = Math.min(n, digits.train.y.length);
    this.y = digits.train.y.slice(0, this.n);
    if (wrong) this.y = mislabel(this.y, wrong, seed);
    this.random = new Random(seed);
    const drawn = initial(this.random, init);
    kernels.weight.set(weights || drawn);
    kernels.mean.fill(0);
    kernels.square.fill(0);
    this.n_steps = Math.ceil(this.n / this.settings.bs) * this.settings.epochs;
  }
  get done() { return this.steps >= this.n_steps || this.stopped; }
  begin() {  // an epoch, in the order in which `Batches` draws
    this.order = this.random.permutation(this.n);
    this.moves = this.settings.shift ? new Random(this.random.seed()) : null;
    this.at = 0;
    this.epoch++;
  }
  step() {
    if (!this.order || this.at >= this.n) this.begin();
    const {kernels: k, settings: {bs, lr, decay, optimizer, shift}} = this, m = Math.min(bs, this.n - this.at);
    for (let i = 0; i < m; i++) {
      const d = this.order[this.at + i], move = () => this.moves ? this.moves.below(2 * shift + 1) - shift : 0;
      const dx = move(), dy = move();
      k.put(i, this.digits.train.x, d, dx, dy);
      k.y[2 * i] = this.y[d];
    }
    const loss = k.gradient(m);
    this.at += m;
    this.seen += m;
    this.move(lr, decay, optimizer);
    this.losses.push(loss);
    if (!Number.isFinite(loss)) this.stopped = `The loss became ${loss}: the weights have run away. Try a smaller learning rate.`;
    return loss;
  }
  move(lr, decay, optimizer) {
    const first = this.steps++ === 0;
    if (optimizer === 'adam') this.kernels.adam(lr, decay, this.steps);
    else this.kernels.sgd(lr, optimizer === 'momentum' ? 0.9 : 0, decay, first);
  }
  // Loss and accuracy on the first `most` of some digits, the mistakes, and how many units of fc1 are 0 for all of them.
  measure({x, y}, most = y.length) {
    const n = Math.min(most, y.length), mistakes = [], alive = new Uint8Array(32), k = this.kernels;
    let loss = 0, right = 0;
    for (let from = 0; from < n; from += MOST) {
      const m = Math.min(MOST, n - from);
      for (let i = 0; i < m; i++) k.put(i, x, from + i);
      const logits = k.logits(m);
      for (let i = 0; i < m; i++) {
        const row = logits.subarray(i * CLASSES, (i + 1) * CLASSES), top = row.reduce((a, b) => Math.max(a, b)), target = y[from + i], b = best(logits, i);
        const sum = row.reduce((a, v) => a + Math.exp(v - top), 0);
        loss += Math.log(sum) + top - row[target];
        if (b === target) right++; else mistakes.push([from + i, b, Math.exp(row[b] - top) / sum]);
        for (let u = 0; u < 32; u++) if (k.hidden[i * 32 + u] > 0) alive[u] = 1;
      }
    }
    return {n, loss: loss / n, accuracy: right / n, mistakes, dead: 32 - alive.reduce((a, b) => a + b, 0)};
  }
  // A point of the curves, from the first 400 digits of both kinds; now and then also the accuracy on all held-out digits.
  point(whole = false) {
    const train = this.measure({x: this.digits.train.x, y: this.y}, 400), held = this.measure(this.digits.held, 400);
    const p = {step: this.steps, seen: this.seen, train_loss: train.loss, train: train.accuracy, loss: held.loss, accuracy: held.accuracy, dead: held.dead, all: null};
    if (whole) {
      const all = this.measure(this.digits.held);
      Object.assign(p, {all: all.accuracy, dead: all.dead});
    }
    this.points.push(p);
    return p;
  }
}

// Steps on own digits: each batch is `each` of them and as many of the training digits, so that the others are not forgotten.
// With an Adam of its own: afterwards the run's optimizer goes on with the means that it had.
function trainOwn(run, own, n_steps, lr = 5e-4, each = 16) {
  const k = run.kernels, random = new Random(run.steps + own.y.length), mean = k.mean.slice(), square = k.square.slice();
  k.mean.fill(0);
  k.square.fill(0);
  for (let s = 1; s <= n_steps; s++) {
    for (let i = 0; i < 2 * each; i++) {
      const mine = i < each, d = random.below(mine ? own.y.length : run.n), from = mine ? own : {x: run.digits.train.x, y: run.y};
      k.put(i, from.x, d, ...(mine ? [random.below(3) - 1, random.below(3) - 1] : []));
      k.y[2 * i] = from.y[d];
    }
    k.gradient(2 * each);
    k.adam(lr, 0, s);
  }
  k.mean.set(mean);
  k.square.set(square);
}

// When to measure: often at first, then at ever longer distances; and whole sets at the ends of epochs and of the run.
class Measuring {
  constructor(run) { Object.assign(this, {run, next: 0, whole: 0, epoch: 0}); }
  point() {
    const {run} = this, ends = run.epoch > this.epoch && run.at >= run.n;
    if (!run.done && !ends && run.seen < this.next) return null;
    const whole = run.done || ends && run.seen >= this.whole;
    if (!whole && run.seen < this.next) return null;
    if (ends) this.epoch = run.epoch;
    this.next = run.seen + Math.max(500, run.seen / 5);
    if (whole) this.whole = run.seen + 8000;
    return run.point(whole);
  }
}

if (typeof module !== 'undefined') {
  module.exports = {Random, Kernels, Run, Measuring, LAYERS, SETTINGS, toState, toFlat, initial, safetensors, unpack, mislabel, trainOwn};
  return;
}

// ---- the worker: does what the page's messages name, and says how far it is, ten times a second

const SLICE = 40, EVERY = 100;  // milliseconds of work at a time, and between two messages
let kernels, digits, run = null, measuring, going = false, seconds = 0, told = 0, sent = 0, last = null;
const channel = new MessageChannel();
channel.port1.onmessage = () => { try { work(); } catch (e) { fail(e); } };
const fail = e => { going = false; postMessage({type: 'error', message: e.message}); };

// A file's bytes, from an address or as they are given; says how much has come.
async function bytes(from, name) {
  if (typeof from !== 'string') return new Uint8Array(from);
  const answer = await fetch(from);
  if (!answer.ok) throw new Error(`${name} cannot be loaded (${answer.status})`);
  const total = +answer.headers.get('Content-Length') || 0, reader = answer.body.getReader(), parts = [];
  let loaded = 0;
  for (let part; !(part = await reader.read()).done;) {
    parts.push(part.value);
    postMessage({type: 'loading', name, loaded: loaded += part.value.length, total});
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

async function unzip(data) {
  if (data[0] !== 0x1f || data[1] !== 0x8b) return data;  // the server has unpacked it
  return new Uint8Array(await new Response(new Blob([data]).stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer());
}

function tell(point) {
  const weights = kernels.weight.slice();
  told = performance.now();
  const state = {type: 'state', run: run.number, steps: run.steps, seen: run.seen, epoch: run.epoch, n: run.n, n_steps: run.n_steps, seconds, losses: run.losses.slice(sent), from: sent,
                 point, done: run.done, stopped: run.stopped || '', going, memory: kernels.c.memory.buffer.byteLength, weights};
  sent = run.losses.length;
  postMessage(state, [weights.buffer]);
}

function timed(f) { const from = performance.now(); const found = f(); seconds += (performance.now() - from) / 1000; return found; }

function work() {
  if (!going) return;
  const until = performance.now() + SLICE;
  let point = null;
  timed(() => { while (performance.now() < until && !run.done && !point) { run.step(); point = measuring.point(); } });
  if (run.done) going = false;
  if (point || run.done || performance.now() - told > EVERY) tell(point);
  if (going) channel.port2.postMessage(0);
}

const DO = {
  async load({wasm, digits: packed, typical: like}) {
    const [code, data, typical] = await Promise.all([bytes(wasm, 'the kernels'), bytes(packed, 'the digits'), like && bytes(like, 'the typical digits')]);
    kernels = new Kernels(await WebAssembly.compile(code));
    digits = unpack(await unzip(data));
    const first = Array.from({length: CLASSES}, (_, c) => { const i = digits.held.y.indexOf(c); return {label: c, pixels: digits.held.x.slice(i * PIXELS, (i + 1) * PIXELS)}; });
    postMessage({type: 'ready', n: digits.train.y.length, n_held: digits.held.y.length, digits: first, typical});
  },
  begin({settings, number}) {  // the page gives each run a number, which stands in what is said of it
    going = false;
    [seconds, sent] = [0, 0];
    run = Object.assign(new Run(kernels, digits, settings), {number});
    measuring = new Measuring(run);
    tell(timed(() => measuring.point()));
  },
  go() { if (run && !run.done && !going) { going = true; work(); } },
  pause() { going = false; tell(null); },
  step() { going = false; if (run && !run.done) { timed(() => run.step()); tell(measuring.point()); } },
  mistakes({most}) {  // pictures of held-out digits that are misread, the surest first
    const wrong = run.measure(digits.held).mistakes.sort((a, b) => b[2] - a[2]);
    const shown = wrong.slice(0, most).map(([i, answer, p]) => ({answer, p, label: digits.held.y[i], pixels: digits.held.x.slice(i * PIXELS, (i + 1) * PIXELS)}));
    postMessage({type: 'mistakes', run: run.number, n: wrong.length, n_held: digits.held.y.length, shown});
  },
  own({x, y, n_steps}) {
    going = false;
    const before = run.measure({x, y}), held = run.measure(digits.held).accuracy;
    trainOwn(run, {x, y}, n_steps);  // counts neither as steps nor as seconds of the run
    const after = run.measure({x, y}), point = run.point(true);
    tell(point);
    DO.mistakes({most: 24});
    postMessage({type: 'own', run: run.number, n: y.length, before: before.accuracy, after: after.accuracy, wrong: after.mistakes.map(m => m[0]), held: [held, point.all]});
  },
  file() { postMessage({type: 'file', data: safetensors(toState(kernels.weight)), accuracy: run.measure(digits.held).accuracy}); },
};
onmessage = async ({data}) => { try { await DO[data.type](data); } catch (e) { fail(e); } };
})();
