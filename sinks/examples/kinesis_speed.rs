//! How fast the Kinesis sink is, and what a record costs, against an endpoint that answers at once.
//!
//! ```text
//! cargo run --release -p millrun-sinks --features kinesis --example kinesis_speed [seconds] [record bytes] [part of a name] [records/s]
//! ```
//!
//! The endpoint is this program again, in a process of its own: it counts the entries of a call and says that each is
//! stored on the stream's only shard. Batches of 64 records are kept in flight, so the figures are the most that one
//! sink does: the lane's thread (packing, base64, judging) and the client's (signing, sending, reading) have a CPU time
//! each; making the records is in the lane's. With a rate, a millisecond's records are a batch. Loopback, no TLS: real networks add latency, which more calls in flight hide, and TLS.

#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::naive_bytecount,
    reason = "a program for people who measure"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use millrun_sinks::kinesis::{Compression, Credentials, KinesisSink, Options, Spread, open};
use millrun_sinks::{Batch, Delivery, Origin, Records, Settled, Sink, Submission, Wake};

const BATCH_RECORDS: usize = 64;
const BATCHES_IN_FLIGHT: u16 = 128;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == "serve") {
        return serve();
    }
    let number = |place: usize, default: u64| args.get(place).map_or(default, |arg| arg.parse().unwrap());
    let (seconds, bytes) = (Duration::from_secs(number(0, 5)), usize::try_from(number(1, 1024)).unwrap());
    let server = Server::start();
    println!(
        "{:<28} {:>10} {:>9} {:>12} {:>12} {:>12} {:>9}",
        "records of ~1 request each",
        "records/s",
        "calls/s",
        "lane us/rec",
        "client us/rec",
        "both us/rec",
        "rec/entry"
    );
    let plain = Options::new("speed");
    for (name, options) in [
        ("plain", plain.clone()),
        ("plain, even spread", Options { spread: Spread::Even, ..plain.clone() }),
        ("aggregated, 50 KiB", Options { aggregate_bytes_max: Some(51_200), ..plain.clone() }),
        ("aggregated, 1 MiB", Options { aggregate_bytes_max: Some(1 << 20), ..plain.clone() }),
        (
            "aggregated, 50 KiB, linger 20",
            Options { aggregate_bytes_max: Some(51_200), linger: Duration::from_millis(20), ..plain.clone() },
        ),
        ("plain, linger 20", Options { linger: Duration::from_millis(20), ..plain.clone() }),
        ("plain, gzip 1", Options { compression: Compression::Gzip { level: 1 }, ..plain.clone() }),
        ("plain, zstd 1", Options { compression: Compression::Zstd { level: 1 }, ..plain.clone() }),
    ] {
        if args.get(2).is_none_or(|part| name.contains(part)) {
            measure(name, &server.options(options), seconds, bytes, number(3, 0));
        }
    }
}

fn measure(name: &str, options: &Options, time: Duration, bytes: usize, rate: u64) {
    let mut lane = Lane::open(options);
    // Warm: connections, the map of shards.
    lane.run(Duration::from_secs(1), bytes, rate);
    let (before, started) = (Sample::take(&lane.sink), Instant::now());
    lane.run(time, bytes, rate);
    let (after, took) = (Sample::take(&lane.sink), started.elapsed().as_secs_f64());
    let records = (after.records - before.records) as f64;
    let micros = |before: f64, after: f64| (after - before) * 1e6 / records;
    let (lane_us, client_us) = (micros(before.lane_s, after.lane_s), micros(before.client_s, after.client_s));
    println!(
        "{name:<28} {:>10.0} {:>9.0} {lane_us:>12.2} {client_us:>12.2} {:>12.2} {:>9.1}",
        records / took,
        (after.calls - before.calls) / took,
        lane_us + client_us,
        records / (after.entries - before.entries),
    );
}

/// Counts and CPU times so far.
struct Sample {
    records: u64,
    calls: f64,
    entries: f64,
    lane_s: f64,
    client_s: f64,
}

impl Sample {
    fn take(sink: &KinesisSink) -> Self {
        let (mut records, mut calls, mut entries) = (0.0, 0.0, 0.0);
        sink.gauges(&mut |gauge| match gauge.name {
            "kinesis_records_delivered_total" => records = gauge.value,
            "kinesis_calls_total" => calls = gauge.value,
            "kinesis_entries_total" => entries = gauge.value,
            _ => {}
        });
        let (mut lane_s, mut client_s) = (0.0, 0.0);
        for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
            let read = |file: &str| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
            // Nanoseconds on a CPU, first of three numbers.
            let on_cpu = read("schedstat").split(' ').next().and_then(|text| text.parse::<f64>().ok());
            let seconds = on_cpu.unwrap_or_default() / 1e9;
            if read("comm").trim() == "kinesis" { client_s += seconds } else { lane_s += seconds }
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        Self { records: records as u64, calls, entries, lane_s, client_s }
    }
}

struct Lane {
    sink: KinesisSink,
    bell: Arc<(Mutex<bool>, Condvar)>,
    idle: Vec<Batch>,
    settled: Vec<Settled>,
}

