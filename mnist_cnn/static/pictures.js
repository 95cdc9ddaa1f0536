// Where the digits are in a picture that was dropped or pasted: the same steps as `mnist_cnn.pictures.find_digits`, whose names the
// functions have. As a Web Worker it is given a picture's colors and answers with the ink of each digit, which the playground makes
// 28×28; in node it gives its functions, which tests compare with Python. A plane is {v: its values row by row, h, w}.
(() => {
'use strict';

const TINY = 14, SMALL = 64, SIDE = 800;
const rint = v => { const r = Math.round(v); return Math.abs(v % 1) === .5 && r % 2 ? r - 1 : r; };  // half to even, as Python
const clamp = (v, low, high) => Math.min(Math.max(v, low), high);
const plane = (h, w, kind = Float64Array) => ({v: new kind(h * w), h, w});
function map({v, h, w}, f, kind = Float64Array) {
  const out = new kind(v.length);
  for (let i = 0; i < v.length; i++) out[i] = f(v[i], i);
  return {v: out, h, w};
}
const sum = v => { let s = 0; for (let i = 0; i < v.length; i++) s += v[i]; return s; };
const most = v => { let m = -Infinity; for (let i = 0; i < v.length; i++) if (v[i] > m) m = v[i]; return m; };
const least = v => { let m = Infinity; for (let i = 0; i < v.length; i++) if (v[i] < m) m = v[i]; return m; };

// The value of which the fraction `q` of all are smaller, between two of them as NumPy takes it.
function quantile(values, q) {
  const a = new Float64Array(values), at = q * (a.length - 1), k = Math.floor(at), low = nth(a, k);
  if (k === at) return low;
  let next = Infinity;
  for (let i = k + 1; i < a.length; i++) if (a[i] < next) next = a[i];
  return low + (at - k) * (next - low);
}
const median = values => quantile(values, .5);

// The k-th smallest, with all smaller ones before it (Hoare).
function nth(a, k) {
  let left = 0, right = a.length - 1;
  while (left < right) {
    const pivot = a[left + right >> 1];
    let i = left, j = right;
    while (i <= j) {
      while (a[i] < pivot) i++;
      while (a[j] > pivot) j--;
      if (i <= j) { const t = a[i]; a[i++] = a[j]; a[j--] = t; }
    }
    if (k <= j) right = j;
    else if (k >= i) left = i;
    else break;
  }
  return a[k];
}

function transpose({v, h, w}) {
  const out = plane(w, h, v.constructor);
  for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) out.v[x * h + y] = v[y * w + x];
  return out;
}

// ---- filters

// A filter along each row, then along each column.
const bothWays = (a, rows) => transpose(rows(transpose(rows(a))));

function gaussian(a, sigma) {
  const r = Math.trunc(4 * sigma + .5), k = Array.from({length: 2 * r + 1}, (_, i) => Math.exp(-.5 * ((i - r) / sigma) ** 2)), total = sum(k);
  return bothWays(a, ({v, h, w}) => {
    const out = plane(h, w), at = Int32Array.from({length: w + 2 * r}, (_, i) => { const j = ((i - r) % (2 * w) + 2 * w) % (2 * w); return j < w ? j : 2 * w - 1 - j; });
    const row = new Float64Array(w + 2 * r);
    for (let y = 0; y < h; y++) {
      for (let i = 0; i < row.length; i++) row[i] = v[y * w + at[i]];
      for (let x = 0; x < w; x++) {
        let s = 0;
        for (let i = 0; i <= 2 * r; i++) s += k[i] * row[x + i];
        out.v[y * w + x] = s / total;
      }
    }
    return out;
  });
}

// The largest value in a square window of 2r + 1 (van Herk: three comparisons for any r).
function dilated(a, r) {
  const n = 2 * r + 1;
  return bothWays(a, ({v, h, w}) => {
    const out = plane(h, w, v.constructor), size = Math.ceil((w + 2 * r) / n) * n, row = new Float64Array(size), ahead = new Float64Array(size), back = new Float64Array(size);
    for (let y = 0; y < h; y++) {
      row.fill(-Infinity);
      for (let x = 0; x < w; x++) row[x + r] = v[y * w + x];
      for (let i = 0; i < size; i++) ahead[i] = i % n ? Math.max(ahead[i - 1], row[i]) : row[i];
      for (let i = size - 1; i >= 0; i--) back[i] = (i + 1) % n && i + 1 < size ? Math.max(back[i + 1], row[i]) : row[i];
      for (let x = 0; x < w; x++) out.v[y * w + x] = Math.max(back[x], ahead[x + n - 1]);
    }
    return out;
  });
}
const negative = a => map(a, v => -v);
const closed = (a, r) => negative(dilated(negative(dilated(a, r)), r));

// A mask grown by one pixel to its four neighbors, `n` times.
function grown(mask, n) {
  const {h, w} = mask;
  let v = mask.v;
  for (; n > 0; n--) {
    const next = v.slice();
    for (let y = 0, i = 0; y < h; y++) for (let x = 0; x < w; x++, i++)
      if (!v[i] && (x && v[i - 1] || x < w - 1 && v[i + 1] || y && v[i - w] || y < h - 1 && v[i + w])) next[i] = 1;
    v = next;
  }
  return {v, h, w};
}

// The distance of each pixel of a mask from the nearest one outside of it, and where that is (Felzenszwalb and Huttenlocher).
function distance({v, h, w}) {
  const down = new Float64Array(h * w), from = new Int32Array(h * w), out = plane(h, w), near = plane(h, w, Int32Array), FAR = 1e9;
  for (let x = 0; x < w; x++) {
    for (let y = 0, last = -FAR; y < h; y++) { const i = y * w + x; if (!v[i]) last = y; down[i] = y - last; from[i] = last; }
    for (let y = h - 1, last = FAR; y >= 0; y--) { const i = y * w + x; if (!v[i]) last = y; if (last - y < down[i]) { down[i] = last - y; from[i] = last; } }
  }
  const at = new Int32Array(w), edge = new Float64Array(w + 1);
  for (let y = 0; y < h; y++) {
    const f = x => Math.min(down[y * w + x], FAR) ** 2, meet = (p, q) => (f(q) - f(p) + q * q - p * p) / (2 * (q - p));
    let k = 0;
    at[0] = 0; edge[0] = -Infinity; edge[1] = Infinity;
    for (let q = 1; q < w; q++) {
      let s = meet(at[k], q);
      while (s <= edge[k]) s = meet(at[--k], q);
      at[++k] = q; edge[k] = s; edge[k + 1] = Infinity;
    }
    k = 0;
    for (let x = 0; x < w; x++) {
      while (edge[k + 1] < x) k++;
      const i = y * w + at[k];
      out.v[y * w + x] = Math.sqrt(f(at[k]) + (x - at[k]) ** 2);
      near.v[y * w + x] = clamp(from[i], 0, h - 1) * w + at[k];
    }
  }
  return {far: out, near};
}

function padded({v, h, w}, n = 1) {
  const out = plane(h + 2 * n, w + 2 * n, v.constructor);
  for (let y = 0; y < h; y++) out.v.set(v.subarray(y * w, (y + 1) * w), (y + n) * out.w + n);
  return out;
}
function cut({v, w}, top, left, bottom, right) {
  const out = plane(bottom - top, right - left, v.constructor);
  for (let y = top; y < bottom; y++) out.v.set(v.subarray(y * w + left, y * w + right), (y - top) * out.w);
  return out;
}
const depthOf = mask => cut(distance(padded(mask)).far, 1, 1, mask.h + 1, mask.w + 1);

// The numbers of the connected parts of a mask, from 1, in the order of their first pixels; corners connect if `corners` is true.
function label({v, h, w}, corners) {
  const labels = plane(h, w, Int32Array), queue = new Int32Array(h * w);
  let n = 0;
  for (let start = 0; start < v.length; start++) {
    if (!v[start] || labels.v[start]) continue;
    labels.v[start] = ++n;
    queue[0] = start;
    for (let head = 0, tail = 1; head < tail; head++) {
      const i = queue[head], y = Math.floor(i / w), x = i - y * w;
      for (let dy = -1; dy <= 1; dy++) for (let dx = -1; dx <= 1; dx++) {
        if (!corners && dx && dy || y + dy < 0 || y + dy >= h || x + dx < 0 || x + dx >= w) continue;
        const j = i + dy * w + dx;
        if (v[j] && !labels.v[j]) { labels.v[j] = n; queue[tail++] = j; }
      }
    }
  }
  return {labels, n};
}

// A mask with its holes filled: all that cannot be reached from the edge outside of it.
function filled(mask) {
  const {labels} = label(map(padded(mask), v => v ? 0 : 1), false);
  return cut(map(labels, l => l === 1 ? 0 : 1, Uint8Array), 1, 1, mask.h + 1, mask.w + 1);
}

// ---- colors

const hasColor = data => { for (let i = 0; i < data.length; i += 4) if (Math.abs(data[i] - data[i + 1]) > 2 || Math.abs(data[i] - data[i + 2]) > 2 || Math.abs(data[i + 1] - data[i + 2]) > 2) return true; return false; };

// Bytes RGBA made smaller by a whole number, so that no side is longer than SIDE.
function reduced({data, width, height}) {
  const k = Math.ceil(Math.max(width, height) / SIDE);
  if (k < 2) return {data, width, height, k: 1};
  const w = Math.ceil(width / k), h = Math.ceil(height / k), out = new Uint8ClampedArray(4 * w * h);
  for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
    const total = [0, 0, 0, 0], y1 = Math.min(height, (y + 1) * k), x1 = Math.min(width, (x + 1) * k);
    for (let r = y * k; r < y1; r++) for (let c = x * k; c < x1; c++) {
      const i = 4 * (r * width + c), a = data[i + 3];
      for (let n = 0; n < 3; n++) total[n] += data[i + n] * a;
      total[3] += a;
    }
    const to = 4 * (y * w + x);
    for (let n = 0; n < 3; n++) out[to + n] = total[3] ? Math.floor(total[n] / total[3] + .5) : 0;
    out[to + 3] = Math.floor(total[3] / ((y1 - y * k) * (x1 - x * k)) + .5);
  }
  return {data: out, width: w, height: h, k};
}

