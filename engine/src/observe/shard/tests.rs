use super::*;
use crate::http::Refusal;

#[test]
fn each_thing_is_counted_in_its_own_cell() {
    let metrics = Arc::new(ShardMetrics::new(2, 2));
    let recorder = ShardRecorder::new(metrics.clone());
    for (times, outcome) in Outcome::all().enumerate() {
        (0..times).for_each(|_| recorder.answered(Some(1), outcome));
    }
    recorder.answered(None, Outcome::Refused(Refusal::NotFound));
    recorder.record_accepted(1, 700);
    recorder.record_accepted(1, 300);
    for (times, outcome) in Outcome::all().enumerate() {
        assert_eq!(metrics.route(Some(1)).answers(outcome), times as u64);
        assert_eq!(metrics.route(Some(0)).answers(outcome), 0);
    }
    assert_eq!(metrics.route(None).answers(Outcome::Refused(Refusal::NotFound)), 1);
    assert_eq!((metrics.route(Some(1)).records(), metrics.route(Some(1)).record_bytes()), (2, 1_000));

    recorder.batch_sealed(1, SealReason::Age, 3);
    recorder.pool(1, 5, 1);
    recorder.delivered_late(1, 2);
    recorder.delivery_unknown(1, 4);
    let pool = metrics.pool(1);
    assert_eq!((pool.sealed(SealReason::Age), pool.sealed(SealReason::Idle)), (1, 0));
    assert_eq!((pool.free(), pool.open()), (5, 1));
    assert_eq!((pool.late_deliveries(), pool.unknown_deliveries()), (2, 4));
    assert_eq!(metrics.pool(0).free(), 0);
}

#[test]
fn open_connections_are_accepted_less_closed() {
    let metrics = Arc::new(ShardMetrics::new(1, 1));
    let recorder = ShardRecorder::new(metrics.clone());
    (0..5).for_each(|_| recorder.connection_accepted());
    recorder.connection_closed(CloseReason::Peer);
    recorder.connection_closed(CloseReason::Refused);
    assert_eq!(metrics.connections_open(), 3);
    assert_eq!(metrics.connections_closed(CloseReason::Refused), 1);
}

#[test]
fn a_route_that_does_not_exist_is_not_mistaken_for_none() {
    let recorder = ShardRecorder::new(Arc::new(ShardMetrics::new(1, 1)));
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        recorder.answered(Some(1), Outcome::Ok);
    }));
    assert!(caught.is_err());
}

#[test]
fn cells_of_different_blocks_share_no_cache_line() {
    let metrics = ShardMetrics::new(1, 1);
    let line = |cells: *const u8| cells.addr() / 64;
    let first = line(std::ptr::from_ref(metrics.route(Some(0))).cast());
    let none = line(std::ptr::from_ref(metrics.route(None)).cast());
    assert!(none - first >= size_of::<RouteCells>() / 64);
    assert_eq!(align_of::<CachePadded<RouteCells>>() % 64, 0);
}
