"""Files of `tradewind replay --save` in the hands of a test."""

import hashlib

from replays import replay


def saved(stack, part, path):
    path.unlink(missing_ok=True)
    answer = replay(stack, part, "--fresh", "--save", path)
    assert answer["saved"] == str(path)
    return answer


def forged(path, change, to):
    """A copy with other lines and a sum that fits them: what no accident makes."""
    lines = change(path.read_bytes().splitlines(keepends=True)[:-1])
    body = b"".join(lines)
    to.write_bytes(body + b"end\t" + hashlib.sha256(body).hexdigest().encode() + b"\n")
    return to


def place_changed(field, value, of=b"shop.orders.v1"):
    """Of the first place of that topic that has records."""

    def change(lines):
        words = [line.split(b"\t") for line in lines]
        at = next(i for i, line in enumerate(words) if line[0] == b"place" and line[1] == of and int(line[3]) > 0)
        words[at][field] = value(words[at][field])
        return [b"\t".join(line) for line in words]

    return change
