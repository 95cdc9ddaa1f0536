"""Code at most 80 columns wide, for the pages: lines that are longer are broken as a person would, and the code stays the same.

The notebooks keep their lines. `wrapped` breaks after a colon that a statement follows, at semicolons, and inside brackets, best in the
outermost ones and after a comma; comments, strings and docstrings at a space. What it makes has the same syntax tree, docstrings up to
their white space, or it is not used.
"""
import ast, io, math, re, textwrap, tokenize

WIDTH = 80
OPEN, CLOSE = '([{', ')]}'
BLOCK = re.compile(r'(?:async )?(?:if|elif|else|for|while|with|def|class|try|except|finally)\b')
BEFORE = {'for': 1, 'if': 1, 'else': 2, 'and': 2, 'or': 2, '==': 6, '<': 6, '>': 6, '<=': 6, '>=': 6, '+': 7, '-': 7, '|': 7, '*': 10, '/': 10, '@': 10}
DEEPER, EARLIER = 14, 5  # what a bracket more costs, and how many columns left empty cost 1


def wrapped(code, width=WIDTH):
    "The code with no line longer than the width, as far as that goes."
    if all(len(l) <= width or l.startswith('#|') for l in code.splitlines()): return code
    try: before = meaning(code)
    except SyntaxError: return code  # magics, or code to be completed
    done = []
    for lines in logical(code):
        if all(len(l) <= width or l.startswith('#|') for l in lines): done += lines; continue
        try: done += broken(lines, width)
        except (SyntaxError, tokenize.TokenError): done += lines
    new = '\n'.join(done)
    try: same = meaning(new) == before
    except SyntaxError: same = False
    return code if not same or new == code else wrapped(new, width)  # what one round made may be broken further


def wrapped_c(code, width=WIDTH):
    "C with no line longer than the width: broken at a space, best behind a sign, outside strings; what follows is deeper, except within a comment."
    done, within, macro = [], False, False  # in a comment of several lines; in a macro, whose lines stay
    for line in code.splitlines():
        before, macro = macro, line.endswith('\\')
        indent, todo = len(line) - len(line.lstrip()), line
        words = within or line.lstrip().startswith(('/*', '//'))
        if '/*' in line or '*/' in line: within = line.rfind('/*') > line.rfind('*/')
        while len(todo) > width and not (macro or before or line.lstrip().startswith('#')):
            said = todo.find('//') if '//' in todo else math.inf
            places = [k for k in range(indent + 20, width) if todo[k] == ' ' and todo[:k].count('"') % 2 == 0]
            if not places: break
            cut = places[-1] if words or said < width else max(places, key=lambda k: k + 25*(todo[k - 1] in ';{') + 15*(todo[k - 1] in ',)'))
            if not words and indent + 20 < said - 1 < width: cut = said - 1
            done.append(todo[:cut].rstrip())
            todo = ' '*(indent + 8*(not words)) + '// '*(said < cut) + todo[cut:].lstrip()
        done.append(todo)
    return '\n'.join(done)


def meaning(code):
    "The syntax tree of the code, as a text: of a docstring its words, of `import a, b` two statements."
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and (doc := ast.get_docstring(node)): node.body[0].value.value = ' '.join(doc.split())
    class Apart(ast.NodeTransformer):
        def visit_Import(self, node): return [ast.Import([name]) for name in node.names]
    return ast.dump(Apart().visit(tree))


def logical(code):
    "The lines of the code, those of one statement together."
    lines, groups, start = code.splitlines(), [], 0
    ends = [t.start[0] for t in tokenize.generate_tokens(io.StringIO(code + '\n').readline) if t.type == tokenize.NEWLINE]
    for end in ends:
        while start < end - 1 and (not lines[start].strip() or lines[start].lstrip().startswith('#')):  # between statements
            groups.append([lines[start]])
            start += 1
        groups.append(lines[start:end])
        start = end
    return [*groups, *([l] for l in lines[start:])]


def tokens(text):
    "The tokens of a statement, or of a part of one, that mean something."
    found, it = [], tokenize.generate_tokens(io.StringIO(text + '\n').readline)
    try:
        for t in it:
            if t.string.strip() and t.type not in (tokenize.NEWLINE, tokenize.INDENT): found.append(t)
    except (tokenize.TokenError, IndentationError, SyntaxError): pass  # only a part of a statement
    return whole_f_strings(found, text.splitlines())


