"""The programs of a stack: its servers, the parts that are built, the door in front of them."""

from . import servers
from .door import door_program
from .servers import Program
from .settings import SCHEMAS, part_settings


def built(layout, name):
    """The path of a built program in the build folder, or None."""
    places = (f"*/{name}", f"*/*/{name}")
    return next((path for place in places for path in layout.build.glob(place) if path.is_file()), None)


def _part_program(layout, options, parts, part, instance):
    name = part.name if instance == 1 else f"{part.name}-{instance}"
    port = int(part.address(layout, instance).rpartition(":")[2])
    binary = built(layout, part.program)
    if binary is None:
        return Program(name, [], [port], part=part, missing=f"{part.program} is not built in {layout.build}")
    settings = part_settings(layout, options, parts, part, instance)
    command = [*options.command_over(part.name), str(layout.installed(binary))]
    files = [binary, SCHEMAS]
    return Program(name, command, [port], environment=settings, made_from=[binary], installs=files, part=part)


def part_programs(layout, options, parts):
    return [
        _part_program(layout, options, parts, part, instance)
        for part in parts
        for instance in range(1, part.instances(options.instances) + 1)
    ]


def install(layout, programs):
    for path in {path for program in programs for path in program.installs}:
        layout.install(path)


def all_programs(layout, options, parts):
    started_first = servers.server_programs(layout, options)
    return started_first + [door_program(layout, options, parts)] + part_programs(layout, options, parts)