// Colors from 0 to 1, three for each pixel; what is transparent lies on white, or on black where all that is visible is light.
function onGround({data, width, height}) {
  const out = new Float64Array(3 * width * height), seen = [], colored = hasColor(data);
  let clear = false;
  const gray = i => Math.floor((19595 * data[i] + 38470 * data[i + 1] + 7471 * data[i + 2]) / 65536 + .5);
  for (let i = 0; i < data.length; i += 4) clear = clear || data[i + 3] < 255;
  if (clear) for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 127.5) seen.push(colored ? (data[i] + data[i + 1] + data[i + 2]) / 765 : gray(i) / 255);
  const ground = clear && seen.length && quantile(seen, .005) > .5 ? 0 : 1;
  for (let i = 0, to = 0; i < data.length; i += 4) {
    const a = data[i + 3] / 255;
    for (let n = 0; n < 3; n++) out[to++] = a * data[i + n] / 255 + (1 - a) * ground;
  }
  return {v: out, h: height, w: width};
}

// The eigenvector of a symmetric 3×3 matrix with the largest eigenvalue, by squaring it again and again.
function direction(m) {
  for (let round = 0; round < 40; round++) {
    const scale = Math.hypot(...m.flat()) || 1;
    m = m.map(r => r.map(v => v / scale));
    m = m.map(r => [0, 1, 2].map(c => r[0] * m[0][c] + r[1] * m[1][c] + r[2] * m[2][c]));
  }
  const longest = [0, 1, 2].reduce((a, b) => m[b][b] > m[a][a] ? b : a);
  const found = m[longest];
  return sum(found) < 0 ? found.map(v => -v) : found;
}

