#!/usr/bin/env python3
"""Pictures, without a cluster: `python3 tests/pictures/test_pictures.py`."""

import re
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml
from pathlib import Path

sys.dont_write_bytecode = True
sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "demo")]

from drover_pictures import answers, board, cells, dashboard, prometheus, shot, story, timeseries, units  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
VARIABLES = {"fleets": story.VARIABLES, "fleet": {**story.VARIABLES, "consumer": "demo/user-events"}}
BEGIN, LENGTH, STEP = 1_000_000, 600, 5


def made_up(query: dashboard.Query) -> list:
    """Two series with whatever labels the query asks for."""
    grouped = re.search(r"by \(([^)]*)\)", query.expr)
    names = [name.strip() for name in grouped[1].split(",")] if grouped else []
    times = [BEGIN + LENGTH] if query.instant else range(BEGIN, BEGIN + LENGTH + 1, STEP)
    return [answers.Series({name: f"{name}-{number}" for name in names}, [(at, (at - BEGIN) * number / 100) for at in times])
            for number in (1, 2)]


def answered(the_board: dashboard.Board, answer) -> answers.Answers:
    found = answers.Answers(BEGIN, BEGIN + LENGTH, STEP, STEP, {"consumer": "demo/user-events"})
    for panel in the_board.panels:
        for query in panel.queries:
            found.of[answers.key(query)] = answer(query)
    return found


def boards():
    return [(name, dashboard.read(name, VARIABLES[name])) for name in dashboard.BOARDS]


