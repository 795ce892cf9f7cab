"""A real Kafka broker on this machine: Apache Kafka's own jars from Maven Central, KRaft, one node, loopback only.

    with KafkaServer(folder) as kafka:
        producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap)

The jars (about 45 MB) are fetched once into a cache folder. The broker keeps its data in `folder` and may be stopped,
killed and started again on it; it ends with the process that started it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path
from types import TracebackType
from typing import Self

from rater.errors import PartsError
from streams.embedded.leash import Leashed
from streams.embedded.ports import free_ports

POM = Path(__file__).with_name("kafka.pom.xml")
#: Relative to where the command runs: the checkout.
CACHE = Path(".cache/kafka")
APT_LINE = "apt-get install --no-install-recommends openjdk-17-jre-headless maven"
START_SECONDS = 60.0
LOG_TAIL_BYTES = 800

#: One node: nothing to replicate to, no second consumer to wait for. A topic has to be made before it is used, since a
#: misspelt name is an error. The session is short: a broker that was killed may not register again before its end.
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={folder}/log
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
auto.create.topics.enable=false
"""


class KafkaServer:
    """One broker.

    Args:
        folder: its data, settings and log; made when missing, used again when not.
        cache: where the jars are kept.

    Raises:
        PartsError: Java or Maven is missing, the jars could not be fetched, or the broker did not start.
    """

    def __init__(self, folder: Path, *, cache: Path = CACHE) -> None:
        self._folder = folder.absolute()
        self._cache = cache.absolute()
        self._port, self._controller = free_ports(2)
        self._server: Leashed | None = None

    @property
    def bootstrap(self) -> str:
        """Address for clients; stays the same over stop, kill and start."""
        return f"127.0.0.1:{self._port}"

    @property
    def log(self) -> Path:
        """What the broker printed."""
        return self._folder / "kafka.log"

    def properties(self) -> str:
        """What the broker is started with."""
        return PROPERTIES.format(port=self._port, controller=self._controller, folder=self._folder)

    def start(self) -> None:
        """Start the broker and return when it takes requests."""
        java, jars = java_command(), fetch_jars(self._cache)
        self._folder.mkdir(parents=True, exist_ok=True)
        settings = self._folder / "server.properties"
        settings.write_text(self.properties())
        # The default collector works beside the broker's threads, and on two processors takes one from the engine; so
        # does the second compiler, for the first minutes, which are all that most of these brokers live.
        run = [java, "-Xms512m", "-Xmx512m", "-XX:+UseParallelGC", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*"]
        if not (self._folder / "log" / "meta.properties").exists():  # it is written last
            self._format(run, settings)
        self._wait_silent()
        self._server = Leashed([*run, "kafka.Kafka", str(settings)], self.log)
        try:
            self._wait_ready()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Shut the broker down in order."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def kill(self) -> None:
        """SIGKILL; `start` recovers."""
        if self._server is not None:
            self._server.kill()
            self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def _format(self, run: list[str], settings: Path) -> None:
        # The first byte is fixed: an id that begins with "-" would be taken for an option.
        identity = b"k" + uuid.uuid5(uuid.NAMESPACE_URL, str(self._folder)).bytes[1:]
        cluster = urlsafe_b64encode(identity).decode().rstrip("=")
        storage = ["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", cluster, "-c", str(settings)]
        _run([*run, *storage], "Kafka's storage could not be formatted")

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
        except OSError:
            return False
        return True

    def _wait_silent(self) -> None:
        """A broker that was killed answers until the kernel has taken it down, and is not the one to come."""
        deadline = time.monotonic() + START_SECONDS
        while self._answers():
            if time.monotonic() > deadline:
                raise PartsError(f"Kafka did not start: something answers on its port {self._port}")
            time.sleep(0.02)

    def _wait_ready(self) -> None:
        """The broker opens its port for clients last, when it takes requests."""
        assert self._server is not None
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if not self._server.is_running() or time.monotonic() > deadline:
                tail = self.log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")
                raise PartsError(f"Kafka did not start; {self.log} says: {tail}")
            time.sleep(0.05)


def java_command() -> str:
    """The Java to run Kafka with: that of JAVA_HOME, else the one in PATH."""
    home = os.environ.get("JAVA_HOME")
    command = str(Path(home, "bin", "java")) if home else shutil.which("java")
    if command is None or not Path(command).exists():
        raise PartsError(f"Kafka needs Java 17 or later; type: {APT_LINE}")
    return command


def fetch_jars(cache: Path) -> Path:
    """Folder of the jars that the pom names, fetched by Maven unless it has been done."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "fetching.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another command may be fetching them
        jars = cache / "libs"
        done = cache / "fetched.pom.xml"  # a copy of the pom says for what
        if not (done.exists() and done.read_bytes() == POM.read_bytes()):
            _fetch(jars)
            shutil.copyfile(POM, done)
        return jars


def _fetch(jars: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise PartsError(f"Kafka's jars are fetched with Maven; type: {APT_LINE}")
    shutil.rmtree(jars, ignore_errors=True)
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
    _run([maven, "-q", "-B", "-f", str(POM), *goal], "Kafka's jars could not be fetched")


def _run(argv: list[str], failure: str) -> None:
    done = subprocess.run(  # noqa: S603 (our own arguments)
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode:
        raise PartsError(f"{failure}: {done.stdout[-LOG_TAIL_BYTES:].decode(errors='replace').strip()}")