// One value for each pixel: its brightness, or, where that says less, the mixture of colors that varies most.
function grayOf({v, h, w}) {
  const n = h * w, gray = plane(h, w), low = [1, 1, 1], high = [0, 0, 0];
  for (let i = 0; i < n; i++) {
    gray.v[i] = rint((v[3 * i] * 19595 + v[3 * i + 1] * 38470 + v[3 * i + 2] * 7471) / 65536 * 255) / 255;
    for (let c = 0; c < 3; c++) { low[c] = Math.min(low[c], v[3 * i + c]); high[c] = Math.max(high[c], v[3 * i + c]); }
  }
  if (Math.max(...high.map((b, c) => b - low[c])) < .1) return gray;
  const step = Math.max(1, Math.floor(n / 20000)), mean = [0, 0, 0], m = [[0, 0, 0], [0, 0, 0], [0, 0, 0]], count = Math.ceil(n / step);
  for (let i = 0; i < n; i += step) for (let c = 0; c < 3; c++) mean[c] += v[3 * i + c] / count;
  for (let i = 0; i < n; i += step) for (let a = 0; a < 3; a++) for (let b = 0; b < 3; b++) m[a][b] += (v[3 * i + a] - mean[a]) * (v[3 * i + b] - mean[b]);
  const weights = direction(m), total = weights.reduce((a, b) => a + Math.abs(b), 0), mixed = plane(h, w);
  for (let i = 0; i < n; i++) mixed.v[i] = (v[3 * i] * weights[0] + v[3 * i + 1] * weights[1] + v[3 * i + 2] * weights[2]) / total;
  const spread = p => quantile(p.v, .995) - quantile(p.v, .005), lowest = least(mixed.v);
  return spread(mixed) > 2.5 * spread(gray) ? map(mixed, p => p - lowest) : gray;
}

// ---- ink and page

const edgeOf = ({v, h, w}) => {
  const e = [];
  for (let x = 0; x < w; x++) e.push(v[x], v[(h - 1) * w + x]);
  for (let y = 0; y < h; y++) e.push(v[y * w], v[y * w + w - 1]);
  return e;
};

