# What the Rails example promises, with its own classes over a Kafka that the test plays: Kafka away, trying again, what
# was processed before, the signals, a commit that is refused. Ends with 1 and what was broken. Plain Ruby is enough.
require "json"
require "securerandom"

module Rdkafka
  class RdkafkaError < RuntimeError; end
end

module ActionController
  class API; end
end

module ActiveRecord
  module Encryption
    module Errors
      class Base < StandardError; end
      class Decryption < Base; end
    end

    # Opens nothing, and closes everything.
    module Encryptor
      def self.decrypt(_) = raise(Errors::Decryption)
      def self.encrypt(_) = '{"p":"closed","h":{}}'
    end

    def self.encryptor = Encryptor
  end
end

module Rails
  # Every line that was logged.
  class Log
    attr_reader :lines

    def initialize = @lines = []
    %i[info warn error].each { |level| define_method(level) { |text| @lines << text } }
  end

  class Cache
    def initialize = @marks = {}
    def write(mark, _, unless_exist:, expires_in:) = expires_in && unless_exist && !@marks.key?(mark) && (@marks[mark] = true)
    def delete(mark) = @marks.delete(mark)
    def marks = @marks.keys
  end

  class << self
    attr_accessor :logger, :cache
  end
end

# Of ActiveSupport.
class Integer
  def day = self * 86_400
end

class Object
  def present? = !nil?
end

app = File.expand_path("../../examples/rails/app", __dir__)
%w[models/user services/welcome services/user_events controllers/users_controller consumers/user_events_consumer].each do |file|
  require "#{app}/#{file}"
end

Message = Struct.new(:topic, :partition, :offset, :key, :payload, keyword_init: true)

# Kafka, to a consumer: gives these records one after the other, then asks it to stop.
class Kafka
  attr_reader :commits, :written

  # Commits that are refused, by their number from 1.
  def initialize(payloads, refused: [])
    @messages = payloads.each_with_index.map do |payload, offset|
      Message.new(topic: "user_events", partition: 0, offset: offset, key: "1", payload: payload)
    end
    @refused = refused
    @given = 0
    @tried = 0
    @commits = []
    @written = []
  end

  def subscribe(*) = nil
  def close = @closed = true
  def closed? = @closed == true

  def poll(_)
    message = @messages[@given]
    if message
      @given += 1
    else
      Process.kill("TERM", Process.pid)
    end
    message
  end

  def commit
    @tried += 1
    raise Rdkafka::RdkafkaError, "Broker: Group rebalance in progress" if @refused.include?(@tried)

    @commits << @given
  end

  # As the producer of dead letters.
  def produce(**record)
    @written << record
    Struct.new(:none) { def wait(**) = nil }.new
  end
end

class Broken < StandardError; end

def holds(what, good) = good || raise(Broken, "#{what}; logged: #{Rails.logger.lines}")
def logged(text) = Rails.logger.lines.count { |line| line.include?(text) }
def event(id, email) = { event_type: "user_created", event_id: id, email: email }.to_json

# A run to its end. The block takes the place of the work that an event stands for.
def run(kafka, &work)
  consumer = UserEventsConsumer.new
  consumer.define_singleton_method(:consumer) { kafka }
  consumer.define_singleton_method(:dead_letters) { kafka }
  consumer.define_singleton_method(:sleep) { |_| nil }
  Welcome.define_singleton_method(:send_to, &work || ->(event) { Rails.logger.info "welcome, #{event.fetch("email")}" })
  consumer.run
  holds "it closes its consumer", kafka.closed?
  kafka
end

PROMISES = {
  "a user is created while Kafka is away, and the error is logged" => lambda do
    away = Object.new
    def away.produce(**) = raise(Rdkafka::RdkafkaError, "Local: All broker connections are down")
    UserEvents.define_singleton_method(:producer) { away }
    parameters = { email: "ann@example.com" }
    parameters.define_singleton_method(:require) { |name| fetch(name) }
    controller = UsersController.new
    rendered = nil
    controller.define_singleton_method(:params) { parameters }
    controller.define_singleton_method(:render) { |**with| rendered = with }
    controller.create
    holds "201", rendered[:status] == :created && rendered[:json][:email] == "ann@example.com"
    parameters[:encrypted] = "yes"
    controller.create
    holds "both are logged", logged("not produced to user_events: ") == 1 && logged("not produced to user_events_encrypted: ") == 1
  end,

  "what fails is tried again, unmarked meanwhile, and committed once it is done" => lambda do
    attempts = 0
    kafka = run(Kafka.new([event("a", "ann@example.com")])) do |_|
      attempts += 1
      holds "it is marked while it is handled", Rails.cache.marks == ["processed/a"]
      raise "the mail server is away" if attempts < 3
    end
    holds "three attempts, one commit", attempts == 3 && kafka.commits == [1]
    holds "each failure is logged", logged("the mail server is away; trying again") == 2
    holds "it stays marked", Rails.cache.marks == ["processed/a"]
  end,

  "what comes twice is processed once, and committed" => lambda do
    kafka = run(Kafka.new([event("a", "ann@example.com")] * 2))
    holds "one welcome", logged("welcome, ") == 1 && logged("was processed before") == 1
    holds "both are committed", kafka.commits == [1, 2]
  end,

  "what is no event, or cannot be decrypted, holds nobody up" => lambda do
    kafka = run(Kafka.new([nil, "{", "[1]", '{"p":"closed","h":{}}', event("a", "ann@example.com")]))
    holds "three are passed over", logged("it is no event in JSON") == 3
    letter = { topic: "user_events.dlq", key: "1", payload: '{"p":"closed","h":{}}' }
    holds "one is a dead letter", kafka.written == [letter]
    holds "all are committed", kafka.commits == [1, 2, 3, 4, 5]
  end,

  "a signal lets the record at hand be finished and committed" => lambda do
    %w[INT TERM].each do |signal|
      Rails.cache = Rails::Cache.new
      kafka = run(Kafka.new([event("a", "ann@example.com"), event("b", "eve@example.com")])) do |_|
        Process.kill(signal, Process.pid)
      end
      holds "#{signal}: the first only", kafka.commits == [1]
    end
    holds "it says so", logged("stopping") == 2
  end,

  "a signal ends the attempts at a record, which is not committed" => lambda do
    kafka = run(Kafka.new([event("a", "ann@example.com")])) do |_|
      Process.kill("INT", Process.pid)
      raise "the mail server is away"
    end
    holds "nothing is committed", kafka.commits.empty? && Rails.cache.marks.empty?
  end,

  "a commit that is refused, as while the group rebalances, ends nothing" => lambda do
    kafka = run(Kafka.new([event("a", "ann@example.com"), event("b", "eve@example.com")], refused: [1]))
    holds "the next commit covers both", kafka.commits == [2] && logged("welcome, ") == 2
    holds "it is logged", logged("Broker: Group rebalance in progress") == 1
  end
}.freeze

PROMISES.each do |what, kept|
  Rails.logger = Rails::Log.new
  Rails.cache = Rails::Cache.new
  kept.call
  puts "kept: #{what}"
rescue StandardError => error
  abort "broken: #{what}: #{error.class}: #{error.message}"
end
