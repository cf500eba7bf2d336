#!/usr/bin/env python3
"""Compile SQL scripts into a C table of migrations.

    embed_sql.py OUT.c SYMBOL FOLDER

Each FOLDER/*.sql, in the order of names, becomes a row named <folder>/<file without .sql>.
A folder that does not exist gives an empty table. OUT.c.d lists what was read, for ninja.
"""
import pathlib
import sys


def c_string(text):
    lines = text.splitlines(keepends=True)
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for line in lines)
    return "\n".join(f'     "{line}"' for line in escaped)


def main():
    out, symbol, folder = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
    scripts = sorted(folder.glob("*.sql")) if folder.is_dir() else []
    rows = "".join(
        f'    {{"{folder.name}/{script.stem}",\n{c_string(script.read_text())}}},\n' for script in scripts
    )
    out.write_text(
        '#include "runtime/pg.h"\n\n'
        f"extern const struct pg_migration {symbol}s[];\n"
        f"extern const size_t {symbol}_count;\n\n"
        f"const struct pg_migration {symbol}s[] = {{\n{rows}    {{NULL, NULL}},\n}};\n\n"
        f"const size_t {symbol}_count = {len(scripts)};\n"
    )
    watched = [str(folder)] if folder.is_dir() else []
    depfile = pathlib.Path(str(out) + ".d")
    depfile.write_text(f"{out.name}: {' '.join(watched + [str(script) for script in scripts])}\n")


main()