// Ink on a page of one gray value, 0 to 1, or null if it is not of one.
function flatInk(a) {
  const edge = edgeOf(a), paper = median(edge), high = most(a.v), low = least(a.v), side = Math.max(a.h, a.w);
  let ink = map(a, high - paper > paper - low ? v => v - paper : v => paper - v);
  const top = most(ink.v);
  if (top < .1) return plane(a.h, a.w);
  if (edge.filter(v => Math.abs(v - paper) > .02).length / edge.length > (side > SMALL ? .05 : .3)) return null;
  ink = map(ink, v => v / top);
  if (side > SMALL) {  // a clean page is empty but for strokes and their edges
    const near = dilated(map(ink, v => v >= .3 ? 1 : 0, Uint8Array), Math.max(2, rint(.045 * side)));
    let stray = 0;
    for (let i = 0; i < ink.v.length; i++) if (Math.abs(ink.v[i]) > .04 && !near.v[i]) stray++;
    if (stray / ink.v.length > .003) return null;
  }
  return map(ink, side <= TINY ? v => clamp((v - .02) / .6, 0, 1) : v => clamp((v - .2) / .6, 0, 1));
}

// How much darker (or lighter) each pixel is than the page around it, where 0 is the page itself, and the noise.
function localInk(a, dark) {
  const side = Math.min(a.h, a.w);
  let smooth = gaussian(a, Math.min(1.5, Math.max(.4, side / 300)));
  if (!dark) smooth = map(smooth, v => 1 - v);
  const page = gaussian(closed(smooth, (Math.max(5, rint(.24 * side)) | 1) >> 1), 1), ink = map(page, (v, i) => v - smooth.v[i]);
  const middle = median(ink.v), noise = 1.4826 * median(ink.v.map(v => Math.abs(v - middle))), bright = quantile(page.v, .95);
  return {ink: map(ink, (v, i) => (v - middle) / Math.max(page.v[i], .55 * bright, .1)), noise: noise / Math.max(bright, .1)};
}

// Take out of a mask thin straight lines that run through the whole picture; strokes that cross them stay.
function removeLines(mask) {
  for (const turned of [false, true]) {
    const m = turned ? transpose(mask) : mask, {v, h, w} = m, ys = [], xs = [];
    for (let y = 0; y < h; y++) for (let x = 0; x < w; x++)  // a thin line need not hit the pixels exactly
      if (v[y * w + x] || v[(y ? y - 1 : h - 1) * w + x] || v[(y < h - 1 ? y + 1 : 0) * w + x]) { ys.push(y); xs.push(x); }
    if (ys.length < .7 * w) continue;
    const n = 2 * Math.max(10, Math.floor(w / 12)) + 1, slopes = Array.from({length: n}, (_, i) => -.1 + .2 * i / (n - 1));
    const counts = slopes.map(s => {
      const rise = Int32Array.from({length: w}, (_, x) => rint(s * (x - w / 2))), found = new Int32Array(3 * h + 1);
      for (let i = 0; i < ys.length; i++) found[clamp(ys[i] - rise[xs[i]], -h, 2 * h) + h]++;
      return found;
    });
    for (let at = 0; at <= 3 * h; at++) {
      let k = 0;
      for (let s = 1; s < n; s++) if (counts[s][at] > counts[k][at]) k = s;
      if (counts[k][at] > .7 * w) cutLine(m, at - h, slopes[k]);
    }
    if (turned) mask.v.set(transpose(m).v);
  }
}

// Remove a line from a mask, where it is not thicker than elsewhere.
function cutLine({v, h, w}, at, slope) {
  const xs = [], ys = [], on = (y, x) => v[clamp(y, 0, h - 1) * w + x];
  for (let x = 0; x < w; x++) { const y = rint(at + slope * (x - w / 2)); if (y >= 0 && y < h) { xs.push(x); ys.push(y); } }
  for (const step of [1, -1]) ys.forEach((y, i) => { if (!on(y, xs[i]) && on(y + step, xs[i])) ys[i] = clamp(y + step, 0, h - 1); });
  const hit = xs.map((x, i) => on(ys[i], x)), end = 1 + Math.floor(w / 10);
  if (!hit.slice(0, end).some(Boolean) || !hit.slice(-end).some(Boolean)) return;  // it ends in the picture
  const reach = sign => xs.map((x, i) => { let n = 0; while (hit[i] && n < Math.max(4, Math.floor(h / 20)) && on(ys[i] + sign * (n + 1), x)) n++; return n; });
  const up = reach(-1), down = reach(1), thick = xs.map((_, i) => up[i] + down[i] + 1), usual = median(thick.filter((_, i) => hit[i]));
  if (usual > Math.max(1, .02 * Math.min(h, w))) return;  // a stroke
  const wide = Math.trunc(usual) + 2;
  xs.forEach((x, i) => {
    if (!hit[i] || thick[i] > usual + 2) return;
    for (let step = Math.max(-wide, -up[i]); step <= Math.min(wide, down[i]); step++) if (ys[i] + step >= 0 && ys[i] + step < h) v[(ys[i] + step) * w + x] = 0;
  });
}

// ---- regions: ink that hangs together

