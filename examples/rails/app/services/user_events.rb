# Tells the world about users. A user is created whether Kafka is there or not: errors are only logged.
class UserEvents
  TOPIC = "user_events"
  ENCRYPTED_TOPIC = "user_events_encrypted"

  class << self
    def created(user, encrypted: false)
      event = { event_type: "user_created", event_id: SecureRandom.uuid, user_id: user.id, email: user.email }.to_json
      if encrypted
        publish(ENCRYPTED_TOPIC, user.id.to_s, ActiveRecord::Encryption.encryptor.encrypt(event))
      else
        publish(TOPIC, user.id.to_s, event)
      end
    end

    def publish(topic, key, payload)
      producer.produce(topic: topic, key: key, payload: payload).wait(max_wait_timeout: 6)
      Rails.logger.info "produced to #{topic}"
    rescue StandardError => error
      Rails.logger.error "not produced to #{topic}: #{error.class}: #{error.message}"
    end

    private

    def producer
      @producer ||= Rdkafka::Config.new(
        "bootstrap.servers": ENV.fetch("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092"),
        "message.timeout.ms": 5_000
      ).producer
    end
  end
end
