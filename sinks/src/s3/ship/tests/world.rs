//! A bucket and a journal in memory.

use super::*;

/// What goes wrong, as probabilities.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    /// A call does nothing and fails.
    pub refuse: f64,
    /// A call does what it is to do, and its answer is lost.
    pub lose: f64,
    /// An upload is removed by somebody else.
    pub vanish: f64,
    /// An operation of the journal fails.
    pub journal: f64,
}

struct Pending {
    work: Work,
    due: Instant,
}

/// See the module's description.
pub struct World {
    pub now: Instant,
    start: Instant,
    random: fastrand::Rng,
    pub trouble: Trouble,
    /// Nobody may read.
    pub blind: bool,
    pub bucket: BTreeMap<String, Vec<u8>>,
    /// What became visible, in order: keys, and of manifests whether they are complete.
    applied: Vec<(String, Option<bool>)>,
    uploads: BTreeMap<String, BTreeMap<u16, Vec<u8>>>,
    pub completed: usize,
    pending: Vec<Pending>,
    /// By stream: batches of records.
    streams: BTreeMap<u16, Vec<Vec<String>>>,
    /// Marks: what this process said, and what is durable of it.
    marks: BTreeMap<u16, u64>,
    durable: BTreeMap<u16, u64>,
    note: Vec<u8>,
    serial: u64,
}

/// 2026-11-23 09:01:01 UTC.
const START_S: u64 = 1_795_424_461;

impl World {
    pub fn new(seed: u64) -> Rc<RefCell<Self>> {
        let now = Instant::now();
        Rc::new(RefCell::new(Self {
            now,
            start: now,
            random: fastrand::Rng::with_seed(seed),
            trouble: Trouble::default(),
            blind: false,
            bucket: BTreeMap::new(),
            applied: Vec::new(),
            uploads: BTreeMap::new(),
            completed: 0,
            pending: Vec::new(),
            streams: BTreeMap::new(),
            marks: BTreeMap::new(),
            durable: BTreeMap::new(),
            note: Vec::new(),
            serial: 0,
        }))
    }

