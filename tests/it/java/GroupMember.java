// A consumer of the Java client, as Flink's KafkaSource and the sinks of Kafka Connect have one inside.
//
// commit GROUP TOPIC METADATA EPOCH P:OFFSET…   commits offsets without joining
// committed GROUP TOPIC                          prints `partition offset epoch metadata`
// consume GROUP TOPIC COUNT METADATA             joins, goes on from what is committed, prints `partition offset value`;
//                                                COUNT records of each partition, or with -1 all that there are
// hold GROUP TOPIC                               joins and stays until its input ends

import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.common.TopicPartition;

public class GroupMember {
    static final Duration STEP = Duration.ofMillis(200);

    public static void main(String[] arguments) throws Exception {
        String group = arguments[2], topic = arguments[3];
        Properties properties = new Properties();
        properties.put("bootstrap.servers", arguments[0]);
        properties.put("group.id", group);
        properties.put("enable.auto.commit", "false");
        properties.put("auto.offset.reset", "none");
        properties.put("isolation.level", "read_committed");
        properties.put("key.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        properties.put("value.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties)) {
            switch (arguments[1]) {
                case "commit" -> commit(consumer, topic, arguments);
                case "committed" -> committed(consumer, topic);
                case "consume" -> consume(consumer, topic, Long.parseLong(arguments[4]), arguments[5]);
                case "hold" -> hold(consumer, topic);
                default -> throw new IllegalArgumentException(arguments[1]);
            }
        }
    }

    static List<TopicPartition> partitions(KafkaConsumer<?, ?> consumer, String topic) {
        return consumer.partitionsFor(topic).stream().map(p -> new TopicPartition(topic, p.partition()))
            .sorted(Comparator.comparing(TopicPartition::partition)).toList();
    }

    static void commit(KafkaConsumer<?, ?> consumer, String topic, String[] arguments) {
        Optional<Integer> epoch = Optional.of(Integer.parseInt(arguments[5])).filter(number -> number >= 0);
        Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
        for (String one : Arrays.copyOfRange(arguments, 6, arguments.length)) {
            String[] parts = one.split(":");
            offsets.put(new TopicPartition(topic, Integer.parseInt(parts[0])),
                new OffsetAndMetadata(Long.parseLong(parts[1]), epoch, arguments[4]));
        }
        consumer.commitSync(offsets);
    }

    static void committed(KafkaConsumer<?, ?> consumer, String topic) {
        List<TopicPartition> all = partitions(consumer, topic);
        Map<TopicPartition, OffsetAndMetadata> found = consumer.committed(new HashSet<>(all));
        for (TopicPartition partition : all) {
            OffsetAndMetadata one = found.get(partition);
            if (one != null) {
                System.out.println(partition.partition() + " " + one.offset() + " "
                    + one.leaderEpoch().orElse(-1) + " " + one.metadata());
            }
        }
    }

    static void consume(KafkaConsumer<String, String> consumer, String topic, long count, String metadata) {
        List<TopicPartition> all = partitions(consumer, topic);
        Map<TopicPartition, Long> ends = consumer.endOffsets(all);
        Map<TopicPartition, Long> taken = new HashMap<>();
        Map<TopicPartition, OffsetAndMetadata> done = new HashMap<>();
        consumer.subscribe(List.of(topic));
        Set<TopicPartition> open = new HashSet<>(all);
        while (!open.isEmpty()) {
            for (ConsumerRecord<String, String> record : consumer.poll(STEP)) {
                TopicPartition partition = new TopicPartition(topic, record.partition());
                if (count >= 0 && taken.getOrDefault(partition, 0L) >= count) {
                    continue;
                }
                taken.merge(partition, 1L, Long::sum);
                done.put(partition, new OffsetAndMetadata(record.offset() + 1, record.leaderEpoch(), metadata));
                System.out.println(record.partition() + " " + record.offset() + " " + record.value());
            }
            Set<TopicPartition> assigned = consumer.assignment();
            open.removeIf(partition -> assigned.contains(partition)
                && (count >= 0 && taken.getOrDefault(partition, 0L) >= count
                    || consumer.position(partition) >= ends.get(partition)));
        }
        consumer.commitSync(done);
    }

    static void hold(KafkaConsumer<String, String> consumer, String topic) throws Exception {
        consumer.subscribe(List.of(topic));
        while (consumer.assignment().isEmpty()) {
            consumer.poll(STEP);
        }
        System.out.println("joined");
        while (System.in.available() == 0) {
            consumer.poll(STEP);
        }
    }
}
