"Training in the page: the engine in node, Chromium and Firefox against PyTorch; the widget used as a person would, also under a strict policy."
import http.server, json, os, re, shutil, subprocess, threading, time
from functools import cache, partial
from pathlib import Path

import pytest
import torch
from conftest import Firefox, LONG, downloaded, enter, node
from warm import program

from mnist_cnn import trainer
from mnist_cnn.data import Batches
from mnist_cnn.files import load_weights
from mnist_cnn.model import SimpleCNN
from mnist_cnn.playground import classic_run, playground
from mnist_cnn.steps import EagerStep, FlatAdam, Progress
from mnist_cnn.trainer import Shift, mislabel, pack_digits, page_digits, train_in_page
from mnist_cnn.training import Measure, evaluate, fit, set_seed

ROOT = Path(__file__).resolve().parents[1]
POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"


class Noting(EagerStep):
    "PyTorch's own operations, and a note of each loss."
    losses: list
    file = None  # to write the weights before each step to, float32 in the order of the state_dict
    def __call__(self, xb, yb):
        if self.file: self.file.write(torch.cat([p.detach().flatten() for p in self.model.state_dict().values()]).float().numpy().tobytes())
        loss = super().__call__(xb, yb)
        self.losses.append(loss.item())
        return loss


class InDouble(torch.nn.Module):
    "In float32 PyTorch differs from itself: where two numbers under a pool are equal but for rounding, a run takes another path. In float64 it does not."
    def __init__(self):
        super().__init__()
        self.model = SimpleCNN().double()
    def forward(self, x): return self.model(x.double())


def flat(model): return [p.detach().flatten().tolist() for p in model.state_dict().values()]


@cache
def run(n, bs, seed, lr=1e-3, opt=None, epochs=1, shift=0, wrong=0., file=None, **in_page):
    "What `fit` gives, and the settings with which the page is to give the same."
    x, y, *_ = page_digits(n)
    if wrong: y = mislabel(y, wrong, seed)
    set_seed(seed)
    model, step = InDouble(), Noting()
    step.losses, step.file = [], file
    fit(model, Batches(x, y, bs=bs, shuffle=True, augment=Shift(shift) if shift else None), n_epochs=epochs, lr=lr, opt=opt, device='cpu', step=step, callbacks=[Measure(None), Progress(False)])
    settings = dict(n=n, bs=bs, seed=seed, lr=lr, epochs=epochs, shift=shift, wrong=wrong, **in_page)
    return dict(settings=settings, losses=step.losses, state=flat(model.model))


@pytest.fixture(scope='module')
def numbers(tmp_path_factory):
    "A folder with what Python computes."
    folder = tmp_path_factory.mktemp('trainer')
    generator = torch.Generator().manual_seed(2**32 - 5)
    drawn = dict(seed=2**32 - 5, uniform=torch.empty(700).uniform_(-.25, .75, generator=generator).tolist(), below=torch.randint(10, (50,), generator=generator).tolist(),
                 permutation=torch.randperm(1000, generator=generator).tolist(), generators=int(torch.randint(2**62, (), generator=generator)) % 2**32, after=torch.randint(1000, (9,), generator=generator).tolist())
    given = torch.arange(500) % 10
    sgd, momentum, decayed = torch.optim.SGD, partial(torch.optim.SGD, momentum=.9, weight_decay=1e-3), partial(FlatAdam, weight_decay=.5)
    runs = {
        'an epoch of 2,000 digits': [run(2000, 16, seed) for seed in range(7 if LONG else 3)],
        '200 steps without a near tie': [run(3200, 16, seed) for seed in ((43, 47) if LONG else (43,))],
        'other optimizers, last batches smaller': [run(1000, 37, 1, .05, sgd, 2, optimizer='sgd'), run(1000, 37, 2, .01, momentum, 2, optimizer='momentum', decay=1e-3), run(1000, 37, 3, 1e-3, decayed, 2, optimizer='adam', decay=.5)],
        'moved digits, random labels': [run(600, 32, 4, epochs=2, shift=2), run(600, 32, 5, epochs=2, wrong=.5), run(600, 32, 6, epochs=2, shift=1, wrong=.25)]}
    with open(folder/'weights.bin', 'wb') as file: followed = run(3200, 16, 42, file=file)  # a run with one
    model = SimpleCNN()
    model.load_state_dict(classic_run()[1][0])
    *_, x, y = page_digits()
    score, h = evaluate(model, Batches(x, y)), x.float() / 255
    with torch.no_grad(): dead = int((model.as_sequential()[:-1](h) <= 0).all(0).sum())
    initial = {}
    for seed in (0, 42, 2**32 - 1):
        set_seed(seed)
        initial[seed] = flat(SimpleCNN())
    rename = {'weight_decay': 'decay'}
    data = dict(random=drawn, labels=dict(given=given.tolist(), fraction=.3, seed=11, made=mislabel(given, .3, 11).tolist()), initial=initial, runs=runs, followed=followed,
                measured=dict(state=flat(model), accuracy=score.accuracy, loss=score.loss, dead=dead), choices={rename.get(k, k): v for k, v in trainer._choices.items()}, presets=trainer._presets)
    (folder/'numbers.json').write_text(json.dumps(data), encoding='utf-8')
    (folder/'digits.bin').write_bytes(pack_digits())
    (folder/'few.bin').write_bytes(trainer._few())
    return folder


