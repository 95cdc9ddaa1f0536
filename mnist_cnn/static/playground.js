// A trained network that reads in the page what is drawn there. `mnist_cnn.playground` puts this script, its style and the
// network's numbers into one piece of HTML; in node it gives the functions that need no page, which tests compare with Python.
(() => {
'use strict';

// ---- the drawing, prepared as MNIST's digits were: the same steps as `mnist_cnn.data.prepare_image`

const rint = v => { const r = Math.round(v); return Math.abs(v % 1) === .5 && r % 2 ? r - 1 : r; };  // half to even, as Python
const clamp = (v, low, high) => Math.min(Math.max(v, low), high);

const bounds = points => {
  let [left, right, top, bottom] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const [x, y] of points) {
    if (x < left) left = x;
    if (x > right) right = x;
    if (y < top) top = y;
    if (y > bottom) bottom = y;
  }
  return {left, right, top, bottom, side: Math.max(right - left, bottom - top)};
};

const toLine = ([x, y], [ax, ay], [bx, by]) => {
  const dx = bx - ax, dy = by - ay, t = clamp(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1), 0, 1);
  return Math.hypot(x - ax - t * dx, y - ay - t * dy);
};

// The lines of a drawing without its specks: no digit has a dot, so what is far smaller than the longest line, and apart from it, is
// a slip of the hand. `small` and `apart` are fractions of the longest line.
function withoutSpecks(strokes, small = .12, apart = .1) {
  const boxes = strokes.map(bounds), longest = Math.max(...boxes.map(b => b.side)), far = apart * longest;
  const is = boxes.map(b => b.side < small * longest), large = [...strokes.keys()].filter(n => !is[n]);
  const near = (n, m) => boxes[n].left - far <= boxes[m].right && boxes[m].left - far <= boxes[n].right
    && boxes[n].top - far <= boxes[m].bottom && boxes[m].top - far <= boxes[n].bottom
    && strokes[n].some(p => strokes[m].some((q, k) => toLine(p, q, strokes[m][k + 1] || q) <= far));
  return strokes.filter((_, n) => !is[n] || large.some(m => near(n, m)));
}

// Lines of points, in any unit and at any place, as an image whose longer side is 100 pixels of ink: so lines come out equally
// thick however large they were drawn. `least` is the size below which a drawing is taken for a dot. `held`, what this gave for
// the drawing as it was before, is continued if no line has reached further since.
function rasterise(strokes, pen = 13, least = 6, held = null) {
  const kept = withoutSpecks(strokes);
  if (!kept.length) return null;
  const boxes = kept.map(s => bounds(s)), {left, right, top, bottom, side} = bounds(boxes.flatMap(b => [[b.left, b.top], [b.right, b.bottom]]));
  const frame = [left, right, top, bottom, ...kept.map(s => strokes.indexOf(s))].join();
  const k = (100 - pen) / Math.max(side, least), edge = pen / 2 + 3;
  if (!held || held.frame !== frame) {
    const width = Math.ceil((right - left) * k + 2 * edge), height = Math.ceil((bottom - top) * k + 2 * edge);
    held = {pixels: new Float64Array(width * height), width, height, frame, done: kept.map(() => 0)};
  }
  const place = ([x, y]) => [(x - left) * k + edge, (y - top) * k + edge];
  kept.forEach((stroke, s) => {
    for (let n = held.done[s]; n < Math.max(1, stroke.length - 1); n++) inkLine(held, place(stroke[n]), place(stroke[n + 1] || stroke[n]), pen / 2);
    held.done[s] = stroke.length - 1;
  });
  return held;
}

// One straight line with round ends; where it is, the image becomes as dark as the line, or stays as it is.
function inkLine({pixels, width, height}, [ax, ay], [bx, by], radius) {
  const dx = bx - ax, dy = by - ay, length = dx * dx + dy * dy || 1, reach = radius + 1, full = (radius - .5) ** 2, none = (radius + .5) ** 2;
  const y1 = Math.min(height, Math.max(ay, by) + reach), x1 = Math.min(width, Math.max(ax, bx) + reach);
  for (let y = Math.max(0, Math.floor(Math.min(ay, by) - reach)); y < y1; y++)
    for (let x = Math.max(0, Math.floor(Math.min(ax, bx) - reach)), i = y * width + x; x < x1; x++, i++) {
      const px = x + .5 - ax, py = y + .5 - ay, t = clamp((px * dx + py * dy) / length, 0, 1), ex = px - t * dx, ey = py - t * dy;
      const far = ex * ex + ey * ey;
      if (far >= none) continue;
      const ink = far <= full ? 1 : radius - Math.sqrt(far) + .5;
      if (ink > pixels[i]) pixels[i] = ink;
    }
}

const box = {reach: .5, at: x => x > -.5 && x <= .5 ? 1 : 0};
const bicubic = {reach: 2, at: x => {
  x = Math.abs(x);
  return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? ((-.5 * x + 2.5) * x - 4) * x + 2 : 0;
}};

// One row of `n` pixels after another, each made `m` long, as Pillow does it: whole numbers in, whole numbers out.
function resizeRows(pixels, n, m, kernel) {
  if (n === m) return pixels;
  const rows = pixels.length / n, out = new Uint8Array(rows * m), scale = n / m, wide = Math.max(scale, 1);
  for (let i = 0; i < m; i++) {
    const centre = (i + .5) * scale, first = Math.max(0, Math.trunc(centre - kernel.reach * wide + .5));
    const last = Math.min(n, Math.trunc(centre + kernel.reach * wide + .5));
    const shares = Array.from({length: last - first}, (_, j) => kernel.at((j + first - centre + .5) / wide));
    const total = shares.reduce((a, b) => a + b, 0), weights = shares.map(v => Math.round(v / total * 2 ** 22));
    for (let r = 0; r < rows; r++) {
      let sum = 2 ** 21;
      for (let j = 0; j < weights.length; j++) sum += pixels[r * n + first + j] * weights[j];
      out[r * m + i] = clamp(Math.floor(sum / 2 ** 22), 0, 255);
    }
  }
  return out;
}

function transpose(pixels, width) {
  const height = pixels.length / width, out = new Uint8Array(pixels.length);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) out[x * height + y] = pixels[y * width + x];
  return out;
}

function resize({pixels, width}, w, h, kernel) {
  const across = resizeRows(pixels, width, w, kernel);
  return transpose(resizeRows(transpose(across, w), pixels.length / width, h, kernel), h);
}

// A grey image (0 to 1, row by row) as MNIST would hold it: 28×28 whole numbers from 0 to 255. Null if there is no digit on it.
function prepare({pixels, width, height}) {
  const at = (y, x) => pixels[y * width + x], range = n => [...Array(n).keys()];
  const edge = [...range(width).flatMap(x => [at(0, x), at(height - 1, x)]), ...range(height).flatMap(y => [at(y, 0), at(y, width - 1)])];
  edge.sort((a, b) => a - b);
  const paper = (edge[edge.length / 2 - 1] + edge[edge.length / 2]) / 2;
  let low = Infinity, high = -Infinity;
  for (const v of pixels) { low = Math.min(low, v); high = Math.max(high, v); }
  const sign = high - paper > paper - low ? 1 : -1, most = Math.max(high - paper, paper - low);
  if (!(most >= .1)) return null;
  const ink = Float64Array.from(pixels, v => clamp((sign * (v - paper) / most - .2) / .6, 0, 1));
  let [top, bottom, left, right] = [height, -1, width, -1];
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) if (ink[y * width + x]) {
    top = Math.min(top, y); bottom = Math.max(bottom, y); left = Math.min(left, x); right = Math.max(right, x);
  }
  const cut = {pixels: new Uint8Array((bottom - top + 1) * (right - left + 1)), width: right - left + 1};
  for (let y = top, i = 0; y <= bottom; y++) for (let x = left; x <= right; x++) cut.pixels[i++] = 255 * ink[y * width + x];

  return held(cut);
}

