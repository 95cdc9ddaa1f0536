"The pages are for everyone: axe-core, Lighthouse, large letters, calm, paper; light and dark."
import functools, json, os, re, shutil, subprocess, types
from pathlib import Path

import pytest

from conftest import LONG
from test_site import NOTEBOOKS, PAGES, load_pictures

ROOT = Path(__file__).resolve().parents[1]
NPM = ROOT/'tests/js/node_modules'
TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']


def from_npm(path):
    "A file that npm installs. Without it the test is skipped, except where CI is set: there it must be."
    if not (NPM/path).is_file():
        why = f'{path.split("/")[0]} is not installed: npm --prefix tests/js install'
        pytest.fail(why) if os.environ.get('CI') else pytest.skip(why)
    return NPM/path


@pytest.fixture
def open_page(chromium, address):
    "Opens a page of the site as somebody may have set their browser."
    contexts = []
    def opened(page, **settings):
        contexts.append(chromium.new_context(base_url=address, **{'viewport': {'width': 1200, 'height': 900}, **settings}))
        tab = contexts[-1].new_page()
        tab.goto(f'/{page}.html')
        return tab
    yield opened
    for c in contexts: c.close()


WIDE, NARROW = ('light', 1200), ('dark', 320)
BOTH = PAGES if LONG else ('index', 'conv', 'training', 'playground')  # these in both ways; the others, made of the same parts, in turn

@pytest.mark.parametrize('page, scheme, width', [(p, *how) for i, p in enumerate(PAGES) for how in ((WIDE, NARROW) if p in BOTH else (NARROW,) if i % 2 else (WIDE,))])
def test_axe(open_page, page, scheme, width):
    "axe-core finds nothing against WCAG 2.2 AA nor against good practice; answers, code and layers are open."
    axe = from_npm('axe-core/axe.min.js').read_text(encoding='utf-8')
    tab = open_page(page, color_scheme=scheme, viewport={'width': width, 'height': 900})
    tab.evaluate('document.querySelectorAll("main details").forEach(d => d.open = true)')
    tab.wait_for_timeout(200)
    tab.evaluate(axe)
    found = tab.evaluate('tags => axe.run({runOnly: tags, resultTypes: ["violations"]})', TAGS)
    assert len(found['passes']) > 10
    assert not found['violations'], '\n'.join(f'{v["id"]}: {n["html"][:200]}: {n["failureSummary"]}' for v in found['violations'] for n in v['nodes'][:3])


