"""What the last `stack up` was told, kept in the state folder so that later commands mean the same stack."""

import json
import re
import shlex
from dataclasses import asdict, dataclass, field

from .layout import StackError


@dataclass
class Options:
    registry: bool = False
    instances: int = 1
    brokers: int = 1
    tls: bool = False  # between parts and servers
    settings: dict = field(default_factory=dict)  # that stand before the stack's own: NAME or PART:NAME to its value
    under: dict = field(default_factory=dict)  # part or server, or "" for parts not named, to the command that runs it

    def settings_of(self, part_name):
        """Those for everybody ("") or only for one part."""
        named = ((key.rpartition(":"), value) for key, value in self.settings.items())
        return {name: value for (part, _, name), value in named if part == part_name}

    def command_over(self, part_name):
        """The words before a part's program: a debugger, a checker, `env`."""
        return shlex.split(self.under.get(part_name, self.under.get("", "")))

    def command_over_server(self, name):
        return shlex.split(self.under.get(name, ""))


def _path(layout):
    return layout.state / "options.json"


def load_options(layout):
    try:
        return Options(**json.loads(_path(layout).read_text()))
    except FileNotFoundError:
        return Options()
    except (ValueError, TypeError) as problem:
        raise StackError(f"{_path(layout)}: {problem}; remove it, or run: stack empty") from None


def save_options(layout, options):
    layout.write(_path(layout), json.dumps(asdict(options), indent=2) + "\n")


def parse_setting(text):
    name, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"([a-z]+:)?TRADEWIND_[A-Z0-9_]+", name):
        raise StackError(f"setting {text}: want TRADEWIND_NAME=VALUE or PART:TRADEWIND_NAME=VALUE")
    if re.search(r"[\"\n\\]", value):
        raise StackError(f"setting {name}: a value has no quotes, backslashes or line ends")
    return name, value


def parse_under(text):
    """[PROGRAM:]COMMAND; an empty command ends it."""
    match = re.fullmatch(r"(?:([a-z]+):)?([^\n]*)", text)
    return match[1] or "", match[2]