def in_node(numbers, **more):
    done = subprocess.run([node(), '--test', '--test-reporter=spec', ROOT/'tests/js/trainer.test.js'], env={**os.environ, 'TRAINER_NUMBERS': str(numbers), **more}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    return done.stdout


def test_node(numbers):
    "The engine and the page's functions; the claims of the presets."
    said = in_node(numbers)
    assert 'skipped 0' in said
    state = load_weights(SimpleCNN(), numbers/'made.safetensors').state_dict()
    flat_c = torch.arange(sum(p.numel() for p in state.values())).float()
    assert torch.equal(state['conv1.bias'], flat_c[144:160]) and torch.equal(state['conv2.weight'].permute(0, 2, 3, 1).flatten(), flat_c[160:4768])


def test_a_fresh_build(numbers, tmp_path):
    "The WebAssembly follows from the C: the same bytes, or with another compiler the same numbers; and it is small."
    if not (shutil.which('clang') and shutil.which('wasm-ld')): pytest.skip('no clang or no wasm-ld: install `clang` and `lld`')
    from tools.wasm import MOST, NATIVE, NETWORKS, compiled
    for file, name in NETWORKS.items():
        kept, fresh = (NATIVE/f'{file}.wasm').read_bytes(), compiled(name)
        assert len(kept) <= MOST and len(fresh) <= MOST
        if kept == fresh: continue
        (tmp_path/'fresh.wasm').write_bytes(fresh)
        in_node(numbers, TRAINER_WASM=str(tmp_path/'fresh.wasm'))


def test_digits_are_light():
    "At most 2.2 MB on the site; in a notebook at most 400 kB."
    held = json.loads(re.search(r'<script type="application/json">(.*?)</script>', train_in_page())[1])
    assert len(pack_digits()) <= 2_200_000 and len(held['parts']['digits']) <= 400_000


@pytest.mark.parametrize('settings', [
    dict(n=1000, bs=32, epochs=2, lr=2e-3), dict(n=300, bs=16, epochs=3, lr=0.01, optimizer='momentum', decay=1e-3, shift=1, wrong=0.25, seed=3),
    dict(n=300, epochs=1, optimizer='sgd', lr=0.1, init='large', bs=8), dict(n=300, epochs=1, init='zeros', decay=0.1)])
def test_the_python_lines(settings, tmp_path):
    "The lines that the page shows run, and give the accuracy that its own run gives, to a few digits."
    lines = f'''const p = require('{ROOT}/mnist_cnn/static/trainer.js'), e = require('{ROOT}/mnist_cnn/static/trainer_engine.js'), fs = require('fs');
        const s = p.tidy({json.dumps(settings)}), digits = e.unpack(require('zlib').gunzipSync(fs.readFileSync('{tmp_path}/digits.bin')));
        const run = new e.Run(new e.Kernels(new WebAssembly.Module(fs.readFileSync('{ROOT}/mnist_cnn/native/SimpleCNN.wasm'))), digits, s);
        while (!run.done) run.step();
        console.log(JSON.stringify([p.python(s), run.measure(digits.held).accuracy]));'''
    (tmp_path/'digits.bin').write_bytes(pack_digits(1000, 2000))
    done = subprocess.run([node(), '-e', lines], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    text, accuracy = json.loads(done.stdout)
    ran = program(text, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert abs(float(re.search(r'accuracy=([\d.]+)', ran.stdout)[1]) - accuracy) < 0.02, (ran.stdout, accuracy)
    assert load_weights(SimpleCNN(), tmp_path/'mine.pt')


@pytest.mark.parametrize('given, says', [(dict(n=5), 'n is 5'), (dict(lr='fast'), 'lr'), (dict(optimizer='adamw'), 'optimizer'), (dict(n_epochs=0), 'n_epochs'), (dict(seed=-1), 'seed'), (dict(wrong=2), 'wrong'),
                                         (dict(presets=['all']), 'presets'), (dict(name='a b'), 'name'), (dict(shift=True), 'shift'), (dict(init=None), 'init'), (dict(bs=[8]), 'bs')])
def test_refusals(given, says):
    with pytest.raises((ValueError, TypeError)) as raised: train_in_page(**given)
    assert says in str(raised.value)


def test_no_random_numbers():
    before = torch.get_rng_state()
    train_in_page()
    assert torch.equal(torch.get_rng_state(), before)


# ---- in a browser

CHECK = '''
(async () => {
  const send = (name, data) => fetch('/' + name, {method: 'POST', body: JSON.stringify(data)});
  window.addEventListener('securitypolicyviolation', e => send('violation', e.violatedDirective + ' ' + e.blockedURI));
  window.addEventListener('error', e => send('fault', e.message));
  const files = JSON.parse(document.querySelector('.mnist-cnn-trainer script[type="application/json"]').textContent).files;
  const at = name => new URL(files[name], document.baseURI).href;
  const worker = new Worker(files.engine), losses = [];
  worker.onmessage = ({data}) => {
    if (data.type === 'error') send('fault', data.message);
    if (data.type === 'ready') { worker.postMessage({type: 'begin', settings: SETTINGS}); worker.postMessage({type: 'go'}); }
    if (data.type === 'file') { worker.terminate(); send('numbers', {losses, file: [...data.data]}).then(widget); }
    if (data.type !== 'state') return;
    losses.push(...data.losses);
    if (data.done) worker.postMessage({type: 'file'});
  };
  worker.postMessage({type: 'load', wasm: at('wasm'), digits: at('digits')});
  function widget() {
    const root = document.querySelector('.mnist-cnn-trainer'), begun = performance.now();
    root.querySelector('.mct-train').click();
    const wait = setInterval(() => { if (root.dataset.done) { clearInterval(wait); send('widget', {accuracy: +root.dataset.done, seconds: (performance.now() - begun) / 1000}); } }, 100);
  }
})();
'''


class Policy(http.server.SimpleHTTPRequestHandler):
    "A server that asks browsers for a strict policy, and keeps what a page sends."
    def log_message(self, *args): pass
    def end_headers(self):
        self.send_header('Content-Security-Policy', POLICY)
        super().end_headers()
    def do_GET(self):
        answer = getattr(self.server, 'answers', None)  # to the next who asks for the digits
        if answer and 'digits' in self.path: answer.pop()(self)
        else: super().do_GET()
    def do_POST(self):
        self.server.heard[self.path[1:]] = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        self.send_response(204)
        self.end_headers()


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    "A site of pages with a trainer, on one of them a playground too, served with the policy: the folder, the server."
    from tools.widgets import lighten
    folder = tmp_path_factory.mktemp('page')
    settings = dict(n=3200, bs=16, epochs=1, lr=1e-3, seed=43)
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Train</title><link rel="icon" href="data:,"><body><main><h1>Train</h1>'
    for name, more in (('page', ''), ('check', '<script src="check.js" defer></script>'), ('both', playground())):
        (folder/f'{name}.html').write_text(f'{head}{train_in_page(n=1000, n_epochs=2)}</main>{more}', encoding='utf-8')
        lighten(folder/f'{name}.html')
    (folder/'check.js').write_text(CHECK.replace('SETTINGS', json.dumps(settings)), encoding='utf-8')
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), partial(Policy, directory=str(folder)))
    server.heard = {}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, server
    server.shutdown()


def judge(heard, path):
    "The numbers that a browser sent are PyTorch's, those of all eight tensors in the file that it made; nothing was forbidden, and the widget trained."
    assert not {'violation', 'fault'} & heard.keys(), heard.get('violation') or heard.get('fault')
    wanted = run(3200, 16, 43)
    assert max(abs(a - b) for a, b in zip(wanted['losses'][:200], heard['numbers']['losses'])) < 1e-4
    path.write_bytes(bytes(heard['numbers']['file']))
    state = load_weights(SimpleCNN(), path).state_dict()
    assert len(state) == len(wanted['state']) == 8
    for (name, found), expected in zip(state.items(), wanted['state']): assert (found.flatten() - torch.tensor(expected)).abs().max() < 1e-3, name
    assert heard['widget']['accuracy'] > .7


def address(server, page): return f'http://127.0.0.1:{server.server_port}/{page}.html'


def wait_for(server, seconds=120):
    until = time.monotonic() + seconds
    while 'widget' not in server.heard and time.monotonic() < until and not {'violation', 'fault'} & server.heard.keys(): time.sleep(.2)
    assert 'widget' in server.heard, server.heard.keys()


@pytest.mark.both
def test_same_numbers(browser, place, tmp_path):
    "The numbers of PyTorch in a browser, under the policy."
    _, server = place
    server.heard.clear()
    with browser.new_page() as tab:
        tab.goto(address(server, 'check'))
        wait_for(server)
    judge(server.heard, tmp_path/'page.safetensors')


@pytest.fixture
def tab(browser, place):
    "The page; nothing may go wrong while it is open, and no other host may be asked."
    _, server = place
    context = browser.new_context(viewport={'width': 1200, 'height': 900})
    tab, faults = context.new_page(), []
    tab.on('console', lambda m: faults.append(m.text) if m.type in ('error', 'warning') else None)
    tab.on('pageerror', lambda e: faults.append(str(e)))
    tab.on('request', lambda r: faults.append(r.url) if not r.url.startswith((f'http://127.0.0.1:{server.server_port}/', 'data:', 'blob:')) else None)
    tab.goto(address(server, 'page'))
    yield tab
    assert faults == []
    context.close()


def widget(tab): return tab.locator('.mnist-cnn-trainer')
def press(tab, name): widget(tab).get_by_role('button', name=name, exact=True).click()
def done(tab): tab.wait_for_selector('.mnist-cnn-trainer[data-done]', timeout=120_000)
def until(tab, condition, seconds=120):
    "Wait for a condition; Playwright's own way is forbidden by the policy."
    end = time.monotonic() + seconds
    while not tab.evaluate(condition):
        assert time.monotonic() < end, condition
        tab.wait_for_timeout(50)
def said(tab): return widget(tab).locator('.mct-status').inner_text()


def test_nothing_is_loaded_before_training(tab):
    loaded = tab.evaluate("performance.getEntriesByType('resource').map(e => e.name)")
    assert not [u for u in loaded if re.search(r'\.(bin|wasm)$|engine', u)]
    press(tab, 'Train')
    done(tab)
    assert len([u for u in tab.evaluate("performance.getEntriesByType('resource').map(e => e.name)") if re.search(r'\.(bin|wasm)$', u)]) in (0, 3)  # those of the worker may be its own


def test_a_load_that_fails(browser, place):
    "The page says what went wrong, and when *Train* is pressed again it loads and trains."
    _, server = place
    server.answers = [lambda handler: handler.send_error(503)]
    with browser.new_page() as tab:
        tab.goto(address(server, 'page'))
        press(tab, 'Train')
        until(tab, "/digits cannot be loaded \\(503\\)/.test(document.querySelector('.mct-status').textContent)")
        assert not server.answers
        press(tab, 'Train')
        done(tab)


def test_loading_is_told(tab, place):
    "How much of the digits has come, while they come."
    _, server = place
    go_on = threading.Event()
    def slowly(handler):
        data = pack_digits()
        handler.send_response(200)
        handler.send_header('Content-Length', str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:500_000])
        go_on.wait(60)
        handler.wfile.write(data[500_000:])
    server.answers = [slowly]
    press(tab, 'Train')
    try:
        until(tab, "/^Loading digits: \\d+%$/.test(document.querySelector('.mct-status').textContent)")
        tab.wait_for_timeout(300)
        share = int(re.search(r'\d+', said(tab))[0])
        assert 0 < share < 50 and abs(tab.evaluate("document.querySelector('.mct progress').value") - share / 100) < .01
    finally: go_on.set()
    done(tab)


