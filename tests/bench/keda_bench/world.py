"""What is the same for all fleets, and what is set for each. Pure."""

from __future__ import annotations

from dataclasses import dataclass

NAMESPACE = "bench"
CONSUMER = "drover.local/own-consumer:dev"
HANDLER = "handler"
BUSYBOX = "drover.local/busybox:1"
POD_BOOTSTRAP = "kafka.kafka.svc.cluster.local:9092"

# Kubernetes' and KEDA's own, in seconds; docs of KEDA's ScaledObject and of the HPA.
POLLING, COOLDOWN, SYNC, STABILISATION, HPA_PERIOD = 30, 300, 15, 300, 15


@dataclass(frozen=True)
class World:
    """Times are those of the trace; `pace` is how many times faster all of them pass."""

    pace: float = 5
    promise: float = 60
    partitions: int = 12
    start_up: float = 30  # of a pod, with what it takes by itself
    handler_ms: int = 40  # of the clock on the wall: what a pod does a second is measured
    busiest_pods: float = 4  # the busiest five minutes need so many
    skew: float = 0.25  # sigma of the partitions' log-normal shares

    def passes(self, seconds: float) -> float:
        """Seconds on the wall's clock for so many of the trace."""
        return seconds / self.pace


@dataclass(frozen=True)
class Keda:
    """A ScaledObject's settings, seconds of the trace. `None` leaves a setting away."""

    name: str
    about: str
    lag_seconds: float | None = None  # lagThreshold in seconds of one pod's work; None: KEDA's default, 10 records
    rate_share: float | None = None  # a second trigger: arrivals per second over this share of what a pod does
    rate_window: float = 120
    down_window: float | None = None
    polling: float = POLLING
    cooldown: float = COOLDOWN
    up_at_once: bool = False


# What `make tune-keda` found for a promise of a minute: src/simulation/contender.rs.
LAG = Keda("keda-lag", "KEDA on lag, all defaults: ten records for each pod")
# The tuned one on lag is of an earlier search; by now it finds 3 s, which `drover simulate` has, and which takes fewer pods.
LAG_TUNED = Keda("keda-lag-tuned", "KEDA on lag, tuned: 2 s of a pod's work for each pod, 120 s before fewer",
                 lag_seconds=2, down_window=120)
RATE_TUNED = Keda("keda-rate-tuned", "KEDA on arrivals and lag, tuned: 70 % of a pod, 7 s of its work, 120 s before fewer",
                  lag_seconds=7, rate_share=0.7, down_window=120)
# What `tests/bench/keda --tune` found on exactly these loads: the fewest pods of those that break no promise.
RATE_HINDSIGHT = Keda("keda-rate-hindsight", "KEDA on arrivals and lag, tuned on these very loads: 80 % of a pod, 4 s of its work",
                      lag_seconds=4, rate_share=0.8, rate_window=60, down_window=60)
DROVER = "drover"
# Who plays beside Drover at the same time: a small machine does not carry all of them at once.
ROUNDS = {"lag": (LAG_TUNED, LAG), "rate": (RATE_HINDSIGHT, RATE_TUNED)}
ON_TRACES = tuple(keda for fleets in ROUNDS.values() for keda in fleets)


def simulated(keda: Keda) -> tuple[str, str]:
    """Its name in `drover simulate`, and the option that asks for it."""
    if keda not in (RATE_HINDSIGHT, LAG_TUNED):
        return keda.name, f"--policy={keda.name}"
    rate = f"rate={keda.rate_share:g},window={keda.rate_window:g}," if keda.rate_share else ""
    text = f"lag={keda.lag_seconds:g},{rate}down={keda.down_window:g}"
    return f"keda:{text}", f"--keda={text}"

# For a burst nothing is compressed. Two settings: everybody's, and one made for bursts.
BURST_DEFAULTS = Keda("keda-defaults", "KEDA on lag, all defaults")
BURST_TUNED = Keda("keda-for-bursts", "KEDA on lag, polling each second, the HPA may order all pods at once",
                   polling=1, cooldown=30, up_at_once=True)


def lag_threshold(keda: Keda, per_pod: float) -> int:
    """`lagThreshold` in records; `per_pod` is records per second of the same clock as the setting's seconds."""
    return 10 if keda.lag_seconds is None else max(1, round(keda.lag_seconds * per_pod))


def hpa_flags(world: World) -> list[str]:
    """Flags of the controller manager: the HPA's clocks at this pace."""
    return [f"--horizontal-pod-autoscaler-sync-period={world.passes(SYNC):g}s",
            f"--horizontal-pod-autoscaler-downscale-stabilization={world.passes(STABILISATION):g}s"]


RESOURCES = {"requests": {"cpu": "5m", "memory": "16Mi"}, "limits": {"memory": "128Mi"}}


