"""The Kafka broker: one process, or three, each both broker and controller (KRaft)."""

from __future__ import annotations

import socket
import struct
import subprocess
from pathlib import Path

from . import processes, tools
from .packages import find
from .plan import Plan
from .say import Failure

CLUSTER_ID = "ZHJvdmVyLXRlc3Qtc2V0MA"  # 16 bytes in base64, the same for all: nobody joins two of them

# The first names of kafka-tools' classes: `cluster kafka topics --list`.
TOOLS = {
    "topics": "org.apache.kafka.tools.TopicCommand",
    "groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "configs": "kafka.admin.ConfigCommand",
    "console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
}


def names(plan: Plan) -> list[str]:
    """The brokers that were started in this folder: kafka-1, kafka-2, …"""
    return [name for name in processes.names(plan.dir) if name.startswith("kafka-")]


def bootstrap(plan: Plan, brokers: int) -> str:
    return ",".join(f"127.0.0.1:{plan.kafka_port(broker)}" for broker in range(1, brokers + 1))


def start(plan: Plan, brokers: int, pod_address: str | None, more: list[str] | None = None,
          further: list[tuple[str, str]] | None = None) -> None:
    """Starts the brokers; returns before they are ready (`wait`).

    With a `pod_address`, each also listens there, and tells that address to whoever comes that way. `more` are
    further lines for their settings; Kafka takes the last of a name. `further` are listeners beside the usual ones,
    each with its security protocol, of broker 1 alone.
    """
    configs = {broker: plan.dir / f"kafka-{broker}" / "server.properties" for broker in range(1, brokers + 1)}
    for broker, config in configs.items():
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(properties(plan, broker, brokers, pod_address, further or []) + "".join(f"{line}\n" for line in more or []))
    _format(list(configs.values()))
    for broker, config in configs.items():
        processes.start(plan.dir, f"kafka-{broker}", _java("-Xms128m", "-Xmx384m") + ["kafka.Kafka", str(config)])


def wait(plan: Plan, only: list[str] | None = None) -> None:
    """Waits until the brokers know each other: each of `only` (all, where not given) must list all that run."""
    awaited = only or names(plan)
    count = sum(processes.running(plan.dir, name) is not None for name in names(plan))
    for name in awaited:
        port = plan.kafka_port(int(name.split("-")[1]))
        processes.wait_until(plan.dir, name, lambda: _brokers_known(port) >= count)


def stop(plan: Plan, only: list[str] | None = None, hard: bool = False) -> None:
    """Stops the brokers and keeps their data."""
    found = [processes.running(plan.dir, name) for name in only or names(plan)]
    # All at once: a majority of the controllers must be there for one to leave in order, the last would wait.
    processes.end([process for process in found if process], patience=20, hard=hard)


def properties(plan: Plan, broker: int, brokers: int, pod_address: str | None,
               further: list[tuple[str, str]] | None = None) -> str:
    everyone = range(1, brokers + 1)
    voters = ",".join(f"{each}@127.0.0.1:{plan.kafka_controller_port(each)}" for each in everyone)
    listeners = [f"LOCAL://127.0.0.1:{plan.kafka_port(broker)}"]
    if pod_address:
        listeners.append(f"PODS://{pod_address}:{plan.kafka_pod_port(broker)}")
    further = (further or []) if broker == 1 else []
    listeners += [f"{name}://127.0.0.1:{plan.kafka_further_port(index)}" for index, (name, _) in enumerate(further)]
    protocols = ["LOCAL:PLAINTEXT", "PODS:PLAINTEXT", "CONTROLLER:PLAINTEXT"] + [":".join(each) for each in further]
    copies = min(brokers, 3)
    settings = {
        "node.id": broker,
        "process.roles": "broker,controller",
        "controller.quorum.voters": voters,
        "controller.listener.names": "CONTROLLER",
        "listeners": ",".join(listeners + [f"CONTROLLER://127.0.0.1:{plan.kafka_controller_port(broker)}"]),
        "advertised.listeners": ",".join(listeners),
        "listener.security.protocol.map": ",".join(protocols),
        "inter.broker.listener.name": "LOCAL",
        "log.dirs": plan.dir / f"kafka-{broker}" / "data",
        "auto.create.topics.enable": "false",  # a topic that is missing must be seen to be missing
        "default.replication.factor": copies,
        "min.insync.replicas": max(1, copies - 1),
        "offsets.topic.replication.factor": copies,
        "offsets.topic.num.partitions": 8,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": max(1, copies - 1),
        "transaction.state.log.num.partitions": 8,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": max(1, copies - 1),
        "group.initial.rebalance.delay.ms": 0,
        # A broker that was killed may come back only when the controller has given up its former self (default 9 s).
        "broker.session.timeout.ms": 4000,
        "broker.heartbeat.interval.ms": 1000,
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,  # the default takes a third of this heap
        "num.network.threads": 2,
        "num.io.threads": 4,
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def run_tool(plan: Plan, tool: str, arguments: list[str]) -> int:
    """Runs one of Kafka's command-line tools against this cluster, on the terminal."""
    if tool not in TOOLS:
        raise Failure(f"no tool {tool!r}; there are: {', '.join(sorted(TOOLS))}")
    servers = [] if "--bootstrap-server" in arguments or tool == "producer-perf-test" else [
        "--bootstrap-server", bootstrap(plan, len(names(plan)))]
    return subprocess.call(_java("-Xmx256m") + [TOOLS[tool], *servers, *arguments])


def _java(*options: str) -> list[str]:
    return [
        find("java") or "java", *options, "-XX:+UseSerialGC",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS", "-cp", tools.kafka_classpath(),
    ]


def _format(configs: list[Path]) -> None:
    """Prepares the brokers' data folders, all at once: most of it is the start of a JVM."""
    begun = [subprocess.Popen(
        _java("-Xmx128m", "-XX:TieredStopAtLevel=1")
        + ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(config)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for config in configs]
    outputs = [(each.communicate()[0], each.returncode) for each in begun]
    for output, code in outputs:
        if code != 0:
            raise Failure(f"formatting Kafka's folder failed:\n{output.decode('utf-8', 'replace')}")


def _brokers_known(port: int) -> int:
    """How many brokers the one behind this port lists; 0 where it does not answer. Speaks Metadata version 1."""
    client = b"cluster"
    request = struct.pack(">hhih", 3, 1, 1, len(client)) + client + struct.pack(">i", 0)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = b""
            while len(answer) < 12:  # length, correlation id, number of brokers
                part = connection.recv(4096)
                if not part:
                    return 0
                answer += part
    except OSError:
        return 0
    return struct.unpack(">i", answer[8:12])[0]
