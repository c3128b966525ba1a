//! The limit: the least that a server on monoio can do for a POST, and so what the engine is compared with.
//!
//! One thread, one ring (or one epoll). It finds the end of each request ([`requests`]), and answers it a fixed 200
//! with an empty body. It parses nothing else, keeps nothing, has no timeouts, no metrics and no limits but its buffer:
//! what it costs is what the runtime and the kernel cost. Ring flags, number of entries, allocator and the option
//! `TCP_NODELAY` are the engine's, so that a difference between the two is the engine's own work.
//!
//! Not for serving anyone: bodies in chunks are not understood, and connections are never closed for being idle.

mod requests;

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use monoio::buf::{IoBufMut as _, SliceMut};
use monoio::io::{AsyncReadRent as _, AsyncWriteRentExt as _};
use monoio::net::{TcpListener, TcpStream};
use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};

use requests::Requests;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As the engine's shards have it.
const RING_ENTRIES: u32 = 4096;
/// As the engine's shards have it.
const EPOLL_EVENTS: u32 = 1024;
/// As the engine's connections have it, and so the longest head that is understood.
const BUFFER_BYTES: usize = 4 * 1024;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
/// So many answers to pipelined requests leave with one write.
const ANSWERS_AT_ONCE: usize = 32;
static ANSWERS: [u8; ANSWER.len() * ANSWERS_AT_ONCE] = {
    let mut answers = [0; ANSWER.len() * ANSWERS_AT_ONCE];
    let mut at = 0;
    while at < answers.len() {
        answers[at] = ANSWER[at % ANSWER.len()];
        at += 1;
    }
    answers
};

/// Answers every request with an empty 200, at the least cost.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// How it talks to the kernel.
    #[arg(long, value_enum, default_value_t = Driver::IoUring)]
    driver: Driver,
    /// Address to listen on; port 0 takes a free one. The address that it became is the first line of the output.
    #[arg(long, default_value = "127.0.0.1:8089")]
    listen: SocketAddr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Driver {
    #[value(name = "io_uring")]
    IoUring,
    #[value(name = "epoll")]
    Epoll,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bare: {arguments:?}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until the process is killed.
fn run(arguments: &Arguments) -> io::Result<()> {
    match arguments.driver {
        Driver::IoUring => {
            let mut ring = io_uring::IoUring::builder();
            ring.setup_coop_taskrun();
            RuntimeBuilder::<IoUringDriver>::new()
                .uring_builder(ring)
                .with_entries(RING_ENTRIES)
                .build()?
                .block_on(serve(arguments.listen))
        }
        Driver::Epoll => RuntimeBuilder::<LegacyDriver>::new()
            .with_entries(EPOLL_EVENTS)
            .build()?
            .block_on(serve(arguments.listen)),
    }
}

async fn serve(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    writeln!(io::stdout(), "listening on {}", listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // A connection ends by the client's doing; how, is nobody's business here.
        drop(monoio::spawn(async move { drop(answer(stream).await) }));
    }
}

/// Answers a connection's requests until the client closes it or sends what has no end that can be found.
async fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut requests = Requests::default();
    let mut buffer = vec![0; BUFFER_BYTES];
    // Bytes of a head whose end has not come yet.
    let mut kept = 0;
    loop {
        let (read, slice) = stream.read(free(buffer, kept)).await;
        buffer = slice.into_inner();
        let filled = kept + read?;
        if filled == kept {
            return Ok(());
        }
        let Some(progress) = requests.advance(&buffer[..filled]) else { return Ok(()) };
        if progress.consumed < filled {
            buffer.copy_within(progress.consumed..filled, 0);
        }
        kept = filled - progress.consumed;
        if kept == BUFFER_BYTES {
            return Ok(());
        }
        let mut left = progress.ended;
        while left > 0 {
            let now = left.min(ANSWERS_AT_ONCE);
            let answers: &'static [u8] = &ANSWERS[..now * ANSWER.len()];
            stream.write_all(answers).await.0?;
            left -= now;
        }
    }
}

/// The part of the buffer that the kernel may write to.
fn free(buffer: Vec<u8>, kept: usize) -> SliceMut<Vec<u8>> {
    buffer.slice_mut(kept..BUFFER_BYTES)
}