def whole_f_strings(found, lines):
    "The tokens with an f-string as one, as it is before Python 3.12."
    begins, ends = getattr(tokenize, 'FSTRING_START', None), getattr(tokenize, 'FSTRING_END', None)
    made, level = [], 0
    for t in found:
        level += t.type == begins
        if begins is None or not level: made.append(t)
        elif t.type == begins and level == 1: first = t
        elif t.type == ends and level == 1:
            (a, b), (c, d) = first.start, t.end
            text = lines[a - 1][b:d] if a == c else '\n'.join([lines[a - 1][b:], *lines[a:c - 1], lines[c - 1][:d]])
            made.append(tokenize.TokenInfo(tokenize.STRING, text, first.start, t.end, first.line))
        level -= t.type == ends
    return made


def broken(lines, width):
    "A statement, or a line between statements, in lines that fit."
    indent = len(lines[0]) - len(lines[0].lstrip())
    if lines[0].lstrip().startswith('#'): return comment(lines[0].lstrip('# '), indent, width)
    lines, blocks = set_aside(lines)
    return put_back(laid_out(lines, indent, width), blocks, width) if blocks else laid_out(lines, indent, width)


def laid_out(lines, indent, width):
    "A statement without strings in triple quotes, in lines that fit."
    lines = re.sub(r' *\\\n *', ' ', '\n'.join(lines)).split('\n')  # a backslash joins them already
    found = tokens(lines[0].lstrip() + ''.join('\n' + l for l in lines[1:]))
    if len(found) == 1 and found[0].type == tokenize.STRING and indent: return docstring(lines[0].strip(), indent, width)
    if lines[0].lstrip().startswith('import '): return [l.rstrip(',') for l in comment(lines[0].split(None, 1)[1], indent, width, 'import ')]
    def column(t): return t.start[1] + (indent if t.start[0] == 1 else 0)
    if len(lines) == 1 and found[-1].type == tokenize.COMMENT and len(found) > 1:
        at = column(found[-1])
        return comment(found[-1].string.lstrip('# '), indent, width) + fitted([lines[0][:at].rstrip()], width)
    depth = 0
    for t, after in zip(found, found[1:]):
        depth += (t.string in OPEN) - (t.string in CLOSE)
        if depth or t.start[0] != 1: continue
        block = t.string == ':' and BLOCK.match(lines[0].lstrip())
        if block and after.type != tokenize.COMMENT or t.string == ';':
            if t.string == ':' and any(u.string == 'lambda' for u in found[:found.index(t)]): continue
            at, new = column(t), indent + 4*bool(block)
            rest = (lines[0][at + 1:].lstrip(), *lines[1:])
            moved = len(lines[0]) - len(rest[0]) - new
            body = [' '*new + rest[0], *(l[min(moved, len(l) - len(l.lstrip())):] if moved > 0 else l for l in rest[1:])]
            return fitted([lines[0][:at + bool(block)].rstrip()], width) + fitted(body, width)
    lines, best_way, least = with_brackets(lines, width), lines, math.inf
    for far in 44, 24, 8:  # a column at which what a bracket holds may still begin
        way = filled(lines, width, far)
        over = sum(max(0, len(l) - width) for l in way)
        if over < least: best_way, least = way, over
        if not over: break
    return best_way


def set_aside(lines):
    "The statement with a short string in the place of each one in triple quotes, and these by what stands for them."
    indent, blocks, lines = len(lines[0]) - len(lines[0].lstrip()), {}, list(lines)
    found = [t for t in tokens(lines[0].lstrip() + ''.join('\n' + l for l in lines[1:])) if re.match(r'\w{0,2}("""|\'\'\')', t.string)]
    for t in reversed(found):
        (a, b), (c, d) = t.start, t.end
        b, d = b + indent*(a == 1), d + indent*(c == 1)
        name = f'"\ue000{len(blocks)}' + '_'*(min(len(t.string.split('\n')[0]), 40) - 4) + '"'
        blocks[name] = t.string
        lines[a - 1:c] = [lines[a - 1][:b] + name + lines[c - 1][d:]]
    return lines, blocks


def put_back(lines, blocks, width):
    "The statement with its strings in triple quotes."
    done = []
    for line in lines:
        while name := re.search('"\ue000\\d_*"', line):
            before, after, block = line[:name.start()], line[name.end():], blocks[name[0]]
            parts = docstring(block, len(before), width) if before.isspace() and not after else in_block(block, len(before), width, len(after))
            *more, line = [*(before + parts[0].lstrip(), *parts[1:-1]), parts[-1] + after] if len(parts) > 1 else [before + parts[0].lstrip() + after]
            done += more
        done.append(line)
    return done


def docstring(text, indent, width):
    "A docstring in as many lines as it needs."
    prefix, quotes, body = re.fullmatch(r'(\w{0,2})("""|\'\'\'|"|\')(.*)\2', text, re.S).groups()
    if len(quotes) == 1: quotes = '"""' if '"""' not in body and not body.endswith('"') else "'''"
    first, *rest = (body + quotes).split('\n')
    done = comment(first, indent, width, prefix + quotes, '')
    for l in rest: done += comment(l.lstrip(), len(l) - len(l.lstrip()), width, '') if len(l) > width else [l]
    return done


