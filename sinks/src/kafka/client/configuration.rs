//! Properties to a client of librdkafka.

use std::ffi::{c_char, c_int};
use std::ptr::NonNull;

use rdkafka_sys as rd;

use super::super::config::{Property, wrong_together};
use super::{c_string, lossy};
use crate::OpenError;

/// Checks that librdkafka takes each property and all of them together, and makes a client.
pub(super) fn new_client(properties: &[Property]) -> Result<NonNull<rd::rd_kafka_t>, OpenError> {
    const EVENTS: c_int =
        rd::RD_KAFKA_EVENT_DR | rd::RD_KAFKA_EVENT_ERROR | rd::RD_KAFKA_EVENT_STATS | rd::RD_KAFKA_EVENT_LOG;
    let conf = Configuration::new();
    for property in properties {
        conf.set(property)?;
    }
    let mut text: [c_char; 512] = [0; 512];
    // SAFETY: the configuration is live, `text` has the length that is said and ends with a zero.
    unsafe {
        rd::rd_kafka_conf_set_events(conf.0, EVENTS);
        let kind = rd::rd_kafka_type_t::RD_KAFKA_PRODUCER;
        let client = rd::rd_kafka_new(kind, conf.0, text.as_mut_ptr(), text.len());
        let client = NonNull::new(client).ok_or_else(|| wrong_together(properties, &lossy(text.as_ptr())))?;
        // The client that was made has taken it over.
        std::mem::forget(conf);
        Ok(client)
    }
}

/// A configuration that no client has taken yet.
struct Configuration(*mut rd::rd_kafka_conf_t);

impl Configuration {
    fn new() -> Self {
        // SAFETY: makes a configuration that is ours.
        Self(unsafe { rd::rd_kafka_conf_new() })
    }

    fn set(&self, property: &Property) -> Result<(), OpenError> {
        let (key, value) = (c_string(&property.option, &property.key)?, property.value_c_string()?);
        let mut text: [c_char; 512] = [0; 512];
        // SAFETY: the configuration is live, the strings are C strings, `text` has the length that is said and ends
        // with a zero.
        unsafe {
            let (buffer, len) = (text.as_mut_ptr(), text.len());
            match rd::rd_kafka_conf_set(self.0, key.as_ptr(), value.as_ptr(), buffer, len) {
                rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK => Ok(()),
                _ => Err(property.wrong(&lossy(buffer))),
            }
        }
    }
}

impl Drop for Configuration {
    fn drop(&mut self) {
        // SAFETY: still ours (`new_client` forgets it otherwise), destroyed once.
        unsafe { rd::rd_kafka_conf_destroy(self.0) };
    }
}
