#!/usr/bin/env python3
"""The parts of `make bench-keda` that can be tried without a cluster: `python3 tests/bench/test_keda.py`."""

import struct
import sys
import unittest
import xml.etree.ElementTree
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), *(str(HERE.parent / name) for name in ("cluster", "demo", "pictures"))]

from keda_bench import excerpt, figures, page, picture, world  # noqa: E402
from keda_bench.commits import Ledger  # noqa: E402

TRACES = HERE.parent / "traces"
ITS = world.World()


def text(value: str) -> bytes:
    return struct.pack(">h", len(value)) + value.encode()


def commit(ledger: Ledger, at: float, offset: int, group: str = "g", topic: str = "t", partition: int = 0) -> None:
    key = struct.pack(">h", 1) + text(group) + text(topic) + struct.pack(">i", partition)
    ledger.take(at, key, struct.pack(">hqi", 3, offset, -1) + text("") + struct.pack(">q", int(at * 1000)))


def generation(ledger: Ledger, at: float, number: int, members: int, group: str = "g") -> None:
    value = struct.pack(">h", 3) + text("consumer") + struct.pack(">i", number) + text("sticky") + text("leader")
    ledger.take(at, struct.pack(">h", 2) + text(group), value + struct.pack(">qi", 0, members))


class WhatTheBrokerWrote(unittest.TestCase):
    def test_commits_are_kept_where_they_rise(self):
        ledger = Ledger()
        for at, offset in ((1.0, 5), (2.0, 5), (3.0, 4), (4.0, 9)):
            commit(ledger, at, offset)
        place = ("g", "t", 0)
        self.assertEqual((ledger.times[place], ledger.offsets[place]), ([1.0, 4.0], [5, 9]))
        self.assertEqual([ledger.at(place, moment) for moment in (0.5, 1.0, 3.9, 4.0)], [0, 5, 5, 9])

    def test_deleted_and_unknown_records_are_passed_over(self):
        ledger = Ledger()
        ledger.take(1.0, struct.pack(">h", 1) + text("g"), None)
        ledger.take(1.0, struct.pack(">h", 7), b"x")
        self.assertFalse(ledger.times or ledger.generations)

    def test_generations_count_from_the_moment_on_also_unwritten_ones_but_not_empty_ones(self):
        ledger = Ledger()
        for at, number, members in ((1.0, 3, 1), (5.0, 5, 2), (6.0, 6, 0), (9.0, 8, 1)):
            generation(ledger, at, number, members)
        self.assertEqual(ledger.begun_generations("g", 2.0, 7.0), 2)  # 4 and 5
        self.assertEqual(ledger.begun_generations("g", 2.0, 20.0), 4)  # and 7 and 8
        self.assertEqual(ledger.begun_generations("other", 2.0, 7.0), 0)


class Delays(unittest.TestCase):
    def setUp(self):
        self.ledger = Ledger()
        commit(self.ledger, 3.0, 2)
        commit(self.ledger, 10.0, 3)
        self.times = [1.0, 2.0, 2.5, 20.0]

    def test_the_oldest_is_the_first_that_is_not_committed(self):
        found = figures.oldest(self.times, ("g", "t", 0), self.ledger, [0.5, 2.0, 3.0, 9.5, 10.0, 21.0])
        self.assertEqual(found, [0.0, 1.0, 0.5, 7.0, 0.0, 1.0])

    def test_a_record_is_done_with_the_commit_that_covers_it(self):
        self.assertEqual(figures.record_delays(self.times, ("g", "t", 0), self.ledger), ([2.0, 1.0, 7.5], 1))

    def test_pods_count_as_far_as_they_lie_within(self):
        self.assertEqual(figures.pod_seconds([(0.0, 5.0), (8.0, None), (1.0, 3.0)], 4.0, 10.0), 3.0)

    def test_a_runs_figures(self):
        found = figures.of_run("g", "t", {0: self.times}, self.ledger, [(0.0, None)], [(0.0, 1), (4.0, 3), (6.0, 2)], 1.0, 11.0, 5.0)
        self.assertEqual((found.records, found.undone, found.changes, found.peak, found.late), (4, 1, 2, 3, 1))
        self.assertAlmostEqual(found.seconds_over, 2.4, delta=0.21)
        self.assertEqual((len(found.delays), found.sizes), (10, [1, 1, 1, 3, 3, 2, 2, 2, 2, 2]))


class Loads(unittest.TestCase):
    def test_each_cut_lies_within_its_trace_and_begins_low(self):
        for cut in excerpt.CUTS:
            with self.subTest(cut.name):
                load = excerpt.cut(excerpt.read(TRACES / cut.trace), cut).scaled(100)
                self.assertAlmostEqual(load.seconds, cut.lead + cut.lasts, delta=2 * load.step)
                self.assertAlmostEqual(load.busiest(), 100)
                self.assertLess(load.rates[0], 25)

    def test_rates_are_joined_from_middle_to_middle(self):
        load = excerpt.Excerpt(10, (0.0, 10.0))
        self.assertEqual([load.rate(at) for at in (0, 5, 10, 15, 20)], [0, 0, 5, 10, 10])

    def test_arrivals_are_as_many_as_the_rates_say_and_the_same_each_time(self):
        load = excerpt.Excerpt(60, (5.0, 10.0, 5.0))
        weights = excerpt.shares(4, 0.25, 1)
        found = excerpt.arrivals(load, 5, weights, 1)
        self.assertEqual(found, excerpt.arrivals(load, 5, weights, 1))
        self.assertAlmostEqual(len(found), 1200, delta=120)
        self.assertLess(found[-1][0], 36)
        self.assertEqual({partition for _, partition in found}, {0, 1, 2, 3})


