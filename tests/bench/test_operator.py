#!/usr/bin/env python3
"""The parts of `make bench-operator` that can be tried without a control plane: `python3 tests/bench/test_operator.py`."""

import json
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "cluster")]

from operator_bench import command_line, keda, objects, page  # noqa: E402
from operator_bench.api import CONTROLLER, Api, count  # noqa: E402
from operator_bench.phases import differences  # noqa: E402

RESULTS = HERE / "operator_results"
PAGE = HERE.parent.parent / "docs" / "benchmarks-operator.md"


def event(who: str, verb: str, resource: str, impersonated: bool = True, **about) -> str:
    user = {"user": {"username": "admin"}, "impersonatedUser": {"username": who}} if impersonated else {"user": {"username": who}}
    return json.dumps({**user, "verb": verb, "objectRef": {"resource": resource, **about}, "responseStatus": {"code": 200},
                       "requestReceivedTimestamp": "2026-11-01T06:00:00.000000Z"}) + "\n"


def some_phase(**more) -> dict:
    return {"phaseSeconds": 60.0, "cpuSeconds": 2.0, "cpuPercent": 3.5, "memoryMiB": 99.0, "peakMiB": 110.5, "reconciles": 3, "otherWrites": 0,
            "kafkaQuestions": 4, "kafkaConnections": 3, "writes": {"update leases": 30}, "reads": {}, **more}


def some_run(fleets: int = 1000, **figures) -> dict:
    made = {
        "create": [some_phase(reconciledSeconds=50.0, otherWrites=5000)], "settle": some_phase(otherWrites=8), "rest": some_phase(),
        "change": some_phase(reconciledSeconds=4.0), "restart": some_phase(readySeconds=1.0), "restAgain": some_phase(),
        "wake": some_phase(asked=300, scaled=300, p50=0.3, p99=1.0, worst=1.2), "delete": some_phase(deletedSeconds=5.0), **figures}
    return {"date": "2026-01-01", "commit": "abc", "machine": some_machine(), "fleets": fleets, "figures": made}


def some_machine(processor: str = "p") -> dict:
    return {"processor": processor, "cores": 2, "kernel": "6", "loadBefore": 0.5}


def asked(fleets: int, status: float) -> dict:
    took = {"seconds": [0.1] * 5, "median": 0.1, "worst": 0.2}
    return {"fleets": fleets, "commands": {"status": {**took, "worst": status}, "lag": took, "dlqList": took}}


def some_keda(fleets: int = 1000, processor: str = "p", **settled) -> dict:
    def each(**more) -> dict:
        return {name: {"cpuSeconds": seconds, "cpuPercent": seconds, "memoryMiB": 10 * seconds, "peakMiB": 20 * seconds, "kafkaConnections": links,
                       "writes": {}, "otherWrites": writes}
                for name, seconds, links, writes in (("operator", 40.0, 2000, 7000), ("adapter", 2.0, 0, 1), ("hpa", 5.0, 0, 1000))} | more
    settle = each(cameToRest=True, quietAfterSeconds=30.0, phaseSeconds=50.0) | settled
    return {"date": "2026-01-02", "commit": "def", "machine": some_machine(processor), "fleets": fleets,
            "versions": {"keda": "v2.21.0", "kubernetes": "v1.35.4"},
            "figures": {"create": each(readySeconds=300.0), "settle": settle, "rest": each(notReady=0)}}


class InFolder(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)

    def keep(self, name: str, result: dict) -> None:
        (self.folder / f"{name}-{result['fleets']}.json").write_text(json.dumps(result))


class WhoWroteWhat(InFolder):
    def writes(self, lines: str, *writers: str, offset: int = 0):
        api = Api.__new__(Api)
        api.audit_log = self.folder / "audit.log"
        api.audit_log.write_text(lines)
        return api.writes(offset, writers) if writers else api.writes(offset)

    def test_drovers_are_told_from_those_about_it(self):
        lines = event(CONTROLLER, "patch", "deployments", subresource="scale") + event("admin", "create", "namespaces", name=CONTROLLER)
        writes, place = self.writes(lines)
        self.assertEqual((count(writes), place), ({"patch deployments/scale": 1}, len(lines)))

    def test_each_of_several_keeps_its_own(self):
        operator, hpa = keda.WRITERS["operator"], keda.WRITERS["hpa"]
        lines = event(operator, "create", "horizontalpodautoscalers") + event(hpa, "update", "horizontalpodautoscalers", impersonated=False)
        writes, _ = self.writes(lines + event(CONTROLLER, "patch", "configmaps"), operator, hpa)
        self.assertEqual([write.who for write in writes], [operator, hpa])

    def test_questions_of_rights_are_no_writes(self):
        adapter = keda.WRITERS["adapter"]
        writes, _ = self.writes(event(adapter, "create", "subjectaccessreviews") + event(adapter, "create", "events"), adapter)
        self.assertEqual(count(writes), {"create events": 1})

    def test_half_a_line_is_left_for_the_next_time(self):
        line = event(CONTROLLER, "update", "leases")
        writes, place = self.writes(line + line[:20])
        self.assertEqual(([write.is_lease for write in writes], place), ([True], len(line)))


class WhatDiffers(unittest.TestCase):
    def test_each_place_is_named_with_both_values(self):
        before = {"size": 1, "conditions": [{"type": "Ready", "reason": "AtRest"}, {"type": "Idle", "reason": "NoRecords"}], "gone": True}
        after = {"size": 1, "conditions": [{"type": "Ready", "reason": "AtRest"}, {"type": "Idle", "reason": "Unknown"}]}
        self.assertEqual(differences(before, after), [
            'status.conditions[1].reason: "NoRecords" -> "Unknown"', "status.gone: true -> null"])
        self.assertEqual(differences(before, before), [])


