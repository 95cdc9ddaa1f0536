// The functions of the explorer, against numbers from Python and PyTorch: `pytest tests/test_explore.py` writes them
// to a file, names it in EXPLORE_CASES and runs this. By itself (`node --test tests/js`) only the rest is checked.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import test from 'node:test';

const e = createRequire(import.meta.url)('../../mnist_cnn/static/explore_conv.js');
const given = process.env.EXPLORE_CASES ? JSON.parse(readFileSync(process.env.EXPLORE_CASES, 'utf8')) : null;
const where = { skip: given ? false : 'EXPLORE_CASES is not set' };
const random = (state => n => { state = (Math.imul(state, 1103515245) + 12345) >>> 0; return (state >>> 8) % n; })(42);

function anything() {
  const pairs = Object.fromEntries(e.PAIRS.map(n => [n, [random(40), random(40)].map(v => random(3) ? v : v % 4)]));
  return { ...pairs, kind: ['conv', 'transposed', 'max', 'avg'][random(4)], square: !random(2), ceil_mode: !random(2),
           in_channels: random(10), out_channels: random(10), groups: random(10), kernel: random(4) };
}

test('whatever is asked, the nearest possible settings come', () => {
  for (let i = 0; i < 3000; i++) {
    const s = e.repair(anything());
    assert.ok(e.valid(s), JSON.stringify(s));
    assert.deepEqual(e.repair(s), s);
    assert.deepEqual(e.repair(e.decode(e.encode(s))), s);
  }
});

test('sliders reach what is possible, without a gap, and where they stand', () => {
  for (let i = 0; i < 300; i++) {
    const s = e.repair(anything());
    for (const name of [...e.PAIRS, ...e.SINGLES]) for (const dim of [0, 1]) {
      const can = e.allowed(s, name, dim), now = e.PAIRS.includes(name) ? s[name][dim] : s[name];
      assert.ok(can.includes(now));
      if (e.PAIRS.includes(name)) assert.equal(can.at(-1) - can[0], can.length - 1, `${name} ${can} of ${JSON.stringify(s)}`);
      for (const v of can) assert.ok(e.valid(e.change(s, name, v, dim)));
    }
  }
});

test('the window of an output and the outputs of an input are the same pairs', () => {
  for (let i = 0; i < 200; i++) {
    const s = e.repair(anything()), pairs = { in: new Set(), out: new Set() };
    for (const side of ['in', 'out']) for (let a = 0; a < (side === 'in' ? s.size[0] : e.count(s, 0)); a++)
      e.partners(s, side, 0, a).forEach((b, u) => {
        const [x, y] = side === 'in' ? [a, b] : [b, a];
        if (b !== null && x >= 0 && x < s.size[0]) pairs[side].add(`${x},${y},${u}`);
      });
    assert.deepEqual([...pairs.in].sort(), [...pairs.out].sort());
  }
});

test('what is said to be unseen at the end is unseen, and what stands before it is seen', () => {
  let some = 0;
  for (let i = 0; i < 400; i++) {
    const s = { ...e.repair(anything()), ceil_mode: false };
    if (!e.valid(s) || s.kind === 'transposed') continue;
    const last = Math.max(...e.partners(s, 'out', 0, e.count(s, 0) - 1)), [input, padding] = e.unseen(s, 0);
    assert.equal(input, Math.max(0, s.size[0] - 1 - last));
    assert.equal(input + padding, s.size[0] - 1 + s.padding[0] - last);
    some += input > 0 && padding > 0;
  }
  assert.ok(some > 5);
});

