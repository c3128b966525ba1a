//! A disk in memory that forgets like a real one. What was not fsynced may, after a power loss, be there, be torn at
//! sector edges, be zeros, or be gone; after a failed fsync some of it is gone although reads still show it. Names
//! that were not fsynced are there up to some change and not beyond.

mod operations;

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What goes wrong at one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    NoSpace,
    Io,
    /// A transfer moves fewer bytes than it was given, or is interrupted.
    Short,
    /// The operation is the last: everything fails from here on.
    Crash,
    /// A write says that it worked, and did not.
    Lost,
    /// A write goes somewhere else in the file.
    Misdirected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Dir,
    File(usize),
}

type Tree = BTreeMap<PathBuf, Place>;

#[derive(Debug)]
enum NameChange {
    Make(PathBuf, Place),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

#[derive(Debug, Default)]
struct Node {
    /// What reads see.
    now: Vec<u8>,
    /// What survives a power loss for certain.
    kept: Vec<u8>,
    /// What was written since.
    dirty: Vec<Range<usize>>,
}

impl Node {
    /// A power loss, or a failed fsync: some of what is dirty reaches the disk, the rest never will.
    fn lose_some(&mut self, random: &mut fastrand::Rng) {
        let bytes = match random.u8(..3) {
            0 => self.kept.len(),
            1 => self.now.len(),
            _ => random.usize(self.kept.len().min(self.now.len())..=self.kept.len().max(self.now.len())),
        };
        self.kept.resize(bytes, 0);
        let sector = if random.bool() { 512 } else { 4096 };
        let often = [0.0, 0.5, 0.9, 1.0][random.usize(..4)];
        for range in std::mem::take(&mut self.dirty) {
            let mut start = range.start;
            while start < range.end {
                let end = ((start / sector + 1) * sector).min(range.end);
                let edge = end.min(self.kept.len()).min(self.now.len());
                if start < edge {
                    if random.f64() < often {
                        self.kept[start..edge].copy_from_slice(&self.now[start..edge]);
                    } else if random.u8(..8) == 0 {
                        self.kept[start..edge].fill(0);
                    }
                }
                start = end;
            }
        }
    }
}

#[derive(Debug)]
struct World {
    nodes: Vec<Node>,
    now: Tree,
    kept: Tree,
    changes: Vec<(PathBuf, NameChange)>,
    random: fastrand::Rng,
    operations: u64,
    planned: BTreeMap<u64, Trouble>,
    /// Bytes that the file system has.
    space_bytes: usize,
    /// Bytes of files that can't be read any more.
    unreadable: Vec<(usize, Range<usize>)>,
    /// Everything that writes fails like this.
    lasting: Option<i32>,
    locked: bool,
    off: bool,
    boots: u64,
    /// Most bytes that all files ever had together.
    peak_bytes: usize,
}

/// The simulated disk; clones share it.
#[derive(Clone, Debug)]
pub struct SimDisk(Arc<Mutex<World>>);

/// An open file. It is of no use after a crash.
#[derive(Debug)]
pub struct SimFile {
    node: usize,
    boot: u64,
}

#[derive(Debug)]
pub struct SimLock {
    disk: SimDisk,
    boot: u64,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut world = self.disk.world();
        if world.boots == self.boot {
            world.locked = false;
        }
    }
}

impl SimDisk {
    pub fn new(seed: u64) -> Self {
        let root = Tree::from([(PathBuf::from("/"), Place::Dir)]);
        Self(Arc::new(Mutex::new(World {
            nodes: Vec::new(),
            now: root.clone(),
            kept: root,
            changes: Vec::new(),
            random: fastrand::Rng::with_seed(seed),
            operations: 0,
            planned: BTreeMap::new(),
            space_bytes: usize::MAX,
            unreadable: Vec::new(),
            lasting: None,
            locked: false,
            off: false,
            boots: 0,
            peak_bytes: 0,
        })))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Plans `trouble` for the operation `after` more operations from now.
    pub fn plan(&self, after: u64, trouble: Trouble) {
        let mut world = self.world();
        let at = world.operations + after + 1;
        world.planned.insert(at, trouble);
    }

    pub fn cancel(&self) {
        self.world().planned.clear();
    }

    pub fn set_space(&self, bytes: usize) {
        self.world().space_bytes = bytes;
    }

    /// From now on everything that changes the disk fails with this, until `None`.
    pub fn set_lasting(&self, errno: Option<i32>) {
        self.world().lasting = errno;
    }

    pub fn operations(&self) -> u64 {
        self.world().operations
    }

    pub fn is_off(&self) -> bool {
        self.world().off
    }

    pub fn peak_bytes(&self) -> usize {
        self.world().peak_bytes
    }

    /// The process died: what it wrote is in the kernel's memory, its lock is free.
    pub fn kill(&self) {
        self.world().boot();
    }

    /// The machine lost power and is up again.
    pub fn lose_power(&self) {
        let mut guard = self.world();
        let world = &mut *guard;
        let changes = std::mem::take(&mut world.changes);
        let mut dirs: Vec<&PathBuf> = changes.iter().map(|(dir, _)| dir).collect();
        dirs.sort();
        dirs.dedup();
        for dir in dirs {
            let pending: Vec<_> = changes.iter().filter(|change| change.0 == *dir).collect();
            let kept = world.random.usize(..=pending.len());
            for (_, change) in &pending[..kept] {
                apply(&mut world.kept, change);
            }
        }
        let tree = world.kept.clone();
        world.kept.retain(|path, _| path.ancestors().skip(1).all(|dir| tree.contains_key(dir)));
        world.now = world.kept.clone();
        for node in &mut world.nodes {
            node.lose_some(&mut world.random);
            node.now.clone_from(&node.kept);
        }
        world.boot();
        world.measure();
    }

    /// Every file: its path and what reads see.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let world = self.world();
        let file = |(path, place): (&PathBuf, &Place)| match place {
            Place::File(node) => Some((path.clone(), world.nodes[*node].now.clone())),
            Place::Dir => None,
        };
        world.now.iter().filter_map(file).collect()
    }

