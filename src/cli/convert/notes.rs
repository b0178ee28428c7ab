//! What a conversion says beside what it writes: where in the input, how grave, what to do.

/// What is told of a field that nobody here has heard of.
pub(super) const NOT_KNOWN: &str =
    "it is not known here; see what it does, and whether a fleet needs it";

/// A field of an object of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    /// Which object, in the order of the input.
    pub object: usize,
    /// Which field of it, such as `spec.triggers[0].metadata.topic`; empty for the whole object.
    pub field: String,
}

impl Spot {
    pub fn object(object: usize) -> Self {
        Self {
            object,
            field: String::new(),
        }
    }

    /// A field within this one.
    pub fn then(&self, part: &str) -> Self {
        let field = match (self.field.as_str(), part.starts_with('[')) {
            ("", _) => part.to_owned(),
            (field, true) => format!("{field}{part}"),
            (field, false) => format!("{field}.{part}"),
        };
        Self { field, ..*self }
    }
}

/// How grave a note is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The field has no counterpart; what is written works without it.
    NotCarried,
    /// The object is no part of what is written, acts on the same pods, and must go with what is replaced.
    LeftBehind,
    /// The input leaves it open, and a choice was made.
    Assumed,
    /// What is written needs a hand before it is applied.
    Incomplete,
    /// Nothing could be written for this object.
    NotConverted,
    /// What is written is not valid, for this reason of `drover validate`.
    Invalid(&'static str),
}

impl Verdict {
    /// The word that the line has, as `drover validate` has its reasons.
    pub fn word(self) -> &'static str {
        match self {
            Self::NotCarried => "NotCarried",
            Self::LeftBehind => "LeftBehind",
            Self::Assumed => "Assumed",
            Self::Incomplete => "Incomplete",
            Self::NotConverted => "NotConverted",
            Self::Invalid(reason) => reason,
        }
    }

    /// The command fails of it.
    pub fn is_failure(self) -> bool {
        !matches!(self, Self::NotCarried | Self::LeftBehind | Self::Assumed)
    }
}

/// One thing to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    /// Where it comes from; none where it is a flag's or nobody's.
    pub spot: Option<Spot>,
    pub verdict: Verdict,
    /// What, why and what to do, without the field.
    pub text: String,
}

/// All that there is to say, in the order in which it was found.
#[derive(Debug, Default)]
pub(super) struct Notes(pub Vec<Note>);

impl Notes {
    pub fn not_carried(&mut self, spot: Spot, text: impl Into<String>) {
        self.add(spot, Verdict::NotCarried, text);
    }

    pub fn left_behind(&mut self, spot: Spot, text: impl Into<String>) {
        self.add(spot, Verdict::LeftBehind, text);
    }

    pub fn assumed(&mut self, spot: Spot, text: impl Into<String>) {
        self.add(spot, Verdict::Assumed, text);
    }

    pub fn incomplete(&mut self, spot: Spot, text: impl Into<String>) {
        self.add(spot, Verdict::Incomplete, text);
    }

    pub fn not_converted(&mut self, spot: Spot, text: impl Into<String>) {
        self.add(spot, Verdict::NotConverted, text);
    }

    fn add(&mut self, spot: Spot, verdict: Verdict, text: impl Into<String>) {
        self.0.push(Note {
            spot: Some(spot),
            verdict,
            text: text.into(),
        });
    }
}
