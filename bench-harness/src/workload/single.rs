//! One event of about 1 KB of JSON, as web SDKs send it.

use std::io::Write as _;

use crate::request::{RequestId, Shape, Stored, digest};
use crate::target::Target;
use crate::workload::Workload;

const EVENT: &str = concat!(
    r#"","device_id":"f3a1c2d4-1111-2222-3333-444455556666","unique_id":"u-123456","app_id":"shop","timestamp":1795411980908,"#,
    r#""host_name":"shop.example.com","locale":"en-US","system_language":"en","country_code":"US","zone_offset":-28800000,"#,
    r#""make":"Google Inc.","screen_height":1080,"screen_width":1920,"viewport_height":969,"viewport_width":1920,"#,
    r#""sdk_name":"aws-solution-clickstream-sdk","sdk_version":"0.12.6","platform":"Web","user":{"_user_first_touch_timestamp":"#,
    r#"{"value":1795411970000,"set_timestamp":1795411970001}},"attributes":{"_traffic_source_source":"direct","_session_id":"#,
    r#""u-123456-20261123-080000","_session_start_timestamp":1795411970000,"_session_duration":10908,"_session_number":3,"#,
    r#""_page_title":"Shoes and more","_page_url":"https://shop.example.com/shoes?ref=home","_latest_referrer":"#,
    r#""https://www.example.com/","_entrances":1,"price":129.5}}]"#,
);

pub(super) struct Single {
    kinds: Vec<String>,
    head: String,
    body: Vec<u8>,
}

impl Single {
    pub(super) fn new(target: &Target) -> Self {
        let head = format!(
            "POST {}?appId=shop HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n",
            target.path, target.host
        );
        Self { kinds: vec!["single".into()], head, body: Vec::with_capacity(2048) }
    }
}

impl Workload for Single {
    fn kinds(&self) -> &[String] {
        &self.kinds
    }

    fn next(&mut self, id: RequestId, wire: &mut Vec<u8>) -> Shape {
        self.body.clear();
        self.body.extend_from_slice(br#"[{"event_type":"_page_view","event_id":""#);
        id.write_event_id(0, &mut self.body);
        self.body.extend_from_slice(EVENT.as_bytes());
        wire.extend_from_slice(self.head.as_bytes());
        // Writing into a Vec can't fail.
        let _infallible = write!(wire, "Content-Length: {}\r\n\r\n", self.body.len());
        wire.extend_from_slice(&self.body);
        Shape { kind: 0, events: 1, stored: Stored::Body(digest(&self.body)) }
    }
}
