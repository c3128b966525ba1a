//! The SDK: its runtime, its configuration by the standard chain, its errors.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::RetryConfig;

use super::{Credentials, Failure, reasons};

/// A runtime of one thread, which is the one that blocks on it.
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Loads region, endpoint and credentials: from here, else as the SDK looks for them. The SDK's own retries are off,
/// since the engine has one policy for all sinks, and so is its watch over slow streams: a call's time is bounded.
pub(crate) async fn load(
    region: Option<&str>,
    endpoint: Option<&str>,
    credentials: Option<&Credentials>,
    call_timeout: Duration,
) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .operation_timeout(call_timeout)
        .connect_timeout(call_timeout.min(Duration::from_secs(3)))
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(
            aws_config::stalled_stream_protection::StalledStreamProtectionConfig::disabled(),
        )
        .timeout_config(timeouts);
    if let Some(region) = region {
        loader = loader.region(Region::new(region.to_owned()));
    }
    if let Some(endpoint) = endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    if let Some(given) = credentials {
        let mut credentials = aws_credential_types::Credentials::builder()
            .access_key_id(&given.access_key_id)
            .secret_access_key(&given.secret_access_key)
            .provider_name("configuration");
        credentials.set_session_token(given.session_token.clone());
        loader = loader.credentials_provider(credentials.build());
    }
    loader.load().await
}

/// The SDK's error as a plain value.
pub(crate) fn failure<E: ProvideErrorMetadata + std::error::Error + 'static>(
    error: &SdkError<E, HttpResponse>,
) -> Failure {
    let text = reasons(error);
    match error {
        SdkError::ServiceError(answer) => Failure::Service {
            status: answer.raw().status().as_u16(),
            code: error.code().unwrap_or_default().to_owned(),
            message: error.message().unwrap_or_default().to_owned(),
        },
        SdkError::ResponseError(answer) if !answer.raw().status().is_success() => {
            Failure::Service { status: answer.raw().status().as_u16(), code: String::new(), message: text }
        }
        SdkError::TimeoutError(_) => Failure::TimedOut(text),
        SdkError::ConstructionFailure(_) => Failure::NotSent(text),
        SdkError::DispatchFailure(dispatch) => match dispatch {
            // The words of the HTTP client for the time before there is a connection.
            _ if text.contains("client error (Connect)") || text.contains("HTTP connect timeout") => {
                Failure::NotConnected(text)
            }
            _ if text.contains("redential") || text.contains("identity") => Failure::NotSent(text),
            timeout if timeout.is_timeout() => Failure::TimedOut(text),
            _ => Failure::Broken(text),
        },
        _ => Failure::Broken(text),
    }
}
