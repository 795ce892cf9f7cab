"""A leashed server ends with whoever started it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from streams.embedded.leash import Leashed

STARTER = """
import sys
from pathlib import Path
from streams.embedded.leash import Leashed
server = Leashed(["sh", "-c", 'echo $$ > "$0"; exec sleep 1000', sys.argv[1]], Path(sys.argv[1] + ".log"))
print("started", flush=True)
sys.stdin.readline()
"""


def test_it_ends_when_its_starter_is_killed(tmp_path: Path) -> None:
    noted = tmp_path / "pid"
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(noted)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    starter.stdout.readline()
    pid = wait_for_pid(noted)
    assert lives(pid)
    starter.kill()
    starter.communicate()
    wait_until_gone(pid)


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_it_is_gone_after(tmp_path: Path, how: str) -> None:
    noted = tmp_path / "pid"
    server = Leashed(["sh", "-c", f"echo $$ > {noted}; exec sleep 1000"], tmp_path / "log")
    pid = wait_for_pid(noted)
    getattr(server, how)()
    assert not server.is_running()
    wait_until_gone(pid)


def test_one_that_does_not_stop_is_ended_by_force(tmp_path: Path) -> None:
    noted = tmp_path / "pid"
    server = Leashed(["sh", "-c", f"trap '' TERM; echo $$ > {noted}; while :; do sleep 0.1; done"], tmp_path / "log")
    pid = wait_for_pid(noted)
    server.stop(timeout_s=0.3)
    wait_until_gone(pid)


def test_one_that_ended_by_itself_is_seen(tmp_path: Path) -> None:
    server = Leashed(["sh", "-c", "echo why; exit 3"], tmp_path / "log")
    while server.is_running():
        time.sleep(0.01)
    assert (tmp_path / "log").read_text() == "why\n"
    server.stop()


def wait_for_pid(noted: Path) -> int:
    while not (noted.exists() and noted.read_text().strip()):
        time.sleep(0.01)
    return int(noted.read_text())


def lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until_gone(pid: int) -> None:
    while lives(pid):
        time.sleep(0.01)
