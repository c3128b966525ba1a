//! The record: one JSON object, its keys in byte order, `null` for what the request does not have.

use crate::config::settings::RecordKey;
use crate::protocol::forwarded::Addresses;
use crate::protocol::query::{self, Parameters, Value};
use crate::protocol::{Encode, Receipt, Request};
use crate::record::escape::escaped_len_max;
use crate::record::writer::{Length, Output, Text};

/// Upper bound of what a record has besides the request's own text: names, punctuation, times, request id (as
/// value and as key).
const FIXED_BYTES_MAX: usize = 512;

/// One request's record, not yet written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    request: &'a Request<'a>,
    receipt: &'a Receipt<'a>,
    parameters: Parameters<'a>,
    addresses: Addresses<'a>,
    /// The parameter that is the partitioning key, where one is.
    key: Option<Value<'a>>,
}

impl<'a> Record<'a> {
    pub(super) fn new(request: &'a Request<'a>, receipt: &'a Receipt<'a>) -> Self {
        Self {
            request,
            receipt,
            parameters: Parameters::parse(request.query),
            addresses: Addresses::new(request.forwarded_for, request.peer, receipt.trusted_proxies),
            key: match receipt.key {
                RecordKey::Query(name) => query::find(request.query, name),
                _ => None,
            },
        }
    }

    /// The address that dev mode puts in the place of the client's.
    fn fake_ip(&self) -> Option<Value<'a>> {
        self.parameters.fake_ip.filter(|_| self.receipt.dev_mode)
    }

    /// Writes the partitioning key: plain bytes, not JSON.
    fn write_key(&self, out: &mut impl Output) -> Option<()> {
        match self.receipt.key {
            RecordKey::None => Some(()),
            RecordKey::Rid => out.put(self.receipt.rid.as_bytes()),
            RecordKey::AppId => {
                self.parameters.app_id.map_or(Some(()), |value| value.pieces(|piece| out.put(piece)))
            }
            RecordKey::Query(_) => self.key.map_or(Some(()), |value| value.pieces(|piece| out.put(piece))),
            RecordKey::Ip => match self.fake_ip() {
                Some(fake) => fake.pieces(|piece| out.put(piece)),
                None => out.put(self.addresses.client()),
            },
        }
    }

    fn write_value(&self, out: &mut impl Output) -> Option<()> {
        let Self { request, receipt, parameters, .. } = self;
        let moment = receipt.moment;
        let mut digits = itoa::Buffer::new();
        let ingest_time = digits.format(moment.unix_ms()).as_bytes();

        out.put(b"{\"appId\":")?;
        put_value(out, parameters.app_id)?;
        if let Some(value) = parameters.upload_timestamp {
            out.put(b",\"client_timestamp\":")?;
            put_number_or_string(out, value)?;
        }
        out.put(b",\"compression\":")?;
        put_value(out, parameters.compression)?;
        out.put(b",\"data\":\"")?;
        out.put_escaped(request.body)?;
        out.put(b"\",\"date\":\"")?;
        out.put(&moment.date())?;
        if self.fake_ip().is_none() {
            out.put(b"\",\"fakeIp\":")?;
            put_value(out, parameters.fake_ip)?;
            out.put(b",\"ingest_time\":")?;
        } else {
            out.put(b"\",\"ingest_time\":")?;
        }
        out.put(ingest_time)?;
        out.put(b",\"ip\":\"")?;
        self.put_ip(out)?;
        out.put(b"\",\"method\":\"")?;
        // A token (RFC 9110 section 5.6.2) has nothing to escape.
        out.put(request.method)?;
        out.put(b"\",\"path\":\"")?;
        // A route's path has nothing to escape either: the configuration sees to it.
        out.put(request.path)?;
        out.put(b"\",\"platform\":")?;
        put_value(out, parameters.platform)?;
        out.put(b",\"rid\":\"")?;
        out.put(receipt.rid.as_bytes())?;
        out.put(b"\",\"server_ingest_time\":")?;
        out.put(ingest_time)?;
        out.put(b",\"source_type\":\"http_server\",\"timestamp\":\"")?;
        out.put(moment.timestamp())?;
        out.put(b"\",\"ua\":")?;
        match request.user_agent {
            Some(user_agent) => out.put_string(user_agent)?,
            None => out.put(b"null")?,
        }
        if parameters.upload_timestamp.is_none() {
            out.put(b",\"upload_timestamp\":null")?;
        }
        out.put(b",\"uri\":\"")?;
        out.put_escaped(request.uri)?;
        out.put(b"\"}")
    }

    fn put_ip(&self, out: &mut impl Output) -> Option<()> {
        match self.fake_ip() {
            Some(fake) => fake.pieces(|piece| out.put_escaped(piece)),
            None => match self.addresses.peer() {
                // Nothing in it needs escaping.
                Some(peer) => out.put(peer),
                None => self.addresses.write(|piece| out.put_escaped(piece)),
            },
        }
    }
}

impl Encode for Record<'_> {
    fn len_max(&self) -> usize {
        let Self { request, parameters, .. } = self;
        let of_value = |value: Option<Value<'_>>| value.map_or(0, Value::len_max);
        let addresses = self.addresses.len_max().max(of_value(parameters.fake_ip));
        let app_id = of_value(parameters.app_id);
        let escaped = request.body.len()
            + request.uri.len()
            + request.path.len()
            + request.method.len()
            + request.user_agent.map_or(0, <[u8]>::len)
            + addresses
            + app_id
            + of_value(parameters.platform)
            + of_value(parameters.compression)
            + of_value(parameters.upload_timestamp)
            + of_value(parameters.fake_ip);
        FIXED_BYTES_MAX + escaped_len_max(escaped) + addresses.max(app_id).max(of_value(self.key))
    }

    fn len(&self) -> usize {
        let mut length = Length::default();
        // A length has room for everything: neither can fail.
        let _ = self.write_key(&mut length);
        let _ = self.write_value(&mut length);
        length.written()
    }

    fn encode(&self, free: &mut [u8]) -> Option<(usize, usize)> {
        let mut text = Text::new(free);
        self.write_key(&mut text)?;
        let key_len = text.written();
        self.write_value(&mut text)?;
        Some((key_len, text.written() - key_len))
    }
}

/// A string, or `null` where the query has no such parameter.
fn put_value(out: &mut impl Output, value: Option<Value<'_>>) -> Option<()> {
    match value {
        Some(value) => put_quoted(out, value),
        None => out.put(b"null"),
    }
}

fn put_number_or_string(out: &mut impl Output, value: Value<'_>) -> Option<()> {
    if value.is_integer() { value.pieces(|digits| out.put(digits)) } else { put_quoted(out, value) }
}

fn put_quoted(out: &mut impl Output, value: Value<'_>) -> Option<()> {
    out.put(b"\"")?;
    value.pieces(|piece| out.put_escaped(piece))?;
    out.put(b"\"")
}
