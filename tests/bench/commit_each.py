#!/usr/bin/python3
"""A consumer as many teams write it: for each record a POST and a commit. BROKERS TOPIC GROUP HOST:PORT"""

import http.client
import sys

from confluent_kafka import Consumer


def main():
    brokers, topic, group, handler = sys.argv[1:]
    consumer = Consumer({
        "bootstrap.servers": brokers, "group.id": group, "enable.auto.commit": False, "auto.offset.reset": "earliest",
        # Without it librdkafka reads ahead as much as memory holds.
        "queued.max.messages.kbytes": 16384,
    })
    consumer.subscribe([topic])
    connection = http.client.HTTPConnection(handler)
    while True:
        message = consumer.poll(1.0)
        if message is None or message.error():
            continue
        connection.request("POST", "/records", message.value(), {"Content-Type": "application/octet-stream"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            sys.exit(f"status {answer.status}")
        consumer.commit(message, asynchronous=False)


main()
