"""Debian's own clickhouse-server, run as a plain process with settings and data of its own; its service is not used."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from clickhouse_driver import Client
from clickhouse_driver.errors import Error as ClickHouseError

from streams.embedded.leash import Leashed
from streams.embedded.ports import free_ports

#: Debian puts it where only root's PATH looks.
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"

CONFIG = """\
<yandex>
    <logger><level>warning</level><console>1</console></logger>
    <listen_host>127.0.0.1</listen_host>
    <tcp_port>{port}</tcp_port>
    <path>{folder}/data/</path>
    <tmp_path>{folder}/tmp/</tmp_path>
    <format_schema_path>{folder}/formats/</format_schema_path>
    <users_config>users.xml</users_config>
    <default_profile>default</default_profile>
    <default_database>default</default_database>
    <mark_cache_size>67108864</mark_cache_size>
    <timezone>UTC</timezone>
</yandex>
"""
USERS = """\
<yandex>
    <profiles><default/></profiles>
    <quotas><default/></quotas>
    <users>
        <default>
            <password/>
            <networks><ip>127.0.0.1</ip></networks>
            <profile>default</profile>
            <quota>default</quota>
        </default>
    </users>
</yandex>
"""


class ClickHouseServer:
    """One server in a folder; may be killed and started again there, at the same address."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (self.port,) = free_ports(1)
        self._server: Leashed | None = None

    @property
    def url(self) -> str:
        """For clickhouse-driver; the database `default` exists."""
        return f"clickhouse://default@127.0.0.1:{self.port}/default"

    def start(self) -> None:
        """Start it and return when it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "config.xml").write_text(CONFIG.format(port=self.port, folder=self._folder))
        (self._folder / "users.xml").write_text(USERS)
        log = self._folder / "server.log"
        program = shutil.which("clickhouse-server", path=PATH)
        assert program, "clickhouse-server is not installed"
        self._server = Leashed([program, f"--config-file={self._folder}/config.xml"], log)
        for _ in range(600):
            if self._answers():
                return
            assert self._server.is_running(), log.read_text()[-2000:]
            time.sleep(0.05)
        raise AssertionError(f"clickhouse-server does not answer: {log.read_text()[-2000:]}")

    def stop(self) -> None:
        """Stop it in order."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def kill(self) -> None:
        """SIGKILL."""
        if self._server is not None:
            self._server.kill()
            self._server = None

    def _answers(self) -> bool:
        client = Client.from_url(self.url)
        try:
            return client.execute("SELECT 1") == [(1,)]
        except (OSError, ClickHouseError):
            return False
        finally:
            client.disconnect()