PICTURES = "[...document.querySelectorAll('canvas.mct-maps')].map(c => c.toDataURL())"


def test_train_pause_step_reset(tab):
    "The buttons do what they say, with the keyboard; what is announced says so. Filters and maps change, the focus stays at the buttons, the curve of the batches ends at the frame."
    def focus(): return tab.evaluate('document.activeElement.textContent')
    def pictures():
        tab.wait_for_timeout(300)  # they are drawn some frames later
        return tab.evaluate(PICTURES)
    def key(name):
        widget(tab).get_by_role('button', name=name, exact=True).focus()
        tab.keyboard.press('Enter')
    def steps(): return int(widget(tab).get_attribute('data-steps') or 0)
    enter(widget(tab).get_by_label('epochs'), '30')  # long enough to be stopped on a busy machine
    widget(tab).get_by_label('epochs').press('Tab')
    key('One step')
    until(tab, "document.querySelector('.mnist-cnn-trainer').dataset.steps === '1'")
    first = pictures()
    assert len(first) == 2
    key('Train on')
    assert focus() == 'Pause'
    until(tab, "+document.querySelector('.mnist-cnn-trainer').dataset.steps > 8")
    key('Pause')
    assert focus() == 'Train on'
    for _ in range(10):  # on a busy machine the worker hears of it late
        paused = steps()
        tab.wait_for_timeout(1500)
        if steps() == paused: break
    assert steps() == paused < 960 and 'Paused' in widget(tab).get_by_role('status').first.inner_text()
    then = pictures()
    assert all(a != b for a, b in zip(first, then))
    key('Train on')
    done(tab)
    assert focus() == 'Train' and all(a != b for a, b in zip(then, pictures()))
    ends = tab.evaluate("document.querySelector('path.mct-of-batch').getAttribute('d')").split('L')[-1]
    assert ends.split()[0] == '314.0'  # the frame: 320 less 6
    assert steps() == 960 and re.search(r'Done: \d+\.\d%', widget(tab).get_by_role('status').first.inner_text())
    assert widget(tab).locator('.mct-table tbody tr').count() > 3 and widget(tab).get_by_role('region', name='Mistakes').get_by_role('img').count() > 3
    assert '% of training digits' in widget(tab).get_by_role('img', name='Accuracy over the digits seen').get_attribute('aria-label')
    key('Reset')
    until(tab, "document.querySelector('.mnist-cnn-trainer').dataset.steps === '0'")