class Objects(unittest.TestCase):
    def test_all_times_of_keda_pass_at_the_pace(self):
        made = world.scaled_object(world.RATE_TUNED, 5, "t", (1, 24), 50, "kafka:1", "http://rate")["spec"]
        self.assertEqual((made["pollingInterval"], made["cooldownPeriod"]), (6, 60))
        lag, rate = made["triggers"]
        self.assertEqual((lag["metadata"]["lagThreshold"], rate["metadata"]["targetValue"]), ("70", "35.00"))
        down = made["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
        self.assertEqual((down["stabilizationWindowSeconds"], down["policies"][0]["periodSeconds"]), (24, 3))

    def test_the_simulator_knows_each(self):
        self.assertEqual(world.simulated(world.LAG), ("keda-lag", "--policy=keda-lag"))
        self.assertEqual(world.simulated(world.LAG_TUNED), ("keda:lag=2,down=120", "--keda=lag=2,down=120"))
        self.assertEqual(world.simulated(world.RATE_HINDSIGHT)[1], "--keda=lag=4,rate=0.8,window=60,down=60")

    def test_defaults_have_no_behavior_and_ten_records(self):
        made = world.scaled_object(world.LAG, 5, "t", (1, 24), 50, "kafka:1")["spec"]
        self.assertNotIn("advanced", made)
        self.assertEqual(made["triggers"][0]["metadata"]["lagThreshold"], "10")

    def test_pods_of_both_begin_and_take_as_long(self):
        drover = world.kafka_consumer(ITS, "d", "t", 5, {})["spec"]
        keda = world.deployment(ITS, "k", "t", 5, 1)["spec"]["template"]["spec"]
        pod = drover["template"]["spec"]
        self.assertEqual(pod["initContainers"], keda["initContainers"])
        self.assertEqual(pod["containers"][0]["resources"], keda["containers"][0]["resources"])
        self.assertEqual(drover["delivery"], {"concurrency": 1})
        taken = world.handler(ITS)[0]["spec"]["template"]["spec"]["containers"][0]["env"]
        self.assertEqual(taken, keda["containers"][0]["env"][:1])
        self.assertNotIn("initContainers", world.kafka_consumer(ITS, "d", "t", 0, {})["spec"]["template"]["spec"])


def some_run() -> dict:
    names = [world.DROVER, *(keda.name for keda in world.ROUNDS["lag"])]
    each = {"pod_seconds": 100.0, "seconds_over": 2.0, "share_over": 0.02, "p50": 0.1, "p99": 3.0, "worst": 9.0, "late": 1, "records": 10,
            "undone": 0, "changes": 3, "generations": 4, "peak": 5, "delays": [0.0, 20.0] * 30, "sizes": [1, 5] * 30}
    sim = {"podHours": 1.0, "shareOver": 0.01, "p50": 0.1, "p99": 9.0, "rebalances": 3, "peak": 5}
    return {"name": "bursts", "round": "lag", "trace": "bursts_24h.csv", "about": "made up", "begins": 0, "lasts": 60, "pace": 5, "lead": 60, "step": 10,
            "rates": [1.0] * 30, "perPod": 50.0, "seconds": 60.0, "busy": 0.3, "mostBusy": 0.5, "startUp": 5.5, "lateFeed": 0.0,
            "figures": {name: each for name in names}, "simulated": {name: sim for name in names},
            "date": "2026-01-01", "commit": "abc", "cores": 2, "processor": "p", "kernel": "6", "quick": False}


class PageAndPicture(unittest.TestCase):
    def test_the_picture_is_xml_and_has_each_fleet_and_promise(self):
        svg = picture.draw(some_run(), ITS)
        xml.etree.ElementTree.fromstring(svg)
        self.assertEqual(svg.count(">promise<"), 3)
        self.assertNotIn("nan", svg)
        for keda in world.ROUNDS["lag"]:
            self.assertIn(f">{keda.name}<", svg)

    def test_the_page_holds_what_is_there(self):
        burst = {"first": 1.0, "last": 30.0, "zero": 60.0, "pod_seconds": 700.0, "changes": 3, "generations": 4, "peak": 12}
        common = {key: some_run()[key] for key in ("date", "commit", "cores", "processor", "kernel", "quick")}
        fleets = [world.DROVER, world.BURST_TUNED.name, world.BURST_DEFAULTS.name]
        found = {"bursts-lag": some_run(), "burst": {**common, "records": 60000, "fleets": {name: burst for name in fleets}},
                 "first": {**common, "fleets": {name: [1.0, 2.0, 4.0] for name in fleets}}}
        written = page.page(found)
        for part in ("# Beside real KEDA", "images/keda-bursts-lag.svg", "## From zero", "| Drover | 2.00 s | 1.00 s | 4.00 s |"):
            self.assertIn(part, written)
        self.assertNotIn("{", written)

    def test_ranks_share_a_place_when_near(self):
        self.assertEqual(page.ranks({"a": 1.0, "b": 1.01, "c": 2.0}, page.Near(0.03)), [["a", "b"], ["c"]])

    def test_pairs_that_one_side_does_not_tell_apart_do_not_count(self):
        self.assertEqual(page.agreement({"a": 1.0, "b": 2.0, "c": 3.0}, {"a": 1.0, "b": 1.0, "c": 0.5}, page.Near(0.03)), (0, 2))
        self.assertEqual(page.agreement({"a": 1.0, "b": 2.0}, {"a": 5.0, "b": 9.0}, page.Near(0.1)), (1, 1))
        self.assertEqual(page.agreement({"a": 0.0, "b": 0.001}, {"a": 5.0, "b": 9.0}, page.Near(0.1, 0.002)), (0, 0))


if __name__ == "__main__":
    unittest.main()
