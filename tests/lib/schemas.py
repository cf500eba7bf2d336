"""Lists of schemas as parts of other versions have them."""

import json
import os
import shutil
from contextlib import contextmanager


@contextmanager
def without(stack, event):
    """A folder of schemas whose list does not have the event; for TRADEWIND_SCHEMAS of a part."""
    folder = stack.state / f"schemas-without-{event}"
    shutil.copytree(stack.settings["TRADEWIND_SCHEMAS"], folder)
    lock = json.loads((folder / "ids.lock").read_text())
    lock["schemas"] = [row for row in lock["schemas"] if row["type"] != event]
    (folder / "ids.lock").write_text(json.dumps(lock))
    for path, _, names in os.walk(folder):
        os.chmod(path, 0o755)
        for name in names:
            os.chmod(os.path.join(path, name), 0o644)
    yield folder
    shutil.rmtree(folder)
