//! A scenario made ready to run: every name looked up, every text read, every rate in events a second.
//!
//! Invariant: a plan that exists can be played without a further check.

use std::collections::BTreeMap;

use super::file::{EmitterText, LineText, ScenarioFile, Shape, WindowText};
use super::fleet::Fleet;
use super::random::{Weighted, mix_text};
use super::rollout::Rollouts;
use super::template::{Lists, Template, escape};
use crate::model::{EventTime, Level};

/// Topics of today's shape, by syslog severity from emergency to debug.
pub(crate) const TOPICS: [&str; 8] = [
    "udp_localhost-emerg",
    "udp_localhost-alert",
    "udp_localhost-crit",
    "udp_localhost-err",
    "udp_localhost-warning",
    "udp_localhost-notice",
    "udp_localhost-info",
    "udp_localhost-debug",
];

/// Names of syslog severities, in the order of [`TOPICS`].
pub(crate) const SEVERITIES: [&str; 8] = [
    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
];

/// The root of the code on every host; the version follows.
pub(crate) const CODE_ROOT: &str = "/srv/mediawiki/php-";

/// One kind of record.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) channel: String,
    pub(crate) level: String,
    pub(crate) severity: usize,
    pub(crate) template: Template,
    pub(crate) psr: bool,
    pub(crate) repeat_share: f64,
    /// `,"key":"value"` for each context field.
    pub(crate) context: String,
    /// File and line number by version.
    pub(crate) places: Vec<(String, u32)>,
    pub(crate) exception: Option<Exception>,
}

/// An exception that a line carries.
#[derive(Clone, Debug)]
pub(crate) struct Exception {
    pub(crate) class: String,
    pub(crate) message: Template,
    pub(crate) frames: Vec<String>,
}

/// Something that writes records.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they mirror the keys of the file"
)]
pub(crate) struct Emitter {
    #[cfg(test)]
    pub(crate) id: String,
    pub(crate) lines: Vec<Line>,
    pub(crate) line_pick: Weighted,
    pub(crate) together: bool,
    pub(crate) job: bool,
    pub(crate) regular: bool,
    pub(crate) curve: bool,
    pub(crate) hosts: Vec<usize>,
    pub(crate) host_pick: Weighted,
    /// Versions on which it happens; empty means any.
    pub(crate) versions: Vec<usize>,
    /// Its hosts run the first of `versions` whatever was deployed.
    pub(crate) stale: bool,
}

/// A stretch of an emitter.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) emitter: usize,
    pub(crate) from: EventTime,
    pub(crate) to: EventTime,
    pub(crate) per_second: f64,
    pub(crate) wikis: Vec<usize>,
    pub(crate) groups: Vec<usize>,
    pub(crate) group_pick: Weighted,
}

/// A channel or host that writes nothing for a while.
#[derive(Clone, Debug)]
pub(crate) struct Hush {
    pub(crate) channel: Option<String>,
    pub(crate) host: Option<usize>,
    pub(crate) from: EventTime,
    pub(crate) to: EventTime,
}

/// A scenario made ready to run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) shape: Shape,
    pub(crate) versions: Vec<String>,
    pub(crate) fleet: Fleet,
    pub(crate) rollouts: Rollouts,
    pub(crate) lists: Lists,
    pub(crate) emitters: Vec<Emitter>,
    pub(crate) windows: Vec<Window>,
    pub(crate) hushes: Vec<Hush>,
    pub(crate) shares: Vec<f64>,
}

