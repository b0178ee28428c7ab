//! Where keys come from: files, a Secret or Rails' credentials in a file, the environment.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::encryption::{self, Keyring, Secret, Secrets, Settings};
use crate::yaml;

/// The variables that Rails applications use by habit.
const VARIABLES: [&str; 3] = [
    "ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY",
    "ACTIVE_RECORD_ENCRYPTION_DETERMINISTIC_KEY",
    "ACTIVE_RECORD_ENCRYPTION_KEY_DERIVATION_SALT",
];

/// What to do with a second salt.
const ONE_SALT: &str = "as in Rails there is one salt for all keys, and with another one every key is another; give the one that the messages were written with, and those of another salt to a run of their own, with --primary-key-file and --key-derivation-salt-file";

/// Where the keys are, and how they are derived.
#[derive(Args, Clone, Debug, Default)]
#[command(
    next_help_heading = "Keys (without any of these: the variables ACTIVE_RECORD_ENCRYPTION_PRIMARY_KEY, _DETERMINISTIC_KEY and _KEY_DERIVATION_SALT)"
)]
pub struct KeyArgs {
    /// A file with all of them: a Secret with the keys primary_key, key_derivation_salt and perhaps
    /// deterministic_key, or Rails' credentials with active_record_encryption
    #[arg(long, value_name = "FILE")]
    keys_file: Option<PathBuf>,
    /// A file that holds a primary key; can be given several times: the last one encrypts. Beside --keys-file they are
    /// older ones, which only decrypt: those of --keys-file come after them
    #[arg(long, value_name = "FILE")]
    primary_key_file: Vec<PathBuf>,
    /// A variable that holds a primary key; comes after those from files
    #[arg(long, value_name = "NAME")]
    primary_key_env: Vec<String>,
    // Taken several times only to be refused in words.
    /// The file that holds the salt
    #[arg(long, value_name = "FILE")]
    key_derivation_salt_file: Vec<PathBuf>,
    /// The variable that holds the salt
    #[arg(long, value_name = "NAME")]
    key_derivation_salt_env: Vec<String>,
    /// The file that holds the deterministic key
    #[arg(long, value_name = "FILE", conflicts_with = "deterministic_key_env")]
    deterministic_key_file: Option<PathBuf>,
    /// The variable that holds the deterministic key
    #[arg(long, value_name = "NAME")]
    deterministic_key_env: Option<String>,
    /// The hash that keys are derived with: sha1 in applications older than load_defaults 7.1
    #[arg(long, value_enum, default_value_t)]
    hash_digest: HashDigest,
}

/// The hash that keys are derived with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum HashDigest {
    /// load_defaults 7.1 and later
    #[default]
    Sha256,
    /// Before that
    Sha1,
}

impl KeyArgs {
    /// True if one of them was given.
    pub fn any(&self) -> bool {
        self.keys_file.is_some() || self.any_single() || self.hash_digest != HashDigest::default()
    }

    fn any_single(&self) -> bool {
        !self.primary_key_file.is_empty()
            || !self.primary_key_env.is_empty()
            || self.salts() > 0
            || self.deterministic_key_file.is_some()
            || self.deterministic_key_env.is_some()
    }

    /// True if the digest is the older one.
    pub fn derives_by_sha1(&self) -> bool {
        self.hash_digest == HashDigest::Sha1
    }

    /// How many are named one by one.
    fn salts(&self) -> usize {
        self.key_derivation_salt_file.len() + self.key_derivation_salt_env.len()
    }

    /// Reads and derives them.
    ///
    /// # Errors
    /// In one line with its remedy; what a secret holds is never in it.
    pub fn keyring(&self, support_sha1: bool) -> anyhow::Result<Keyring> {
        self.reading(support_sha1, Settings::default().max_inflated_bytes)
    }

    /// The same, to read texts of so many bytes.
    ///
    /// # Errors
    /// As [`Self::keyring`].
    pub fn reading(&self, support_sha1: bool, max_inflated_bytes: u64) -> anyhow::Result<Keyring> {
        let digest = match self.hash_digest {
            HashDigest::Sha256 => encryption::Digest::Sha256,
            HashDigest::Sha1 => encryption::Digest::Sha1,
        };
        let settings = Settings {
            digest,
            support_sha1,
            max_inflated_bytes,
        };
        Ok(Keyring::derive(&self.secrets()?, &settings))
    }

