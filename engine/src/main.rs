use millrun::config::*;
use std::time::Duration as D;
#[global_allocator]
static A: mimalloc::MiMalloc = mimalloc::MiMalloc;
fn main() {
    tracing_subscriber::fmt::init();
    let a: Vec<String> = std::env::args().collect();
    let ms = D::from_millis;
    let s = Settings {
        server: Server {
            listen: "127.0.0.1:8088".parse().unwrap(),
            shards: Some(a[3].parse().unwrap()),
            driver: if a[2] == "epoll" { Driver::Epoll } else { Driver::Auto },
            trusted_proxies: 1,
            ping_path: "/ping".into(),
            dev_mode: false,
            backlog: 4096,
            drain_delay: ms(500),
            drain_deadline: ms(20000),
        },
        routes: vec![Route {
            name: "c".into(),
            path: "/collect".into(),
            protocol: Protocol::Clickstream,
            sink: 0,
            ack: Acknowledgement::Delivered,
        }],
        cors: Cors { origins: vec![], max_age: ms(1000) },
        limits: Limits {
            head_bytes_max: 16384,
            headers_max: 64,
            body_bytes_max: 1 << 20,
            body_decoded_bytes_max: 8 << 20,
            head_timeout: ms(10000),
            body_timeout: ms(30000),
            body_rate_min: 1024,
            idle_timeout: ms(200000),
            connections_max: 65536,
            requests_per_connection_max: 0,
            body_memory_bytes: 64 << 20,
            record_bytes_max: 16 << 20,
            memory_bytes_max: None,
        },
        batch: Batch { arena_bytes: 256 << 10, records_max: 1024, count: 32, large_count: 2, linger: ms(5) },
        ack: Ack {
            deadline: ms(4000),
            retry_initial: ms(50),
            retry_max: ms(1000),
            breaker_failures: 3,
            breaker_open: ms(1000),
        },
        admin: Admin { listen: None },
        log: Log { level: "info".into(), format: LogFormat::Auto },
        sinks: vec![Sink {
            name: "s".into(),
            key: RecordKey::None,
            linger: ms(5),
            kind: if a[1] == "null" {
                SinkKind::Null(Default::default())
            } else {
                SinkKind::File(millrun_sinks::file::Options {
                    dir: "/tmp/mrdata".into(),
                    compression: millrun_sinks::file::Compression::None,
                    rotate_bytes: 1 << 30,
                    rotate_age: D::from_secs(300),
                    record_bytes_max: 16 << 20,
                })
            },
        }],
    };
    let e = match millrun::engine::start(Loaded { settings: s, effective: String::new() }) {
        Ok(e) => e,
        Err(e) => {
            eprintln!("{e}");
            std::process::exit(1)
        }
    };
    println!("{} {:?}\n{}", e.address, e.driver, e.plan);
    std::process::exit(i32::from(!e.serve()));
}
