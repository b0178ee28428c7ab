# What is to be done when a user was created: here a line of log stands for a mail.
class Welcome
  def self.send_to(event)
    Rails.logger.info "welcome, #{event.fetch("email")}"
  end
end
