// What scrolls sideways can be reached with the keyboard, and scrolled by the arrow keys.
(() => {
  const mayScroll = 'main :is(pre, table, .sd-table, .cell-output-display, .math.display)';
  const mark = () => {
    for (const e of document.querySelectorAll(mayScroll)) {
      const scrolls = e.scrollWidth > e.clientWidth && getComputedStyle(e).overflowX !== 'visible';
      if (scrolls && !e.hasAttribute('tabindex')) {
        const name = e.matches('pre') ? 'Code' : e.querySelector('table') ? 'Table' : e.matches('.math') ? 'Formula' : 'Output';
        for (const [k, v] of Object.entries({ tabindex: 0, role: 'group', 'aria-label': `${name}, wider than the page` })) e.setAttribute(k, v);
      } else if (!scrolls && e.getAttribute('role') === 'group') for (const k of ['tabindex', 'role', 'aria-label']) e.removeAttribute(k);
    }
  };
  let asked = 0;
  const soon = () => { cancelAnimationFrame(asked); asked = requestAnimationFrame(mark); };
  addEventListener('load', soon);
  addEventListener('resize', soon);
  document.addEventListener('toggle', soon, true);  // an answer that opens may hold what scrolls
})();

// What an answer prints belongs to the answer: it opens with it. A widget stays, since it gives nothing away.
for (const answer of document.querySelectorAll('main .cell > details.code-fold'))
  if (answer.querySelector('summary').textContent.trim() === 'Answer')
    for (const output of [...answer.parentElement.children])
      if (output.className.includes('cell-output') && !output.querySelector('.mnist-cnn-playground, .mcx')) answer.append(output);
