"""What the files in bad/ say of themselves, for the tests that run them."""
import glob
import os
import re

BAD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bad")


def files():
    return sorted(glob.glob(BAD + "/*.yaml"))


def expectation(path):
    """The file's own words: "# expect: regular expression"."""
    with open(path) as f:
        return [m.group(1).strip() for m in
                re.finditer(r"(?m)^#\s*expect:\s*(.+)$", f.read())]


def names_field(refusal, regex):
    """The API server has its own words: the field must be among them."""
    if re.search(regex, refusal):
        return True
    where = regex.split(":")[0].replace("\\", "")
    return all(re.sub(r"\[\d+\]", "", x) in refusal
               for x in where.split(".")[1:])
