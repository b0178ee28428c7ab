# A consumer of the application's own: everything that Drover's workers do is written out here. With
# handler.consumer Drover runs it as it is, and scales it.
#
# An offset is committed only after its record was processed. Invalid JSON is logged and passed over, what cannot
# be decrypted goes to the dead-letter topic, any other error is tried again. SIGTERM and SIGINT let the record at
# hand be finished and committed.
class UserEventsConsumer
  PAUSE = 1 # seconds before a record that failed is tried again

  def initialize
    @topics = ENV.fetch("KAFKA_TOPICS", UserEvents::TOPIC).split(",")
    @stopping = false
  end

  def run
    %w[TERM INT].each { |signal| trap(signal) { @stopping = true } }
    consumer.subscribe(*@topics)
    Rails.logger.info "consuming #{@topics.join(", ")}"
    until @stopping
      message = poll
      commit if message && finish(message)
    end
    Rails.logger.info "stopping"
  ensure
    consumer.close
  end

  private

  def poll
    consumer.poll(250)
  rescue Rdkafka::RdkafkaError => error
    # Such as a topic that is not there yet, or brokers that are away: it goes on by itself.
    Rails.logger.error error.message
    sleep PAUSE
    nil
  end

  # Refused while the group gives its partitions to others, as whenever their number changes: what is still ours is
  # committed with the next record, and whoever has the rest now is given this one again.
  def commit
    consumer.commit
  rescue Rdkafka::RdkafkaError => error
    Rails.logger.error "not committed: #{error.message}"
  end

  # Whether the record is done with; it is not if the process is to stop before. A record that is tried again for
  # longer than max.poll.interval.ms costs this process its partitions: it ends, and the next one goes on with it.
  def finish(message)
    begin
      process(message)
    rescue JSON::ParserError
      Rails.logger.warn "passing over #{place(message)}: it is no event in JSON"
    rescue ActiveRecord::Encryption::Errors::Base => error
      dead_letter(message, error)
    end
    true
  rescue StandardError => error
    Rails.logger.error "#{place(message)}: #{error.class}: #{error.message}; trying again"
    sleep PAUSE
    @stopping ? false : retry
  end

  def process(message)
    event = parse(message.payload)
    event = parse(ActiveRecord::Encryption.encryptor.decrypt(message.payload)) if event.key?("p") && event.key?("h")
    mark = "processed/#{event["event_id"]}"
    unless Rails.cache.write(mark, true, unless_exist: true, expires_in: 1.day)
      return Rails.logger.info("#{place(message)} was processed before")
    end
    begin
      Welcome.send_to(event) if event["event_type"] == "user_created"
    rescue StandardError
      Rails.cache.delete(mark)
      raise
    end
  end

  # A tombstone has no payload, and JSON may be a number or a list.
  def parse(text)
    event = JSON.parse(text.to_s)
    event.is_a?(Hash) ? event : raise(JSON::ParserError, "not an object")
  end

  def dead_letter(message, error)
    dead_letters.produce(topic: "#{message.topic}.dlq", key: message.key, payload: message.payload).wait(max_wait_timeout: 10)
    Rails.logger.warn "dead-lettered #{place(message)}: #{error.class}"
  end

  def place(message) = "#{message.topic}/#{message.partition}/#{message.offset}"

  def consumer
    @consumer ||= Rdkafka::Config.new(
      "bootstrap.servers": servers,
      "group.id": ENV.fetch("KAFKA_GROUP_ID", "rails-consumer-group"),
      "auto.offset.reset": "earliest",
      "enable.auto.commit": false
    ).consumer
  end

  def dead_letters
    @dead_letters ||= Rdkafka::Config.new("bootstrap.servers": servers).producer
  end

  def servers = ENV.fetch("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
end
