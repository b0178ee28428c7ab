# What drover writes is read by this Rails, and the other way round. Started by `run`.
#
# Each text in each form is written by one side and read by the other; in deterministic mode both must
# write the same bytes. Ends with 1 if anything differs.

require "json"
require "logger"
require "open3"
require "active_support/all"
require "active_record"

DROVER = ARGV.fetch(0)
KEYS = {
  "ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY" => "primary-key-of-the-interop-test-1",
  "ACTIVE_RECORD_ENCRYPTION_DETERMINISTIC_KEY" => "deterministic-key-of-the-interop-test",
  "ACTIVE_RECORD_ENCRYPTION_KEY_DERIVATION_SALT" => "salt-of-the-interop-test",
}.freeze
Encryption = ActiveRecord::Encryption

TEXTS = {
  "empty" => "",
  "one letter" => "x",
  "event" => { event_type: "user_created", user_id: 1, email: "a@example.com" }.to_json,
  "not ASCII" => "Grüße, 世界 🎉",
  "line breaks" => "a\nb\r\n\n",
  "140 bytes" => "x" * 140,
  "141 bytes" => "x" * 141,
  "100 KB of JSON" => Array.new(900) { |i| { id: i, name: "user-#{i}", at: Time.at(i).utc.iso8601 } }.to_json,
  "200 random bytes" => Random.new(1).bytes(200),
}.freeze

FORMS = {
  "as Rails does by default" => { flags: [] },
  "with key references" => { flags: ["--store-key-references"], references: true },
  "not compressed" => { flags: ["--no-compress"], compress: false },
  "with envelopes" => { flags: ["--envelope"], envelope: true },
  "with envelopes and key references" => { flags: %w[--envelope --store-key-references], envelope: true, references: true },
  "deterministic" => { flags: ["--deterministic"], deterministic: true },
}.freeze

@failures = 0
@checks = 0

def check(what, expected, found)
  @checks += 1
  return if expected == found
  @failures += 1
  puts "DIFFERS: #{what}"
end

def drover(*arguments, input)
  output, error, status = Open3.capture3(KEYS, DROVER, *arguments, stdin_data: input, binmode: true)
  status.success? ? output : "drover failed: #{error}".b
end

# What an application's initialiser does; keys are derived anew.
def configure(digest, references)
  # First: configuring makes the generator of keys, which keeps the digest of that moment.
  Encryption.config.hash_digest_class = digest
  Encryption.configure(
    primary_key: KEYS["ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY"],
    deterministic_key: KEYS["ACTIVE_RECORD_ENCRYPTION_DETERMINISTIC_KEY"],
    key_derivation_salt: KEYS["ACTIVE_RECORD_ENCRYPTION_KEY_DERIVATION_SALT"],
    store_key_references: references
  )
end

def provider(form)
  return Encryption::EnvelopeEncryptionKeyProvider.new if form[:envelope]
  return Encryption::DeterministicKeyProvider.new(Encryption.config.deterministic_key) if form[:deterministic]
  Encryption::DerivedSecretKeyProvider.new(Encryption.config.primary_key)
end

def encryptor(form)
  form.fetch(:compress, true) ? Encryption::Encryptor.new : Encryption::Encryptor.new(compress: false)
end

{ "sha256" => OpenSSL::Digest::SHA256, "sha1" => OpenSSL::Digest::SHA1 }.each do |hash, digest|
  FORMS.each do |form_name, form|
    configure(digest, form.fetch(:references, false))
    keys = provider(form)
    TEXTS.each do |text_name, text|
      next if form[:deterministic] && !text.dup.force_encoding("UTF-8").valid_encoding?
      what = "#{text_name}, #{form_name}, #{hash}"
      written = drover("encrypt", *form[:flags], "--hash-digest", hash, text).chomp
      read = begin
        encryptor(form).decrypt(written, key_provider: keys)
      rescue StandardError => error
        "#{error.class}: #{error.message}"
      end
      check("#{what}: Rails reads what drover writes", text.b, read.b)
      check("#{what}: encrypted?", true, encryptor(form).encrypted?(written))

      options = { deterministic: form.fetch(:deterministic, false) }
      by_rails = encryptor(form).encrypt(text, key_provider: keys, cipher_options: options)
      check("#{what}: drover reads what Rails writes", text.b, drover("decrypt", "--hash-digest", hash, by_rails).b)
      check("#{what}: of the same length", by_rails.bytesize, written.bytesize)
      check("#{what}: the same bytes", by_rails.b, written.b) if form[:deterministic]
    end
  end
end

puts "Rails #{ActiveRecord::VERSION::STRING}, Ruby #{RUBY_VERSION}: #{@checks - @failures} passed, #{@failures} failed"
exit(@failures.zero? ? 0 : 1)
