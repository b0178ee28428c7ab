//! All YAML goes through here: reading documents and writing values.
//!
//! Pure. The writer quotes what a YAML 1.1 reader would take for something else (`on`, `1:30`), and
//! the reader refuses repeated keys.

mod places;

use serde::Serialize;
use serde_json::Value;

pub use places::{Place, Places};

/// One document of a file.
#[derive(Debug, PartialEq)]
pub struct Document {
    /// The line on which it begins, from 1.
    pub line: usize,
    /// What it says, or why it cannot be read, in one line.
    pub value: Result<Value, String>,
    /// Where its fields stand.
    pub places: Places,
}

/// Where a field stands of the document that begins on this line; see [`Places::find`].
pub fn place(documents: &[Document], line: usize, field: &str) -> Option<Place> {
    let document = documents.iter().find(|document| document.line == line)?;
    document.places.find(field)
}

/// `value` as YAML.
///
/// # Errors
///
/// In words, where a value has no form in YAML, such as a map whose keys are maps.
pub fn to_string<T: Serialize>(value: &T) -> Result<String, String> {
    serde_saphyr::to_string(value).map_err(|error| one_line(&error.to_string()))
}

/// The documents of a file: YAML with `---` between them, or JSON values one after the other.
/// Empty ones are left out. One that cannot be read does not hide the others.
pub fn documents(text: &str) -> Vec<Document> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with(['{', '['])
        && let Some(documents) = json_documents(text)
    {
        return documents;
    }
    let mut documents = Vec::new();
    let mut chunk = String::new();
    let mut begin = 1;
    for (index, line) in text.lines().enumerate() {
        // Inside of a value, `---` never stands at the beginning of a line.
        if line == "---" || line.starts_with("--- ") {
            documents.extend(yaml_document(begin, &chunk));
            chunk = line[3..].to_owned();
            begin = index + 1;
        } else {
            chunk.push_str(line);
        }
        chunk.push('\n');
    }
    documents.extend(yaml_document(begin, &chunk));
    documents
}

fn yaml_document(line: usize, chunk: &str) -> Option<Document> {
    let blank = chunk
        .lines()
        .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'));
    if blank {
        return None;
    }
    let value = serde_saphyr::from_str::<Value>(chunk).map_err(|error| {
        // Read again below as many empty lines, so that the line it names is the file's.
        let placed = "\n".repeat(line - 1) + chunk;
        let placed = serde_saphyr::from_str::<Value>(&placed).err();
        one_line(&placed.unwrap_or(error).to_string())
    });
    (value != Ok(Value::Null)).then(|| Document {
        line,
        value,
        places: Places::of(chunk, line),
    })
}

/// None if it is not JSON: YAML may begin with a bracket too.
fn json_documents(text: &str) -> Option<Vec<Document>> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let mut documents = Vec::new();
    loop {
        let rest = &text[stream.byte_offset()..];
        let blank = rest.len() - rest.trim_start().len();
        let line = 1 + text[..stream.byte_offset() + blank].matches('\n').count();
        match stream.next()? {
            Ok(value) => documents.push(Document {
                line,
                value: Ok(value),
                places: Places::default(),
            }),
            Err(_) => return None,
        }
        if text[stream.byte_offset()..].trim().is_empty() {
            return Some(documents);
        }
    }
}

/// The first line of a message; the others draw the place.
fn one_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default().trim();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    // What the reader says to programmers.
    let line = line.replace(", set DuplicateKeyPolicy in Options if acceptable", "");
    match line.split_once("budget breached: ") {
        Some((place, _)) => format!(
            "{place}it is larger or deeper than any resource, or repeats itself by aliases without end"
        ),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn values(text: &str) -> Vec<(usize, Option<Value>)> {
        let documents = documents(text).into_iter();
        documents
            .map(|document| (document.line, document.value.ok()))
            .collect()
    }

    #[test]
    fn documents_are_told_apart_and_empty_ones_left_out() {
        assert_eq!(
            values("# head\n---\na: 1\n---\n\n---\nb: |\n  ---\n  x\n"),
            [
                (2, Some(json!({"a": 1}))),
                (6, Some(json!({"b": "---\nx\n"})))
            ]
        );
        assert_eq!(values(""), []);
    }

    #[test]
    fn a_document_that_cannot_be_read_does_not_hide_the_others() {
        assert_eq!(
            values("a: [\n---\nb: 1\n---\nc: 1\nc: 2\n"),
            [(1, None), (2, Some(json!({"b": 1}))), (4, None)]
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_the_line_of_the_file() {
        let wrong = &documents("a: 1\n---\nb: 1\n c: 2\n")[1];
        assert_eq!(wrong.line, 2);
        let why = wrong.value.as_ref().unwrap_err();
        assert!(why.starts_with("line 4 column "), "{why}");
    }

    #[test]
    fn json_values_may_follow_each_other() {
        assert_eq!(
            values("{\"a\": 1}\n{\"b\": 2}\n"),
            [(1, Some(json!({"a": 1}))), (2, Some(json!({"b": 2})))]
        );
        assert_eq!(values("{a: 1}"), [(1, Some(json!({"a": 1})))]);
    }

    #[test]
    fn texts_that_yaml_1_1_would_misread_survive() {
        for text in [
            "on",
            "yes",
            "no",
            "1_000",
            "1:30",
            "2026-01-01",
            "=",
            "012",
            "null",
            "~",
        ] {
            let written = to_string(&json!({ "k": text })).unwrap();
            assert_ne!(written.trim(), format!("k: {text}"), "written bare");
            assert_eq!(values(&written), [(1, Some(json!({ "k": text })))]);
        }
    }
}
