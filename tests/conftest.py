"Fixtures shared by the tests: the built site, served, and a browser to look at it with."
import os, subprocess, sys, threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # for `tools`


@pytest.fixture(scope='session')
def site(tmp_path_factory):
    "The folder of the site, built once by the default renderer that pip provides."
    out = tmp_path_factory.mktemp('site')/'docs'
    done = subprocess.run([sys.executable, 'tools/docs.py', '--renderer', 'smalldocs', '--out', str(out)],
                          cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
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