    pub fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(START_S) + (self.now - self.start)
    }

    /// Time goes on to `next`, or a little where that is past.
    pub fn pass_to(&mut self, next: Instant) {
        self.now = next.max(self.now + Duration::from_millis(1));
    }

    pub fn append(&mut self, stream: u16, records: usize, pad: usize) {
        let batch = (0..records)
            .map(|_| {
                self.serial += 1;
                format!("{{\"n\":{},\"pad\":\"{}\"}}", self.serial, "x".repeat(pad))
            })
            .collect();
        self.streams.entry(stream).or_default().push(batch);
    }

    /// Objects of records that are asked for.
    pub fn stores(&self) -> usize {
        let is_store = |pending: &&Pending| {
            matches!(pending.work.task, Task::Put { kind: Kind::Data, .. } | Task::Complete { .. })
        };
        self.pending.iter().filter(is_store).count()
    }

    /// Objects of records.
    pub fn objects(&self) -> usize {
        self.bucket.keys().filter(|key| key.starts_with("data/")).count()
    }

    /// The process dies: some of its marks are forgotten; what it asked for happens, or not.
    pub fn crash(&mut self, applied: bool) {
        for pending in std::mem::take(&mut self.pending) {
            if applied {
                let _ = self.apply(&pending.work);
            }
        }
        for (stream, mark) in std::mem::take(&mut self.marks) {
            let durable = self.durable.entry(stream).or_default();
            if self.random.bool() {
                *durable = mark;
            }
        }
        self.marks = self.durable.clone();
    }

    fn chance(&mut self, of: f64) -> bool {
        self.random.f64() < of
    }

    fn answer(&mut self, work: &Work) -> Result<Said, Failure> {
        if self.chance(self.trouble.vanish) && self.random.u8(..) < 40 {
            self.uploads.clear();
        }
        if self.chance(self.trouble.refuse) {
            return Err(match self.random.u8(..4) {
                0 => service(503, "SlowDown"),
                1 => Failure::NotConnected("refused".to_owned()),
                2 => service(400, "ExpiredToken"),
                _ => service(500, "InternalError"),
            });
        }
        let said = self.apply(work);
        if self.chance(self.trouble.lose) {
            return Err(Failure::TimedOut("lost".to_owned()));
        }
        said
    }

    fn show(&mut self, key: &str, body: Vec<u8>) {
        let complete = key.starts_with("manifest/").then(|| {
            let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
            value["complete"].as_bool().unwrap()
        });
        self.bucket.insert(key.to_owned(), body);
        self.applied.push((key.to_owned(), complete));
    }

    fn apply(&mut self, work: &Work) -> Result<Said, Failure> {
        let key = work.key.to_string();
        match &work.task {
            Task::Put { body, kind } => {
                assert_eq!(*kind == Kind::Manifest, key.starts_with("manifest/"));
                self.show(&key, body.to_vec());
                Ok(Said::Done)
            }
            Task::Create => {
                self.serial += 1;
                let id = format!("u{}", self.serial);
                self.uploads.insert(id.clone(), BTreeMap::new());
                Ok(Said::Created(id))
            }
            Task::Part { upload, number, body } => {
                let parts = self.uploads.get_mut(&**upload).ok_or_else(|| service(404, "NoSuchUpload"))?;
                parts.insert(*number, body.to_vec());
                Ok(Said::Part(Stored { number: *number, etag: "e".into(), checksum: "c".into() }))
            }
            Task::Complete { upload, parts, content } => {
                let held = self.uploads.remove(&**upload).ok_or_else(|| service(404, "NoSuchUpload"))?;
                assert!(parts.iter().map(|part| part.number).eq(held.keys().copied()), "all parts are named");
                let body: Vec<u8> = held.into_values().flatten().collect();
                assert_eq!((body.len() as u64, crc32c::crc32c(&body)), (content.bytes, content.crc32c));
                self.completed += 1;
                self.show(&key, body);
                Ok(Said::Done)
            }
            Task::Abort { upload } => {
                self.uploads.remove(&**upload);
                Ok(Said::Done)
            }
            Task::Head if self.blind => Err(service(403, "")),
            Task::Head => Ok(Said::Head(self.bucket.get(&key).map(|body| body.len() as u64))),
        }
    }

    fn stored(&self) -> BTreeMap<&str, usize> {
        let mut stored = BTreeMap::new();
        for body in self.bucket.iter().filter(|(key, _)| key.starts_with("data/")).map(|(_, body)| body) {
            for line in std::str::from_utf8(body).unwrap().lines() {
                *stored.entry(line).or_default() += 1;
            }
        }
        stored
    }

    /// Every record is there, and `once`: no more than once.
    pub fn verify(&self, once: bool) {
        let stored = self.stored();
        let records: Vec<&String> = self.streams.values().flatten().flatten().collect();
        for record in &records {
            let copies = stored.get(record.as_str()).copied().unwrap_or_default();
            assert!(copies >= 1, "lost: {record}");
            assert!(copies == 1 || !once, "{copies} times: {record}");
        }
        assert_eq!(stored.len(), records.len(), "nothing else is there");
    }

    /// Each hour's manifest names what lies in the hour, and nothing came into an hour that was declared.
    pub fn verify_manifests(&self) {
        let hour_of = |key: &str| {
            let (_, rest) = key.split_once('/').unwrap();
            rest[..rest.rfind('/').unwrap()].to_owned()
        };
        let mut hours: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for key in self.bucket.keys().filter(|key| key.starts_with("data/")) {
            hours.entry(hour_of(key)).or_default().push(key);
        }
        for (hour, keys) in &hours {
            let manifest = self.bucket.keys().find(|key| key.starts_with(&format!("manifest/{hour}/")));
            let manifest = manifest.unwrap_or_else(|| panic!("{hour} is not declared"));
            let value: serde_json::Value = serde_json::from_slice(&self.bucket[manifest]).unwrap();
            let named: Vec<&str> = value["objects"]
                .as_array()
                .unwrap()
                .iter()
                .map(|line| line["key"].as_str().unwrap())
                .collect();
            // Without the right to read, an object may be there that nobody knows of.
            if self.blind {
                assert!(named.iter().all(|key| keys.contains(key)), "{hour}");
            } else {
                assert_eq!(&named, keys, "{hour}");
            }
            assert_eq!(value["complete"], true, "{hour}");
        }
        // Nothing comes into an hour but while it is announced and not complete.
        let mut open: BTreeMap<String, bool> = BTreeMap::new();
        for (key, complete) in &self.applied {
            let hour = hour_of(key);
            match complete {
                Some(complete) => {
                    open.insert(hour, !complete);
                }
                None => assert_eq!(open.get(&hour), Some(&true), "{key}"),
            }
        }
    }
}

