if ENV["BUNDLE_GEMFILE"]
  require "bundler/setup"
else
  # Debian has no gem rdkafka: what this application calls of it is in vendor/debian, over Debian's librdkafka.
  $LOAD_PATH.unshift File.expand_path("../vendor/debian", __dir__) unless Gem::Specification.any? { |gem| gem.name == "rdkafka" }
end
