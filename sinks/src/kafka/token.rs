//! Bearer tokens (SASL/OAUTHBEARER, RFC 7628): what one is, where they come from, and when the next is due. Pure.

use std::time::Duration;

/// A token that is used in this part of its life, then replaced: librdkafka signs in again in time with what it has.
const USED_SHARE: f64 = 0.8;
/// Between two tokens that were got, at least: a provider that gives out what is about to expire is not asked in a loop.
pub(super) const RENEW_PAUSE_MIN: Duration = Duration::from_secs(1);
/// First pause after a token could not be got; doubles up to the longest.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause after a token could not be got.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(10);
/// A token that the brokers refuse is replaced, but not more often than this: what is wrong may be no token's fault.
pub(super) const REFUSED_PAUSE: Duration = Duration::from_secs(5);

/// A token and its end.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// What the broker is shown; never printed.
    pub value: String,
    /// When it was made, since the epoch.
    pub made: Duration,
    /// When it ends, since the epoch.
    pub expires: Duration,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token")
            .field("made", &self.made)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// Where tokens come from. May block for some seconds; the error is for people and holds no secret.
pub(super) type TokenSource = Box<dyn FnMut() -> Result<Token, String> + Send>;

/// When the next token is due.
#[derive(Debug, Default)]
pub(super) struct Renewal {
    failures: u32,
}

impl Renewal {
    /// How long to wait after a token was got.
    pub(super) fn got(&mut self, token: &Token) -> Duration {
        self.failures = 0;
        token.expires.saturating_sub(token.made).mul_f64(USED_SHARE).max(RENEW_PAUSE_MIN)
    }

    /// How long to wait after none was got.
    pub(super) fn failed(&mut self) -> Duration {
        let pause = RETRY_PAUSE * 2_u32.saturating_pow(self.failures.min(10));
        self.failures = self.failures.saturating_add(1);
        pause.min(RETRY_PAUSE_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(lives: Duration) -> Token {
        let made = Duration::from_hours(500_000);
        Token { value: "secret".to_owned(), made, expires: made + lives }
    }

    #[test]
    fn a_token_is_renewed_before_its_end() {
        let mut renewal = Renewal::default();
        assert_eq!(renewal.got(&token(Duration::from_mins(15))), Duration::from_mins(12));
        assert_eq!(renewal.got(&token(Duration::ZERO)), RENEW_PAUSE_MIN, "no loop");
    }

    #[test]
    fn pauses_grow_while_there_is_no_token_and_start_again() {
        let mut renewal = Renewal::default();
        let pauses: Vec<_> = (0..7).map(|_| renewal.failed().as_millis()).collect();
        assert_eq!(pauses, [500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
        renewal.got(&token(Duration::from_mins(15)));
        assert_eq!(renewal.failed(), RETRY_PAUSE);
    }

    #[test]
    fn a_token_is_never_printed() {
        assert!(!format!("{:?}", token(Duration::ZERO)).contains("secret"));
    }
}
