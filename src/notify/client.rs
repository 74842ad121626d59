//! The HTTP client of one target: bounded in time and in what it reads, and led nowhere else.
//!
//! Invariant: no redirect is followed, no proxy of the environment is used, and no connection goes to a link-local
//! address, where clouds keep their credentials.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderName};
use reqwest::{Certificate, Client, StatusCode, Url};

use super::payload::web_url;
use super::{Auth, NotifyError, TargetConfig, install_crypto};

/// Bytes of an answer that are read at most.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Time for the connection alone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A target that can be posted to.
#[derive(Debug)]
pub(super) struct Target {
    client: Client,
    url: Url,
    auth: Auth,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Taken.
    Taken,
    /// The content was refused; sending it again as it is would not help.
    Refused(String),
    /// It did not get there, or the target cannot take anything now.
    Failed(String),
}

impl Target {
    /// Checks the configuration and makes the client; `path` is put behind the configured URL.
    pub(super) fn new(config: &TargetConfig, path: &[&str]) -> Result<Self, NotifyError> {
        install_crypto();
        let mut url = web_url(&config.url)?;
        if let Some(address) = url.host_str().and_then(literal_address)
            && is_forbidden(address, config.is_private_allowed)
        {
            return Err(NotifyError::Url {
                url: config.url.clone(),
                problem: "this address is not allowed".to_owned(),
            });
        }
        if let Ok(mut segments) = url.path_segments_mut()
            && !path.is_empty()
        {
            segments.pop_if_empty().extend(path);
        }
        let mut builder = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(config.timeout)
            .connect_timeout(CONNECT_TIMEOUT.min(config.timeout))
            .user_agent(concat!("fatalmonitor/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(GuardedResolver {
                is_private_allowed: config.is_private_allowed,
            }));
        if let Some(pem) = &config.tls_ca_pem {
            let certificates = Certificate::from_pem_bundle(pem).map_err(NotifyError::Ca)?;
            builder = builder.tls_certs_merge(certificates);
        }
        Ok(Self {
            client: builder.build().map_err(NotifyError::Client)?,
            url,
            auth: config.auth.clone(),
        })
    }

    /// Posts a JSON text.
    pub(super) async fn post(&self, body: Vec<u8>, key: Option<(HeaderName, &str)>) -> Outcome {
        let mut request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json");
        request = match &self.auth {
            Auth::None => request,
            Auth::Basic { user, password } => request.basic_auth(user, Some(password.expose())),
            Auth::Bearer(token) => request.bearer_auth(token.expose()),
        };
        if let Some((name, value)) = key {
            request = request.header(name, value);
        }
        match request.body(body).send().await {
            Ok(response) => outcome(response).await,
            Err(error) => Outcome::Failed(reason(&error)),
        }
    }
}

async fn outcome(mut response: reqwest::Response) -> Outcome {
    let status = response.status();
    let mut answer = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = ANSWER_BYTES_MAX.saturating_sub(answer.len());
        answer.extend(chunk.iter().take(room));
        if room <= chunk.len() {
            break;
        }
    }
    if status.is_success() {
        return Outcome::Taken;
    }
    let text = format!(
        "{status}: {}",
        super::plain_text::one_line(&String::from_utf8_lossy(&answer), 300)
    );
    match status {
        StatusCode::BAD_REQUEST
        | StatusCode::UNPROCESSABLE_ENTITY
        | StatusCode::PAYLOAD_TOO_LARGE => Outcome::Refused(text),
        _ => Outcome::Failed(text),
    }
}

/// Tells why a request failed, without the URL, which may be internal.
fn reason(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() {
        "no answer in time".to_owned()
    } else if error.is_connect() {
        "cannot connect".to_owned()
    } else {
        "the request failed".to_owned()
    };
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        cause = inner.source();
        if cause.is_none() {
            text.push_str(": ");
            text.push_str(&super::plain_text::one_line(&inner.to_string(), 200));
        }
    }
    text
}

/// Resolves names, and leaves out addresses that may not be connected to.
#[derive(Clone, Copy, Debug)]
struct GuardedResolver {
    is_private_allowed: bool,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let is_private_allowed = self.is_private_allowed;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found
                .filter(|it| !is_forbidden(it.ip(), is_private_allowed))
                .collect();
            if allowed.is_empty() {
                return Err(format!("{} has no address that is allowed", name.as_str()).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Reads the address of a URL that has one in place of a name.
fn literal_address(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .ok()
}

/// Tells whether no connection may go to an address.
fn is_forbidden(address: IpAddr, is_private_allowed: bool) -> bool {
    match address.to_canonical() {
        IpAddr::V4(it) => {
            it.is_link_local()
                || it.is_multicast()
                || it.is_broadcast()
                || it == Ipv4Addr::UNSPECIFIED
                || (!is_private_allowed && (it.is_private() || it.is_loopback()))
        }
        IpAddr::V6(it) => {
            it.is_unicast_link_local()
                || it.is_multicast()
                || it.is_unspecified()
                || (!is_private_allowed && (it.is_unique_local() || it.is_loopback()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_addresses_are_never_connected_to() {
        for text in [
            "169.254.169.254",
            "fe80::1",
            "::ffff:169.254.169.254",
            "0.0.0.0",
            "224.0.0.1",
        ] {
            assert!(is_forbidden(text.parse().unwrap(), true), "{text}");
        }
        for text in ["10.0.0.1", "127.0.0.1", "::1", "fd00::1", "192.168.1.1"] {
            let address = text.parse().unwrap();
            assert!(!is_forbidden(address, true), "{text}");
            assert!(is_forbidden(address, false), "{text}");
        }
        assert!(!is_forbidden("192.0.2.7".parse().unwrap(), false));
    }
}
