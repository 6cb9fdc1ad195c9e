"""Runs the shell blocks of the given files that end by themselves: those with
nothing but make in them, and those that follow a line "<!-- ci -->".

A block that stands in several files, as it does in a translation, is run once.
"""

import os
import re
import subprocess
import sys

BLOCK = re.compile(r"^(<!-- ci -->\n+)?```(?:sh|bash|console)\n(.*?)^```$", re.M | re.S)

blocks = {}  # by what they do, whatever their comments say
for name in filter(os.path.exists, sys.argv[1:]):
    with open(name, encoding="utf-8") as f:
        for marked, block in BLOCK.findall(f.read()):
            commands = [re.sub(r"\s+#.*", "", line.removeprefix("$ ")) for line in block.splitlines() if line.strip()]
            if marked or all(c.startswith("make ") for c in commands):
                blocks["\n".join(commands)] = name

if not blocks:
    sys.exit("none of these files holds a block to run: " + " ".join(sys.argv[1:]))
for commands, name in blocks.items():
    print(f"--- {name}\n{commands}", flush=True)
    if subprocess.run(["bash", "-euo", "pipefail", "-c", commands], stdin=subprocess.DEVNULL).returncode:
        sys.exit("this block failed")