class Objects(unittest.TestCase):
    def test_both_have_the_same_containers_topics_groups_and_bounds(self):
        drover, scaled, deployment = (objects.kafka_consumer(7, "k:1"), objects.scaled_object(7, "k:1"), objects.deployment(7))
        (trigger,) = scaled["spec"]["triggers"]
        self.assertEqual(drover["spec"]["topics"], [trigger["metadata"]["topic"]])
        self.assertEqual(trigger["metadata"]["consumerGroup"], "team-7.fleet-00007")
        self.assertEqual(drover["spec"]["template"]["spec"], deployment["spec"]["template"]["spec"])
        self.assertEqual(scaled["spec"]["scaleTargetRef"]["name"], deployment["metadata"]["name"])
        self.assertEqual((scaled["spec"]["minReplicaCount"], scaled["spec"]["maxReplicaCount"]), tuple(drover["spec"]["scaling"].values()))

    def test_a_few_stay_when_the_many_are_deleted(self):
        labels = [objects.kafka_consumer(number, "k:1")["metadata"]["labels"] for number in range(2 * objects.FEW)]
        self.assertEqual(sum(objects.MANY_LABEL in each for each in labels), objects.FEW)
        self.assertNotIn(objects.MANY_LABEL, labels[objects.WITH_LETTERS])

    def test_one_has_dead_letters(self):
        with_letters = [number for number in range(200) if "delivery" in objects.kafka_consumer(number, "k:1")["spec"]]
        self.assertEqual(with_letters, [objects.WITH_LETTERS])


class CommandLine(unittest.TestCase):
    def test_what_is_not_well_is_no_row_of_its_own(self):
        said = ("NAMESPACE  NAME         READY\nteam-0     fleet-00000  False  0/0\nteam-1     fleet-00001  True   0/0\n\n"
                "team-0/fleet-00000: Ready False (PodsNotReady): 0 of 1 pod is ready\n")
        self.assertEqual(command_line.rows(said), 2)

    def test_an_answer_that_is_not_whole_ends_it(self):
        asks = command_line.CommandLine(Path("/bin/echo"), Path("kubeconfig"))
        self.assertEqual(len(asks.asked(["a"], lambda said: said == "a\n")["seconds"]), command_line.TIMES)
        with self.assertRaisesRegex(SystemExit, "drover b"):
            asks.asked(["b"], lambda said: said == "a\n")

    def test_status_has_a_goal_where_one_was_set(self):
        self.assertEqual([page.command_goal("status", fleets) for fleets in (100, 1000, 10_000)], [1, 3, None])
        self.assertEqual(page.command_goal("lag", 10_000), 1)


class Page(InFolder):
    def test_the_page_is_what_the_results_say(self):
        self.assertEqual(PAGE.read_text(), page.page(RESULTS))

    def test_what_is_not_measured_anew_stays(self):
        self.keep(page.DROVER, some_run(10_000))
        self.keep(page.DROVER, some_run(1000))
        self.keep(page.KEDA, some_keda(1000))
        written = page.page(self.folder)
        places = [written.index(each) for each in ("## 1,000 fleets", "## 10,000 fleets", "## Beside KEDA", "### 1,000")]
        self.assertEqual(places, sorted(places))

    def test_a_run_of_before_the_command_line_was_timed_has_its_section(self):
        self.keep(page.DROVER, some_run())
        self.assertNotIn("command line", page.page(self.folder))

    def test_the_command_line_has_its_table_and_its_checks(self):
        result = some_run(commandLine=[asked(1000, 3.5), asked(100, 0.9)], deleteMost=some_phase(deletedSeconds=4.0))
        self.keep(page.DROVER, result)
        written = page.page(self.folder)
        self.assertIn("| `drover status -A`, worst of 5, 1,000 fleets | 3.50 s | ≤ 3 | **not met** |", written)
        self.assertIn("| `drover status -A` | 100 | 0.10 | 0.90 | ≤ 1 |", written)
        self.assertIn("| all but 100 deleted | 4 |", written)
        self.assertNotIn("{", written)

    def test_drovers_figures_stand_beside_kedas(self):
        table = page.beside_table(some_run(), some_keda())
        self.assertIn("| seconds from the first created to all reconciled | 50 | 300 |", table)
        self.assertIn("| writes in that time | 5,000 | 7,001 | 7,000 | 1 | 1,000 |", table)
        self.assertIn("| writes until nobody writes | 5,008 | 14,002 | 14,000 | 2 | 2,000 |", table)
        self.assertIn("| share of a core at rest, % | 3.50 | 42 | 40 | 2 | 5 |", table)
        self.assertIn("| most memory until then, MiB | 110.5 | 840 | 800 | 40 | 100 |", table)
        self.assertIn("| connections to the broker at rest | 3 | 2,000 | 2,000 | 0 | 0 |", table)

    def test_kedas_stand_alone_where_drover_has_no_run_of_as_many(self):
        self.keep(page.DROVER, some_run(1000))
        self.keep(page.KEDA, some_keda(500))
        written = page.page(self.folder)
        self.assertIn("of Drover nothing is measured with as many fleets", written)
        self.assertIn("| writes in that time |  | 7,001 |", written)

    def test_another_machine_and_no_rest_are_told(self):
        self.keep(page.DROVER, some_run())
        self.keep(page.KEDA, some_keda(processor="another", cameToRest=False, quietAfterSeconds=None))
        written = page.page(self.folder)
        self.assertIn("Not measured on the same machine", written)
        self.assertIn("still wrote 50 s after", written)


if __name__ == "__main__":
    unittest.main()
