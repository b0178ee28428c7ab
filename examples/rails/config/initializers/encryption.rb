# What `bin/rails credentials:edit` holds in most applications comes from a Secret here, the same that
# spec.encryption.activeRecord names.
require "active_record"

ActiveRecord::Encryption.config.hash_digest_class = OpenSSL::Digest::SHA256
ActiveRecord::Encryption.configure(
  primary_key: ENV.fetch("ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY", "an-example-and-no-key-to-use-2026"),
  key_derivation_salt: ENV.fetch("ACTIVE_RECORD_ENCRYPTION_KEY_DERIVATION_SALT", "an-example-and-no-salt-to-use"),
  deterministic_key: nil
)
