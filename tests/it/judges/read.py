"""Reads a topic from its beginning to its end, and prints a line of JSON per record.

read.py BOOTSTRAP TOPIC ISOLATION
"""

import base64
import json
import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

bootstrap, topic, isolation = sys.argv[1:]
consumer = Consumer({
    "bootstrap.servers": bootstrap,
    "group.id": "judge",
    "isolation.level": isolation,
    "enable.auto.commit": False,
    "enable.partition.eof": True,
})
open_partitions = set(consumer.list_topics(topic, timeout=30).topics[topic].partitions)
consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in open_partitions])


def text(data):
    return None if data is None else base64.b64encode(data).decode()


while open_partitions:
    message = consumer.poll(60)
    if message is None:
        sys.exit(f"{topic}: no record and no end for a minute")
    error = message.error()
    if error is not None and error.code() == KafkaError._PARTITION_EOF:
        open_partitions.discard(message.partition())
    elif error is not None:
        raise KafkaException(error)
    else:
        print(json.dumps({
            "partition": message.partition(),
            "offset": message.offset(),
            "timestamp": message.timestamp()[1],
            "key": text(message.key()),
            "value": text(message.value()),
            "headers": [[name, text(value)] for name, value in message.headers() or []],
        }))
consumer.close()
