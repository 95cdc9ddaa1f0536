"The site is for everyone: Lighthouse, calm, screen readers, PyTorch's names. (What is asked of every page: test_pages.py.)"
import functools, json, os, re, shutil, subprocess, types
from pathlib import Path

import pytest

from conftest import LONG, Firefox, node
from pages import from_npm

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def open_page(browser, address):
    "Opens a page of the site as somebody may have set their browser."
    contexts = []
    def opened(page, **settings):
        contexts.append(browser.new_context(base_url=address, **{'viewport': {'width': 1200, 'height': 900}, **settings}))
        tab = contexts[-1].new_page()
        tab.goto(f'/{page}.html')
        return tab
    yield opened
    for c in contexts: c.close()


@pytest.mark.own_theme
@pytest.mark.only_chromium('Lighthouse')
def test_lighthouse(address):
    "At least 95 for speed, accessibility, good practice and search, on a phone and on a desktop."
    from_npm('lighthouse/cli/index.js')
    browser = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
    if not browser: pytest.fail('no Chromium') if os.environ.get('CI') else pytest.skip('no Chromium that Lighthouse could start')
    three = 'index', 'conv', 'training'
    asked = [*(('mobile', p) for p in three), *(('desktop', p) for p in (*three, 'playground'))] if LONG else [('mobile', 'conv'), ('desktop', 'playground')]
    pages = [f'{kind}:{address}/{page}.html' for kind, page in asked]
    done = subprocess.run([node(), ROOT/'tests/js/lighthouse.mjs', '.95', *pages], env={**os.environ, 'CHROME_PATH': browser}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    scores = json.loads(done.stdout)
    assert list(scores) == pages and all(len(of) == 4 and min(of.values()) >= .95 for of in scores.values()), scores


@pytest.fixture
def calm(browser, address):
    "A tab in a browser whose system asks for calm (Playwright's own way does not reach SVG pictures in Chromium)."
    from tools.shots import launch
    calm = browser if isinstance(browser, Firefox) else launch(types.SimpleNamespace(chromium=browser.browser_type), '--force-prefers-reduced-motion')
    tab = calm.new_page(base_url=address, viewport={'width': 1200, 'height': 900}, reduced_motion='reduce')
    yield tab
    tab.close()
    if calm is not browser: calm.close()


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
    assert tab.get_by_role('group', name='The probability of each class').first.locator('.mcp-fill').first.evaluate('e => getComputedStyle(e).transitionDuration') in ('0s', '1e-05s', '0.00001s')
    assert tab.evaluate('getComputedStyle(document.documentElement).scrollBehavior') == 'auto'


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


@pytest.mark.only_chromium('the tree of what a screen reader is told')
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
