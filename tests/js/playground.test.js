// The playground's functions against numbers that Python wrote into the folder PLAYGROUND_NUMBERS; run by tests/test_playground.py.
'use strict';
const test = require('node:test'), assert = require('node:assert'), fs = require('node:fs'), path = require('node:path');
const p = require('../../mnist_cnn/static/playground.js');
const python = JSON.parse(fs.readFileSync(path.join(process.env.PLAYGROUND_NUMBERS, 'numbers.json')));

test('the same logits as PyTorch', () => {
  for (const {network, images, logits} of python.networks) {
    const arrays = p.decode(network.states[network.states.length - 1], network.lengths);
    images.forEach((image, i) => {
      const found = p.forward(network, arrays, p.bytes(image)).pop();
      found.forEach((v, c) => assert.ok(Math.abs(v - logits[i][c]) < 1e-4, `image ${i}, class ${c}: ${v}, not ${logits[i][c]}`));
    });
  }
});

test('what is said to be behind a number makes it', () => {
  for (const {network, images} of python.networks) {
    const arrays = p.decode(network.states[network.states.length - 1], network.lengths);
    const outputs = p.forward(network, arrays, p.bytes(images[0]));
    network.layers.forEach((layer, l) => {
      if (!['conv', 'linear', 'norm'].includes(layer.op)) return;
      for (let i = 0; i < outputs[l + 1].length; i += 7) {
        const {terms, bias} = p.behind(layer, arrays, i);
        const sum = terms.reduce((a, [j, w]) => a + (j < 0 ? 0 : w * outputs[l][j]), bias);
        assert.ok(Math.abs(sum - outputs[l + 1][i]) < 1e-9, `${layer.name} ${i}: ${sum}, not ${outputs[l + 1][i]}`);
      }
    });
  }
});

test('a unit depends on the pixels that it is said to see, and on no others', () => {
  const {network, images} = python.networks[0], arrays = p.decode(network.states[network.states.length - 1], network.lengths);
  const l = network.layers.findIndex(layer => layer.name === 'conv2'), unit = 5 * 196 + 6 * 14 + 9;
  const [, rows, columns] = p.trace(network.layers, l, unit)[0], pixels = p.bytes(images[0]);
  const before = p.forward(network, arrays, pixels)[l + 1][unit];
  const outside = pixels.map((v, i) => { const [y, x] = [Math.floor(i / 28), i % 28]; return y < rows[0] || y > rows[1] || x < columns[0] || x > columns[1] ? 255 - v : v; });
  assert.notDeepStrictEqual(outside, pixels);
  assert.strictEqual(p.forward(network, arrays, outside)[l + 1][unit], before);
  for (const [y, x] of [[rows[0], columns[0]], [rows[1], columns[1]]]) {
    const changed = Array.from({length: 256}, (_, k) => { const one = pixels.slice(); for (let d = 0; d < 3; d++) one[(y + (y === rows[0] ? d : -d)) * 28 + x + (x === columns[0] ? d : -d)] = k; return p.forward(network, arrays, one)[l + 1][unit]; });
    assert.ok(new Set(changed).size > 1, `pixel ${y}, ${x} changes nothing`);
  }
});

test('specks far apart are no digit, as for prepare_image', () => {
  const pixels = new Float64Array(1000 * 1000);
  pixels[5005] = pixels[994994] = 1;
  assert.equal(p.prepare({pixels, width: 1000, height: 1000}), null);
});

test('images are prepared as prepare_image prepares them', () => {
  let same = 0, n = 0;
  for (const {pixels, width, height, prepared} of python.images) p.prepare({pixels, width, height}).forEach((v, i) => {
    assert.ok(Math.abs(v - prepared[i]) <= 5, `pixel ${i}: ${v}, not ${prepared[i]}`);  // Pillow's order of the two sides depends on its version
    same += v === prepared[i];
    n++;
  });
  assert.ok(same / n > .99, `${same} of ${n}`);
});

test('where nothing is drawn there is nothing to prepare', () => {
  assert.strictEqual(p.rasterise([]), null);
  assert.strictEqual(p.prepare({pixels: new Float64Array(100), width: 10, height: 10}), null);
});

test('size and place of the lines do not matter', () => {
  for (const lines of Object.values(python.strokes)) {
    const at = (side, x, y) => p.prepare(p.rasterise(lines.map(line => line.map(([a, b]) => [x + side * a, y + side * b]))));
    const first = at(200, 40, 40);
    for (const other of [at(30, 0, 0), at(64, 200, 10), at(1000, -500, 3)]) {
      const mean = first.reduce((sum, v, i) => sum + Math.abs(v - other[i]), 0) / 784;
      assert.ok(mean < 3, `${mean} on average`);
    }
  }
});