// Ink without empty rows and columns at its edges (bytes, row by row), scaled into 20×20 and centered by its mass in 28×28.
function held(cut) {
  const sides = [cut.pixels.length / cut.width, cut.width], longest = Math.max(...sides);
  const [h, w] = sides.map(n => Math.max(1, rint(20 * n / longest)));
  const small = resize(cut, w, h, longest > 20 ? box : bicubic), brightest = small.reduce((a, b) => Math.max(a, b), 0);
  if (!brightest) return null;  // only specks, far apart
  const masses = [new Float64Array(h), new Float64Array(w)];
  small.forEach((v, i) => { masses[0][Math.floor(i / w)] += v; masses[1][i % w] += v; });
  const [y0, x0] = masses.map(mass => {  // where a side with this much ink in each row begins if its centre is to be at 14
    const total = mass.reduce((a, b) => a + b, 0), centre = mass.reduce((a, v, i) => a + v * i, 0) / total;
    return clamp(rint(14 - centre), 0, 28 - mass.length);
  });
  const out = new Uint8Array(784);
  small.forEach((v, i) => { out[(y0 + Math.floor(i / w)) * 28 + x0 + i % w] = rint(v * 255 / brightest); });
  return out;
}

// ---- the network

function bytes(base64) {
  const text = atob(base64), found = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) found[i] = text.charCodeAt(i);
  return found;
}
const shape3 = s => s.length === 3 ? s : [s[0], 1, 1];
const size = s => s.reduce((a, b) => a * b, 1);

// The arrays of one state: whole numbers of `n_bytes` bytes each, the largest of an array standing for its scale.
function decode({data, n_bytes, scales}, lengths) {
  const raw = bytes(data), unit = 2 ** (8 * n_bytes - 1) - 1;
  let at = 0;
  return lengths.map((length, k) => Float64Array.from({length}, () => {
    let v = 0;
    for (let b = 0; b < n_bytes; b++) v |= raw[at++] << 8 * (b + 4 - n_bytes);
    return (v >> 8 * (4 - n_bytes)) / unit * scales[k];
  }));
}

// The rows that a window reads at `o` along one dimension, as [first, one after the last] places in the kernel.
const inside = (o, n, k, stride, padding, dilation) => {
  const start = o * stride - padding;
  return [Math.max(0, Math.ceil(-start / dilation)), Math.min(k, Math.ceil((n - start) / dilation))];
};

// The most usual convolution, 3×3 with stride 1, added to `y`: nine products at once over an input with its padding around it.
function threeByThree(y, x, w, {C, H, W, O, OH, OW, ph, pw, each}) {
  const wide = W + 2 * pw, padded = new Float64Array(C * (H + 2 * ph) * wide);
  for (let c = 0; c < C; c++) for (let r = 0; r < H; r++)
    padded.set(x.subarray((c * H + r) * W, (c * H + r + 1) * W), (c * (H + 2 * ph) + r + ph) * wide + pw);
  for (let o = 0; o < O; o++) for (let c = 0; c < each; c++) {
    const at = (o * each + c) * 9, [a, b, d, e, f, g, h, i, j] = w.subarray(at, at + 9);
    for (let r = 0; r < OH; r++) {
      let p = ((Math.floor(o / (O / (C / each))) * each + c) * (H + 2 * ph) + r) * wide, q = p + wide, s = q + wide;
      for (let to = (o * OH + r) * OW, end = to + OW; to < end; to++, p++, q++, s++)
        y[to] += a * padded[p] + b * padded[p + 1] + d * padded[p + 2] + e * padded[q] + f * padded[q + 1] + g * padded[q + 2]
          + h * padded[s] + i * padded[s + 1] + j * padded[s + 2];
    }
  }
  return y;
}

const OPS = {
  conv({in: [C, H, W], out: [O, OH, OW], kernel_size: [kh, kw], stride: [sh, sw], padding: [ph, pw], dilation: [dh, dw], groups, weight, bias}, x, arrays) {
    const y = new Float64Array(O * OH * OW), w = arrays[weight], each = C / groups;
    for (let o = 0; o < O; o++) if (bias !== null) y.fill(arrays[bias][o], o * OH * OW, (o + 1) * OH * OW);
    if ([kh, kw].every(k => k === 3) && [sh, sw, dh, dw].every(v => v === 1)) return threeByThree(y, x, w, {C, H, W, O, OH, OW, ph, pw, each});
    for (let o = 0; o < O; o++) {
      for (let c = 0; c < each; c++) for (let ky = 0; ky < kh; ky++) for (let kx = 0; kx < kw; kx++) {
        const v = w[((o * each + c) * kh + ky) * kw + kx], from = (Math.floor(o / (O / groups)) * each + c) * H * W;
        const dx = kx * dw - pw, x0 = Math.max(0, Math.ceil(-dx / sw)), x1 = Math.min(OW, Math.floor((W - 1 - dx) / sw) + 1);
        for (let oy = 0; oy < OH; oy++) {
          const iy = oy * sh - ph + ky * dh;
          if (iy < 0 || iy >= H) continue;
          const row = from + iy * W + dx, to = (o * OH + oy) * OW;
          for (let ox = x0; ox < x1; ox++) y[to + ox] += v * x[row + ox * sw];
        }
      }
    }
    return y;
  },
  pool(layer, x) {
    const {out: [C, OH, OW]} = layer, y = new Float64Array(C * OH * OW);
    for (let i = 0; i < y.length; i++) y[i] = pooled(layer, x, i);
    return y;
  },
  linear({in: [n], out: [m], weight, bias}, x, arrays) {
    const y = new Float64Array(m), w = arrays[weight];
    for (let o = 0; o < m; o++) {
      let sum = bias === null ? 0 : arrays[bias][o];
      for (let i = 0; i < n; i++) sum += w[o * n + i] * x[i];
      y[o] = sum;
    }
    return y;
  },
  norm({in: shape, weight, bias}, x, arrays) {
    const each = size(shape.slice(1));
    return x.map((v, i) => v * arrays[weight][Math.floor(i / each)] + arrays[bias][Math.floor(i / each)]);
  },
  relu: ({slope}, x) => x.map(v => v > 0 ? v : slope * v),
  sigmoid: (_, x) => x.map(v => 1 / (1 + Math.exp(-v))),
  tanh: (_, x) => x.map(Math.tanh),
  softmax(_, x) {
    const most = x.reduce((a, b) => Math.max(a, b)), e = x.map(v => Math.exp(v - most)), total = e.reduce((a, b) => a + b);
    return e.map(v => v / total);
  },
  logsoftmax: (layer, x) => OPS.softmax(layer, x).map(Math.log),
  flatten: (_, x) => x,
};

// The places of its input that a window of a convolution or a pool reads for output `i` in input channel `c`: [row, column, index].
function places({in: [, H, W], out: [, OH, OW], kernel_size: [kh, kw], stride: [sh, sw], padding: [ph, pw], dilation: [dh, dw]}, i, c) {
  const oy = Math.floor(i / OW) % OH, ox = i % OW, found = [];
  for (let ky = 0; ky < kh; ky++) for (let kx = 0; kx < kw; kx++) {
    const y = oy * sh - ph + ky * dh, x = ox * sw - pw + kx * dw;
    found.push([ky, kx, y >= 0 && y < H && x >= 0 && x < W ? (c * H + y) * W + x : -1]);
  }
  return found;
}

function pooled(layer, x, i) {
  const {in: [, H, W], out: [, OH, OW], kernel_size: [kh, kw], stride: [sh, sw], padding: [ph, pw], dilation: [dh, dw], mean, divisor} = layer;
  const c = Math.floor(i / (OH * OW)), oy = Math.floor(i / OW) % OH, ox = i % OW;
  const [y0, y1] = inside(oy, H, kh, sh, ph, dh), [x0, x1] = inside(ox, W, kw, sw, pw, dw);
  let sum = 0, most = -Infinity;
  for (let ky = y0; ky < y1; ky++) for (let kx = x0; kx < x1; kx++) {
    const v = x[(c * H + oy * sh - ph + ky * dh) * W + ox * sw - pw + kx * dw];
    sum += v;
    if (v > most) most = v;
  }
  if (!mean) return most;
  if (divisor) return sum / divisor;
  if (!layer.count_padding) return sum / ((y1 - y0) * (x1 - x0));
  const reach = (o, n, k, s, p) => Math.min(o * s - p + k, n + p) - (o * s - p);
  return sum / (reach(oy, H, kh, sh, ph) * reach(ox, W, kw, sw, pw));
}

