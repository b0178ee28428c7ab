//! What is remembered of objects and rarely looked at, as deflated JSON: a tree of values takes several times
//! as much, and so does a typed template.

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use kube::api::ObjectMeta;
use serde_json::Value;

/// The annotation of a template that stands for the whole of it.
const PACKED: &str = "drover.dev/packed";

/// A value in little room.
pub fn pack(value: &Value) -> Vec<u8> {
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::fast());
    deflate
        .write_all(value.to_string().as_bytes())
        .and_then(|()| deflate.finish())
        .expect("writing into memory does not fail")
}

/// What [`pack`] made little; null for anything else.
pub fn unpack(packed: &[u8]) -> Value {
    serde_json::from_reader(DeflateDecoder::new(packed)).unwrap_or_default()
}

/// Makes a template little, in its place.
pub fn pack_template(template: &mut PodTemplateSpec) {
    let Ok(value) = serde_json::to_value(&*template) else {
        return;
    };
    let text = BASE64.encode(pack(&value));
    *template = PodTemplateSpec {
        metadata: Some(ObjectMeta {
            annotations: Some([(PACKED.to_owned(), text)].into()),
            ..Default::default()
        }),
        spec: None,
    };
}

/// A template as it is, if [`pack_template`] has made it little; none where it has not.
pub fn unpacked(template: &PodTemplateSpec) -> Option<PodTemplateSpec> {
    let annotations = template.metadata.as_ref()?.annotations.as_ref()?;
    let packed = BASE64.decode(annotations.get(PACKED)?).ok()?;
    let mut text = Vec::new();
    DeflateDecoder::new(&packed[..])
        .read_to_end(&mut text)
        .ok()?;
    serde_json::from_slice(&text).ok()
}

/// An object as it is, if [`pack_template`] has made its template little. The API server gives no template
/// without a spec.
pub fn unpack_template(object: &mut Value) {
    let template = &object["spec"]["template"];
    if template.is_null() || !template["spec"].is_null() {
        return;
    }
    let packed = template["metadata"]["annotations"][PACKED].as_str();
    if let Some(packed) = packed.and_then(|text| BASE64.decode(text).ok()) {
        object["spec"]["template"] = unpack(&packed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::apps::v1::Deployment;
    use serde_json::json;

    #[test]
    fn a_packed_template_comes_out_as_it_went_in() {
        let whole = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "users" },
            "spec": { "replicas": 2, "selector": {}, "template": {
                "metadata": { "annotations": { "theirs": "1" }, "labels": { "app": "users" } },
                "spec": { "containers": [{ "name": "worker", "image": "a", "resources": { "limits": { "cpu": "1" } } }] },
            } },
        });
        let mut deployment: Deployment = serde_json::from_value(whole.clone()).unwrap();
        let template = deployment.spec.template.clone();
        assert_eq!(unpacked(&template), None);
        pack_template(&mut deployment.spec.template);
        assert_eq!(unpacked(&deployment.spec.template), Some(template));
        let mut value = serde_json::to_value(&deployment).unwrap();
        assert_ne!(value, whole);
        unpack_template(&mut value);
        assert_eq!(value, whole);
        // What is whole stays so, also where it has no template.
        unpack_template(&mut value);
        assert_eq!(value, whole);
        let mut account = json!({ "metadata": { "name": "users" } });
        unpack_template(&mut account);
        assert_eq!(account, json!({ "metadata": { "name": "users" } }));
    }

    #[test]
    fn text_of_somebody_else_is_no_value() {
        assert_eq!(unpack(b"not deflated"), Value::Null);
        assert_eq!(unpack(&[]), Value::Null);
    }
}