impl Lane {
    fn open(options: &Options) -> Self {
        let bell = Arc::new((Mutex::new(false), Condvar::new()));
        let ringing = Arc::clone(&bell);
        let wake = Wake::new(move || {
            *ringing.0.lock().unwrap() = true;
            ringing.1.notify_one();
        });
        let new = |slot| Batch::new(Origin { shard: 0, slot }, 1 << 20, BATCH_RECORDS);
        Self {
            sink: open(options, wake).unwrap(),
            bell,
            idle: (0..BATCHES_IN_FLIGHT).map(new).collect(),
            settled: Vec::new(),
        }
    }

    fn run(&mut self, time: Duration, bytes: usize, rate: u64) {
        let started = Instant::now();
        let end = started + time;
        let mut ticks = 0;
        loop {
            let now = Instant::now();
            let due = if rate == 0 { u128::MAX } else { (now - started).as_millis() };
            while now < end
                && ticks < due
                && let Some(mut batch) = self.idle.pop()
            {
                ticks += 1;
                let records = if rate == 0 { BATCH_RECORDS } else { usize::try_from(rate / 1000).unwrap() };
                batch.clear();
                (0..records).for_each(|number| fill(&mut batch, number, bytes));
                let deadline = now + Duration::from_secs(30);
                self.sink.submit(Submission { batch, records: Records::All, deadline }, now);
            }
            self.sink.poll(Instant::now(), &mut self.settled);
            for Settled { batch, delivery } in self.settled.drain(..) {
                assert_eq!(delivery, Delivery::All);
                self.idle.push(batch);
            }
            if now >= end && self.sink.is_idle() {
                return;
            }
            if now < end && ticks < due && !self.idle.is_empty() {
                continue;
            }
            let nap = self.sink.next_poll().map(|at| at.saturating_duration_since(Instant::now()));
            let rung = self.bell.0.lock().unwrap();
            let nap_max = if rate == 0 { Duration::from_secs(1) } else { Duration::from_millis(1) };
            let nap = nap.unwrap_or(nap_max).min(nap_max);
            let (mut rung, _) = self.bell.1.wait_timeout_while(rung, nap, |rung| !*rung).unwrap();
            *rung = false;
        }
    }
}

/// A record that compresses about as well as an event does.
fn fill(batch: &mut Batch, number: usize, bytes: usize) {
    batch
        .append_with(|free| {
            let head = format!("{{\"number\":{number},\"data\":\"");
            free[..head.len()].copy_from_slice(head.as_bytes());
            for (place, byte) in free[head.len()..bytes].iter_mut().enumerate() {
                *byte = b"{\\\"event\\\":\\\"page_view\\\",\\\"t\\\":"[(place * (1 + number % 3)) % 30];
            }
            Some((0, bytes))
        })
        .unwrap();
}

struct Server {
    process: Child,
    endpoint: String,
}

impl Server {
    fn start() -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut process = command.arg("serve").stdout(Stdio::piped()).stdin(Stdio::piped()).spawn().unwrap();
        let mut endpoint = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut endpoint).unwrap();
        Self { process, endpoint: endpoint.trim().to_owned() }
    }

    fn options(&self, options: Options) -> Options {
        Options {
            endpoint: Some(self.endpoint.clone()),
            region: Some("us-east-1".to_owned()),
            credentials: Some(Credentials {
                access_key_id: "speed".to_owned(),
                secret_access_key: "speed".to_owned(),
                session_token: None,
            }),
            ..options
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("http://{}", listener.local_addr().unwrap());
    // Its standard input ends with the process that measures.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    for stream in listener.incoming() {
        let stream = stream.unwrap();
        std::thread::spawn(move || answer(&stream));
    }
}

fn answer(stream: &TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::with_capacity(1 << 16, stream);
    let mut body = Vec::new();
    loop {
        let (mut length, mut puts, mut line) = (0, false, String::new());
        loop {
            line.clear();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let lower = line.trim_end().to_ascii_lowercase();
            if lower.is_empty() {
                break;
            }
            puts |= lower.ends_with("putrecords");
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body).ok()?;
        // Every entry is an object, and base64 has no braces.
        let entries = body.iter().filter(|byte| **byte == b'{').count().saturating_sub(1);
        let reply = if puts { stored(entries) } else { SHARDS.to_owned() };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\n\r\n",
            reply.len()
        );
        let mut out = stream;
        out.write_all((head + &reply).as_bytes()).ok()?;
    }
}

const SHARDS: &str = "{\"Shards\":[{\"ShardId\":\"shardId-000000000000\",\"HashKeyRange\":{\"StartingHashKey\":\"0\",\
                      \"EndingHashKey\":\"340282366920938463463374607431768211455\"},\"SequenceNumberRange\":\
                      {\"StartingSequenceNumber\":\"1\"}}]}";

fn stored(entries: usize) -> String {
    let entry = "{\"SequenceNumber\":\"49680497050314990187616231821016301438466169612812681218\",\"ShardId\":\
                 \"shardId-000000000000\"}";
    format!("{{\"FailedRecordCount\":0,\"Records\":[{}]}}", vec![entry; entries].join(","))
}