const sizeOf = r => Math.max(r.bottom - r.top, r.right - r.left);
const joined = (a, b) => ({labels: [...a.labels, ...b.labels], top: Math.min(a.top, b.top), left: Math.min(a.left, b.left), bottom: Math.max(a.bottom, b.bottom),
  right: Math.max(a.right, b.right), mass: a.mass + b.mass, ink: Math.max(a.ink, b.ink), edge: a.edge + b.edge});

// The numbers of the connected regions of a mask, and the regions, the largest mass first.
function regionsOf(ink, mask) {
  const {labels, n} = label(mask, true), {h, w} = mask, edge = new Float64Array(n + 1);
  const all = Array.from({length: n + 1}, (_, i) => ({labels: [i], top: h, left: w, bottom: 0, right: 0, mass: 0}));
  for (let y = 0, i = 0; y < h; y++) for (let x = 0; x < w; x++, i++) {
    const r = all[labels.v[i]];
    r.mass += ink.v[i];
    if (y < r.top) r.top = y;
    if (y >= r.bottom) r.bottom = y + 1;
    if (x < r.left) r.left = x;
    if (x >= r.right) r.right = x + 1;
  }
  for (const l of edgeOf(labels)) edge[l]++;
  const found = all.slice(1).sort((a, b) => b.mass - a.mass).slice(0, 100);
  for (const r of found) {
    const own = [];
    each(r, labels, (i, is) => { if (is) own.push(ink.v[i]); });
    r.ink = quantile(own, .75);
    r.edge = edge[r.labels[0]] / (2 * (h + w));
  }
  return {labels, regions: found};
}

// `f` for each pixel of a region's box: where it is, and whether it belongs to the region.
function each({labels: own, top, left, bottom, right}, {v, w}, f) {
  const [only] = own, is = own.length > 1 ? new Set(own) : {has: l => l === only};
  for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) f(y * w + x, is.has(v[y * w + x]), y, x);
}
function maskOf(r, labels) {
  const out = plane(r.bottom - r.top, r.right - r.left, Uint8Array);
  each(r, labels, (_, is, y, x) => { if (is) out.v[(y - r.top) * out.w + x - r.left] = 1; });
  return out;
}
const isInside = (a, b) => a.left > b.left && a.top > b.top && a.right < b.right && a.bottom < b.bottom;

// Is it a box around something: empty but for what it surrounds?
function isFrame(r, labels, others) {
  const inner = others.filter(o => isInside(o, r));
  if (!inner.length || Math.max(...inner.map(sizeOf)) < .15 * sizeOf(r)) return false;
  const m = maskOf(r, labels), dy = Math.floor(m.h / 8), dx = Math.floor(m.w / 8);
  return sum(cut(m, dy, dx, m.h - dy, m.w - dx).v) < .1 * sum(m.v);
}

// Is it thin somewhere, as what a pen has drawn, and no blot?
const isStroke = (r, labels) => 2 * most(depthOf(maskOf(r, labels)).v) - 1 < .48 * sizeOf(r) + 2;

// How far the region is from what surrounds it, in brightness; positive: it is darker.
function contrast(r, gray, labels) {
  const {h, w} = gray, pad = Math.max(4, Math.floor(3 * sizeOf(r) / 2), Math.floor(Math.max(h, w) / 8)), own = [], around = [];
  const box = {...r, top: Math.max(0, r.top - pad), bottom: Math.min(h, r.bottom + pad), left: Math.max(0, r.left - pad), right: Math.min(w, r.right + pad)};
  each(box, labels, (i, is) => (is ? own : around).push(gray.v[i]));
  return own.length && around.length ? median(around) - median(own) : 0;
}

const gap = (a, b) => [Math.max(a.left, b.left) - Math.min(a.right, b.right), Math.max(a.top, b.top) - Math.min(a.bottom, b.bottom)];

// Are these two digits, rather than parts of one?
function apart(a, b) {
  const [across, down] = gap(a, b), size = Math.max(sizeOf(a), sizeOf(b)), heights = [a, b].map(r => r.bottom - r.top);
  return Math.min(...heights) > .5 * Math.max(...heights) && (across > Math.max(1, .03 * size) || down > .12 * size) || across > .6 * size;
}

// The regions that may be digits or parts of them: no specks, no frames, no blots, and nothing at the edge if there is something else.
function ofInterest(regions, labels, {h, w}) {
  const smallest = .025 * Math.max(h, w) + 1;
  const large = regions.filter(r => sizeOf(r) >= smallest), left = large.filter(r => !isFrame(r, labels, large) && isStroke(r, labels)), inside = left.filter(r => !r.edge);
  if (!inside.length) return left.filter(r => r.edge < .3 && Math.min(r.bottom - r.top, r.right - r.left) >= .1 * sizeOf(r));  // no rest of a line
  const cutOff = left.filter(r => r.edge > 0 && r.edge < .12);
  return cutOff.length && Math.max(...inside.map(sizeOf)) < .3 * Math.max(...cutOff.map(sizeOf)) ? left : inside;
}

