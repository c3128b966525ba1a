//! Amazon MSK's IAM sign-in: a presigned URL as the token of SASL/OAUTHBEARER.
//!
//! The format is that of AWS's signers (`aws-msk-iam-sasl-signer-*`): the URL of a GET of the action
//! `kafka-cluster:Connect` at `kafka.<region>.amazonaws.com`, signed with Signature Version 4 in its query, valid for
//! 900 s, with the client's name as an unsigned `User-Agent` behind it; all of it in URL-safe base64 without padding.
//! The signature is made by the SDK's own signer.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::token::{Token, TokenSource};
use crate::aws::reasons;

/// What AWS's signers choose; the brokers allow no more.
const EXPIRES: Duration = Duration::from_mins(15);
/// For the metadata service of the host or the task, or a process that gives credentials.
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(5);
/// The name that signatures are for.
const SERVICE: &str = "kafka-cluster";
const USER_AGENT: &str = concat!("millrun%2F", env!("CARGO_PKG_VERSION"));

/// Tokens by the credentials of the SDK's standard chain. The chain is made anew for each: it reads a profile once in
/// its life, and a token that was refused may have been signed by keys that were changed since.
pub(super) fn source(region: Option<String>) -> TokenSource {
    Box::new(move || {
        let (credentials, region) = ask(region.clone())?;
        signed(&credentials, &region, SystemTime::now())
    })
}

/// Credentials and region, within the timeout.
fn ask(region: Option<String>) -> Result<(Credentials, String), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime for the AWS SDK: {error}"))?;
    let asked = runtime.block_on(async { tokio::time::timeout(CREDENTIALS_TIMEOUT, load(region)).await });
    asked.unwrap_or_else(|_| Err(format!("no AWS credentials or region within {CREDENTIALS_TIMEOUT:?}")))
}

async fn load(region: Option<String>) -> Result<(Credentials, String), String> {
    let mut loader = aws_config::defaults(BehaviorVersion::latest());
    if let Some(region) = region {
        loader = loader.region(Region::new(region));
    }
    let loaded = loader.load().await;
    let region = loaded.region().ok_or("no AWS region: set sasl.region or AWS_REGION")?.to_string();
    let provider = loaded.credentials_provider().ok_or("the AWS SDK has no chain of credentials")?;
    let credentials = provider.provide_credentials().await;
    let credentials = credentials.map_err(|error| format!("no AWS credentials: {}", reasons(&error)))?;
    Ok((credentials, region))
}

/// The token. It ends with the credentials where those end first.
fn signed(credentials: &Credentials, region: &str, now: SystemTime) -> Result<Token, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("the token can't be signed: {error}");
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(EXPIRES);
    let identity = credentials.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(SERVICE)
        .time(now)
        .settings(settings)
        .build()
        .map_err(|error| wrong(&error))?;
    let url = format!("https://kafka.{region}.amazonaws.com/?Action=kafka-cluster%3AConnect");
    let request = SignableRequest::new("GET", &url, std::iter::empty(), SignableBody::Bytes(b""))
        .map_err(|error| wrong(&error))?;
    let (signature, _) = sign(request, &params.into()).map_err(|error| wrong(&error))?.into_parts();
    let query = signature.params().iter().map(|(key, value)| format!("&{key}={}", encoded(value)));
    let url = format!("{url}{}&User-Agent={USER_AGENT}", query.collect::<String>());
    let since_epoch = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default();
    // The URL knows whole seconds.
    let made = Duration::from_secs(since_epoch(now).as_secs());
    let expires = credentials.expiry().map_or(Duration::MAX, since_epoch).min(made + EXPIRES);
    Ok(Token { value: URL_SAFE_NO_PAD.encode(url), made, expires })
}

/// Percent-encoding as Signature Version 4 asks for it: all but the unreserved characters of RFC 3986.
fn encoded(text: &str) -> String {
    let mut url = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            let _ = std::fmt::Write::write_fmt(&mut url, format_args!("%{byte:02X}"));
        }
    }
    url
}

#[cfg(test)]
mod tests;