def words(svg: str) -> list:
    return [element.text for element in xml.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def with_panel(**changes) -> dict:
    """A dashboard with one panel of lines, changed."""
    panel = {"type": "timeseries", "title": "Lag", "gridPos": {"x": 0, "y": 0, "w": 8, "h": 8}, "targets": [{"expr": "up"}],
             "fieldConfig": {"defaults": {"unit": "short", "custom": {"fillOpacity": 10}}, "overrides": []}}
    return {"title": "one", "panels": [{**panel, **changes}]}


class Dashboards(unittest.TestCase):
    def test_every_panel_of_both_is_drawn_and_named(self):
        for name, the_board in boards():
            with self.subTest(name):
                svg, empty = board.draw(the_board, answered(the_board, made_up))
                self.assertEqual(empty, [])
                self.assertLessEqual({panel.title for panel in the_board.panels}, set(words(svg)))

    def test_a_panel_without_data_is_drawn_and_listed(self):
        for name, the_board in boards():
            with self.subTest(name):
                svg, empty = board.draw(the_board, answered(the_board, lambda _: []))
                self.assertEqual(empty, [panel.title for panel in the_board.panels if panel.type != "row"])
                self.assertLessEqual(set(empty), set(words(svg)))
                self.assertIn("No data", words(svg))

    def test_what_is_not_understood_is_refused(self):
        override = {"matcher": {"id": "byName", "options": "lag"}, "properties": [{"id": "custom.axisPlacement", "value": "right"}]}
        config = with_panel()["panels"][0]["fieldConfig"]
        for what, source in {
            "heatmap": with_panel(type="heatmap"),
            "axisPlacement": with_panel(fieldConfig={**config, "overrides": [override]}),
            "joinByField": with_panel(transformations=[{"id": "joinByField"}]),
            r"\$pod": with_panel(targets=[{"expr": 'up{pod="$pod"}'}]),
        }.items():
            with self.assertRaisesRegex(dashboard.NotUnderstood, what):
                dashboard.parse(source, {})

    def test_answers_are_the_same_after_they_were_kept(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, the_board in boards():
                found = answered(the_board, made_up)
                found.save(Path(folder) / name)
                self.assertEqual(answers.Answers.load(Path(folder) / name), found)

    def test_not_a_number_is_not_known(self):
        the_board = dashboard.parse(with_panel(), {})
        found = answered(the_board, lambda _: [])
        answers.gather(the_board, found, lambda path, asked: [{"metric": {}, "values": [[1, "NaN"], [2, "3"]]}])
        self.assertEqual(found.of["up"], [answers.Series({}, [(2.0, 3.0)])])

    def test_lines_are_cut_where_something_is_missing(self):
        points = [(0, 0, 1), (5, 0, 1), (20, 0, 1), (25, 0, 1)]
        self.assertEqual(timeseries._runs(points, 5), [points[:2], points[2:]])

    def test_names_for_which_the_legend_has_no_room_are_counted(self):
        the_board = dashboard.parse(with_panel(targets=[{"expr": "up", "legendFormat": "{{pod}}"}]), {})
        many = [answers.Series({"pod": f"user-events-5d8c9-{number}"}, [(BEGIN, 1.0), (BEGIN + 5, 1.0)]) for number in range(30)]
        svg, _ = board.draw(the_board, answered(the_board, lambda _: many))
        named = [word for word in words(svg) if word.startswith("user-events-5d8c9-")]
        self.assertIn(f"and {30 - len(named)} more", words(svg))


class Units(unittest.TestCase):
    def test_values_are_written_as_grafana_does(self):
        for value, unit, text in [
            (0, "short", "0"), (7, "short", "7"), (1234, "short", "1.23 K"), (29_800, "short", "29.8 K"), (0.25, "s", "250 ms"), (30, "s", "30 s"),
            (90, "s", "1.50 min"), (0, "s", "0 s"), (850, "cps", "850 c/s"), (1500, "cps", "1.50 K c/s"), (0.414, "percentunit", "41.4%"),
            (64 * 2**20, "bytes", "64 MiB"), (0, "bytes", "0 B"),
        ]:
            self.assertEqual(units.written(value, unit), text)

    def test_a_unit_that_is_not_known_is_refused(self):
        with self.assertRaisesRegex(ValueError, "furlong"):
            units.written(1, "furlong")

    def test_axes_reach_the_highest_in_few_steps_that_can_be_told_apart(self):
        for unit in units.UNITS:
            for exponent in range(-4, 10):
                for first in (1, 1.7, 3, 4.9, 9.9):
                    high = first * 10**exponent
                    marks = units.ticks(high, unit, whole=False)
                    self.assertGreaterEqual(marks[-1], high * (1 - 1e-6))
                    self.assertLessEqual(len(marks), 6)
                    names = [units.written(mark, unit, step=marks[1] - marks[0]) for mark in marks]
                    self.assertEqual(len(set(names)), len(names), f"{unit} {high}: {names}")

    def test_what_comes_whole_has_no_half(self):
        self.assertEqual(units.ticks(2, "short", whole=True), [0, 1, 2])
        self.assertEqual(units.ticks(0, "short", whole=True), [0, 1])


class Terminals(unittest.TestCase):
    def screen(self, *data: bytes) -> cells.Cells:
        screen = cells.Cells(12, 3)
        for each in data:
            screen.take(each)
        return screen

    def test_text_stands_where_it_is_put_in_its_colours(self):
        screen = self.screen(b"\x1b[?1049h\x1b[?25l\x1b[2;3H\x1b[1;38;5;9mbad\x1b[0m ok\x1b[1;1H\x1b[7m>\x1b[27m")
        self.assertEqual(screen.text(), ">\n  bad ok\n")
        row = screen.rows()[1]
        self.assertEqual((row[2].style.ink, row[2].style.bold), (9, True))
        self.assertEqual(row[6].style, cells.PLAIN)
        self.assertTrue(screen.rows()[0][0].style.reversed)
        self.assertTrue(screen.is_alternate)

    def test_what_comes_in_pieces_is_put_together(self):
        whole = "\x1b[2;1H\x1b[38;5;2m▁▄█\x1b[0m end".encode()
        for cut in range(len(whole)):
            self.assertEqual(self.screen(whole[:cut], whole[cut:]).rows(), self.screen(whole).rows())

    def test_erasing_erases(self):
        self.assertEqual(self.screen(b"one\r\ntwo\r\nsix\x1b[2;2H\x1b[K").text(), "one\nt\nsix")
        self.assertEqual(self.screen(b"one\r\ntwo\r\nsix\x1b[2;2H\x1b[J").text(), "one\nt\n")
        self.assertEqual(self.screen(b"one\x1b[2J").text(), "\n\n")

    def test_a_sequence_that_is_not_known_is_refused(self):
        for data in (b"\x1b[3L", b"\x1b[?1047h", b"\x1b[51m"):
            with self.assertRaises(cells.NotUnderstood):
                self.screen(data)

    def test_a_screen_is_drawn_with_its_words_and_bars(self):
        rows = self.screen("\x1b[31mlate\x1b[0m ▁█\r\n\x1b[7mhere\x1b[0m".encode()).rows()
        svg = shot.draw(rows, "drover top")
        self.assertEqual(words(svg), ["drover top", "late", "here"])
        self.assertIn(shot.COLOURS[1], svg)
        ink, ground = shot.colours(rows[1][0].style)
        self.assertEqual((ink, ground), (shot.GROUND, shot.INK))


class Targets(unittest.TestCase):
    def pod(self, **status) -> dict:
        return {"metadata": {"namespace": "shop", "name": "orders-1", "labels": {"drover.dev/consumer": "orders"}},
                "spec": {"containers": [{"ports": [{"name": "admin", "containerPort": 9090}]}]},
                "status": {"phase": "Running", "podIP": "10.0.0.7", **status}}

    def test_a_worker_has_the_labels_that_the_chart_s_monitor_gives(self):
        found = prometheus.target(self.pod(), 8001)
        self.assertEqual(found["targets"], ["127.0.0.1:8001"])
        self.assertEqual(found["labels"]["consumer"], "shop/orders")
        self.assertEqual((found["labels"]["namespace"], found["labels"]["pod"]), ("shop", "orders-1"))

    def test_a_pod_that_does_not_run_is_not_read(self):
        self.assertIsNone(prometheus.target(self.pod(phase="Pending"), 8001))
        self.assertIsNone(prometheus.target(self.pod(podIP=None), 8001))

    def test_the_chart_looks_for_the_same_pods(self):
        monitors = (ROOT / "charts/drover/templates/monitoring/podmonitors.yaml").read_text()
        for pair in prometheus.WORKERS.split(","):
            self.assertIn(pair.replace("=", ": "), monitors)


class Documents(unittest.TestCase):
    def test_pictures_show_every_panel_that_there_is(self):
        for name, the_board in boards():
            there = set(words((ROOT / f"docs/images/dashboard-{name}.svg").read_text()))
            missing = [panel.title for panel in the_board.panels if panel.title not in there]
            self.assertEqual(missing, [], f"dashboard-{name}.svg is older than its dashboard; run make pictures")

    def test_pages_show_the_pictures_and_say_how_they_are_made(self):
        for page, pictures in {"dashboards": ["dashboard-fleets", "dashboard-fleet"], "cli": ["top"]}.items():
            text = (ROOT / f"docs/{page}.md").read_text()
            self.assertIn("make pictures", text)
            for picture in pictures:
                self.assertIn(f"(images/{picture}.svg)", text)
                xml.parse(ROOT / f"docs/images/{picture}.svg")


if __name__ == "__main__":
    unittest.main()