test('a tap is a dot in the middle', () => {
  const dot = p.prepare(p.rasterise([[[250, 20]]]));
  assert.ok(dot[14 * 28 + 14] > 0 && dot[0] === 0);
});

// wobbling lines of 20 points all over the field, the same in each run
function scribble(n, seed = 1) {
  const random = () => (seed = seed * 16807 % 2147483647) / 2147483647, near = v => Math.min(280, Math.max(0, v + 20 * random() - 10));
  return Array.from({length: n}, () => { let [x, y] = [280 * random(), 280 * random()]; return Array.from({length: 20}, () => [x = near(x), y = near(y)]); });
}

test('a drawing that grows is the same as if it had been drawn at once, and what is there already is not drawn again', () => {
  const strokes = scribble(200), growing = [];
  let held = null;
  for (const line of strokes) for (const point of line) {
    if (point === line[0]) growing.push([]);
    growing[growing.length - 1].push(point);
    if (growing.length % 20 === 0) held = p.rasterise(growing, undefined, undefined, held);
  }
  held = p.rasterise(growing, undefined, undefined, held);
  assert.deepStrictEqual(held.pixels, p.rasterise(growing).pixels);
  const time = f => { const begun = performance.now(); f(); return performance.now() - begun; }, median = t => t.sort((a, b) => a - b)[t.length >> 1];
  const grow = Array.from({length: 15}, (_, i) => { growing[199].push([140 + i, 140]); return time(() => { held = p.rasterise(growing, undefined, undefined, held); }); });
  assert.ok(median(grow) < median(Array.from({length: 5}, () => time(() => p.rasterise(growing)))) / 5);
});

test('a stray dot in a far corner changes nothing; dots alone, and what lies at a line, stay', () => {
  for (const lines of Object.values(python.strokes)) {
    const clean = p.prepare(p.rasterise(lines));
    for (const dot of [[0, 0], [1.6, -.4], [-.5, 1.5], [1.5, 1.5]].map(([x, y]) => [[x, y], [x + .02, y]]))
      assert.deepStrictEqual(p.prepare(p.rasterise([...lines, dot].filter(l => l !== dot || !lines.flat().some(([x, y]) => Math.hypot(x - dot[0][0], y - dot[0][1]) < .15)))), clean);
  }
  assert.strictEqual(p.withoutSpecks([[[5, 5]], [[200, 200]]]).length, 2);
  assert.strictEqual(p.withoutSpecks([[[5, 5], [5, 200]], [[6, 100]]]).length, 2);
});

test('the fast way through 3×3 gives what the general one gives', () => {
  const layer = {op: 'conv', in: [4, 7, 9], kernel_size: [3, 3], stride: [1, 1], dilation: [1, 1], groups: 2, weight: 0, bias: 1}, random = scribble(30, 7).flat(2);
  for (const padding of [[0, 0], [1, 1], [2, 1]]) {
    const one = {...layer, padding, out: [6, 5 + 2 * padding[0], 7 + 2 * padding[1]]}, arrays = [Float64Array.from(random.slice(0, 108)), Float64Array.from(random.slice(200, 206))];
    const x = Float64Array.from(random.slice(300, 552)), network = {layers: [one], mean: 0, std: 1}, y = p.forward({...network, layers: [one]}, arrays, x.map(v => 255 * v)).pop();
    for (let i = 0; i < y.length; i += 5) {
      const {terms, bias} = p.behind(one, arrays, i);
      assert.ok(Math.abs(terms.reduce((a, [j, w]) => a + (j < 0 ? 0 : w * x[j]), bias) - y[i]) < 1e-6 * (1 + Math.abs(y[i])));
    }
  }
});

test('how unlike a typical digit an image is, as Python finds it', () => {
  const {data, limit} = python.networks[0].network.typical, typical = p.vectors(p.bytes(data));
  assert.equal(typical.length, 200);
  assert.ok(limit > 0 && limit < 1);
  python.unlike.images.forEach((image, i) => {
    const found = p.strangeness(p.bytes(image), typical);
    assert.ok(Math.abs(found - python.unlike.found[i]) < 1e-6, `image ${i}: ${found}, not ${python.unlike.found[i]}`);
  });
  assert.equal(p.strangeness(new Uint8Array(784), typical), 1);
});
