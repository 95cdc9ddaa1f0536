"The explorer of convolutions: its script against Python and PyTorch, and its use on the built site by a person."
import json, os, random, re, subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest, torch
import torch.nn.functional as F

from conftest import enter, node, open_widgets, wait_until
from mnist_cnn.conv import find_conv, out_size, transposed_out_size
from mnist_cnn.widgets import _most, explore_conv, inlined
from mnist_cnn.data import load_tensors

ROOT = Path(__file__).resolve().parents[1]
PAIRS = 'size', 'kernel_size', 'stride', 'padding', 'dilation'


# ---- the script, in node, against Python

def settings(rng, small=False):
    "Any settings within the limits, possible or not."
    def two(low, high): return [rng.randint(low, high) for _ in range(2)]
    kind = rng.choice(['conv', 'transposed', 'max', 'avg'])
    s = dict(kind=kind, size=two(1, 12 if small else 32), kernel_size=two(1, 4 if small else 11), stride=two(1, 3 if small else 8),
             padding=two(0, 2 if small else 8), dilation=two(1, 1 if kind == 'avg' else 3),
             output_padding=two(0, 2) if kind == 'transposed' and rng.random() < .5 else [0, 0],
             ceil_mode=kind in ('max', 'avg') and rng.random() < .5, in_channels=1, out_channels=1, groups=1,
             kernel=rng.randrange(4), square=False)
    if kind in ('conv', 'transposed'): s |= dict(in_channels=rng.randint(1, 4), out_channels=rng.randint(1, 4), groups=rng.randint(1, 2))
    return s


def size_of(s):
    "The size that Python gives for the output, None where `explore_conv` refuses."
    size, k, st, p, d = (tuple(s[n]) for n in PAIRS)
    try: explore_conv(size, k, st, p, d, tuple(s['output_padding']), s['kind'], s['in_channels'], s['out_channels'], s['groups'], s['ceil_mode'])
    except ValueError: return None
    if s['kind'] == 'transposed': return transposed_out_size(size, k, st, p, tuple(s['output_padding']), d)
    return out_size(size, k, st, p, d, s['ceil_mode'])


def possible(rng, small=True):
    while True:
        s = settings(rng, small)
        if size_of(s): return s


def layer(s):
    "PyTorch's function for the settings, of input and weight."
    k, st, p, d, op = (tuple(s[n]) for n in (*PAIRS[1:], 'output_padding'))
    if s['kind'] == 'conv': return lambda x, w: F.conv2d(x, w, None, st, p, d, s['groups'])
    if s['kind'] == 'transposed': return lambda x, w: F.conv_transpose2d(x, w.transpose(0, 1), None, st, p, op, 1, d)
    if s['kind'] == 'max': return lambda x, w: F.max_pool2d(x, k, st, p, d, s['ceil_mode'])
    return lambda x, w: F.avg_pool2d(x, k, st, p, s['ceil_mode'])


def planes(image, s):
    "The input channels in hundredths: the picture, turned, mirrored from the fifth on, and cut into parts that are averaged."
    turned = [torch.rot90(image.flip(1) if c > 3 else image, c % 4) for c in range(s['in_channels'])]
    means = F.adaptive_avg_pool2d(torch.stack(turned)[None].double(), s['size'])[0]
    return (100*means/255 + .5).floor()


