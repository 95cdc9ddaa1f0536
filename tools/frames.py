"""How smooth a page stays while it trains: `python tools/frames.py`, on an otherwise quiet machine.

Opens a page with a trainer in Chromium, presses *Train*, and prints what a reader would feel: the gaps between frames, how long the page's own thread works in a frame,
the seconds until 95% and 97% of the held-out digits are right, digits a second. `--slow 4` does the same on a processor that is four times slower. The DevTools'
`Emulation.setCPUThrottlingRate` slows the page's thread alone: a worker computes as fast as before (`--devtools` shows it). So the browser's processes that run pages
are stopped for three quarters of the time, a few milliseconds at a time, workers and all. `--json results/frames.json` keeps the numbers.
"""
import argparse, json, os, signal, statistics, sys, tempfile, threading, time
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if not __package__: sys.path[0] = str(ROOT)

from tools.docs import serve
from tools.shots import launch

# before anything else runs: every callback of a frame is timed, and so is the time from one frame to the next
INIT = '''
(() => {
  const ask = window.requestAnimationFrame.bind(window), log = window.frames_ = {gaps: [], work: [], on: false, reached: {}, began: 0};
  let busy = 0;
  window.requestAnimationFrame = f => ask(t => { const from = performance.now(); f(t); busy += performance.now() - from; });
  let last = 0;
  const tick = t => {
    if (log.on) {
      log.gaps.push(t - last); log.work.push(busy);
      const cell = document.querySelector('.mct-numbers dd'), now = cell ? parseFloat(cell.textContent) : 0;
      for (const goal of [95, 97]) if (now >= goal && !log.reached[goal]) log.reached[goal] = (performance.now() - log.began) / 1000;
    }
    last = t; busy = 0; ask(tick);
  };
  ask(tick);
})();
'''
WORK = 'n => { const from = performance.now(); let s = 0; for (let i = 0; i < n; i++) s += Math.sqrt(i); return performance.now() - from; }'
IN_WORKER = '''n => new Promise(done => { const code = `onmessage = e => postMessage((WORK)(e.data))`.replace('WORK', WORK_TEXT);
    const w = new Worker(URL.createObjectURL(new Blob([code]))); w.onmessage = e => done(e.data); w.postMessage(n); })'''


class Slow(threading.Thread):
    "Lets processes run a share of the time only: they are stopped and continued, some hundred times a second."
    def __init__(self, pids, times, period=.012):
        super().__init__(daemon=True)
        self.pids, self.times, self.period, self.on = pids, times, period, True
    def signal(self, which):
        for pid in self.pids:
            try: os.kill(pid, which)
            except ProcessLookupError: pass
    def run(self):
        while self.on:
            self.signal(signal.SIGSTOP)
            time.sleep(self.period * (1 - 1/self.times))
            self.signal(signal.SIGCONT)
            time.sleep(self.period / self.times)
    def end(self):
        self.on = False
        self.join()
        self.signal(signal.SIGCONT)


def renderers():
    "The processes of our own browser that run pages."
    found = []
    for p in Path('/proc').glob('[0-9]*'):
        try: words, parent = (p/'cmdline').read_text(), p  # Chromium writes spaces between them
        except OSError: continue
        if '--type=renderer' not in words: continue
        while parent.name not in ('0', '1', str(os.getpid())):  # ours, not somebody else's
            try: parent = Path('/proc')/(parent/'stat').read_text().rpartition(')')[2].split()[1]
            except OSError: break
        if parent.name == str(os.getpid()): found.append(int(p.name))
    return found


def write_page(folder):
    "A page with the trainer of the front page, as the site serves it."
    from mnist_cnn.trainer import train_in_page
    from tools.widgets import lighten
    page = folder/'index.html'
    page.write_text('<!doctype html><html lang="en"><meta charset="utf-8"><title>Train</title><link rel="icon" href="data:,"><main>'
                    f'{train_in_page(small=True, presets=[])}</main>', encoding='utf-8')
    lighten(page)


def measure(tab, address, slow, wait):
    "Train once, and what was seen meanwhile."
    tab.goto(address)
    slowing = Slow(renderers(), slow) if slow > 1 else None
    if slowing:
        if not slowing.pids: sys.exit('no process of the browser found that could be slowed')
        slowing.start()
    try:
        tab.evaluate('() => { Object.assign(frames_, {on: true, began: performance.now()}); document.querySelector(".mct-train").click(); }')
        end = time.monotonic() + wait
        while not tab.evaluate('document.querySelector(".mnist-cnn-trainer").dataset.done || ""'):
            if time.monotonic() > end: sys.exit(f'not done after {wait} seconds')
            time.sleep(.3)
        found = tab.evaluate('() => ({...frames_, seconds: (performance.now() - frames_.began) / 1000, accuracy: document.querySelector(".mnist-cnn-trainer").dataset.done, '
                             'speed: [...document.querySelectorAll(".mct-numbers div")].find(d => d.textContent.startsWith("digits a second")).lastChild.textContent})')
    finally:
        if slowing: slowing.end()
    return found


