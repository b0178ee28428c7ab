#!/usr/bin/env python3
"""The parts of the test cluster that can be tried without starting one: `python3 tests/cluster/test_cluster.py`."""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
import threading
import unittest
from pathlib import Path
from unittest import mock

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

from drover_cluster import broker, debian, dockerfile, elsewhere, folder_images, images, kafka_service, keda, packages, plan, processes, tools  # noqa: E402
from drover_cluster.cache import locked  # noqa: E402
from drover_cluster.say import Failure  # noqa: E402


def static_program(folder: Path, payload: bytes = b"", interpreter: bool = False) -> Path:
    """The smallest file that passes for a 64-bit ELF program with one program header."""
    header = bytearray(64)
    header[:4] = b"\x7fELF"
    header[32:40] = (64).to_bytes(8, "little")
    header[54:58] = (56).to_bytes(2, "little") + (1).to_bytes(2, "little")
    program_header = (3 if interpreter else 1).to_bytes(4, "little") + bytes(52)
    path = folder / "worker"
    path.write_bytes(bytes(header) + program_header + payload)
    return path


class InFolder(unittest.TestCase):
    """Each test has a folder, and a cache, of its own."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name).resolve()
        before = dict(os.environ)
        self.addCleanup(lambda: (os.environ.clear(), os.environ.update(before)))
        os.environ["DROVER_CACHE"] = str(self.folder / "cache")


class Images(InFolder):
    NAME = "drover.local/drover-worker:dev"

    def test_same_content_gives_the_same_archive(self):
        binary = static_program(self.folder)
        first = images.build(self.NAME, binary, self.folder / "1.tar")
        os.utime(binary, (1, 1))
        second = images.build(self.NAME, binary, self.folder / "2.tar")
        self.assertEqual(first, second)
        self.assertEqual((self.folder / "1.tar").read_bytes(), (self.folder / "2.tar").read_bytes())

    def test_other_content_gives_another_digest(self):
        first = images.build(self.NAME, static_program(self.folder), self.folder / "1.tar")
        second = images.build(self.NAME, static_program(self.folder, b"x"), self.folder / "2.tar")
        self.assertNotEqual(first, second)

    def test_blobs_lie_under_their_digests_and_the_user_is_nobody(self):
        digest = images.build(self.NAME, static_program(self.folder), self.folder / "1.tar")
        with tarfile.open(self.folder / "1.tar") as archive:
            def blob(digest):
                return archive.extractfile("blobs/sha256/" + digest.split(":")[1])
            manifest = json.load(blob(digest))
            config = json.load(blob(manifest["config"]["digest"]))
            self.assertEqual(config["config"]["User"], "65532:65532")
            self.assertEqual(config["config"]["Entrypoint"], ["/worker"])
            with tarfile.open(fileobj=blob(manifest["layers"][0]["digest"])) as layer:
                self.assertEqual(layer.getmember("worker").mode, 0o755)
                self.assertIn(b"nonroot:x:65532:65532", layer.extractfile("etc/passwd").read())
        self.assertEqual(images.names_in(self.folder / "1.tar"), [self.NAME])

    def test_dynamic_program_is_refused(self):
        with self.assertRaisesRegex(Failure, "statically"):
            images.build(self.NAME, static_program(self.folder, interpreter=True), self.folder / "1.tar")

    def test_no_program_is_refused(self):
        (self.folder / "script").write_text("#!/bin/sh\n")
        with self.assertRaisesRegex(Failure, "no Linux program"):
            images.build(self.NAME, self.folder / "script", self.folder / "1.tar")


class FoldersWithADockerfile(InFolder):
    DOCKERFILE = """\
