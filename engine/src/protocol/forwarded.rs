//! Who sent the request: `X-Forwarded-For`, believed as far as proxies are trusted.
//!
//! Every proxy appends the address it saw to the list, so the list is forged on the left and true on the right:
//!
//! ```text
//!   X-Forwarded-For: 6.6.6.6, 198.51.100.4, 203.0.113.9, 10.0.0.7         trusted_proxies = 2
//!                    └─ what the client sent ┘  └── the two nearest proxies wrote these: the client as
//!                                                   the outer one saw it, and the outer one
//! ```
//!
//! With `n` trusted proxies the record's `ip` is the last `n` entries, so that its first entry, which is what the
//! ETL looks up, is the address that the outermost trusted proxy saw. The default, 1, is an AWS Application Load
//! Balancer in front: `ip` is the one address it appended.
//!
//! | case | `ip` | in the seed system |
//! |---|---|---|
//! | `n` or more entries | the last `n`, joined by `, ` | the whole list, so whatever the client sent came first |
//! | fewer entries than `n` | all of them | the same |
//! | no header, or only commas in it | the connection's peer address | `null` |
//! | `n` = 0: nothing in front | the peer address, whatever the header says | the header |
//! | `n` = [`TRUST_ALL`] | the fields as they came, joined by `, ` | the same |
//!
//! Empty list elements don't count (RFC 9110 section 5.6.1), and spaces around entries are dropped. Entries are
//! not checked to be addresses: what a trusted proxy wrote is recorded, be it with a port, in brackets or `unknown`.

/// Value of `server.trusted_proxies` that writes the list as it came, forged or not, as the seed system does: for
/// server-side senders that set `X-Forwarded-For` to their own client's address.
pub const TRUST_ALL: u8 = u8::MAX;

const SEPARATOR: &[u8] = b", ";

/// The addresses of one request's way: the client first, then trusted proxies.
#[derive(Clone, Copy, Debug)]
pub struct Addresses<'a> {
    fields: &'a [&'a [u8]],
    kind: Kind<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Kind<'a> {
    /// The connection's other end, in our own words.
    Peer(&'a [u8]),
    /// This address and no other.
    One(&'a [u8]),
    /// The entries of the fields without the first so many, which nobody vouches for.
    Behind(usize),
    Verbatim,
}

impl<'a> Addresses<'a> {
    /// Reads the values of all `X-Forwarded-For` fields, in the order of the head.
    #[must_use]
    pub fn new(fields: &'a [&'a [u8]], peer: &'a [u8], trusted_proxies: u8) -> Self {
        // Nearly all connections that no proxy is in front of.
        if fields.is_empty() {
            return Self { fields, kind: Kind::Peer(peer) };
        }
        let Some(last) = entries(fields).next_back() else { return Self { fields, kind: Kind::Peer(peer) } };
        let kind = match trusted_proxies {
            0 => Kind::Peer(peer),
            1 => Kind::One(last),
            TRUST_ALL => Kind::Verbatim,
            trusted => Kind::Behind(entries(fields).count().saturating_sub(usize::from(trusted))),
        };
        Self { fields, kind }
    }

    /// The client's address alone: the first entry.
    #[must_use]
    pub fn client(&self) -> &'a [u8] {
        match self.kind {
            Kind::Peer(address) | Kind::One(address) => address,
            Kind::Behind(forged) => entries(self.fields).nth(forged).unwrap_or_default(),
            Kind::Verbatim => entries(self.fields).next().unwrap_or_default(),
        }
    }

    /// The whole of `ip` when it is the connection's other end: digits, letters, dots and colons only.
    #[must_use]
    pub fn peer(&self) -> Option<&'a [u8]> {
        if let Kind::Peer(address) = self.kind { Some(address) } else { None }
    }

    /// Upper bound of the bytes that [`Addresses::write`] hands over.
    #[must_use]
    pub fn len_max(&self) -> usize {
        match self.kind {
            Kind::Peer(address) | Kind::One(address) => address.len(),
            // Each comma may become a comma and a space.
            Kind::Behind(_) | Kind::Verbatim => {
                self.fields.iter().map(|field| 2 * (field.len() + SEPARATOR.len())).sum()
            }
        }
    }

    /// Hands the text of `ip` to `put`, piece by piece, until that returns `None`.
    pub fn write(&self, mut put: impl FnMut(&[u8]) -> Option<()>) -> Option<()> {
        let mut join = |mut pieces: &mut dyn Iterator<Item = &'a [u8]>| {
            put(pieces.next().unwrap_or_default())?;
            (&mut pieces).try_for_each(|piece| {
                put(SEPARATOR)?;
                put(piece)
            })
        };
        match self.kind {
            Kind::Peer(address) | Kind::One(address) => put(address),
            Kind::Behind(forged) => join(&mut entries(self.fields).skip(forged)),
            Kind::Verbatim => join(&mut self.fields.iter().copied()),
        }
    }
}

