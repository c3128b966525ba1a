//! Makes topics by speaking Kafka's protocol: one `CreateTopics` request (version 2), which takes a millisecond where
//! Kafka's own tool starts a JVM.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::poll::{PATIENCE, poll_until};

const CREATE_TOPICS: i16 = 19;
const VERSION: i16 = 2;
const TOPIC_ALREADY_EXISTS: i16 = 36;

/// Whether the broker would make a topic now: it has registered with its controller and can place partitions.
pub fn is_ready(address: SocketAddr) -> bool {
    matches!(create(address, "ready-probe", 1, &[], true), Ok((0 | TOPIC_ALREADY_EXISTS, _)))
}

/// Makes a topic.
pub fn create_topic(address: SocketAddr, topic: &str, partitions: u32, settings: &[(&str, &str)]) {
    let partitions = i32::try_from(partitions).expect("a number of partitions");
    poll_until("the topic is made", PATIENCE, || match create(address, topic, partitions, settings, false) {
        Ok((0, _)) => Some(()),
        Ok((code, text)) => panic!("Kafka does not make topic {topic}: {code} {text}"),
        Err(_) => None,
    });
}

fn create(
    address: SocketAddr,
    topic: &str,
    partitions: i32,
    settings: &[(&str, &str)],
    only_validate: bool,
) -> io::Result<(i16, String)> {
    let mut request = Writer::default();
    request.i16(CREATE_TOPICS).i16(VERSION).i32(1).string("millrun-tests");
    request.i32(1).string(topic).i32(partitions).i16(1).i32(0);
    request.i32(i32::try_from(settings.len()).expect("a few"));
    for (key, value) in settings {
        request.string(key).string(value);
    }
    request.i32(10_000).0.push(u8::from(only_validate));
    let answer = exchange(address, &request.0)?;
    let mut answer = Reader(&answer);
    let (_correlation, _throttle_ms, _topics) = (answer.i32()?, answer.i32()?, answer.i32()?);
    let _topic = answer.string()?;
    Ok((answer.i16()?, answer.string()?))
}

/// Sends a request, with its length in front, and reads the answer without its own.
fn exchange(address: SocketAddr, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let length = u32::try_from(request.len()).expect("a small request");
    stream.write_all(&[&length.to_be_bytes(), request].concat())?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn i16(&mut self, value: i16) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn i32(&mut self, value: i32) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn string(&mut self, value: &str) -> &mut Self {
        self.i16(i16::try_from(value.len()).expect("a short string"));
        self.0.extend(value.as_bytes());
        self
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let (value, rest) = self.0.split_first_chunk().ok_or(io::ErrorKind::UnexpectedEof)?;
        self.0 = rest;
        Ok(*value)
    }

    fn i16(&mut self) -> io::Result<i16> {
        self.take().map(i16::from_be_bytes)
    }

    fn i32(&mut self) -> io::Result<i32> {
        self.take().map(i32::from_be_bytes)
    }

    /// Empty where it is null.
    fn string(&mut self) -> io::Result<String> {
        let length = usize::try_from(self.i16()?).unwrap_or(0);
        let (text, rest) = self.0.split_at_checked(length).ok_or(io::ErrorKind::UnexpectedEof)?;
        self.0 = rest;
        Ok(String::from_utf8_lossy(text).into_owned())
    }
}
