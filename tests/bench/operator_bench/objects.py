"""What is made, of Drover's and of KEDA's: the same container, topics and bounds. Pure."""

from __future__ import annotations

TOPICS = 50
PARTITIONS = 12
NAMESPACES = 10
# The fleet whose dead letters the command line lists; all others name no topic for them.
WITH_LETTERS = 0
LETTERS_TOPIC = "letters"
LETTERS = 1000
# Whether a fleet stays when all but a few are deleted.
FEW = 100
MANY_LABEL = "many"


def key(number: int) -> tuple[str, str]:
    return f"team-{number % NAMESPACES}", f"fleet-{number:05}"


def topic(number: int) -> str:
    return f"topic-{number % TOPICS:02}"


def group(number: int) -> str:
    """The consumer group, as Drover names it where none is given."""
    return ".".join(key(number))


def kafka_consumer(number: int, servers: str) -> dict:
    spec = {
        "kafka": {"bootstrapServers": servers}, "topics": [topic(number)],
        "handler": {"http": {"port": 3000, "path": "/kafka"}},
        "scaling": {"minReplicas": 0, "maxReplicas": PARTITIONS},
        "template": {"spec": {"containers": [_container()]}}}
    if number == WITH_LETTERS:
        spec["delivery"] = {"deadLetter": {"topic": LETTERS_TOPIC}}
    return {"apiVersion": "drover.dev/v1alpha1", "kind": "KafkaConsumer", "metadata": _meta(number), "spec": spec}


def deployment(number: int) -> dict:
    """What a ScaledObject scales; Drover makes its own."""
    labels = {"fleet": key(number)[1]}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": _meta(number),
            "spec": {"replicas": 0, "selector": {"matchLabels": labels},
                     "template": {"metadata": {"labels": labels}, "spec": {"containers": [_container()]}}}}


def scaled_object(number: int, servers: str) -> dict:
    """All defaults, but for the reset policy: with KEDA's own a group that has never committed counts as having something to do."""
    trigger = {"type": "kafka", "metadata": {
        "bootstrapServers": servers, "consumerGroup": group(number), "topic": topic(number), "offsetResetPolicy": "earliest"}}
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": _meta(number),
            "spec": {"scaleTargetRef": {"name": key(number)[1]}, "minReplicaCount": 0, "maxReplicaCount": PARTITIONS, "triggers": [trigger]}}


def _meta(number: int) -> dict:
    namespace, name = key(number)
    labels = {"team": namespace} | ({MANY_LABEL: "true"} if number >= FEW else {})
    return {"name": name, "namespace": namespace, "labels": labels}


def _container() -> dict:
    environment = [{"name": each, "value": "production"} for each in ("RAILS_ENV", "RACK_ENV", "NODE_ENV")]
    return {"name": "rails", "image": "registry.example/shop:1.2.3", "ports": [{"containerPort": 3000}],
            "env": environment, "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}}}