// All that a network makes of 28×28 pixels from 0 to 255: first what it is given, then each layer's output.
function forward(network, arrays, pixels) {
  const all = [Float64Array.from(pixels, v => (v / 255 - network.mean) / network.std)];
  for (const layer of network.layers) all.push(OPS[layer.op](layer, all[all.length - 1], arrays));
  return all;
}

// Probabilities of the classes: what the last layer gives, or its softmax unless it has been taken already.
function probabilities(network, outputs) {
  const last = network.layers[network.layers.length - 1], y = outputs[outputs.length - 1];
  return ['softmax', 'sigmoid'].includes(last.op) ? y : OPS.softmax(last, y);
}

// What output `i` of a layer is computed from: [index in the layer's input (−1: padding), weight], and the bias.
function behind(layer, arrays, i) {
  const bias = layer.bias == null ? 0 : arrays[layer.bias];
  if (layer.op === 'linear') {
    const n = layer.in[0];
    return {terms: Array.from({length: n}, (_, j) => [j, arrays[layer.weight][i * n + j]]), bias: bias && bias[i]};
  }
  const [O, OH, OW] = shape3(layer.out), o = Math.floor(i / (OH * OW));
  if (layer.op === 'conv') {
    const [kh, kw] = layer.kernel_size, each = layer.in[0] / layer.groups, first = Math.floor(o / (O / layer.groups)) * each;
    const terms = [];
    for (let c = 0; c < each; c++) for (const [ky, kx, at] of places(layer, i, first + c))
      terms.push([at, arrays[layer.weight][((o * each + c) * kh + ky) * kw + kx], first + c]);
    return {terms, bias: bias && bias[o]};
  }
  if (layer.op === 'pool') return {terms: places(layer, i, o).map(([, , at]) => [at, 1]), bias: 0};
  if (layer.op === 'norm') return {terms: [[i, arrays[layer.weight][o]]], bias: bias[o]};
  if (/softmax/.test(layer.op)) return {terms: layer.in.length === 1 ? Array.from({length: layer.in[0]}, (_, j) => [j, 1]) : [[i, 1]], bias: 0};
  return {terms: [[i, 1]], bias: 0};
}

// Which part of each earlier output a unit sees: for layer `l` and all before it, down to the pixels, the first and last
// channel, row and column, both included. Element j belongs to the input of layer j.
function trace(layers, l, i) {
  const at = ([, H, W], i) => { const c = Math.floor(i / (H * W)), y = Math.floor(i / W) % H, x = i % W; return [[c, c], [y, y], [x, x]]; };
  const whole = shape => shape3(shape).map(n => [0, n - 1]);
  const parts = [];
  let part = at(shape3(layers[l].out), i);
  for (let j = l; j >= 0; j--) {
    const layer = layers[j];
    if (layer.op === 'linear' || /softmax/.test(layer.op)) part = whole(layer.in);
    else if (layer.op === 'flatten') part = part[0][0] === part[0][1] ? at(shape3(layer.in), part[0][0]) : whole(layer.in);
    else if (layer.kernel_size) {
      const [O] = layer.out, each = layer.in[0] / (layer.groups || 1);
      const group = c => layer.op === 'conv' ? Math.floor(c / (O / layer.groups)) : c;
      const channels = layer.op === 'conv' ? [group(part[0][0]) * each, (group(part[0][1]) + 1) * each - 1] : part[0];
      part = [channels, ...[1, 2].map(d => [0, 1].map(e => clamp(part[d][e] * layer.stride[d - 1] - layer.padding[d - 1]
        + e * (layer.kernel_size[d - 1] - 1) * layer.dilation[d - 1], 0, layer.in[d] - 1)))];
    }
    parts[j] = part;
  }
  return parts;
}

// In which directions the lines of an image run, at each of 7×7 places: how strong its edges are there that lie across, down and along
// the two diagonals; 196 numbers, as a vector of length 1. As `mnist_cnn.uncertainty.directions`.
function directions(pixels) {
  const at = (y, x) => y < 0 || y > 27 || x < 0 || x > 27 ? 0 : pixels[y * 28 + x] / 255, out = new Float64Array(196);
  for (let y = 0; y < 28; y++) for (let x = 0; x < 28; x++) {
    const [a, b, c, d, e, f, g, h] = [at(y - 1, x - 1), at(y - 1, x), at(y - 1, x + 1), at(y, x - 1), at(y, x + 1), at(y + 1, x - 1), at(y + 1, x), at(y + 1, x + 1)];
    const gx = c + 2 * e + h - a - 2 * d - f, gy = f + 2 * g + h - a - 2 * b - c, strong = Math.hypot(gx, gy);
    if (!strong) continue;
    const straight = (gx * gx - gy * gy) / strong, slanted = 2 * gx * gy / strong, place = Math.floor(y / 4) * 7 + Math.floor(x / 4);
    out[(straight > 0 ? 0 : 49) + place] += Math.abs(straight);
    out[(slanted > 0 ? 98 : 147) + place] += Math.abs(slanted);
  }
  const length = Math.sqrt(out.reduce((sum, v) => sum + v * v, 0)) || 1;
  return out.map(v => v / length);
}

// Half bytes as vectors of length 1: the directions of typical digits.
function vectors(packed, n = 196) {
  const all = Float64Array.from({length: 2 * packed.length}, (_, i) => packed[i >> 1] >> 4 * (1 - i % 2) & 15), found = [];
  for (let from = 0; from < all.length; from += n) {
    const v = all.slice(from, from + n), length = Math.sqrt(v.reduce((sum, a) => sum + a * a, 0));
    found.push(v.map(a => a / length));
  }
  return found;
}

// How far an image is from the nearest of them, as `mnist_cnn.uncertainty.strangeness`: 1 minus the cosine of the angle between their directions.
function strangeness(pixels, typical) {
  const own = directions(pixels);
  return 1 - Math.max(...typical.map(v => v.reduce((sum, a, i) => sum + a * own[i], 0)));
}

if (typeof document === 'undefined') {
  module.exports = {directions, vectors, strangeness, rasterise, withoutSpecks, prepare, held, resize, box, bicubic, decode, forward, probabilities, behind, trace, bytes};
  return;
}

// ---- the page

// An element with attributes; functions among them listen to the event of that name.
function make(tag, attributes = {}, ...children) {
  const svg = ['svg', 'path', 'g', 'image'].includes(tag);
  const e = svg ? document.createElementNS('http://www.w3.org/2000/svg', tag) : document.createElement(tag);
  for (const [k, v] of Object.entries(attributes)) typeof v === 'function' ? e.addEventListener(k, v) : e.setAttribute(k, v);
  e.append(...children.filter(c => c !== null));
  return e;
}

const number = (v, digits = 3) => v.toFixed(digits).replace(/^-(?=0\.?0*$)/, '').replace('-', '−');
const signed = v => (v < 0 ? '− ' : '+ ') + number(Math.abs(v));
const percent = p => (100 * p).toFixed(1) + '%';
const MARK = '#e0407a', GAP = 4, LABEL = 44;
const COOL = [0x1f, 0x7f, 0xc4], WARM = [0xe0, 0x6c, 0x10];  // below and above zero, over any ground

// A pixel as it lies in memory, and values as colours: as strong as they are large, so that zero is whatever the page's ground is.
const rgba = (r, g, b, a) => (a << 24 | b << 16 | g << 8 | r) >>> 0;
const colour = (v, most) => rgba(...(v < 0 ? COOL : WARM), most && Math.round(255 * Math.min(1, Math.abs(v) / most)));

