//! How things end: a request, a filling batch, a connection. The names are stable: they are label values in the
//! metrics.

use crate::http::Refusal;

/// How a request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 200.
    Ok,
    /// 204: a CORS preflight.
    NoContent,
    /// 308: to HTTPS.
    Redirected,
    /// Anything else.
    Refused(Refusal),
}

impl Outcome {
    /// How many outcomes there are.
    pub const COUNT: usize = 3 + Refusal::ALL.len();

    /// Every outcome, in the order of [`Self::index`].
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Ok, Self::NoContent, Self::Redirected]
            .into_iter()
            .chain(Refusal::ALL.into_iter().map(Self::Refused))
    }

    /// Its number, below [`Self::COUNT`].
    #[inline]
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::Ok => 0,
            Self::NoContent => 1,
            Self::Redirected => 2,
            Self::Refused(refusal) => 3 + refusal as usize,
        }
    }

    /// Status code.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Ok => 200,
            Self::NoContent => 204,
            Self::Redirected => 308,
            Self::Refused(refusal) => refusal.status(),
        }
    }

    /// Stable name: the value of the label `reason`.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NoContent => "preflight",
            Self::Redirected => "to_https",
            Self::Refused(refusal) => refusal.name(),
        }
    }
}

/// Declares an enum whose variants are numbered from 0, with `ALL` and `name`.
macro_rules! reasons {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $label:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Every reason, in the order of its number: `ALL[reason as usize] == reason`.
            pub const ALL: [Self; [$($label),+].len()] = [$(Self::$variant),+];

            /// Stable name, snake case: the value of the label `reason`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $label,)+ }
            }
        }
    };
}

reasons! {
    /// Why a batch was sealed.
    SealReason {
        /// Its arena was full.
        Bytes = "bytes",
        /// It had its most records.
        Count = "count",
        /// Its oldest record had waited for the linger time.
        Age = "age",
        /// Its lane had nothing to do.
        Idle = "idle",
        /// It is one record in an arena of its own.
        Large = "large",
        /// The process drains.
        Drain = "drain",
    }
}

reasons! {
    /// Why a connection was closed.
    CloseReason {
        /// The client closed it, or asked for it (`Connection: close`, HTTP/1.0).
        Peer = "peer",
        /// No request within `limits.idle_timeout_ms`.
        Idle = "idle",
        /// No whole head within `limits.head_timeout_ms`.
        HeadTimeout = "head_timeout",
        /// No whole body within `limits.body_timeout_ms`, or slower than `limits.body_rate_min`.
        BodyTimeout = "body_timeout",
        /// A refusal that closes (see `docs/errors.md`), among them too many connections.
        Refused = "refused",
        /// The socket failed: reset, broken pipe.
        Error = "error",
        /// The process drains.
        Drain = "drain",
        /// `limits.requests_per_connection_max` was reached.
        RequestsLimit = "requests_limit",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enums_are_numbered_in_order() {
        for (number, outcome) in Outcome::all().enumerate() {
            assert_eq!(outcome.index(), number);
        }
        assert_eq!(Outcome::all().count(), Outcome::COUNT);
        for (number, reason) in SealReason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, number);
        }
        for (number, reason) in CloseReason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, number);
        }
    }
}
