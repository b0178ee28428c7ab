namespace :kafka do
  desc "Consume until SIGTERM or Ctrl-C"
  task consume: :environment do
    UserEventsConsumer.new.run
  end
end
