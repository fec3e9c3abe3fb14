"""Kafka and Kafka Connect with Debezium's PostgreSQL connector: the real ones, from Maven, which end with us."""

from __future__ import annotations

import contextlib
import http.client
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from bench.process import Client, spawn
from bench.report import Failed, Unavailable
from bench.source import free_port

KAFKA = "4.3.1"
DEBEZIUM = "3.6.3.Final"
JAVA = 17
PEERS = Path(__file__).parent / "peers"
PLUGIN = f"io.debezium:debezium-connector-postgres:{DEBEZIUM}:tar.gz:plugin"
FETCH_S = 900
START_S = 120.0
END_S = 30.0

JVM = (
    "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true",
)  # fmt: skip
"""As the scripts of Kafka's distribution start both; so are the heaps."""
BROKER_HEAP, CONNECT_HEAP = ("-Xms1G", "-Xmx1G"), ("-Xms256M", "-Xmx2G")


@dataclass(frozen=True, slots=True)
class Programs:
    """The jars, the folder of the unpacked plugin, and the Java that runs them."""

    java: str
    jars: Path
    plugins: Path

    def command(self, heap: Sequence[str], main: str, *arguments: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={(PEERS / 'log4j2.properties').as_uri()}"
        return [self.java, *JVM, *heap, logging, "-cp", f"{self.jars}/*", main, *arguments]


def installed(data: Path) -> Programs:
    """Fetched once, kept in `data`; what is half there counts as not there."""
    java = shutil.which("java")
    if java is None or _version(java) < JAVA:
        raise Unavailable(f"Kafka needs Java {JAVA} or newer: install a JDK (Debian: apt-get install default-jdk)")
    home = data / f"kafka-{KAFKA}-debezium-{DEBEZIUM}"
    if not home.is_dir():
        data.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=data, prefix=".fetching-") as name:
            _fetch(Path(name) / "home")
            (Path(name) / "home").rename(home)
    return Programs(java, home / "jars", home / "plugins")


def _fetch(home: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise Unavailable("Kafka and Debezium come from Maven: install it (Debian: apt-get install maven)")
    command, beside = [maven, "-q", "-B", "-f", str(PEERS / "connect.xml"), f"-Dkafka.version={KAFKA}"], home / "new"
    copied = ("dependency:copy-dependencies", f"-DoutputDirectory={home / 'jars'}", "-DincludeScope=runtime")
    plugin = ("dependency:copy", f"-Dartifact={PLUGIN}", f"-DoutputDirectory={beside}")
    for goal in (copied, plugin):
        ended = subprocess.run([*command, *goal], capture_output=True, text=True, timeout=FETCH_S, check=False)
        if ended.returncode:
            raise Unavailable(f"{goal[0]} failed: {ended.stdout[-600:]}")
    for archive in beside.iterdir():
        shutil.unpack_archive(archive, home / "plugins")
    shutil.rmtree(beside)


def _version(java: str) -> int:
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(\d+)', told.stderr)
    return int(found[1]) if found else 0


# ---- the servers -----------------------------------------------------------------------------------------------------


def broker_settings(port: int, controller: int, data: Path) -> dict[str, str]:
    """One node, so nothing can be replicated; everything else as Kafka comes."""
    listeners = f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}"
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": listeners,
        "advertised.listeners": listeners,
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": str(data),
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
    }


def worker_settings(bootstrap: str, port: int, plugins: Path, offsets: Path) -> dict[str, str]:
    """As Connect comes, with the converter of its sample configuration."""
    return {
        "bootstrap.servers": bootstrap,
        "key.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "offset.storage.file.filename": str(offsets),
        "plugin.path": str(plugins),
        "plugin.discovery": "service_load",
        "listeners": f"http://127.0.0.1:{port}",
    }


