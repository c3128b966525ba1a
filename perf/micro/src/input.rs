//! The requests: as clients send them.

/// A query as the web SDK makes it, of 104 bytes.
pub const QUERY: &str = "platform=Web&appId=shopping_app_0001&compression=none&upload_timestamp=1795411980908&event_bundle=000042";

/// What Chrome says it is.
pub const USER_AGENT: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";

/// A head with the fewest fields.
pub fn plain_head() -> String {
    "POST /collect HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1024\r\n\r\n"
        .to_owned()
}

/// A head with the 19 fields that Chrome and a load balancer send.
pub fn browser_head() -> String {
    format!(
        "POST /collect?{QUERY} HTTP/1.1\r\n\
         X-Forwarded-For: 198.51.100.23\r\n\
         X-Forwarded-Proto: https\r\n\
         X-Forwarded-Port: 443\r\n\
         Host: ingest.example.com\r\n\
         X-Amzn-Trace-Id: Root=1-6923c7a5-3f0d5e7b1a2b3c4d5e6f7081\r\n\
         Content-Length: 1024\r\n\
         sec-ch-ua-platform: \"Windows\"\r\n\
         User-Agent: {USER_AGENT}\r\n\
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
         \r\n"
    )
}

/// `bytes` of text like an event's: about one byte in seven is a quote. The engine never parses it.
pub fn json(bytes: usize) -> Vec<u8> {
    const END: &[u8] = b"\"\"}]";
    let attributes = (0..).flat_map(|number: usize| {
        format!("\"attribute_{:02}\":\"value {:02}\",", number % 100, number % 100).into_bytes()
    });
    let mut body = b"[{".to_vec();
    body.extend(attributes.take(bytes - body.len() - END.len()));
    body.extend_from_slice(END);
    body
}

/// `payload` in chunks of `chunk_bytes` (RFC 9112 section 7.1).
pub fn chunked(payload: &[u8], chunk_bytes: usize) -> Vec<u8> {
    let mut raw = Vec::new();
    for chunk in payload.chunks(chunk_bytes) {
        raw.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        raw.extend_from_slice(chunk);
        raw.extend_from_slice(b"\r\n");
    }
    raw.extend_from_slice(b"0\r\n\r\n");
    raw
}
