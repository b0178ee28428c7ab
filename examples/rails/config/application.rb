require_relative "boot"

require "logger"
require "rails"
require "action_controller/railtie"
require "rdkafka"

module Shop
  class Application < Rails::Application
    config.load_defaults 7.1
    config.api_only = true
    config.autoload_paths << "#{root}/app/services" << "#{root}/app/consumers"
    config.eager_load = Rails.env.production?
    config.consider_all_requests_local = !Rails.env.production?
    config.hosts.clear
    config.logger = ActiveSupport::Logger.new($stdout)
    config.log_level = :info
    config.middleware.delete Rails::Rack::Logger # a line for each probe
    config.filter_parameters << :email
    # What the consumer has processed. Each process its own: an application with Redis takes :redis_cache_store.
    config.cache_store = :memory_store
    config.secret_key_base = ENV.fetch("SECRET_KEY_BASE", "no session and no cookie is signed in this example")
  end
end

$stdout.sync = true
