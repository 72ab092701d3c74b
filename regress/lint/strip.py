"""strip.py FILE.c : the file without comments and the insides of strings."""
import re
import sys

TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'',
                   re.S)


def blank(m):
    t = m.group(0)
    if t[0] in "\"'":
        return t[0] * 2
    return "\n" * t.count("\n") or " "


with open(sys.argv[1]) as f:
    sys.stdout.write(TOKEN.sub(blank, f.read()))
