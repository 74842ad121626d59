//! The learner of one channel: fingerprints in, aliases out, at event-time ticks.

use super::Rule;
use super::run::Run;
use std::collections::{BTreeMap, HashMap};

/// Below this many fingerprints a comparison costs less than a tenth of a second.
const SMALL: usize = 2_000;
/// A larger channel is compared again when it has grown by one part in so many …
const GROWTH_PART: usize = 32;
/// … or when so many ticks have passed since.
const PATIENCE_TICKS: u64 = 30;

/// What a learner may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Fingerprints that are compared with each other.
    pub live_max: usize,
    /// Tokens of a template; a longer one is only itself.
    pub tokens_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        // 20,000: a channel with more texts says something else is wrong with it.
        Self {
            live_max: 20_000,
            tokens_max: 120,
        }
    }
}

/// Two signatures that were found to be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The signature that is from now on known by the other's id.
    pub younger: u128,
    /// The signature whose id stays.
    pub older: u128,
    /// The rule that decided.
    pub rule: Rule,
    /// The reason in words.
    pub evidence: String,
}

/// What has to be kept of one fingerprint so that a learner goes on after a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The fingerprint.
    pub id: u128,
    /// The tick that it was first seen in.
    pub tick: u64,
    /// Its own canonical template.
    pub template: Box<str>,
    /// The id of its signature; its own for the oldest of a group.
    pub root: u128,
    /// The template of its signature, where it differs from its own.
    pub shown: Option<Box<str>>,
    /// It was compared with the others; a waiting one was not.
    pub compared: bool,
}

/// All that a learner needs to go on after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// Number of ticks so far.
    pub tick: u64,
    /// The tick of the last comparison.
    pub compared_at: u64,
    /// Number of fingerprints that were refused.
    pub refused: u64,
    /// The fingerprints, sorted by id.
    pub kept: Vec<Kept>,
}

#[derive(Debug)]
struct Member {
    id: u128,
    tick: u64,
    template: Box<str>,
    /// The place of the member that this one is an alias of; itself for the oldest.
    parent: usize,
    /// The template of its group, where it differs from its own.
    shown: Option<Box<str>>,
}

/// Learns merges over the distinct fingerprints of one channel.
#[derive(Debug, Default)]
pub struct Learner {
    limits: Limits,
    members: Vec<Member>,
    by_id: HashMap<u128, usize>,
    /// Fingerprints that were not compared yet, with the tick that they belong to.
    waiting: BTreeMap<u128, (u64, Box<str>)>,
    tick: u64,
    compared_at: u64,
    refused: u64,
}

impl Learner {
    /// Makes an empty learner.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// Takes a fingerprint with its canonical template; a known one changes nothing.
    ///
    /// It is compared at the next tick. Beyond the limit it is refused and counted.
    pub fn add(&mut self, id: u128, template: &str) {
        if self.by_id.contains_key(&id) || self.waiting.contains_key(&id) {
            return;
        }
        if self.members.len() + self.waiting.len() >= self.limits.live_max {
            self.refused += 1;
            return;
        }
        self.waiting.insert(id, (self.tick + 1, template.into()));
    }

    /// Returns all that a restart has to bring back.
    pub fn keep(&self) -> Snapshot {
        let mut kept: Vec<Kept> = self
            .members
            .iter()
            .map(|m| Kept {
                id: m.id,
                tick: m.tick,
                template: m.template.clone(),
                root: self.root(m.id),
                shown: m.shown.clone(),
                compared: true,
            })
            .collect();
        let waiting = self.waiting.iter().map(|(&id, (tick, template))| Kept {
            id,
            tick: *tick,
            template: template.clone(),
            root: id,
            shown: None,
            compared: false,
        });
        kept.extend(waiting);
        kept.sort_unstable_by_key(|m| m.id);
        let Self {
            tick,
            compared_at,
            refused,
            ..
        } = *self;
        Snapshot {
            tick,
            compared_at,
            refused,
            kept,
        }
    }