def test_by_keyboard_alone(tab, browser, tmp_path):
    "Tab leads to a preset, to a digit, to its name, to what trains on it and to the download, and Enter or the space bar presses each. Only drawing needs a pointer: a held-out digit takes its place."
    held = "document.activeElement.closest('.mnist-cnn-trainer') ? document.activeElement.getAttribute('aria-label') || document.activeElement.textContent : ''"
    def go_to(name, key='Tab'):
        for _ in range(150):
            if tab.evaluate(held) == name: return
            tab.keyboard.press(key)
        raise AssertionError(f'{key} does not lead to {name}')
    go_to('Learning rate too high')  # the preset that is done soonest
    tab.keyboard.press('Space')
    done(tab)
    assert widget(tab).get_by_label('learning rate').input_value() == '0.3'
    go_to('Held-out digit 4')
    tab.keyboard.press('Enter')
    go_to('Train it on your own handwriting')
    tab.keyboard.press('Enter')
    go_to('4')
    tab.keyboard.press('Space')
    assert widget(tab).locator('.mct-own li').all_inner_texts() == ['4\n×']
    go_to('Remove your digit 1, a 4')
    tab.keyboard.press('Enter')
    assert widget(tab).locator('.mct-own li').count() == 0 and tab.evaluate(held) == '0'  # where another can be named
    tab.keyboard.press('Enter')
    assert 'Draw a digit first, or take one' in widget(tab).locator('.mct-fold [role=status]').first.inner_text()
    go_to('Held-out digit 4', 'Shift+Tab')
    tab.keyboard.press('Enter')
    go_to('4')
    tab.keyboard.press('Enter')
    go_to('Train on my digits')
    tab.keyboard.press('Enter')
    until(tab, "/Of your 1 digits/.test(document.querySelector('.mct-fold [role=status]').textContent)")
    go_to('Download the weights')
    shutil.copy(downloaded(browser, tab, lambda: tab.keyboard.press('Enter')), tmp_path/'mine.safetensors')
    assert load_weights(SimpleCNN(), tmp_path/'mine.safetensors')


