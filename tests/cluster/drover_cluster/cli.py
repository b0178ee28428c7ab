"""The verbs. Each is a few lines that call the module which does the work."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from . import broker, debian, elsewhere, folder_images, full, images, keda, lifecycle, node, parts, status, tools
from .cache import cache_dir
from .say import Failure, say

MODES = ("local", "kind", "current")


def main(arguments: list[str] | None = None) -> int:
    parsed = _parser().parse_args(arguments)
    try:
        return parsed.run(parsed) or 0
    except Failure as failure:
        print(f"cluster: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("cluster: interrupted; the next run cleans up what this one began", file=sys.stderr)
        return 130


def _tools(arguments: argparse.Namespace) -> None:
    if arguments.only:
        parts = [arguments.only]
    elif arguments.cluster:
        parts = {"local": list(tools.PARTS), "kind": elsewhere.KIND_PARTS, "current": elsewhere.CURRENT_PARTS}[_mode()]
    else:
        parts = list(tools.PARTS)
    tools.ensure(parts)
    say("all programs are there")


def _program(arguments: argparse.Namespace) -> None:
    parts = {**tools.PARTS, **tools.ON_DEMAND}
    part = next((part for part, kits in parts.items() if any(arguments.name in kit.programs for kit in kits)), None)
    if part is None:
        raise Failure(f"no part has a program {arguments.name}")
    tools.ensure([part])
    print(tools.program(arguments.name))


def _mode() -> str:
    """Which cluster was chosen."""
    mode = os.environ.get("CLUSTER") or ("local" if os.geteuid() == 0 else "")
    if not mode:
        raise Failure("without root, choose the cluster: CLUSTER=kind (needs Docker and kind) or CLUSTER=current"
                      " (the one kubectl uses now); as root, CLUSTER=local is the default and needs neither")
    if mode not in MODES:
        raise Failure(f"CLUSTER={mode} is unknown; it can be {', '.join(MODES)}")
    return mode


def _up(arguments: argparse.Namespace) -> None:
    mode = _mode()
    if mode == "local":
        full.up(arguments.dir, arguments.brokers, arguments.aggregation)
    elif mode == "kind":
        elsewhere.kind_up(arguments.dir, arguments.brokers)
    else:
        elsewhere.current_up(arguments.dir)
    print(arguments.dir / "env")


def _down(arguments: argparse.Namespace) -> None:
    with lifecycle.taken(arguments.dir) as folder:
        elsewhere.kind_down(folder)
        lifecycle.remove(folder)
    say(f"nothing is left of {folder}")


def _control_plane_up(arguments: argparse.Namespace) -> None:
    parts.control_plane_up(arguments.dir, arguments.controllers, arguments.aggregation)
    print(arguments.dir / "kubeconfig")


def _broker_up(arguments: argparse.Namespace) -> None:
    parts.broker_up(arguments.dir, arguments.brokers, arguments.set, [_listener(each) for each in arguments.listener])
    print(broker.bootstrap(lifecycle.existing(arguments.dir), len(broker.names(lifecycle.existing(arguments.dir)))))


def _listener(text: str) -> tuple[str, str]:
    name, _, protocol = text.partition("=")
    if protocol not in ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"):
        raise Failure(f"--listener {text}: write NAME=PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL")
    return name, protocol


def _keda_up(arguments: argparse.Namespace) -> None:
    keda.ensure()
    with lifecycle.taken(arguments.dir) as folder:
        keda.start(lifecycle.existing(folder))


def _keda_down(arguments: argparse.Namespace) -> None:
    with lifecycle.taken(arguments.dir) as folder:
        keda.stop(lifecycle.existing(folder))
    say("KEDA is gone")


def _image_build(arguments: argparse.Namespace) -> None:
    out = arguments.out or Path(arguments.name.rsplit("/", 1)[-1].replace(":", "-") + ".tar")
    digest = images.build(arguments.name, arguments.binary, out, arguments.entrypoint)
    say(f"{arguments.name} is {digest}")
    print(out)


def _image_folders(arguments: argparse.Namespace) -> None:
    pairs = [each.partition("=") for each in arguments.images]
    if any(not folder for _, _, folder in pairs):
        raise Failure("write each image as NAME=FOLDER")
    if arguments.where_possible and not debian.has_packages():
        arguments.out.unlink(missing_ok=True)
        return say("no images of examples: they are made of Debian's packages, of which this machine has no sources")
    folder_images.build({name: Path(folder) for name, _, folder in pairs}, arguments.out)
    print(arguments.out)


def _image_load(arguments: argparse.Namespace) -> None:
    with lifecycle.taken(arguments.dir) as folder:
        made = lifecycle.existing(folder)
        mode = (folder / "mode").read_text().strip()
        if mode == "local":
            node.load_images(made, arguments.archives)
        elif mode == "kind":
            elsewhere.kind_load(arguments.archives)
        elif mode == "current":
            elsewhere.current_load(arguments.archives)
        else:
            raise Failure(f"{folder} is a {mode}: no node there that could hold images")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cluster", description="A real Kubernetes and Kafka for Drover's tests.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    verb = _verb(verbs, "tools", "make sure that all programs exist; builds them the first time", _tools, None)
    verb.add_argument("--only", choices=[*tools.PARTS, *tools.ON_DEMAND], help="only the programs of this part")
    verb.add_argument("--cluster", action="store_true", help="only what `up` needs for the CLUSTER that is chosen")

    verb = _verb(verbs, "program", "tell where a program is, such as helm; builds it the first time", _program, None)
    verb.add_argument("name")

    verb = _verb(verbs, "up", "start the whole cluster (CLUSTER=local, kind or current)", _up)
    _brokers(verb)
    _aggregation(verb)
    _verb(verbs, "down", "stop it and remove its folder; works for parts too", _down)
    _verb(verbs, "status", "tell what runs", lambda arguments: status.show(arguments.dir))
    for name, help, run in (("stop", "take Kafka or the API server away, data kept", _stop),
                            ("start", "bring it back", _start)):
        verb = _verb(verbs, name, help, run)
        verb.add_argument("part", choices=["kafka", *parts.CONTROL_PLANE])
        _one_broker(verb)

    group = _group(verbs, "control-plane", "etcd and API server only, without root")
    verb = _verb(group, "up", "start it; prints the kubeconfig's path", _control_plane_up, "required")
    verb.add_argument("--controllers", action="store_true", help="run the controller manager too")
    _aggregation(verb)
    _verb(group, "down", "stop it and remove its folder", _down, "required")

    group = _group(verbs, "broker", "Kafka only, on loopback, without root")
    verb = _verb(group, "up", "start it; prints the bootstrap servers", _broker_up, "required")
    _brokers(verb)
    verb.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a further setting of the brokers")
    verb.add_argument("--listener", action="append", default=[], metavar="NAME=PROTOCOL",
                      help="a further listener, such as TLS=SSL; the first has the port 19 above the usual one's, and so on")
    _verb(group, "down", "stop it and remove its folder", _down, "required")
    for name, help, run in (("stop", "take it away, data kept", _stop), ("start", "bring it back", _start)):
        verb = _verb(group, name, help, run, "required")
        verb.set_defaults(part="kafka")
        _one_broker(verb)

    verb = _verb(verbs, "kafka", "run one of Kafka's tools: cluster kafka topics --list", lambda arguments:
                 broker.run_tool(lifecycle.existing(arguments.dir), arguments.tool, arguments.arguments))
    verb.add_argument("tool", help=", ".join(sorted(broker.TOOLS)))
    verb.add_argument("arguments", nargs=argparse.REMAINDER)

    group = _group(verbs, "keda", "real KEDA beside it, for comparisons; needs `up --aggregation`, or that of `control-plane`")
    _verb(group, "up", "start operator and metrics adapter; builds them the first time", _keda_up)
    _verb(group, "down", "remove its objects and stop them", _keda_down)

    group = _group(verbs, "image", "container images without a container engine")
    verb = _verb(group, "build", "put one static binary into an OCI archive", _image_build, None)
    verb.add_argument("name", help="for example drover.local/drover-worker:dev")
    verb.add_argument("--binary", type=Path, required=True)
    verb.add_argument("--entrypoint", help="the binary's path in the image (default: / and its name)")
    verb.add_argument("--out", type=Path, help="default: the image's last name, ending in .tar")
    verb = _verb(group, "folders", "make one archive with the images of folders that have a Dockerfile", _image_folders, None)
    verb.add_argument("images", nargs="+", metavar="NAME=FOLDER")
    verb.add_argument("--out", type=Path, required=True)
    verb.add_argument("--where-possible", action="store_true", help="say so and make none where there are no Debian packages")
    verb = _verb(group, "load", "make archives known to the cluster's node", _image_load)
    verb.add_argument("archives", type=Path, nargs="+")
    return parser


def _stop(arguments: argparse.Namespace) -> None:
    parts.stop(arguments.dir, arguments.part, arguments.broker, arguments.kill)


def _start(arguments: argparse.Namespace) -> None:
    parts.start(arguments.dir, arguments.part, arguments.broker)


def _verb(verbs, name: str, help: str, run, folder: str | None = "default") -> argparse.ArgumentParser:
    verb = verbs.add_parser(name, help=help)
    verb.set_defaults(run=run)
    if folder == "default":
        verb.add_argument("--dir", type=_absolute, default=cache_dir() / "clusters" / "default",
                          help="the cluster's folder (default: %(default)s)")
    elif folder == "required":
        verb.add_argument("--dir", type=_absolute, required=True, help="the folder that holds all of it")
    return verb


def _group(verbs, name: str, help: str):
    return verbs.add_parser(name, help=help).add_subparsers(dest="subverb", required=True, metavar="VERB")


def _brokers(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--brokers", type=int, choices=[1, 3], default=1, help="how many Kafka brokers")


def _aggregation(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--aggregation", action="store_true", help="the API server passes requests on to others, such as KEDA")


def _one_broker(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--broker", type=int, help="only this one of several (1, 2, 3)")
    verb.add_argument("--kill", action="store_true", help="SIGKILL instead of an orderly stop")


def _absolute(text: str) -> Path:
    return Path(text).resolve()
