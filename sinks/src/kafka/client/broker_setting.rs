//! One of a broker's own settings.

use std::ffi::{CStr, CString};
use std::ptr;
use std::time::Duration;

use rdkafka_sys as rd;

use super::{Event, Producer, c_int, lossy};

impl Producer {
    /// A broker's setting by name. `None` when it can't be learned: no answer within `timeout`, no permission, or no
    /// such setting. Blocks for that long.
    pub(in super::super) fn broker_setting(
        &self,
        broker: i32,
        name: &CStr,
        timeout: Duration,
    ) -> Option<String> {
        let timeout_ms = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
        let broker = CString::new(broker.to_string()).ok()?;
        // SAFETY: the client is live; what is made here is destroyed here, once, and the answer is read before the
        // event that owns it is destroyed. The request copies the resource.
        unsafe {
            let client = self.client.as_ptr();
            let kind = rd::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_BROKER;
            let mut resource = rd::rd_kafka_ConfigResource_new(kind, broker.as_ptr());
            let queue = rd::rd_kafka_queue_new(client);
            let operation = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS;
            let options = rd::rd_kafka_AdminOptions_new(client, operation);
            rd::rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, ptr::null_mut(), 0);
            rd::rd_kafka_DescribeConfigs(client, &raw mut resource, 1, options, queue);
            let answer = ptr::NonNull::new(rd::rd_kafka_queue_poll(queue, timeout_ms)).map(Event);
            let value = answer.as_ref().and_then(|answer| value_in(answer, name));
            drop(answer);
            rd::rd_kafka_AdminOptions_destroy(options);
            rd::rd_kafka_queue_destroy(queue);
            rd::rd_kafka_ConfigResource_destroy(resource);
            value
        }
    }
}

/// # Safety
/// `answer` is a live event.
unsafe fn value_in(answer: &Event, name: &CStr) -> Option<String> {
    // SAFETY: the event is live and lends everything below it; each array has the length that comes with it, and is
    // not read where that is 0.
    unsafe {
        let result = rd::rd_kafka_event_DescribeConfigs_result(answer.0.as_ptr());
        if result.is_null() {
            return None;
        }
        let (mut resources_len, mut entries_len) = (0, 0);
        let resources = rd::rd_kafka_DescribeConfigs_result_resources(result, &raw mut resources_len);
        if resources_len == 0 {
            return None;
        }
        let entries = rd::rd_kafka_ConfigResource_configs(*resources, &raw mut entries_len);
        for index in 0..entries_len {
            let entry = *entries.add(index);
            if CStr::from_ptr(rd::rd_kafka_ConfigEntry_name(entry)) == name {
                return Some(lossy(rd::rd_kafka_ConfigEntry_value(entry)).into_owned());
            }
        }
        None
    }
}
