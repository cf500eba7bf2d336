"""Makes a C table of the parts, read from docker/compose.yaml: the one list of services."""

import sys

import yaml

compose, output = sys.argv[1:]
with open(compose) as file:
    services = yaml.safe_load(file)["services"]

rows = []
arrays = []
for name, service in services.items():
    ours = service["x-tradewind"]
    reads = ours.get("reads", [])
    arrays.append(f"static const char *const reads_{name}[] = {{" + "".join(f'"{topic}", ' for topic in reads) + "NULL};")
    rows.append(f'    {{"{name}", {str(bool(ours.get("database"))).lower()}, reads_{name}}},')

with open(output, "w") as file:
    file.write('/* Made from docker/compose.yaml. */\n#include "ops/parts.h"\n\n')
    file.write("\n".join(arrays))
    file.write("\n\nconst struct ops_part ops_parts[] = {\n" + "\n".join(rows) + "\n};\n")
    file.write(f"const size_t ops_part_count = {len(rows)};\n")