test('words', () => {
  assert.equal(e.listed([0, 1, 2]), '0 to 2');
  assert.equal(e.listed([-1, 1, 3]), '−1, 1, 3');
  assert.equal(e.formula({ ...e.DEFAULTS, stride: [2, 2] }, 0), '⌊(28 + 2·0 − 1·(3 − 1) − 1)/2 + 1⌋ = ⌊13.5⌋ = 13');
  assert.deepEqual(e.unseen({ ...e.DEFAULTS, stride: [2, 2] }, 0), [1, 0]);
  assert.equal(e.unseenWords({ ...e.DEFAULTS, stride: [2, 2] }, [0]), 'No window sees the last row and column.');
  assert.equal(e.unseenWords({ ...e.DEFAULTS, stride: [2, 2], padding: [1, 1] }, [0]), 'No window sees the last row and column of padding.');
  assert.equal(e.unseenWords(e.DEFAULTS, [0]), '');
  const drop = { ...e.DEFAULTS, kind: 'max', size: [6, 6], kernel_size: [2, 2], stride: [3, 3], ceil_mode: true };
  assert.match(e.formula(drop, 0), /⌈2\.33⌉ = 3, less 1 .* = 2$/);
});

test('an address keeps what belongs to others', () => {
  assert.equal(e.withKey('#a=1&explore=x', 'explore', 'y'), '#a=1&explore=y');
  assert.equal(e.withKey('#out_size', 'explore', 'y'), '#explore=y');
  assert.equal(e.inHash('#a=1&explore=x', 'explore'), 'x');
  assert.equal(e.inHash('#explore2=x', 'explore'), undefined);
  for (const bad of ['', '#', '#explore', '#explore=', '#explore=%', '#explore=%E0%A4%A', '#explore=constructor', '#explore=toString,28', '#explore=__proto__,5'])
    assert.equal(e.fromHash(bad, 'explore'), null, bad);
  assert.deepEqual(e.fromHash('#explore=conv,28,k3,s2,p1,d1', 'explore'), e.repair({ ...e.DEFAULTS, stride: [2, 2], padding: [1, 1] }));
  assert.equal(e.repair({ ...e.DEFAULTS, kind: 'constructor' }).kind, 'conv');
  assert.equal(e.decode('nonsense,28'), null);
  assert.equal(e.decode('conv,k99,s0,%%').kernel_size[0], e.LIMITS.kernel_size[1]);
});

test('Python has the same limits', where, () => assert.deepEqual(
  Object.fromEntries(Object.entries(e.LIMITS).map(([n, [, most]]) => [n === 'size' ? 'in_size' : n, most])), given.limits));

test('possible where Python says so, with the size that Python says', where, () => {
  for (const { settings, size } of given.sizes) {
    assert.equal(e.valid(settings), size !== null, JSON.stringify(settings));
    if (size) assert.deepEqual(e.outSize(settings), size, JSON.stringify(settings));
  }
});

test('pixels, and all outputs, to the last digit as PyTorch has them', where, () => {
  for (const { settings: s, planes, outputs } of given.values) {
    const ours = planes.map((_, c) => e.pixels(given.image, s.size, c));
    assert.deepEqual(ours, planes);
    outputs.forEach((theirs, o) => e.output(s, ours, o).forEach((line, i) => line.forEach((v, j) => {
      const want = theirs[i][j] ?? -Infinity;   // JSON has no infinity
      assert.ok(v === want || Math.abs(v - want) < 1e-9, `${v} is not ${want}: ${JSON.stringify(s)}`);
    })));
  }
});

test('windows and feeds are where PyTorch has a gradient', where, () => {
  for (const { settings: s, at, seen, fed } of given.joined) {
    const cells = ([rows, cols], [h, w]) => rows.flatMap(y => cols.map(x => [y, x]))
      .filter(([y, x]) => y !== null && x !== null && y >= 0 && x >= 0 && y < h && x < w).map(String).sort();
    assert.deepEqual(cells(e.window(s, at.out), s.size), seen.map(String).sort(), JSON.stringify(s));
    assert.deepEqual(cells(e.feeds(s, at.in), e.outSize(s)), fed.map(String).sort(), JSON.stringify(s));
  }
});

test('the layers that give a size are those of find_conv', where, () => {
  for (const { size, want, found } of given.found) {
    const ours = e.find({ ...e.DEFAULTS, size, square: false }, want);
    assert.deepEqual(ours.map(s => [s.kernel_size[0], s.stride[0], s.padding[0]]), found);
  }
});
