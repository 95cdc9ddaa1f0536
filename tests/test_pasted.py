"Pictures that are dropped on the page's field, pasted or chosen: found and prepared as Python does."
import base64, re, subprocess, threading

import numpy as np
import pasted
import pytest
from conftest import node

from mnist_cnn.data import load_tensors, prepare_image
from mnist_cnn.playground import playground
from tools.docs import serve
from tools.widgets import lighten

X, Y = load_tensors(train=False)
MOST = 0.1  # of 255: the mean difference of a pixel, for browsers and Pillow need not decode and resize to the bit


def test_parts():
    done = subprocess.run([node(), '--test', pasted.ROOT/'tests/js/pictures.test.js'], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_hundred_pictures(tmp_path):
    "The page's functions find as many digits as Python in each of a hundred pictures, and prepare them alike"
    x, y = X[:, 0].numpy(), Y.numpy()
    node()
    given = [*pasted.made(x, y, 1), *pasted.made(x, y, 3, ['phone', 'squared', 'sheet_on_wood', 'chalk', 'thin_pen', 'palette', 'two_digits'], seed=1)]
    assert len(given) >= 100
    found = pasted.in_node([data for _, data in given], tmp_path)
    differences = [pasted.difference(data, f) for (_, data), f in zip(given, found)]
    assert [name for (name, _), d in zip(given, differences) if d > MOST] == []
    assert np.mean([d == 0 for d in differences]) > 0.85


# In a browser

@pytest.fixture(scope='module')
def page(tmp_path_factory):
    "A page with two playgrounds, as a notebook holds them, and once more as the site does"
    folder = tmp_path_factory.mktemp('page')
    one, two = folder/'page.html', folder/'light.html'
    for path in (one, two): path.write_text('<!doctype html><meta charset="utf-8"><title>Test</title><body>' + 2 * playground(folded=True)._repr_html_(), encoding='utf-8')
    lighten(two)
    text = two.read_text(encoding='utf-8')
    assert 'findDigits' not in text and not re.search('"reader":', ''.join(p.read_text(encoding='utf-8') for p in folder.glob('light_files/*')))
    return folder


@pytest.fixture(scope='module')
def place(page):
    "Where it is served"
    with serve(page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}'
        server.shutdown()


@pytest.fixture
def tab(browser, place):
    context = browser.new_context(viewport={'width': 1200, 'height': 900}, reduced_motion='reduce')
    tab, tab.faults, tab.asked = context.new_page(), [], []
    tab.on('pageerror', lambda e: tab.faults.append(str(e)))
    context.on('request', lambda r: tab.asked.append(r.url))
    tab.add_init_script('workers_ = 0; Worker = class extends Worker { constructor(...of) { super(...of); workers_++; } };')
    tab.show = lambda name: tab.goto(f'{place}/{name}.html', wait_until='networkidle')
    yield tab
    assert tab.faults == []
    context.close()


GIVE = """([data, name, type, how]) => {
  const root = document.querySelector('.mnist-cnn-playground'), file = new File([Uint8Array.from(atob(data), c => c.charCodeAt(0))], name, {type}), transfer = new DataTransfer();
  transfer.items.add(file);
  const field = root.querySelector('.mcp-field'), event = (kind, of) => new of(kind, {bubbles: true, cancelable: true, ...(of === DragEvent && {dataTransfer: transfer})});
  if (how === 'drop') return field.dispatchEvent(event('dragover', DragEvent)) + field.dispatchEvent(event('drop', DragEvent));
  root.querySelector('.mcp-actions button').focus();
  const pasted = event('paste', ClipboardEvent);
  Object.defineProperty(pasted, 'clipboardData', {value: transfer});  // Firefox makes none with files in it
  return document.activeElement.dispatchEvent(pasted);
}"""
SEEN = """c => { const d = c.getContext('2d').getImageData(0, 0, 280, 280).data; return Array.from({length: 784}, (_, i) => d[4 * ((10 * Math.floor(i / 28) + 5) * 280 + 10 * (i % 28) + 5)]); }"""


def give(tab, data, how, name='a.png', type='image/png'):
    root = tab.locator('.mnist-cnn-playground').first
    if how == 'choose':
        with tab.expect_file_chooser() as chooser:
            root.get_by_role('button', name='Read a picture').focus()
            tab.keyboard.press('Enter')
        chooser.value.set_files({'name': name, 'mimeType': type, 'buffer': data})
    else: assert not tab.evaluate(GIVE, [base64.b64encode(data).decode(), name, type, how])
    tab.wait_for_function("() => !document.querySelector('.mcp-told').textContent.startsWith('Looking')")
    tab.evaluate('() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))')
    return root


@pytest.mark.parametrize('how', ['drop', 'paste', 'choose'])
@pytest.mark.parametrize('name', ['page', 'light'])
def test_a_photograph(tab, how, name):
    "Read as Python reads it, shown with a box, announced; the reader is loaded with the first picture, and a line drawn then takes its place"
    tab.show(name)
    assert not any('pictures' in url for url in tab.asked) and tab.evaluate('workers_') == 0
    path = pasted.PHOTOS/'paper_on_dark_desk-is-1.jpg'
    root = give(tab, path.read_bytes(), how, path.name, 'image/jpeg')
    assert np.abs(np.array(root.locator('.mcp-input').evaluate(SEEN)) - prepare_image(path).flatten().numpy()).mean() <= MOST
    assert root.locator('.mcp-verdict strong').inner_text() == '1' and root.locator('.mcp-field image').count() == root.locator('.mcp-found').count() == 1
    assert 'The digit in your picture is read as 1' in root.locator('.mcp-live').inner_text()
    assert any('pictures' in url for url in tab.asked) == (name == 'light') and tab.evaluate('workers_') == 1
    b = root.locator('.mcp-field').bounding_box()
    tab.mouse.move(b['x'] + 100, b['y'] + 40)
    tab.mouse.down()
    tab.mouse.move(b['x'] + 100, b['y'] + 180)
    tab.mouse.up()
    assert root.locator('.mcp-field image').count() == 0 and root.locator('.mcp-ink').count() == 1


def test_other_pictures(tab):
    "As many as there are photos, one after another, in one page"
    tab.show('page')
    for path in sorted(pasted.PHOTOS.iterdir()):
        if '16' in path.name or path.stem.endswith(('none', 'several')): continue
        root = give(tab, path.read_bytes(), 'drop', path.name, 'image/png' if path.suffix == '.png' else 'image/jpeg')
        assert root.locator('.mcp-told').inner_text() == ''
        assert np.abs(np.array(root.locator('.mcp-input').evaluate(SEEN)) - prepare_image(path).flatten().numpy()).mean() <= MOST, path.name


@pytest.mark.parametrize('name, says', [('two_digits-is-several.png', '2 digits found'), ('blank-noisy-page-is-none.png', 'No digit found')])
def test_no_single_digit(tab, name, says):
    tab.show('page')
    root = give(tab, (pasted.PHOTOS/name).read_bytes(), 'drop')
    assert says in root.locator('.mcp-told').inner_text() and root.locator('.mcp-verdict strong').inner_text() == '–'
    root.get_by_role('button', name='Clear').click()
    assert root.locator('.mcp-told').inner_text() == '' and root.locator('.mcp-field image').count() == 0


def test_a_file_that_no_browser_reads(tab):
    tab.show('page')
    root = give(tab, b'\0\0\0\x18ftypheic' + bytes(100), 'drop', 'IMG_1.HEIC', '')
    assert 'cannot read IMG_1.HEIC' in root.locator('.mcp-told').inner_text()


def test_what_is_no_picture_is_left_alone(tab):
    "Text that is pasted, or pictures that are pasted elsewhere, are not taken"
    tab.show('page')
    before = tab.locator('.mcp-verdict').first.inner_text()
    tab.evaluate("""() => { const t = new DataTransfer(); t.setData('text/plain', '7'); document.querySelector('.mcp-actions button').focus();
      document.activeElement.dispatchEvent(new ClipboardEvent('paste', {bubbles: true, clipboardData: t}));
      const u = new DataTransfer(); u.items.add(new File([new Uint8Array(9)], 'a.png', {type: 'image/png'})); document.activeElement.blur();
      document.body.dispatchEvent(new ClipboardEvent('paste', {bubbles: true, clipboardData: u})); }""")
    tab.wait_for_timeout(300)
    assert tab.locator('.mcp-told').first.inner_text() == '' and tab.locator('.mcp-verdict').first.inner_text() == before