fn service(status: u16, code: &str) -> Failure {
    Failure::Service { status, code: code.to_owned(), message: String::new() }
}

/// The way to the bucket.
pub struct Line {
    world: Rc<RefCell<World>>,
}

impl Calls for Line {
    fn start(&self, work: Work) {
        let mut world = self.world.borrow_mut();
        let late = match world.random.u8(..) {
            0..10 => Duration::from_secs(30),
            _ => Duration::from_millis(world.random.u64(1..500)),
        };
        let due = world.now + late;
        world.pending.push(Pending { work, due });
    }

    fn take(&self, answers: &mut Vec<Answer>) {
        let mut world = self.world.borrow_mut();
        let now = world.now;
        let (due, later) =
            std::mem::take(&mut world.pending).into_iter().partition(|pending| pending.due <= now);
        world.pending = later;
        let due: Vec<Pending> = due;
        for Pending { work, .. } in due {
            let result = world.answer(&work);
            answers.push(Answer { id: work.id, name: work.task.name(), result });
        }
    }
}

/// A process's view of the journal.
pub struct Journal {
    world: Rc<RefCell<World>>,
}

// SAFETY: a test runs on one thread; the trait asks for what threads need.
unsafe impl Send for Journal {}

pub fn process(world: &Rc<RefCell<World>>) -> (Instant, Journal, Line) {
    let now = world.borrow().now;
    (now, Journal { world: world.clone() }, Line { world: world.clone() })
}

fn trouble(world: &mut World) -> Result<(), SourceError> {
    if world.chance(world.trouble.journal) {
        let source = std::io::Error::other("injected");
        return Err(SourceError { what: "journal".to_owned(), source });
    }
    Ok(())
}

impl Source for Journal {
    fn streams(&mut self) -> Vec<StreamId> {
        self.world.borrow().streams.keys().map(|stream| StreamId(*stream)).collect()
    }

    fn read(&mut self, stream: StreamId, from: u64, batch: &mut Batch) -> Result<Option<u64>, SourceError> {
        let mut world = self.world.borrow_mut();
        trouble(&mut world)?;
        assert!(
            from >= world.marks.get(&stream.0).copied().unwrap_or_default(),
            "what is delivered may be gone"
        );
        batch.clear();
        let batches = &world.streams[&stream.0];
        let Some(records) = batches.get(usize::try_from(from).unwrap()) else { return Ok(None) };
        for record in records {
            let append = |free: &mut [u8]| {
                free[..record.len()].copy_from_slice(record.as_bytes());
                Some((0, record.len()))
            };
            batch.append_with(append).unwrap();
        }
        Ok(Some(from))
    }

    fn delivered_below(&mut self, stream: StreamId, sequence: u64) {
        let mut world = self.world.borrow_mut();
        // The promise of it all: nothing is forgotten that is not in the bucket.
        let stored = world.stored();
        let upto = usize::try_from(sequence).unwrap();
        for record in world.streams[&stream.0][..upto].iter().flatten() {
            assert!(stored.contains_key(record.as_str()), "forgotten before it was stored: {record}");
        }
        world.marks.insert(stream.0, sequence);
    }

    fn delivered(&self, stream: StreamId) -> u64 {
        self.world.borrow().marks.get(&stream.0).copied().unwrap_or_default()
    }

    fn write_note(&mut self, note: &[u8]) -> Result<(), SourceError> {
        let mut world = self.world.borrow_mut();
        trouble(&mut world)?;
        world.note = note.to_vec();
        Ok(())
    }

    fn read_note(&mut self) -> Result<Vec<u8>, SourceError> {
        let mut world = self.world.borrow_mut();
        trouble(&mut world)?;
        Ok(world.note.clone())
    }
}