const heaviest = regions => regions.reduce((a, b) => b.mass > a.mass ? b : a);
const byMass = regions => [...regions].sort((a, b) => b.mass - a.mass);

// Regions put together into digits, the largest first.
function digitsOf(regions) {
  if (!regions.length) return [];
  const first = heaviest(regions);
  let found = [];
  for (let r of byMass(regions.filter(r => sizeOf(r) >= .1 * sizeOf(first) && r.ink >= .5 * first.ink))) {
    const near = found.find(f => !apart(f, r) && Math.max(...gap(f, r)) < .25 * Math.max(sizeOf(f), sizeOf(r)));
    if (near) { found = found.filter(f => f !== near); r = joined(near, r); }
    found.push(r);
  }
  const main = heaviest(found);
  return byMass(found).filter(f => f === main || f.bottom - f.top >= .5 * (main.bottom - main.top) && f.mass >= .15 * main.mass);
}

// The digits if they hold most of the ink; none if more of it lies in pieces around them, as that of a broken line does.
function mostOf(digits, regions) {
  const size = Math.max(...digits.map(sizeOf)), mass = of => of.reduce((a, r) => a + r.mass, 0);
  return mass(digits) > .5 * mass(regions.filter(r => !r.edge && sizeOf(r) <= size)) ? digits : [];
}

// ---- a sheet on a desk

// The brightness that best divides a picture into dark and light (Otsu).
function between(values) {
  const low = least(values), high = most(values), n = 128, counts = new Float64Array(n), edge = i => low + (high - low) * i / n;
  for (const v of values) counts[Math.min(n - 1, Math.floor((v - low) / ((high - low) || 1) * n))]++;
  const total = values.length, all = counts.reduce((a, c, i) => a + c * edge(i), 0);
  let below = 0, sums = 0, best = -1, at = 0;
  for (let i = 0; i < n - 1; i++) {
    below += counts[i]; sums += counts[i] * edge(i);
    const value = (all * below / total - sums) ** 2 / (below * (total - below));
    if (value > best) { best = value; at = i; }
  }
  return edge(at + 1);
}

const medianWhere = (a, test) => median(a.v.filter((_, i) => test(i)));

// How much a mask fills of the smallest rectangle around it, turned as fits best: near 1 for a sheet, at most 0.8 for an ellipse.
function fullness({v, h, w}) {
  const rim = [], at = (y, x) => y >= 0 && y < h && x >= 0 && x < w && v[y * w + x];
  for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) if (v[y * w + x] && !(at(y - 1, x) && at(y + 1, x) && at(y, x - 1) && at(y, x + 1))) rim.push([y, x]);
  const area = turn => {
    const c = Math.cos(turn), s = Math.sin(turn), low = [Infinity, Infinity], high = [-Infinity, -Infinity];
    for (const [y, x] of rim) [x * c + y * s, y * c - x * s].forEach((at, i) => { low[i] = Math.min(low[i], at); high[i] = Math.max(high[i], at); });
    return (high[0] - low[0] + 1) * (high[1] - low[1] + 1);
  };
  return sum(v) / Math.min(...Array.from({length: 30}, (_, i) => area(3 * i * Math.PI / 180)));
}

// Where a sheet lies in the picture, with sharp edges and something else around it: its place, and the sheet, continued over what is around it.
function sheetOf(gray) {
  const smooth = gaussian(gray, 1.5), level = between(smooth.v);
  for (const part of [v => v > level ? 1 : 0, v => v > level ? 0 : 1]) {
    const {labels, n} = label(map(smooth, part, Uint8Array), false);
    if (!n) continue;
    const counts = new Float64Array(n + 1);
    for (const l of labels.v) if (l) counts[l]++;
    const largest = counts.indexOf(most(counts)), empty = map(labels, l => l === largest ? 1 : 0, Uint8Array), sheet = filled(empty), area = sum(sheet.v);
    if (sum(empty.v) < .5 * area) continue;  // a digit with a loop
    const sides = edgeOf(sheet), share = area / sheet.v.length;
    if (sum(sides) / sides.length > .1 || share <= .06 || share >= .99 || fullness(sheet) < .85) continue;
    const box = boxOf(sheet), size = Math.max(box.bottom - box.top, box.right - box.left), depth = depthOf(sheet);
    if (most(depth.v) < .3 * size || most(depthOf(empty).v) < .12 * size) continue;
    const away = distance(map(sheet, v => 1 - v, Uint8Array)).far;
    const near = i => away.v[i] > 3 && away.v[i] < 7, narrow = !away.v.some((_, i) => near(i));  // a rim may be narrow
    const inside = medianWhere(gray, i => depth.v[i] > 3 && depth.v[i] < 7), outside = medianWhere(gray, narrow ? i => !sheet.v[i] : near);
    if (Math.abs(inside - outside) < Math.max(.15, .6 * Math.abs(medianWhere(gray, i => sheet.v[i]) - medianWhere(gray, i => !sheet.v[i])))) continue;
    const inner = distance(map(depth, d => d > 4 ? 0 : 1, Uint8Array)).near, onIt = map(gray, (v, i) => depth.v[i] > 4 ? v : smooth.v[inner.v[i]]);
    return {top: box.top, left: box.left, onIt: cut(onIt, box.top, box.left, box.bottom, box.right)};
  }
  return null;
}

