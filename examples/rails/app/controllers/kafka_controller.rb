# The handler: a worker of Drover POSTs each record here, decrypted, and goes by the answer.
class KafkaController < ActionController::API
  # The body is an event and no form.
  wrap_parameters false

  def create
    event = JSON.parse(request.raw_post)
    Welcome.send_to(event) if event["event_type"] == "user_created"
    head :no_content # done, for good
  rescue JSON::ParserError, KeyError => error
    # 422: it will never succeed. Any other exception becomes a 500: try again.
    render plain: error.class.name, status: :unprocessable_entity
  end
end
