"""Runs everything, writes JSON, pictures and the page."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import signal
import sys
from pathlib import Path

from drover_cluster import packages
from drover_cluster.say import Failure as ClusterFailure
from drover_cluster.say import say
from drover_demo.shell import ROOT, Failure, run

from . import bursts, excerpt, page, picture, rehearsal, trace_runs
from .excerpt import CUTS
from .feed import Feed
from .stage import Stage
from .world import ROUNDS, World

QUICK = {"share": 0.45, "records": 12_000, "starts": 2, "cuts": "bursts", "rounds": "rate"}
FULL = {"share": 1.0, "records": 60_000, "starts": 12, "cuts": ",".join(cut.name for cut in CUTS), "rounds": ",".join(ROUNDS)}
PARTS = ("traces", "burst", "first")


def main() -> int:
    asked = _parser().parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if asked.tune is not None:
        _tune(asked)
        return 0
    if not asked.draw:
        try:
            _measure(asked)
        except (Failure, ClusterFailure) as failure:
            print(f"keda: {failure}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
    _show(asked)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="keda", description="Drover beside real KEDA with the HPA on a real cluster.")
    cache = Path(os.environ.get("DROVER_CACHE") or Path.home() / ".cache" / "drover")
    parser.add_argument("--dir", type=Path, default=cache / "clusters" / "keda", help="the cluster's folder")
    parser.add_argument("--drover", type=Path, required=True, help="the program drover, for what the simulator says")
    parser.add_argument("--images", type=Path, default=ROOT / "target" / "images", help="the folder of the image archives")
    parser.add_argument("--results", type=Path, default=ROOT / "target" / "bench" / "keda")
    parser.add_argument("--traces", type=Path, default=ROOT / "tests" / "traces")
    parser.add_argument("--quick", action="store_true", help="some twenty minutes instead of more than two hours, to try it")
    parser.add_argument("--parts", default=",".join(PARTS), help="some of %(default)s; what else was measured before is kept")
    parser.add_argument("--cuts", help=f"which loads ({FULL['cuts']}; {QUICK['cuts']} with --quick)")
    parser.add_argument("--rounds", help=f"which of KEDA's fleets ({FULL['rounds']}; {QUICK['rounds']} with --quick)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--draw", action="store_true", help="measure nothing: pictures and page from what was measured before")
    parser.add_argument("--tune", type=float, nargs="?", const=24.0, metavar="PER_POD", help="measure nothing: search KEDA's settings "
                        "on these loads in the simulator, where a pod does so many records a second (%(const)s)")
    parser.add_argument("--page", type=Path, help="the page to write, its pictures into images beside it")
    return parser


def _tune(asked: argparse.Namespace) -> None:
    loads = []
    for cut in CUTS:
        its = World(cut.pace)
        whole = excerpt.cut(excerpt.read(asked.traces / cut.trace), cut)
        loads.append((cut.name, whole.scaled(its.busiest_pods * asked.tune / its.pace), its))
    for pods, over, name in rehearsal.tune(asked.drover, asked.results / "tune", loads, asked.tune)[:20]:
        print(f"×{pods:.3f}  {100 * over:6.2f} %  {name}")


def _measure(asked: argparse.Namespace) -> None:
    _kafka_client()
    how = QUICK if asked.quick else FULL
    parts, wanted = asked.parts.split(","), (asked.cuts or how["cuts"]).split(",")
    cuts, rounds = [cut for cut in CUTS if cut.name in wanted], (asked.rounds or how["rounds"]).split(",")
    asked.results.mkdir(parents=True, exist_ok=True)
    stage = Stage(asked.dir, asked.images)
    try:
        stage.up()
        if "traces" in parts:
            per_pod = trace_runs.calibrate(stage, Feed(stage.bootstrap), World())
            say(f"a pod does {per_pod:.1f} records a second")
            for cut in cuts:
                its = World(cut.pace)
                for beside_whom in rounds:
                    found = trace_runs.play(stage, its, cut, asked.traces, per_pod, how["share"], asked.seed, beside_whom)
                    simulated = rehearsal.rehearse(asked.drover, asked.results, cut.name, found.excerpt, its, per_pod)
                    _write(asked, f"{cut.name}-{beside_whom}", {**found.as_json(), "simulated": simulated})
        if "burst" in parts:
            _write(asked, "burst", {"records": how["records"], "fleets": bursts.all_bursts(stage, how["records"])})
        if "first" in parts:
            _write(asked, "first", {"fleets": bursts.first_records(stage, how["starts"], asked.seed)})
    except BaseException:
        if stage.kube:
            print(stage.explain(), file=sys.stderr)
        raise
    finally:
        # A second Ctrl-C would leave half of it behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        stage.down()


def _write(asked: argparse.Namespace, name: str, found: dict) -> None:
    about = {"date": datetime.date.today().isoformat(), "commit": _commit(), "cores": os.cpu_count(),
             "processor": _processor(), "kernel": platform.release(), "quick": asked.quick}
    (asked.results / f"{name}.json").write_text(json.dumps({**about, **found}, indent=1) + "\n", encoding="utf-8")
    say(f"{name} is measured")


def _show(asked: argparse.Namespace) -> None:
    found = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(asked.results.glob("*.json"))}
    folder = asked.page.parent / "images" if asked.page else asked.results
    folder.mkdir(parents=True, exist_ok=True)
    for name, run in found.items():
        if "pace" in run:
            (folder / f"keda-{name}.svg").write_text(picture.draw(run, World(run["pace"])), encoding="utf-8")
    text = page.page(found)
    if asked.page:
        asked.page.write_text(text, encoding="utf-8")
        say(f"written: {asked.page}")
    else:
        print(text)


def _kafka_client() -> None:
    try:
        import confluent_kafka  # noqa: F401
    except ImportError:
        packages.install({"python3-confluent-kafka"})


def _commit() -> str:
    return run("git", "rev-parse", "--short", "HEAD", environment=dict(os.environ)).strip()


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()
