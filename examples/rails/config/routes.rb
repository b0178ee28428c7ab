Rails.application.routes.draw do
  resources :users, only: :create
  post "kafka", to: "kafka#create"
  get "up", to: ->(_) { [200, {}, ["up\n"]] }
end
