"The playground: its functions in node against Python's numbers, and the widget in a browser, used as a person would."
import base64, json, os, re, subprocess
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import torch
from torch import nn

from conftest import LONG, node, open_widgets, wait_until
from hand import drawings, from_page, hard
from mnist_cnn.data import load_tensors, prepare_image
from mnist_cnn.model import SimpleCNN
from mnist_cnn.playground import classic_run, for_pens, playground
from mnist_cnn.uncertainty import STRANGE, strangeness

ROOT = Path(__file__).resolve().parents[1]
STROKES = {int(c): lines for c, lines in json.loads((ROOT/'tests/strokes.json').read_text(encoding='utf-8')).items()}


def other_network():
    "One with most of the layers that `playground` takes."
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 6, (3, 5), stride=(1, 2), padding=(2, 1), dilation=(2, 1)), nn.BatchNorm2d(6), nn.ReLU(),
        nn.MaxPool2d(3, 2, padding=1), nn.Conv2d(6, 9, 3, padding='same', groups=3, bias=False), nn.Tanh(),
        nn.AvgPool2d(2, ceil_mode=True), nn.Flatten(), nn.LazyLinear(12), nn.Sigmoid(), nn.Linear(12, 10))
    model(torch.rand(50, 1, 28, 28))
    return model.eval()


def page_network():
    "The one that reads in the page."
    model = SimpleCNN()
    model.load_state_dict(for_pens()[0])
    return model.eval()


class Unchained(nn.Module):
    "Layers that say nothing about how they are joined."
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Flatten(), nn.Linear(784, 10)
    def forward(self, x): return self.b(self.a(x))


@pytest.mark.parametrize('given, error, says', [
    (dict(model='CNN.pt'), TypeError, 'model'), (dict(model=Unchained()), ValueError, 'as_sequential'),
    (dict(model=nn.Sequential(nn.Flatten(), nn.GRU(784, 10))), TypeError, 'GRU'),
    (dict(model=nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(26, 10))), TypeError, 'nn.Flatten()'),
    (dict(model=nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, padding_mode='reflect'))), TypeError, 'padding_mode'),
    (dict(model=nn.Sequential(nn.Flatten(), nn.Linear(9, 10))), ValueError, 'cannot take its input'),
    (dict(classes='abc'), ValueError, '3 classes'), (dict(model=SimpleCNN(4), epochs=classic_run()), ValueError, 'epoch 0'),
    (dict(std=0), ValueError, 'std'), (dict(std=float('nan')), ValueError, 'std'), (dict(mean=float('inf')), ValueError, 'mean'),
    (dict(mean='0'), (TypeError, ValueError), 'mean'), (dict(classes=10), (TypeError, ValueError), 'classes'),
    (dict(model=nn.Sequential(nn.Flatten(), nn.LazyLinear(10))), ValueError, 'lazy'), (dict(model=SimpleCNN().to('meta')), ValueError, 'meta'),
    (dict(model=SimpleCNN), TypeError, 'SimpleCNN()'), (dict(epochs=[({}, .9)]), ValueError, 'epoch 0'), (dict(epochs=[(classic_run()[0][0], 2)]), ValueError, 'accuracy'),
    (dict(epochs=[]), ValueError, 'epochs'), (dict(epochs=3), (TypeError, ValueError), 'epochs')])
def test_refusals(given, error, says):
    "What cannot be shown raises an error that says why."
    with pytest.raises(error) as raised: playground(**given)
    assert says in str(raised.value)


def test_no_random_numbers():
    "Showing a network draws nothing from torch's random numbers."
    before = torch.get_rng_state()
    playground()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.fixture(scope='session')
