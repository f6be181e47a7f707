"""What tidy_test.py needs to know of C++ text: comments and literals blanked, functions found."""

import re

_TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<d>[^()\\\s]*)\(.*?\)(?P=d)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'',
    re.S)
_CONTROL = re.compile(r'\b(if|for|while|switch|catch|do|else|try)\b[^;{}]*$')
_SCOPE = re.compile(r'\b(namespace|class|struct|union|enum|extern)\b')


def blank(text):
    """The same text, line for line, with comments and literals replaced by spaces."""
    def spaces(match):
        literal = match.group(0)
        # A digit separator (1'000'000) is no character literal.
        if literal[0] == "'" and match.start() and text[match.start() - 1].isalnum() \
                and text[match.start() - 1] not in 'uUL':
            return literal
        return re.sub(r'[^\n]', ' ', literal)
    return _TOKEN.sub(spaces, text)


def functions(text):
    """(first line, last line, head) of every function body outside other functions."""
    code = re.sub(r'^[ \t]*#(?:[^\n]*\\\n)*[^\n]*', lambda m: re.sub(r'[^\n]', ' ', m.group(0)),
                  blank(text), flags=re.M)
    found, stack, head_start, line = [], [], 0, 1
    for at, char in enumerate(code):
        if char == '\n':
            line += 1
        elif char == ';' and (not stack or stack[-1][0] == 'scope'):
            head_start = at + 1
        elif char == '{':
            head = code[head_start:at].strip()
            stack.append(_opened(head, stack, line))
            head_start = at + 1
        elif char == '}' and stack:
            kind, first, head = stack.pop()
            if kind == 'function':
                found.append((first, line, head))
            head_start = at + 1
    return found


def _opened(head, stack, line):
    inside = any(kind == 'function' for kind, _, _ in stack)
    if inside:
        return ('block', line, head)
    is_function = ')' in head and not _CONTROL.search(head) and '=' not in head.split('(')[0]
    if is_function and not re.match(r'(template\s*<.*>\s*)?(namespace|class|struct|union|enum)\b',
                                    head, re.S):
        return ('function', line - head.count('\n'), head)
    if _SCOPE.search(head):
        return ('scope', line, head)
    return ('block', line, head)