@contextlib.contextmanager
def broker(programs: Programs, folder: Path) -> Generator[str]:
    """A new one; its address. It and what it holds are gone after."""
    port, controller = free_port(), free_port()
    config = _written(folder / "server.properties", broker_settings(port, controller, folder / "kafka"))
    form = [*programs.command((), "kafka.tools.StorageTool"), "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", config]
    formatted = subprocess.run(form, capture_output=True, text=True, timeout=START_S, check=False)
    if formatted.returncode:
        raise Failed(f"the broker's storage: {formatted.stderr[-500:]}")
    bootstrap = f"127.0.0.1:{port}"
    with _running(programs.command(BROKER_HEAP, "kafka.Kafka", config), folder / "kafka.log") as living:
        admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        _until(lambda: _listed(admin), living, "the broker answers")
        yield bootstrap


@contextlib.contextmanager
def connect(programs: Programs, folder: Path, bootstrap: str) -> Generator[Connect]:
    """A standalone worker without connectors."""
    port = free_port()
    settings = worker_settings(bootstrap, port, programs.plugins, folder / "offsets")
    config = _written(folder / "connect.properties", settings)
    command = programs.command(CONNECT_HEAP, "org.apache.kafka.connect.cli.ConnectStandalone", config)
    with _running(command, folder / "connect.log") as living:
        worker = Connect(port, living)
        worker.until_ready()
        yield worker


class Connect:
    """A running worker, asked over its REST interface."""

    def __init__(self, port: int, living: Callable[[], None]) -> None:
        self._port = port
        self._living = living

    def until_ready(self) -> None:
        _until(self._healthy, self._living, "Connect is healthy")

    def add(self, name: str, config: Mapping[str, str]) -> None:
        """Returns when its task runs, which says nothing yet of its slot."""
        self._put(f"/connectors/{name}/config", dict(config))
        _until(lambda: self._is(name, "RUNNING", 2), self._living, f"{name} and its task run")

    def resume(self, name: str) -> None:
        """Only asks for it: what a start takes is measured."""
        self._put(f"/connectors/{name}/resume")

    def stop(self, name: str) -> None:
        """Its task ends, its offsets are kept."""
        self._put(f"/connectors/{name}/stop")
        _until(lambda: self._is(name, "STOPPED", 1), self._living, f"{name} is stopped")

    def check(self, name: str) -> None:
        """Raises Failed when it or its task has failed, or the worker is gone."""
        self._is(name, "RUNNING", 1)

    def _is(self, name: str, state: str, count: int) -> bool:
        """Whether so many of the connector and its task are in a state."""
        self._living()
        code, answer = self._ask("GET", f"/connectors/{name}/status")
        if b"FAILED" in answer or (code >= 400 and code != 404):  # not found: it was just added
            raise Failed(f"the connector {name}: {answer[:800].decode(errors='replace')}")
        return answer.count(f'"state":"{state}"'.encode()) >= count

    def _healthy(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self._ask("GET", "/health")[0] == 200
        return False

    def _put(self, path: str, body: object = None) -> None:
        code, answer = self._ask("PUT", path, body)
        if code >= 400:
            raise Failed(f"PUT {path} answered {code}: {answer[:500].decode(errors='replace')}")

    def _ask(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        client = Client(self._port)
        try:
            return client.request(method, path, body)
        finally:
            client.close()


@contextlib.contextmanager
def _running(command: Sequence[str], output: Path) -> Generator[Callable[[], None]]:
    """The process, ended after. What is given raises Failed when it has ended before."""
    process = spawn(command, output.parent, output)

    def living() -> None:
        if process.poll() is not None:
            raise Failed(f"{output.stem} has ended: {output.read_text('utf-8', 'replace')[-800:]}")

    try:
        yield living
    finally:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _until(done: Callable[[], bool], living: Callable[[], None], what: str) -> None:
    deadline = time.monotonic() + START_S
    while not done():
        living()
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {START_S:g} s")
        time.sleep(0.05)


def _written(path: Path, settings: Mapping[str, str]) -> str:
    path.write_text("".join(f"{key}={value}\n" for key, value in settings.items()), encoding="utf-8")
    return str(path)


def _listed(admin: AdminClient) -> bool:
    try:
        admin.list_topics(timeout=1)
    except KafkaException:
        return False
    return True
