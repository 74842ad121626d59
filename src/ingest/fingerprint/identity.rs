//! From the parts of an event that make it one problem to a 128-bit id.
//!
//! It must never change: a golden test freezes the ids. Every part is written with its length, so
//! that no two different events share their bytes.

/// What makes an event the same problem as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Identity<'a> {
    /// The logger channel.
    pub channel: &'a str,
    /// The class of the level, such as `error`.
    pub level_class: &'a str,
    /// The class of the exception, if there is one.
    pub exception_class: Option<&'a str>,
    /// The canonical form of the message.
    pub template: &'a str,
    /// The top in-app frame of the stack trace, if there is one.
    pub frame: Option<&'a str>,
    /// Context fields that a rule has joined to the key, as name and value.
    pub joined: &'a [(&'a str, &'a str)],
}

/// The scheme of the id; a change of it is a new epoch of all signatures.
const DOMAIN: &[u8] = b"fatalmonitor signature 1";

/// Returns the id of a signature: BLAKE3 over its parts, cut to 128 bits.
pub fn signature_id(identity: &Identity<'_>) -> u128 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(DOMAIN);
    part(&mut hasher, Some(identity.channel));
    part(&mut hasher, Some(identity.level_class));
    part(&mut hasher, identity.exception_class);
    part(&mut hasher, Some(identity.template));
    part(&mut hasher, identity.frame);
    hasher.update(&(identity.joined.len() as u64).to_le_bytes());
    for (name, value) in identity.joined {
        part(&mut hasher, Some(name));
        part(&mut hasher, Some(value));
    }
    let mut id = [0_u8; 16];
    hasher.finalize_xof().fill(&mut id);
    u128::from_be_bytes(id)
}

/// Writes a length, where an absent part has none that a text can have, and the bytes.
fn part(hasher: &mut blake3::Hasher, text: Option<&str>) {
    let length = text.map_or(u64::MAX, |text| text.len() as u64);
    hasher.update(&length.to_le_bytes());
    hasher.update(text.unwrap_or_default().as_bytes());
}
