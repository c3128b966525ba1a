//! Text with places: `{rid}`, `{time}` and the like, filled in for each request.

use std::io::Write as _;

use crate::request::RequestId;

/// What a place is filled with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// The request's id.
    Rid,
    /// The event's id: the request's and a number.
    EventId,
    /// Milliseconds since 1970.
    Time,
    /// The number of the request within its worker.
    Number,
    /// A user's number, one of 100,000.
    User,
    /// A visitor's device: a UUID of the user.
    Device,
    /// Letters up to the event's size.
    Fill,
}

/// The values for one request, or one event of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values {
    pub(super) id: RequestId,
    pub(super) event: u32,
    pub(super) time_ms: u64,
    pub(super) user: u32,
    pub(super) fill_bytes: usize,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(Vec<u8>),
    Place(Field),
}

/// Text with places.
#[derive(Clone, Debug)]
pub(super) struct Template(Vec<Piece>);

const NAMES: [(&str, Field); 7] = [
    ("{rid}", Field::Rid),
    ("{event_id}", Field::EventId),
    ("{time}", Field::Time),
    ("{number}", Field::Number),
    ("{user}", Field::User),
    ("{device}", Field::Device),
    ("{fill}", Field::Fill),
];

impl Template {
    /// Finds the places. Braces around anything else are text.
    pub(super) fn new(text: &str) -> Self {
        let (mut pieces, mut rest) = (Vec::new(), text);
        loop {
            let first = NAMES
                .iter()
                .filter_map(|(name, field)| Some((rest.find(name)?, *name, *field)))
                .min_by_key(|found| found.0);
            let Some((at, name, field)) = first else { break };
            if at > 0 {
                pieces.push(Piece::Text(rest[..at].into()));
            }
            pieces.push(Piece::Place(field));
            rest = &rest[at + name.len()..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.into()));
        }
        Self(pieces)
    }

    /// Appends the text with its places filled.
    pub(super) fn write(&self, values: &Values, out: &mut Vec<u8>) {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Place(field) => values.write(*field, out),
            }
        }
    }
}

impl Values {
    fn write(&self, field: Field, out: &mut Vec<u8>) {
        // Writing into a Vec can't fail.
        let _infallible = match field {
            Field::Rid => out.write_all(&self.id.text()),
            Field::EventId => {
                self.id.write_event_id(self.event, out);
                Ok(())
            }
            Field::Time => write!(out, "{}", self.time_ms),
            Field::Number => write!(out, "{}", self.id.number),
            Field::User => write!(out, "{}", self.user),
            Field::Device => {
                let bits = u64::from(self.user).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                write!(
                    out,
                    "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
                    bits >> 32,
                    bits >> 16 & 0xffff,
                    bits & 0xfff,
                    bits >> 12 & 0xfff,
                    bits >> 8 & 0xffff_ffff_ffff
                )
            }
            Field::Fill => {
                let text = b"Lorem-ipsum-dolor-sit-amet-consetetur-sadipscing-elitr-";
                out.extend(text.iter().copied().cycle().take(self.fill_bytes));
                Ok(())
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_and_other_braces_stay() {
        let values = Values {
            id: RequestId { run: 1, worker: 2, number: 3 },
            event: 4,
            time_ms: 5,
            user: 6,
            fill_bytes: 3,
        };
        let mut out = Vec::new();
        Template::new("{a:{rid},{event_id},{time},{number},{user},{fill}}{x}").write(&values, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "{a:bh-00000001-02-0000000003,bh-00000001-02-0000000003-04,5,3,6,Lor}{x}");
    }

    #[test]
    fn a_device_is_a_uuid() {
        let values = Values {
            id: RequestId { run: 1, worker: 2, number: 3 },
            event: 0,
            time_ms: 0,
            user: 99_999,
            fill_bytes: 0,
        };
        let mut out = Vec::new();
        Template::new("{device}").write(&values, &mut out);
        assert_eq!(out.len(), 36, "{}", String::from_utf8_lossy(&out));
    }
}
