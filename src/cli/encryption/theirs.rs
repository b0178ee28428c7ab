//! Keys as a KafkaConsumer names them, from where `drover dev` finds them, too.

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};

use crate::api::{HashDigest, KafkaConsumer};
use crate::dev::Given;
use crate::encryption::{Digest, Keyring, Pointer, Secret, Secrets, Settings};
use crate::fleet::{References, choose, validate};
use crate::yaml;

/// How a KafkaConsumer has values encrypted.
pub struct Theirs {
    /// With its keys.
    pub keyring: Keyring,
    /// Where in the value the message is; None where it is the value.
    pub pointer: Option<Pointer>,
}

/// Of the KafkaConsumer in this file, of those that consume `topic` where there are several; keys are looked for in
/// `secrets` and in the file itself.
///
/// # Errors
/// In one line with its remedy; what a secret holds is never in it.
pub fn in_file(file: &Path, topic: &str, secrets: &[PathBuf]) -> anyhow::Result<Theirs> {
    let shown = file.display().to_string();
    let read = yaml::documents(&crate::cli::validate::read(file)?);
    let documents: Vec<_> = read
        .iter()
        .map(|document| (document.line, document.value.clone()))
        .collect();
    let consumes = documents.iter().filter_map(|(_, value)| {
        let value = value.as_ref().ok()?;
        let mut topics = value["spec"]["topics"].as_array()?.iter();
        let is_it = value["kind"] == "KafkaConsumer" && topics.any(|name| name == topic);
        is_it.then(|| value["metadata"]["name"].as_str())?
    });
    let consumes: Vec<_> = consumes.collect();
    let place = |line, field: &str| yaml::place(&read, line, field);
    let name = match consumes.as_slice() {
        [name] => Some(*name),
        [] => None,
        several => bail!(
            "{} KafkaConsumers of {shown} consume {topic}; keep one of them in a file of its own",
            several.len()
        ),
    };
    let consumer = choose(&documents, &shown, name, &place).map_err(|why| anyhow!(why))?;
    let theirs = of(&consumer, &[&[file.to_owned()], secrets].concat())?;
    theirs.ok_or_else(|| {
        anyhow!("the KafkaConsumer in {shown} has no spec.encryption; leave --encrypt-for away")
    })
}

/// Of this KafkaConsumer, with keys in these files, the last of which wins, or in the environment, which wins over all;
/// None where it has values as they are.
///
/// # Errors
/// In one line with its remedy; what a secret holds is never in it.
pub fn of(consumer: &KafkaConsumer, files: &[PathBuf]) -> anyhow::Result<Option<Theirs>> {
    let fleet = validate(consumer, &References::default()).map_err(|problems| {
        let first = problems.into_iter().next();
        anyhow!(first.map_or_else(String::new, |problem| problem.message))
    })?;
    let Some(written) = &fleet.encryption else {
        return Ok(None);
    };
    let given = Given::in_files(files).map_err(|why| anyhow!(why))?;
    let secret = |path: &PathBuf| -> anyhow::Result<Secret> {
        let mut known = fleet.secret_files.iter();
        let file = known
            .find(|file| file.path() == *path)
            .ok_or_else(|| anyhow!("nothing names {}", path.display()))?;
        let value = given.value(file).map_err(|why| anyhow!(why))?;
        Secret::of(value.to_vec()).ok_or_else(|| {
            let of = file.value();
            anyhow!(
                "key {} of Secret {} is empty; write the key into it",
                of.key,
                of.secret
            )
        })
    };
    let secrets = Secrets {
        primary_keys: written
            .primary_key_files
            .iter()
            .map(secret)
            .collect::<Result<_, _>>()?,
        deterministic_key: written
            .deterministic_key_file
            .as_ref()
            .map(secret)
            .transpose()?,
        salt: secret(&written.salt_file)?,
    };
    let settings = Settings {
        digest: match written.hash_digest {
            HashDigest::Sha256 => Digest::Sha256,
            HashDigest::Sha1 => Digest::Sha1,
        },
        support_sha1: written.support_sha1,
        max_inflated_bytes: written.max_inflated_bytes,
    };
    let keyring = Keyring::derive(&secrets, &settings);
    let pointer = written.pointer.as_deref().map(|text| {
        Pointer::parse(text).ok_or_else(|| {
            anyhow!("{text} is no JSON pointer; correct spec.encryption.activeRecord.pointer")
        })
    });
    Ok(Some(Theirs {
        keyring,
        pointer: pointer.transpose()?,
    }))
}