def test_settings_live_in_the_address(tab):
    "What is set stands in the address, and an address sets it."
    widget(tab).get_by_label('learning rate').select_option('0.01')
    enter(widget(tab).get_by_label('epochs'), '3')
    widget(tab).get_by_label('epochs').press('Tab')
    assert 'train=lr:0.01,epochs:3' in tab.url
    tab.reload()
    assert widget(tab).get_by_label('learning rate').input_value() == '0.01' and widget(tab).get_by_label('epochs').input_value() == '3'
    widget(tab).get_by_label('learning rate').select_option('0.002')
    press(tab, 'As they were')
    assert 'as-it-is' in tab.url
    press(tab, 'Learning rate too high')
    rate = widget(tab).get_by_label('learning rate')
    assert 'n:3000,lr:0.3' in tab.url and rate.input_value() == '0.3'
    press(tab, 'Pause')
    tab.goto(tab.url.partition('#')[0] + '#train=%E0%A4%A')
    tab.reload()  # a broken address changes nothing, and hinders none that follows
    assert rate.input_value() == '0.002'
    tab.evaluate("location.hash = 'train=lr:0.005'")
    until(tab, "[...document.querySelectorAll('.mct-fields select')].some(s => s.value === '0.005')")
    assert rate.input_value() == '0.005'


