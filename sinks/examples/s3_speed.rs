//! How fast records become objects, and what that costs, against an endpoint that answers at once.
//!
//! ```text
//! cargo run --release -p millrun-sinks --features s3 --example s3_speed [seconds] [record bytes] [part of a name]
//! ```
//!
//! The endpoint is this program again, in a process of its own: it reads what is uploaded and says that it is stored. The
//! shipper is given batches of 64 records as fast as it takes them, as it is when a journal has a backlog; copying a batch
//! out of memory stands for reading it from the disk. CPU time is that of the shipper's thread (copying, compressing,
//! checksums) and of the client's (hashing what it signs, sending). Loopback, no TLS.
//!
//! `MB/s a core` is bytes before compression by CPU time of both threads.

#![allow(clippy::unwrap_used, clippy::cast_precision_loss, reason = "a program for people who measure")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use millrun_sinks::s3::{Checksum, Compression, Credentials, JournalShape, Options, Shipper};
use millrun_sinks::{Batch, Origin, Source, SourceError, StreamId, Wake};

const BATCH_RECORDS: usize = 64;
/// Different batches: more than any compressor's window holds.
const BATCHES: usize = 256;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == "serve") {
        return serve();
    }
    let number = |place: usize, default: u64| args.get(place).map_or(default, |arg| arg.parse().unwrap());
    let (seconds, bytes) = (Duration::from_secs(number(0, 5)), usize::try_from(number(1, 1024)).unwrap());
    let server = Server::start();
    println!(
        "{:<20} {:>9} {:>10} {:>9} {:>12} {:>12} {:>11} {:>8}",
        "records to objects",
        "raw MB/s",
        "records/s",
        "objects/s",
        "ship us/rec",
        "client us/rec",
        "MB/s a core",
        "ratio"
    );
    let gzip = server.options();
    for (name, options) in [
        ("gzip 1", gzip.clone()),
        ("gzip 1, one put", Options { object_bytes_max: 6_000_000, ..gzip.clone() }),
        ("gzip 1, SHA-256", Options { checksum: Checksum::Sha256, ..gzip.clone() }),
        ("gzip 6", Options { compression: Compression::Gzip { level: 6 }, ..gzip.clone() }),
        ("zstd 1", Options { compression: Compression::Zstd { level: 1 }, ..gzip.clone() }),
        ("zstd 3", Options { compression: Compression::Zstd { level: 3 }, ..gzip.clone() }),
        ("none", Options { compression: Compression::None, ..gzip.clone() }),
    ] {
        if args.get(2).is_none_or(|part| name.contains(part)) {
            measure(name, &options, seconds, bytes);
        }
    }
}

fn measure(name: &str, options: &Options, time: Duration, bytes: usize) {
    let me = std::thread::current();
    let dir = std::env::temp_dir();
    let shape = JournalShape {
        batch_bytes_max: 2 * BATCH_RECORDS * bytes,
        batch_records_max: BATCH_RECORDS,
        accounts_dir: &dir,
    };
    let mut shipper =
        Shipper::open(options, Backlog::new(bytes), shape, Wake::new(move || me.unpark())).unwrap();
    // Warm: connections, the first object.
    run(&mut shipper, Duration::from_secs(1));
    let (before, started) = (Sample::take(&shipper), Instant::now());
    run(&mut shipper, time);
    let (after, took) = (Sample::take(&shipper), started.elapsed().as_secs_f64());
    let (records, raw) = (after.records - before.records, after.raw_bytes - before.raw_bytes);
    let (ship_s, client_s) = (after.ship_s - before.ship_s, after.client_s - before.client_s);
    println!(
        "{name:<20} {:>9.0} {:>10.0} {:>9.1} {:>12.2} {:>12.2} {:>11.0} {:>8.1}",
        raw / took / 1e6,
        records / took,
        (after.objects - before.objects) / took,
        ship_s * 1e6 / records,
        client_s * 1e6 / records,
        raw / (ship_s + client_s) / 1e6,
        raw / (after.bytes - before.bytes),
    );
}

fn run(shipper: &mut Shipper<Backlog>, time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        let turn = shipper.turn(Instant::now(), SystemTime::now());
        std::thread::park_timeout(turn.next.saturating_duration_since(Instant::now()));
    }
}

/// Counts and CPU times so far.
struct Sample {
    records: f64,
    raw_bytes: f64,
    bytes: f64,
    objects: f64,
    ship_s: f64,
    client_s: f64,
}

impl Sample {
    fn take(shipper: &Shipper<Backlog>) -> Self {
        let (mut records, mut raw_bytes, mut bytes, mut objects) = (0.0, 0.0, 0.0, 0.0);
        shipper.gauges(&mut |gauge| match gauge.name {
            "s3_records_total" => records = gauge.value,
            "s3_raw_bytes_total" => raw_bytes = gauge.value,
            "s3_stored_bytes_total" => bytes = gauge.value,
            "s3_objects_total" => objects = gauge.value,
            _ => {}
        });
        let (mut ship_s, mut client_s) = (0.0, 0.0);
        for task in std::fs::read_dir("/proc/self/task").unwrap().flatten() {
            let read = |file: &str| std::fs::read_to_string(task.path().join(file)).unwrap_or_default();
            // Nanoseconds on a CPU, first of three numbers.
            let on_cpu = read("schedstat").split(' ').next().and_then(|text| text.parse::<f64>().ok());
            let seconds = on_cpu.unwrap_or_default() / 1e9;
            if read("comm").trim() == "s3" { client_s += seconds } else { ship_s += seconds }
        }
        Self { records, raw_bytes, bytes, objects, ship_s, client_s }
    }
}

