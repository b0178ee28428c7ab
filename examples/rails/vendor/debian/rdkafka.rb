# The little of the gem rdkafka that this application calls, over Debian's librdkafka: Debian does not package the gem.
# With RubyGems at hand, take the gem (Gemfile) and delete this folder; nothing else changes.
require "ffi"

module Rdkafka
  module Native
    extend FFI::Library
    ffi_lib "librdkafka.so.1"

    class Message < FFI::Struct
      layout :error, :int, :topic, :pointer, :partition, :int32, :payload, :pointer, :length, :size_t,
             :key, :pointer, :key_length, :size_t, :offset, :int64, :private, :pointer
    end

    CONSUMER = 1
    PRODUCER = 0
    ANY_PARTITION = -1
    COPY = 2
    NO_OFFSET = -168

    callback :delivered, %i[pointer pointer pointer], :void
    attach_function :rd_kafka_conf_new, [], :pointer
    attach_function :rd_kafka_conf_set, %i[pointer string string pointer size_t], :int
    attach_function :rd_kafka_conf_set_dr_msg_cb, %i[pointer delivered], :void
    attach_function :rd_kafka_new, %i[int pointer pointer size_t], :pointer
    attach_function :rd_kafka_poll_set_consumer, [:pointer], :int
    attach_function :rd_kafka_topic_partition_list_new, [:int], :pointer
    attach_function :rd_kafka_topic_partition_list_add, %i[pointer string int32], :pointer
    attach_function :rd_kafka_topic_partition_list_destroy, [:pointer], :void
    attach_function :rd_kafka_subscribe, %i[pointer pointer], :int
    attach_function :rd_kafka_consumer_poll, %i[pointer int], :pointer, blocking: true
    attach_function :rd_kafka_message_destroy, [:pointer], :void
    attach_function :rd_kafka_topic_name, [:pointer], :string
    attach_function :rd_kafka_commit, %i[pointer pointer int], :int, blocking: true
    attach_function :rd_kafka_consumer_close, [:pointer], :int, blocking: true
    attach_function :rd_kafka_destroy, [:pointer], :void, blocking: true
    attach_function :rd_kafka_topic_new, %i[pointer string pointer], :pointer
    attach_function :rd_kafka_produce, %i[pointer int32 int pointer size_t pointer size_t pointer], :int
    attach_function :rd_kafka_last_error, [], :int
    attach_function :rd_kafka_poll, %i[pointer int], :int, blocking: true
    attach_function :rd_kafka_err2str, [:int], :string
  end

  class RdkafkaError < RuntimeError
    def self.check(code) = code.zero? ? nil : raise(new(Native.rd_kafka_err2str(code)))
  end

  class Config
    def initialize(settings) = @settings = settings

    def consumer
      client = client(Native::CONSUMER)
      Native.rd_kafka_poll_set_consumer(client)
      Consumer.new(client)
    end

    def producer
      # Kept by the producer: the library calls it for as long as it lives.
      delivered = FFI::Function.new(:void, %i[pointer pointer pointer]) do |_, pointer, _|
        message = Native::Message.new(pointer)
        Producer.reports[message[:private].address] = message[:error]
      end
      Producer.new(client(Native::PRODUCER) { |conf| Native.rd_kafka_conf_set_dr_msg_cb(conf, delivered) }, delivered)
    end

    private

    def client(kind)
      error = FFI::MemoryPointer.new(512)
      conf = Native.rd_kafka_conf_new
      @settings.each do |name, value|
        set = Native.rd_kafka_conf_set(conf, name.to_s, value.to_s, error, error.size)
        raise RdkafkaError, error.read_string unless set.zero?
      end
      yield conf if block_given?
      client = Native.rd_kafka_new(kind, conf, error, error.size)
      client.null? ? raise(RdkafkaError, error.read_string) : client
    end
  end

  class Consumer
    Message = Struct.new(:topic, :partition, :offset, :key, :payload, keyword_init: true)

    def initialize(client) = @client = client

    def subscribe(*topics)
      list = Native.rd_kafka_topic_partition_list_new(topics.length)
      topics.each { |topic| Native.rd_kafka_topic_partition_list_add(list, topic, Native::ANY_PARTITION) }
      RdkafkaError.check(Native.rd_kafka_subscribe(@client, list))
    ensure
      Native.rd_kafka_topic_partition_list_destroy(list)
    end

    # The next message, or nil if none came within the milliseconds.
    def poll(timeout)
      pointer = Native.rd_kafka_consumer_poll(@client, timeout)
      return if pointer.null?

      begin
        native = Native::Message.new(pointer)
        RdkafkaError.check(native[:error])
        Message.new(topic: Native.rd_kafka_topic_name(native[:topic]), partition: native[:partition], offset: native[:offset],
                    key: text(native[:key], native[:key_length]), payload: text(native[:payload], native[:length]))
      ensure
        Native.rd_kafka_message_destroy(pointer)
      end
    end

    # What was polled, and waits until the brokers have it.
    def commit
      code = Native.rd_kafka_commit(@client, nil, 0)
      RdkafkaError.check(code) unless code == Native::NO_OFFSET
    end

    def close
      return unless @client

      Native.rd_kafka_consumer_close(@client)
      Native.rd_kafka_destroy(@client)
      @client = nil
    end

    private

    def text(pointer, length) = pointer.null? ? nil : pointer.read_string(length).force_encoding(Encoding::UTF_8)
  end

  class Producer
    class << self
      def reports = @reports ||= {}
      def next_number = @number = (@number || 0) + 1
    end

    def initialize(client, delivered)
      @client = client
      @delivered = delivered
      @topics = {}
    end

    def produce(topic:, payload:, key: nil)
      number = Producer.next_number
      @topics[topic] ||= Native.rd_kafka_topic_new(@client, topic, nil)
      taken = Native.rd_kafka_produce(@topics[topic], Native::ANY_PARTITION, Native::COPY, bytes(payload), payload.to_s.bytesize,
                                      bytes(key), key.to_s.bytesize, FFI::Pointer.new(number))
      RdkafkaError.check(Native.rd_kafka_last_error) unless taken.zero?
      Delivery.new(@client, number)
    end

    private

    def bytes(text) = text && FFI::MemoryPointer.from_string(text)

    Delivery = Struct.new(:client, :number) do
      # Until the brokers have it; raises if they do not take it in so many seconds.
      def wait(max_wait_timeout: 60)
        deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + max_wait_timeout
        until (error = Producer.reports.delete(number))
          raise RdkafkaError, "no answer of the brokers" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline

          Native.rd_kafka_poll(client, 100)
        end
        RdkafkaError.check(error)
      end
    end
  end
end