def test_what_changes_nothing(tab):
    "An impossible entry, the settings as they were, an address with the settings that are set: the trained network stays. What is possible is said."
    press(tab, 'Train')
    done(tab)
    until(tab, "document.querySelector('.mnist-cnn-trainer').dataset.steps === '64'")
    before, epochs = said(tab), widget(tab).get_by_label('epochs')
    enter(epochs, '500')
    epochs.press('Tab')
    assert epochs.input_value() == '2' and 'epochs: only whole numbers from 1 to 200.' in widget(tab).inner_text()
    assert widget(tab).get_by_role('status').first.inner_text() == 'epochs: only whole numbers from 1 to 200.'
    press(tab, 'As they were')
    tab.evaluate("location.hash = 'train=epochs:2'")
    tab.wait_for_timeout(500)
    assert said(tab) == before and before.startswith('Done') and widget(tab).get_attribute('data-steps') == '64'
    enter(epochs, '3')
    epochs.press('Tab')
    assert said(tab).startswith('New weights')


def test_a_late_message(browser, place):
    "The last message of a run that comes when the next has begun does not end it."
    _, server = place
    with browser.new_page() as tab:
        tab.add_init_script("globalThis.Worker = class extends Worker { constructor(...given) { super(...given); globalThis.worker_ = this; this.addEventListener('message', e => { if (e.data.done) globalThis.last_ = e.data; }); } }")
        tab.goto(address(server, 'page'))
        press(tab, 'Train')
        done(tab)
        assert tab.evaluate('''() => {
            const root = document.querySelector('.mnist-cnn-trainer');
            delete root.dataset.done;
            root.querySelector('.mct-train').click();
            worker_.dispatchEvent(new MessageEvent('message', {data: last_}));
            return [root.dataset.training, root.dataset.done];
        }''') == ['true', None]
        done(tab)


def test_take_it_home(tab, browser, tmp_path):
    "The file that is downloaded is read by Python, which finds the accuracy that the page said."
    press(tab, 'Train')
    done(tab)
    path = tmp_path/'mine.safetensors'
    shutil.copy(downloaded(browser, tab, lambda: press(tab, 'Download the weights')), path)
    *_, x, y = page_digits()
    accuracy = evaluate(load_weights(SimpleCNN(), path), Batches(x, y)).accuracy
    assert abs(accuracy - float(widget(tab).get_attribute('data-done'))) < 1e-9
    assert f'{100*accuracy:.1f}%' in said(tab)
    from mnist_cnn.cli import main
    digit = tmp_path/'digit.png'
    from PIL import Image
    Image.fromarray(255 - x[0, 0].numpy()).resize((80, 80)).save(digit)
    assert main(['predict', str(digit), '--weights', str(path)]) in (0, None) and main(['evaluate', str(path)]) in (0, None)


STROKES = {int(c): lines for c, lines in json.loads((ROOT/'tests/strokes.json').read_text(encoding='utf-8')).items()}


def draw(tab, lines):
    field = widget(tab).get_by_role('img', name='Field to draw')
    field.scroll_into_view_if_needed()
    b = field.bounding_box()
    for line in lines:
        points = [(b['x'] + b['width']*(.15 + .7*x), b['y'] + b['height']*(.15 + .7*y)) for x, y in line]
        tab.mouse.move(*points[0])
        tab.mouse.down()
        for point in points[1:]: tab.mouse.move(*point)
        tab.mouse.up()
    tab.wait_for_timeout(100)


