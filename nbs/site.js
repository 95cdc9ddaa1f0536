// What scrolls sideways can be reached with the keyboard, and scrolled by the arrow keys.
(() => {
  const mayScroll = 'main :is(pre, table, .sd-table, .cell-output-display, .math.display, .math.inline.wide, p > math[display=block])';
  const mark = () => {
    const inline = [...document.querySelectorAll('main .math.inline')];  // browsers break no formula, so one wider than its line scrolls
    inline.forEach(e => e.classList.remove('wide'));
    const long = inline.map(e => e.getBoundingClientRect().width > (e.closest('p, li, dd, td') || e).getBoundingClientRect().width);
    inline.forEach((e, n) => e.classList.toggle('wide', long[n]));
    const all = [...document.querySelectorAll(mayScroll)];
    const wide = all.map(e => e.scrollWidth > e.clientWidth && getComputedStyle(e).overflowX !== 'visible');  // all measured before any is changed
    all.forEach((e, n) => {
      if (wide[n] && !e.hasAttribute('tabindex')) {
        const name = e.matches('pre') ? 'Code' : e.matches('table') || e.querySelector('table') ? 'Table' : e.matches('.math, math') ? 'Formula' : 'Output';
        for (const [k, v] of Object.entries({ tabindex: 0, role: 'group', 'aria-label': `${name}, wider than the page` })) e.setAttribute(k, v);
      } else if (!wide[n] && e.getAttribute('role') === 'group' && e.hasAttribute('tabindex')) for (const k of ['tabindex', 'role', 'aria-label']) e.removeAttribute(k);
    });
  };
  let asked = 0;
  const soon = () => { clearTimeout(asked); asked = setTimeout(() => requestAnimationFrame(mark), 20); };
  addEventListener('load', soon);
  new ResizeObserver(soon).observe(document.querySelector('main'));  // another window, larger letters, an answer that opens
})();

// What an answer prints belongs to the answer: it opens with it. A widget stays, since it gives nothing away.
for (const answer of document.querySelectorAll('main .cell > details.code-fold'))
  if (answer.querySelector('summary').textContent.trim() === 'Answer')
    for (const output of [...answer.parentElement.children])
      if (output.className.includes('cell-output') && !output.querySelector('.mnist-cnn-playground, .mcx')) answer.append(output);

// Chapters read to their end are remembered, in this browser alone, and ticked in the list of chapters.
(() => {
  const key = 'mnist-cnn-read', page = a => new URL(a.href, location.href).pathname.split('/').pop() || 'index.html';
  const read = () => { try { return JSON.parse(localStorage.getItem(key)) || []; } catch { return []; } };
  const tick = () => { const done = read(); for (const a of document.querySelectorAll('#quarto-sidebar a[href]')) a.classList.toggle('read', done.includes(page(a))); };
  const end = document.querySelector('.page-navigation, .nav-page-next');
  if (end) new IntersectionObserver((seen, watch) => {
    if (!seen.some(e => e.isIntersecting) || scrollY < 100) return;
    watch.disconnect();
    try { localStorage.setItem(key, JSON.stringify([...new Set([...read(), page(location)])])); } catch { return; }
    tick();
  }).observe(end);
  tick();
})();

// Names for the parts of the frame that a renderer leaves without one.
(() => {
  const name = (what, text) => { for (const e of document.querySelectorAll(what)) e.setAttribute('aria-label', text(e)); };
  name('#quarto-sidebar:not([aria-label])', () => 'Chapters');
  name('.page-navigation:not([aria-label])', () => 'Previous and next page');
  name('.nav-page-next a[aria-label]', e => `Next: ${e.getAttribute('aria-label')}`);
  name('.nav-page-previous a[aria-label]', e => `Before: ${e.getAttribute('aria-label')}`);
  name('a.quarto-color-scheme-toggle', () => 'Dark theme');
  for (const e of document.querySelectorAll('a.quarto-color-scheme-toggle')) e.setAttribute('role', 'button');
  name('.quarto-btn-toggle[aria-label="Toggle sidebar navigation"]', () => 'Contents');
  for (const e of document.querySelectorAll('#quarto-search:not([role])')) e.setAttribute('role', 'search');
})();
