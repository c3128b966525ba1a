//! What the test server does not do and the real service does: limits per shard, refusals of single records inside an
//! answer 200, size limits, internal failures, outages of every kind.
//!
//! ```text
//!   sink ──▶ proxy ── entries that pass ──▶ KinesisServer
//!     ◀── one answer: what the server said, and the refusals in their places
//! ```

pub mod shard_limits;

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use md5::{Digest, Md5};
use serde_json::{Value, json};

use crate::kinesis::{ShardInfo, api};
use shard_limits::{Buckets, ShardLimits};

/// What happens to whole calls of `PutRecords`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// An error answer; nothing is stored.
    Error {
        /// HTTP status.
        status: u16,
        /// Error code, such as `ExpiredTokenException`.
        code: &'static str,
    },
    /// No answer, and nothing is stored.
    Stall(Duration),
    /// No answer, but all of it is stored.
    StoredUnanswered,
    /// The connection is cut before an answer, and nothing is stored.
    Cut,
}

/// How the proxy behaves. Changed at any time through [`KinesisProxy::change`].
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// What each shard takes.
    pub limits: ShardLimits,
    /// Share of entries that fail with `InternalFailure` inside an answer 200, and are not stored.
    pub internal_failures: f64,
    /// Largest record; a call with a larger one is refused as a whole, as the real service does.
    pub record_bytes_max: usize,
    /// What happens to calls, one after the other; behind the last they go through.
    pub troubles: Vec<Trouble>,
    /// What happens to every call until it is taken back.
    pub outage: Option<Trouble>,
    /// The only access key whose calls go through; others get `ExpiredTokenException`.
    pub access_key: Option<&'static str>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            limits: ShardLimits::NONE,
            internal_failures: 0.0,
            record_bytes_max: 1 << 20,
            troubles: Vec::new(),
            outage: None,
            access_key: None,
        }
    }
}

/// What went through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls of `PutRecords`.
    pub calls: usize,
    /// Their entries.
    pub entries: usize,
    /// Entries refused for a shard's limits, by shard.
    pub throttled: std::collections::BTreeMap<String, usize>,
    /// Entries that failed with `InternalFailure`.
    pub internal: usize,
    /// Calls that were refused, stalled or cut as a whole.
    pub troubled: usize,
}

/// A proxy in front of one server. Dropped, it takes no more connections.
#[derive(Debug)]
pub struct KinesisProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    behaviour: Mutex<Behaviour>,
    counts: Mutex<Counts>,
    buckets: Mutex<Buckets>,
    confirmed: Mutex<Vec<Vec<u8>>>,
    ended: AtomicBool,
}

impl KinesisProxy {
    /// A proxy for the server at `server`.
    pub fn start(server: SocketAddr, behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            server,
            behaviour: Mutex::new(behaviour),
            counts: Mutex::default(),
            buckets: Mutex::default(),
            confirmed: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if serving.ended.load(Ordering::Relaxed) {
                    return;
                }
                let serving = Arc::clone(&serving);
                // A connection that breaks is the client's affair.
                thread::spawn(move || serving.connection(&stream));
            }
        });
        Self { address, shared }
    }

    /// Its URL.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Changes how it behaves from the next call on.
    pub fn change(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut lock(&self.shared.behaviour));
    }

    /// The data of every entry that the server confirmed, in that order. What was stored and not confirmed is not among
    /// them. It outlives the server, which keeps its records in memory.
    pub fn confirmed(&self) -> Vec<Vec<u8>> {
        lock(&self.shared.confirmed).clone()
    }

    /// What went through so far.
    pub fn counts(&self) -> Counts {
        lock(&self.shared.counts).clone()
    }
}