def cuts_of(text, formatted):
    "Where a string may be broken, and whether it is at a space: behind a space, else between what is formatted and what is not."
    level = k = 0
    while k < len(text) - 1:
        if formatted and not level and text[k:k + 2] in ('{{', '}}'): k += 2; continue
        if level and text[k] in '"\'': k = text.find(text[k], k + 1)
        elif formatted: level += (text[k] == '{') - (text[k] == '}')
        k += 1
        if level: continue
        if text[k - 1] == ' ': yield k, True
        elif text[k - 1] in ';>,|' or formatted and (text[k - 1] == '}' or text[k] == '{'): yield k, False


def in_block(text, at, width, after):
    "The lines of a string in triple quotes that begins at a column, the long ones broken by a backslash."
    lines, done = text.split('\n'), []
    raw, formatted = (x in re.match(r'\w*', text)[0].lower() for x in 'rf')
    for n, line in enumerate(lines):
        room = width - (at if n == 0 else 0)
        while not raw and len(line) + after*(n + 1 == len(lines)) > room:
            found = [(space or k < room/2, k) for k, space in cuts_of(line, formatted) if k < room and k < len(line)]
            if not found: break
            k = max(found, key=lambda f: (f[0] and f[1] > room/2, f[1]))[1]
            done.append(line[:k] + '\\')
            line, room = line[k:], width
        done.append(line)
    return done


def fitted(lines, width):
    "The statement as it is where it fits, or broken."
    return lines if all(len(l) <= width for l in lines) and ';' not in lines[0] else broken(lines, width) if lines[0].strip() else lines


def comment(words, indent, width, mark='# ', next_mark=None):
    "A comment, or something like it, in as many lines as it needs."
    return textwrap.wrap(words, width, initial_indent=' '*indent + mark, subsequent_indent=' '*indent + (mark if next_mark is None else next_mark), break_long_words=False, break_on_hyphens=False)


def with_brackets(lines, width):
    "The statement with brackets around the value that it assigns or returns, or the names that it imports, where it has none that serve."
    line, indent = lines[0], len(lines[0]) - len(lines[0].lstrip())
    if len(lines) > 1: return lines
    if m := re.match(r'( *from [\w.]+ import )([^(].*)$', line): return [f'{m[1]}({m[2]})']
    if m := re.match(r'( *(?:if|elif|while) )(.*):$', line): return [f'{m[1]}({m[2]}):'] if re.search(' (and|or) ', m[2]) else lines
    head, body = ('def f(): ', line.strip()) if line.strip().startswith('return') else ('', line.strip())
    try: node = ast.parse(head + body).body[0]
    except SyntaxError: return lines
    if head: node = node.body[0]
    value = node.test if isinstance(node, ast.Assert) else getattr(node, 'value', None)
    if value is None or isinstance(value, ast.Constant) and (isinstance(node, ast.Expr) or '\ue000' in str(value.value)): return lines
    if isinstance(node, ast.Expr) and isinstance(value, ast.Yield) and value.value: value = value.value
    def at(byte): return len((head + body).encode()[:byte].decode()) - len(head)
    a, b = at(value.col_offset), at(value.end_col_offset)
    target = at(node.targets[0].end_col_offset) if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple) and body[0] != '(' else 0
    if indent + target + 4 > width: return [' '*indent + f'({body[:target]}){body[target:]}']
    given = body[a:b]
    bracketed = given.startswith('(') and isinstance(value, ast.Tuple)
    if isinstance(node, (ast.Assign, ast.AugAssign, ast.Return)) and b == len(body) and indent + a > 22 and indent + 5 + len(given) <= width and not isinstance(value, (ast.Dict, ast.List)):
        return [' '*indent + body[:a] + '(', ' '*(indent + 4) + (given[1:] if bracketed else given + ')')]  # the value in a line of its own
    if bracketed or isinstance(value, (ast.Call, ast.List, ast.Dict, ast.Set, ast.ListComp, ast.SetComp, ast.DictComp, ast.Yield, ast.YieldFrom, ast.Await)): return lines
    return [' '*indent + f'{body[:a]}({given}){body[b:]}']


