//! The names of Ruby's encodings: a message's label, which nothing is transcoded by.

use std::fmt;

use super::Error;
use super::message::{Header, Message};

/// An encoding that Ruby knows.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Encoding(usize);

impl Encoding {
    /// Ruby's name for bytes that are no text.
    pub const BINARY: Self = Self(1);
    /// What a text without a label is.
    pub const UTF_8: Self = Self(0);

    /// Ruby's own name for it.
    pub fn name(self) -> &'static str {
        KNOWN[self.0][0]
    }

    /// The encoding of that name, which Ruby reads without regard to case. Names that mean another
    /// encoding on each machine (`locale`, `external`) are not known here.
    pub fn parse(name: &str) -> Option<Self> {
        let is_it = |names: &&[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
        KNOWN.iter().position(is_it).map(Self)
    }
}

/// A message's label.
pub(super) fn of(message: &Message) -> Result<Encoding, Error> {
    match message.header("e") {
        None => Ok(Encoding::UTF_8),
        Some(Header::Bytes(name)) => std::str::from_utf8(name)
            .ok()
            .and_then(Encoding::parse)
            .ok_or(Error::UnknownEncoding),
        Some(_) => Err(Error::BadType("h.e")),
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Ruby 3.1's `Encoding.list`, each with its aliases. UTF-8 and binary first.
const KNOWN: &[&[&str]] = &[
    &["UTF-8", "CP65001"],
    &["ASCII-8BIT", "BINARY"],
    &["US-ASCII", "ASCII", "ANSI_X3.4-1968", "646"],
    &["UTF-16BE", "UCS-2BE"],
    &["UTF-16LE"],
    &["UTF-32BE", "UCS-4BE"],
    &["UTF-32LE", "UCS-4LE"],
    &["UTF-16"],
    &["UTF-32"],
    &["UTF8-MAC", "UTF-8-MAC", "UTF-8-HFS"],
    &["EUC-JP", "eucJP"],
    &["Windows-31J", "CP932", "csWindows31J", "SJIS", "PCK"],
    &["Big5"],
    &["Big5-HKSCS", "Big5-HKSCS:2008"],
    &["Big5-UAO"],
    &["CESU-8"],
    &["CP949"],
    &["Emacs-Mule"],
    &["EUC-KR", "eucKR"],
    &["EUC-TW", "eucTW"],
    &["GB18030"],
    &["GBK", "CP936"],
    &["ISO-8859-1", "ISO8859-1"],
    &["ISO-8859-2", "ISO8859-2"],
    &["ISO-8859-3", "ISO8859-3"],
    &["ISO-8859-4", "ISO8859-4"],
    &["ISO-8859-5", "ISO8859-5"],
    &["ISO-8859-6", "ISO8859-6"],
    &["ISO-8859-7", "ISO8859-7"],
    &["ISO-8859-8", "ISO8859-8"],
    &["ISO-8859-9", "ISO8859-9"],
    &["ISO-8859-10", "ISO8859-10"],
    &["ISO-8859-11", "ISO8859-11"],
    &["ISO-8859-13", "ISO8859-13"],
    &["ISO-8859-14", "ISO8859-14"],
    &["ISO-8859-15", "ISO8859-15"],
    &["ISO-8859-16", "ISO8859-16"],
    &["KOI8-R", "CP878"],
    &["KOI8-U"],
    &["Shift_JIS"],
    &["Windows-1250", "CP1250"],
    &["Windows-1251", "CP1251"],
    &["Windows-1252", "CP1252"],
    &["Windows-1253", "CP1253"],
    &["Windows-1254", "CP1254"],
    &["Windows-1257", "CP1257"],
    &["IBM437", "CP437"],
    &["IBM720", "CP720"],
    &["IBM737", "CP737"],
    &["IBM775", "CP775"],
    &["CP850", "IBM850"],
    &["IBM852"],
    &["CP852"],
    &["IBM855"],
    &["CP855"],
    &["IBM857", "CP857"],
    &["IBM860", "CP860"],
    &["IBM861", "CP861"],
    &["IBM862", "CP862"],
    &["IBM863", "CP863"],
    &["IBM864", "CP864"],
    &["IBM865", "CP865"],
    &["IBM866", "CP866"],
    &["IBM869", "CP869"],
    &["Windows-1258", "CP1258"],
    &["GB1988"],
    &["macCentEuro"],
    &["macCroatian"],
    &["macCyrillic"],
    &["macGreek"],
    &["macIceland"],
    &["macRoman"],
    &["macRomania"],
    &["macThai"],
    &["macTurkish"],
    &["macUkraine"],
    &["CP950"],
    &["CP951"],
    &["IBM037", "ebcdic-cp-us"],
    &["stateless-ISO-2022-JP"],
    &["eucJP-ms", "euc-jp-ms"],
    &["CP51932"],
    &["EUC-JIS-2004", "EUC-JISX0213"],
    &["GB2312", "EUC-CN", "eucCN"],
    &["GB12345"],
    &["ISO-2022-JP", "ISO2022-JP"],
    &["ISO-2022-JP-2", "ISO2022-JP2"],
    &["CP50220"],
    &["CP50221"],
    &["Windows-1256", "CP1256"],
    &["Windows-1255", "CP1255"],
    &["TIS-620"],
    &["Windows-874", "CP874"],
    &["MacJapanese", "MacJapan"],
    &["UTF-7", "CP65000"],
    &["UTF8-DoCoMo"],
    &["SJIS-DoCoMo"],
    &["UTF8-KDDI"],
    &["SJIS-KDDI"],
    &["ISO-2022-JP-KDDI"],
    &["stateless-ISO-2022-JP-KDDI"],
    &["UTF8-SoftBank"],
    &["SJIS-SoftBank"],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases_are_known_whatever_their_case() {
        for (written, name) in [
            ("UTF-8", "UTF-8"),
            ("utf-8", "UTF-8"),
            ("BINARY", "ASCII-8BIT"),
            ("ascii", "US-ASCII"),
            ("sjis", "Windows-31J"),
        ] {
            assert_eq!(Encoding::parse(written).map(Encoding::name), Some(name));
        }
        for unknown in ["", "locale", "external", "UTF-9"] {
            assert_eq!(Encoding::parse(unknown), None, "{unknown}");
        }
        assert_eq!(Encoding::BINARY.name(), "ASCII-8BIT");
        assert_eq!(Encoding::default(), Encoding::UTF_8);
    }
}
