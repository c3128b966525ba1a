//! Trouble on demand, for tests.

use rdkafka_sys as rd;

use super::{Code, Producer};

impl Producer {
    /// Makes the mock brokers answer the next produce requests with these codes.
    pub(in super::super) fn refuse_for_test(&self, code: Code, times: usize) {
        const PRODUCE: i16 = 0;
        let codes = vec![code.0; times];
        // SAFETY: the client is live and has mock brokers, or the assertion fails; the array has the length that is
        // said, and the enumeration is an int in C.
        unsafe {
            let mock = rd::rd_kafka_handle_mock_cluster(self.client.as_ptr());
            assert!(!mock.is_null());
            rd::rd_kafka_mock_push_request_errors_array(mock, PRODUCE, times, codes.as_ptr().cast());
        }
    }

    /// Makes the producer fail as a broken sequence of requests does.
    pub(in super::super) fn break_for_test(&self) {
        let code = rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
        // SAFETY: `client` is a live producer, the text a C string.
        unsafe { rd::rd_kafka_test_fatal_error(self.client.as_ptr(), code, c"broken by a test".as_ptr()) };
    }
}
