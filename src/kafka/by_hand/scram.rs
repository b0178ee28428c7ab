//! SCRAM's client side: RFC 5802, with SHA-256 as RFC 7677 and with SHA-512, without channel binding, as Kafka
//! has it. Names and passwords go as they are, not prepared (SASLprep), as Kafka's own clients do.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::{digest, hmac, pbkdf2};

use super::connection::Trouble;
use super::way::{Login, Mechanism};

/// A server that asks for more iterations wants our time, not our proof. Kafka itself allows 16,384.
const MOST_ITERATIONS: u32 = 100_000;

/// One log-in.
pub struct Exchange<'a> {
    hashes: Hashes,
    password: &'a str,
    nonce: String,
    first_bare: String,
    /// What the server has to sign, and the key for it.
    expected: Option<(String, hmac::Key)>,
}

struct Hashes {
    derive: pbkdf2::Algorithm,
    sign: hmac::Algorithm,
    digest: &'static digest::Algorithm,
}

impl<'a> Exchange<'a> {
    /// None for a mechanism that is not SCRAM.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn begin(login: &'a Login) -> Result<Option<Self>, Trouble> {
        let mut random = [0; 24];
        SystemRandom::new()
            .fill(&mut random)
            .map_err(|_| trouble("the system has no randomness"))?;
        Ok(Self::with_nonce(login, BASE64.encode(random)))
    }

    fn with_nonce(login: &'a Login, nonce: String) -> Option<Self> {
        let hashes = match login.mechanism {
            Mechanism::Plain => return None,
            Mechanism::ScramSha256 => Hashes {
                derive: pbkdf2::PBKDF2_HMAC_SHA256,
                sign: hmac::HMAC_SHA256,
                digest: &digest::SHA256,
            },
            Mechanism::ScramSha512 => Hashes {
                derive: pbkdf2::PBKDF2_HMAC_SHA512,
                sign: hmac::HMAC_SHA512,
                digest: &digest::SHA512,
            },
        };
        let name = login.username.replace('=', "=3D").replace(',', "=2C");
        Some(Self {
            hashes,
            password: &login.password,
            first_bare: format!("n={name},r={nonce}"),
            nonce,
            expected: None,
        })
    }

    /// What the client says first.
    pub fn first(&self) -> String {
        format!("n,,{}", self.first_bare)
    }

    /// The answer to the server's challenge.
    ///
    /// # Errors
    /// If the challenge is none.
    pub fn reply(&mut self, challenge: &[u8]) -> Result<String, Trouble> {
        let challenge = text(challenge)?;
        let nonce = field(challenge, "r=")?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(trouble("its nonce does not go on from ours"));
        }
        let salt = BASE64
            .decode(field(challenge, "s=")?)
            .map_err(|_| trouble("its salt cannot be read"))?;
        let iterations: NonZeroU32 = field(challenge, "i=")?
            .parse()
            .map_err(|_| trouble("its number of iterations cannot be read"))?;
        if iterations.get() > MOST_ITERATIONS {
            return Err(trouble("it asks for too many iterations"));
        }
        let mut salted = vec![0; self.hashes.digest.output_len()];
        pbkdf2::derive(
            self.hashes.derive,
            iterations,
            &salt,
            self.password.as_bytes(),
            &mut salted,
        );
        let client_key = self.sign(&salted, b"Client Key");
        let stored_key = digest::digest(self.hashes.digest, client_key.as_ref());
        let without_proof = format!("c=biws,r={nonce}");
        let message = format!("{},{challenge},{without_proof}", self.first_bare);
        let signature = self.sign(stored_key.as_ref(), message.as_bytes());
        let proof: Vec<u8> = client_key
            .as_ref()
            .iter()
            .zip(signature.as_ref())
            .map(|(key, signature)| key ^ signature)
            .collect();
        let server_key = self.sign(&salted, b"Server Key");
        let server_key = hmac::Key::new(self.hashes.sign, server_key.as_ref());
        self.expected = Some((message, server_key));
        Ok(format!("{without_proof},p={}", BASE64.encode(proof)))
    }

    /// Whether the server knows the password too.
    ///
    /// # Errors
    /// If it does not.
    pub fn verify(&self, last: &[u8]) -> Result<(), Trouble> {
        let said = BASE64
            .decode(field(text(last)?, "v=")?)
            .map_err(|_| trouble("its signature cannot be read"))?;
        self.expected
            .as_ref()
            .and_then(|(message, key)| hmac::verify(key, message.as_bytes(), &said).ok())
            .ok_or_else(|| trouble("it does not know the password itself"))
    }

    fn sign(&self, key: &[u8], message: &[u8]) -> hmac::Tag {
        hmac::sign(&hmac::Key::new(self.hashes.sign, key), message)
    }
}

fn text(bytes: &[u8]) -> Result<&str, Trouble> {
    std::str::from_utf8(bytes).map_err(|_| trouble("what it says is no text"))
}

fn field<'a>(message: &'a str, name: &str) -> Result<&'a str, Trouble> {
    let mut fields = message.split(',');
    fields
        .find_map(|field| field.strip_prefix(name))
        .ok_or_else(|| trouble("what it says lacks a field"))
}

fn trouble(why: &str) -> Trouble {
    Trouble::Login(format!("SCRAM with the broker: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677, section 3.
    #[test]
    fn the_example_of_the_standard_comes_out() {
        let login = Login {
            mechanism: Mechanism::ScramSha256,
            username: "user".to_owned(),
            password: "pencil".to_owned(),
        };
        let nonce = "rOprNGfwEbeRWgbNEkqO".to_owned();
        let mut exchange = Exchange::with_nonce(&login, nonce).unwrap();
        assert_eq!(exchange.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let challenge = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        assert_eq!(
            exchange.reply(challenge).unwrap(),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        exchange
            .verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
            .unwrap();
        exchange.verify(b"v=AAAA").unwrap_err();
        exchange.verify(b"e=other-error").unwrap_err();
    }

    #[test]
    fn a_challenge_that_is_not_for_us_is_refused() {
        let login = Login {
            mechanism: Mechanism::ScramSha512,
            username: "a=b,c".to_owned(),
            password: "x".to_owned(),
        };
        let mut exchange = Exchange::with_nonce(&login, "abc".to_owned()).unwrap();
        assert_eq!(exchange.first(), "n,,n=a=3Db=2Cc,r=abc");
        for challenge in [
            "r=abd1,s=AAAA,i=4096",
            "r=abc,s=AAAA,i=4096",
            "r=abc1,s=AAAA,i=0",
            "r=abc1,s=AAAA,i=4000000000",
            "r=abc1,s=!,i=4096",
            "r=abc1,i=4096",
            "",
        ] {
            exchange.reply(challenge.as_bytes()).unwrap_err();
        }
    }
}