@pytest.mark.parametrize('page', ['index', 'conv', 'playground'])
def test_lighthouse(address, tmp_path, page):
    "At least 95 for speed (on a desktop), accessibility, good practice and search. Noise only slows: the best of three counts."
    cli = from_npm('lighthouse/cli/index.js')
    browser = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
    if not browser: pytest.fail('no Chromium') if os.environ.get('CI') else pytest.skip('no Chromium that Lighthouse could start')
    for _ in range(3):
        done = subprocess.run(['node', cli, f'{address}/{page}.html', '--preset=desktop', '--quiet', '--output=json', f'--output-path={tmp_path}/out.json',
                               '--chrome-flags=--headless=new --no-sandbox --disable-gpu',
                               '--only-categories=performance,accessibility,best-practices,seo'],
                              env={**os.environ, 'CHROME_PATH': browser}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        scores = {k: v['score'] for k, v in json.loads((tmp_path/'out.json').read_text(encoding='utf-8'))['categories'].items()}
        if min(scores.values()) >= .95: return
    pytest.fail(f'{page}: {scores}')


@pytest.mark.parametrize('page', PAGES)
def test_weight(open_page, page, address):
    "All that a page loads, to its end, is at most 600 kB on its way (the networks of the playgrounds left out), and its pictures are lazy."
    tab = open_page(page)
    assert tab.evaluate('[...document.querySelectorAll("main img")].every(i => i.loading === "lazy")')
    assert {e.get_attribute('src') for e in tab.locator('head script[src]:not([defer])').all()} <= {'scheme.js'}  # the theme, before anything is drawn
    load_pictures(tab)
    sizes = dict(tab.evaluate('''() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
        .map(e => [e.name, e.encodedBodySize])'''))
    networks = {u for u in sizes if re.search(r'_files/\w+\.js$', u)}
    assert sum(n for u, n in sizes.items() if u not in networks) < 600_000, sizes
    assert all(n for n in sizes.values()), sizes


@pytest.mark.parametrize('page', PAGES)
def test_double_size(open_page, page):
    "At twice the size (a window of half the width), with letters alone twice as large, nothing is cut off sideways."
    tab = open_page(page, viewport={'width': 640, 'height': 450}, device_scale_factor=2)
    for letters in '100%', '200%':
        tab.evaluate('s => { document.documentElement.style.fontSize = s; }', letters)
        tab.wait_for_timeout(100)
        assert tab.evaluate('document.scrollingElement.scrollWidth') <= 640, letters


@pytest.fixture
def calm(chromium, address):
    "A tab in a browser whose system asks for calm (Playwright's own way does not reach SVG pictures)."
    from tools.shots import launch
    browser = launch(types.SimpleNamespace(chromium=chromium.browser_type), '--force-prefers-reduced-motion')
    yield browser.new_page(base_url=address, viewport={'width': 1200, 'height': 900}, reduced_motion='reduce')
    browser.close()


def test_calm(calm):
    "Where the reader's system asks for calm, moving pictures stand still and nothing glides."
    tab = calm
    tab.goto('/conv.html', wait_until='networkidle')
    moving = tab.locator('main img[src$=".svg"]').filter(visible=True)
    for img in moving.all():
        if '<animate' not in (text := tab.request.get(img.evaluate('i => i.src')).text()) and 'animation:' not in text: continue
        img.scroll_into_view_if_needed()
        tab.wait_for_timeout(300)
        first = img.screenshot()
        tab.wait_for_timeout(1500)
        assert img.screenshot() == first, img.get_attribute('src')
    tab.goto('/playground.html', wait_until='networkidle')
    assert tab.get_by_role('group', name='The probability of each class').first.locator('.mcp-fill').first.evaluate('e => getComputedStyle(e).transitionDuration') in ('0s', '1e-05s')
    assert tab.evaluate('getComputedStyle(document.documentElement).scrollBehavior') == 'auto'


@pytest.mark.parametrize('page', PAGES)
def test_paper(open_page, page):
    "On paper: no navigation, answers open, code wrapped, no picture wider than the sheet, dark ink on white though the screen is dark."
    tab = open_page(page, color_scheme='dark', viewport={'width': 700, 'height': 1000})
    gone = [tab.get_by_role('banner'), tab.get_by_role('navigation'), tab.get_by_role('link', name='Open this notebook'), tab.get_by_role('button', name='Copy')]
    assert all(g.count() for g in gone[:3])  # there on the screen; not every page has code to copy
    tab.emulate_media(media='print', color_scheme='dark')
    for g in gone: assert not g.count(), g  # a role is had by what is shown
    assert tab.evaluate('''() => [...document.querySelectorAll('main details:not(.code-fold, .ec-find, .mcp-fold) > :not(summary)')]
        .every(e => e.checkVisibility({contentVisibilityAuto: true}))''')
    wide = tab.evaluate('''() => [...document.querySelectorAll('main :is(img, pre, table, canvas, svg)')]
        .filter(e => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 200))''')
    assert not wide, wide
    ground, ink = (sum(map(float, re.findall(r'[\d.]+', tab.evaluate(f'getComputedStyle(document.body).{p}'))[:3])) for p in ('backgroundColor', 'color'))
    assert ink < 200 and ground > 700
    if page in BOTH: assert len(tab.pdf()) > 10_000


LESSONS = [re.sub(r'^\d+[a-z]*_', '', p.stem) for p in NOTEBOOKS if p.stem[:2] < '23' and p.stem not in ('index', '11_glossary')]

@pytest.mark.parametrize('page', [p for p in LESSONS if p != 'first'])
def test_objectives_and_exercises(page):
    "A chapter begins with what its reader will be able to do, and ends with exercises."
    texts = [''.join(c['source']) for c in PAGES[page] if c['cell_type'] == 'markdown']
    first = next(p for t in texts for p in t.split('\n\n') if not p.startswith(('#', '>')))
    assert re.search(r'[Yy]ou (can|will be able)', re.sub(r'\s+', ' ', first)), first
    assert [t for t in texts if re.match('## ', t)][-1].strip() == '## Exercises'


@pytest.mark.parametrize('page', PAGES)
def test_open_this_notebook(open_page, page):
    "Each page gives the notebook that it was made of, to the byte."
    tab = open_page(page)
    link = tab.get_by_role('link', name='Open this notebook')
    if page in BOTH:
        with tab.expect_download() as download: link.click()
        name, content = download.value.suggested_filename, Path(download.value.path()).read_bytes()
    else: name, content = Path(link.get_attribute('href')).name, tab.request.get(link.evaluate('a => a.href')).body()
    assert content == (ROOT/'nbs'/name).read_bytes()
    assert re.sub(r'^\d+[a-z]*_', '', name) == f'{page}.ipynb'


def test_names_of_pytorch():
    "All names that are led to PyTorch's documentation exist, are public and documented; what is no text stays as it is."
    import torch, torchvision
    from tools.torch_names import ADDRESSES, DOCS, link_torch
    assert torch.utils.data and torch.distributed and torch.export  # parts that load with torch
    for name in ADDRESSES:
        found = functools.reduce(getattr, name.split('.')[1:], {'torch': torch, 'torchvision': torchvision}[name.split('.')[0]])
        assert (found.__doc__ or '').strip() or isinstance(found, types.ModuleType), name
        assert not any(part.startswith('_') for part in name.split('.'))
    link = f'[`nn.Conv2d`]({DOCS}docs/stable/generated/torch.nn.Conv2d.html)'
    assert link_torch('a `nn.Conv2d` b') == f'a {link} b'
    assert link_torch('`F.pad(x, 1)`').endswith('torch.nn.functional.pad.html)') and link_torch('`DataLoader`').endswith('#torch.utils.data.DataLoader)')
    for same in '# `nn.Conv2d`', '[`nn.Conv2d`](x.html)', '```\n`nn.Conv2d`\n```', '`nn.Nothing`', '`pad`', '<img alt="`F.pad`">':
        assert link_torch(same) == same


def test_links_to_pytorch(site):
    "The pages lead there, and load nothing from it."
    from tools.torch_names import DOCS
    links = {u for p in site.glob('*.html') for u in re.findall(r'href="(https://[^"]*pytorch[^"]*)"', p.read_text(encoding='utf-8'))}
    made = {u for u in links if u.startswith(DOCS)}
    assert len(made) > 10 and f'{DOCS}docs/stable/generated/torch.nn.functional.cross_entropy.html' in made


@pytest.mark.parametrize('page', ['conv', 'playground'])
def test_screen_reader(open_page, page):
    "What a screen reader is told: whatever can be focused has a name, sliders say their value, news is announced."
    tab = open_page(page)
    tree = tab.context.new_cdp_session(tab).send('Accessibility.getFullAXTree')['nodes']
    def of(node, what): return node.get(what, {}).get('value')
    def flag(node, name): return next((p['value'].get('value') for p in node.get('properties', []) if p['name'] == name), None)
    focusable = [n for n in tree if not n['ignored'] and flag(n, 'focusable') and of(n, 'role') != 'RootWebArea']
    assert len(focusable) > 30
    nameless = [(of(n, 'role'), n.get('backendDOMNodeId')) for n in focusable if not (of(n, 'name') or '').strip()]
    assert not nameless
    sliders = [n for n in focusable if of(n, 'role') == 'slider']
    assert sliders and all(flag(n, 'valuetext') or of(n, 'value') is not None for n in sliders)
    assert any(flag(n, 'live') == 'polite' for n in tree)