impl Drop for KinesisProxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        // Lets the listener's thread see it.
        let _ = TcpStream::connect(self.address);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn connection(&self, stream: &TcpStream) -> Option<()> {
        stream.set_nodelay(true).ok()?;
        let mut reader = BufReader::new(stream);
        loop {
            let Request { operation, access_key, body } = read_request(&mut reader)?;
            let (status, reply) = match operation.as_str() {
                "PutRecords" => self.put_records(&access_key, &body)?,
                _ => self.forward(&operation, &body)?,
            };
            let head = format!(
                "HTTP/1.1 {status} X\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\n\r\n",
                reply.len()
            );
            let mut out = stream;
            out.write_all(head.as_bytes()).ok()?;
            out.write_all(&reply).ok()?;
        }
    }

    fn forward(&self, operation: &str, body: &[u8]) -> Option<(u16, Vec<u8>)> {
        let reply = api::call(self.server, operation, body).ok()?;
        Some((reply.status, reply.body))
    }

    /// `None`: the connection is cut.
    fn put_records(&self, access_key: &str, body: &[u8]) -> Option<(u16, Vec<u8>)> {
        let request: Value = serde_json::from_slice(body).expect("the sink sends JSON");
        let (trouble, behaviour) = {
            let mut behaviour = lock(&self.behaviour);
            let next = if behaviour.troubles.is_empty() { None } else { Some(behaviour.troubles.remove(0)) };
            let expired = behaviour.access_key.is_some_and(|valid| valid != access_key);
            let expired = expired.then_some(Trouble::Error { status: 400, code: "ExpiredTokenException" });
            (next.or(expired).or_else(|| behaviour.outage.clone()), behaviour.clone())
        };
        {
            let mut counts = lock(&self.counts);
            counts.calls += 1;
            counts.troubled += usize::from(trouble.is_some());
        }
        match trouble {
            Some(Trouble::Error { status, code }) => return Some(error(status, code, "injected")),
            Some(Trouble::Stall(time)) => {
                thread::sleep(time);
                return None;
            }
            Some(Trouble::Cut) => return None,
            Some(Trouble::StoredUnanswered) => {
                self.forward("PutRecords", body)?;
                return None;
            }
            None => {}
        }
        let entries = request["Records"].as_array().expect("records").clone();
        assert!((1..=500).contains(&entries.len()), "PutRecords takes 1 to 500 records");
        let sizes: Vec<usize> = entries.iter().map(size).collect();
        assert!(sizes.iter().sum::<usize>() <= 10 << 20, "PutRecords takes 10 MiB");
        if let Some(large) = sizes.iter().position(|size| *size > behaviour.record_bytes_max) {
            let message = format!(
                "1 validation error detected: Value at 'records.{}.member.data' failed to satisfy constraint: Member \
                 must have length less than or equal to {}",
                large + 1,
                behaviour.record_bytes_max
            );
            return Some(error(400, "ValidationException", &message));
        }
        self.pass(&request, entries, &behaviour)
    }

    /// Forwards what may pass and puts the refusals into their places.
    fn pass(&self, request: &Value, entries: Vec<Value>, behaviour: &Behaviour) -> Option<(u16, Vec<u8>)> {
        let name = request["StreamName"].as_str().expect("a stream's name").to_owned();
        let refusals = self.refusals(&name, &entries, behaviour)?;
        let passing: Vec<Value> = entries
            .into_iter()
            .zip(&refusals)
            .filter_map(|(entry, refusal)| refusal.is_none().then_some(entry))
            .collect();
        let mut said = Vec::new();
        if !passing.is_empty() {
            let body = json!({ "StreamName": name, "Records": passing }).to_string();
            let (status, reply) = self.forward("PutRecords", body.as_bytes())?;
            if status != 200 {
                return Some((status, reply));
            }
            let reply: Value = serde_json::from_slice(&reply).expect("the server answers JSON");
            said.clone_from(reply["Records"].as_array().expect("records"));
            let stored = passing.iter().zip(&said).filter(|(_, said)| said["ErrorCode"].is_null());
            let data = stored.map(|(entry, _)| api::decode_base64(entry["Data"].as_str().expect("data")));
            lock(&self.confirmed).extend(data);
        }
        let mut said = said.into_iter();
        let failed = refusals.iter().filter(|refusal| refusal.is_some()).count();
        let records: Vec<Value> = refusals
            .into_iter()
            .map(|refusal| refusal.unwrap_or_else(|| said.next().expect("an answer for each entry")))
            .collect();
        let reply = json!({ "FailedRecordCount": failed, "Records": records });
        Some((200, reply.to_string().into_bytes()))
    }

    fn refusals(&self, name: &str, entries: &[Value], behaviour: &Behaviour) -> Option<Vec<Option<Value>>> {
        let ask = json!({ "StreamName": name }).to_string();
        let limited = behaviour.limits != ShardLimits::NONE;
        let shards: Vec<ShardInfo> = if limited {
            let (_, reply) = self.forward("ListShards", ask.as_bytes())?;
            let reply: Value = serde_json::from_slice(&reply).ok()?;
            reply["Shards"].as_array()?.iter().map(crate::kinesis::shard).filter(|shard| shard.open).collect()
        } else {
            Vec::new()
        };
        let (mut buckets, mut counts, now) = (lock(&self.buckets), lock(&self.counts), Instant::now());
        counts.entries += entries.len();
        let mut refuse = |entry: &Value| {
            if fastrand::f64() < behaviour.internal_failures {
                counts.internal += 1;
                return Some(
                    json!({ "ErrorCode": "InternalFailure", "ErrorMessage": "Internal Service Failure" }),
                );
            }
            let key = hash_key(entry);
            let shard = shards.iter().find(|shard| (shard.first..=shard.last).contains(&key))?;
            if buckets.take(&shard.id, size(entry), behaviour.limits, now) {
                return None;
            }
            *counts.throttled.entry(shard.id.clone()).or_default() += 1;
            Some(json!({
                "ErrorCode": "ProvisionedThroughputExceededException",
                "ErrorMessage": format!("Rate exceeded for shard {} in stream {name}", shard.id),
            }))
        };
        Some(entries.iter().map(&mut refuse).collect())
    }
}

fn error(status: u16, code: &str, message: &str) -> (u16, Vec<u8>) {
    (status, json!({ "__type": code, "message": message }).to_string().into_bytes())
}

/// Partition key and data of an entry, in bytes before base64.
fn size(entry: &Value) -> usize {
    let data = entry["Data"].as_str().expect("data");
    let key = entry["PartitionKey"].as_str().expect("a partition key");
    assert!(!key.is_empty() && key.chars().count() <= 256, "a partition key has 1 to 256 characters");
    data.len() / 4 * 3 - data.bytes().rev().take_while(|byte| *byte == b'=').count() + key.len()
}

fn hash_key(entry: &Value) -> u128 {
    entry["ExplicitHashKey"].as_str().map_or_else(
        || u128::from_be_bytes(Md5::digest(entry["PartitionKey"].as_str().unwrap_or_default()).into()),
        |key| key.parse().expect("a hash key"),
    )
}

/// A request of the client's.
struct Request {
    operation: String,
    access_key: String,
    body: Vec<u8>,
}

/// The next request; `None` at the connection's end.
fn read_request(reader: &mut impl BufRead) -> Option<Request> {
    let (mut operation, mut access_key, mut length) = (String::new(), String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        match name.to_ascii_lowercase().as_str() {
            "x-amz-target" => value.rsplit('.').next()?.clone_into(&mut operation),
            "content-length" => length = value.trim().parse().ok()?,
            "authorization" => {
                let credential = value.split("Credential=").nth(1)?;
                credential.split('/').next()?.clone_into(&mut access_key);
            }
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { operation, access_key, body })
}
