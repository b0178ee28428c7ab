class UsersController < ActionController::API
  # POST /users with email, as JSON or as a form; with encrypted the event is encrypted.
  def create
    user = User.new(id: SecureRandom.uuid, email: params.require(:email))
    UserEvents.created(user, encrypted: params[:encrypted].present?)
    render json: user.to_h, status: :created
  end
end
