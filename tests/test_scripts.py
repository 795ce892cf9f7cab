"""What `make` calls: the scripts find or install what is missing, and the locks hold what pyproject.toml asks for."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
SCRIPTS = [path for path in (*(ROOT / "scripts").iterdir(), ROOT / ".ci" / "run") if not path.suffix]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder of stand-ins for what changes the machine; each notes its call in `calls`."""
    return tmp_path


def program(machine: Path, name: str, body: str) -> None:
    path = machine / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def need(machine: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{machine}:/usr/bin:/bin"}
    return subprocess.run(
        [ROOT / "scripts" / "need", *words], env=environment, check=False, capture_output=True, text=True
    )


def test_a_program_that_is_there_is_left_alone(machine: Path) -> None:
    program(machine, "apt-get", f"echo $* >>{machine}/calls")
    done = need(machine, "sh", "dash")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (machine / "calls").exists()


def test_a_user_is_told_what_to_type(machine: Path) -> None:
    program(machine, "id", "echo 1000")
    program(machine, "apt-get", f"echo $* >>{machine}/calls")
    done = need(machine, "no-such-program", "one", "two")
    assert done.returncode == 1
    assert "no-such-program is missing" in done.stderr
    assert "apt-get install --no-install-recommends one two" in done.stderr
    assert not (machine / "calls").exists()


def test_root_installs_and_fetches_the_lists_only_if_that_fails(machine: Path) -> None:
    program(machine, "id", "echo 0")
    program(machine, "mkdir", "")
    program(machine, "apt-get", f"echo $1 >>{machine}/calls; [ $1 = update ] || grep -q update {machine}/calls")
    assert need(machine, "no-such-program", "one").returncode == 0
    assert (machine / "calls").read_text().split() == ["install", "update", "install"]


def test_what_apt_said_is_shown_when_it_fails(machine: Path) -> None:
    program(machine, "id", "echo 0")
    program(machine, "mkdir", "")
    program(machine, "apt-get", "[ $1 = update ] || { echo E: no package one; exit 100; }")
    done = need(machine, "no-such-program", "one")
    assert done.returncode == 1
    assert "E: no package one" in done.stderr


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_parses_says_what_it_does_and_stops_at_the_first_error(script: Path) -> None:
    subprocess.run(["/bin/sh", "-n", script], check=True)
    lines = script.read_text().splitlines()
    assert lines[0] == "#!/bin/sh"
    assert lines[1].startswith("# ")
    assert "set -eu" in lines
    assert script.stat().st_mode & 0o111


def test_help_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert targets
    shown = subprocess.run(["make", "-C", ROOT, "-s", "help"], check=True, capture_output=True, text=True).stdout
    assert re.findall(r"^  make ([\w-]+) ", shown, re.MULTILINE) == targets[1].split()


def locked(name: str) -> dict[str, set[Version]]:
    """Versions by package; more than one where Python's versions differ."""
    found: dict[str, set[Version]] = {}
    for package, version in re.findall(
        r"^([\w.-]+)==([^\s;]+)", (ROOT / "requirements" / f"{name}.lock").read_text(), re.MULTILINE
    ):
        found.setdefault(package, set()).add(Version(version))
    return found


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("engine", PROJECT["project"]["dependencies"] + PROJECT["build-system"]["requires"]),
        ("embedded", PROJECT["project"]["optional-dependencies"]["embedded"]),
        ("dev", PROJECT["project"]["optional-dependencies"]["dev"]),
    ],
)
def test_the_lock_has_a_version_that_pyproject_allows(name: str, wanted: list[str]) -> None:
    versions = locked(name)
    for requirement in map(Requirement, wanted):
        found = versions.get(requirement.name.lower(), set())
        assert found, f"{requirement} is not locked: run scripts/lock"
        assert all(version in requirement.specifier for version in found), f"{requirement}: run scripts/lock"


def test_the_locks_agree_where_they_name_the_same_package() -> None:
    engine = locked("engine")
    for name in ("embedded", "dev"):
        for package, versions in locked(name).items():
            assert engine.get(package, versions) == versions, package