def numbers(tmp_path_factory):
    "A folder with what Python computes."
    folder = tmp_path_factory.mktemp('numbers')
    x, _ = load_tensors(train=False)
    networks = []
    for model, xb in ((page_network(), x[:1000]), (other_network(), x[:100])):
        html = playground(model)._repr_html_()
        with torch.inference_mode(): logits = model(xb.float() / 255).tolist()
        networks.append({'network': json.loads(re.search(r'<script type="application/json">(.*?)</script>', html)[1]),
                         'images': [base64.b64encode(d.numpy().tobytes()).decode() for d in xb], 'logits': logits})
    rng, images = np.random.default_rng(1), []
    for n in range(60):
        a = np.zeros(rng.integers(30, 200, 2)) if n % 2 else np.zeros(rng.integers(29, 34, 2))
        zoom = min(a.shape) // 28
        top, left = (int(rng.integers(0, s - 28*zoom + 1)) for s in a.shape)
        a[top:top + 28*zoom, left:left + 28*zoom] = x[n, 0].numpy().repeat(zoom, 0).repeat(zoom, 1) / 255
        a = np.pad(a, 2)
        if n % 3 == 0: a = 1 - a
        images.append({'pixels': a.ravel().tolist(), 'height': a.shape[0], 'width': a.shape[1], 'prepared': prepare_image(a).flatten().tolist()})
    unlike = {'images': [base64.b64encode(d.numpy().tobytes()).decode() for d in x[:100]], 'found': strangeness(x[:100]).tolist()}
    text = json.dumps({'networks': networks, 'images': images, 'strokes': STROKES, 'unlike': unlike})
    (folder/'numbers.json').write_text(text, encoding='utf-8')
    return folder


