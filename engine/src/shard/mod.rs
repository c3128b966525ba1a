//! One thread, one core: accept to answer.
