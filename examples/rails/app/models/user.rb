# A user; this example has no database to keep it in.
User = Struct.new(:id, :email, keyword_init: true)
