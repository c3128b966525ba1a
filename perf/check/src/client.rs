//! The load: as many requests as it is told, over connections that stay, in rounds.
//!
//! A round sends one request on every connection, then reads every answer. How many requests are sent does not depend
//! on time, so two runs differ by nothing but the number of requests.

use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Connections of a load, and so requests of a round.
pub const CONNECTIONS: usize = 64;

/// An engine under valgrind is slow; one that is this slow hangs.
const PATIENCE: Duration = Duration::from_mins(1);

const BODY_BYTES: usize = 1024;
const QUERY: &str = "platform=Web&appId=shopping_app_0001&compression=none&upload_timestamp=1795411980908&event_bundle=000042";

/// The connections of a load.
///
/// # Errors
/// The sockets'.
pub fn connections(address: SocketAddr) -> io::Result<Vec<TcpStream>> {
    (0..CONNECTIONS).map(|_| connect(address)).collect()
}

/// Sends `requests` of `request` over the connections and checks each answer. `held` is called before a round is sent
/// and once it is: it may keep the server from looking in between.
///
/// # Errors
/// The socket's, and any answer but an empty 200.
pub fn load(
    connections: &mut [TcpStream],
    request: &[u8],
    requests: usize,
    mut held: impl FnMut(bool) -> io::Result<()>,
) -> io::Result<()> {
    for _ in 0..requests / connections.len() {
        held(true)?;
        for connection in &mut *connections {
            connection.write_all(request)?;
        }
        held(false)?;
        for connection in &mut *connections {
            expect_success(connection)?;
        }
    }
    Ok(())
}

/// A connection that waits for its peer, but not for ever.
///
/// # Errors
/// The socket's.
pub fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Reads one answer, which has to be a 200 without a body.
///
/// # Errors
/// The socket's, and any other answer.
pub fn expect_success(connection: &mut TcpStream) -> io::Result<()> {
    let (mut answer, mut len) = ([0; 2048], 0);
    while !answer[..len].ends_with(b"\r\n\r\n") {
        match connection.read(&mut answer[len..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => len += read,
        }
    }
    let text = String::from_utf8_lossy(&answer[..len]);
    if text.starts_with("HTTP/1.1 200 ") && text.to_ascii_lowercase().contains("content-length: 0\r\n") {
        Ok(())
    } else {
        Err(io::Error::other(format!("not an empty 200: {text}")))
    }
}

/// 1,024 bytes of JSON: one event with a few attributes.
fn body() -> String {
    let mut body = String::from(
        r#"[{"hashCode":"478acd10","event_type":"_page_view","event_id":"8ab2c9f0-52a9-4ac9-9a1c-2c2b8f6e1f00","device_id":"b7a0","#,
    );
    let mut number = 0;
    while body.len() < BODY_BYTES - 80 {
        let _ = write!(body, r#""attribute_{number:02}":"value {number:02}","#);
        number += 1;
    }
    body.push_str(r#""fill":""#);
    let fill = BODY_BYTES - body.len() - r#""}]"#.len();
    body.push_str(&"x".repeat(fill));
    body.push_str(r#""}]"#);
    body
}

/// A POST of 1 KB of JSON with the fewest headers.
pub fn plain() -> Vec<u8> {
    format!(
        "POST /collect HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {BODY_BYTES}\r\n\r\n{}",
        body()
    )
    .into_bytes()
}

/// The same from a browser's page, behind a load balancer: its headers, and a query of 104 bytes.
pub fn browser() -> Vec<u8> {
    format!(
        "POST /collect?{QUERY} HTTP/1.1\r\n\
         X-Forwarded-For: 198.51.100.23\r\n\
         X-Forwarded-Proto: https\r\n\
         X-Forwarded-Port: 443\r\n\
         Host: ingest.example.com\r\n\
         X-Amzn-Trace-Id: Root=1-6923c7a5-3f0d5e7b1a2b3c4d5e6f7081\r\n\
         Content-Length: {BODY_BYTES}\r\n\
         sec-ch-ua-platform: \"Windows\"\r\n\
         User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n\
         sec-ch-ua: \"Chromium\";v=\"142\", \"Google Chrome\";v=\"142\", \"Not_A Brand\";v=\"99\"\r\n\
         Content-Type: application/json; charset=utf-8\r\n\
         sec-ch-ua-mobile: ?0\r\n\
         Accept: */*\r\n\
         Origin: https://shop.example.com\r\n\
         Sec-Fetch-Site: same-site\r\n\
         Sec-Fetch-Mode: cors\r\n\
         Sec-Fetch-Dest: empty\r\n\
         Referer: https://shop.example.com/\r\n\
         Accept-Encoding: gzip, deflate, br, zstd\r\n\
         Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
         \r\n{}",
        body()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_requests_are_as_large_as_they_say() {
        assert_eq!(body().len(), BODY_BYTES);
        assert_eq!(QUERY.len(), 104);
        for request in [plain(), browser()] {
            let text = String::from_utf8(request).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
            assert!(!head.contains("  "), "a line was continued badly: {head}");
        }
    }
}
