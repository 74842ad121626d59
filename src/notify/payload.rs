//! What an alert looks like in Alertmanager's API v2: labels, annotations, times, links.
//!
//! It must never put a count, a rate, message text or a time into a label: labels are identity, and a label that
//! changes is another alert. Invariant: every label value is non-empty and bounded, every link is http or https.

use std::collections::BTreeMap;

use reqwest::Url;
use serde::Serialize;

use crate::model::{Alert, AlertKind, EventTime, Severity};

use super::NotifyError;
use super::plain_text::{lines, one_line};

/// Characters of a label value at most.
const LABEL_CHARS_MAX: usize = 256;

/// Characters of the summary at most.
const SUMMARY_CHARS_MAX: usize = 200;

/// Characters of the description at most.
const DESCRIPTION_CHARS_MAX: usize = 1024;

/// Seconds shown before the start and after the last event by a link.
const LINK_MARGIN_SECONDS: i64 = 1800;

/// Alertmanager name of the alert that always fires.
const WATCHDOG: &str = "FatalmonitorWatchdog";

/// One alert as it is posted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PostedAlert {
    /// Identity.
    pub(super) labels: BTreeMap<String, String>,
    /// Text.
    pub(super) annotations: BTreeMap<String, String>,
    /// Start of the problem.
    pub(super) starts_at: EventTime,
    /// When it is, or will be taken to be, over.
    pub(super) ends_at: EventTime,
    /// Page of the problem.
    #[serde(rename = "generatorURL", skip_serializing_if = "Option::is_none")]
    pub(super) generator_url: Option<String>,
}

/// What is the same in every alert of this process.
#[derive(Clone, Debug, Default)]
pub(super) struct Letterhead {
    external_labels: BTreeMap<String, String>,
    external_url: Option<Url>,
    runbook_url: Option<String>,
    logs_url: Option<String>,
}

impl Letterhead {
    /// Checks the configured labels and links.
    pub(super) fn new(config: &super::NotifyConfig) -> Result<Self, NotifyError> {
        for (name, value) in &config.external_labels {
            check_label(name, value)?;
        }
        let head = Self {
            external_labels: config.external_labels.clone(),
            external_url: config.external_url.as_deref().map(web_url).transpose()?,
            runbook_url: config.runbook_url.clone(),
            logs_url: config.logs_url.clone(),
        };
        // A placeholder stands for any text, so one text tells whether the template makes links.
        for template in [&head.runbook_url, &head.logs_url].into_iter().flatten() {
            web_url(&fill(template, |_| Some("x".to_owned())))?;
        }
        Ok(head)
    }

    /// Writes an alert; `ends_at` is when it was over, or when it lapses unless told again.
    pub(super) fn write(&self, alert: &Alert, now: EventTime, ends_at: EventTime) -> PostedAlert {
        let page = self.page(alert);
        let mut annotations = BTreeMap::new();
        let mut annotate = |name: &str, text: Option<String>| {
            if let Some(text) = text.filter(|it| !it.is_empty()) {
                annotations.insert(name.to_owned(), text);
            }
        };
        annotate("summary", Some(one_line(&alert.summary, SUMMARY_CHARS_MAX)));
        annotate(
            "description",
            Some(lines(&alert.description, DESCRIPTION_CHARS_MAX)),
        );
        annotate("dashboard_url", page.clone());
        annotate("runbook_url", link(self.runbook_url.as_deref(), alert));
        annotate("logs_url", link(self.logs_url.as_deref(), alert));
        annotate("ticket_url", alert.ticket.clone());
        PostedAlert {
            labels: self.labels(alert),
            annotations,
            // A host whose clock is ahead must not start a problem after its end: Alertmanager refuses that.
            starts_at: alert.started_at.min(now).min(ends_at),
            ends_at,
            generator_url: page,
        }
    }

    /// Writes the alert that always fires, by whose absence one sees that nobody sends.
    pub(super) fn watchdog(&self, started: EventTime, ends_at: EventTime) -> PostedAlert {
        let mut labels = self.external_labels.clone();
        labels.insert("alertname".to_owned(), WATCHDOG.to_owned());
        labels.insert("service".to_owned(), "fatalmonitor".to_owned());
        labels.insert("severity".to_owned(), Severity::Info.name().to_owned());
        let summary = "This alert always fires: if it is gone, fatalmonitor sends nothing.";
        PostedAlert {
            labels,
            annotations: BTreeMap::from([("summary".to_owned(), summary.to_owned())]),
            starts_at: started,
            ends_at,
            generator_url: self.external_url.as_ref().map(ToString::to_string),
        }
    }