impl Plan {
    /// Makes a scenario ready; returns everything that is wrong with it otherwise.
    pub(crate) fn new(
        file: &ScenarioFile,
        shape: Shape,
        shares: &BTreeMap<String, f64>,
        rate_factor: f64,
    ) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let fleet = Fleet::new(file, &mut problems);
        let rollouts = Rollouts::new(file, &fleet, &mut problems);
        let mut plan = Self {
            shape,
            versions: file.versions.clone(),
            rollouts,
            lists: Lists::new(&file.values, shape == Shape::Today),
            emitters: Vec::new(),
            windows: Vec::new(),
            hushes: Vec::new(),
            shares: fleet
                .groups
                .iter()
                .map(|it| shares.get(it).copied().unwrap_or_default())
                .collect(),
            fleet,
        };
        for text in &file.emitter {
            plan.add_emitter(text, rate_factor, &mut problems);
        }
        for quiet in &file.quiet {
            let host = quiet.host.as_ref().and_then(|name| {
                let found = plan.fleet.hosts_of(name).next();
                if found.is_none() {
                    problems.push(format!("[[quiet]] names the unknown host `{name}`"));
                }
                found
            });
            plan.hushes.push(Hush {
                channel: quiet.channel.clone(),
                host,
                from: quiet.from,
                to: quiet.to,
            });
        }
        if problems.is_empty() {
            Ok(plan)
        } else {
            Err(problems)
        }
    }

    fn add_emitter(&mut self, text: &EmitterText, factor: f64, problems: &mut Vec<String>) {
        let at = format!("[[emitter]] `{}`", text.id);
        let mut hosts = Vec::new();
        for name in &text.hosts {
            let before = hosts.len();
            hosts.extend(self.fleet.hosts_of(name));
            if hosts.len() == before {
                problems.push(format!("{at}: `{name}` is neither a pool nor a host"));
            }
        }
        let weights: Vec<f64> = hosts
            .iter()
            .filter_map(|&it| self.fleet.hosts.get(it))
            .map(|it| it.weight)
            .collect();
        let mut versions = Vec::new();
        for name in &text.versions {
            match self.versions.iter().position(|it| it == name) {
                Some(it) => versions.push(it),
                None => problems.push(format!("{at}: `{name}` is not among `versions`")),
            }
        }
        if text.stale && versions.is_empty() {
            problems.push(format!("{at}: `stale` needs `versions`"));
        }
        if text.line.is_empty() {
            problems.push(format!("{at} has no [[emitter.line]]"));
        }
        let mut lines = Vec::new();
        for line in &text.line {
            match self.line(line) {
                Ok(it) => lines.push(it),
                Err(problem) => problems.push(format!("{at}: {problem}")),
            }
        }
        let line_weights: Vec<f64> = text.line.iter().map(|it| it.weight).collect();
        // A health check comes once a minute however much traffic there is.
        let factor = if text.regular { 1.0 } else { factor };
        self.add_windows(text, text.scale * factor / 60.0, problems);
        self.emitters.push(Emitter {
            #[cfg(test)]
            id: text.id.clone(),
            lines,
            line_pick: Weighted::new(&line_weights),
            together: text.together,
            job: text.job,
            regular: text.regular,
            curve: text.curve,
            host_pick: Weighted::new(&weights),
            hosts,
            versions,
            stale: text.stale,
        });
    }

    fn add_windows(&mut self, text: &EmitterText, factor: f64, problems: &mut Vec<String>) {
        let always = [WindowText {
            from: EventTime::MIN,
            to: EventTime::MAX,
            groups: Vec::new(),
            wikis: Vec::new(),
            rate_per_min: text.rate_per_min,
        }];
        let windows = if text.windows.is_empty() {
            &always[..]
        } else {
            &text.windows[..]
        };
        for window in windows {
            let mut wikis = Vec::new();
            let mut groups = Vec::new();
            for name in &window.wikis {
                match self.fleet.wiki(name) {
                    Some(it) => wikis.push(it),
                    None => {
                        problems.push(format!("[[emitter]] `{}`: unknown wiki `{name}`", text.id));
                    }
                }
            }
            for name in &window.groups {
                match self.fleet.group(name) {
                    Some(it) => groups.push(it),
                    None => {
                        problems.push(format!("[[emitter]] `{}`: unknown group `{name}`", text.id));
                    }
                }
            }
            if groups.is_empty() {
                groups = (0..self.fleet.groups.len()).collect();
            }
            let weights: Vec<f64> = groups
                .iter()
                .map(|&it| self.shares.get(it).copied().unwrap_or_default())
                .collect();
            self.windows.push(Window {
                emitter: self.emitters.len(),
                from: window.from,
                to: window.to,
                per_second: window.rate_per_min * factor,
                wikis,
                group_pick: Weighted::new(&weights),
                groups,
            });
        }
    }

    fn line(&self, text: &LineText) -> Result<Line, String> {
        let level = Level::parse(&text.level);
        if level == Level::Unknown {
            return Err(format!("`{}` is no level", text.level));
        }
        let lists = &self.lists;
        let exception = match &text.exception {
            None => None,
            Some(it) => Some(Exception {
                class: lists.escape(&it.class),
                message: Template::parse(&it.message, lists)?,
                frames: it.frames.iter().map(|it| lists.escape(it)).collect(),
            }),
        };
        let message = match (&text.exception, text.text.as_str()) {
            (Some(it), "") => exception_text(&it.class),
            (None, "") => return Err("a line needs a `text` or an `exception`".to_owned()),
            (_, other) => other.to_owned(),
        };
        let mut context = String::new();
        for (key, value) in &text.context {
            let value = match value {
                toml::Value::String(it) => format!("\"{}\"", escape(it, true)),
                other => other.to_string(),
            };
            for part in [",\"", &escape(key, true), "\":", &value] {
                context.push_str(part);
            }
        }
        Ok(Line {
            channel: text.channel.clone(),
            level: text.level.clone(),
            severity: severity(level),
            template: Template::parse(&message, lists)?,
            psr: text.psr,
            repeat_share: text.repeat_share,
            context,
            places: places(text, self.versions.len()),
            exception,
        })
    }
}

/// The text that `MediaWiki` 1.27 logs for an exception.
fn exception_text(class: &str) -> String {
    format!(
        "[{{exception_id}}] {{url}}   {class} from line {{line}} of {CODE_ROOT}{{mwversion}}/{{path}}: {{exception_message}}"
    )
}

/// Returns file and line by version: line numbers move with every version, as they do in real code.
fn places(text: &LineText, n_versions: usize) -> Vec<(String, u32)> {
    let step = u32::try_from(mix_text(&text.path) % 23).unwrap_or_default() + 2;
    (0_u32..)
        .take(n_versions)
        .map(|version| {
            let is_last = version as usize + 1 == n_versions;
            let moved = text.path_moved.as_ref().filter(|_| is_last);
            (
                moved.unwrap_or(&text.path).clone(),
                text.line + version * step,
            )
        })
        .collect()
}

const fn severity(level: Level) -> usize {
    match level {
        Level::Emergency => 0,
        Level::Alert => 1,
        Level::Critical => 2,
        Level::Error => 3,
        Level::Warning => 4,
        Level::Notice => 5,
        Level::Info => 6,
        Level::Debug | Level::Unknown => 7,
    }
}
