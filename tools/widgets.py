"""Make the pages' widgets light: what a notebook must hold in one piece, a website keeps in files that browsers load once and late.

Scripts and data go into files (they run in the order of the page once it is there, and stand in nobody's way); a script
or style that comes more than once stays once: scripts at their last place, where all they look for is there, styles at their first.
"""
import functools, json, re
from hashlib import md5

SCRIPT = re.compile(r'<script>(.*?)</script>', re.S)
DATA = re.compile(r'<script type="application/json">(.*?)</script>', re.S)
STYLE = re.compile(r'<style>(.*?)</style>', re.S)
LEAST = 2000  # characters from which a file of its own pays
# puts the data where the script that loads it stands
PUT_BACK = "document.currentScript.replaceWith(Object.assign(document.createElement('script'), {{type: 'application/json', textContent: {}}}));"


def lighten(page):
    "Move what the page's widgets hold into files beside it."
    text = before = page.read_text(encoding='utf-8')
    folder = page.parent/f'{page.stem}_files'
    text = DATA.sub(lambda m: f'<script type="application/json">{with_files(m[1], page.parent/"widgets")}</script>', text)
    text = DATA.sub(lambda m: in_file(PUT_BACK.format(json.dumps(m[1])), folder) if len(m[1]) > LEAST else m[0], text)
    scripts = [m[1] for m in SCRIPT.finditer(text)]
    def script(m):
        if len(m[1]) < LEAST: return m[0]
        scripts.remove(m[1])
        return '' if m[1] in scripts else in_file(m[1], page.parent/'widgets')
    text = SCRIPT.sub(script, text)
    seen = set()
    text = STYLE.sub(lambda m: '' if m[1] in seen else (seen.add(m[1]), m[0])[1], text)
    if text != before: page.write_text(text, encoding='utf-8')


def with_files(data, folder):
    "The data of a trainer or a playground, with the addresses of files in place of what a notebook has to hold; any other data as it is."
    if not data.startswith(('{"trainer":', '{"layers":')): return data
    given = json.loads(data)
    if 'trainer' not in given:
        if 'reader' in given: given['reader_file'] = address(given.pop('reader').encode(), 'pictures.js', folder)
        return json.dumps(given, separators=(',', ':')).replace('<', '\\u003c')
    del given['parts']
    given['files'] = {kind: kept(name, folder) for kind, name in (('engine', 'trainer_engine.js'), ('wasm', 'SimpleCNN.wasm'), ('digits', 'digits.bin'), ('typical', 'typical.bin'))}
    return json.dumps(given, separators=(',', ':')).replace('<', '\\u003c')


@functools.cache
def trainer_files():
    "What all trainers of the site share."
    from mnist_cnn.trainer import page_files  # imports torch
    return page_files()


def kept(name, folder):
    "Write one of these files into the folder, as `address` does."
    return address(trainer_files()[name], name, folder)


def address(content, name, folder):
    "Write bytes into the folder, their name made by their content, so that browsers keep no old ones; returns the address."
    folder.mkdir(exist_ok=True)
    stem, _, end = name.partition('.')
    file = folder/f'{stem}-{md5(content).hexdigest()[:8]}.{end}'
    if not file.exists(): file.write_bytes(content)
    return f'{folder.name}/{file.name}'


def in_file(code, folder):
    "A tag that loads the code from a file in the folder, which is named by its content."
    folder.mkdir(exist_ok=True)
    file = folder/f'{md5(code.encode()).hexdigest()[:8]}.js'
    file.write_text(code, encoding='utf-8')
    return f'<script src="{folder.name}/{file.name}" defer></script>'