    fn labels(&self, alert: &Alert) -> BTreeMap<String, String> {
        let key = &alert.key;
        let names_host = matches!(key.kind, AlertKind::BadHost | AlertKind::SilentHost);
        let host = key.host.as_deref().filter(|_| names_host);
        let signature = key.signature.map(|it| it.to_string());
        let own = [
            ("alertname", key.kind.alertname()),
            ("severity", alert.severity.name()),
            ("service", &key.service),
            ("group", &key.group),
            ("version", &key.version),
            ("channel", &key.channel),
            ("signature", signature.as_deref().unwrap_or_default()),
            ("host", host.unwrap_or_default()),
            ("owner", alert.owner.as_deref().unwrap_or_default()),
        ];
        let mut labels = self.external_labels.clone();
        for (name, value) in own {
            let value = one_line(value, LABEL_CHARS_MAX);
            // Alertmanager drops labels without a value; an external one does not take the place of ours.
            labels.remove(name);
            if !value.is_empty() {
                labels.insert(name.to_owned(), value);
            }
        }
        labels
    }

    /// Returns the link to the page of an alert.
    fn page(&self, alert: &Alert) -> Option<String> {
        let mut url = self.external_url.clone()?;
        {
            let mut path = url.path_segments_mut().ok()?;
            path.pop_if_empty();
            match alert.key.signature {
                Some(signature) => path.push("s").push(&signature.to_string()),
                None => path.push("alerts"),
            };
        }
        let (from, to) = range(alert);
        let mut query = url.query_pairs_mut();
        if alert.key.signature.is_none() {
            query.append_pair("id", &alert.id.0);
        }
        query.append_pair("from", &from.to_string());
        query.append_pair("to", &to.to_string());
        drop(query);
        Some(url.into())
    }
}

/// Returns the link that a configured template makes for an alert.
fn link(template: Option<&str>, alert: &Alert) -> Option<String> {
    let (from, to) = range(alert);
    let key = &alert.key;
    let text = fill(template?, |name| {
        Some(match name {
            "alertname" => key.kind.alertname().to_owned(),
            "kind" => key.kind.name().to_owned(),
            "id" => alert.id.0.clone(),
            "service" => key.service.clone(),
            "group" => key.group.clone(),
            "version" => key.version.clone(),
            "channel" => key.channel.clone(),
            "signature" => key.signature.map(|it| it.to_string()).unwrap_or_default(),
            "host" => key.host.clone().unwrap_or_default(),
            "from" => from.to_string(),
            "to" => to.to_string(),
            _ => return None,
        })
    });
    web_url(&text).ok().map(Into::into)
}

/// Returns the range of time that a link shows.
fn range(alert: &Alert) -> (EventTime, EventTime) {
    (
        alert.started_at.plus_seconds(-LINK_MARGIN_SECONDS),
        alert.last_at.plus_seconds(LINK_MARGIN_SECONDS),
    )
}

/// Puts values into the `{name}` places of a template, escaped for a URL; unknown names stay.
fn fill(template: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((name, tail)) = after.split_once('}') else {
            out.push_str("%7B");
            rest = after;
            break;
        };
        match value(name) {
            Some(text) => out.push_str(&percent_encoded(&text)),
            None => out.extend(["%7B", name, "%7D"]),
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// Reads an http or https URL.
pub(super) fn web_url(text: &str) -> Result<Url, NotifyError> {
    let refused = |problem: String| NotifyError::Url {
        url: text.to_owned(),
        problem,
    };
    let url = Url::parse(text).map_err(|it| refused(it.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(refused(
            "expected a URL that starts with http:// or https://".to_owned(),
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(NotifyError::Url {
            url: format!(
                "{}://…@{}",
                url.scheme(),
                url.host_str().unwrap_or_default()
            ),
            problem: "a user or password does not belong in a URL; use basic_auth".to_owned(),
        });
    }
    Ok(url)
}

fn check_label(name: &str, value: &str) -> Result<(), NotifyError> {
    let is_word = name
        .bytes()
        .all(|it| it.is_ascii_alphanumeric() || it == b'_');
    let is_name = is_word && !name.is_empty() && !name.starts_with(|it: char| it.is_ascii_digit());
    if !is_name {
        return Err(NotifyError::Label {
            name: name.to_owned(),
            problem: "expected letters, digits and _, not starting with a digit",
        });
    }
    if value.is_empty() || one_line(value, LABEL_CHARS_MAX) != value {
        return Err(NotifyError::Label {
            name: name.to_owned(),
            problem: "expected a value of 1 to 256 visible characters without < > or `",
        });
    }
    Ok(())
}