/// A journal that never ends: the same batches over and over.
struct Backlog {
    batches: Vec<Batch>,
    delivered: u64,
    note: Vec<u8>,
}

impl Backlog {
    fn new(bytes: usize) -> Self {
        let mut random = fastrand::Rng::with_seed(1);
        let batch = |_| {
            let origin = Origin { shard: 0, slot: 0 };
            let mut batch = Batch::new(origin, 2 * BATCH_RECORDS * bytes, BATCH_RECORDS);
            (0..BATCH_RECORDS).for_each(|_| append(&mut batch, &record(&mut random, bytes)));
            batch
        };
        Self { batches: (0..BATCHES).map(batch).collect(), delivered: 0, note: Vec::new() }
    }
}

impl Source for Backlog {
    fn streams(&mut self) -> Vec<StreamId> {
        vec![StreamId(0)]
    }

    fn read(&mut self, _: StreamId, from: u64, batch: &mut Batch) -> Result<Option<u64>, SourceError> {
        batch.clear();
        let place = usize::try_from(from).unwrap() % self.batches.len();
        self.batches[place].records().for_each(|record| append(batch, record.value));
        Ok(Some(from))
    }

    fn delivered_below(&mut self, _: StreamId, sequence: u64) {
        self.delivered = sequence;
    }

    fn delivered(&self, _: StreamId) -> u64 {
        self.delivered
    }

    fn write_note(&mut self, note: &[u8]) -> Result<(), SourceError> {
        note.clone_into(&mut self.note);
        Ok(())
    }

    fn read_note(&mut self) -> Result<Vec<u8>, SourceError> {
        Ok(self.note.clone())
    }
}

fn append(batch: &mut Batch, value: &[u8]) {
    batch
        .append_with(|free| {
            free[..value.len()].copy_from_slice(value);
            Some((0, value.len()))
        })
        .unwrap();
}

/// A record as the engine makes it of a page view: what a browser repeats, and what is new in each (ids, times, places).
fn record(random: &mut fastrand::Rng, bytes: usize) -> Vec<u8> {
    let time = 1_795_424_461_000_u64 + random.u64(..3_600_000);
    let agents = ["Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7", "X11; Linux x86_64"];
    let head = format!(
        "{{\"appId\":\"shop\",\"compression\":null,\"data\":\"[{{\\\"event_type\\\":\\\"_page_view\\\",\\\"event_id\\\":\\\"{:032x}\\\",\
         \\\"timestamp\\\":{time},\\\"device_id\\\":\\\"{:032x}\\\",\\\"unique_id\\\":\\\"{:032x}\\\",\\\"attributes\\\":{{\\\"_page_url\\\":\
         \\\"https://shop.example.com/p/{}\\\",\\\"_session_id\\\":\\\"{:016x}\\\",\\\"_engagement_time_msec\\\":{},\\\"text\\\":\\\"",
        random.u128(..),
        random.u128(..),
        random.u128(..),
        random.u32(..100_000),
        random.u64(..),
        random.u32(..100_000),
    );
    let tail = format!(
        "\\\"}}}}]\",\"date\":\"2026-11-23T09:01:01.{:03}Z\",\"ip\":\"{}.{}.{}.{}\",\"method\":\"POST\",\"path\":\"/collect\",\"platform\":\
         \"Web\",\"rid\":\"{:032x}\",\"server_ingest_time\":{time},\"ua\":\"Mozilla/5.0 ({}) AppleWebKit/537.36 (KHTML, like Gecko) \
         Chrome/{}.0.0.0 Safari/537.36\",\"uri\":\"/collect\"}}",
        random.u32(..1000),
        random.u8(..),
        random.u8(..),
        random.u8(..),
        random.u8(..),
        random.u128(..),
        agents[random.usize(..3)],
        random.u32(120..142),
    );
    let mut record = head.into_bytes();
    let words = ["running", "shoes", "blue", "size", "offer", "list", "grid", "sale", "new", "cart"];
    while record.len() + tail.len() < bytes {
        let word = words[random.usize(..words.len())];
        let room = bytes - record.len() - tail.len();
        record.extend(word.bytes().chain(*b" ").take(room));
    }
    record.extend(tail.bytes());
    record
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

    fn options(&self) -> Options {
        Options {
            endpoint: Some(self.endpoint.clone()),
            path_style: true,
            region: Some("us-east-1".to_owned()),
            credentials: Some(Credentials {
                access_key_id: "speed".to_owned(),
                secret_access_key: "speed".to_owned(),
                session_token: None,
            }),
            ..Options::new("speed")
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
    let mut reader = BufReader::with_capacity(1 << 18, stream);
    let mut out = stream;
    loop {
        let (mut length, mut expects, mut line, mut first) = (0_u64, false, String::new(), String::new());
        reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
        loop {
            line.clear();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            let lower = line.trim_end().to_ascii_lowercase();
            if lower.is_empty() {
                break;
            }
            expects |= lower.starts_with("expect:");
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        if expects {
            out.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
        }
        std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink()).ok()?;
        let reply = if first.contains("?uploads") {
            "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
        } else if first.starts_with("POST") {
            "<CompleteMultipartUploadResult><ETag>\"e\"</ETag></CompleteMultipartUploadResult>"
        } else {
            ""
        };
        let length = reply.len();
        let head = format!("HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: {length}\r\n\r\n");
        out.write_all((head + reply).as_bytes()).ok()?;
    }
}