def weights(s):
    "out×(in/groups)×kH×kW: four kernels in turn."
    h, w = s['kernel_size']
    def steps(n): return torch.sign(torch.arange(n)*2. - n + 1) if n > 1 else torch.ones(1)
    outline = -torch.ones(h, w)
    outline[h//2, w//2] = h*w - 1 if h*w > 1 else 1
    four = steps(w).expand(h, w), steps(h)[:, None].expand(h, w), outline, torch.ones(h, w)
    n_in, n_out = s['in_channels']//s['groups'], s['out_channels']//s['groups']
    return torch.stack([torch.stack([four[(s['kernel'] + o + o//n_out*n_in + c) % 4] for c in range(n_in)])
                        for o in range(s['out_channels'])]).double()


def run(s, x, w):
    "The layer on one picture; a transposed convolution with groups goes group by group, its weights lying otherwise."
    if s['kind'] != 'transposed': return layer(s)(x[None], w)[0]
    parts = zip(x.chunk(s['groups']), w.chunk(s['groups']))
    return torch.cat([layer(s)(a[None], b)[0] for a, b in parts])


def joined(rng):
    "Which inputs one output sees and which outputs one input feeds, by gradients and all weights one."
    s = possible(rng) | dict(in_channels=1, out_channels=1, groups=1)
    if s['kind'] == 'max': s['kind'] = 'avg'
    s['dilation'] = [1, 1] if s['kind'] == 'avg' else s['dilation']
    if not size_of(s): return joined(rng)
    x = torch.zeros(1, *s['size'], dtype=torch.double, requires_grad=True)
    y = run(s, x, torch.ones(1, 1, *s['kernel_size'], dtype=torch.double))
    at = dict(out=[rng.randrange(n) for n in y.shape[1:]], **{'in': [rng.randrange(n) for n in s['size']]})
    seen, = torch.autograd.grad(y[(0, *at['out'])], x)
    lit = torch.zeros_like(x); lit[(0, *at['in'])] = 1
    fed = run(s, lit, torch.ones(1, 1, *s['kernel_size'], dtype=torch.double))
    return dict(settings=s, at=at, seen=seen[0].nonzero().tolist(), fed=fed[0].nonzero().tolist())


def test_script_in_node(tmp_path):
    rng = random.Random(42)
    image = load_tensors()[0][0, 0]
    sizes = [dict(settings=s, size=size_of(s)) for s in (settings(rng, rng.random() < .5) for _ in range(800))]
    n = sum(c['size'] is not None for c in sizes)
    assert 150 < n < 650
    values = []
    for _ in range(100):
        s = possible(rng)
        x = planes(image, s)
        y = [[[v if v > float('-inf') else None for v in line] for line in o] for o in run(s, x, weights(s)).tolist()]
        values.append(dict(settings=s, planes=x.int().tolist(), outputs=y))
    sides = [((28, 28), (14, 14)), ((28, 28), (28, 28)), ((5, 5), (9, 9)), ((9, 12), (4, 5)), ((32, 1), (8, 1)), ((3, 7), (7, 2))]
    found = [dict(size=a, want=b, found=[f[:3] for f in find_conv(a, b)]) for a, b in sides]
    assert any(f['found'] for f in found) and not all(f['found'] for f in found)
    cases = dict(limits=_most, sizes=sizes, values=values, joined=[joined(rng) for _ in range(100)], found=found,
                 image=dict(size=[28, 28], bytes=image.flatten().tolist()))
    (tmp_path/'cases.json').write_text(json.dumps(cases))
    done = subprocess.run([node(), '--test', 'tests/js/explore_conv.test.mjs'], cwd=ROOT, capture_output=True, text=True,
                          env={**os.environ, 'EXPLORE_CASES': str(tmp_path/'cases.json')})
    assert done.returncode == 0, done.stdout[-4000:]
    assert '# skipped 0' in done.stdout


def test_notebook_holds_this_script():
    "The outputs in the notebook were made with the script and the style as they are now."
    cells = json.loads((ROOT/'nbs/01_conv.ipynb').read_text(encoding='utf-8'))['cells']
    pages = [''.join(o['data']['text/html']) for c in cells for o in c.get('outputs', []) if 'explore-conv' in ''.join(o.get('data', {}).get('text/html', ''))]
    assert pages
    for page in pages:
        assert inlined('explore_conv.js') in page and inlined('explore_conv.css') in page, 'nbdev-test nbs/01_conv.ipynb --save'


# ---- on the built site, as a person uses it

@pytest.fixture
def tab(browser, request):
    "The page of the explorer, on the site or, for tests that ask for it, in JupyterLab; nothing may go wrong while it is open."
    where = getattr(request, 'param', 'site')
    place = request.getfixturevalue('address' if where == 'site' else 'lab')
    context = browser.new_context(base_url=place, color_scheme='light', viewport=dict(width=1200, height=900), permissions=['clipboard-read', 'clipboard-write'])
    tab, faults = context.new_page(), []
    tab.on('console', lambda m: faults.append(m.text) if where == 'site' and m.type in ('error', 'warning') else None)
    tab.on('pageerror', lambda e: faults.append(str(e)))
    tab.on('request', lambda r: faults.append(f'another host: {r.url}')
           if urlsplit(r.url).scheme in ('http', 'https') and not r.url.startswith(place) else None)
    tab.goto('/conv.html') if where == 'site' else open_widgets(tab, place, '01_conv')
    yield tab
    assert faults == []
    context.close()


everywhere = pytest.mark.parametrize('tab', ['site', 'lab'], indirect=True)


def grid(w, side): return w.get_by_role('application', name=re.compile(f'^{side}put'))

def shown(w):
    "What a reader sees: sizes at the grids, sizes in the formulas, the line to copy."
    sizes = {side: [int(n) for n in re.search(r'(\d+)×(\d+)', w.locator(f'[data-side={side}] .ec-size').inner_text()).groups()]
             for side in ('in', 'out')}
    return sizes, [int(re.search(r'(\d+)$', b).group(1)) for b in w.locator('.ec-formula b').all_inner_texts()], w.locator('.ec-code code').inner_text()


def point(tab, w, side, i, j, act='move'):
    "Move the pointer to the middle of a cell."
    cell = grid(w, side).locator('rect').nth(i*shown(w)[0][side][1] + j)
    cell.scroll_into_view_if_needed()
    box = cell.bounding_box()
    at = box['x'] + box['width']/2, box['y'] + box['height']/2
    tab.mouse.move(*at) if act == 'move' else tab.touchscreen.tap(*at)


@everywhere
def test_sliders_and_grids_by_keyboard(tab):
    w = tab.locator('.explore-conv').first
    assert w.locator('img').count() == 0    # the still picture has made room
    assert shown(w)[0] == {'in': [28, 28], 'out': [out_size(28, 3, 2, 1)]*2}
    stride = w.get_by_role('slider', name='stride')
    stride.focus()
    tab.keyboard.press('ArrowRight')
    assert shown(w)[0]['out'] == [out_size(28, 3, 3, 1)]*2 and stride.get_attribute('aria-valuetext') == '3'
    size = w.get_by_role('slider', name='input size')
    size.focus()
    tab.keyboard.press('Home')    # as small as the window allows, and no smaller
    assert shown(w)[0] == {'in': [1, 1], 'out': [1, 1]}
    kernel = w.get_by_role('slider', name='kernel_size')
    kernel.focus()
    tab.keyboard.press('End')
    assert kernel.input_value() == '3'
    size.focus()
    tab.keyboard.press('End')
    assert shown(w)[0]['in'] == [32, 32]
    grid(w, 'out').focus()
    for key in 'Home', 'PageUp', 'ArrowRight', 'ArrowDown', 'ArrowDown': tab.keyboard.press(key)
    assert w.locator('.ec-now').inner_text().startswith('Output (2, 1)') and 'input rows 5 to 7, columns 2 to 4' in w.locator('.ec-now').inner_text()
    assert tab.evaluate('getComputedStyle(document.activeElement).outlineStyle') == 'solid'


@pytest.mark.both
@everywhere
def test_pointer_and_products(tab):
    w = tab.locator('.explore-conv').first
    s, image = w.evaluate('r => r.explorer.get()'), load_tensors()[0][0, 0]
    x, k = planes(image, s), weights(s)
    y = run(s, x, k)[0]
    i, j = divmod(int(y.abs().argmax()), y.shape[1])
    point(tab, w, 'out', i, j)
    assert w.locator('.ec-now').inner_text().startswith(f'Output ({i}, {j}) = {y[i, j]/100:g}'.replace('-', '−'))
    window = F.unfold(x[None], 3, padding=1, stride=2)[0, :, i*y.shape[1] + j]*k.flatten()
    products = [float(t.split()[-1].replace('−', '-')) for t in w.get_by_role('region', name='Products').get_by_role('cell').all_inner_texts()]
    assert products == [v/100 for v in window.tolist()] and any(products)
    point(tab, w, 'in', 13, 13)    # odd places are in two windows each way, even ones in one
    assert 'feeds 4 outputs: rows 6, 7, columns 6, 7' in w.locator('.ec-now').inner_text()
    assert w.locator('[data-side=out] .ec-taps').get_attribute('d').count('M') == 4
    point(tab, w, 'in', 12, 12)
    assert 'feeds 1 output: row 6, column 6' in w.locator('.ec-now').inner_text()


@pytest.mark.only_chromium('Playwright taps nothing in Firefox')
def test_touch(browser, address):
    context = browser.new_context(base_url=address, has_touch=True, viewport=dict(width=320, height=700))
    tab = context.new_page()
    tab.goto('/conv.html')
    w = tab.locator('.explore-conv').first
    point(tab, w, 'out', 3, 4, 'tap')
    assert w.locator('.ec-now').inner_text().startswith('Output (3, 4)')
    assert tab.evaluate('document.scrollingElement.scrollWidth') <= 320
    context.close()


@everywhere
def test_play_step_and_scrub(tab):
    w = tab.locator('.explore-conv').first
    w.get_by_role('slider', name='Position').evaluate('r => { r.value = 0; r.dispatchEvent(new Event("input", {bubbles: true})); }')
    def now(): return w.locator('.ec-now').inner_text().split(' =')[0]
    assert now() == 'Output (0, 0)'
    w.get_by_role('button', name='Step').click()
    assert now() == 'Output (0, 1)'
    w.get_by_role('button', name='Back').click()
    assert now() == 'Output (0, 0)'
    w.get_by_role('button', name='Play').click()
    wait_until(tab, 'r => +r.querySelector(".ec-at").value >= 2', w.element_handle())
    assert w.locator('.ec-now').get_attribute('aria-live') == 'off'
    w.get_by_role('button', name='Pause').click()
    there = now()
    tab.wait_for_timeout(400)
    assert now() == there and w.locator('.ec-now').get_attribute('aria-live') == 'polite'
    w.get_by_role('slider', name='Position').focus()
    tab.keyboard.press('End')
    assert now() == 'Output (13, 13)'


def test_share(tab, address):
    "A link leads to the same layer; an address without one leads to the settings that Python gave."
    w = tab.locator('.explore-conv').first
    assert urlsplit(tab.url).fragment == ''
    w.get_by_label('average pooling').check()
    w.get_by_label('square').uncheck()
    w.get_by_role('slider', name='kernel_size, width').fill('4')
    made = shown(w)
    w.get_by_role('button', name='Copy link').click()
    link = tab.evaluate('navigator.clipboard.readText()')
    assert link == tab.url and '#explore=avg' in link
    w.get_by_role('button', name='Copy', exact=True).click()
    line = tab.evaluate('navigator.clipboard.readText()')
    assert line == made[2] == 'nn.AvgPool2d(kernel_size=(3, 4), stride=2, padding=1)'
    assert list(eval(line, {'nn': torch.nn})(torch.zeros(1, 1, 28, 28)).shape[2:]) == made[0]['out'] == made[1]
    other = tab.context.new_page()
    other.goto(link)
    assert shown(other.locator('.explore-conv').first) == made
    assert other.evaluate('scrollY') > 0
    other.evaluate('location.hash = "explore=conv,12,k5"')
    wait_until(other, 'document.querySelector(".explore-conv .ec-size").textContent == "input 12×12"')
    other.close()


@pytest.mark.parametrize('link', ['%', 'constructor', 'conv%2', '%E0%A4%A'])
def test_bad_link(tab, link):
    "A broken address gives the settings that Python gave, and a widget that works."
    w = tab.locator('.explore-conv').first
    given = shown(w)
    tab.goto('/index.html')
    tab.goto(f'/conv.html#explore={link}')
    assert shown(w) == given
    w.get_by_label('max pooling').check()
    assert 'MaxPool2d' in shown(w)[2]


def test_what_no_window_sees(tab):
    "28 pixels, kernel 3, stride 2, padding 1: the last pixels are seen, the last padding is not."
    w = tab.locator('.explore-conv').first
    assert w.locator('.ec-formula').inner_text().endswith('No window sees the last row and column of padding.')
    w.get_by_role('slider', name='padding').fill('0')
    assert w.locator('.ec-formula').inner_text().endswith('No window sees the last row and column.')


def test_several_on_a_page(tab):
    "A second one of the same name is another: other settings, another key; and nothing starts twice."
    tab.evaluate('''() => { const a = document.querySelector('.explore-conv'), b = document.createElement('div');
        for (const n of ['class', 'data-name', 'data-settings', 'data-image']) b.setAttribute(n, a.getAttribute(n));
        a.parentElement.append(b);
        const again = document.createElement('script');
        again.src = a.parentElement.querySelector('script[src]').src + '?again';
        a.parentElement.append(again);
        return new Promise(done => again.onload = done); }''')
    first, second = tab.locator('.explore-conv').all()
    before = shown(first)
    assert first.locator('fieldset').count() == second.locator('fieldset').count() == 1
    second.get_by_label('max pooling').check()
    assert shown(first) == before and first.get_by_label('convolution', exact=True).is_checked()
    assert '#explore2=max' in tab.url
    first.get_by_label('average pooling').check()
    assert second.get_by_label('max pooling').is_checked() and 'explore2=max' in tab.url and 'explore=avg' in tab.url


@everywhere
def test_find(tab):
    "Every layer offered gives the wanted size, and they are those of `find_conv`."
    w = tab.locator('.explore-conv').first
    w.get_by_text('Show me layers that give a size').click()
    offers, height = w.locator('.ec-list button'), w.get_by_label('wanted output height')
    enter(height, '7')
    want = find_conv(28, 7)
    assert offers.all_inner_texts() == [f'kernel {f.kernel_size}, stride {f.stride}, padding {f.padding}' for f in want]
    offers.nth(len(want)//2).click()
    assert shown(w)[0] == {'in': [28, 28], 'out': [7, 7]}
    assert w.locator('.ec-list button:focus').count() == 1
    for wrong in '0', '-3', '2.5', '':
        enter(height, '7')
        enter(height, wrong)
        assert not offers.count() and 'whole number' in w.locator('.ec-found').inner_text()
    enter(height, '31')
    assert w.locator('.ec-found').inner_text().startswith('no layer') is (not find_conv(28, 31))


@everywhere
def test_numbers_shown(tab):
    "For hundreds of random settings: sizes and formulas as Python has them, and a line that PyTorch runs to that size."
    rng, w = random.Random(7), tab.locator('.explore-conv').first
    asked = [possible(rng, small=False) for _ in range(300)]
    seen = w.evaluate('''(r, all) => all.map(s => { r.explorer.set(s); const t = q => [...r.querySelectorAll(q)].map(e => e.textContent);
        return [r.explorer.get(), t('.ec-size'), t('.ec-formula b'), t('.ec-code code')[0], t('.ec-now')[0]]; })''', asked)
    for s, (got, sizes, formulas, line, now) in zip(asked, seen):
        assert {n: got[n] for n in s} == s    # nothing was changed to something else
        h, v = size_of(s)
        assert sizes == [f'input {s["size"][0]}×{s["size"][1]}', f'output {h}×{v}']
        assert [int(f.split('= ')[-1]) for f in formulas] == [h, v]
        made = eval(line, {'nn': torch.nn})(torch.zeros(1, s['in_channels'], *s['size']))
        assert tuple(made.shape[1:]) == (s['in_channels'] if 'Pool' in line else s['out_channels'], h, v), line
        assert now.startswith(('Output (', 'Input (')) and 'NaN' not in now and 'undefined' not in now


def test_without_scripts(browser, address):
    "A still picture with its text."
    context = browser.new_context(base_url=address, java_script_enabled=False)
    tab = context.new_page()
    tab.goto('/conv.html')
    w = tab.locator('.explore-conv').first
    size = out_size(28, 3, 2, 1)
    assert f'input 28×28, output {size}×{size}' in w.inner_text() and w.locator('img').get_attribute('alt')
    assert w.locator('img').bounding_box()['height'] > 100
    context.close()


def test_output_stays_in_sight(browser, address):
    "On a phone the output stays in sight while a slider is moved, whatever its size; no slider is hidden by it."
    context = browser.new_context(base_url=address, has_touch=True, reduced_motion='reduce', viewport=dict(width=390, height=844))
    tab = context.new_page()
    tab.goto('/conv.html')
    w = tab.locator('.explore-conv').first
    for name, value in ('stride', '1'), ('padding', '2'), ('input size', '32'):
        slider = w.get_by_role('slider', name=name)
        slider.evaluate('e => e.scrollIntoView({block: "center"})')
        slider.fill(value)
        out, at = grid(w, 'out').bounding_box(), slider.bounding_box()
        assert 0 <= at['y'] and at['y'] + at['height'] <= out['y'] and out['y'] + out['height'] <= 844, (name, out, at)
    context.close()
