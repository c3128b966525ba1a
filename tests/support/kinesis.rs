//! A Kinesis server of the tests' own (npm `kinesis-local`), and what its streams hold.
//!
//! It is correct rather than real: it never throttles, knows no size limits, and takes only some hundred records a
//! second. [`crate::kinesis_proxy`] in front of it imposes what the real service does.

pub mod api;

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::kafka::process;
use crate::poll::poll_until;
use crate::port::ReservedPort;

/// Node has to read and compile the server first, next to whatever else runs.
const START_PATIENCE: Duration = Duration::from_mins(1);

/// One server. Dropped, it is killed.
#[derive(Debug)]
pub struct KinesisServer {
    plain: ReservedPort,
    tls: ReservedPort,
    dir: tempfile::TempDir,
    /// `None` while it is not running.
    process: Option<Child>,
}

/// A shard as the server describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardInfo {
    /// Its id.
    pub id: String,
    /// Its smallest hash key.
    pub first: u128,
    /// Its largest hash key.
    pub last: u128,
    /// Whether it takes records.
    pub open: bool,
}

/// A record as a consumer gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KinesisRecord {
    /// Where it was read from.
    pub shard: String,
    /// Its key.
    pub partition_key: String,
    /// Its data.
    pub data: Vec<u8>,
}

impl KinesisServer {
    /// A running server without streams.
    pub fn start() -> Self {
        let mut server = Self::prepare();
        server.start_again();
        server
    }

    /// One that has its ports and does not run.
    pub fn prepare() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        Self { plain: ReservedPort::take(), tls: ReservedPort::take(), dir, process: None }
    }

    /// Starts it, without streams: what it holds is in its memory.
    ///
    /// # Panics
    /// When it was not fetched (`make setup-test` does) or does not come up.
    pub fn start_again(&mut self) {
        let folder = tools().join("kinesis/server/node_modules/kinesis-local");
        assert!(folder.exists(), "no Kinesis server in {}: run `make setup-test`", folder.display());
        let log = fs::File::create(self.dir.path().join("server.log")).expect("server.log");
        let mut node = Command::new("node");
        node.arg("main.js").current_dir(folder);
        node.env("KINESIS_MOCK_PLAIN_PORT", self.plain.address.port().to_string());
        node.env("KINESIS_MOCK_TLS_PORT", self.tls.address.port().to_string());
        for change in ["CREATE_STREAM", "SPLIT_SHARD", "MERGE_SHARDS", "DELETE_STREAM"] {
            node.env(format!("{change}_DURATION"), "50ms");
        }
        node.env("SHARD_LIMIT", "500").env("LOG_LEVEL", "ERROR");
        node.stdin(Stdio::null()).stdout(log.try_clone().expect("server.log")).stderr(log);
        self.process = Some(process::spawn_tied_to_this_process(node));
        poll_until("the Kinesis server answers", START_PATIENCE, || {
            let ended = self.process.as_mut().and_then(|process| process.try_wait().ok().flatten());
            assert!(ended.is_none(), "the server ended: {ended:?}\n{}", self.log());
            api::call(self.address(), "ListStreams", b"{}").ok().filter(|reply| reply.status == 200)
        });
    }

    /// SIGKILL, and waits for the end: what it held is gone.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// SIGSTOP: connections are taken, and nothing is answered.
    pub fn pause(&self) {
        process::signal(self.process.as_ref().expect("it runs"), libc::SIGSTOP);
    }

    /// SIGCONT
    pub fn resume(&self) {
        process::signal(self.process.as_ref().expect("it runs"), libc::SIGCONT);
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.plain.address
    }

    /// Its URL.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address())
    }

    /// What it wrote.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("server.log")).unwrap_or_default()
    }

    /// Calls an operation that has to succeed.
    pub fn call(&self, operation: &str, body: &Value) -> Value {
        let reply = api::call(self.address(), operation, body.to_string().as_bytes());
        let reply = reply.unwrap_or_else(|error| panic!("{operation}: {error}\n{}", self.log()));
        assert_eq!(reply.status, 200, "{operation} {body}: {}", String::from_utf8_lossy(&reply.body));
        reply.json()
    }

    /// Makes a stream and waits until it is active.
    pub fn create_stream(&self, name: &str, shards: u32) {
        self.call("CreateStream", &json!({ "StreamName": name, "ShardCount": shards }));
        self.await_active(name);
    }

    /// Waits until no change of the stream is under way.
    pub fn await_active(&self, name: &str) {
        poll_until("the stream is active", START_PATIENCE, || {
            let found = self.call("DescribeStreamSummary", &json!({ "StreamName": name }));
            (found["StreamDescriptionSummary"]["StreamStatus"] == "ACTIVE").then_some(())
        });
    }

    /// All shards of a stream, closed ones included.
    pub fn shards(&self, name: &str) -> Vec<ShardInfo> {
        let found = self.call("ListShards", &json!({ "StreamName": name }));
        found["Shards"].as_array().expect("shards").iter().map(shard).collect()
    }

    /// Splits a shard in the middle and waits until that is done.
    pub fn split(&self, name: &str, shard: &ShardInfo) {
        let middle = shard.first + (shard.last - shard.first) / 2 + 1;
        self.call(
            "SplitShard",
            &json!({ "StreamName": name, "ShardToSplit": shard.id, "NewStartingHashKey": middle.to_string() }),
        );
        self.await_active(name);
    }

    /// Merges two neighbours and waits until that is done.
    pub fn merge(&self, name: &str, shard: &ShardInfo, neighbour: &ShardInfo) {
        self.call(
            "MergeShards",
            &json!({ "StreamName": name, "ShardToMerge": shard.id, "AdjacentShardToMerge": neighbour.id }),
        );
        self.await_active(name);
    }

    /// Every record of every shard, closed ones included, shard by shard in their order.
    pub fn records(&self, name: &str) -> Vec<KinesisRecord> {
        self.shards(name).iter().flat_map(|shard| self.records_of(name, &shard.id)).collect()
    }

    fn records_of(&self, name: &str, shard: &str) -> Vec<KinesisRecord> {
        let ask = json!({ "StreamName": name, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" });
        let mut iterator = self.call("GetShardIterator", &ask)["ShardIterator"].clone();
        let mut records = Vec::new();
        while let Some(place) = iterator.as_str() {
            let page = self.call("GetRecords", &json!({ "ShardIterator": place, "Limit": 10_000 }));
            let found = page["Records"].as_array().expect("records");
            records.extend(found.iter().map(|record| KinesisRecord {
                shard: shard.to_owned(),
                partition_key: text(record, "PartitionKey"),
                data: api::decode_base64(&text(record, "Data")),
            }));
            if found.is_empty() && page["MillisBehindLatest"].as_i64().unwrap_or_default() == 0 {
                break;
            }
            iterator = page["NextShardIterator"].clone();
        }
        records
    }
}

impl Drop for KinesisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(crate) fn shard(found: &Value) -> ShardInfo {
    let range = &found["HashKeyRange"];
    ShardInfo {
        id: text(found, "ShardId"),
        first: text(range, "StartingHashKey").parse().expect("a hash key"),
        last: text(range, "EndingHashKey").parse().expect("a hash key"),
        open: found["SequenceNumberRange"]["EndingSequenceNumber"].is_null(),
    }
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}")).to_owned()
}