def waits(start_up: float) -> dict:
    """What makes a pod wait before it begins, wall seconds; of all fleets the same."""
    if start_up <= 0:
        return {}
    return {"initContainers": [{"name": "start-up", "image": BUSYBOX, "imagePullPolicy": "IfNotPresent",
                                "command": ["sleep", f"{start_up:g}"], "resources": RESOURCES}]}


def handler(world: World) -> list[dict]:
    """What Drover's workers call: it takes as long for a record as the consumer in KEDA's pods."""
    labels = {"app": HANDLER}
    container = {"name": HANDLER, "image": "drover.local/handler:dev", "imagePullPolicy": "IfNotPresent",
                 "env": [{"name": "HANDLER_DELAY", "value": f"{world.handler_ms}ms"}], "resources": RESOURCES,
                 "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1}}
    return [{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": HANDLER, "namespace": NAMESPACE, "labels": labels},
             "spec": {"selector": {"matchLabels": labels}, "strategy": {"type": "Recreate"},
                      "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}}},
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": HANDLER, "namespace": NAMESPACE},
             "spec": {"selector": labels, "ports": [{"port": 8080}]}}]


def pod_spec(world: World, start_up: float, more: list[dict] | None = None) -> dict:
    """KEDA's consumer."""
    consumer = {"name": "consumer", "image": CONSUMER, "imagePullPolicy": "IfNotPresent", "command": ["/own-consumer"],
                "env": [{"name": "HANDLER_DELAY", "value": f"{world.handler_ms}ms"}, *(more or [])], "resources": RESOURCES}
    return {"containers": [consumer], **waits(start_up)}


def kafka_consumer(world: World, name: str, topic: str, start_up: float, scaling: dict) -> dict:
    """Drover's: its worker, one record at a time, before a handler that takes as long as KEDA's consumer."""
    return {"apiVersion": "drover.dev/v1alpha1", "kind": "KafkaConsumer", "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"kafka": {"bootstrapServers": POD_BOOTSTRAP}, "topics": [topic], "groupId": name,
                     "handler": {"http": {"url": f"http://{HANDLER}.{NAMESPACE}.svc.cluster.local:8080/records"}, "timeout": "30s"},
                     "delivery": {"concurrency": 1}, "scaling": scaling,
                     "template": {"spec": {"containers": [{"name": "worker", "resources": RESOURCES}], **waits(start_up)}}}}


def deployment(world: World, name: str, topic: str, start_up: float, replicas: int) -> dict:
    """KEDA's: the same pod in a Deployment."""
    environment = [{"name": key, "value": value} for key, value in (
        ("KAFKA_BOOTSTRAP_SERVERS", POD_BOOTSTRAP), ("KAFKA_GROUP_ID", name), ("KAFKA_TOPICS", topic))]
    labels = {"fleet": name}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels},
                     "template": {"metadata": {"labels": labels}, "spec": pod_spec(world, start_up, environment)}}}


def scaled_object(keda: Keda, pace: float, topic: str, bounds: tuple[int, int], per_pod: float, bootstrap: str,
                  rate_url: str | None = None) -> dict:
    """`per_pod`: records per second of the wall's clock that a pod does. `bootstrap` and `rate_url` are as KEDA reaches them."""
    def wall(seconds: float) -> int:
        return max(1, round(seconds / pace))
    triggers = [{"type": "kafka", "metadata": {
        "bootstrapServers": bootstrap, "consumerGroup": keda.name, "topic": topic, "offsetResetPolicy": "earliest",
        "lagThreshold": str(lag_threshold(keda, per_pod / pace))}}]
    if keda.rate_share is not None:
        triggers.append({"type": "metrics-api", "metadata": {
            "url": f"{rate_url}?seconds={keda.rate_window / pace:g}", "valueLocation": "rate", "targetValue": f"{keda.rate_share * per_pod:.2f}"}})
    spec: dict = {
        "scaleTargetRef": {"name": keda.name}, "pollingInterval": wall(keda.polling), "cooldownPeriod": wall(keda.cooldown),
        "minReplicaCount": bounds[0], "maxReplicaCount": bounds[1], "triggers": triggers}
    behavior: dict = {}
    if keda.down_window is not None:
        period = wall(HPA_PERIOD)
        # Once one is given Kubernetes fills in the other rules; these are its defaults, at this pace.
        behavior = {
            "scaleUp": {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [
                {"type": "Pods", "value": 4, "periodSeconds": period}, {"type": "Percent", "value": 100, "periodSeconds": period}]},
            "scaleDown": {"stabilizationWindowSeconds": wall(keda.down_window), "policies": [
                {"type": "Percent", "value": 100, "periodSeconds": period}]}}
    if keda.up_at_once:
        behavior["scaleUp"] = {"stabilizationWindowSeconds": 0,
                               "policies": [{"type": "Pods", "value": 100, "periodSeconds": 1}]}
    if behavior:
        spec["advanced"] = {"horizontalPodAutoscalerConfig": {"behavior": behavior}}
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject",
            "metadata": {"name": keda.name, "namespace": NAMESPACE}, "spec": spec}
