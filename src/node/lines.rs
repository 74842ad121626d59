//! Signatures of plain lines, for `fatalmonitor fingerprint`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::detect::merge::{Learner, Limits};
use crate::ingest::decode::{Decoder, Dialect};
use crate::ingest::fingerprint::{Identity, Masker, canonical_of, signature_id};
use crate::model::{Decoded, RawRecord, SignatureId};
use crate::rules::RuleSet;

/// The signature of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineSignature {
    /// File, as it was named.
    pub file: String,
    /// Line number, from 1 on.
    pub line: u64,
    /// Signature.
    pub signature: SignatureId,
    /// Template.
    pub template: String,
}

/// Reads lines and says their signatures.
#[derive(Debug)]
pub struct Lines {
    masker: Masker,
    decoder: Option<Decoder>,
    found: Found,
    /// File, line number and fingerprint of each line.
    read: Vec<(usize, u64, SignatureId)>,
    files: Vec<String>,
}

/// Distinct fingerprints: how they are shown, and what is learned of them channel by channel.
#[derive(Debug, Default)]
struct Found {
    templates: BTreeMap<SignatureId, (String, String)>,
    learners: Option<BTreeMap<String, Learner>>,
}

impl Lines {
    /// Makes a reader; without a dialect a line's text is taken as it is, and with `stage1` nothing is merged.
    pub fn new(rules: Arc<RuleSet>, dialect: Option<Dialect>, stage1: bool) -> Self {
        let found = Found {
            learners: (!stage1).then(BTreeMap::new),
            ..Found::default()
        };
        Self {
            masker: Masker::new(),
            decoder: dialect.map(|it| Decoder::new(rules, it)),
            found,
            read: Vec::new(),
            files: Vec::new(),
        }
    }

    /// Reads a file; every line gives one signature, blank ones too.
    pub fn read(&mut self, path: &Path) -> std::io::Result<()> {
        let bytes = if path.as_os_str() == "-" {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut bytes)?;
            bytes
        } else {
            std::fs::read(path)?
        };
        self.files.push(path.display().to_string());
        let body = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        for (line, text) in (1_u64..).zip(body.split(|&it| it == b'\n')) {
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            let signature = self.signature(line, text);
            self.read.push((self.files.len() - 1, line, signature));
        }
        Ok(())
    }

    /// Returns every line's signature; only now, since what is learned is final only after the last line.
    pub fn finish(self) -> impl Iterator<Item = LineSignature> {
        let Self {
            mut found,
            read,
            files,
            ..
        } = self;
        for learner in found.learners.iter_mut().flat_map(BTreeMap::values_mut) {
            learner.tick();
        }
        read.into_iter().map(move |(file, line, signature)| {
            let (signature, template) = found.merged(signature);
            LineSignature {
                file: files.get(file).cloned().unwrap_or_default(),
                line,
                signature,
                template,
            }
        })
    }

    fn signature(&mut self, line: u64, text: &[u8]) -> SignatureId {
        let Self {
            masker,
            decoder,
            found: all,
            ..
        } = self;
        let Some(decoder) = decoder else {
            return all.identify(masker, ("-", "-"), &String::from_utf8_lossy(text));
        };
        let record = RawRecord {
            offset: line,
            next_offset: line + 1,
            payload: Some(text),
            arrived: super::now(),
        };
        let mut found = None;
        decoder.decode(&record, &mut |it| {
            if let Ok(Decoded::Event(event)) = it {
                let channel = if event.channel.is_empty() {
                    "-"
                } else {
                    &*event.channel
                };
                let text = if event.normalized.is_empty() {
                    &event.message
                } else {
                    &event.normalized
                };
                found.get_or_insert_with(|| {
                    all.identify(masker, (channel, event.level.class().name()), text)
                });
            }
        });
        // What is no record of the dialect is still a line that gets an answer.
        found.unwrap_or_else(|| all.identify(masker, ("-", "-"), &String::from_utf8_lossy(text)))
    }
}

impl Found {
    fn identify(
        &mut self,
        masker: &mut Masker,
        (channel, level_class): (&str, &str),
        text: &str,
    ) -> SignatureId {
        let template = masker.canonical(text);
        let parts = Identity {
            channel,
            level_class,
            exception_class: None,
            template,
            frame: None,
            joined: &[],
        };
        let id = SignatureId(signature_id(&parts));
        if !self.templates.contains_key(&id) {
            if let Some(learners) = &mut self.learners {
                let learner = learners
                    .entry(channel.to_owned())
                    .or_insert_with(|| Learner::new(Limits::default()));
                learner.add(id.0, template);
            }
            self.templates
                .insert(id, (channel.to_owned(), masker.template(text).to_owned()));
        }
        id
    }

    /// Returns the signature that a fingerprint belongs to, and its template: the learned one where something was merged.
    fn merged(&self, id: SignatureId) -> (SignatureId, String) {
        let Some((channel, template)) = self.templates.get(&id) else {
            return (id, String::new());
        };
        let learner = self.learners.as_ref().and_then(|it| it.get(channel));
        let root = learner.map_or(id, |it| SignatureId(it.root(id.0)));
        let text = learner.and_then(|it| it.template(id.0));
        let is_alone = text.is_none_or(|it| *it == canonical_of(template));
        (
            root,
            if is_alone {
                template.clone()
            } else {
                text.unwrap_or_default().to_owned()
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::detect::merge::canonical;
    use crate::ingest::fingerprint::Masker;

    #[test]
    fn what_is_compared_is_what_identities_are_made_of() {
        let mut masker = Masker::new();
        for text in [
            "user 17 not found at 10.1.2.3 after 12 ms, 3 GiB left",
            "Session \"{session_info}\": Bad data for jim@example.org",
            "took 4.5 s of https://example.org/a?b=c on 2016-01-20T11:22:33Z",
            "id 123e4567-e89b-12d3-a456-426614174000 of 0x7ffe12 in /srv/mediawiki/php-1.27.0-wmf.11/a.php",
            "got [1, 2, 3] and {\"a\": 1} or null, true",
            "version 1.27.0-wmf.11 of mw1017.eqiad.wmnet:8080, password=hunter2secret",
            "a <b> and a < b",
        ] {
            let template = masker.template(text).to_owned();
            assert_eq!(canonical(&template), masker.canonical(text), "{template}");
        }
    }
}