def summary(found):
    "What a run's frames and times come to: milliseconds, seconds, shares."
    gaps, work = sorted(found['gaps'][2:]), sorted(found['work'][2:])
    def at(values, q): return round(values[min(len(values) - 1, int(q * len(values)))], 2)
    return {'frames_a_second': round(len(gaps) / sum(gaps) * 1000, 1), 'gap': {'median': round(statistics.median(gaps), 2), '95%': at(gaps, .95), 'longest': at(gaps, 1)},
            'within_20_ms': round(sum(g < 20 for g in gaps) / len(gaps), 4), 'work': {'mean': round(statistics.fmean(work), 2), '95%': at(work, .95), '99%': at(work, .99), 'longest': at(work, 1)},
            'reached': {goal: round(found['reached'][goal], 2) if goal in found['reached'] else None for goal in ('95', '97')}, 'seconds': round(found['seconds'], 2),
            'accuracy': float(found['accuracy']), 'digits_a_second': int(found['speed'].replace(',', ''))}


def report(s):
    "The numbers in words."
    gap, work = s['gap'], s['work']
    print(f"frames: {s['frames_a_second']} a second; between two {gap['median']:.1f} ms (median), {gap['95%']:.1f} (95%), {gap['longest']:.1f} (longest); {s['within_20_ms']:.1%} within 20 ms")
    print(f"the page's thread in a frame: {work['mean']:.2f} ms (mean), {work['95%']:.2f} (95%), {work['99%']:.2f} (99%), {work['longest']:.2f} (longest)")
    for goal, seconds in s['reached'].items():
        print(f"{goal}% of the held-out digits: " + ('not reached' if seconds is None else f'{seconds:.1f} s after pressing Train'))
    print(f"done after {s['seconds']:.1f} s: {s['accuracy']:.2%}; {s['digits_a_second']:,} digits a second", flush=True)


def store(path, slow, runs, browser, load):
    "Write the runs into the file, in place of what it has of a processor as slow."
    from mnist_cnn.files import atomic_write
    from mnist_cnn.steps import hardware
    kept = json.loads(path.read_text(encoding='utf-8')) if path.exists() else {}
    kept[f'{slow:g}'] = {'date': str(date.today()), 'made_with': hardware('cpu') | {'browser': browser}, 'load': round(load, 2), 'runs': runs}
    with atomic_write(path) as f: f.write((json.dumps(kept, indent=1, sort_keys=True) + '\n').encode())


def devtools(tab, context, rate):
    "How much slower a loop runs under the DevTools' throttling, in the page and in a worker."
    session = context.new_cdp_session(tab)
    def both(): return tab.evaluate(WORK, 20_000_000), tab.evaluate(IN_WORKER.replace('WORK_TEXT', repr(WORK)), 20_000_000)
    both()
    before = both()
    session.send('Emulation.setCPUThrottlingRate', {'rate': rate})
    after = both()
    session.send('Emulation.setCPUThrottlingRate', {'rate': 1})
    print(f'setCPUThrottlingRate {rate}: the page {after[0] / before[0]:.1f} times slower, a worker {after[1] / before[1]:.1f} times')


def main():
    from playwright.sync_api import sync_playwright
    p = argparse.ArgumentParser(description='How smooth a page stays while it trains.')
    p.add_argument('--slow', type=float, default=1, help='as if the processor were so many times slower')
    p.add_argument('--devtools', action='store_true', help="first see whom the DevTools' throttling slows")
    p.add_argument('--times', type=int, default=1, help='runs')
    p.add_argument('--json', type=Path, help='a file to keep the numbers in: results/frames.json is the one that the notebook shows')
    p.add_argument('--wait', type=float, default=300, help='seconds to wait for a run, at most')
    a, runs, load = p.parse_args(), [], os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as tmp, sync_playwright() as pw:
        write_page(Path(tmp))
        with serve(Path(tmp)) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            browser = launch(pw)
            context = browser.new_context(viewport={'width': 1200, 'height': 900})
            context.add_init_script(INIT)
            for _ in range(a.times):
                tab = context.new_page()
                if a.devtools: devtools(tab, context, 4)
                runs.append(summary(measure(tab, f'http://127.0.0.1:{server.server_port}/', a.slow, a.wait)))
                report(runs[-1])
                tab.close()
            if a.json: store(a.json, a.slow, runs, f'Chromium {browser.version}', load)
            browser.close()
            server.shutdown()


if __name__ == '__main__': main()
