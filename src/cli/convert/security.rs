//! `kafka.tls` and `kafka.sasl`: references to the Secrets that there are, never what is in them.

use serde_json::{Value, json};

use super::Wishes;
use super::draft::Draft;
use super::environment::Given;
use super::notes::{Notes, Spot};

/// What stands where a person must write something.
pub(super) const REPLACE: &str = "replace-me";

/// A value and the field that gives it.
pub(super) type Said = (Given, Spot);

/// How brokers are told who is there.
pub(super) struct Sasl {
    /// As Drover calls it; none where the input does not show which it is.
    pub mechanism: Option<&'static str>,
    pub username: Option<Said>,
    pub password: Option<Said>,
    /// The field that asks for it.
    pub spot: Spot,
}

pub(super) fn sasl(draft: &mut Draft, notes: &mut Notes, wishes: &Wishes, sasl: &Sasl) {
    let spot = &sasl.spot;
    let mechanism = sasl.mechanism.or(wishes.sasl_mechanism).unwrap_or_else(|| {
        notes.incomplete(spot.clone(), "which mechanism it is stands in a Secret that the input does not have; Plain was written: correct spec.kafka.sasl.mechanism, or give --sasl-mechanism");
        "Plain"
    });
    draft.set("kafka.sasl.mechanism", mechanism, Some(spot.clone()));
    let (username, from) = username(notes, wishes, sasl);
    draft.set("kafka.sasl.username", username, Some(from));
    let (password, from) = password(notes, sasl);
    draft.set("kafka.sasl.passwordSecret", password, Some(from));
}

fn username(notes: &mut Notes, wishes: &Wishes, sasl: &Sasl) -> (String, Spot) {
    let (given, spot) = match &sasl.username {
        Some((given, spot)) => (Some(given), spot),
        None => (None, &sasl.spot),
    };
    if let Some(word) = given.and_then(Given::word) {
        return (word.to_owned(), spot.clone());
    }
    if let Some(name) = &wishes.sasl_username {
        return (name.clone(), spot.clone());
    }
    let place = given.map_or_else(|| "nowhere".to_owned(), Given::place);
    notes.incomplete(spot.clone(), format!("the user's name stands in {place}, and Secrets are not read; in spec.kafka.sasl.username it is written as it is: put it in place of {REPLACE}, or give --sasl-username"));
    (REPLACE.to_owned(), spot.clone())
}

fn password(notes: &mut Notes, sasl: &Sasl) -> (Value, Spot) {
    let spot = sasl.password.as_ref().map_or(&sasl.spot, |(_, spot)| spot);
    if let Some((Given::Secret { name, key }, _)) = &sasl.password {
        return (json!({ "name": name, "key": key }), spot.clone());
    }
    notes.incomplete(spot.clone(), format!("no Secret is named that has the password; put it into one, and write its name and key in place of {REPLACE} in spec.kafka.sasl.passwordSecret"));
    (json!({ "name": REPLACE, "key": "password" }), spot.clone())
}

/// TLS with the certificates that are named; none of them is needed.
pub(super) fn tls(
    draft: &mut Draft,
    notes: &mut Notes,
    spot: &Spot,
    authority: Option<&Said>,
    certificate: Option<&Said>,
    key: Option<&Said>,
) {
    draft.set("kafka.tls", json!({}), Some(spot.clone()));
    match authority {
        None => {}
        Some((Given::Secret { name, key }, spot)) => {
            let secret = json!({ "name": name, "key": key });
            draft.set("kafka.tls.caSecret", secret, Some(spot.clone()));
        }
        Some((given, spot)) => notes.incomplete(spot.clone(), format!("the authority's certificate stands in {}; put it into a Secret, and name that in spec.kafka.tls.caSecret", given.place())),
    }
    match (certificate, key) {
        (None, None) => {}
        (Some((Given::Secret { name, key: cert }, spot)), Some((Given::Secret { name: other, key }, _)))
            if name == other =>
        {
            let secret = json!({ "name": name, "cert": cert, "key": key });
            draft.set("kafka.tls.certSecret", secret, Some(spot.clone()));
        }
        (Some((_, spot)), _) | (None, Some((_, spot))) => notes.incomplete(spot.clone(), "the certificate and its key are not in one Secret; put them into one, and name it in spec.kafka.tls.certSecret"),
    }
}