def test_draw_and_teach(tab):
    "The reader's own network reads what is drawn; digits under odd names are learned."
    press(tab, 'Train')
    done(tab)
    draw(tab, STROKES[1])
    assert widget(tab).get_by_role('group', name='Answer').locator('strong').inner_text() == '1'
    widget(tab).get_by_text('Train it on your own handwriting').click()
    for digit, name in ((1, 7), (0, 3)):  # a one is to be called seven
        press(tab, 'Clear')
        draw(tab, STROKES[digit])
        widget(tab).get_by_role('group', name='What you have drawn').get_by_role('button', name=str(name), exact=True).click()
    assert widget(tab).locator('.mct-own canvas').count() == 2
    def numbers(): return dict(row.split('\n') for row in widget(tab).locator('.mct-numbers > div').all_inner_texts())
    speed, rows, lines = numbers()['digits a second'], widget(tab).locator('.mct-table tbody tr').count(), widget(tab).get_by_text('These lines train the same network')
    assert 'your own digits' not in lines.inner_text()
    press(tab, 'Train on my digits')
    until(tab, "/read \\d before/.test(document.querySelector('.mct-fold [role=status]').textContent)")
    words = widget(tab).locator('.mct-fold [role=status]').first.inner_text()
    assert re.search(r'Of your 2 digits it read 0 before, 2 now', words), words
    now = re.search(r'([\d.]+%) now', words)[1]  # and so say the numbers, the curves, the mistakes and the Python lines
    until(tab, f"document.querySelectorAll('.mct-table tbody tr').length === {rows + 1}")
    assert numbers()['right on held-out digits'] == now in said(tab) and numbers()['digits a second'] == speed
    wrong = int(re.search(r'(\d+) of 2,000', widget(tab).get_by_role('region', name='Mistakes').inner_text())[1])
    assert abs(100 - wrong/20 - float(now[:-1])) < .06
    assert 'trained once on your own digits, which these lines leave out' in lines.inner_text()
    draw(tab, STROKES[1])
    assert widget(tab).get_by_role('group', name='Answer').locator('strong').inner_text() == '7'


def test_unlike_any_digit(tab):
    "A cross gets the sentence that no digit is like it, from the trainer's playground too; a digit gets none."
    press(tab, 'One step')
    widget(tab).get_by_role('group', name='Answer').wait_for()
    for lines, strange in (STROKES[4], False), ([[[0, 0], [1, 1]], [[1, 0], [0, 1]]], True):
        press(tab, 'Clear')
        draw(tab, lines)
        assert widget(tab).get_by_role('note').count() == strange
    assert 'Not like any digit it has seen' in widget(tab).get_by_role('note').inner_text()


def test_a_preset_of_two_runs(tab):
    "Both runs are made, and the first stays for comparison."
    preset = widget(tab).get_by_role('button', name='What augmentation buys')
    preset.click()
    until(tab, "document.querySelector('.mct-key .mct-of-earlier').hidden === false")
    until(tab, "document.querySelector('.mnist-cnn-trainer').dataset.training === 'false' && document.querySelector('.mct-status').textContent.startsWith('Done')")
    assert 'moved by up to, pixels 0' in widget(tab).inner_text() and widget(tab).locator('path.mct-of-earlier').count() == 2
    assert preset.get_attribute('aria-pressed') == 'true'


def test_without_scripts_and_without_simd(browser, place):
    "Where nothing runs there are a picture and a sentence; where WebAssembly is missing, another sentence."
    _, server = place
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(address(server, 'page'))
    assert 'This is a still picture' in widget(tab).inner_text() and widget(tab).locator('img').get_attribute('alt')
    context.close()
    for lost, says in (('delete globalThis.WebAssembly', 'WebAssembly with SIMD'), ('WebAssembly.validate = code => !new Uint8Array(code).includes(0xfd)', 'WebAssembly with SIMD'), ('globalThis.Worker = undefined', 'Web Workers')):
        tab = browser.new_page()
        tab.add_init_script(lost)
        tab.goto(address(server, 'both'))
        assert f'This browser has no {says}' in widget(tab).inner_text() and widget(tab).locator('img').count() == 1
        assert tab.locator('.mnist-cnn-playground[data-ready]').get_by_role('img', name='Field to draw').is_visible()  # the trained network stays
        tab.close()


TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']