/// The entries of all fields as one list.
fn entries<'a>(fields: &'a [&'a [u8]]) -> impl DoubleEndedIterator<Item = &'a [u8]> {
    fields
        .iter()
        .flat_map(|field| field.split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|entry| !entry.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(fields: &[&str], trusted_proxies: u8) -> (String, String) {
        let fields: Vec<&[u8]> = fields.iter().map(|field| field.as_bytes()).collect();
        let addresses = Addresses::new(&fields, b"192.0.2.1", trusted_proxies);
        let mut text = Vec::new();
        addresses.write(|piece| {
            text.extend_from_slice(piece);
            Some(())
        });
        assert!(addresses.len_max() >= text.len());
        (String::from_utf8(text).unwrap(), String::from_utf8(addresses.client().to_vec()).unwrap())
    }

    #[test]
    fn the_table() {
        for (fields, trusted, text, client) in [
            (&["203.0.113.9"][..], 1, "203.0.113.9", "203.0.113.9"),
            (&["6.6.6.6, 203.0.113.9"], 1, "203.0.113.9", "203.0.113.9"),
            (&["6.6.6.6,203.0.113.9"], 1, "203.0.113.9", "203.0.113.9"),
            (&["6.6.6.6, 203.0.113.9, 10.0.0.7"], 2, "203.0.113.9, 10.0.0.7", "203.0.113.9"),
            (&["6.6.6.6", " 203.0.113.9 ,\t10.0.0.7"], 2, "203.0.113.9, 10.0.0.7", "203.0.113.9"),
            (&["6.6.6.6, 203.0.113.9", "10.0.0.7"], 2, "203.0.113.9, 10.0.0.7", "203.0.113.9"),
            (&["203.0.113.9, 10.0.0.7"], 5, "203.0.113.9, 10.0.0.7", "203.0.113.9"),
            (&["6.6.6.6, 203.0.113.9, , ,"], 1, "203.0.113.9", "203.0.113.9"),
            (&["203.0.113.9:4711"], 1, "203.0.113.9:4711", "203.0.113.9:4711"),
            (&["2001:db8::1, [2001:db8::2]:80"], 1, "[2001:db8::2]:80", "[2001:db8::2]:80"),
            (&["6.6.6.6", ""], 1, "6.6.6.6", "6.6.6.6"),
            (&[], 1, "192.0.2.1", "192.0.2.1"),
            (&[""], 1, "192.0.2.1", "192.0.2.1"),
            (&[" , ,", ","], 1, "192.0.2.1", "192.0.2.1"),
            (&["6.6.6.6"], 0, "192.0.2.1", "192.0.2.1"),
            (&["6.6.6.6,203.0.113.9 , 10.0.0.7"], TRUST_ALL, "6.6.6.6,203.0.113.9 , 10.0.0.7", "6.6.6.6"),
            (&["6.6.6.6", "203.0.113.9"], TRUST_ALL, "6.6.6.6, 203.0.113.9", "6.6.6.6"),
            (&[], TRUST_ALL, "192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(ip(fields, trusted), (text.to_owned(), client.to_owned()), "{fields:?} {trusted}");
        }
    }

    #[test]
    fn writing_stops_where_it_is_told() {
        let addresses = Addresses::new(&[b"a, b, c"], b"", 3);
        let mut pieces = 0;
        let outcome = addresses.write(|_| {
            pieces += 1;
            (pieces < 3).then_some(())
        });
        assert_eq!((outcome, pieces), (None, 3));
    }
}