def filled(lines, width, far=44):
    "The statement with its long lines broken inside brackets."
    done, stack, todo = [], [], list(lines)  # stack: for each open bracket, where what it holds begins
    while todo:
        line = todo.pop(0)
        found = inside(line, stack)
        if len(line) <= width: done.append(line)
        elif (hash_at := next((c for s, c, _ in found[0] if s.startswith('#')), None)) is not None:
            code, words = line[:hash_at], line[hash_at:].lstrip('# ')
            if hash_at <= 52 and code.strip():
                first, *more = comment(words, hash_at, width)
                done += [code + first.lstrip(), *more]
            elif code.strip():  # below what it is about, and deeper: above, it would seem to be about what stands there
                within = inside(code, stack)[1]
                todo[:0] = [code.rstrip(), *comment(words, within[-1] + 4 if within else len(line) - len(line.lstrip()), width)]
                continue
            else: done += comment(words, hash_at, width)
        elif (cut := best(line, found[0], stack, width, far)) is not None:
            first, rest, column = cut
            done.append(first)
            stack = inside(first, stack)[1]
            todo.insert(0, ' '*column + rest)
            continue
        else: done.append(line)
        stack = found[1]
    return done


def inside(line, stack):
    "The tokens of a line of a statement (text, column, depth after it) and the brackets that are open at its end."
    found, stack, indent = [], list(stack), len(line) - len(line.lstrip())
    words = [t for t in tokens(line.lstrip()) if t.start[0] == 1]
    for n, t in enumerate(words):
        s, at = t.string, t.start[1] + indent
        if s in CLOSE and stack: stack.pop()
        if s in OPEN:
            last = n + 1 == len(words)
            stack.append(indent + 4 if last else at + 1)
        found.append((s, at, len(stack)))
    return found, stack


def best(line, found, stack, width, far):
    "Where to break the line: its first part, the rest, and the rest's column; nothing where it cannot be broken."
    indent, open_, choices, target = len(line) - len(line.lstrip()), list(stack), [], None
    for n, (s, at, depth) in enumerate(found):
        open_ = open_[:depth] if len(open_) >= depth else [*open_, at + 1]
        if s == 'for': target = depth
        elif s == 'in' and target == depth: target = None
        if not depth or n + 1 == len(found): continue
        (after, start, _), end, column = found[n + 1], at + len(s), open_[depth - 1]
        if column > far and column > indent + far - 20: column = indent + 4 if not stack else min(column, indent + 8)
        cost = DEEPER*depth + 20*(content(found, n, depth) < 16)
        if s == ',' and after not in CLOSE and target is None: choices.append((cost, end, start, column))
        if s == ':' and after not in CLOSE: choices.append((cost + 30, end, start, min(column + 4, indent + 4)))
        if s[-1] in '"\'' and after[-1] in '"\'' and (n + 2 == len(found) or found[n + 2][0] != ':'): choices.append((cost, end, start, min(at, column)))
        if s in BEFORE and n and found[n - 1][0] not in (*OPEN, ',', '=', *BEFORE) and line[at - 1] == ' ': choices.append((cost + BEFORE[s], at - 1, at, column))
        if s in OPEN and n and (found[n - 1][0].isidentifier() or found[n - 1][0] in '([='):
            choices.append((cost + 9, end, start, indent + 4 if not stack else min(indent + 4, column)))
    cuts = [(cost + (width - end)/EARLIER, line[:end].rstrip(), line[start:], column) for cost, end, start, column in choices
            if end <= width and column < start and column + len(line[start:]) < len(line)]
    cuts += strings(line, found, width, far)
    return min(cuts)[1:] if cuts else None


def content(found, n, depth):
    "How many characters the bracket around a token holds in this line."
    first = next((k for k in range(n, -1, -1) if found[k][2] < depth), -1)
    last = next((k for k in range(n, len(found)) if found[k][2] < depth), len(found) - 1)
    return found[last][1] - (found[first][1] if first >= 0 else 0)


def strings(line, found, width, far):
    "Ways to break a line within a string that is too long, at a space."
    indent = len(line) - len(line.lstrip())
    for n, (s, at, depth) in enumerate(found):
        m = re.match(r'([fFrR]{0,2})(["\'])', s)
        end = next((c for t, c, d in found[n + 1:] if d and t not in (*CLOSE, ',')), len(line) + 1) - 1  # of the string and what is bound to it
        if not depth or not m or end <= width or at > width - 20: continue
        prefix, quote = m[1], m[2]
        alone = 15 * (len(s) < width - 30) + 2*(at - indent)*(far < 44)  # it fits in a line of its own
        for space in True, False:
            places = [k for k, spaced in cuts_of(s, 'f' in prefix.lower()) if spaced == space and len(m[0]) + (8 if space else 2) < k < len(s) - 1]
            last = max((k for k in places if k < width - at), default=None) or min((k for k in places if k < len(s) - 20), default=None)
            if last: yield DEEPER*depth + 5 + alone + 12*(not space) + abs(width - at - last)/EARLIER, line[:at + last] + quote, prefix + quote + line[at + last:], at
