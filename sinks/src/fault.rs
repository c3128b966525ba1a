//! Why a record was not delivered: what happened, whose fault it is, whether trying again can help, and whether
//! the record may be stored all the same. Four independent fields, so that no caller has to guess one from another.

/// What happened. The names are stable: they are label values in the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum FaultKind {
    /// No connection to the sink, or it broke.
    Unreachable,
    /// No answer in time; the record's fate is unknown unless [`Fault::fate`] says otherwise.
    TimedOut,
    /// The sink asks for less (throttling, quota).
    Throttled,
    /// The sink can't store durably now: not enough replicas, leader moving.
    NotEnoughReplicas,
    /// The client library's or our own bounded queue is full.
    QueueFull,
    /// No space left.
    StorageFull,
    /// The storage answered an error (EIO and the like).
    StorageFailed,
    /// Topic, stream, bucket or directory does not exist.
    DestinationMissing,
    /// Credentials missing, wrong or expired.
    Unauthenticated,
    /// Credentials valid, permission missing.
    Unauthorized,
    /// The record is larger than the sink takes.
    RecordTooLarge,
    /// The sink refused this record for another reason.
    RecordRejected,
    /// The sink is closing: the process drains.
    Closing,
    /// Something that should not happen; the log has it.
    Internal,
}

impl FaultKind {
    /// Every kind, in the order of its number: `ALL[kind as usize] == kind`.
    pub const ALL: [Self; 14] = [
        Self::Unreachable,
        Self::TimedOut,
        Self::Throttled,
        Self::NotEnoughReplicas,
        Self::QueueFull,
        Self::StorageFull,
        Self::StorageFailed,
        Self::DestinationMissing,
        Self::Unauthenticated,
        Self::Unauthorized,
        Self::RecordTooLarge,
        Self::RecordRejected,
        Self::Closing,
        Self::Internal,
    ];

    /// Stable name, snake case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Throttled => "throttled",
            Self::NotEnoughReplicas => "not_enough_replicas",
            Self::QueueFull => "queue_full",
            Self::StorageFull => "storage_full",
            Self::StorageFailed => "storage_failed",
            Self::DestinationMissing => "destination_missing",
            Self::Unauthenticated => "unauthenticated",
            Self::Unauthorized => "unauthorized",
            Self::RecordTooLarge => "record_too_large",
            Self::RecordRejected => "record_rejected",
            Self::Closing => "closing",
            Self::Internal => "internal",
        }
    }
}

/// Whose fault it is: who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Whose {
    /// The client's: this record will never be taken.
    Client,
    /// The sink's, or the network's on the way to it: it passes.
    Sink,
    /// The operator's: configuration, credentials, a full disk.
    Operator,
    /// Ours: a bug.
    Engine,
}

impl Whose {
    /// For people.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Client => "the record's own fault",
            Self::Sink => "the sink's fault or the network's: it passes",
            Self::Operator => "for the operator to mend",
            Self::Engine => "a defect of the engine",
        }
    }
}

/// Whether the same record can succeed if it is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// Trying again can help: the lane may, within its deadline, and so may the client.
    Yes,
    /// The lane must not try again (the client library already spent the time, or it would break an order), but
    /// the client may.
    Client,
    /// Never: the record itself is the reason.
    No,
}

/// Where the record is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Certainly not stored.
    NotStored,
    /// Nobody knows: it may be stored, or be stored later.
    Unknown,
}

impl Fate {
    /// For people.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::NotStored => "not stored",
            Self::Unknown => "may be stored",
        }
    }
}

/// A failed delivery of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{} ({}, {})", kind.name(), whose.text(), fate.text())]
pub struct Fault {
    /// What happened.
    pub kind: FaultKind,
    /// Who has to act.
    pub whose: Whose,
    /// Whether trying again can help.
    pub retry: Retry,
    /// Whether the record may be stored all the same.
    pub fate: Fate,
}

impl Fault {
    /// A fault with all four fields said.
    #[must_use]
    pub const fn new(kind: FaultKind, whose: Whose, retry: Retry, fate: Fate) -> Self {
        Self { kind, whose, retry, fate }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_numbered_in_order_and_their_names_differ() {
        for (number, kind) in FaultKind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, number);
        }
        let mut names: Vec<_> = FaultKind::ALL.iter().map(|kind| kind.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FaultKind::ALL.len());
    }
}
