//! SIGKILL under load, with the sink up, and with the sink down.

use std::thread;
use std::time::Duration;

use support::kafka::{KafkaOptions, KafkaServer};
use support::load::{Load, LoadOptions};
use support::oracle::judge;
use support::poll::PATIENCE;
use support::record::Record;
use support::{Driver, Engine, on_both_drivers, poll_until};

use super::{engine_options, topic, wait_until_delivered, with_files, with_kafka, with_route};

on_both_drivers!(
    nothing_journaled_is_lost_in_twenty_five_kills,
    what_is_journaled_while_the_sink_is_down_outlives_kills
);

const RECOVERY: Duration = Duration::from_mins(1);

/// Kills at random moments of a load that goes on.
fn kill_under_load(engine: &mut Engine, load: &Load, kills: u32, random: &mut fastrand::Rng) {
    for kill in 0..kills {
        let goal = load.stored() + random.u64(1..400);
        poll_until(&format!("progress before kill {kill}"), PATIENCE, || {
            (load.stored() >= goal).then_some(())
        });
        thread::sleep(Duration::from_micros(random.u64(0..3_000)));
        engine.kill();
        engine.start_again();
    }
    let goal = load.stored() + 100;
    poll_until("progress after the last kill", PATIENCE, || (load.stored() >= goal).then_some(()));
}

fn nothing_journaled_is_lost_in_twenty_five_kills(driver: Driver) {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let (journal, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let options = with_route(with_files(engine_options(driver, journal.path()), data.path()), "journaled");
    let mut engine = Engine::start(&options);
    let load = Load::start(engine.address(), LoadOptions { connections: 16, ..LoadOptions::default() });
    kill_under_load(&mut engine, &load, 25, &mut random);
    let ledger = load.stop();
    println!("{}", ledger.summary());
    wait_until_delivered(&engine, RECOVERY);
    let records = engine.stop_and_read();
    let verdict = judge(&ledger, records.iter().map(Record::data), &[]);
    println!("{} stored twice", verdict.duplicates.len());
    verdict.assert_truthful();
}

fn what_is_journaled_while_the_sink_is_down_outlives_kills(driver: Driver) {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let journal = tempfile::tempdir().unwrap();
    let mut broker = KafkaServer::prepare(&KafkaOptions::default());
    let options =
        with_route(with_kafka(engine_options(driver, journal.path()), &broker, "journaled"), "journaled");
    let mut engine = Engine::start(&options);
    let load = Load::start(engine.address(), LoadOptions { connections: 8, ..LoadOptions::default() });
    kill_under_load(&mut engine, &load, 5, &mut random);
    // And an orderly end: what is not delivered stays where it is.
    engine.terminate();
    assert_eq!(engine.wait(Duration::from_secs(28)).code(), Some(0), "{}", engine.log());
    engine.start_again();
    broker.start_broker();
    let goal = load.stored() + 300;
    poll_until("progress with the broker", RECOVERY, || (load.stored() >= goal).then_some(()));
    kill_under_load(&mut engine, &load, 5, &mut random);
    let ledger = load.stop();
    println!("{}", ledger.summary());
    wait_until_delivered(&engine, RECOVERY);
    let records = topic(&broker, "journaled");
    let verdict = judge(&ledger, records.iter().map(Record::data), &[]);
    println!("{} stored twice", verdict.duplicates.len());
    verdict.assert_truthful();
}