// A canvas of C maps of H×W, as many in a row as there is room for.
class Maps {
  constructor(shape, label) {
    this.shape = shape3(shape);
    const [C, H, W] = this.shape, side = Math.max(H, W);
    this.unit = side > 32 ? 1 : side > 20 ? 2 : side > 10 ? 4 : side > 1 ? 7 : C > 100 ? 6 : 22;
    this.gap = C > 100 && side === 1 ? 1 : GAP;
    this.element = make('canvas', {class: 'mcp-maps'});
    if (label) this.element.setAttribute('aria-label', label);
  }
  layout(room) {
    if (this.usual) Object.assign(this, this.usual);
    const [C, , W] = this.shape;
    this.take(clamp(Math.floor((room + this.gap) / (W * this.unit + this.gap)), 1, C));
  }
  // as a part of the whole network's picture: about so high, and as narrow as that allows; `tight`: a little smaller
  stand(height, tight = false) {
    const [C, H, W] = this.shape, side = Math.max(H, W);
    this.usual = this.usual || {unit: this.unit, gap: this.gap};
    this.unit = side > 1 ? Math.max(1, Math.floor((tight && side < 14 ? 21 : 28) / side)) : C > 100 ? tight ? 3 : 4 : C > 12 ? 8 : 22;
    this.gap = side > 1 ? GAP : C > 100 ? 1 : 2;
    this.take(clamp(Math.ceil(C / Math.floor((height + this.gap) / (H * this.unit + this.gap))), 1, C));
  }
  take(columns) {
    const [C, H, W] = this.shape, step = W * this.unit + this.gap;
    this.columns = columns;
    this.element.width = Math.min(C, this.columns) * step - this.gap;
    this.element.height = Math.ceil(C / this.columns) * (H * this.unit + this.gap) - this.gap;
  }
  corner(c) {
    const [, H, W] = this.shape;
    return [c % this.columns * (W * this.unit + this.gap), Math.floor(c / this.columns) * (H * this.unit + this.gap)];
  }
  draw(values, part, cursor) {
    const {shape: [C, H, W], unit, element: {width, height}} = this, ctx = this.element.getContext('2d');
    const image = ctx.createImageData(width, height), most = values.reduce((a, v) => Math.max(a, Math.abs(v)), 0);
    const ink = new Uint32Array(image.data.buffer);
    for (let c = 0, i = 0; c < C; c++) {
      const [x0, y0] = this.corner(c);
      for (let y = 0; y < H; y++) for (let x = 0; x < W; x++) {
        const pixel = colour(values[i++], most);
        for (let v = 0, to = (y0 + y * unit) * width + x0 + x * unit; v < unit; v++, to += width) ink.fill(pixel, to, to + unit);
      }
    }
    ctx.putImageData(image, 0, 0);
    ctx.strokeStyle = 'rgba(128, 128, 128, .5)';
    for (let c = 0; c < C && this.gap > 1; c++) { const [x, y] = this.corner(c); ctx.strokeRect(x + .5, y + .5, W * unit - 1, H * unit - 1); }
    if (part) this.frame(ctx, part, []);
    if (cursor != null) {
      const c = Math.floor(cursor / (H * W)), y = Math.floor(cursor / W) % H, x = cursor % W;
      this.frame(ctx, [[c, c], [y, y], [x, x]], [3, 2]);
    }
  }
  frame(ctx, [[c0, c1], [y0, y1], [x0, x1]], dash) {
    const [C, H, W] = this.shape;
    if (c1 - c0 === C - 1 && C > 1 && y1 - y0 === H - 1 && x1 - x0 === W - 1) return;  // it sees everything: no frame says more
    Object.assign(ctx, {strokeStyle: MARK, lineWidth: 2});
    ctx.setLineDash(dash);
    for (let c = c0; c <= c1; c++) {
      const [x, y] = this.corner(c);
      ctx.strokeRect(x + x0 * this.unit, y + y0 * this.unit, Math.max(3, (x1 - x0 + 1) * this.unit), Math.max(3, (y1 - y0 + 1) * this.unit));
    }
    Object.assign(ctx, {lineWidth: 1});
    ctx.setLineDash([]);
  }
  unitAt(event) {
    const r = this.element.getBoundingClientRect(), {shape: [C, H, W], unit, gap} = this;
    const px = (event.clientX - r.left) * this.element.width / r.width, py = (event.clientY - r.top) * this.element.height / r.height;
    const c = Math.floor(py / (H * unit + gap)) * this.columns + Math.floor(px / (W * unit + gap));
    if (c < 0 || c >= C) return null;
    const [x0, y0] = this.corner(c);
    return (c * H + clamp(Math.floor((py - y0) / unit), 0, H - 1)) * W + clamp(Math.floor((px - x0) / unit), 0, W - 1);
  }
  move(i, key) {
    const {shape: [C, H, W], columns} = this, n = C * H * W, alone = H * W === 1;
    const step = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: alone ? -columns : -W, ArrowDown: alone ? columns : W,
                  PageUp: -H * W, PageDown: H * W, Home: -n, End: n}[key];
    return step === undefined ? null : clamp(i + step, 0, n - 1);
  }
  name(i) {
    const [, H, W] = this.shape;
    return H * W === 1 ? `number ${i}` : `map ${Math.floor(i / (H * W))}, row ${Math.floor(i / W) % H}, column ${i % W}`;
  }
}

// A drawn grid of numbers, for those who cannot see it with a name that says them.
function grid(rows, label, emphasised = () => false) {
  const most = rows.flat().reduce((a, v) => Math.max(a, Math.abs(v || 0)), 0);
  const e = make('span', {class: 'mcp-grid', role: 'img', style: `grid-template-columns: repeat(${rows[0].length}, auto)`,
    'aria-label': `${label}: ${rows.map(r => r.map(v => v === null ? 'padding' : number(v, 2)).join(', ')).join('; ')}`});
  rows.forEach((r, y) => r.forEach((v, x) => {
    const [red, green, blue] = v < 0 ? COOL : WARM;
    e.append(make('span', {class: emphasised(y, x) ? 'mcp-most' : '', style: `background: rgba(${red}, ${green}, ${blue}, ${most ? .55 * Math.abs(v || 0) / most : 0})`},
      v === null ? '·' : number(v, 2)));
  }));
  return e;
}

const SIDE = 280;  // of the field to draw on, in its own units
const OPENING = [[.27, .27], [.38, .17], [.56, .15], [.69, .26], [.64, .4], [.44, .47], [.65, .53], [.74, .67], [.66, .82], [.46, .88], [.26, .78]];

// A curve through all points, as fine as a hand draws it (Catmull and Rom's).
function smooth(points, each = 8) {
  const at = n => points[clamp(n, 0, points.length - 1)], found = [];
  for (let n = 0; n < points.length - 1; n++) for (let k = 0; k < each; k++) {
    const t = k / each, [a, b, c, d] = [n - 1, n, n + 1, n + 2].map(at);
    found.push([0, 1].map(i => .5 * (2 * b[i] + (c[i] - a[i]) * t + (2 * a[i] - 5 * b[i] + 4 * c[i] - d[i]) * t * t + (3 * b[i] - a[i] - 3 * c[i] + d[i]) * t ** 3)));
  }
  return [...found, points[points.length - 1]];
}

// What finds the digits in a picture: `pictures.js` in a Web Worker, begun with the first picture. Gives null where there is none.
function pictureReader({reader, reader_file}) {
  if (!reader && !reader_file) return null;
  let worker = null;
  const start = () => { worker = new Worker(reader_file || URL.createObjectURL(new Blob([reader], {type: 'text/javascript'}))); };
  return picture => new Promise((resolve, reject) => {
    if (!worker) start();
    worker.onmessage = ({data}) => resolve(data);
    worker.onerror = e => { worker.terminate(); worker = null; reject(e); };
    worker.postMessage(picture, [picture.data.buffer]);
  });
}

// The colors of a picture's file, upright; a picture of more pixels than a canvas holds everywhere is made smaller.
async function colorsOf(file, largest = 4000) {
  const image = await createImageBitmap(file), k = Math.max(1, Math.max(image.width, image.height) / largest);
  const [width, height] = [image.width, image.height].map(n => Math.max(1, Math.round(n / k))), ctx = make('canvas', {width, height}).getContext('2d');
  ctx.drawImage(image, 0, 0, width, height);
  return {data: ctx.getImageData(0, 0, width, height).data, width, height};
}
const pictureIn = transfer => transfer && [...transfer.files].find(f => f.type.startsWith('image/') || /\.(hei[cf]|jpe?g|png|gif|webp|bmp)$/i.test(f.name));