    fn secrets(&self) -> anyhow::Result<Secrets> {
        if self.salts() > 1 {
            bail!("{} salts are given: {ONE_SALT}", self.salts());
        }
        if let Some(file) = &self.keys_file {
            if self.salts() > 0 {
                bail!("a salt is given beside --keys-file, which has its own: {ONE_SALT}");
            }
            if self.deterministic_key_file.is_some() || self.deterministic_key_env.is_some() {
                bail!(
                    "a deterministic key is given beside --keys-file; as in Rails there is one: write it into that file as deterministic_key, or give all keys by their own options"
                );
            }
            let text = Zeroizing::new(read(file)?);
            let text = std::str::from_utf8(&text)
                .map_err(|_| anyhow!("{} is not UTF-8 text; give a Secret's manifest, or what bin/rails credentials:show prints", file.display()))?;
            let found = in_document(text).map_err(|why| anyhow!("{}: {why:#}", file.display()));
            let mut found = found?;
            // While keys are rotated the application's own encrypts, and messages of older ones are still about.
            let older = self.primary_keys()?;
            found.primary_keys.splice(..0, older);
            return Ok(found);
        }
        if !self.any_single() {
            return self.in_usual_places();
        }
        let one = |path: &Option<PathBuf>, name: &Option<String>| match (path, name) {
            (Some(path), _) => file(path).map(Some),
            (None, Some(name)) => variable(name).map(Some),
            (None, None) => Ok(None),
        };
        complete(
            self.primary_keys()?,
            one(&self.deterministic_key_file, &self.deterministic_key_env)?,
            one(
                &self.key_derivation_salt_file.first().cloned(),
                &self.key_derivation_salt_env.first().cloned(),
            )?,
        )
    }

    /// Those that are named one by one.
    fn primary_keys(&self) -> anyhow::Result<Vec<Secret>> {
        let of_files = self.primary_key_file.iter().map(|path| file(path));
        let of_variables = self.primary_key_env.iter().map(|name| variable(name));
        of_files.chain(of_variables).collect()
    }

    fn in_usual_places(&self) -> anyhow::Result<Secrets> {
        let [primary, deterministic, salt] = VARIABLES.map(|name| {
            let is_set = std::env::var_os(name).is_some();
            is_set.then(|| variable(name)).transpose()
        });
        complete(primary?.into_iter().collect(), deterministic?, salt?)
    }
}

fn complete(
    primary_keys: Vec<Secret>,
    deterministic_key: Option<Secret>,
    salt: Option<Secret>,
) -> anyhow::Result<Secrets> {
    let Some(salt) = salt else {
        bail!(
            "no key derivation salt is given; add --keys-file or --key-derivation-salt-file, or set {}",
            VARIABLES[2]
        );
    };
    if primary_keys.is_empty() && deterministic_key.is_none() {
        bail!(
            "no key is given; add --keys-file or --primary-key-file, or set {}",
            VARIABLES[0]
        );
    }
    Ok(Secrets {
        primary_keys,
        deterministic_key,
        salt,
    })
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("read {}", path.display()))
}

fn file(path: &Path) -> anyhow::Result<Secret> {
    Secret::of(read(path)?)
        .ok_or_else(|| anyhow!("{} is empty; write the key into it", path.display()))
}

fn variable(name: &str) -> anyhow::Result<Secret> {
    use std::os::unix::ffi::OsStringExt as _;
    let value = std::env::var_os(name)
        .ok_or_else(|| anyhow!("the variable {name} is not set; set it to the key"))?;
    Secret::of(value.into_vec())
        .ok_or_else(|| anyhow!("the variable {name} is empty; set it to the key"))
}

/// The secrets of a Secret or of Rails' credentials.
fn in_document(text: &str) -> anyhow::Result<Secrets> {
    let documents = yaml::documents(text);
    let mut values = documents
        .into_iter()
        .filter_map(|document| document.value.ok());
    values
        .find_map(|value| {
            let credentials = &value["active_record_encryption"];
            if credentials.is_object() {
                Some(secrets(credentials, plain))
            } else if value["kind"] == "Secret" {
                Some(in_secret(&value))
            } else {
                None
            }
        })
        .unwrap_or_else(|| {
            Err(anyhow!(
                "there is neither a Secret nor active_record_encryption in it; give a Secret's manifest or what bin/rails credentials:show prints (credentials.yml.enc is encrypted itself), or each key by its own option"
            ))
        })
}

fn in_secret(secret: &Value) -> anyhow::Result<Secrets> {
    let has_plain = secret["stringData"].is_object();
    if has_plain && secret["data"].is_object() {
        bail!("the Secret has both data and stringData; keep one of them");
    }
    if has_plain {
        secrets(&secret["stringData"], plain)
    } else {
        secrets(&secret["data"], base64)
    }
}

