"""Code at most 80 columns wide, for the pages: lines that are longer are broken as a person would, and the code stays the same.

The notebooks keep their lines. `wrapped` breaks after a colon that a statement follows, at semicolons, and inside brackets, best in the
outermost ones and after a comma; comments and strings at a space. What it makes has the same syntax tree, or it is not used.
"""
import ast, io, re, textwrap, tokenize

WIDTH = 80
OPEN, CLOSE = '([{', ')]}'
BLOCK = re.compile(r'(?:async )?(?:if|elif|else|for|while|with|def|class|try|except|finally)\b')
BEFORE = {'for': 1, 'if': 1, 'else': 2, 'and': 2, 'or': 2, '==': 6, '<': 6, '>': 6, '<=': 6, '>=': 6, '+': 7, '-': 7, '|': 7, '*': 10, '/': 10, '@': 10}
DEEPER, EARLIER = 14, 5  # what a bracket more costs, and how many columns left empty cost 1


def wrapped(code, width=WIDTH):
    "The code with no line longer than the width, as far as that goes."
    if all(len(l) <= width or l.startswith('#|') for l in code.splitlines()): return code
    try: before = ast.dump(ast.parse(code))
    except SyntaxError: return code  # magics, or code to be completed
    done = []
    for lines in logical(code):
        if all(len(l) <= width or l.startswith('#|') for l in lines): done += lines; continue
        try: done += broken(lines, width)
        except (SyntaxError, tokenize.TokenError): done += lines
    new = '\n'.join(done)
    try: return new if ast.dump(ast.parse(new)) == before else code
    except SyntaxError: return code


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
    except (tokenize.TokenError, IndentationError): pass  # only a part of a statement
    return found


def broken(lines, width):
    "A statement, or a line between statements, in lines that fit."
    text, indent = '\n'.join(lines), len(lines[0]) - len(lines[0].lstrip())
    if lines[0].lstrip().startswith('#'): return comment(lines[0].lstrip('# '), indent, width)
    if re.search(r'"""|\'\'\'', text): return lines
    found = tokens(lines[0].lstrip() + ''.join('\n' + l for l in lines[1:]))
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
    return filled(with_brackets(lines, width), width)


def fitted(lines, width):
    "The statement as it is where it fits, or broken."
    return lines if all(len(l) <= width for l in lines) and ';' not in lines[0] else broken(lines, width) if lines[0].strip() else lines


def comment(words, indent, width, mark='# '):
    "A comment in as many lines as it needs."
    return textwrap.wrap(words, width, initial_indent=' '*indent + mark, subsequent_indent=' '*indent + mark, break_long_words=False, break_on_hyphens=False)


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
    if value is None or isinstance(node, ast.Expr) and isinstance(value, ast.Constant): return lines
    def at(byte): return len((head + body).encode()[:byte].decode()) - len(head)
    a, b = at(value.col_offset), at(value.end_col_offset)
    given = body[a:b]
    bracketed = given.startswith('(') and isinstance(value, ast.Tuple)
    if isinstance(node, (ast.Assign, ast.AugAssign, ast.Return)) and b == len(body) and indent + a > 22 and indent + 5 + len(given) <= width and not isinstance(value, (ast.Dict, ast.List)):
        return [' '*indent + body[:a] + '(', ' '*(indent + 4) + (given[1:] if bracketed else given + ')')]  # the value in a line of its own
    if bracketed or isinstance(value, (ast.Call, ast.List, ast.Dict, ast.Set, ast.ListComp, ast.SetComp, ast.DictComp, ast.Yield, ast.YieldFrom, ast.Await)): return lines
    return [' '*indent + f'{body[:a]}({given}){body[b:]}']


def filled(lines, width):
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
            elif code.strip():
                done += comment(words, len(line) - len(line.lstrip()), width)
                todo.insert(0, code.rstrip())
                continue
            else: done += comment(words, hash_at, width)
        elif (cut := best(line, found[0], stack, width)) is not None:
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


def best(line, found, stack, width):
    "Where to break the line: its first part, the rest, and the rest's column; nothing where it cannot be broken."
    indent, open_, choices, target = len(line) - len(line.lstrip()), list(stack), [], None
    for n, (s, at, depth) in enumerate(found):
        open_ = open_[:depth] if len(open_) >= depth else [*open_, at + 1]
        if s == 'for': target = depth
        elif s == 'in' and target == depth: target = None
        if not depth or n + 1 == len(found): continue
        (after, start, _), end, column = found[n + 1], at + len(s), open_[depth - 1]
        if column > 44 and column > indent + 24: column = indent + 4 if not stack else min(column, indent + 8)
        cost = DEEPER*depth + 20*(content(found, n, depth) < 16)
        if s == ',' and after not in CLOSE and target is None: choices.append((cost, end, start, column))
        if s in BEFORE and n and found[n - 1][0] not in (*OPEN, ',', '=', *BEFORE) and line[at - 1] == ' ': choices.append((cost + BEFORE[s], at - 1, at, column))
        if s in OPEN and n and (found[n - 1][0].isidentifier() or found[n - 1][0] in '([='):
            choices.append((cost + 9, end, start, indent + 4 if not stack else min(indent + 4, column)))
    cuts = [(cost + (width - end)/EARLIER, line[:end].rstrip(), line[start:], column) for cost, end, start, column in choices
            if end <= width and column < start and column + len(line[start:]) < len(line)]
    cuts += strings(line, found, width)
    return min(cuts)[1:] if cuts else None


def content(found, n, depth):
    "How many characters the bracket around a token holds in this line."
    first = next((k for k in range(n, -1, -1) if found[k][2] < depth), -1)
    last = next((k for k in range(n, len(found)) if found[k][2] < depth), len(found) - 1)
    return found[last][1] - (found[first][1] if first >= 0 else 0)


def strings(line, found, width):
    "Ways to break a line within a string that is too long, at a space."
    for s, at, depth in found:
        m = re.match(r'([fFrR]{0,2})(["\'])', s)
        if not depth or not m or at + len(s) <= width or at > width - 20: continue
        prefix, quote, level, last = m[1], m[2], 0, None
        for k in range(len(m[0]), min(len(s) - 1, width - 1 - at)):
            level += (s[k] == '{') - (s[k] == '}') if 'f' in prefix.lower() else 0
            if s[k] == ' ' and level == 0 and s[k - 1] != '\\': last = k + 1
        alone = 15 * (len(s) < width - 30)  # it fits in a line of its own
        if last and last > len(m[0]) + 8: yield DEEPER*depth + 5 + alone + (width - at - last)/EARLIER, line[:at + last] + quote, prefix + quote + line[at + last:], at
