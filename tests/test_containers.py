"""The Dockerfile and the compose file, as far as they can be judged without running them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from rater.settings import load_settings

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's (INSTRUCTION, arguments), continued lines joined."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def stages() -> list[list[tuple[str, str]]]:
    """The instructions of each stage, FROM first."""
    found: list[list[tuple[str, str]]] = []
    for instruction in instructions():
        if instruction[0] == "FROM":
            found.append([])
        found[-1].append(instruction)
    return found


def test_the_dockerfile_has_only_instructions_that_exist() -> None:
    known = {"FROM", "ARG", "WORKDIR", "RUN", "COPY", "ENV", "USER", "VOLUME", "EXPOSE", "ENTRYPOINT", "CMD"}
    assert {word for word, _ in instructions()} <= known
    assert instructions()[0][0] == "FROM"


def test_every_base_image_is_pinned_to_a_release() -> None:
    images = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    images += [service["image"] for service in SERVICES.values() if "image" in service]
    assert all(re.fullmatch(r"[\w./-]+:\d[\w.-]*", image) for image in images), images


def test_the_last_stage_runs_the_command_as_an_ordinary_user() -> None:
    last = stages()[-1]
    assert ("ENTRYPOINT", '["rater"]') in last
    users = [rest for word, rest in last if word == "USER"]
    assert len(users) == 1
    assert users[0] not in {"0", "root"}
    after = last[last.index(("USER", users[0])) :]
    assert not {word for word, _ in after} & {"RUN", "COPY"}, "nothing is built as that user"


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    sources: set[str] = set()
    for word, rest in instructions():
        if word == "COPY" and not rest.startswith("--from"):
            sources.update(rest.split()[:-1])
    assert sources == kept
    assert all((ROOT / source).exists() for source in sources)


def test_what_is_installed_is_locked_with_hashes() -> None:
    installs = [rest for word, rest in instructions() if word == "RUN" and "pip install" in rest]
    assert len(installs) == 2
    assert "--require-hashes --no-deps" in installs[0]
    assert "--no-deps --no-build-isolation ." in installs[1]


@pytest.mark.parametrize("name", ["engine", "embedded", "dev"])
def test_every_locked_package_has_a_hash(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.lock").read_text()
    packages = re.findall(r"^[a-z].*==.*(?:\n {4}--hash=sha256:[0-9a-f]{64}.*)+$", text, re.MULTILINE)
    assert len(packages) == len(re.findall(r"^[a-z]", text, re.MULTILINE)) > 0


def test_the_worker_is_given_settings_that_exist_and_reach_its_servers() -> None:
    settings = load_settings(None, SERVICES["worker"]["environment"])
    assert settings.engine.mode == "distributed"
    addresses = [settings.kafka.bootstrap, settings.redis.url, settings.clickhouse.url]
    hosts = [re.sub(r"^\w+://([^@/]*@)?", "", address).split(":")[0] for address in addresses]
    assert set(hosts) == set(SERVICES["worker"]["depends_on"]) == set(SERVICES) - {"worker"}


def test_redis_is_as_durable_as_the_worker_asks() -> None:
    assert SERVICES["worker"]["environment"]["RATER_ENGINE_DURABILITY"] == "machine"
    words = SERVICES["redis"]["command"][1:]
    given = {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)}
    safe = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction", "save": ""}
    assert given == safe | {"auto-aof-rewrite-min-size": "512mb", "rdbcompression": "no"}


def test_clickhouse_has_the_user_and_database_of_the_workers_url() -> None:
    names = SERVICES["clickhouse"]["environment"]
    url = SERVICES["worker"]["environment"]["RATER_CLICKHOUSE_URL"]
    user, password, database = names["CLICKHOUSE_USER"], names["CLICKHOUSE_PASSWORD"], names["CLICKHOUSE_DB"]
    assert url == f"clickhouse://{user}:{password}@clickhouse:9000/{database}"


def test_ports_are_open_to_this_machine_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_worker_waits_for_servers_that_can_say_they_are_ready() -> None:
    for name, condition in SERVICES["worker"]["depends_on"].items():
        assert condition == {"condition": "service_healthy"}
        assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


def test_data_is_kept_in_volumes_that_are_declared() -> None:
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert used == set(COMPOSE["volumes"])