fn tools() -> PathBuf {
    std::env::var_os("MILLRUN_TOOLS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository").join(".tools"),
        PathBuf::from,
    )
}

/// Takes records apart with AWS's `aws-kinesis-agg` for Python: each user record's partition key and data, in order.
pub fn deaggregate_independently(records: &[Vec<u8>]) -> Vec<(String, Vec<u8>)> {
    const SCRIPT: &str = include_str!("kinesis/deaggregate.py");
    let hex = |bytes: &Vec<u8>| {
        let mut line = String::with_capacity(bytes.len() * 2 + 1);
        for byte in bytes {
            write!(line, "{byte:02x}").expect("memory");
        }
        line + "\n"
    };
    let dir = tempfile::tempdir().expect("a temporary folder");
    let input = dir.path().join("records");
    fs::write(&input, records.iter().map(hex).collect::<String>()).expect("the records");
    let mut python = Command::new(tools().join("kinesis/python/bin/python"));
    python.arg("-c").arg(SCRIPT).stdin(fs::File::open(&input).expect("the records"));
    let output = process::run(&mut python, "de-aggregating with aws-kinesis-agg");
    let output = String::from_utf8(output).expect("text");
    let lines = output.lines().map(|line| {
        let (key, data) = line.split_once(' ').expect("key and data");
        let unhex = |text: &str| {
            let digits =
                |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("hex"), 16).expect("hex");
            text.as_bytes().chunks(2).map(digits).collect::<Vec<u8>>()
        };
        (String::from_utf8(unhex(key)).expect("a key"), unhex(data))
    });
    lines.collect()
}
