//! The types that a mask can show.
//!
//! A kind is for the reader only; it must never reach an identity.

/// Says what a masked value looked like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Several values of different kinds beside each other, or an unknown one.
    Any,
    /// A number, signed, decimal, grouped or a percentage.
    Num,
    /// A hexadecimal number or digest.
    Hex,
    /// A UUID.
    Uuid,
    /// An IPv4 or IPv6 address, with or without port or mask.
    Ip,
    /// A MAC address.
    Mac,
    /// A host name, with or without port.
    Host,
    /// A URL.
    Url,
    /// A path of a file system.
    Path,
    /// An e-mail address or `user@host`.
    Email,
    /// A date, a clock time or both.
    Time,
    /// A duration.
    Dur,
    /// An amount of data.
    Size,
    /// An identifier that holds digits.
    Id,
    /// A text without a better name.
    Str,
    /// The inside of a list.
    List,
    /// A map or a JSON object.
    Map,
    /// The printed form of an object.
    Obj,
    /// A version of a program.
    Version,
    /// A credential.
    Secret,
    /// A name of a person, an account or a page.
    Name,
    /// True or false.
    Bool,
    /// The absence of a value: null, none, nil.
    Null,
    /// A session as `MediaWiki` prints it.
    Session,
    /// A `{placeholder}` that the application has not filled in.
    Placeholder,
    /// No mask at all: a blank run that was folded.
    Blank,
    /// Nothing: the literal alone counts.
    Nothing,
    /// Not decided by the scan: the text decides when it is shown.
    Auto,
    /// As `Auto`, and a plain word is `<str>`.
    AutoStr,
}

const NAMES: [(Kind, &str); 24] = [
    (Kind::Any, "<*>"),
    (Kind::Num, "<num>"),
    (Kind::Hex, "<hex>"),
    (Kind::Uuid, "<uuid>"),
    (Kind::Ip, "<ip>"),
    (Kind::Mac, "<mac>"),
    (Kind::Host, "<host>"),
    (Kind::Url, "<url>"),
    (Kind::Path, "<path>"),
    (Kind::Email, "<email>"),
    (Kind::Time, "<time>"),
    (Kind::Dur, "<dur>"),
    (Kind::Size, "<size>"),
    (Kind::Id, "<id>"),
    (Kind::Str, "<str>"),
    (Kind::List, "<list>"),
    (Kind::Map, "<map>"),
    (Kind::Obj, "<obj>"),
    (Kind::Version, "<version>"),
    (Kind::Secret, "<secret>"),
    (Kind::Name, "<name>"),
    (Kind::Bool, "<bool>"),
    (Kind::Null, "<null>"),
    (Kind::Session, "<session>"),
];

/// The longest mask, in bytes.
pub(super) const MASK_BYTES_MAX: usize = 9;

impl Kind {
    /// Returns the mask that people see for this kind.
    pub fn mask(self) -> &'static str {
        NAMES
            .iter()
            .find(|(kind, _)| *kind == self)
            .map_or("<*>", |(_, name)| *name)
    }

    /// Returns the kind of the mask that `text` starts with, and the mask's length.
    pub(super) fn at_start(text: &[u8]) -> Option<(Self, usize)> {
        let close = text.iter().position(|&b| b == b'>')?;
        let mask = text.get(..=close)?;
        let (kind, name) = NAMES.iter().find(|(_, name)| name.as_bytes() == mask)?;
        Some((*kind, name.len()))
    }
}
