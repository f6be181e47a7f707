"""House rules as a test: who may include whom, sizes, names, banned calls, dead files.

Run from the repository root. The rules are data: include_rules.txt and limits.txt beside this file.
Prints every violation as path:line: what, and exits 1 if there is any.
"""

import fnmatch
import os
import re
import subprocess
import sys

import cxx_scan

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.M)
BANNED = [
    (r'\b(sleep_for|sleep_until|usleep|nanosleep)\s*\(', 'sleeps are no synchronisation', ()),
    (r'\b(strcpy|strcat|sprintf|gets|strtok)\s*\(', 'unbounded C string call', ()),
    (r'\bstd::(cout|cerr)\b|\bprintf\s*\(', 'libraries do not print',
     ('engine/', 'client/cli/', 'server/main', 'server/server_config', 'tests/', 'bench/')),
    (r'\b(TODO|FIXME|XXX)\b', 'unfinished: finish it or say it in the documents', ()),
    (r'\busing namespace (?!std::.*literals)\w', 'using namespace', ('tests/', 'bench/')),
]
TOP_LEVEL = {'CMakeLists.txt', 'CMakePresets.json', 'README.md', 'LICENSE', 'server', 'client',
             'codec', 'engine', 'tests', 'bench', 'conf'}


def tracked_files():
    listed = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard'], cwd=ROOT,
                            capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return sorted(p for p in listed.stdout.split('\n') if p and os.path.exists(
            os.path.join(ROOT, p)))
    found = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [f for f in folders if f not in ('.git', 'build', 'node_modules')]
        found += [os.path.relpath(os.path.join(folder, n), ROOT) for n in names]
    return sorted(found)


def read(path):
    with open(os.path.join(ROOT, path), encoding='utf-8') as f:
        return f.read()


def data_lines(name):
    for line in read(os.path.join('tests/tidy', name)).split('\n'):
        line = line.strip()
        if line and not line.startswith('#'):
            yield line


def load_include_rules():
    allowed, system = {}, []
    for line in data_lines('include_rules.txt'):
        left, right = (side.strip() for side in line.split('->'))
        if left.startswith('system '):
            system.append((left.split()[1], right.split()))
        else:
            allowed[left] = right.split()
    return allowed, system


def rule_for(path, allowed):
    """The rule of the file itself, else of its folder or the nearest folder above it."""
    stem = os.path.splitext(path)[0]
    while stem:
        if stem in allowed:
            return stem, allowed[stem]
        stem = os.path.dirname(stem)
    return None, None


def check_includes(path, text, files, allowed, system):
    rule, targets = rule_for(path, allowed)
    if rule is None:
        yield 1, f'no include rule covers {os.path.dirname(path)}'
        return
    own = os.path.splitext(path)[0] + '.h'
    quoted = []
    for match in INCLUDE.finditer(text):
        line = text.count('\n', 0, match.start()) + 1
        kind, name = match.groups()
        if kind == '<' or '/' not in name:
            yield from check_system(path, line, name, system)
            continue
        quoted.append(name)
        generated = name.endswith('.capnp.h')
        if not generated and name not in files:
            yield line, f'"{name}" is not a file, written from the repository root'
        elif not permitted(path, rule, targets, name):
            yield line, f'{rule} may not include "{name}"'
    if path.endswith('.cc') and own in files and (not quoted or quoted[0] != own):
        yield 1, f'its own header "{own}" comes first'


def permitted(path, rule, targets, name):
    folder, stem = os.path.dirname(name), os.path.splitext(name)[0]
    if '*' in targets or folder == 'codec/base' or folder == os.path.dirname(path):
        return True
    return folder in targets or stem in targets or folder == rule


def check_system(path, line, name, system):
    for prefix, users in system:
        if name.startswith(prefix):
            stem = os.path.splitext(path)[0]
            folder = os.path.dirname(path)
            top = path.split('/')[0]
            if not any(u in (stem, folder) or (u in ('tests', 'bench') and u == top)
                       for u in users):
                yield line, f'<{name}> is only for {", ".join(users)}'


