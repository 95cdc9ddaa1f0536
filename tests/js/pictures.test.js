// The parts of the page's reader of pictures against the same done slowly; run by tests/test_pasted.py.
'use strict';
const test = require('node:test'), assert = require('node:assert');
const p = require('../../mnist_cnn/static/pictures.js');

let seed = 1;
const random = () => (seed = seed * 16807 % 2147483647) / 2147483647;
const plane = (h, w, f) => ({v: Float64Array.from({length: h * w}, (_, i) => f(Math.floor(i / w), i % w)), h, w});
const noise = (h, w) => plane(h, w, random), blots = (h, w, share) => plane(h, w, () => random() < share ? 1 : 0);
const close = (a, b, within = 1e-9) => a.forEach((v, i) => assert.ok(Math.abs(v - b[i]) <= within, `place ${i}: ${v}, not ${b[i]}`));

test('a quantile lies between the sorted values, as NumPy takes it', () => {
  for (const n of [1, 2, 7, 100]) {
    const values = Array.from({length: n}, () => Math.floor(8 * random())), sorted = [...values].sort((a, b) => a - b);
    for (const q of [0, .005, .25, .5, .75, .995, 1]) {
      const at = q * (n - 1), k = Math.floor(at);
      close([p.quantile(values, q)], [sorted[k] + (at - k) * ((sorted[k + 1] ?? sorted[k]) - sorted[k])]);
    }
  }
});

test('the largest value in a window', () => {
  for (const r of [1, 2, 5, 30]) {
    const a = noise(17, 23);
    close(p.dilated(a, r).v, plane(17, 23, (y, x) => {
      let most = -Infinity;
      for (let i = Math.max(0, y - r); i <= Math.min(16, y + r); i++) for (let j = Math.max(0, x - r); j <= Math.min(22, x + r); j++) most = Math.max(most, a.v[i * 23 + j]);
      return most;
    }).v);
  }
});

test('a Gaussian filter keeps what is constant, and mirrors the picture at its edges', () => {
  close(p.gaussian(plane(9, 11, () => .7), 1.5).v, plane(9, 11, () => .7).v);
  const a = noise(8, 9), k = x => Math.exp(-.5 * (x / 1.5) ** 2), at = (i, n) => { i = (i % (2 * n) + 2 * n) % (2 * n); return i < n ? i : 2 * n - 1 - i; };
  close(p.gaussian(a, 1.5).v, plane(8, 9, (y, x) => {
    let sum = 0, total = 0;
    for (let i = -6; i <= 6; i++) for (let j = -6; j <= 6; j++) { sum += k(i) * k(j) * a.v[at(y + i, 8) * 9 + at(x + j, 9)]; total += k(i) * k(j); }
    return sum / total;
  }).v);
});

test('distances, and where the nearest pixel outside is', () => {
  for (const share of [.3, .9, .98]) {
    const mask = blots(20, 31, share), {far, near} = p.distance(mask), outside = [...mask.v.keys()].filter(i => !mask.v[i]);
    const from = (i, j) => Math.hypot(Math.floor(i / 31) - Math.floor(j / 31), i % 31 - j % 31);
    close(far.v, mask.v.map((_, i) => Math.min(...outside.map(j => from(i, j)))));
    near.v.forEach((j, i) => { assert.equal(mask.v[j], 0); close([from(i, j)], [far.v[i]]); });
  }
});

test('what hangs together, with corners and without', () => {
  const mask = plane(3, 6, (y, x) => [[1, 0, 0, 1, 1, 1], [0, 1, 0, 1, 0, 1], [0, 0, 0, 1, 1, 1]][y][x]);
  assert.equal(p.label(mask, true).n, 2);
  assert.equal(p.label(mask, false).n, 3);
  assert.equal(p.filled(mask).v.reduce((a, b) => a + b), 11);
});

test('a ruled line goes, a stroke that crosses it stays', () => {
  const mask = plane(200, 200, (y, x) => +(y === 50 || y === 51 || y === 120 || y === 121 || y >= 30 && y < 150 && x >= 90 && x < 102)), stroke = plane(200, 200, (y, x) => +(y >= 30 && y < 150 && x >= 90 && x < 102));
  p.removeLines(mask);
  assert.deepStrictEqual(mask.v, stroke.v);
});

const rgba = ({v, h, w}, a = () => 255) => ({data: Uint8ClampedArray.from({length: 4 * h * w}, (_, i) => i % 4 === 3 ? a(i >> 2) : 255 * v[i >> 2]), width: w, height: h});

test('pictures without a digit say why', () => {
  assert.match(p.findDigits(rgba(plane(50, 50, () => .5))).error, /the same brightness/);
  assert.match(p.findDigits(rgba(plane(200, 200, () => .8 + .05 * random()))).error, /specks|brightness/);
  assert.match(p.findDigits(rgba(plane(200, 200, (y, x) => y < 6 || x < 9 ? .95 : .1))).error, /No digit found/);
  const from = (y, x, n) => y >= n && y < 200 - n && x >= n && x < 200 - n;
  assert.match(p.findDigits(rgba(plane(200, 200, (y, x) => from(y, x, 2) && !from(y, x, 50) ? .1 : .95))).error, /fills most of the picture. Leave a margin/);
});

test('the rim of a blot is no digit', () => {
  for (const blot of [(y, x) => Math.hypot(y - 150, x - 200) < 60, (y, x) => Math.max(Math.abs(y - 150), Math.abs(x - 200)) < 45])
    for (const ink of [.1, .5]) assert.match(p.findDigits(rgba(plane(300, 400, (y, x) => blot(y, x) ? ink : .9))).error, /No digit found/);
});

test('a large picture is made smaller, and its box is in its own pixels', () => {
  const {digits} = p.findDigits(rgba(plane(1200, 2000, (y, x) => +!(y >= 300 && y < 900 && x >= 960 && x < 1050))));
  assert.equal(digits.length, 1);
  digits[0].box.forEach((v, i) => assert.ok(Math.abs(v - [960, 300, 1050, 900][i]) <= 6, `${digits[0].box}`));
});

test('white ink on nothing, and dark ink on nothing', () => {
  for (const ink of [1, 0]) {
    const {digits} = p.findDigits(rgba(plane(100, 100, () => ink), i => { const y = Math.floor(i / 100), x = i % 100; return y >= 20 && y < 80 && x >= 45 && x < 57 ? 255 : 0; }));
    assert.deepStrictEqual(digits[0].box, [45, 20, 57, 80]);
  }
});
