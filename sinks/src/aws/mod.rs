//! What the AWS sinks share: credentials of the configuration, the SDK's set-up, and its errors as plain values.
//!
//! | file | what it is |
//! | --- | --- |
//! | `credentials` | keys that stand in the configuration |
//! | `failure` | why a call brought no answer |
//! | `sdk` | the SDK's runtime, configuration and errors |

mod credentials;
mod failure;
pub(crate) mod sdk;

pub use credentials::Credentials;
pub(crate) use failure::Failure;
