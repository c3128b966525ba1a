//! The credentials endpoint that Amazon ECS gives a task, on loopback: temporary keys that a test can change.
//!
//! The engine is pointed to it by `AWS_CONTAINER_CREDENTIALS_FULL_URI` ([`ContainerCredentials::url`]).

use std::io::{BufRead, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime};

/// What the endpoint gives out.
#[derive(Clone, Debug)]
pub struct TaskCredentials {
    /// Access key id.
    pub key: String,
    /// Secret access key.
    pub secret: String,
    /// How long they live from when they were asked for.
    pub lifetime: Duration,
}

/// The endpoint. Serves until the test process ends.
#[derive(Debug)]
pub struct ContainerCredentials {
    address: SocketAddr,
    now: Arc<Mutex<TaskCredentials>>,
    asked: Arc<AtomicUsize>,
}

impl ContainerCredentials {
    /// Starts to give out `credentials`.
    pub fn start(credentials: TaskCredentials) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let now = Arc::new(Mutex::new(credentials));
        let asked = Arc::new(AtomicUsize::new(0));
        let (shared, count) = (Arc::clone(&now), Arc::clone(&asked));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::Relaxed);
                let credentials = shared.lock().expect("no panic").clone();
                // A client that goes away is no matter of the endpoint.
                let _ = answer(&stream, &credentials);
            }
        });
        Self { address, now, asked }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}/credentials", self.address)
    }

    /// From now on it gives out these.
    pub fn set(&self, credentials: TaskCredentials) {
        *self.now.lock().expect("no panic") = credentials;
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn answer(stream: &TcpStream, credentials: &TaskCredentials) -> std::io::Result<()> {
    let mut line = String::new();
    let mut reader = BufReader::new(stream);
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let ends = SystemTime::now() + credentials.lifetime;
    let seconds = ends.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    let body = serde_json::json!({
        "AccessKeyId": credentials.key,
        "SecretAccessKey": credentials.secret,
        "Token": format!("session of {}", credentials.key),
        "Expiration": rfc_3339(seconds),
    })
    .to_string();
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Seconds since the epoch as `2026-01-02T03:04:05Z` (RFC 3339), by the proleptic Gregorian calendar.
fn rfc_3339(seconds: u64) -> String {
    let (mut days, rest) = (seconds / 86_400, seconds % 86_400);
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}T{:02}:{:02}:{:02}Z", days + 1, rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc_3339_has_them() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_767_323_045, "2026-01-02T03:04:05Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc_3339(seconds), text);
        }
    }
}
