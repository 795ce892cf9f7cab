"""Real ClickHouse engines: the embedded one and Debian's clickhouse-server 18.16, each on its own data."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

from clickhouse_driver import Client, errors

from streams.embedded.chdb import Chdb

CONFIG = """<yandex>
  <logger><level>warning</level><console>true</console></logger>
  <listen_host>127.0.0.1</listen_host><tcp_port>{port}</tcp_port>
  <path>{folder}/data/</path><tmp_path>{folder}/tmp/</tmp_path><user_files_path>{folder}/files/</user_files_path>
  <users_config>{folder}/users.xml</users_config><default_profile>default</default_profile>
  <default_database>default</default_database><mark_cache_size>67108864</mark_cache_size><timezone>UTC</timezone>
</yandex>"""
USERS = """<yandex>
  <profiles><default/></profiles><quotas><default/></quotas>
  <users><default><password></password><networks><ip>127.0.0.1</ip></networks>
  <profile>default</profile><quota>default</quota></default></users>
</yandex>"""


class EmbeddedServer:
    """chdb in its own process, behind a unix socket."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "ch.sock"
        self._chdb = Chdb(folder, self.socket)

    def start(self) -> None:
        self._chdb.ensure()

    def stop(self) -> None:
        self._chdb.stop()


class DebianServer:
    """clickhouse-server 18.16 as a plain process on a loopback port that was free."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        (folder / "config.xml").write_text(CONFIG.format(port=self.port, folder=folder))
        (folder / "users.xml").write_text(USERS)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        binary = shutil.which("clickhouse-server", path="/usr/local/bin:/usr/bin:/usr/sbin:/usr/local/sbin")
        assert binary, "these tests need ClickHouse 18.16: apt-get install clickhouse-server"
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [binary, f"--config-file={self._folder}/config.xml"], stdout=log, stderr=log, cwd=self._folder
            )
        for _ in range(600):
            assert self._process.poll() is None, (self._folder / "log").read_text()[-2000:]
            try:
                with Client("127.0.0.1", port=self.port) as client:
                    client.execute("SELECT 1")
                return
            except (errors.Error, OSError, EOFError):
                time.sleep(0.05)
        raise AssertionError("clickhouse-server did not answer")

    def stop(self) -> None:
        assert self._process is not None
        self._process.kill()  # asked in order, it waits ten seconds for its idle clients
        self._process.wait()