@pytest.mark.parametrize('scheme, width', [('light', 1200), ('dark', 320)])
def test_for_everyone(browser, place, scheme, width):
    "axe-core finds nothing while the widget is idle, training and done, all of it open; nothing is cut off sideways, nothing is animated."
    from pages import from_npm
    folder, server = place
    shutil.copy(from_npm('axe-core/axe.min.js'), folder/'axe.js')
    context = browser.new_context(viewport={'width': width, 'height': 900}, color_scheme=scheme, reduced_motion='reduce')
    tab = context.new_page()
    tab.goto(address(server, 'page'))
    tab.add_style_tag(content=':root { color-scheme: light dark; background: Canvas; color: CanvasText; }')
    tab.add_script_tag(url='axe.js')
    def judge_page():
        tab.evaluate('document.querySelectorAll("main details").forEach(d => d.open = true)')
        tab.wait_for_timeout(300)
        assert tab.evaluate('document.scrollingElement.scrollWidth') <= width and not tab.evaluate('document.getAnimations().length')
        found = tab.evaluate('tags => axe.run("main", {runOnly: tags, resultTypes: ["violations"]})', TAGS)
        assert not found['violations'], '\n'.join(f'{v["id"]}: {n["html"][:200]}: {n["failureSummary"]}' for v in found['violations'] for n in v['nodes'][:3])
    judge_page()
    enter(widget(tab).get_by_label('epochs'), '20')
    widget(tab).get_by_label('epochs').press('Tab')
    press(tab, 'Train')
    until(tab, "+document.querySelector('.mnist-cnn-trainer').dataset.steps > 20")
    judge_page()
    assert widget(tab).get_attribute('data-training') == 'true'
    press(tab, 'Pause')
    enter(widget(tab).get_by_label('epochs'), '1')
    widget(tab).get_by_label('epochs').press('Tab')
    press(tab, 'Train')
    done(tab)
    judge_page()
    context.close()


def test_in_jupyterlab(browser, lab):
    "There it trains on the digits that lie in the output."
    from conftest import open_widgets
    tab = browser.new_context(viewport={'width': 1200, 'height': 900}).new_page()
    faults = []
    tab.on('pageerror', lambda e: faults.append(str(e)))
    open_widgets(tab, lab, '35_trainer')
    widget(tab).get_by_role('button', name='Train', exact=True).click()
    done(tab)
    assert float(widget(tab).get_attribute('data-done')) > .7 and not faults
    assert 'page_digits(800, 400)' in widget(tab).locator('pre').inner_text()
    assert 'Only 800 training digits are in this notebook' in widget(tab).inner_text()
    tab.context.close()


def test_memory_stays(tab, browser):
    "Ten runs take no more memory than two: the kernels keep what they have in the worker, and the page, where the browser tells, its own."
    widget(tab).get_by_label('training digits').select_option('100')
    kernels, page = [], []
    for _ in range(10):
        tab.evaluate("delete document.querySelector('.mnist-cnn-trainer').dataset.done")
        press(tab, 'Train')
        done(tab)
        kernels.append(int(widget(tab).get_attribute('data-memory')))
        page.append(tab.evaluate('performance.memory ? performance.memory.usedJSHeapSize : null'))
    assert kernels[-1] == kernels[1] > 4 * 784 * 500, kernels
    if page[0] is None: assert isinstance(browser, Firefox)
    else: assert page[-1] < page[1] + 30e6, page


def test_frames_are_kept(tmp_path):
    "What tools/frames.py keeps: the numbers of a run; a slower processor's beside them."
    from tools.frames import report, store, summary
    found = dict(gaps=[900, 900] + [16.] * 98 + [40.] * 2, work=[50, 50] + [1.] * 98 + [3., 9.], reached={'95': 1.234}, seconds=7.5, accuracy='0.9795', speed='5,987')
    s = summary(found)
    assert s == dict(frames_a_second=60.7, gap={'median': 16, '95%': 16, 'longest': 40}, within_20_ms=.98, work={'mean': 1.1, '95%': 1, '99%': 9, 'longest': 9},
                     reached={'95': 1.23, '97': None}, seconds=7.5, accuracy=.9795, digits_a_second=5987)
    report(s)
    file = tmp_path/'frames.json'
    for slow in 1., 4., 4.: store(file, slow, [s], 'Chromium 1.2', .3)
    kept = json.loads(file.read_text())
    assert list(kept) == ['1', '4'] and kept['4']['runs'] == [s] and kept['1']['load'] == .3 and kept['1']['made_with']['browser'] == 'Chromium 1.2'
    stored = json.loads((ROOT/'results/frames.json').read_text())  # what the notebook shows
    assert {*stored} >= {'1', '4'} and all(r.keys() == s.keys() for of in stored.values() for r in of['runs'])
