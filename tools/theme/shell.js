// The shell's own doings: theme, contents on phones, the bar, search, copying, where the reader is.
(() => {
'use strict';
// ---- search: concepts before functions. Scores are pure, so that node can test them.
const EMPTY = new Set('a an the of to in is are how what why do does i my and or for with on it'.split(' '));
const fold = text => text.toLowerCase().replace(/[^a-z0-9_.]+/g, ' ').trim();
const stem = word => word.replace(/(?:ing|ed|es|s|e)$/, m => word.length - m.length > 3 ? '' : m);

// how well an entry answers the words asked for: terms that it defines, then headings, then the title, then the text
function score(entry, words, asked) {
  const parts = [[entry.terms || '', 9], [entry.section || '', 7], [entry.title || '', entry.section ? 2 : 8], [entry.text || '', 1]].map(([t, w]) => [` ${fold(t)}`, w]);
  let total = 0;
  for (const word of words) {
    const best = parts.reduce((most, [text, weight]) => {
      const n = text.split(` ${word}`).length - 1;
      return n ? Math.max(most, weight + Math.min(n, 8) / 10) : most;
    }, 0);
    if (!best) return 0;
    total += best;
  }
  if (fold(entry.section || entry.title || '') === asked) total += 6;
  if (!entry.section && words.length && fold(entry.title || '').split(' ').map(stem).join(' ') === words.join(' ')) total += 8;  // a chapter of that name
  if ((entry.terms || '').split('|').some(t => fold(t) === asked)) total += 5;
  return total * (/^reference_/.test(entry.href) ? .45 : 1);
}

function search(index, query, limit = 12) {
  const asked = fold(query), all = asked.split(' ').filter(Boolean), words = all.filter(w => !EMPTY.has(w));
  return index.map((entry, n) => [score(entry, (words.length ? words : all).map(stem), asked), n, entry]).filter(([s]) => s > 0)
    .sort((a, b) => b[0] - a[0] || a[1] - b[1]).slice(0, limit).map(([, , entry]) => entry);
}
if (typeof document === 'undefined') { module.exports = { search, score }; return; }

const $ = (q, from = document) => from.querySelector(q), $$ = (q, from = document) => [...from.querySelectorAll(q)];
const root = document.documentElement, header = $('#quarto-header'), sidebar = $('#quarto-sidebar');

// ---- theme
const dark = () => (root.dataset.scheme || (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')) === 'dark';
const toggle = $('.quarto-color-scheme-toggle');
const told = () => toggle.setAttribute('aria-pressed', dark());
toggle.addEventListener('click', () => {
  root.dataset.scheme = dark() ? 'light' : 'dark';
  try { localStorage.setItem('mnist-cnn-scheme', root.dataset.scheme); } catch { /* not allowed here */ }
  told();
});
told();

// ---- chapters on a phone
const menu = $('.quarto-btn-toggle');
const show = open => {
  sidebar.classList.toggle('show', open);
  menu.setAttribute('aria-expanded', open);
  if (open) { header.classList.remove('away'); ($('.active', sidebar) || sidebar).scrollIntoView({ block: 'center' }); }
};
menu.addEventListener('click', () => show(!sidebar.classList.contains('show')));
document.addEventListener('keydown', e => { if (e.key === 'Escape' && sidebar.classList.contains('show')) { show(false); menu.focus(); } });

// ---- the bar, and where on the page the reader is
const links = $$('#TOC a'), targets = links.map(a => document.getElementById(decodeURIComponent(a.hash.slice(1))));
let last = 0, asked = 0;
function scrolled() {
  asked = 0;
  if (Math.abs(scrollY - last) > 6) {
    header.classList.toggle('away', scrollY > last && scrollY > 200 && !sidebar.classList.contains('show') && !header.contains(document.activeElement));
    last = scrollY;
  }
  let now = -1;
  targets.forEach((t, n) => { if (t && t.getBoundingClientRect().top < 110) now = n; });
  links.forEach((a, n) => a.classList.toggle('active', n === now));
}
addEventListener('scroll', () => { if (!asked) asked = requestAnimationFrame(scrolled); }, { passive: true });
header.addEventListener('focusin', () => header.classList.remove('away'));

// ---- headings that can be linked to, code that can be copied
for (const h of $$('main :is(h2, h3, h4)')) {
  const id = h.id || h.closest('section')?.id;
  if (!id || h.closest('details, .mcp, .explore-conv') || h !== (h.id ? h : $(':scope > :is(h2, h3, h4)', h.closest('section')))) continue;
  h.append(Object.assign(document.createElement('a'), { className: 'anchor', href: '#' + id, textContent: '#', ariaLabel: `Link to “${h.textContent.trim()}”` }));
}
for (const button of $$('.code-copy-button')) button.addEventListener('click', async () => {
  try { await navigator.clipboard.writeText($('code', button.parentElement).innerText); } catch { return; }
  button.classList.add('done');
  setTimeout(() => button.classList.remove('done'), 1500);
});

// ---- search
const box = $('#quarto-search'), field = $('input', box), results = $('.search-results', box);
let loading = null, active = -1;
const load = () => loading = loading || fetch('search.json').then(r => r.json()).catch(() => { loading = null; return []; });
const line = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });
function excerpt(text, query) {
  const words = fold(query).split(' ').filter(w => !EMPTY.has(w)), at = Math.max(0, text.toLowerCase().indexOf(words[0] || '') - 50), small = document.createElement('small');
  small.append(at ? '…' : '');
  for (const part of text.slice(at, at + 150).split(new RegExp(`(${words.map(w => w.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|') || '$^'})`, 'i')))
    small.append(words.includes(part.toLowerCase()) ? line('mark', part) : part);
  return small;
}
async function run() {
  const index = await load(), query = field.value.trim();  // what stands there now, however long the index took
  if (query.length < 2) { results.hidden = true; return; }
  const found = search(index, query);
  active = -1;
  results.replaceChildren(...found.map(e => {
    const a = Object.assign(document.createElement('a'), { className: 'search-result', href: e.href });
    a.append(line('b', e.section || e.title), line('small', e.section ? e.title : ''), excerpt(e.text || '', query));
    return a;
  }), ...found.length ? [] : [Object.assign(line('div', 'Nothing found.'), { className: 'search-none' })]);
  results.hidden = false;
}
field.addEventListener('input', run);
field.addEventListener('focus', run);
field.addEventListener('keydown', e => {
  const all = $$('.search-result', results);
  if (e.key === 'Escape') { results.hidden = true; field.blur(); return; }
  if (e.key === 'Enter' && all.length) { e.preventDefault(); (all[active] || all[0]).click(); }
  if (!['ArrowDown', 'ArrowUp'].includes(e.key) || !all.length) return;
  e.preventDefault();
  active = (active + (e.key === 'ArrowDown' ? 1 : -1) + all.length) % all.length;
  all.forEach((a, n) => a.classList.toggle('active', n === active));
  all[active].scrollIntoView({ block: 'nearest' });
});
document.addEventListener('click', e => { if (!box.contains(e.target)) results.hidden = true; });
document.addEventListener('keydown', e => {
  const typing = e.target.closest('input, textarea, select, [contenteditable], canvas, svg');
  if (e.key === '/' && !typing || e.key === 'k' && (e.ctrlKey || e.metaKey)) { e.preventDefault(); header.classList.remove('away'); field.focus(); }
});
})();
