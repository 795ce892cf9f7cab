"""Pages of the documentation, played as a reader types them: block by block, in a folder that looks like a checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from streams.embedded.ports import free_ports
from tests.conftest import need

ROOT = Path(__file__).parents[1]


def blocks(text: str, language: str = "sh") -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def environment(data: Path) -> dict[str, str]:
    """The `rater` of this environment, as a shell of its user finds it, with a data folder of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RATER_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return kept | {"PATH": path, "RATER_ENGINE_DATA": str(data)}


def checkout(folder: Path) -> Path:
    """The folder, with what a reader's has: `config` and, after `make run`, `.venv`."""
    (folder / "config").symlink_to(ROOT / "config")
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


def terminal(block: str, output: str = "terminal.log") -> str:
    """A block that is typed into a terminal of its own, where its last command goes on until it is ended."""
    *before, last = block.splitlines()
    return "(" + "\n".join([*before, f"exec {last}"]) + f") >{output} 2>&1 &\n"


def play(script: str, folder: Path) -> list[str]:
    """The lines that blocks print, their ports free ones. The first command that fails ends them and the test.

    What they started in the background ends with them, also where they fail before they say so themselves.
    """
    need("curl", "curl")
    http_port, hook_port = free_ports(2)
    typed = script.replace("8080", str(http_port)).replace("8099", str(hook_port))
    typed = re.sub(r"\bsleep ([1-9])\b", r"sleep 1\1", typed)  # a reader's machine does not run tests beside it
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n" + typed],
        cwd=folder, env=environment(folder / "data") | {"RATER_HTTP_PORT": str(http_port), "RATER_METRICS_PORT": "0"},
        check=False, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()
