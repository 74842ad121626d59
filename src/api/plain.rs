//! `/plain`: the error list as a table without any script, for text browsers and for when scripts fail.
//!
//! Invariant: everything between tags went through [`Escaped`].

use std::fmt::{self, Write as _};

use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};

use super::error::ApiError;
use super::extract::Params;
use super::health;
use super::signatures::{DEFAULT_RANGE_SECONDS, ListParams};
use super::state::ApiState;
use crate::detect::view::{SignatureState, SignatureSummary};

/// Rows of the table.
const ROWS_MAX: usize = 200;

/// Shows the error list without scripts; takes the parameters of `/api/v1/signatures`.
pub(super) async fn page(
    State(state): State<ApiState>,
    Params(params): Params<ListParams>,
) -> Result<Response, ApiError> {
    let mut filter = params.filter()?;
    filter.limit = ROWS_MAX;
    let page = state
        .ask(move |view| {
            filter.to = filter.to.or_else(|| view.clock());
            let hour = |it: crate::model::EventTime| it.plus_seconds(-DEFAULT_RANGE_SECONDS);
            filter.from = filter.from.or(filter.to.map(hour));
            view.signatures(&filter)
        })
        .await?;
    // Writing to a String cannot fail, so the results below are dropped.
    let mut html = String::from(HEAD);
    let summary = health::summary(&state);
    let clock = summary
        .clock
        .map_or_else(|| "no record yet".to_owned(), |it| it.to_string());
    writeln!(html, "<p>Data up to {}.</p>", Escaped(&clock)).ok();
    for reason in &summary.freshness.reasons {
        writeln!(html, "<p><strong>{}</strong></p>", Escaped(reason)).ok();
    }
    writeln!(
        html,
        "<p>{} of {} signatures, {} hidden.</p>\n<table>\n{COLUMNS}<tbody>",
        page.rows.len(),
        page.total,
        page.hidden
    )
    .ok();
    for row in &page.rows {
        push_row(&mut html, row);
    }
    html.push_str("</tbody>\n</table>\n</body>\n</html>\n");
    Ok(Html(html).into_response())
}

const HEAD: &str = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Errors · fatalmonitor</title>\n\
    <link rel=\"stylesheet\" href=\"/web/app.css\">\n</head>\n<body class=\"plain\">\n<h1>Errors</h1>\n\
    <p><a href=\"/\">The page with scripts</a></p>\n";

const COLUMNS: &str = "<thead><tr><th scope=\"col\">State</th><th scope=\"col\">Count, 1 h</th>\
    <th scope=\"col\">Rate a minute</th><th scope=\"col\">First seen</th><th scope=\"col\">In version</th>\
    <th scope=\"col\">Last seen</th><th scope=\"col\">Hosts</th><th scope=\"col\">Channel</th>\
    <th scope=\"col\">Message</th></tr></thead>\n";

fn push_row(html: &mut String, row: &SignatureSummary) {
    let hosts = row
        .main_host
        .clone()
        .unwrap_or_else(|| row.hosts.to_string());
    writeln!(html, "<tr><td>{}</td><td>{}</td><td>{:.1}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
         <td>{} <a href=\"/api/v1/signatures/{}\">{}</a></td></tr>",
        state_name(row.state),
        row.count,
        row.rate_per_min,
        row.first_seen,
        Escaped(&row.first_version),
        row.last_seen,
        Escaped(&hosts),
        Escaped(&row.channel),
        Escaped(&row.template),
        row.id,
        row.id.short(),
    ).ok();
}

const fn state_name(state: SignatureState) -> &'static str {
    match state {
        SignatureState::New => "NEW",
        SignatureState::Spike => "UP",
        SignatureState::Regressed => "REGRESSED",
        SignatureState::Resurfaced => "BACK",
        SignatureState::Known => "known",
        SignatureState::Quiet => "quiet",
        SignatureState::Muted => "muted",
    }
}

/// Text that is safe between tags: markup escaped, control and direction characters made visible.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for it in self.0.chars() {
            match it {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                _ if is_hidden(it) => write!(f, "\\u{{{:x}}}", u32::from(it))?,
                _ => write!(f, "{it}")?,
            }
        }
        Ok(())
    }
}

/// Tells whether a character is invisible or changes how its neighbours are shown.
fn is_hidden(it: char) -> bool {
    it.is_control()
        || matches!(it, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_hidden_characters_are_shown_not_obeyed() {
        let text = "<img src=x onerror='alert(\"1\")'>&\u{1b}[31m\u{202e}\u{200b}ü";
        assert_eq!(
            Escaped(text).to_string(),
            "&lt;img src=x onerror=&#39;alert(&quot;1&quot;)&#39;&gt;&amp;\\u{1b}[31m\\u{202e}\\u{200b}ü"
        );
    }
}
