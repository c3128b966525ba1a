//! What one event looks like: the fields that the SDKs send, with a filler that brings it to its size.

use serde::Deserialize;

/// Shapes of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum EventForm {
    /// A page view of the web SDK.
    #[default]
    Web,
    /// A screen view of the mobile SDKs.
    Mobile,
    /// What a server or a device sends: only what is required, and attributes.
    Server,
}

impl EventForm {
    /// JSON with places.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Web => concat!(
                r#"{"event_type":"_page_view","event_id":"{event_id}","device_id":"{device}","unique_id":"u-{user}","app_id":"shop","#,
                r#""timestamp":{time},"host_name":"shop.example.com","locale":"en-US","system_language":"en","country_code":"US","#,
                r#""zone_offset":-28800000,"make":"Google Inc.","screen_height":1080,"screen_width":1920,"viewport_height":969,"#,
                r#""viewport_width":1920,"sdk_name":"aws-solution-clickstream-sdk","sdk_version":"0.12.6","platform":"Web","#,
                r#""user":{"_user_first_touch_timestamp":{"value":1795411970000,"set_timestamp":1795411970001}},"#,
                r#""attributes":{"_traffic_source_source":"direct","_session_id":"u-{user}-{time}","_session_duration":10908,"#,
                r#""_session_number":3,"_page_title":"Shoes and more","_page_url":"https://shop.example.com/shoes?ref=home","#,
                r#""_entrances":1,"price":129.5,"note":"{fill}"}}"#,
            ),
            Self::Mobile => concat!(
                r#"{"event_type":"_screen_view","event_id":"{event_id}","device_id":"{device}","unique_id":"u-{user}","app_id":"shop","#,
                r#""timestamp":{time},"platform":"Android","os_version":"14","make":"Samsung","brand":"Samsung","model":"SM-S918B","#,
                r#""carrier":"T-Mobile","network_type":"Mobile","locale":"en_US","zone_offset":3600000,"screen_width":1080,"#,
                r#""screen_height":2316,"app_version":"5.1.0","sdk_version":"0.14.0","user":{"_user_id":{"value":"{user}","set_timestamp":1795411970001}},"#,
                r#""attributes":{"_screen_name":"ProductDetail","_session_id":"u-{user}-{time}","_session_number":7,"note":"{fill}"}}"#,
            ),
            Self::Server => concat!(
                r#"{"event_type":"order_paid","event_id":"{event_id}","app_id":"shop","timestamp":{time},"user":{"_user_id":{"value":"{user}"}},"#,
                r#""attributes":{"amount":49.95,"currency":"EUR","note":"{fill}"}}"#,
            ),
        }
    }
}
