"""What the broker writes down of groups: every committed offset and every generation, with the time of the broker.

Read from the topic `__consumer_offsets`, so it asks nothing of the groups and is the same for all. Formats: Kafka's
OffsetCommitKey/Value.json and GroupMetadataKey/Value.json (classic groups).
"""

from __future__ import annotations

import struct
import threading
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field

TOPIC = "__consumer_offsets"


@dataclass
class Ledger:
    """By group. Times are seconds since 1970."""

    # (group, topic, partition) to the moments at which its offset rose, and the offsets.
    times: dict[tuple[str, str, int], list[float]] = field(default_factory=lambda: defaultdict(list))
    offsets: dict[tuple[str, str, int], list[int]] = field(default_factory=lambda: defaultdict(list))
    # group to [time, generation, members]
    generations: dict[str, list[tuple[float, int, int]]] = field(default_factory=lambda: defaultdict(list))
    committed: dict[tuple[str, str, int], int] = field(default_factory=dict)

    def take(self, at: float, key: bytes | None, value: bytes | None) -> None:
        """A record of the topic. A deleted one says nothing that is needed here."""
        if key is None or value is None:
            return
        read = Reader(key)
        version = read.int16()
        if version in (0, 1):
            place = (read.text(), read.text(), read.int32())
            body = Reader(value)
            body.int16()
            offset = body.int64()
            # A commit may come twice, or go back after a pod was killed: done is done.
            if offset > self.committed.get(place, -1):
                self.committed[place] = offset
                self.times[place].append(at)
                self.offsets[place].append(offset)
        elif version == 2:
            group = read.text()
            body = Reader(value)
            kind = body.int16()
            body.text()
            generation = body.int32()
            body.text(), body.text()
            if kind >= 2:
                body.int64()
            self.generations[group].append((at, generation, body.int32()))

    def at(self, place: tuple[str, str, int], moment: float) -> int:
        """The offset that was committed then; 0 before the first."""
        index = bisect_right(self.times[place], moment)
        return self.offsets[place][index - 1] if index else 0

    def begun_generations(self, group: str, since: float, until: float) -> int:
        """How many generations with members began; numbers that were over before they were written down count too."""
        before = max((number for at, number, _ in self.generations[group] if at < since), default=0)
        within = [(number, members) for at, number, members in self.generations[group] if since <= at <= until]
        last = max((number for number, _ in within), default=before)
        empty = {number for number, members in within if members == 0}
        return sum(1 for number in range(before + 1, last + 1) if number not in empty)


class Reader:
    """Kafka's primitive types, big-endian."""

    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def _next(self, form: str) -> int:
        value, = struct.unpack_from(form, self.data, self.place)
        self.place += struct.calcsize(form)
        return value

    def int16(self) -> int:
        return self._next(">h")

    def int32(self) -> int:
        return self._next(">i")

    def int64(self) -> int:
        return self._next(">q")

    def text(self) -> str:
        length = self.int16()
        if length < 0:
            return ""
        self.place += length
        return self.data[self.place - length:self.place].decode("utf-8", "replace")


class Commits(threading.Thread):
    """Reads them as they come, from the end of the topic on."""

    def __init__(self, servers: str) -> None:
        super().__init__(daemon=True)
        from confluent_kafka import Consumer

        self.ledger = Ledger()
        self.lock = threading.Lock()
        self.failed: Exception | None = None
        self._stopping = threading.Event()
        self._consumer = Consumer({
            "bootstrap.servers": servers, "group.id": "bench", "enable.auto.commit": False, "fetch.wait.max.ms": 200,
            "auto.offset.reset": "earliest", "queued.max.messages.kbytes": 65536, "log_level": 2})

    def run(self) -> None:
        try:
            self._assign()
            while not self._stopping.is_set():
                messages = self._consumer.consume(5000, timeout=0.5)
                with self.lock:
                    for message in messages:
                        if not message.error():
                            self.ledger.take(message.timestamp()[1] / 1000, message.key(), message.value())
        except Exception as error:  # told by whoever asks
            self.failed = error
        finally:
            self._consumer.close()

    def _assign(self) -> None:
        """The topic comes with the cluster's first group."""
        from confluent_kafka import OFFSET_BEGINNING, TopicPartition

        while not self._stopping.is_set():
            found = self._consumer.list_topics(timeout=10).topics.get(TOPIC)
            if found and found.partitions:
                self._consumer.assign([TopicPartition(TOPIC, number, OFFSET_BEGINNING) for number in found.partitions])
                return
            self._stopping.wait(0.5)

    def stop(self) -> None:
        self._stopping.set()
        self.join(20)

    def committed(self, group: str, topic: str) -> int:
        """Records of the topic that the group has done so far."""
        if self.failed:
            raise self.failed
        with self.lock:
            return sum(offset for place, offset in self.ledger.committed.items() if place[:2] == (group, topic))

    def members(self, group: str) -> int:
        with self.lock:
            known = self.ledger.generations.get(group)
            return known[-1][2] if known else 0
