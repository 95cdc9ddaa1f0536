"Fixtures shared by the tests: the built site, served, and a browser to look at it with."
import json, os, re, shutil, signal, socket, subprocess, sys, threading, time, urllib.request
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # for `tools`
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background inherits an ignored one, and so would its children
if 'PYTEST_XDIST_WORKER' in os.environ: os.environ.setdefault('OMP_NUM_THREADS', '1')  # tests run side by side: a thread each

LONG = bool(os.environ.get('LONG'))  # `LONG=1 pytest`: everything everywhere, where else a part stands for the whole

# the files that take longest come first, so that the processes that share them end together
LONGEST = 'trainer', 'playground', 'pages', 'speed', 'everyone', 'site', 'explore', 'fuzz_api', 'pictures', 'distributed', 'faults', 'package', 'exercises', 'tools', 'cli', 'resume', 'stumbles'


def pytest_collection_modifyitems(items):
    order = {f'test_{name}.py': i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


def pytest_addoption(parser):
    parser.addoption('--site', type=Path, help='a built site to test, such as one that Quarto made; without it one is built')


def node():
    "The command; without it a test is skipped, except where CI is set: there it must be."
    if not shutil.which('node'): pytest.fail('no node: install nodejs') if os.environ.get('CI') else pytest.skip('no node: install nodejs')
    return 'node'


@pytest.fixture(scope='session')
def site(tmp_path_factory, request):
    "The folder of the site: the one given by `--site`, else built once by the default renderer that pip provides."
    if given := request.config.getoption('--site'): return given.resolve()
    base = tmp_path_factory.getbasetemp()
    if 'PYTEST_XDIST_WORKER' in os.environ: base = base.parent  # one site for all processes: the first that asks builds it
    out = base/'site'
    with FileLock(base/'site.lock'):
        if not out.exists():
            made = base/'site.part'
            done = subprocess.run([sys.executable, 'tools/docs.py', '--renderer', 'smalldocs', '--out', str(made)], cwd=ROOT, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
            made.rename(out)
    return out


@pytest.fixture(scope='session')
def address(site):
    "Where the site is served."
    from tools.docs import serve
    with serve(site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}'
        server.shutdown()


@pytest.fixture(scope='session')
def chromium():
    "A running Chromium. Without one these tests are skipped, except where CI is set: there it must be."
    from playwright.sync_api import Error, sync_playwright
    from tools.shots import launch
    with sync_playwright() as pw:
        try: browser = launch(pw)
        except Error as e:
            why = f'no Chromium: install `chromium` or run `playwright install chromium` ({str(e).splitlines()[0]})'
            if os.environ.get('CI'): pytest.fail(why)
            pytest.skip(why)
        yield browser
        browser.close()


@pytest.fixture(scope='session')
def lab(tmp_path_factory):
    "Where a JupyterLab shows the widgets: for each of their notebooks a copy, trusted, of the cells whose outputs hold them."
    folder = tmp_path_factory.mktemp('lab')
    env = {**os.environ, 'JUPYTER_DATA_DIR': str(folder/'.data'), 'JUPYTER_CONFIG_DIR': str(folder/'.config'), 'IPYTHONDIR': str(folder/'.ipython')}
    for name in '01_conv', '35_trainer', '36_playground', 'index':
        nb = json.loads((ROOT/f'nbs/{name}.ipynb').read_text(encoding='utf-8'))
        nb['cells'] = [c for c in nb['cells'] if any(re.search('class="(explore-conv|mnist-cnn-playground|mnist-cnn-trainer)"', ''.join(o.get('data', {}).get('text/html', '')))
                                                     for o in c.get('outputs', []))]
        (folder/f'{name}.ipynb').write_text(json.dumps(nb), encoding='utf-8')
    subprocess.run([sys.executable, '-m', 'jupyter', 'trust', *map(str, folder.glob('*.ipynb'))], env=env, check=True, capture_output=True)
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    args = [f'--port={port}', '--port-retries=0', '--ip=127.0.0.1', '--no-browser', '--allow-root', '--IdentityProvider.token=',
            f'--ServerApp.root_dir={folder}', '--LabApp.news_url=', '--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate']
    with open(folder/'log', 'w') as log:
        server = subprocess.Popen([sys.executable, '-m', 'jupyter', 'lab', *args], cwd=folder, env=env, stdout=log, stderr=log)
        try:
            for _ in range(120):
                if server.poll() is not None: break
                try: urllib.request.urlopen(f'http://127.0.0.1:{port}/api'); break
                except OSError: time.sleep(.5)
            else: server.kill()
            assert server.poll() is None, (folder/'log').read_text()
            yield f'http://127.0.0.1:{port}'
        finally:
            server.terminate()
            server.wait()


def open_widgets(tab, place, notebook):
    "Open a notebook in JupyterLab and wait until its widgets have started."
    tab.goto(f'{place}/lab/tree/{notebook}.ipynb?reset')  # without what was open before
    tab.locator(':is(.explore-conv, .mnist-cnn-playground, .mnist-cnn-trainer)[data-ready]').first.wait_for(timeout=60_000)
    tab.wait_for_timeout(500)


def wait_until(tab, js, arg=None, seconds=10):
    "Wait until a piece of JavaScript gives something true. (Playwright's own way would evaluate text in the page, which its policy forbids.)"
    end = time.monotonic() + seconds
    while not tab.evaluate(js, arg):
        assert time.monotonic() < end, js
        tab.wait_for_timeout(30)
