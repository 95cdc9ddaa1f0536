// The explorer of convolutions that `explore_conv` puts on a page. Above the line that says so,
// pure functions, which tests/js/explore_conv.test.mjs runs in node; below it, the page.
(() => {
'use strict';

// ---- settings: [height, width] for all that has two, so that `dim` 0 is down and 1 is across
const LIMITS = { size: [1, 32], kernel_size: [1, 11], stride: [1, 8], padding: [0, 8], dilation: [1, 6],
                 output_padding: [0, 7], in_channels: [1, 8], out_channels: [1, 8], groups: [1, 8] };
const PAIRS = ['size', 'kernel_size', 'stride', 'padding', 'dilation', 'output_padding'];
const SINGLES = ['in_channels', 'out_channels', 'groups'];
const KINDS = { conv: 'convolution', transposed: 'transposed convolution', max: 'max pooling', avg: 'average pooling' };
const KERNELS = ['left to right', 'top to bottom', 'outline', 'sum'];
const MOST = 64;  // the largest output that is drawn

const isKind = kind => Object.hasOwn(KINDS, kind);
const isPool = s => s.kind === 'max' || s.kind === 'avg';
const pair = v => Array.isArray(v) ? [v[0], v[1]] : [v, v];
const range = (a, b) => Array.from({ length: Math.max(0, b - a + 1) }, (_, i) => a + i);
const gcd = (a, b) => b ? gcd(b, a % b) : a;

// the settings along one dimension, with PyTorch's names
function along(s, dim) {
  const w = Object.fromEntries(PAIRS.map(n => [n, s[n][dim]]));
  return { ...w, reach: w.dilation*(w.kernel_size - 1) + 1 };
}

// how many outputs there are along one dimension; less than 1 if none
function count(s, dim) {
  const w = along(s, dim);
  if (s.kind === 'transposed') return (w.size - 1)*w.stride - 2*w.padding + w.reach + w.output_padding;
  const room = w.size + 2*w.padding - w.reach;
  if (!s.ceil_mode) return Math.floor(room/w.stride) + 1;
  const n = Math.ceil(room/w.stride) + 1;
  // a last window that starts in the padding behind is dropped
  return n - ((n - 1)*w.stride >= w.size + w.padding ? 1 : 0);
}
const outSize = s => [count(s, 0), count(s, 1)];

// whether PyTorch makes such a layer and it can be drawn
function valid(s) {
  const within = n => pair(s[n]).every(v => Number.isInteger(v) && v >= LIMITS[n][0] && v <= LIMITS[n][1]);
  if (!isKind(s.kind) || !PAIRS.every(within) || !SINGLES.every(within)) return false;
  if (s.in_channels % s.groups || s.out_channels % s.groups) return false;
  if (isPool(s) ? s.groups !== 1 || s.out_channels !== s.in_channels : s.ceil_mode) return false;
  return [0, 1].every(dim => {
    const w = along(s, dim), n = count(s, dim);
    if (isPool(s) && w.padding > w.kernel_size >> 1 || s.kind === 'avg' && w.dilation > 1) return false;
    if (w.output_padding >= (s.kind === 'transposed' ? Math.max(w.stride, w.dilation) : 1)) return false;
    return n >= 1 && n <= MOST;
  });
}

function change(s, name, value, dim) {
  if (name === 'in_channels' && isPool(s)) return { ...s, in_channels: value, out_channels: value };
  if (!PAIRS.includes(name)) return { ...s, [name]: value };
  const both = s.square ? [value, value] : s[name].map((v, i) => i === dim ? value : v);
  return { ...s, [name]: both };
}

// the values that a slider may take while all else stays: what is impossible is not among them
function allowed(s, name, dim = 0) {
  return range(...LIMITS[name]).filter(v => valid(change(s, name, v, dim)));
}

// the nearest possible settings to any others: for a kind just changed, or an address typed by hand
function repair(s) {
  const fit = (v, [low, high]) => Math.min(high, Math.max(low, Math.round(v) || 0));
  let t = { ...DEFAULTS, ...s };
  if (!isKind(t.kind)) t.kind = 'conv';
  for (const n of PAIRS) t[n] = pair(t[n]).map(v => fit(v, LIMITS[n]));
  if (t.square) for (const n of PAIRS) t[n] = [t[n][0], t[n][0]];
  for (const n of SINGLES) t[n] = fit(t[n], LIMITS[n]);
  t.kernel = fit(t.kernel, [0, KERNELS.length - 1]);
  t.ceil_mode = isPool(t) && !!t.ceil_mode;
  if (isPool(t)) t.out_channels = t.in_channels;
  t.groups = isPool(t) ? 1 : gcd(gcd(t.in_channels, t.out_channels), t.groups);
  for (const dim of [0, 1]) {
    const w = n => t[n][dim], put = (n, v) => { t[n] = t[n].map((old, i) => i === dim ? v : old); };
    if (t.kind === 'avg') put('dilation', 1);
    if (isPool(t)) put('padding', Math.min(w('padding'), w('kernel_size') >> 1));
    const most = t.kind === 'transposed' ? Math.max(w('stride'), w('dilation')) - 1 : 0;
    put('output_padding', Math.min(w('output_padding'), most));
    const wrong = low => low ? count(t, dim) < 1 : count(t, dim) > MOST;
    const order = t.kind === 'transposed' ? ['padding'] : ['dilation', 'kernel_size', 'padding'];
    for (const n of order) while (wrong(true) && w(n) > LIMITS[n][0]) put(n, w(n) - 1);
    for (const n of ['output_padding', 'stride', 'dilation', 'kernel_size', 'size'])
      while (wrong(false) && w(n) > LIMITS[n][0]) {
        put(n, w(n) - 1);
        put('output_padding', Math.min(w('output_padding'), Math.max(w('stride'), w('dilation')) - 1));
      }
    if (isPool(t)) put('padding', Math.min(w('padding'), w('kernel_size') >> 1));
  }
  return t;
}

const DEFAULTS = { kind: 'conv', size: [28, 28], kernel_size: [3, 3], stride: [1, 1], padding: [0, 0], dilation: [1, 1],
                   output_padding: [0, 0], ceil_mode: false, in_channels: 1, out_channels: 1, groups: 1, kernel: 0,
                   square: true };

// ---- what is joined to what
// where cell `i` of the small side puts its window: one place for each weight, some outside
const slide = (w, i) => range(0, w.kernel_size - 1).map(u => i*w.stride + u*w.dilation - w.padding);
// which of `n` small cells reach cell `j` of the large side: one for each weight, or null
const meet = (w, j, n) => range(0, w.kernel_size - 1).map(u => {
  const at = (j + w.padding - u*w.dilation)/w.stride;
  return Number.isInteger(at) && at >= 0 && at < n ? at : null;
});

// for each weight along one dimension, the cell on the other side that cell `i` of `side` meets through it;
// for a convolution's output also places outside (the padding), else null where there is none
function partners(s, side, dim, i) {
  const w = along(s, dim), n = count(s, dim);
  if (s.kind === 'transposed') {
    if (side === 'out') return meet(w, i, w.size);
    return slide(w, i).map(p => p >= 0 && p < n ? p : null);
  }
  return side === 'out' ? slide(w, i) : meet(w, i, n);
}
const window_ = (s, [i, j]) => [partners(s, 'out', 0, i), partners(s, 'out', 1, j)];
const feeds = (s, [i, j]) => [partners(s, 'in', 0, i), partners(s, 'in', 1, j)].map(p => p.filter(v => v !== null));

// the input channels that output channel `o` reads
function reads(s, o) {
  if (isPool(s)) return [o];
  const n = s.in_channels/s.groups, first = Math.floor(o/(s.out_channels/s.groups))*n;
  return range(first, first + n - 1);
}

// ---- pixels and weights: whole numbers, pixels in hundredths, so that sums are exact
// channel c is the picture turned by c quarters; from the fifth on it is mirrored first
function pixels(image, size, channel = 0) {
  const [h, w] = image.size, turns = channel % 4, odd = turns % 2;
  const at = (i, j) => {  // of the turned picture
    let [y, x] = [[i, j], [j, w - 1 - i], [h - 1 - i, w - 1 - j], [h - 1 - j, i]][turns];
    if (channel > 3) x = w - 1 - x;
    return image.bytes[y*w + x];
  };
  const [H, W] = odd ? [w, h] : [h, w];
  const cut = (n, from) => range(0, n - 1).map(i => [Math.floor(i*from/n), Math.ceil((i + 1)*from/n)]);
  const rows = cut(size[0], H), cols = cut(size[1], W);
  return rows.map(([top, bottom]) => cols.map(([left, right]) => {
    let sum = 0;
    for (let i = top; i < bottom; i++) for (let j = left; j < right; j++) sum += at(i, j);
    return Math.floor(100*sum/(255*(bottom - top)*(right - left)) + .5);
  }));
}

function weight(s, o, c, u, v) {
  const [h, w] = s.kernel_size, side = (i, n) => n === 1 ? 1 : Math.sign(2*i - n + 1);
  const middle = u === h >> 1 && v === w >> 1;
  return [side(v, w), side(u, h), h*w === 1 ? 1 : middle ? h*w - 1 : -1, 1][(s.kernel + o + c) % KERNELS.length];
}

// what output (i, j) of channel `o` is made of: the terms of each input channel, and the value
function terms(s, planes, o, i, j) {
  const [rows, cols] = window_(s, [i, j]), out = [];
  for (const c of reads(s, o)) {
    const list = [];
    rows.forEach((y, u) => cols.forEach((x, v) => {
      const there = y !== null && x !== null, pixel = there ? planes[c][y]?.[x] : undefined;
      const wt = isPool(s) ? 1 : weight(s, o, c, u, v);
      list.push({ u, v, at: there ? [y, x] : null, pixel, weight: wt, product: (pixel ?? 0)*wt });
    }));
    out.push({ channel: c, list, sum: list.reduce((a, t) => a + t.product, 0) });
  }
  return out;
}

// how many pixels an average is over: padding counts, what hangs over it does not
function divisor(s, i, j) {
  return [i, j].reduce((n, at, dim) => {
    const w = along(s, dim), start = at*w.stride - w.padding;
    return n*(Math.min(start + w.kernel_size, w.size + w.padding) - start);
  }, 1);
}

function value(s, planes, o, i, j, parts = terms(s, planes, o, i, j)) {
  const sum = parts.reduce((a, p) => a + p.sum, 0);
  if (s.kind === 'avg') return sum/divisor(s, i, j);
  if (s.kind === 'max') return Math.max(...parts[0].list.filter(t => t.pixel !== undefined).map(t => t.pixel));
  return sum;
}

function output(s, planes, o) {
  const [h, w] = outSize(s);
  return range(0, h - 1).map(i => range(0, w - 1).map(j => value(s, planes, o, i, j)));
}

// ---- words
const minus = t => String(t).replaceAll('-', '−');
const num = (v, digits = 2) => minus(v === -Infinity ? '-∞' : +v.toFixed(digits));
const hundredths = v => num(v/100);
const by = p => `${p[0]}×${p[1]}`;

// 0 to 2 where numbers follow on, else 0, 2, 4
function listed(all) {
  const n = all.length, follow = n > 2 && all.every((v, i) => v === all[0] + i);
  return minus(follow ? `${all[0]} to ${all[n - 1]}` : all.join(', '));
}

// the size of the output along `dim`, with the numbers put in
function formula(s, dim) {
  const w = along(s, dim), n = count(s, dim);
  if (s.kind === 'transposed')
    return `(${w.size} − 1)·${w.stride} − 2·${w.padding} + ${w.dilation}·(${w.kernel_size} − 1) + ${w.output_padding} + 1 = ${n}`;
  const [open, close] = s.ceil_mode ? '⌈⌉' : '⌊⌋', exact = (w.size + 2*w.padding - w.reach)/w.stride + 1;
  const whole = s.ceil_mode ? Math.ceil(exact) : n;
  const inside = `(${w.size} + 2·${w.padding} − ${w.dilation}·(${w.kernel_size} − 1) − 1)/${w.stride} + 1`;
  return `${open}${inside}${close} = ${open}${num(exact)}${close} = ${whole}`
    + (whole > n ? `, less 1 that would start behind the input = ${n}` : '');
}
const SYMBOLS = s => s.kind === 'transposed'
  ? '(in − 1)·stride − 2·padding + dilation·(kernel_size − 1) + output_padding + 1'
  : '⌊(in + 2·padding − dilation·(kernel_size − 1) − 1)/stride + 1⌋'.replace(/[⌊⌋]/g, c => !s.ceil_mode ? c : c === '⌊' ? '⌈' : '⌉');

// how many rows or columns at the end no window sees: [of the input, of its padding]
function unseen(s, dim) {
  if (s.kind === 'transposed' || s.ceil_mode) return [0, 0];
  const w = along(s, dim), left = (w.size + 2*w.padding - w.reach) % w.stride, input = Math.max(0, left - w.padding);
  return [input, left - input];
}

// the same in words, for one dimension or for both
function unseenWords(s, dims) {
  return dims.flatMap(d => {
    const [input, padding] = unseen(s, d), n = input || padding, many = n > 1 ? 's' : '';
    const what = s.square ? `row${many} and column${many}` : (d ? 'column' : 'row') + many;
    return n ? [`No window sees the last ${n > 1 ? n + ' ' : ''}${what}${input ? '' : ' of padding'}.`] : [];
  }).join(' ');
}

function pytorch(s) {
  const py = v => v[0] === v[1] ? v[0] : `(${v[0]}, ${v[1]})`, differs = (n, d) => s[n].some(v => v !== d);
  const more = [['padding', 0], ['output_padding', 0], ['dilation', 1]].filter(([n, d]) => differs(n, d)).map(([n]) => `${n}=${py(s[n])}`);
  if (isPool(s)) {
    const name = s.kind === 'max' ? 'MaxPool2d' : 'AvgPool2d';
    return `nn.${name}(${[`kernel_size=${py(s.kernel_size)}`, `stride=${py(s.stride)}`, ...more, ...s.ceil_mode ? ['ceil_mode=True'] : []].join(', ')})`;
  }
  const stride = differs('stride', 1) ? [`stride=${py(s.stride)}`] : [], groups = s.groups > 1 ? [`groups=${s.groups}`] : [];
  const name = s.kind === 'conv' ? 'Conv2d' : 'ConvTranspose2d';
  return `nn.${name}(${[s.in_channels, s.out_channels, `kernel_size=${py(s.kernel_size)}`, ...stride, ...more, ...groups].join(', ')})`;
}

// every layer of this kind, the same in both dimensions, that makes `want` of the input; find_conv's ranges
function find(s, want) {
  const found = [];
  for (const k of range(1, 7)) for (const st of range(1, 4)) for (const p of range(0, 3))
    for (const op of range(0, s.kind === 'transposed' ? st - 1 : 0)) {
      const t = { ...s, kernel_size: [k, k], stride: [st, st], padding: [p, p], dilation: [1, 1], output_padding: [op, op] };
      if (valid(t) && count(t, 0) === want[0] && count(t, 1) === want[1]) found.push(t);
    }
  return found;
}

// ---- the address: `#name=conv,28,k3,s1,p0,d1`, beside the keys of others
const SHORT = { size: '', kernel_size: 'k', stride: 's', padding: 'p', dilation: 'd', output_padding: 'o' };
function encode(s) {
  const text = PAIRS.filter(n => n !== 'output_padding' || s.kind === 'transposed')
    .map(n => SHORT[n] + (s.square ? s[n][0] : s[n].join('x')));
  return [s.kind, ...text, `c${s.in_channels}-${s.out_channels}-${s.groups}`, `w${s.kernel}`, ...s.ceil_mode ? ['ceil'] : []].join(',');
}
function decode(text) {
  const [kind, ...rest] = text.split(',');
  if (!isKind(kind)) return null;
  const s = { kind, ceil_mode: rest.includes('ceil'), square: !/\dx\d/.test(text) };
  for (const part of rest) {
    const [, letter, a, b, c] = /^([a-z]?)(\d+)(?:[x-](\d+))?(?:-(\d+))?$/.exec(part) ?? [];
    const name = PAIRS.find(n => SHORT[n] === letter);
    if (letter === 'c') [s.in_channels, s.out_channels, s.groups] = [+a, +(b ?? a), +(c ?? 1)];
    else if (letter === 'w') s.kernel = +a;
    else if (name) s[name] = [+a, +(b ?? a)];
  }
  return repair(s);
}
// the hash with `key` set to `text`; anchors of headings, which hold no =, go
const inHash = (hash, key) => hash.replace(/^#/, '').split('&').find(p => p.startsWith(key + '='))?.slice(key.length + 1);
// the settings in the hash, null where there are none or the address is broken
function fromHash(hash, key) {
  try { return decode(decodeURIComponent(inHash(hash, key) ?? '')); } catch { return null; }
}
function withKey(hash, key, text) {
  const others = hash.replace(/^#/, '').split('&').filter(p => p.includes('=') && !p.startsWith(key + '='));
  return '#' + [...others, `${key}=${text}`].join('&');
}

if (typeof document === 'undefined') {
  module.exports = { LIMITS, PAIRS, SINGLES, DEFAULTS, KERNELS, count, outSize, valid, change, allowed, repair, partners, window: window_, feeds,
                     reads, pixels, weight, terms, value, output, listed, formula, unseen, unseenWords, pytorch, find, encode, decode, inHash, fromHash, withKey };
  return;
}

// ---------------------------------------------------------------- the page
const U = 20;  // side of a cell in the units of the drawings
const HELP = { size: 'input size' };

const slider = (name, dim) => `<input type="range" data-name="${name}" data-dim="${dim}"><output></output>`;
const row = name => `<div class="ec-row" data-row="${name}"><span aria-hidden="true">${HELP[name] ?? name}</span>
  ${PAIRS.includes(name) ? `<span class="ec-one">${slider(name, 0)}</span><span class="ec-one ec-across">${slider(name, 1)}</span>`
                         : `<span class="ec-one">${slider(name, 0)}</span>`}</div>`;
const PAGE = key => `
<fieldset class="ec-kinds"><legend>Layer</legend>${Object.entries(KINDS).map(([k, words]) =>
  `<label><input type="radio" name="${key}-kind" value="${k}"> ${words}</label>`).join('')}</fieldset>
<div class="ec-settings">${PAIRS.map(row).join('')}${SINGLES.map(row).join('')}
  <div class="ec-more"><label><input type="checkbox" data-check="square"> square</label>
  <label data-row="ceil_mode"><input type="checkbox" data-check="ceil_mode"> ceil_mode</label>
  <label data-row="kernel">weights <select data-pick="kernel">${KERNELS.map((k, i) => `<option value="${i}">${k}</option>`).join('')}</select></label>
  <label data-row="in">show input channel <select data-pick="ic"></select></label>
  <label data-row="out">output channel <select data-pick="oc"></select></label></div>
  <div class="ec-channels"></div></div>
<p class="ec-formula"></p>
<div class="ec-grids"><div class="ec-grid" data-side="in"></div><div class="ec-grid" data-side="out"></div></div>
<div class="ec-play" role="group" aria-label="Move the window"><button type="button" data-do="back">Back</button>
  <button type="button" data-do="play">Play</button><button type="button" data-do="step">Step</button>
  <input type="range" class="ec-at" min="0" aria-label="Position"></div>
<div class="ec-read"><p class="ec-now" aria-live="polite"></p>
  <div class="ec-terms" tabindex="0" role="region" aria-label="Products"></div></div>
<div class="ec-code"><code></code><button type="button" data-do="copy">Copy</button><button type="button" data-do="link">Copy link</button>
  <span role="status"></span></div>
<details class="ec-find"><summary>Show me layers that give a size</summary>
  <p><label>output <input type="number" min="1" max="${MOST}" data-want="0" aria-label="wanted output height"></label>
  <label class="ec-across">× <input type="number" min="1" max="${MOST}" data-want="1" aria-label="wanted output width"></label> <span class="ec-found" role="status"></span></p>
  <div class="ec-list"></div></details>`;

function start(root) {
  root.dataset.ready = '';
  const given = JSON.parse(root.dataset.settings), data = JSON.parse(root.dataset.image);
  const image = { size: data.size, bytes: Uint8Array.from(atob(data.bytes), c => c.charCodeAt(0)) };
  const same = [...document.querySelectorAll('.explore-conv[data-ready]')].filter(r => r !== root && r.dataset.name === root.dataset.name).length;
  const key = root.dataset.name + (same ? same + 1 : '');   // the second of a name is another
  const $ = q => root.querySelector(q), $$ = q => [...root.querySelectorAll(q)];
  let s = repair(given), at, oc = 0, ic = 0, want = null, timer = null, planes, out;

  root.innerHTML = PAGE(key);
  const main = () => s.kind === 'transposed' ? 'in' : 'out';   // the side whose cells are played through
  const sizeOf = side => side === 'in' ? s.size : outSize(s);
  // the rim of a drawing, before and after: padding, or what is cut off
  const rim = side => (side === 'in') === (s.kind === 'transposed') ? [[0, 0], [0, 0]] : [0, 1].map(dim => {
    const w = along(s, dim);
    const over = s.ceil_mode ? (count(s, dim) - 1)*w.stride + w.reach - w.size - 2*w.padding : 0;
    return [w.padding, w.padding + Math.max(0, over)];
  });

  const middle = side => ({ side, i: sizeOf(side)[0] >> 1, j: sizeOf(side)[1] >> 1 });

  function set(next, quiet) {
    s = repair(next);
    if (!at || next.kind !== given.kind) at = middle(main());
    given.kind = s.kind;
    oc = Math.min(oc, s.out_channels - 1);
    if (!reads(s, oc).includes(ic)) ic = reads(s, oc)[0];
    planes = range(0, s.in_channels - 1).map(c => pixels(image, s.size, c));
    out = output(s, planes, oc);
    controls(); grids(); found();
    const [h, w] = sizeOf(at.side);
    select(at.side, Math.min(at.i, h - 1), Math.min(at.j, w - 1));
    if (!quiet) history.replaceState(history.state, '', withKey(location.hash, key, encode(s)));
  }

  function controls() {
    for (const r of $$('input[type=radio]')) r.checked = r.value === s.kind;
    for (const input of $$('.ec-row input')) {
      const { name, dim } = input.dataset, can = allowed(s, name, +dim), now = PAIRS.includes(name) ? s[name][dim] : s[name];
      // channels jump (all groups are equal), so their sliders count the choices; all others follow on
      const jump = SINGLES.includes(name);
      [input.min, input.max] = jump ? [0, can.length - 1] : [can[0], can[can.length - 1]];
      input.value = jump ? can.indexOf(now) : now;
      input.disabled = can.length < 2;
      input.setAttribute('aria-label', (HELP[name] ?? name) + (s.square || !PAIRS.includes(name) ? '' : +dim ? ', width' : ', height'));
      input.setAttribute('aria-valuetext', now);
      input.nextElementSibling.value = now;
    }
    const hide = { output_padding: s.kind !== 'transposed', dilation: s.kind === 'avg', out_channels: isPool(s), groups: isPool(s), ceil_mode: !isPool(s),
                   kernel: isPool(s), in: s.in_channels === 1 || isPool(s), out: s.out_channels === 1 };
    for (const [name, no] of Object.entries(hide)) $(`[data-row=${name}]`).hidden = no;
    for (const e of $$('.ec-across')) e.hidden = s.square;
    $('[data-check=square]').checked = s.square;
    const ceil = $('[data-check=ceil_mode]');
    ceil.checked = s.ceil_mode; ceil.disabled = isPool(s) && !valid({ ...s, ceil_mode: !s.ceil_mode });
    $('[data-pick=kernel]').value = s.kernel;
    for (const [pick, n, now] of [['ic', s.in_channels, ic], ['oc', s.out_channels, oc]]) {
      $(`[data-pick=${pick}]`).innerHTML = range(0, n - 1).map(c => `<option>${c}</option>`).join('');
      $(`[data-pick=${pick}]`).value = now;
    }
    const joined = range(0, s.out_channels - 1).flatMap(o => reads(s, o).map(c => [c, o]));
    const dots = (n, y, now) => range(0, n - 1).map(c => `<circle cx="${c*24 + 10}" cy="${y}" r="5"${c === now ? ' class="ec-chosen"' : ''}/>`).join('');
    const box = $('.ec-channels'), wide = 24*Math.max(s.in_channels, s.out_channels);
    box.hidden = joined.length === 1;
    box.innerHTML = `<svg width="${wide}" height="58" role="img" aria-label="Input channels above, output channels below; output channel ${oc} reads ${listed(reads(s, oc))}">${
      joined.map(([c, o]) => `<path d="M${c*24 + 10} 8L${o*24 + 10} 50"${o === oc ? ' class="ec-chosen"' : ''}/>`).join('')}${dots(s.in_channels, 8, ic)}${dots(s.out_channels, 50, oc)}</svg>
      <span>${s.in_channels} channel${s.in_channels > 1 ? 's' : ''} in, ${s.out_channels} out: ${
        isPool(s) ? 'each by itself' : `${joined.length} kernels of ${by(s.kernel_size)}`}</span>`;
    const lines = s.square ? [['out', 0]] : [['height', 0], ['width', 1]];
    const lost = unseenWords(s, lines.map(([, d]) => d));
    $('.ec-formula').innerHTML = `<span>out = ${SYMBOLS(s)}</span>` + lines.map(([t, d]) => `<span><b>${t} = ${formula(s, d)}</b></span>`).join('')
      + (lost ? `<span>${lost}</span>` : '');
    $('.ec-code code').textContent = pytorch(s);
    $('.ec-at').max = sizeOf(main())[0]*sizeOf(main())[1] - 1;
  }

  function grids() {
    const edges = ['in', 'out'].map(side => rim(side)[1]);
    const cols = ['in', 'out'].map((side, i) => sizeOf(side)[1] + edges[i][0] + edges[i][1]);
    root.style.setProperty('--ec-both', cols[0] + cols[1]);
    root.style.setProperty('--ec-most', Math.max(...cols));
    for (const side of ['in', 'out']) {
      const [h, w] = sizeOf(side), [[top, bottom], [left, right]] = rim(side), values = side === 'in' ? planes[ic] : out;
      const all = values.flat().filter(Number.isFinite), most = Math.max(side === 'in' ? 100 : 1, ...all.map(Math.abs)), signed = Math.min(...all) < 0;
      const H = h + top + bottom, W = w + left + right, numbers = W < 10 && H < 20;
      let texts = '';
      const cells = values.flatMap((line, i) => line.map((v, j) => {
        const level = v === -Infinity ? 0 : signed ? .5 + v/most/2 : v/most, grey = Math.round(255*level);
        if (numbers) texts += `<text x="${(j + .5)*U}" y="${(i + .5)*U + 2.5}" fill="${level > .46 ? '#000' : '#fff'}">${num(v/100, Math.abs(v) < 1000 ? 2 : 1)}</text>`;
        return `<rect x="${j*U}" y="${i*U}" width="${U}" height="${U}" fill="rgb(${grey},${grey},${grey})"/>`;
      })).join('');
      const lines = (h, w, x, y) => range(0, h).map(i => `M${x} ${y + i*U}h${w*U}`).join('') + range(0, w).map(j => `M${x + j*U} ${y}v${h*U}`).join('');
      const words = `${side === 'in' ? 'input' : 'output'} ${by([h, w])}`;
      const box = $(`[data-side=${side}]`);
      const focused = box.contains(document.activeElement);
      box.style.setProperty('--ec-cols', W);
      box.style.setProperty('--ec-rows', H);
      box.innerHTML = `<div class="ec-size">${words}</div>
        <svg viewBox="${-left*U - 1} ${-top*U - 1} ${W*U + 2} ${H*U + 2}" tabindex="0" role="application" aria-roledescription="grid of pixels"
          aria-label="${words}: arrow keys move, ${side === 'in' ? 'to see every output that a pixel feeds' : 'to see the window of an output'}">
        <path class="ec-rim" d="${lines(H, W, -left*U, -top*U)}"/><g>${cells}</g><path class="ec-lines" d="${lines(h, w, 0, 0)}"/><g class="ec-mark"></g>${texts}</svg>`;
      if (focused) box.querySelector('svg').focus();
    }
  }

  // cells as one path, with a dark line around a bright one, to be seen on black and on white
  const squares = list => list.map(([i, j]) => `M${j*U} ${i*U}h${U}v${U}h${-U}z`).join('');
  const mark = (side, list, frame) => {
    const d = squares(list), edge = frame ? `M${frame[1]*U} ${frame[0]*U}h${frame[3]*U}v${frame[2]*U}h${-frame[3]*U}z` : d;
    $(`[data-side=${side}] .ec-mark`).innerHTML =
      `<path class="ec-taps" d="${d}"/><path class="ec-dark" d="${edge}"/><path class="ec-bright" d="${edge}"/>`;
  };

  function select(side, i, j) {
    at = { side, i, j };
    const other = side === 'in' ? 'out' : 'in', [rows, cols] = [partners(s, side, 0, i), partners(s, side, 1, j)];
    const known = [rows, cols].map(p => p.filter(v => v !== null)), list = known[0].flatMap(y => known[1].map(x => [y, x]));
    const whole = side === main();   // what is met is one window: in a frame; else each cell by itself
    const spans = [0, 1].map(dim => along(s, dim)), place = [i, j].map((n, dim) => n*spans[dim].stride - spans[dim].padding);
    mark(side, [[i, j]]);
    mark(other, list, whole ? [...place, ...spans.map(w => w.reach)] : null);
    const on = sizeOf(main()), scrub = $('.ec-at');
    if (side === main()) scrub.value = i*on[1] + j;
    scrub.setAttribute('aria-valuetext', `${main() === 'in' ? 'input' : 'output'} (${i}, ${j})`);
    say(rows, cols, known);
  }

  function say(rows, cols, known) {
    const { side, i, j } = at, now = $('.ec-now'), box = $('.ec-terms');
    const places = (word, p) => `${word}${p.length > 1 ? 's' : ''} ${listed(p.slice().sort((a, b) => a - b))}`;
    const over = known.every(p => p.length) ? `${places('row', known[0])}, ${places('column', known[1])}` : '';
    const [kH, kW] = s.kernel_size, cell = (u, v) => u*kW + v;
    if (side === 'out') {
      const parts = terms(s, planes, oc, i, j), total = value(s, planes, oc, i, j, parts), part = parts.find(p => p.channel === ic) ?? parts[0];
      const divide = divisor(s, i, j);
      const sums = parts.length > 1 ? ` = ${parts.map(p => `${hundredths(p.sum)} (channel ${p.channel})`).join(' + ')}` : '';
      const how = { conv: `the sum of the products${sums}`, transposed: `the sum of the products${sums}`, max: 'the largest pixel',
                    avg: `the sum ${hundredths(part.sum)}, divided by ${divide}` }[s.kind];
      now.textContent = `Output (${i}, ${j}) = ${hundredths(total)}, ${how}. ` + (over ? `It sees input ${over}.` : 'No input reaches it.');
      const best = s.kind === 'max' ? part.list.find(t => t.pixel === total) : null;
      draw(part.list.map(t => {
        if (!t.at) return '';
        const pixel = t.pixel === undefined ? s.kind === 'max' ? '−∞' : '0' : hundredths(t.pixel);
        if (isPool(s)) return t === best ? `<b>${pixel}</b>` : pixel;
        return kW > 5 ? hundredths(t.product) : `<small>${pixel} × ${minus(t.weight)}</small> ${hundredths(t.product)}`;
      }), isPool(s) ? 'Pixels of the window' : `Pixel × weight, and product${s.in_channels > 1 ? `, of input channel ${part.channel}` : ''}`);
    } else {
      const pixel = planes[ic][i][j], n = known[0].length*known[1].length;
      now.textContent = `Input (${i}, ${j}) = ${hundredths(pixel)} feeds ${n} output${n === 1 ? '' : 's'}` + (n ? `: ${over}.` : '.');
      draw(isPool(s) ? [] : range(0, kH*kW - 1).map(n => {
        const [u, v] = [Math.floor(n/kW), n % kW], w = weight(s, oc, ic, u, v);
        if (rows[u] === null || cols[v] === null) return '';
        return kW > 5 ? hundredths(pixel*w) : `<small>to (${rows[u]}, ${cols[v]})</small> ${hundredths(pixel*w)}`;
      }), 'What it adds to each output, through each weight');
    }
    function draw(texts, caption) {
      box.hidden = !texts.length;
      box.innerHTML = texts.length ? `<table><caption>${caption}</caption><tbody>${range(0, kH - 1).map(u =>
        `<tr>${range(0, kW - 1).map(v => `<td>${texts[cell(u, v)]}</td>`).join('')}</tr>`).join('')}</tbody></table>` : '';
    }
  }

  function found() {
    const wanted = want ?? outSize(s), list = find(s, s.square ? [wanted[0], wanted[0]] : wanted);
    for (const input of $$('[data-want]')) if (input !== document.activeElement && Number.isFinite(wanted[input.dataset.want])) input.value = wanted[input.dataset.want];
    const n = list.length;
    const asked = wanted.slice(0, s.square ? 1 : 2).every(v => Number.isInteger(v) && v >= 1 && v <= MOST);
    $('.ec-found').textContent = asked ? `${n || 'no'} layer${n === 1 ? '' : 's'} from ${by(s.size)}` + (n ? ':' : '; try another size')
      : `give a whole number from 1 to ${MOST}`;
    $('.ec-list').innerHTML = list.map(t => `<button type="button" data-use="${encode({ ...t, square: s.square })}">${
      ['kernel_size', 'stride', 'padding', ...t.output_padding[0] ? ['output_padding'] : []].map(p => `${p.replace('_size', '')} ${t[p][0]}`).join(', ')}</button>`).join('');
  }

  // ---- play
  const calm = matchMedia('(prefers-reduced-motion: reduce)');
  function stop() {
    clearInterval(timer); timer = null;
    $('[data-do=play]').textContent = 'Play';
    $('.ec-now').setAttribute('aria-live', 'polite');
  }
  function go(to) {
    const [h, w] = sizeOf(main()), n = Math.min(h*w - 1, Math.max(0, to));
    select(main(), Math.floor(n/w), n % w);
    return n === to;
  }
  function play() {
    if (timer) return stop();
    const [h, w] = sizeOf(main()), slow = calm.matches ? 1000 : Math.min(700, Math.max(50, 20000/(h*w)));
    if (+$('.ec-at').value >= h*w - 1) go(0);
    $('[data-do=play]').textContent = 'Pause';
    $('.ec-now').setAttribute('aria-live', 'off');   // no screen reader can follow
    timer = setInterval(() => { if (!root.isConnected || !go(+$('.ec-at').value + 1)) stop(); }, slow);
  }

  async function copy(text) {
    try { await navigator.clipboard.writeText(text); }
    catch {   // not allowed here: the old way
      const area = Object.assign(document.createElement('textarea'), { value: text });
      root.append(area); area.select(); document.execCommand('copy'); area.remove();
    }
    $('.ec-code [role=status]').textContent = 'Copied.';
    setTimeout(() => { $('.ec-code [role=status]').textContent = ''; }, 2000);
  }

  // JupyterLab is to take no key for its own that is pressed here
  root.addEventListener('focusin', e => { e.target.dataset.lmSuppressShortcuts = 'true'; });
  root.addEventListener('input', e => {
    const t = e.target, { name, dim, pick, want: w } = t.dataset;
    if (t.classList.contains('ec-at')) { stop(); go(+t.value); }
    else if (name) {
      set(change(s, name, SINGLES.includes(name) ? allowed(s, name)[t.value] : +t.value, +dim));
    } else if (t.type === 'radio') { stop(); set({ ...s, kind: t.value }); }
    else if (t.dataset.check) set({ ...s, [t.dataset.check]: t.checked });
    else if (pick === 'kernel') set({ ...s, kernel: +t.value });
    else if (pick === 'oc') { oc = +t.value; set(s, true); }
    else if (pick === 'ic') {
      ic = +t.value;
      if (!reads(s, oc).includes(ic)) oc = range(0, s.out_channels - 1).find(o => reads(s, o).includes(ic));
      set(s, true);
    } else if (w) { want = (want ?? outSize(s)).slice(); want[w] = t.value === '' ? NaN : +t.value; found(); }
  });
  root.addEventListener('click', e => {
    const b = e.target.closest('button');
    if (!b) return;
    const act = { back: () => { stop(); go(+$('.ec-at').value - 1); }, step: () => { stop(); go(+$('.ec-at').value + 1); }, play,
                  copy: () => copy($('.ec-code code').textContent), link: () => copy(location.href.replace(/#.*/, '') + withKey('', key, encode(s))) };
    if (b.dataset.use) { set({ ...decode(b.dataset.use), square: s.square }); b.isConnected || $(`[data-use="${b.dataset.use}"]`)?.focus(); }
    else act[b.dataset.do]?.();
  });
  for (const side of ['in', 'out']) {
    const box = $(`[data-side=${side}]`);
    const point = e => {
      const svg = e.target.closest('svg');
      if (!svg) return;
      const p = new DOMPoint(e.clientX, e.clientY).matrixTransform(svg.getScreenCTM().inverse()), [i, j] = [p.y, p.x].map(v => Math.floor(v/U));
      const [h, w] = sizeOf(side);
      if (i < 0 || j < 0 || i >= h || j >= w || i === at.i && j === at.j && side === at.side) return;
      stop(); select(side, i, j);
    };
    box.addEventListener('pointermove', point);
    box.addEventListener('pointerdown', point);
    box.addEventListener('focusin', e => { if (e.target.matches(':focus-visible') && at.side !== side) { stop(); const { i, j } = middle(side); select(side, i, j); } });
    box.addEventListener('keydown', e => {
      const [h, w] = sizeOf(side), { i, j } = at.side === side ? at : middle(side);
      const to = { ArrowUp: [i - 1, j], ArrowDown: [i + 1, j], ArrowLeft: [i, j - 1], ArrowRight: [i, j + 1], Home: [i, 0], End: [i, w - 1],
                   PageUp: [0, j], PageDown: [h - 1, j] }[e.key];
      if (!to || e.ctrlKey || e.altKey || e.metaKey) return;
      e.preventDefault(); e.stopPropagation(); stop();
      select(side, Math.min(h - 1, Math.max(0, to[0])), Math.min(w - 1, Math.max(0, to[1])));
    });
  }
  const restore = () => {
    const kept = fromHash(location.hash, key);
    if (kept) set(kept, true);
    return kept;
  };
  addEventListener('hashchange', restore);
  if (!restore()) set(s, true);
  else if (location.hash.startsWith(`#${key}=`)) root.scrollIntoView();
  root.explorer = { get: () => structuredClone(s), set: next => set({ ...s, ...next }) };
}

for (const root of document.querySelectorAll('.explore-conv:not([data-ready])')) start(root);
})();