    /// Changes the bytes of a file behind everybody's back; returns what `change` does.
    pub fn tamper<T>(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let mut world = self.world();
        let Some(Place::File(node)) = world.now.get(path).copied() else { panic!("no {}", path.display()) };
        let result = change(&mut world.nodes[node].now);
        world.nodes[node].kept = world.nodes[node].now.clone();
        result
    }

    /// Reads of these bytes of a file fail from now on, whatever its name will be.
    pub fn break_sectors(&self, path: &Path, bytes: Range<usize>) {
        let mut world = self.world();
        let Some(Place::File(node)) = world.now.get(path).copied() else { panic!("no {}", path.display()) };
        world.unreadable.push((node, bytes));
    }

    /// Puts a file there as if it had always been, or takes it away.
    pub fn put(&self, path: &Path, bytes: Option<&[u8]>) {
        let mut world = self.world();
        let Some(bytes) = bytes else {
            world.now.remove(path);
            world.kept.remove(path);
            return;
        };
        for dir in path.ancestors().skip(1) {
            world.now.insert(dir.to_path_buf(), Place::Dir);
            world.kept.insert(dir.to_path_buf(), Place::Dir);
        }
        world.nodes.push(Node { now: bytes.to_vec(), kept: bytes.to_vec(), dirty: Vec::new() });
        let place = Place::File(world.nodes.len() - 1);
        world.now.insert(path.to_path_buf(), place);
        world.kept.insert(path.to_path_buf(), place);
    }
}

fn apply(tree: &mut Tree, change: &NameChange) {
    match change {
        NameChange::Make(path, place) => drop(tree.insert(path.clone(), *place)),
        NameChange::Rename(from, to) => {
            if let Some(place) = tree.remove(from) {
                tree.insert(to.clone(), place);
            }
        }
        NameChange::Remove(path) => drop(tree.remove(path)),
    }
}

fn errno(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

impl World {
    fn boot(&mut self) {
        self.off = false;
        self.locked = false;
        self.boots += 1;
        self.planned.clear();
    }

    fn used(&self) -> usize {
        let bytes =
            |place: &Place| if let Place::File(node) = place { self.nodes[*node].now.len() } else { 0 };
        self.now.values().map(bytes).sum()
    }

    fn measure(&mut self) {
        self.peak_bytes = self.peak_bytes.max(self.used());
    }

    /// Counts an operation and answers the trouble that is planned for it.
    fn step(&mut self, changes: bool) -> io::Result<Option<Trouble>> {
        if self.off {
            return Err(errno(libc::EIO));
        }
        self.operations += 1;
        if let (Some(number), true) = (self.lasting, changes) {
            return Err(errno(number));
        }
        match self.planned.remove(&self.operations) {
            Some(Trouble::NoSpace) if changes => Err(errno(libc::ENOSPC)),
            Some(Trouble::Io) => Err(errno(libc::EIO)),
            Some(Trouble::Crash) => {
                self.off = true;
                Err(errno(libc::EIO))
            }
            planned => Ok(planned),
        }
    }

    fn node(&mut self, file: &SimFile) -> io::Result<&mut Node> {
        if file.boot == self.boots { Ok(&mut self.nodes[file.node]) } else { Err(errno(libc::EIO)) }
    }

    fn change(&mut self, path: &Path, change: NameChange) {
        apply(&mut self.now, &change);
        self.changes.push((path.parent().unwrap().to_path_buf(), change));
    }

    fn make(&mut self, path: &Path, place: Place) -> io::Result<()> {
        if self.now.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        match self.now.get(path.parent().unwrap()) {
            Some(Place::Dir) => {}
            Some(Place::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
            None => return Err(io::ErrorKind::NotFound.into()),
        }
        self.change(path, NameChange::Make(path.to_path_buf(), place));
        Ok(())
    }

    fn grow(&mut self, file: &SimFile, end: usize) -> io::Result<()> {
        let more = end.saturating_sub(self.node(file)?.now.len());
        if more > 0 && self.used() + more > self.space_bytes {
            return Err(errno(libc::ENOSPC));
        }
        let node = self.node(file)?;
        let from = node.now.len();
        if end > from {
            node.now.resize(end, 0);
            node.dirty.push(from..end);
        }
        self.measure();
        Ok(())
    }
}
