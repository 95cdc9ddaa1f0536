// The field under an exercise: judges an answer as `mnist_cnn.exercises` does, without Python.
(() => {
  // '18432' -> 18432, '4/3' -> 1.333…, '12%' -> 0.12; NaN for what is no number
  const number = token => {
    const [, digits, percent] = token.match(/^(.*?)(%?)$/), [top, bottom, more] = digits.split('/');
    const value = t => /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(t) ? Number(t) : NaN;
    return (more !== undefined ? NaN : bottom === undefined ? value(top) : value(top) / value(bottom)) / (percent ? 100 : 1);
  };
  // a comma may group digits, separate numbers or stand before decimals; a space may group digits or separate numbers
  const COMMAS = [[/(?<![\d.,])[1-9]\d{0,2}(,\d{3})+(?!\d|,\d)/g, m => m.replaceAll(',', '')],  // 18,432
                  [/,/g, () => ' '],                                                        // 160,544,28224
                  [/(?<=\d),(?=\d)/g, () => '.']];                                           // 0,5
  const POINTS = /(?<![\d.,])[1-9]\d{0,2}((\.\d{3})+(?=,\d)|(\.\d{3}){2,}(?![\d.]))/g;        // 1.234,5 or 1.234.567
  const SPACES = /(?<![\d.,])[1-9]\d{0,2}( \d{3})+(?![\d])/g;
  // the words of a text, in each way that its commas and spaces can be meant
  const readings = text => {
    text = text.replaceAll('−', '-').replace(/(?<=\d)['’\u00a0\u2009\u202f](?=\d{3}(?!\d))/g, '').replace(/\s+%/g, '%').replace(POINTS, m => m.replaceAll('.', ''));
    return [text, text.replace(SPACES, m => m.replaceAll(' ', ''))].flatMap(grouped => COMMAS.map(([pattern, meant]) =>
      grouped.replace(pattern, meant).replace(/[[\](),;\s]+/g, ' ').trim().split(' ').filter(t => t)));
  };
  const close = (a, b, within) => Math.abs(a - b) <= within + 1e-9 * Math.abs(b);

  // what is wrong with the answer, or '' if nothing is
  const fault = (exercise, text) => {
    const ways = readings(text), faults = ways.map(given => judge(exercise, given));
    const fits = ways.map(given => given.length === exercise.right.length && given.every(t => Number.isFinite(number(t))));
    return faults.includes('') ? '' : faults[Math.max(0, fits.indexOf(true))];
  };
  // the same of one way to read it
  const judge = ({ asks, right, within, any_order, hints }, given) => {
    const odd = given.find(t => !Number.isFinite(number(t)));
    if (odd !== undefined) return `“${odd}” is not a number; give ${asks}.`;
    const order = any_order ? (a, b) => a - b : () => 0;
    const found = given.map(number).sort(order), wanted = [...right].sort(order);
    if (found.length !== wanted.length) return `${found.length} given, ${wanted.length} expected: ${asks}.`;
    const wrong = wanted.map((_, i) => i).filter(i => !close(found[i], wanted[i], within));
    if (!wrong.length) return '';
    const hint = hints.find(([value]) => wrong.some(i => close(found[i], value, within)));
    if (hint) return hint[1];
    if (wanted.length === 1) return 'Try again.';
    if (any_order) return 'Not all of them are right.';
    if (wrong.length === wanted.length) return 'None of them is right.';
    return `Right but for number ${wrong.map(i => i + 1).join(', ')}.`;
  };

  // what was solved on this page is remembered, in this browser alone
  const key = 'mnist-cnn-solved', place = box => `${location.pathname} ${[...document.querySelectorAll('.mcx')].indexOf(box)} ${box.dataset.exercise.length}`;
  const solved = () => { try { return JSON.parse(localStorage.getItem(key)) || []; } catch { return []; } };
  const keep = box => { try { localStorage.setItem(key, JSON.stringify([...new Set([...solved(), place(box)])])); } catch { /* not allowed here */ } };

  for (const box of document.querySelectorAll('.mcx[data-exercise]:not([data-ready])')) {
    box.dataset.ready = '';
    const exercise = JSON.parse(box.dataset.exercise), said = Object.assign(document.createElement('output'), { ariaLive: 'polite' });
    const say = wrong => {
      box.dataset.right = wrong ? 'no' : 'yes';
      said.textContent = wrong ? `Not yet. ${wrong}` : 'Right.';
      if (!wrong) keep(box);
    };
    const add = (parent, tag, rest) => parent.appendChild(Object.assign(document.createElement(tag), rest));
    const label = box.querySelector('p');
    if (exercise.options) {
      const group = add(box, 'div', { className: 'mcx-options', role: 'group', ariaLabel: label.textContent });
      for (const [text, wrong] of exercise.options)
        add(group, 'button', { type: 'button', textContent: text, onclick: () => say(wrong) });
    } else {
      const form = add(box, 'form', { onsubmit: event => { event.preventDefault(); say(fault(exercise, input.value)); } });
      const input = add(form, 'input', { autocomplete: 'off', spellcheck: false, ariaLabel: label.textContent });
      add(form, 'button', { type: 'submit', textContent: 'Check' });
    }
    box.append(said);
    if (solved().includes(place(box))) { box.dataset.right = 'yes'; said.textContent = 'You have solved this one.'; }
  }
})();