// `given`: the network, where it does not lie in the page; its arrays, the pixels of its digits and the typical ones are then numbers already.
function start(root, given = null) {
  const network = given || JSON.parse(root.querySelector('script[type="application/json"]').textContent);
  const states = network.states.map(s => ({...s, arrays: s.arrays || null})), {layers, classes} = network;
  const digits = network.digits.map(d => ({...d, pixels: given ? d.pixels : bytes(d.pixels)})), kind = network.digits_are || 'Test digit';
  let epoch = states.length - 1, strokes = [], pixels = new Uint8Array(784), outputs, picked = null, cursor = null, channel = null, asked = 0, what = '';
  const times = [], typical = network.typical ? vectors(given ? network.typical.data : bytes(network.typical.data)) : null;
  let unlike = 0;
  const arrays = () => states[epoch].arrays = states[epoch].arrays || decode(states[epoch], network.lengths);

  // the field to draw on
  const lines = make('g');
  const hint = make('span', {class: 'mcp-hint', 'aria-hidden': 'true'}, 'Draw a digit here');
  const field = make('svg', {class: 'mcp-field', viewBox: `0 0 ${SIDE} ${SIDE}`, role: 'img',
    'aria-label': 'Field to draw a digit on with mouse, pen or finger. With the keyboard, choose one of the digits below'}, lines);
  const place = e => { const r = field.getBoundingClientRect(); return [(e.clientX - r.left) * SIDE / r.width, (e.clientY - r.top) * SIDE / r.height].map(v => clamp(v, 0, SIDE)); };
  const pathOf = s => 'M' + s.map(p => p.map(v => v.toFixed(1)).join(' ')).join('L') + (s.length === 1 ? 'h.01' : '');
  let pointer = null, raster = null, changed = false, picture = null;
  // all lines are drawn, or only the last one if it alone has grown
  const draw = grown => {
    if (picture) { picture = null; told.textContent = ''; }
    if (!grown) { raster = null; lines.replaceChildren(...strokes.map(s => make('path', {class: 'mcp-ink', d: pathOf(s)}))); }
    else lines.lastChild.setAttribute('d', pathOf(strokes[strokes.length - 1]));
    hint.hidden = strokes.length > 0;
  };
  const drawn = grown => { what = strokes.length ? 'Your drawing' : ''; changed = true; draw(grown); soon(); };
  const read = () => {
    if (!changed) return;
    changed = false;
    raster = rasterise(strokes, undefined, undefined, raster);
    pixels = raster && prepare(raster) || new Uint8Array(784);
  };
  field.addEventListener('pointerdown', e => {
    if (pointer !== null || e.button) return;
    e.preventDefault();
    pointer = e.pointerId;
    field.setPointerCapture(pointer);
    if (stopOpening()) strokes = [];
    choose(null);
    strokes.push([place(e)]);
    drawn();
  });
  field.addEventListener('pointermove', e => {
    if (e.pointerId !== pointer) return;
    const moves = e.getCoalescedEvents ? e.getCoalescedEvents() : [], line = strokes[strokes.length - 1];
    for (const p of (moves.length ? moves : [e]).map(place)) {
      const [x, y] = line[line.length - 1];
      if (Math.hypot(p[0] - x, p[1] - y) >= .5) line.push(p);  // a hand at rest adds nothing
    }
    drawn(true);
  });
  const lift = e => { if (e.pointerId === pointer) { pointer = null; soon(); keep(); say(); } };
  for (const end of ['pointerup', 'pointercancel', 'lostpointercapture']) field.addEventListener(end, lift);
  const clear = () => { stopOpening(); choose(null); strokes = []; drawn(); keep(); say(); };
  const undo = () => { if (!strokes.length) return; stopOpening(); choose(null); strokes.pop(); drawn(); keep(); say(); };

  // a picture that is dropped, pasted or chosen: the digit that is found in it
  const reader = pictureReader(network), chooser = make('input', {type: 'file', accept: 'image/*', hidden: '', change: () => { if (chooser.files[0]) takePicture(chooser.files[0]); chooser.value = ''; }});
  const byPicture = make('button', {class: 'mcp-choose', type: 'button', title: 'A photograph or a scan; you can also drop or paste it here', click: () => chooser.click()}, 'read a picture…');
  const told = make('p', {class: 'mcp-note mcp-told', role: 'status'});
  async function takePicture(file) {
    stopOpening(); choose(null); strokes = []; drawn(); keep();
    told.textContent = 'Looking for the digit …';
    const begun = picture = {};
    let found;
    try {
      const colors = await colorsOf(file), {width, height} = colors;  // the worker takes the colors away
      found = {...await reader(colors), width, height};
    } catch { found = {error: `This browser cannot read ${file.name || 'the picture'}. Save it as PNG or JPEG.`}; }
    if (picture !== begun) return;  // the reader has drawn meanwhile, or given another picture
    const {digits = [], error = digits.length > 1 ? `${digits.length} digits found. Crop the picture to one.` : ''} = found;
    told.textContent = error;
    if (!error) { what = 'The digit in your picture'; pixels = held(digits[0]); changed = false; }
    showPicture(file, found);
    update();
    if (!error) say();
  }
  function showPicture(file, {digits = [], width, height}) {
    if (!width) return;
    const k = SIDE / Math.max(width, height), [x, y] = [width, height].map(n => (SIDE - n * k) / 2), href = URL.createObjectURL(file);
    const frame = ([a, b, c, d]) => make('path', {class: 'mcp-found', d: `M${x + a * k} ${y + b * k}H${x + c * k}V${y + d * k}H${x + a * k}Z`});
    lines.replaceChildren(make('image', {href, width: SIDE, height: SIDE, load: () => URL.revokeObjectURL(href)}), ...digits.map(d => frame(d.box)));
    hint.hidden = true;
  }
  if (reader) {
    for (const kind of ['dragenter', 'dragover']) field.addEventListener(kind, e => { if ([...e.dataTransfer.types].includes('Files')) e.preventDefault(); });
    field.addEventListener('drop', e => { const dropped = pictureIn(e.dataTransfer); if (dropped) { e.preventDefault(); takePicture(dropped); } });
    document.addEventListener('paste', e => {
      const pasted = (root.contains(document.activeElement) || root.matches(':hover')) && pictureIn(e.clipboardData);
      if (pasted) { e.preventDefault(); takePicture(pasted); }
    });
  }

  // what the page shows at first: a digit that draws itself; the reader's first line takes its place
  let opening = 0;
  function stopOpening() { const was = opening; if (was) cancelAnimationFrame(was); opening = 0; return was !== 0; }
  function open() {
    const digit = smooth(OPENING).map(p => p.map(v => v * SIDE)), begun = performance.now();
    let frame = 0;
    const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
    const step = now => {
      const n = calm ? digit.length : clamp(Math.ceil((now - begun) / 1400 * digit.length), 1, digit.length);
      strokes = [digit.slice(0, n)];
      // the line grows with each picture that the screen shows, the answer follows some ten times a second
      (frame++ % 6 === 0 || n === digit.length ? drawn : draw)(lines.childElementCount === 1);
      opening = n < digit.length ? requestAnimationFrame(step) : -1;
    };
    step(begun);
  }

  // drawing and epoch outlive a reload and the way back, in this tab
  const same = [...document.querySelectorAll('.mnist-cnn-playground')].indexOf(root), key = `mnist-cnn-playground ${location.pathname} ${same}`;
  function keep() {
    if (given) return;
    const held = {epoch, strokes: opening ? null : strokes.map(s => s.map(p => p.map(v => +v.toFixed(1)))), chosen: choices.findIndex(c => c.getAttribute('aria-pressed') === 'true')};
    try { sessionStorage.setItem(key, JSON.stringify(held)); } catch { /* not allowed here, or full: nothing is kept */ }
  }
  function restore() {
    if (given) return take(0);  // the widget that gave the network has a beginning of its own
    let held = null;
    try { held = JSON.parse(sessionStorage.getItem(key)); } catch { /* not allowed here */ }
    if (!held) return open();
    if (states[held.epoch]) slider.value = epoch = held.epoch;
    if (digits[held.chosen]) take(held.chosen);
    else if (!held.strokes) open();
    else { strokes = held.strokes; drawn(); }
  }

  // the test digits
  const choices = digits.map((d, n) => {
    const picture = make('canvas', {width: 28, height: 28, 'aria-hidden': 'true'});
    grey(picture, d.pixels);
    return make('button', {type: 'button', class: 'mcp-digit', 'aria-pressed': 'false', 'aria-label': `${kind} ${d.label}`, click: () => { take(n); keep(); say(); }}, picture);
  });
  function take(n) { stopOpening(); strokes = []; changed = false; draw(); choose(n); pixels = digits[n].pixels; soon(); }
  function choose(n) {
    choices.forEach((c, k) => c.setAttribute('aria-pressed', k === n));
    if (n !== null) what = `A ${kind.toLowerCase()}, a ${digits[n].label},`;
  }

  // what the network is given, and its answer
  const input = make('canvas', {class: 'mcp-input', width: 280, height: 280, role: 'img', 'aria-label': 'The 28×28 pixels that the network is given'});
  const verdict = make('p', {class: 'mcp-verdict', role: 'group', 'aria-label': 'Answer'}), doubt = make('p', {class: 'mcp-doubt', role: 'note'});
  const under = make('p', {class: 'mcp-note'}, 'What the network is given: 28×28 pixels');  // in its place the doubt, so that nothing moves
  const strange = () => typical && what && pointer === null && opening <= 0 && unlike > network.typical.limit;  // half a digit is like none
  const live = make('span', {class: 'mcp-live', 'aria-live': 'polite', role: 'status'});
  const bars = classes.map((name, c) => {
    const fill = make('span', {class: 'mcp-fill'}), value = make('span', {class: 'mcp-value'});
    const button = make('button', {type: 'button', class: 'mcp-bar', click: () => pick(layers.length - 1, c)}, make('span', {class: 'mcp-class'}, name), make('span', {class: 'mcp-track'}, fill), value);
    return {fill, value, button};
  });

  // the slider over the epochs
  const shown = make('output', {class: 'mcp-accuracy'});
  const slider = make('input', {type: 'range', min: 0, max: states.length - 1, step: 1, value: epoch, input: () => { epoch = +slider.value; soon(); keep(); say(); }});
  const epochs = states.length > 1 ? make('label', {class: 'mcp-epochs'}, make('span', {}, 'Epoch'), slider, shown) : null;

  // the layers
  const rows = layers.map((layer, l) => {
    const maps = new Maps(layer.out, `What ${layer.name} makes: ${layer.out.join('×')}. Arrow keys move, Page Up and Page Down change the map, Enter opens a unit`);
    const e = maps.element;
    Object.entries({tabindex: 0, role: 'application', 'aria-roledescription': 'feature maps'}).forEach(([k, v]) => e.setAttribute(k, v));
    e.addEventListener('click', event => { const i = maps.unitAt(event); if (i !== null) pick(l, i); });
    e.addEventListener('keydown', event => {
      const at = cursor && cursor.layer === l ? cursor.i : 0;
      if (event.key === 'Enter' || event.key === ' ') pick(l, at);
      else {
        const to = maps.move(at, event.key);
        if (to === null) return;
        cursor = {layer: l, i: to};
        live.textContent = `${maps.name(to)}: ${number(outputs[l + 1][to])}`;
        soon();
      }
      event.preventDefault();
    });
    e.addEventListener('focus', () => { if (e.matches(':focus-visible')) { cursor = cursor && cursor.layer === l ? cursor : {layer: l, i: 0}; soon(); } });
    e.addEventListener('blur', () => { cursor = null; soon(); });
    const few = layer.op === 'conv' && layer.in[0] / layer.groups <= 3;  // filters that are pictures themselves
    const filters = few ? new Maps([layer.out[0] * layer.in[0] / layer.groups, ...layer.kernel_size]) : null;
    if (filters) { filters.element.setAttribute('role', 'img'); filters.element.setAttribute('aria-label', `The filters of ${layer.name}`); }
    const row = make('div', {class: 'mcp-layer'},
      make('p', {class: 'mcp-name'}, make('strong', {}, layer.name), make('span', {class: 'mcp-kind'}, ` ${layer.name.startsWith(layer.kind) ? '' : layer.kind + ' '}→`), make('span', {class: 'mcp-shape'}, ` ${layer.out.join('×')}`)),
      ...(filters ? [make('div', {class: 'mcp-filters'}, make('p', {class: 'mcp-note'}, 'its filters'), filters.element), make('p', {class: 'mcp-note mcp-made'}, 'what they make of the digit')] : []), e);
    e.addEventListener('pointermove', event => { if (event.pointerType === 'mouse') hover(l, maps.unitAt(event)); });
    e.addEventListener('pointerleave', () => hover(l, null));
    return {layer, maps, filters, row};
  });
  // the digit once more, where the layers stand side by side
  const entry = new Maps([1, 28, 28]);
  entry.element.setAttribute('aria-hidden', 'true');
  const first = make('div', {class: 'mcp-layer mcp-entry'}, make('p', {class: 'mcp-name'}, make('strong', {}, 'digit'), make('span', {class: 'mcp-shape'}, ' 1×28×28')), entry.element);
  // only what is in sight, or nearly, is drawn; on paper all of it
  const near = new Set();
  const watch = new IntersectionObserver(seen => { for (const e of seen) near[e.isIntersecting ? 'add' : 'delete'](e.target); soon(); }, {rootMargin: '50%'});
  addEventListener('beforeprint', () => { rows.forEach(({row}) => near.add(row)); update(); });
  for (const {row} of rows) watch.observe(row);
  const detail = make('div', {class: 'mcp-detail', tabindex: -1, role: 'region', 'aria-label': 'What is behind a unit'});
  const ground = make('g'), over = make('g'), links = make('svg', {class: 'mcp-links', 'aria-hidden': 'true'}, ground, over);
  const stack = make('div', {class: 'mcp-layers'}, first, ...rows.map(r => r.row), links);
  const inner = [make('p', {class: 'mcp-note'}, 'Orange is above zero, blue below. Click a unit, or move to it with the arrow keys and press Enter, to see what it is made of. Escape closes it.'), stack];

  // behind a unit
  let wide = false, hovered = null;
  function pick(l, i) { if (fold && !fold.open) { fold.open = true; arrange(); } picked = {layer: l, i}; channel = null; hovered = null; drawDetail(); update(); detail.focus({preventScroll: true}); bring(); }
  function hover(l, i) {
    if (i === null ? !hovered : hovered && hovered.layer === l && hovered.i === i) return;
    hovered = i === null ? null : {layer: l, i};
    drawLinks();
  }
  // the numbers come into sight where they are not; where they stand beside their unit, nothing moves unless they are cut off
  function bring() {
    const r = detail.getBoundingClientRect();
    if (r.top < 0 || r.bottom > innerHeight) detail.scrollIntoView({block: 'nearest', behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth'});
  }
  // beside the unit: to its right, or, where there is no room, to the left of what it is computed from; at the height of the unit
  function beside() {
    if (!picked || !wide) { for (const k of ['left', 'top', 'width']) detail.style[k] = ''; stack.style.minHeight = ''; return; }
    const room = stack.clientWidth, {layer: l, i} = picked, [x, y, w] = placeOf(l, i), before = l ? edge(rows[l - 1].maps) : edge(entry);
    const most = Math.max(room - x - w - 24, before - 16), width = Math.min(most, 400);
    detail.style.width = `${width}px`;
    detail.style.left = `${room - x - w - 24 >= width ? x + w + 16 : before - 16 - width}px`;
    stack.style.minHeight = `${detail.offsetHeight + 8}px`;
    const seen = innerHeight - stack.getBoundingClientRect().top - 8;  // as far down as the reader sees
    detail.style.top = `${clamp(Math.min(y - 40, seen - detail.offsetHeight), 0, Math.max(0, stack.clientHeight - detail.offsetHeight))}px`;
  }
  const edge = maps => maps.element.getBoundingClientRect().left - stack.getBoundingClientRect().left;
  const nameOf = (l, i) => l < 0 ? `pixel in row ${Math.floor(i / 28)}, column ${i % 28}` : `${layers[l].name}, ${rows[l].maps.name(i)}`;
  function strongest() {
    const {layer: l, i} = picked, x = outputs[l], {terms} = behind(layers[l], arrays(), i);
    const by = layers[l].op === 'pool' && !layers[l].mean ? ([j]) => j < 0 ? -Infinity : x[j] : ([j, w]) => j < 0 ? -Infinity : Math.abs(w * x[j]);
    return terms.reduce((a, b) => by(b) > by(a) ? b : a)[0];
  }
  // where the numbers of a layer stand in the picture, the digit's pixels for -1: left, top, width, height
  function placeOf(l, i) { const [, H, W] = l < 0 ? entry.shape : rows[l].maps.shape, y = Math.floor(i / W) % H, x = i % W; return partOf(l, [Math.floor(i / (H * W)), y, y, x, x]); }
  function partOf(l, [c, y0, y1, x0, x1]) {
    const maps = l < 0 ? entry : rows[l].maps, r = maps.element.getBoundingClientRect(), from = stack.getBoundingClientRect(), [x, y] = maps.corner(c), u = maps.unit;
    return [r.left - from.left + x + x0 * u, r.top - from.top + y + y0 * u, (x1 - x0 + 1) * u, (y1 - y0 + 1) * u];
  }
  // from a unit to what it is computed from in the layer before: to the corners of its window, or to its strongest inputs
  function drawLinks() {
    over.replaceChildren();
    if (stack.clientWidth === 0) return;
    const from = hovered || picked;
    if (!from || from.layer < 1 && !wide) return;
    const {layer: l, i} = from, layer = layers[l], unit = placeOf(l, i);
    over.append(frame(unit));
    if (layer.kernel_size) {
      const [, [y0, y1], [x0, x1]] = trace(layers, l, i)[l], c = layer.op === 'pool' ? Math.floor(i / (layer.out[1] * layer.out[2])) : from === picked ? channel ?? 0 : 0;
      const window = partOf(l - 1, [c, y0, y1, x0, x1]);
      over.append(frame(window), ...[0, 1].map(end => line(unit, window, end)));
    } else {
      const x = outputs[l], {terms} = behind(layer, arrays(), i), size = ([j, w]) => Math.abs(w * x[j]), best = [...terms].sort((a, b) => size(b) - size(a)).slice(0, 6), most = size(best[0]) || 1;
      for (const t of best) over.append(line(unit, placeOf(l - 1, t[0]), .5, .25 + .75 * size(t) / most));
    }
  }
  const path = (d, more = {}) => make('path', {d, ...more});
  const frame = ([x, y, w, h]) => path(`M${x} ${y}h${Math.max(3, w)}v${Math.max(3, h)}h${-Math.max(3, w)}z`, {class: 'mcp-frame'});
  // between two places: side by side from the left edge of one to the right edge of the other, else from the top of one to the bottom of the other
  function line([x, y, w, h], [bx, by, bw, bh], end, strong = 1) {
    const d = wide ? `M${x} ${y + h / 2}L${bx + bw} ${by + end * bh}` : `M${x + w / 2} ${y}L${bx + end * bw} ${by + bh}`;
    return path(d, {class: 'mcp-link', 'stroke-opacity': strong.toFixed(2)});
  }
  // faint ones from all of a layer to all of the next: what is connected to what
  function funnels() {
    return [entry, ...rows.map(r => r.maps)].slice(0, -1).map((maps, n) => {
      const from = stack.getBoundingClientRect(), [a, b] = [maps, rows[n].maps].map(m => m.element.getBoundingClientRect());
      return path(`M${a.right - from.left + 2} ${a.top - from.top}L${b.left - from.left - 2} ${b.top - from.top}V${b.bottom - from.top}L${a.right - from.left + 2} ${a.bottom - from.top}z`, {class: 'mcp-funnel'});
    });
  }
  function close(back = true) { const from = picked.layer; picked = null; drawDetail(); soon(); if (back) rows[from].maps.element.focus({preventScroll: true}); }
  function follow() { if (picked.layer > 0) pick(picked.layer - 1, strongest()); }
  function drawDetail() {
    if (!picked) { detail.hidden = true; beside(); return; }
    detail.hidden = false;
    const home = wide ? stack : rows[picked.layer].row;  // beside the unit, or right under its layer
    if (detail.parentNode !== home) home.append(detail);
    const held = detail.contains(document.activeElement);
    const {layer: l, i} = picked, layer = layers[l], x = outputs[l], value = outputs[l + 1][i], {terms, bias} = behind(layer, arrays(), i);
    const at = j => j < 0 ? null : x[j], product = ([j, w]) => j < 0 ? 0 : w * x[j];
    const parts = [make('p', {class: 'mcp-title'}, make('strong', {}, nameOf(l, i)), ` = ${number(value)}`)];
    const say = (...text) => parts.push(make('p', {}, ...text));
    if (layer.op === 'conv' || layer.op === 'pool') {
      const [kh, kw] = layer.kernel_size, cut = v => Array.from({length: kh}, (_, y) => v.slice(y * kw, (y + 1) * kw));
      if (layer.op === 'pool') {
        say(grid(cut(terms.map(([j]) => at(j))), 'Window', (y, x) => !layer.mean && terms[y * kw + x][0] >= 0 && at(terms[y * kw + x][0]) === value),
            make('span', {}, layer.mean ? ` mean: ${number(value)}` : ` largest: ${number(value)}`));
      } else {
        const sums = new Map();
        for (const t of terms) sums.set(t[2], (sums.get(t[2]) || 0) + product(t));
        if (!sums.has(channel)) channel = [...sums].reduce((a, b) => Math.abs(b[1]) > Math.abs(a[1]) ? b : a)[0];
        const own = terms.filter(t => t[2] === channel), from = l ? `map ${channel} of ${layers[l - 1].name}` : 'the pixels';
        if (kh * kw <= 49) say(grid(cut(own.map(([j]) => at(j))), 'Window'), ' × ', grid(cut(own.map(([, w]) => w)), 'Weights'), ' → ', grid(cut(own.map(product)), 'Products'));
        say(`Window over ${from} times weights: the products sum to ${number(sums.get(channel))}.`);
        if (sums.size > 1) {
          parts.push(make('p', {}, `The same in all ${sums.size} maps that it reads:`), make('p', {class: 'mcp-terms'}, ...[...sums].map(([c, s]) =>
            make('button', {type: 'button', 'aria-pressed': c === channel, 'aria-label': `map ${c}: sum ${number(s)}`, click: () => { channel = c; drawDetail(); }}, `${c}: ${number(s, 2)}`))));
        }
        say(`${number(value - bias)} ${signed(bias)} (bias) = `, make('strong', {}, number(value)));
      }
    } else if (layer.op === 'linear') {
      const best = [...terms].sort((a, b) => Math.abs(product(b)) - Math.abs(product(a))).slice(0, 6), rest = value - bias - best.reduce((a, t) => a + product(t), 0);
      parts.push(make('p', {}, `The sum of ${terms.length} inputs times their weights. The largest of them:`), make('ul', {}, ...best.map(t => make('li', {},
        l ? make('button', {type: 'button', click: () => pick(l - 1, t[0])}, nameOf(l - 1, t[0])) : nameOf(-1, t[0]), ` ${number(x[t[0]])} × ${number(t[1])} = ${number(product(t))}`))));
      say(`${best.map(t => number(product(t), 2)).join(' + ').replace(/\+ −/g, '− ')} ${signed(rest)} (all others) ${signed(bias)} (bias) = `, make('strong', {}, number(value)));
    } else if (layer.op === 'norm') say(`${number(at(i))} × ${number(terms[0][1])} ${signed(bias)} = `, make('strong', {}, number(value)));
    else if (layer.op === 'relu') say(layer.slope ? `${number(at(i))}, times ${layer.slope} if it is below zero: ` : `The larger of 0 and ${number(at(i))}: `, make('strong', {}, number(value)));
    else if (layer.op === 'flatten') say(`The same number, now number ${i} in a row.`);
    else if (/softmax/.test(layer.op)) say(`From all ${terms.length} numbers, of which its own is ${number(at(i))}.`);
    else say(`${layer.kind}(${number(at(i))}) = `, make('strong', {}, number(value)));
    const seen = trace(layers, l, i)[0], span = ([a, b]) => `${a} to ${b}`;
    say(`It sees rows ${span(seen[1])} and columns ${span(seen[2])} of the pixels.`);
    const next = strongest();
    parts.push(make('p', {class: 'mcp-actions'},
      l > 0 && next >= 0 ? make('button', {type: 'button', class: 'mcp-follow', click: follow}, `Back to ${nameOf(l - 1, next)}`) : null,
      make('button', {type: 'button', click: () => close()}, 'Close')));
    detail.replaceChildren(...parts);
    beside();
    if (held && !detail.contains(document.activeElement)) detail.focus({preventScroll: true});
  }

  // everything drawn anew, at most once for each picture that the screen shows
  function soon() { if (!asked) asked = requestAnimationFrame(update); }
  function update() {
    asked = 0;
    read();
    const begun = performance.now();
    outputs = forward(network, arrays(), pixels);
    times.push(performance.now() - begun);
    const empty = !what, p = empty ? classes.map(() => 0) : probabilities(network, outputs), best = empty ? -1 : p.indexOf(Math.max(...p));
    // the first readings are slow, since the browser has not compiled them yet: the usual one of the last few is told
    const warm = times.splice(0, times.length, ...times.slice(-9)).length < 5 ? null : [...times].sort((a, b) => a - b)[times.length >> 1];
    root.dataset.logits = JSON.stringify([...outputs[outputs.length - 1]]);
    root.dataset.milliseconds = (warm ?? times[times.length - 1]).toFixed(2);
    const parts = picked ? trace(layers, picked.layer, picked.i) : [];
    grey(input, pixels, parts[0]);
    bars.forEach(({fill, value, button}, c) => {
      fill.style.width = `${100 * p[c]}%`;
      value.textContent = empty ? '–' : percent(p[c]);
      button.classList.toggle('mcp-best', c === best);
      button.setAttribute('title', 'What is behind it?');
    });
    verdict.replaceChildren(make('strong', {}, empty ? '–' : classes[best]), empty ? ' nothing is drawn' : ` ${percent(p[best])}`,
      ...(warm === null || empty ? [] : [make('small', {}, ` read in ${warm.toFixed(1)} ms`)]));
    unlike = typical && !empty ? strangeness(pixels, typical) : 0;
    root.dataset.unlike = unlike.toFixed(4);
    doubt.textContent = strange() ? `Not like any digit it has seen: ${number(unlike, 2)} from the nearest. Of 100 digits, 99 are within ${number(network.typical.limit, 2)}.` : '';
    doubt.hidden = !(under.hidden = strange());
    shown.textContent = `${states[epoch].label}${states[epoch].accuracy == null ? '' : `: ${(100 * states[epoch].accuracy).toFixed(2)}% of the test digits right`}`;
    if (!fold || fold.open) rows.forEach(({layer, maps, filters, row}, l) => {
      if (!near.has(row)) return;
      const own = picked && picked.layer === l;
      let mark = parts[l + 1] || null;
      if (own) { const [, H, W] = maps.shape, i = picked.i, [c, y, x] = [Math.floor(i / (H * W)), Math.floor(i / W) % H, i % W]; mark = [[c, c], [y, y], [x, x]]; }
      maps.draw(outputs[l + 1], mark, cursor && cursor.layer === l ? cursor.i : null);
      if (filters) filters.draw(arrays()[layer.weight]);
    });
    if (wide) grey(entry.element, pixels, parts[0]);
    if (picked) drawDetail();
    if (!fold || fold.open) drawLinks();
  }
  function say() {
    requestAnimationFrame(() => {
      const p = probabilities(network, outputs), best = p.indexOf(Math.max(...p));
      live.textContent = what ? `${what} is read as ${classes[best]}, ${percent(p[best])}${strange() ? ', but is not like any digit that the network has seen' : ''}.` : 'The field is empty.';
    });
  }
  function arrange() {
    if (!(stack.clientWidth > 0)) return;
    wide = stand(stack.clientWidth);
    stack.classList.toggle('mcp-wide', wide);
    if (!wide) {
      const row = rows[0].row, {paddingLeft, paddingRight} = getComputedStyle(row), room = row.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight);
      for (const {maps, filters} of rows) { maps.layout(room); if (filters) filters.layout(room); }
    }
    ground.replaceChildren(...(wide ? funnels() : []));
    update();
  }
  // the layers side by side, as low as there is room for; false if there is none
  function stand(room) {
    const all = [entry, ...rows.map(r => r.maps)];
    for (const [height, label, space] of [350, 430, 520, 620].map(h => [h, LABEL, 12]).concat([[520, 42, 4], [620, 42, 4]])) {
      const tight = label < LABEL;
      for (const maps of all) maps.stand(height, tight);
      if (all.reduce((sum, maps) => sum + Math.max(maps.element.width, label), 0) + space * (all.length - 1) > room - 4) continue;
      for (const {filters} of rows) if (filters) { filters.stand(62); filters.unit = tight ? 3 : 4; filters.gap = 3; filters.take(4); }
      stack.classList.toggle('mcp-tight', tight);
      return true;
    }
    return false;
  }

  const fold = network.folded ? make('details', {class: 'mcp-fold', toggle: arrange}, make('summary', {}, 'Look inside: every layer, every number'), ...inner) : null;
  const body = fold ? [fold] : inner;
  root.replaceChildren(...root.querySelectorAll('script[type="application/json"]'), make('div', {class: 'mcp', role: 'group', 'aria-label': 'Playground'}, live,
    make('div', {class: 'mcp-top'},
      make('div', {class: 'mcp-draw'}, make('div', {class: 'mcp-paper'}, field, hint),
        make('p', {class: 'mcp-actions'}, make('button', {type: 'button', click: clear}, 'Clear'), make('button', {type: 'button', click: undo}, 'Undo a line')), told),
      make('div', {class: 'mcp-seen'}, input, under, doubt),
      make('div', {class: 'mcp-answer'}, verdict, make('div', {class: 'mcp-bars', style: `--names: ${(.6 * (1 + Math.max(...classes.map(c => c.length)))).toFixed(1)}em; --half: ${Math.ceil(classes.length / 2)}`, role: 'group', 'aria-label': 'The probability of each class'}, ...bars.map(b => b.button)))),
    make('div', {class: 'mcp-digits', role: 'group', 'aria-label': `${kind}s`}, make('span', {class: 'mcp-note'}, `or take a ${kind.toLowerCase()}`, ...(reader ? [' or ', byPicture, chooser] : [])), ...choices),
    epochs, ...body));
  root.addEventListener('focusin', e => { e.target.dataset.lmSuppressShortcuts = 'true'; });  // JupyterLab is to take no key pressed here
  document.addEventListener('keydown', e => { if (e.key === 'Escape' && picked && !root.contains(e.target)) close(false); });
  root.addEventListener('keydown', e => { if (e.key === 'Escape' && picked) { close(); e.preventDefault(); e.stopPropagation(); } });
  drawDetail();
  restore();
  update();
  new ResizeObserver(() => requestAnimationFrame(arrange)).observe(stack);  // not at once: a change of size while sizes are told is an error
  return {
    network(arrays) { states[epoch].arrays = arrays; soon(); },  // other numbers for the same layers
    drawing: () => what ? pixels : null,  // or the digit that was taken
    clear,
  };
}

// Pixels as MNIST has them, white on black, and a frame around the part that a unit sees.
function grey(canvas, pixels, part) {
  const unit = canvas.width / 28, ctx = canvas.getContext('2d'), small = make('canvas', {width: 28, height: 28});
  const image = small.getContext('2d').createImageData(28, 28), ink = new Uint32Array(image.data.buffer);
  for (let i = 0; i < 784; i++) ink[i] = rgba(pixels[i], pixels[i], pixels[i], 255);
  small.getContext('2d').putImageData(image, 0, 0);
  ctx.imageSmoothingEnabled = false;
  ctx.drawImage(small, 0, 0, canvas.width, canvas.height);
  if (!part) return;
  const [, [y0, y1], [x0, x1]] = part;
  Object.assign(ctx, {strokeStyle: '#ff6fae', lineWidth: 2});
  ctx.strokeRect(x0 * unit + 1, y0 * unit + 1, (x1 - x0 + 1) * unit - 2, (y1 - y0 + 1) * unit - 2);
}

window.mnistCnnPage = {make, number, percent, Maps, grey, start, forward, probabilities};  // for `trainer.js`
for (const root of document.querySelectorAll('.mnist-cnn-playground:not([data-ready])')) {
  root.dataset.ready = 'true';
  try { start(root); } catch (e) { console.error(e); }
}
})();
