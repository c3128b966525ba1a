//! What the AWS sinks share: credentials of the configuration, the SDK's set-up, and its errors as plain values.
//!
//! | file | what it is |
//! | --- | --- |
//! | `credentials` | keys that stand in the configuration |
//! | `failure` | why a call brought no answer |
//! | `reasons` | an error's text with what is behind it |
//! | `sdk` | the SDK's runtime, configuration and errors |

#[cfg(any(feature = "kinesis", feature = "s3"))]
mod credentials;
#[cfg(any(feature = "kinesis", feature = "s3"))]
mod failure;
mod reasons;
#[cfg(any(feature = "kinesis", feature = "s3"))]
pub(crate) mod sdk;

#[cfg(any(feature = "kinesis", feature = "s3"))]
pub use credentials::Credentials;
#[cfg(any(feature = "kinesis", feature = "s3"))]
pub(crate) use failure::Failure;
pub(crate) use reasons::reasons;