fn secrets(values: &Value, decode: fn(&str) -> anyhow::Result<Vec<u8>>) -> anyhow::Result<Secrets> {
    let read = |name: &str, value: &Value| -> anyhow::Result<Secret> {
        let text = value
            .as_str()
            .ok_or_else(|| anyhow!("{name} is not a text; write it in quotes"))?;
        let bytes = decode(text).with_context(|| format!("read {name}"))?;
        Secret::of(bytes).ok_or_else(|| anyhow!("{name} is empty; write it there"))
    };
    let all = |name: &str| -> anyhow::Result<Vec<Secret>> {
        match &values[name] {
            Value::Null => Ok(Vec::new()),
            Value::Array(list) => list.iter().map(|value| read(name, value)).collect(),
            value => Ok(vec![read(name, value)?]),
        }
    };
    // A list of one is that one, as for Rails.
    let one = |name: &str, why: &str| -> anyhow::Result<Option<Secret>> {
        let mut all = all(name)?;
        if all.len() > 1 {
            bail!("{name} is a list of {}: {why}", all.len());
        }
        Ok(all.pop())
    };
    complete(
        all("primary_key")?,
        one(
            "deterministic_key",
            "as in Rails there is one, which cannot be rotated; write the one that the messages were written with",
        )?,
        one("key_derivation_salt", ONE_SALT)?,
    )
}

fn plain(text: &str) -> anyhow::Result<Vec<u8>> {
    Ok(text.as_bytes().to_vec())
}

fn base64(text: &str) -> anyhow::Result<Vec<u8>> {
    use base64::Engine as _;
    // The decoder's own words would name a byte of the secret.
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .map_err(|_| anyhow!("it is not base64, as the data of a Secret must be; encode it, or write it as it is below stringData"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_and_credentials_give_the_same_keys() {
        let data = "kind: Secret\ndata:\n  primary_key: b25l\n  key_derivation_salt: c2FsdA==\n  deterministic_key: ZGV0\n";
        let string_data = "kind: Secret\nstringData: { primary_key: one, key_derivation_salt: salt, deterministic_key: det }\n";
        let credentials = "aws: {}\nactive_record_encryption:\n  primary_key: one\n  deterministic_key: det\n  key_derivation_salt: salt\n";
        let after_another = format!("kind: ConfigMap\n---\n{data}");
        for text in [data, string_data, credentials, &after_another] {
            let secrets = in_document(text).unwrap();
            assert_eq!(secrets.primary_keys, [secret("one")], "{text}");
            assert_eq!(secrets.deterministic_key, Some(secret("det")), "{text}");
            assert_eq!(secrets.salt, secret("salt"), "{text}");
        }
    }

    #[test]
    fn credentials_may_have_a_list_for_rotation() {
        let text =
            "active_record_encryption: { primary_key: [old, new], key_derivation_salt: [s] }";
        let secrets = in_document(text).unwrap();
        assert_eq!(secrets.primary_keys, [secret("old"), secret("new")]);
    }

    #[test]
    fn what_is_missing_is_named_and_no_secret_is() {
        for (text, words) in [
            ("kind: ConfigMap", "neither a Secret"),
            (
                "kind: Secret\ndata: { primary_key: b25l }",
                "no key derivation salt",
            ),
            (
                "kind: Secret\ndata: { key_derivation_salt: b25l }",
                "no key is given",
            ),
            (
                "kind: Secret\ndata: { primary_key: hush! }",
                "read primary_key",
            ),
            (
                "kind: Secret\ndata: {}\nstringData: {}",
                "both data and stringData",
            ),
            (
                "active_record_encryption: { primary_key: 12345 }",
                "in quotes",
            ),
            (
                "active_record_encryption: { primary_key: '' }",
                "primary_key is empty",
            ),
            (
                "active_record_encryption: { primary_key: [a, b], key_derivation_salt: [hush, hush2] }",
                "key_derivation_salt is a list of 2: as in Rails there is one salt for all keys",
            ),
            (
                "active_record_encryption: { deterministic_key: [hush, hush2], key_derivation_salt: s }",
                "deterministic_key is a list of 2: as in Rails there is one, which cannot be rotated",
            ),
        ] {
            let error = format!("{:#}", in_document(text).unwrap_err());
            assert!(error.contains(words), "{error}");
            assert!(
                !error.contains("hush") && !error.contains("12345"),
                "{error}"
            );
        }
    }

    fn secret(text: &str) -> Secret {
        Secret::of(text.into()).unwrap()
    }
}
