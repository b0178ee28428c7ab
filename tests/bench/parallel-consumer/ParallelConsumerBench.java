import io.confluent.parallelconsumer.ParallelConsumerOptions;
import io.confluent.parallelconsumer.ParallelConsumerOptions.CommitMode;
import io.confluent.parallelconsumer.ParallelConsumerOptions.ProcessingOrder;
import io.confluent.parallelconsumer.vertx.VertxParallelEoSStreamProcessor;
import io.vertx.core.Vertx;
import io.vertx.core.buffer.Buffer;
import io.vertx.ext.web.client.WebClient;
import io.vertx.ext.web.client.WebClientOptions;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

/** POSTs each record's value to a handler, in the order of keys: BROKERS TOPIC GROUP HOST PORT IN_FLIGHT. */
public final class ParallelConsumerBench {
  public static void main(String[] arguments) {
    String topic = arguments[1];
    String host = arguments[3];
    int port = Integer.parseInt(arguments[4]);
    int inFlight = Integer.parseInt(arguments[5]);

    Properties properties = new Properties();
    properties.put("bootstrap.servers", arguments[0]);
    properties.put("group.id", arguments[2]);
    properties.put("enable.auto.commit", "false");
    properties.put("auto.offset.reset", "earliest");
    // Keys as text: by key means by equal keys, and arrays of bytes are never equal.
    KafkaConsumer<String, byte[]> consumer =
        new KafkaConsumer<>(properties, new StringDeserializer(), new ByteArrayDeserializer());

    ParallelConsumerOptions<String, byte[]> options =
        ParallelConsumerOptions.<String, byte[]>builder()
            .consumer(consumer)
            .ordering(ProcessingOrder.KEY)
            .maxConcurrency(inFlight)
            .commitMode(CommitMode.PERIODIC_CONSUMER_ASYNCHRONOUS)
            .build();
    Vertx vertx = Vertx.vertx();
    WebClientOptions connections =
        new WebClientOptions().setMaxPoolSize(inFlight).setKeepAlive(true).setTcpNoDelay(true);
    WebClient client = WebClient.create(vertx, connections);
    VertxParallelEoSStreamProcessor<String, byte[]> processor =
        new VertxParallelEoSStreamProcessor<>(vertx, client, options);
    processor.subscribe(List.of(topic));
    processor.vertxHttpWebClient(
        (web, context) ->
            web.post(port, host, "/records").sendBuffer(Buffer.buffer(context.value())),
        sent -> {});
  }
}
