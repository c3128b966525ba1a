//! Why a call to AWS brought no answer.

/// A call that failed as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The service answered an error.
    Service {
        /// HTTP status.
        status: u16,
        /// Error code, such as `ResourceNotFoundException`; empty where there is none.
        code: String,
        /// For people.
        message: String,
    },
    /// No answer in time.
    TimedOut(String),
    /// The connection could not be made.
    NotConnected(String),
    /// The connection broke, or the answer can't be read.
    Broken(String),
    /// Nothing was sent: no credentials, no region.
    NotSent(String),
}

impl Failure {
    /// For people, one line.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Service { status, code, message } => {
                let skew = if is_clock(code, message) { " (this host's clock is wrong)" } else { "" };
                format!("{status} {code}: {message}{skew}")
            }
            Self::TimedOut(text) | Self::NotConnected(text) | Self::Broken(text) | Self::NotSent(text) => {
                text.clone()
            }
        }
    }
}

/// A clock that is too far from AWS's makes every signature invalid.
fn is_clock(code: &str, message: &str) -> bool {
    matches!(code, "RequestTimeTooSkewed" | "RequestExpired" | "RequestInTheFuture")
        || message.contains("Signature expired")
        || message.contains("Signature not yet current")
}
