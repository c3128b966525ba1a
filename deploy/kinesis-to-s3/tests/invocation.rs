//! The function's own binary against a runtime API and a store of the test's own: what the service sees.

#![allow(clippy::unwrap_used, reason = "a panic is how a test reports")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Far above what a busy machine needs.
const PATIENCE: Duration = Duration::from_mins(1);

struct Request {
    method: String,
    path: String,
    body: Vec<u8>,
}

/// Serves HTTP until the test ends; `answer` gives status and body.
fn serve(answer: impl Fn(Request) -> (u16, String, Vec<u8>) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = Arc::clone(&answer);
            thread::spawn(move || connection(&stream.unwrap(), &*answer));
        }
    });
    address
}

fn connection(stream: &TcpStream, answer: &dyn Fn(Request) -> (u16, String, Vec<u8>)) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let mut words = line.split(' ').map(str::to_owned);
        let (method, path) = (words.next()?, words.next()?);
        let (mut length, mut chunked) = (0, false);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            chunked |= line.starts_with("transfer-encoding:") && line.contains("chunked");
            if line.starts_with("expect:") {
                let mut out = stream;
                out.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
            }
        }
        let mut body = vec![0; length];
        if chunked {
            read_chunks(&mut reader, &mut body)?;
        } else {
            reader.read_exact(&mut body).ok()?;
        }
        let head = method == "HEAD";
        let (status, headers, reply) = answer(Request { method, path, body });
        let mut out = stream;
        let text = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n", reply.len());
        out.write_all(text.as_bytes()).ok()?;
        out.write_all(if head { &[] } else { &reply }).ok()?;
    }
}

fn read_chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> Option<()> {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let size = usize::from_str_radix(line.trim_end(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).ok()?;
        if size == 0 {
            return Some(());
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

/// The function's process, killed at the end.
struct Function {
    process: Child,
    invoke: Sender<Value>,
    answers: Receiver<(String, Value)>,
    bucket: Arc<Mutex<Bucket>>,
}

#[derive(Default)]
struct Bucket {
    objects: BTreeMap<String, Vec<u8>>,
    /// Puts to be answered 500.
    failing: bool,
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Function {
    fn start() -> Self {
        let bucket = Arc::new(Mutex::new(Bucket::default()));
        let stored = Arc::clone(&bucket);
        let s3 = serve(move |request| {
            let mut bucket = stored.lock().unwrap();
            let key = request.path.split('?').next().unwrap().replace("%3D", "=");
            match request.method.as_str() {
                "PUT" if bucket.failing => (500, String::new(), Vec::new()),
                "PUT" => {
                    bucket.objects.insert(key, request.body);
                    (200, String::new(), Vec::new())
                }
                "HEAD" if bucket.objects.contains_key(&key) => (200, String::new(), Vec::new()),
                _ => (404, String::new(), Vec::new()),
            }
        });
        let (invoke, events) = channel::<Value>();
        let (tell, answers) = channel();
        let events = Mutex::new(events);
        let api = serve(move |request| match request.path.rsplit('/').next().unwrap() {
            "next" => {
                // At the test's end nobody sends any more: the connection stays open until the process is killed.
                let event = events.lock().unwrap().recv().unwrap_or_else(|_| {
                    thread::park();
                    Value::Null
                });
                let headers = "Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n\
                     Lambda-Runtime-Deadline-Ms: 4102444800000\r\n\
                     Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:1:function:f\r\n\
                     Lambda-Runtime-Trace-Id: Root=1\r\nContent-Type: application/json\r\n";
                (200, headers.to_owned(), event.to_string().into_bytes())
            }
            kind => {
                let body = serde_json::from_slice(&request.body).unwrap_or_default();
                let _ = tell.send((kind.to_owned(), body));
                (202, String::new(), b"{}".to_vec())
            }
        });
        let mut command = Command::new(env!("CARGO_BIN_EXE_bootstrap"));
        let variables = [
            ("AWS_LAMBDA_RUNTIME_API", api),
            ("AWS_LAMBDA_FUNCTION_NAME", "f".into()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256".into()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1".into()),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "g".into()),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "s".into()),
            ("AWS_ENDPOINT_URL_S3", format!("http://{s3}")),
            ("AWS_REGION", "us-east-1".into()),
            ("AWS_ACCESS_KEY_ID", "test".into()),
            ("AWS_SECRET_ACCESS_KEY", "test".into()),
            ("S3_BUCKET", "events".into()),
            ("S3_PREFIX", "data/".into()),
        ];
        let process = command.env_clear().envs(variables).stdin(Stdio::null()).spawn().unwrap();
        Self { process, invoke, answers, bucket }
    }

    /// What the function answers.
    fn invoke(&self, event: Value) -> (String, Value) {
        self.invoke.send(event).unwrap();
        self.answers.recv_timeout(PATIENCE).expect("an answer of the function's")
    }

    fn keys(&self) -> Vec<String> {
        self.bucket.lock().unwrap().objects.keys().cloned().collect()
    }
}

fn event(data: &[&[u8]]) -> Value {
    let record = |(number, data): (usize, &&[u8])| {
        json!({
            "kinesis": {
                "partitionKey": "k", "sequenceNumber": number.to_string(), "data": STANDARD.encode(data),
                "approximateArrivalTimestamp": 1_700_000_000.5
            },
            "eventID": format!("shardId-000000000000:{number}"), "eventSourceARN": "arn:s"
        })
    };
    json!({ "Records": data.iter().enumerate().map(record).collect::<Vec<_>>() })
}

#[test]
fn batches_are_written_once_whatever_the_bucket_does() {
    let function = Function::start();
    let batch = || event(&[b"{\"n\":0}", b"poison", b"{\"n\":1}"]);
    let done = ("response".to_owned(), json!({ "batchItemFailures": [] }));

    assert_eq!(function.invoke(batch()), done);
    let keys = function.keys();
    assert_eq!(keys.len(), 2);
    assert!(keys[0].starts_with("/events/data/year="), "{keys:?}");
    assert!(keys[1].starts_with("/events/dead-letter/year="), "{keys:?}");
    let mut text = String::new();
    let body = function.bucket.lock().unwrap().objects[&keys[0]].clone();
    flate2::read::GzDecoder::new(body.as_slice()).read_to_string(&mut text).unwrap();
    assert_eq!(text, "{\"n\":0}\n{\"n\":1}\n");

    // Given again, as after an answer that got lost.
    assert_eq!(function.invoke(batch()), done);
    assert_eq!(function.keys(), keys);

    let other = || event(&[b"{\"n\":2}"]);
    function.bucket.lock().unwrap().failing = true;
    let failed = json!({ "batchItemFailures": [{ "itemIdentifier": "0" }] });
    assert_eq!(function.invoke(other()), ("response".to_owned(), failed));
    function.bucket.lock().unwrap().failing = false;
    assert_eq!(function.invoke(other()), done);
    assert_eq!(function.keys().len(), 3);
}

#[test]
fn what_is_no_event_is_an_error_and_the_next_one_is_served() {
    let function = Function::start();
    let (kind, body) = function.invoke(json!({ "hello": 1 }));
    assert_eq!(kind, "error", "{body}");
    assert_eq!(function.invoke(event(&[b"{}"])).1, json!({ "batchItemFailures": [] }));
}