# What an application has.
FROM debian:trixie-slim
RUN apt-get update \\
 && apt-get install -y --no-install-recommends python3 nodejs \\
 && rm -rf /var/lib/apt/lists/*
WORKDIR /app
COPY . .
ENV MODE=production
USER 65532:65532
CMD ["python3", "server.py"]
"""

    def dockerfile(self, text):
        (self.folder / "app").mkdir(exist_ok=True)
        (self.folder / "app" / "Dockerfile").write_text(text)
        return self.folder / "app" / "Dockerfile"

    def test_all_of_it_is_read(self):
        recipe = dockerfile.read(self.dockerfile(self.DOCKERFILE))
        self.assertEqual(recipe, dockerfile.Recipe(
            "trixie", ["python3", "nodejs"], "/app", True, ["MODE=production"], "65532:65532", [], ["python3", "server.py"]))

    def test_what_would_be_left_out_is_refused(self):
        for line in ("RUN curl http://example.com | sh", "COPY app /app", "ADD x y", "FROM ruby:3.4", "CMD python3 server.py"):
            with self.subTest(line), self.assertRaisesRegex(Failure, "cannot do"):
                dockerfile.read(self.dockerfile(self.DOCKERFILE + line + "\n"))

    def test_an_image_has_the_packages_below_and_the_folder_above(self):
        self.dockerfile(self.DOCKERFILE)
        (self.folder / "app" / "server.py").write_text("print()\n")
        (self.folder / "app" / "run").write_text("#!/bin/sh\n")
        (self.folder / "app" / "run").chmod(0o744)
        base = self.folder / "base.tar"
        with tarfile.open(base, "w"):
            pass
        asked = []
        before = debian.layer
        self.addCleanup(setattr, debian, "layer", before)
        debian.layer = lambda suite, wanted: asked.append((suite, wanted)) or base
        folder_images.build({"a:1": self.folder / "app", "b:1": self.folder / "app"}, self.folder / "out.tar")
        self.assertEqual(asked, [("trixie", ["python3", "nodejs"] * 2)])
        self.assertEqual(images.names_in(self.folder / "out.tar"), ["a:1", "b:1"])
        with tarfile.open(self.folder / "out.tar") as archive:
            def blob(digest):
                return archive.extractfile("blobs/sha256/" + digest.split(":")[1])
            index = json.load(archive.extractfile("index.json"))
            manifest = json.load(blob(index["manifests"][0]["digest"]))
            self.assertEqual(blob(manifest["layers"][0]["digest"]).read(), base.read_bytes())
            config = json.load(blob(manifest["config"]["digest"]))["config"]
            self.assertEqual((config["User"], config["WorkingDir"]), ("65532:65532", "/app"))
            with tarfile.open(fileobj=blob(manifest["layers"][1]["digest"])) as layer:
                self.assertEqual(layer.getmember("app/run").mode, 0o755)
                self.assertEqual(layer.getmember("app/server.py").mode, 0o644)
                self.assertEqual(layer.getmember("app/run").uid, 0)

    def test_the_packages_of_another_release_are_asked_for_on_the_same_mirrors(self):
        lines = ["Types: deb\n", "Suites: bookworm bookworm-updates\n", "Suites: bookworm-security\n"]
        self.assertEqual([debian._of_suite(line, "trixie") for line in lines],
                         ["Types: deb\n", "Suites: trixie\n", "Suites: trixie-security\n"])


class Plans(InFolder):
    def test_a_folder_keeps_its_plan(self):
        first = plan.for_folder(self.folder / "a")
        self.assertEqual(plan.for_folder(self.folder / "a"), first)

    def test_two_folders_share_nothing(self):
        first, second = plan.for_folder(self.folder / "a"), plan.for_folder(self.folder / "b")
        self.assertNotEqual(first.slot, second.slot)
        self.assertNotEqual(first.name, second.name)
        self.assertFalse(first.block.overlaps(second.block))

    def test_a_taken_slot_is_passed_over(self):
        made = plan.for_folder(self.folder / "a")
        wanted = plan.slots_in_order(plan.folder_hash(self.folder / "a"))
        (self.folder / "a" / "plan.json").unlink()  # the reservation no longer holds, the folder has no plan
        (self.folder / "b").mkdir()
        other = plan.Plan(str(self.folder / "b"), "0" * 8, made.slot)
        (self.folder / "b" / "plan.json").write_text(json.dumps(vars(other)))
        (self.folder / "cache" / "slots" / str(made.slot)).write_text(str(self.folder / "b"))
        again = plan.for_folder(self.folder / "a")
        self.assertNotEqual(again.slot, made.slot)
        self.assertIn(again.slot, wanted)

    def test_addresses_lie_in_the_block_and_apart(self):
        for slot in range(plan.SLOTS):
            made = plan.Plan("/x", "0123abcd", slot)
            self.assertFalse(made.pods.overlaps(made.services))
            for network in (made.pods, made.services):
                self.assertTrue(network.subnet_of(made.block))
            self.assertNotEqual(made.host_address, made.node_address)
            self.assertLessEqual(len(made.name), 15)
            self.assertLess(made.port(plan.PORTS_EACH), 30000)

    def test_a_moved_folder_has_no_plan(self):
        plan.for_folder(self.folder / "a")
        (self.folder / "a").rename(self.folder / "b")
        self.assertIsNone(plan.existing(self.folder / "b"))


class Locks(InFolder):
    def test_one_at_a_time_and_no_file_is_left(self):
        inside, most = [], []

        def enter(number):
            for _ in range(20):
                with locked("many"):
                    inside.append(number)
                    most.append(len(inside))
                    inside.remove(number)

        with mock.patch("drover_cluster.cache.say"):
            threads = [threading.Thread(target=enter, args=(number,)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        self.assertEqual((len(most), max(most)), (160, 1))
        self.assertEqual(list((self.folder / "cache" / "locks").iterdir()), [])


class Processes(InFolder):
    def test_a_started_program_is_found_stopped_and_started_again(self):
        pid = processes.start(self.folder, "sleeper", ["sleep", "60"])
        self.addCleanup(processes.stop, self.folder, "sleeper")
        self.assertEqual(processes.running(self.folder, "sleeper").pid, pid)
        self.assertEqual([each.pid for each in processes.members(self.folder)], [pid])
        processes.stop(self.folder, "sleeper")
        self.assertIsNone(processes.running(self.folder, "sleeper"))
        self.assertNotEqual(processes.start_again(self.folder, "sleeper"), pid)

    def test_a_pid_given_to_another_process_is_not_ours(self):
        stranger = subprocess.Popen(["sleep", "60"])
        self.addCleanup(lambda: (stranger.kill(), stranger.wait()))
        found = processes.inspect(stranger.pid)
        (self.folder / "run").mkdir()
        for start, program in ((found.start - 1, "sleep"), (found.start, "etcd")):
            (self.folder / "run" / "etcd.pid").write_text(f"{stranger.pid}\n{start}\n{program}\n")
            self.assertIsNone(processes.running(self.folder, "etcd"))
        processes.stop(self.folder, "etcd")
        self.assertIsNone(stranger.poll())

    def test_a_dead_child_that_nobody_waited_for_counts_as_gone(self):
        child = subprocess.Popen(["true"])
        self.addCleanup(child.wait)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        self.assertIsNone(processes.inspect(child.pid))

    def test_a_broken_pid_file_means_not_running(self):
        (self.folder / "run").mkdir()
        for content in ("", "12", "x\ny\nz\n"):
            (self.folder / "run" / "etcd.pid").write_text(content)
            self.assertIsNone(processes.running(self.folder, "etcd"))

    def test_a_program_that_dies_before_it_is_ready_is_a_failure_with_its_words(self):
        with self.assertRaisesRegex(Failure, "so sorry"):
            processes.start(self.folder, "sorry", ["sh", "-c", "echo so sorry"])
            processes.wait_until(self.folder, "sorry", lambda: False, seconds=5)


class Kafka(unittest.TestCase):
    def test_three_brokers_have_three_copies_and_ports_of_their_own(self):
        made = plan.Plan("/x", "0123abcd", 1)
        texts = [broker.properties(made, each, 3, "10.0.0.1") for each in (1, 2, 3)]
        self.assertTrue(all("offsets.topic.replication.factor=3\n" in text for text in texts))
        self.assertEqual(len({line for text in texts for line in text.splitlines() if line.startswith("listeners=")}), 3)

    def test_a_broker_alone_does_not_listen_for_pods(self):
        self.assertNotIn("PODS://", broker.properties(plan.Plan("/x", "0123abcd", 1), 1, 1, None))

    def test_the_service_leads_to_every_broker(self):
        items = kafka_service.objects("10.0.0.1", 3)["items"]
        ports = [each["ports"][0]["port"] for each in items if each["kind"] == "EndpointSlice"]
        self.assertEqual(ports, [9092, 9093, 9094])


class ClusterOfOthers(InFolder):
    def setUp(self):
        super().setUp()
        for name in ("IMAGE_LOAD", "IMAGE_REGISTRY"):
            os.environ.pop(name, None)
        self.archive = self.folder / "1.tar"
        images.build("drover.local/handler:dev", static_program(self.folder), self.archive)

    def test_images_come_by_the_command_of_whoever_owns_it(self):
        os.environ["IMAGE_LOAD"] = f"cp -t '{self.folder / 'a folder'}'"
        (self.folder / "a folder").mkdir()
        elsewhere.current_load([self.archive])
        self.assertTrue((self.folder / "a folder" / "1.tar").is_file())

    def test_images_are_pushed_under_the_prefix(self):
        pushed = self.folder / "pushed"
        skopeo = self.folder / "skopeo"
        skopeo.write_text(f'#!/bin/sh\necho "$@" >{pushed}\n')
        skopeo.chmod(0o755)
        os.environ.update(PATH=f"{self.folder}:{os.environ['PATH']}", IMAGE_REGISTRY="registry.test/team/")
        elsewhere.current_load([self.archive])
        self.assertEqual(pushed.read_text(), f"copy oci-archive:{self.archive} docker://registry.test/team/handler:dev\n")

    def test_without_either_it_says_what_to_set(self):
        with self.assertRaisesRegex(Failure, "IMAGE_LOAD.*IMAGE_REGISTRY"):
            elsewhere.current_load([self.archive])


class Keda(InFolder):
    def test_the_api_server_is_led_to_the_adapter_on_this_machine(self):
        made = plan.for_folder(self.folder / "cluster")
        self.addCleanup(plan.release, made.dir)
        items = {item["kind"]: item for item in keda.objects(made, b"authority", made.host_address)["items"]}
        piece = items["EndpointSlice"]
        self.assertEqual(piece["endpoints"][0]["addresses"], [made.host_address])
        self.assertEqual(piece["ports"][0]["port"], made.keda_port(0))
        self.assertEqual(piece["metadata"]["labels"]["kubernetes.io/service-name"], items["APIService"]["spec"]["service"]["name"])
        self.assertLess(made.keda_port(4), made.kafka_port(1))

    def test_without_a_node_it_is_led_there_by_name(self):
        made = plan.for_folder(self.folder / "cluster")
        self.addCleanup(plan.release, made.dir)
        items = {item["kind"]: item for item in keda.objects(made, b"authority", "127.0.0.1")["items"]}
        self.assertNotIn("EndpointSlice", items)
        self.assertEqual(items["Service"]["spec"]["externalName"], "localhost")
        self.assertEqual(items["APIService"]["spec"]["service"]["port"], made.keda_port(0))

    def test_its_version_is_its_recipes(self):
        self.assertTrue(tools.KEDA.what.endswith(keda.version().removeprefix("v").rpartition(".")[0]), keda.version())

    def test_no_cluster_needs_it(self):
        self.assertNotIn(tools.KEDA, [kit for kits in tools.PARTS.values() for kit in kits])


class Tools(InFolder):
    def test_the_key_of_a_kit_does_not_change_by_itself(self):
        self.assertEqual(tools.ETCD.key(), tools.ETCD.key())
        self.assertNotEqual(tools.KUBERNETES_API.key(), tools.KUBERNETES_NODE.key())

    def test_every_kit_has_its_recipe(self):
        for kit in tools.KITS:
            recipe = tools.RECIPES / kit.recipe
            self.assertTrue((recipe / ("go.sum" if kit.programs else "pom.xml")).is_file(), kit.name)

    def test_what_is_missing_is_listed_for_someone_without_root(self):
        os.environ["PATH"] = str(self.folder)
        before = os.geteuid
        self.addCleanup(setattr, os, "geteuid", before)
        os.geteuid = lambda: 1000
        with self.assertRaisesRegex(Failure, "some-package"):
            packages.install({"some-package"})


if __name__ == "__main__":
    unittest.main()