    /// Makes a learner that goes on where another one was kept.
    ///
    /// A root that is not among the fingerprints leaves its aliases on their own.
    pub fn restore(limits: Limits, snapshot: Snapshot) -> Self {
        let Snapshot {
            tick,
            compared_at,
            refused,
            kept,
        } = snapshot;
        let mut learner = Self {
            tick,
            compared_at,
            refused,
            ..Self::new(limits)
        };
        let roots: Vec<(u128, u128)> = kept.iter().map(|m| (m.id, m.root)).collect();
        for m in kept {
            let parent = learner.members.len();
            if !m.compared {
                learner.waiting.insert(m.id, (m.tick, m.template));
            } else if learner.by_id.insert(m.id, parent).is_none() {
                let Kept {
                    id,
                    tick,
                    template,
                    shown,
                    ..
                } = m;
                learner.members.push(Member {
                    id,
                    tick,
                    template,
                    parent,
                    shown,
                });
            }
        }
        for (id, root) in roots {
            let places = (
                learner.by_id.get(&id).copied(),
                learner.by_id.get(&root).copied(),
            );
            let (Some(at), Some(parent)) = places else {
                continue;
            };
            if learner.find(parent) != at
                && let Some(member) = learner.members.get_mut(at)
            {
                member.parent = parent;
            }
        }
        learner
    }

    /// Returns how many fingerprints were refused because the learner is full.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Returns how many fingerprints are compared.
    pub fn live(&self) -> usize {
        self.members.len()
    }

    /// Returns the id of the signature that a fingerprint belongs to.
    pub fn root(&self, id: u128) -> u128 {
        self.by_id
            .get(&id)
            .and_then(|&at| self.members.get(self.find(at)))
            .map_or(id, |m| m.id)
    }

    /// Returns the template of the signature that a fingerprint belongs to.
    pub fn template(&self, id: u128) -> Option<&str> {
        let member = self.by_id.get(&id).and_then(|&at| self.members.get(at))?;
        let root = self.members.get(self.find(*self.by_id.get(&id)?))?;
        Some(
            root.shown
                .as_deref()
                .or(member.shown.as_deref())
                .unwrap_or(&root.template),
        )
    }

    /// Compares all live fingerprints and returns the aliases that are new, sorted.
    ///
    /// A large channel is compared again only when it has grown by a part, or after some ticks.
    pub fn tick(&mut self) -> Vec<Alias> {
        self.tick += 1;
        if self.waiting.is_empty() || !self.is_due() {
            return Vec::new();
        }
        self.compared_at = self.tick;
        for (id, (tick, template)) in std::mem::take(&mut self.waiting) {
            let at = self.members.len();
            self.by_id.insert(id, at);
            self.members.push(Member {
                id,
                tick,
                template,
                parent: at,
                shown: None,
            });
        }
        let run = Run::over(
            self.members.iter().map(|m| &*m.template),
            self.limits.tokens_max,
        );
        self.publish(&run)
    }

    /// Says whether the growth of the channel is worth another comparison.
    fn is_due(&self) -> bool {
        self.members.len() < SMALL
            || self.waiting.len() * GROWTH_PART > self.members.len()
            || self.tick - self.compared_at >= PATIENCE_TICKS
    }

    fn find(&self, at: usize) -> usize {
        let mut root = at;
        while let Some(member) = self.members.get(root) {
            if member.parent == root {
                break;
            }
            root = member.parent;
        }
        root
    }

    /// Returns the age of a member: the tick first, then the id.
    fn age(&self, at: usize) -> (u64, u128) {
        self.members
            .get(at)
            .map_or((u64::MAX, u128::MAX), |m| (m.tick, m.id))
    }

    fn publish(&mut self, run: &Run) -> Vec<Alias> {
        let mut aliases = Vec::new();
        for group in run.groups.values() {
            let mut roots: Vec<usize> = group.iter().map(|&at| self.find(at)).collect();
            roots.sort_unstable_by_key(|&at| self.age(at));
            roots.dedup();
            let Some((&oldest, younger)) = roots.split_first() else {
                continue;
            };
            for &root in younger {
                aliases.push(self.alias(run, root, oldest));
                if let Some(member) = self.members.get_mut(root) {
                    member.parent = oldest;
                }
            }
        }
        for (template, group) in &run.groups {
            for &at in group {
                if let Some(member) = self.members.get_mut(at) {
                    let own = **template == *member.template;
                    member.shown = (!own).then(|| template.as_str().into());
                }
            }
        }
        aliases.sort_unstable_by_key(|alias| (alias.older, alias.younger));
        aliases
    }

    fn alias(&self, run: &Run, younger: usize, older: usize) -> Alias {
        let id = |at: usize| self.members.get(at).map_or(0, |m| m.id);
        let reason = run.why(younger).or_else(|| run.why(older));
        let (rule, evidence) = reason.map_or_else(
            || {
                (
                    Rule::Structure,
                    "equal once structured values are one".to_owned(),
                )
            },
            |reason| (reason.rule, reason.evidence.clone()),
        );
        Alias {
            younger: id(younger),
            older: id(older),
            rule,
            evidence,
        }
    }
}