// The rows and columns that a mask covers.
function boxOf({v, h, w}) {
  const rows = new Uint8Array(h), cols = new Uint8Array(w);
  for (let y = 0, i = 0; y < h; y++) for (let x = 0; x < w; x++, i++) if (v[i]) rows[y] = cols[x] = 1;
  return {top: rows.indexOf(1), bottom: rows.lastIndexOf(1) + 1, left: cols.indexOf(1), right: cols.lastIndexOf(1) + 1};
}

// ---- digits

// Digits on a page of one gray value, the ink, and the numbers of its regions.
function inFlat(ink) {
  const mask = map(ink, v => v > 0 ? 1 : 0, Uint8Array), side = Math.max(ink.h, ink.w);
  removeLines(mask);
  const {labels, regions} = regionsOf(ink, mask);
  let digits = digitsOf(ofInterest(regions, labels, ink));
  if (digits.length === 1 && regions.length < 6) {  // an otherwise empty page: crumbs near the digit are part of it, in a small picture all of it
    const [d] = digits, crumbs = regions.filter(r => !r.labels.some(l => d.labels.includes(l))
      && (side <= SMALL || Math.max(...gap(d, r)) < .3 * sizeOf(d) && sizeOf(r) < .5 * sizeOf(d) && !r.edge));
    digits = [crumbs.reduce(joined, d)];
  }
  return {digits: mostOf(digits, regions), ink, labels};
}

// The numbers of the regions where the ink is stronger than `level`, and the digits; straight lines are taken out of the ink.
function above(level, ink) {
  const over = map(ink, v => v > level ? 1 : 0, Uint8Array), mask = {...over, v: over.v.slice()};
  removeLines(mask);
  for (let i = 0; i < ink.v.length; i++) if (over.v[i] && !mask.v[i]) ink.v[i] = 0;
  const {labels, regions} = regionsOf(ink, mask);
  return {labels, digits: mostOf(digitsOf(ofInterest(regions, labels, ink)), regions)};
}

// Is there something else around strokes, on all sides? The rim of a blot, which is what differs from the page near it, has more of the blot on one side.
function onAllSides(held, gray, contrast) {
  const {far, near} = distance(map(held, v => v > .7 ? 0 : 1, Uint8Array)), away = Math.max(3, Math.min(gray.h, gray.w) / 80);
  let around = 0, other = 0;
  for (let i = 0; i < far.v.length; i++) if (far.v[i] > away && far.v[i] <= away + 2) {
    around++;
    if ((gray.v[i] - gray.v[near.v[i]]) * Math.sign(contrast) > .2 * Math.abs(contrast)) other++;
  }
  return !around || other / around > .75;
}

// The same where the page is not of one gray value, for ink that is darker, or lighter, than the page; and how sure it is that there are any.
function inLocal(gray, dark) {
  const {ink, noise} = localInk(gray, dark), lowest = Math.max(.08, 6 * noise);
  let level = lowest, {labels, digits} = above(level, ink);
  const strong = digits.length ? [] : ink.v.filter(v => v > lowest);
  if (strong.length && most(strong) > least(strong)) {  // the ink may hang together with paler lines, as on squared paper
    level = between(strong);
    ({labels, digits} = above(level, ink));
    if (digits.some(d => d.edge)) digits = [];
  }
  if (digits.length) ({labels, digits} = above(Math.max(level, .5 * digits[0].ink), ink));  // first by the noise, then by how dark the ink is
  if (!digits.length || digits[0].ink < 1.4 * lowest) return {sure: 0, digits: [], ink, labels};  // what barely rises above the noise is noise
  const [main] = digits, apartBy = contrast(main, gray, labels), own = new Set(digits.flatMap(d => d.labels));
  let sure = dark ? apartBy : -apartBy;
  const kept = grown(map(labels, l => own.has(l) ? 1 : 0, Uint8Array), Math.max(1, rint(Math.min(ink.h, ink.w) / 200))), near = dilated(labels, 2);
  const held = map(ink, (v, i) => kept.v[i] ? clamp((v / main.ink - .25) / .55, 0, 1) : 0);
  if (sure <= (main.edge ? .25 : .06)) digits = [];
  else if (!onAllSides(held, gray, apartBy)) { sure = 0; digits = []; }
  return {sure, digits, ink: held, labels: map(labels, (l, i) => l || near.v[i] * kept.v[i], Int32Array)};
}