def limit_for(path, what):
    found = None
    for line in data_lines('limits.txt'):
        name, number, *pattern = line.split()
        if name == what and matches(path, pattern[0] if pattern else '**'):
            found = int(number)
    return found


def matches(path, pattern):
    return fnmatch.fnmatch(path, pattern.replace('**/', '*').replace('**', '*'))


def check_sizes(path, text):
    lines = text.count('\n')
    for what in ('file_lines', 'coordinator_lines'):
        limit = limit_for(path, what)
        if limit and lines > limit:
            yield 1, f'{lines} lines, the limit is {limit}'
    if path.endswith('.h') and lines > (limit_for(path, 'header_lines') or lines):
        yield 1, f'{lines} lines, the limit for a header is {limit_for(path, "header_lines")}'
    columns = limit_for(path, 'line_columns')
    for number, line in enumerate(text.split('\n'), 1):
        if columns and len(line) > columns:
            yield number, f'{len(line)} columns, the limit is {columns}'
    longest = limit_for(path, 'function_lines')
    if longest and path.endswith(('.cc', '.h')):
        for first, last, head in cxx_scan.functions(text):
            if last - first + 1 > longest:
                name = head.split('(')[0].split()[-1] if head.split('(')[0].split() else '?'
                yield first, f'{name}: {last - first + 1} lines, the limit is {longest}'


def check_banned(path, text):
    code = cxx_scan.blank(text)
    for pattern, why, exempt in BANNED:
        if path.startswith(exempt) if exempt else False:
            continue
        source = text if 'TODO' in pattern else code
        for match in re.finditer(pattern, source):
            yield source.count('\n', 0, match.start()) + 1, f'{match.group(0).strip()}: {why}'


def check_tree(files, sources):
    for path in files:
        top = path.split('/')[0]
        if top not in TOP_LEVEL and not top.startswith('.'):
            yield path, 1, 'not one of the fixed names of the top level'
    seen = {}
    for path in sources:
        name = os.path.basename(path)
        if name in seen and name != 'main.cc':
            yield path, 1, f'same file name as {seen[name]}'
        seen[name] = path
    included = set()
    for path in sources:
        included.update(name for kind, name in INCLUDE.findall(read(path)) if kind == '"')
    for path in sources:
        if path.endswith('.h') and path not in included and path != 'client/spolia.h':
            yield path, 1, 'dead file: nothing includes it'
    limit = limit_for('x', 'folder_modules')
    modules = {}
    for path in sources:
        if not path.startswith(('tests/', 'bench/')):
            modules.setdefault(os.path.dirname(path), set()).add(os.path.splitext(path)[0])
    for folder, stems in modules.items():
        if limit and len(stems) > limit:
            yield folder, 1, f'{len(stems)} modules, the limit is {limit}: split by idea'


def main():
    files = tracked_files()
    sources = [p for p in files if p.endswith(('.h', '.cc'))]
    allowed, system = load_include_rules()
    known = set(sources)
    problems = list(check_tree(files, sources))
    for path in sources:
        text = read(path)
        for check in (check_includes(path, text, known, allowed, system), check_sizes(path, text),
                      check_banned(path, text)):
            problems += [(path, line, what) for line, what in check]
        # What is compiled once for each target of Highway is included as often.
        once = 'HWY_TARGET_TOGGLE' if path.endswith('-inl.h') else '#pragma once'
        if path.endswith('.h') and once not in text:
            problems.append((path, 1, f'no {once}'))
    for path in (p for p in files if p.endswith('.py')):
        problems += [(path, line, what) for line, what in check_sizes(path, read(path))]
    for path, line, what in problems:
        print(f'{path}:{line}: {what}')
    print(f'tidy: {len(sources)} sources, {len(problems)} problems')
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