def test_node(numbers):
    "The script's functions that need no page; without node this is skipped, except where CI is set."
    done = subprocess.run([node(), '--test', ROOT/'tests/js/playground.test.js'], env={**os.environ, 'PLAYGROUND_NUMBERS': str(numbers)},
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


UNLIKE = {**dict.fromkeys(('F', 'K', 'M', 'N', 'W', 'cross', 'plus', 'star', 'arrow', 'wave'), .9), **dict.fromkeys(('A', 'two digits'), .75), 'R': .6, 'T': .6, '10': .6,
          **dict.fromkeys(('E', 'heart', 'scribble'), .5), 'H': .2}  # how many are not like any digit, at least; houses and spirals never are, as the chapter on uncertainty says


def test_drawings_of_many_hands():
    "The network for pens reads what is drawn by hand: digits, with a speck in a far corner or not; an 8 with a small upper loop, a 1 with a long flag. Letters, crosses and two digits are not like any."
    node()
    def right(drawn):
        with torch.inference_mode(): found = page_network()(torch.tensor(from_page(drawn)).reshape(-1, 1, 28, 28).float() / 255).argmax(1)
        return (found == torch.tensor([c for c, _ in drawn])).float().mean().item()
    def strange(drawn): return (strangeness(torch.tensor(from_page(drawn)).reshape(-1, 1, 28, 28)) > STRANGE).float()
    def unlike(drawn): return strange(drawn).mean().item()
    digits, special = drawings(30, 3), hard(60, 3)
    assert right(digits) > .99 and min(right(d) for d in special.values()) > .85
    assert unlike(digits) < .02 and max(map(unlike, special.values())) < .06
    others = drawings(15, 3, digits=False)
    found = dict(zip(dict(others), strange(others).view(-1, 15).mean(1).tolist()))
    assert sum(found.values())/len(found) > .75
    assert {k: v for k, v in found.items() if v < UNLIKE.get(k, 0)} == {} and UNLIKE.keys() <= found.keys()


@pytest.fixture
def tab(browser, request):
    "The playground, on the site or, for tests that ask for it, in JupyterLab; nothing may go wrong while it is open."
    where = getattr(request, 'param', 'site')
    place = request.getfixturevalue('address' if where == 'site' else 'lab')
    context = browser.new_context(base_url=place, viewport={'width': 1200, 'height': 900}, reduced_motion='reduce')  # the opening digit stands at once
    tab, faults = context.new_page(), []
    tab.on('console', lambda m: faults.append(m.text) if where == 'site' and m.type in ('error', 'warning') else None)
    tab.on('pageerror', lambda e: faults.append(str(e)))
    tab.on('request', lambda r: faults.append(f'another host: {r.url}')
           if urlsplit(r.url).scheme in ('http', 'https') and not r.url.startswith(place) else None)
    tab.show = lambda page: show(tab, page) if where == 'site' else open_widgets(tab, place, {'index': 'index', 'playground': '36_playground'}[page])
    tab.show('playground')
    yield tab
    assert faults == []
    context.close()


everywhere = pytest.mark.parametrize('tab', ['site', 'lab'], indirect=True)
everywhere_if_long = pytest.mark.parametrize('tab', ['site', 'lab'] if LONG else ['site'], indirect=True)  # what hangs on the widget alone


def ready(tab):
    "Wait until every playground of the page has started."
    wait_until(tab, "[...document.querySelectorAll('.mnist-cnn-playground')].every(e => e.dataset.ready !== undefined)")
    settle(tab)


def show(tab, page):
    tab.goto(f'/{page}.html')
    ready(tab)


def widget(tab, n=0): return tab.locator('.mnist-cnn-playground').nth(n)


def field_of(root): return root.get_by_role('img', name='Field to draw')
def ink(root): return field_of(root).locator('path')
def said(root): return root.get_by_role('status').first.inner_text()
def detail_of(root): return root.get_by_role('region', name='What is behind a unit')
def bars(root): return root.get_by_role('group', name='The probability of each class').get_by_role('button')
def maps_of(root, layer): return root.get_by_role('application', name=f'What {layer} makes')
def chosen(root): return root.get_by_role('group', name='Test digits').get_by_role('button', pressed=True)


def draw(tab, root, lines, side, left, top):
    "Draw lines with the mouse into a square of the field; all in shares of the field's side."
    field = field_of(root)
    field.scroll_into_view_if_needed()
    b = field.bounding_box()
    for line in lines:
        points = [(b['x'] + b['width']*(left + side*x), b['y'] + b['height']*(top + side*y)) for x, y in line]
        tab.mouse.move(*points[0])
        tab.mouse.down()
        for point in points[1:]: tab.mouse.move(*point)
        tab.mouse.up()
    settle(tab)


def settle(tab): tab.evaluate('() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))')
def read(root): return root.get_by_role('group', name='Answer').locator('strong').inner_text()
def logits(root): return json.loads(root.get_attribute('data-logits'))


@pytest.mark.parametrize('tab, side, left, top', [(where, *square) for square in ((.3, .05, .65), (.8, .1, .1), (.15, .8, .05)) for where in ('site', 'lab') if LONG or where == 'site' or square[0] == .3], indirect=['tab'])
def test_drawn_digits(tab, side, left, top):
    "Digits drawn in any place and size are read as themselves; on the front page, where the layers are folded. (A frame passes with every point, so those of few points stand for all but once.)"
    tab.show('index')
    root, all_of_them = widget(tab), LONG or side == .8
    for digit, lines in STROKES.items():
        if not all_of_them and sum(map(len, lines)) > 20: continue
        last = digit
        root.get_by_role('button', name='Clear').click()
        draw(tab, root, lines, side, left, top)
        assert read(root) == str(digit), f'{digit} is read as {read(root)}'
    assert f'Your drawing is read as {last}' in said(root)
    assert float(root.get_attribute('data-milliseconds')) < 100  # some 5 on a desktop; here others may be at work


@everywhere
def test_test_digits_by_keyboard(tab):
    "A test digit chosen with the keyboard gives the logits that PyTorch computes, and its answer is announced."
    x, y = load_tensors(train=False)
    model, root = page_network(), widget(tab)
    for c in range(10):
        root.get_by_role('button', name=f'Test digit {c}').focus()
        tab.keyboard.press('Enter')
        settle(tab)
        with torch.inference_mode(): expected = model(x[y == c][:1].float() / 255)[0]
        assert np.abs(np.array(logits(root)) - expected.numpy()).max() < 1e-4
        assert f'A test digit, a {c}, is read as {expected.argmax()}' in said(root)
        assert chosen(root).count() == 1


@everywhere_if_long
def test_epochs(tab):
    "The slider changes the network to what it was, says its accuracy and keeps the digit."
    root, run = widget(tab), [*((*classic_run()[i], i) for i in (0, 1, 2, 5)), for_pens()]
    x, y = load_tensors(train=False)
    slider, model = root.get_by_role('slider'), SimpleCNN()
    root.get_by_role('button', name='Test digit 0').click()
    for epoch in range(len(run) - 2, -1, -1):
        slider.focus()
        tab.keyboard.press('ArrowLeft')
        settle(tab)
        model.load_state_dict(run[epoch][0])
        with torch.inference_mode(): expected = model(x[y == 0][:1].float() / 255)[0]
        assert np.abs(np.array(logits(root)) - expected.numpy()).max() < 5e-3
        assert f'{run[epoch][2]}: {100*run[epoch][1]:.2f}%' in root.get_by_role('status').last.inner_text()


@everywhere
def test_back_to_the_pixels_by_keyboard(tab):
    "From a probability to a number of the first layer, and what stands there is what PyTorch computes."
    root = widget(tab)
    root.get_by_role('button', name='Test digit 0').click()
    bars(root).first.focus()
    tab.keyboard.press('Enter')
    detail = detail_of(root)
    assert detail.is_visible() and detail.evaluate('e => e === document.activeElement')
    while (back := detail.get_by_role('button', name='Back to')).count():
        back.focus()
        tab.keyboard.press('Enter')
        settle(tab)
    found = re.search(r'conv1, map (\d+), row (\d+), column (\d+) = (\S+)', detail.inner_text())
    assert found, detail.inner_text()
    x, y = load_tensors(train=False)
    model = page_network()
    with torch.inference_mode(): maps = model.conv1(x[y == 0][:1].float() / 255)[0]
    assert abs(maps[tuple(map(int, found.groups()[:3]))].item() - float(found[4].replace('−', '-'))) < 1e-3
    detail.get_by_role('button', name='Close').click()
    assert not detail.is_visible()


@pytest.mark.parametrize('width', [1200, 390])
def test_connected_picture(tab, width):
    "The layers stand side by side, on a phone one below the other; lines lead from a picked unit to its window; its numbers stand beside it, the page does not scroll; Escape takes all away."
    tab.set_viewport_size({'width': width, 'height': 1000})
    root = widget(tab)
    unit, above = maps_of(root, 'conv2'), maps_of(root, 'ReLU 1')
    unit.scroll_into_view_if_needed()
    tab.wait_for_timeout(200)
    before = tab.evaluate('scrollY')
    unit.click(position={'x': 20, 'y': 75})
    settle(tab)
    detail, u, w = detail_of(root).bounding_box(), unit.bounding_box(), above.bounding_box()
    if width == 1200:
        assert w['x'] + w['width'] < u['x'] and tab.evaluate('scrollY') == before
        assert detail['x'] > u['x'] + 20 and detail['y'] < u['y'] + 75 < detail['y'] + detail['height']
        tops = [maps_of(root, layer).bounding_box() for layer in ('conv1', 'pool 1', 'conv2', 'fc1', 'fc2')]
        assert all(a['x'] + a['width'] < b['x'] for a, b in zip(tops, tops[1:]))
    else: assert w['y'] + w['height'] < u['y'] and 0 <= detail['y'] - u['y'] - u['height'] < 20
    ends = root.locator('.mcp-link').evaluate_all('all => all.map(p => { const m = p.getScreenCTM(), e = p.getPointAtLength(p.getTotalLength()); return [e.x + m.e, e.y + m.f]; })')
    assert len(ends) == 2 and all(w['x'] <= x <= w['x'] + w['width'] + 1 and w['y'] <= y <= w['y'] + w['height'] + 1 for x, y in ends)
    tab.keyboard.press('Escape')
    settle(tab)
    assert not detail_of(root).count() and root.locator('.mcp-link').count() == 0
    bars(root).first.click()
    tab.mouse.click(5, 5)  # the focus goes elsewhere
    tab.keyboard.press('Escape')
    settle(tab)
    assert not detail_of(root).count()


@pytest.mark.both
def test_unlike_any_digit(tab):
    "A cross gets an answer and a sentence that no digit is like it, which is also announced; a digit gets none."
    root = widget(tab)
    for lines, strange in (STROKES[4], False), ([[[0, 0], [1, 1]], [[1, 0], [0, 1]]], True):
        root.get_by_role('button', name='Clear').click()
        draw(tab, root, lines, .7, .15, .15)
        assert root.get_by_role('note').count() == strange and ('is not like any digit' in said(root)) == strange
    assert 'Not like any digit it has seen' in root.get_by_role('note').inner_text()


@everywhere
def test_maps_by_keyboard(tab):
    "Arrow keys move over a layer's numbers, each is announced, and Enter opens it."
    root = widget(tab)
    maps = maps_of(root, 'conv1')
    maps.focus()
    for key in ('PageDown', 'ArrowDown', 'ArrowRight', 'ArrowRight'): tab.keyboard.press(key)
    assert said(root).startswith('map 1, row 1, column 2: ')
    tab.keyboard.press('Enter')
    assert root.locator('.mcp-title').inner_text().startswith('conv1, map 1, row 1, column 2 = ')


@everywhere_if_long
def test_several_on_a_page(tab):
    "Each widget is started once and has its own drawing."
    roots = tab.locator('.mnist-cnn-playground')
    assert roots.count() >= 2
    assert all(roots.nth(n).locator('.mcp').count() == 1 for n in range(roots.count()))
    before = logits(widget(tab, 1))
    draw(tab, widget(tab), STROKES[7], .5, .2, .2)
    assert read(widget(tab)) == '7' and logits(widget(tab, 1)) == before


def test_opening_digit(browser, address):
    "At first a digit draws itself, and what is drawn is what is read; the reader's first line takes its place; an empty field has no answer."
    context = browser.new_context(base_url=address, viewport={'width': 1200, 'height': 900})
    tab = context.new_page()
    tab.add_init_script("""window.lengths_ = new Set(); new MutationObserver(() => { for (const p of document.querySelectorAll('.mcp-field path')) lengths_.add(p.getAttribute('d').length); })
        .observe(document, {subtree: true, childList: true, attributes: true});""")
    tab.goto('/index.html', wait_until='networkidle')
    root = widget(tab)
    wait_until(tab, 'lengths_.size > 3')
    tab.wait_for_timeout(1500)  # until it is whole
    assert read(root) == '3'
    draw(tab, root, STROKES[7], .8, .1, .1)
    assert ink(root).count() == len(STROKES[7]) and read(root) == '7'
    root.get_by_role('button', name='Clear').click()
    settle(tab)
    assert read(root) == '–' and 'The field is empty' in said(root)
    assert set(root.locator('.mcp-value').all_inner_texts()) == {'–'}
    context.close()


def test_reload_and_back(tab):
    "Drawing and epoch outlive a reload and the way back; the time of a reading is not the first one's."
    root = widget(tab)
    draw(tab, root, STROKES[5], .6, .2, .2)
    root.get_by_role('slider').fill('3')
    settle(tab)
    before = logits(root), ink(root).count(), root.get_by_role('status').last.inner_text()
    for leave in (tab.reload, lambda: (tab.goto('/conv.html'), tab.go_back())):
        leave()
        tab.wait_for_load_state()
        ready(tab)
        found = logits(widget(tab)), ink(widget(tab)).count(), widget(tab).get_by_role('status').last.inner_text()
        assert found[1:] == before[1:] and np.abs(np.array(found[0]) - before[0]).max() < .5  # points are kept to a tenth
    widget(tab).get_by_role('button', name='Test digit 4').click()
    tab.reload()
    settle(tab)
    assert chosen(widget(tab)).get_attribute('aria-label') == 'Test digit 4'


@everywhere_if_long
def test_lost_pointer(tab):
    "A pen that is lost does not block the next line."
    root = widget(tab)
    draw(tab, root, STROKES[1], .5, .2, .2)
    field = field_of(root)
    field.evaluate('''f => { const b = f.getBoundingClientRect(), at = (kind, id) => f.dispatchEvent(new PointerEvent(kind, {pointerId: id, bubbles: true, clientX: b.x + 20, clientY: b.y + 20}));
        f.setPointerCapture = () => {}; at('pointerdown', 77); at('lostpointercapture', 77); at('pointerdown', 78); at('pointerup', 78); }''')
    assert ink(root).count() == len(STROKES[1]) + 2


def test_bar_opens_the_layers(tab):
    "A click on a probability shows what is behind it though the layers are closed; Escape closes it."
    tab.show('index')
    root = widget(tab)
    assert not root.locator('.mcp-fold').evaluate('f => f.open')
    bars(root).first.click()
    detail = detail_of(root)
    assert detail.is_visible()
    detail.press('Escape')
    assert not detail.is_visible() and root.locator('.mcp-fold').evaluate('f => f.open')


def test_maps_are_sharp(tab):
    "No canvas is drawn wider than it is shown."
    for width in 1200, 800, 390, 320:
        tab.set_viewport_size({'width': width, 'height': 900})
        for _ in range(10):  # a busy machine takes its time
            tab.wait_for_timeout(200)
            rescaled = tab.evaluate("""() => [...document.querySelectorAll('.mcp-maps')].filter(c => c.checkVisibility({contentVisibilityAuto: true}) && Math.abs(c.getBoundingClientRect().width - c.width) > .6)
                .map(c => [c.width, c.getBoundingClientRect().width])""")
            if not rescaled: break
        assert not rescaled, (width, rescaled)


def test_forced_colours(browser, address):
    "Where the system sets the colours, every bar has an edge and the winning one stands out."
    context = browser.new_context(base_url=address, forced_colors='active', reduced_motion='reduce')
    tab = context.new_page()
    show(tab, 'index')
    ground = tab.evaluate("getComputedStyle(document.querySelector('.mcp-track')).backgroundColor")
    best, other = (widget(tab).locator(q).first.evaluate('e => getComputedStyle(e).backgroundColor') for q in ('.mcp-best .mcp-fill', '.mcp-bar:not(.mcp-best) .mcp-fill'))
    assert len({ground, best, other}) == 3
    context.close()


def test_class_names_of_any_length(browser, tmp_path):
    "Bars begin at one line and are equally long at 100%, whatever their classes are called."
    names = ['zero', '1', 'the number two', *'3456789']
    page = tmp_path/'page.html'
    page.write_text('<!doctype html><meta charset="utf-8"><body>' + playground(classes=names)._repr_html_(), encoding='utf-8')
    with browser.new_page(viewport={'width': 900, 'height': 900}) as tab:
        tab.goto(page.as_uri())
        boxes = [t.bounding_box() for t in tab.locator('.mcp-track').all()]
        assert len({(round(b['x']), round(b['width'])) for b in boxes}) == 1 and boxes[0]['width'] > 60


@pytest.mark.only_chromium('Playwright draws with a finger only by the protocol of Chromium')
def test_touch(browser, address):
    "A finger draws too, and does not scroll the page."
    context = browser.new_context(base_url=address, viewport={'width': 390, 'height': 800}, has_touch=True)
    tab = context.new_page()
    show(tab, 'playground')
    root = widget(tab)
    field = field_of(root)
    field.scroll_into_view_if_needed()
    b, scrolled, cdp = field.bounding_box(), tab.evaluate('scrollY'), context.new_cdp_session(tab)
    def touch(kind, *point):
        points = [{'x': b['x'] + b['width']*point[0], 'y': b['y'] + b['height']*point[1]}] if point else []
        cdp.send('Input.dispatchTouchEvent', {'type': kind, 'touchPoints': points})
    touch('touchStart', .5, .2)
    for n in range(1, 13): touch('touchMove', .5, .2 + .05*n)
    touch('touchEnd')
    settle(tab)
    assert read(root) == '1' and tab.evaluate('scrollY') == scrolled
    context.close()


def test_without_scripts(browser, address):
    "Where scripts do not run there is a picture, and words."
    context = browser.new_context(base_url=address, java_script_enabled=False)
    tab = context.new_page()
    tab.goto('/playground.html')
    root = widget(tab)
    assert 'reads it as 0' in root.locator('img').get_attribute('alt')
    assert 'This is a still picture' in root.inner_text()
    context.close()