// The same for ink that is darker or lighter, whichever stands out more.
const surer = gray => { const [a, b] = [inLocal(gray, true), inLocal(gray, false)]; return b.sure > a.sure ? b : a; };

function placedIn(a, {h, w}, top, left) {
  const out = plane(h, w, a.v.constructor);
  for (let y = 0; y < a.h; y++) out.v.set(a.v.subarray(y * a.w, (y + 1) * a.w), (y + top) * w + left);
  return out;
}

// Digits in a gray picture, the largest first, the ink, and the numbers of its regions; `onDesk`: it may show a sheet with something around it.
function search(gray, onDesk = true) {
  const flat = flatInk(gray), plain = flat && inFlat(flat), some = onDesk && Math.max(gray.h, gray.w) > SMALL ? .04 : .4;  // more ink than this may be a sheet
  if (flat && (plain.digits.length && flat.v.filter(v => v > .5).length < some * flat.v.length || !most(flat.v))) return plain;
  const sheet = onDesk && sheetOf(gray);
  if (sheet) {
    const {top, left, onIt} = sheet, {digits, ink, labels} = search(onIt, false);
    if (digits.length) return {digits: digits.map(d => ({...d, top: d.top + top, bottom: d.bottom + top, left: d.left + left, right: d.right + left})),
      ink: placedIn(ink, gray, top, left), labels: placedIn(labels, gray, top, left)};
  }
  return plain && plain.digits.length ? plain : surer(gray);
}

// ---- the ink of a digit, cropped

// Mean width of the strokes: their area over half the length of their edges.
function thickness(ink) {
  const {v, h, w} = padded(ink);
  let edges = 0;
  for (let y = 0, i = 0; y < h; y++) for (let x = 0; x < w; x++, i++) edges += (x < w - 1 ? Math.abs(v[i + 1] - v[i]) : 0) + (y < h - 1 ? Math.abs(v[i + w] - v[i]) : 0);
  return 2 * sum(v) / Math.max(1e-9, .9 * edges);
}

// Strokes widened by a disk.
function widened(ink, radius) {
  const n = Math.ceil(radius), {h, w} = ink, out = plane(h, w), disk = [];
  for (let y = -n; y <= n; y++) for (let x = -n; x <= n; x++) if (x * x + y * y <= (radius + .3) ** 2) disk.push([y, x]);
  for (let y = 0, i = 0; y < h; y++) for (let x = 0; x < w; x++, i++) if (ink.v[i])
    for (const [dy, dx] of disk) if (y + dy >= 0 && y + dy < h && x + dx >= 0 && x + dx < w) { const j = i + dy * w + dx; if (ink.v[i] > out.v[j]) out.v[j] = ink.v[i]; }
  return out;
}

// A digit's ink as bytes, without empty rows and columns at its edges; a pen thinner than any of MNIST's is widened.
function inkOf(digit, {ink, labels}) {
  const own = new Set(digit.labels), alone = map(ink, (v, i) => own.has(labels.v[i]) ? v : 0), box = boxOf(alone);
  let found = cut(alone, box.top, box.left, box.bottom, box.right);
  const pixel = Math.max(found.h, found.w) / 20, thin = 1.7 * pixel - thickness(found);
  if (thin > .7 * pixel && pixel > 1) found = widened(padded(found, rint(thin)), thin / 2);
  return {pixels: Uint8Array.from(found.v, v => 255 * v), width: found.w, height: found.h};
}

// The digits of a picture, RGBA in bytes, from left to right: the ink and the box of each; or a sentence that says why there are none.
function findDigits(picture) {
  const {k, ...small} = reduced(picture), gray = grayOf(onGround(small)), found = search(gray), {digits, ink} = found;
  if (most(gray.v) - least(gray.v) < .1) return {error: 'No digit found: all of it has nearly the same brightness.'};
  if (!digits.length) return {error: 'No digit found: only specks, noise, lines or blots.'};
  if (ink.v.filter(v => v > .5).length > .6 * ink.v.length && Math.min(gray.h, gray.w) > .5 * Math.max(gray.h, gray.w))
    return {error: 'No digit found: ink fills most of the picture. Leave a margin around the digit.'};
  const all = digits.map(d => ({...inkOf(d, found), box: [d.left, d.top, d.right, d.bottom].map(v => v * k)}));
  return {digits: all.sort((a, b) => a.box[0] - b.box[0] || a.box[1] - b.box[1])};
}

if (typeof module !== 'undefined') module.exports = {findDigits, quantile, gaussian, dilated, closed, distance, label, filled, reduced, grayOf, onGround, removeLines, search};
else self.onmessage = ({data}) => self.postMessage(findDigits(data));
})();
