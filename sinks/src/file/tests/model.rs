//! A disk in memory that forgets like a real one. What was not fsynced may, after a power loss, be there, be
//! torn, or be gone; after a failed fsync it is gone although reads still show it.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

mod operations;

/// Small, so that tests tear records.
const SECTOR_BYTES: usize = 8;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    NoSpace,
    Io,
    /// An append or overwrite takes fewer bytes than it was given; other operations are interrupted.
    Short,
    /// The operation is the last: everything fails from here on.
    Crash,
}

/// The kinds of operation that a lasting fault can hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    MakeDir,
    SyncDir,
    Create,
    Open,
    List,
    Rename,
    Remove,
    Append,
    Read,
    Overwrite,
    Truncate,
    Sync,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Dir,
    File(usize),
}

type Tree = BTreeMap<PathBuf, Entry>;

#[derive(Debug)]
enum NameChange {
    Make(PathBuf, Entry),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

#[derive(Debug, Default)]
struct Node {
    /// What reads see.
    now: Vec<u8>,
    /// What survives a power loss for certain.
    kept: Vec<u8>,
    /// What was written since and may or may not.
    dirty: Vec<Range<usize>>,
    locked: bool,
}

impl Node {
    /// Copies what is dirty to the disk: all of it, or some sectors.
    fn write_back(&mut self, mut chosen: impl FnMut() -> bool) {
        for range in std::mem::take(&mut self.dirty) {
            for start in range.clone().step_by(SECTOR_BYTES) {
                let end = (start + SECTOR_BYTES).min(range.end).min(self.kept.len()).min(self.now.len());
                if start < end && chosen() {
                    self.kept[start..end].copy_from_slice(&self.now[start..end]);
                }
            }
        }
    }

    fn lose_some(&mut self, rng: &mut fastrand::Rng) {
        let (low, high) = (self.kept.len().min(self.now.len()), self.kept.len().max(self.now.len()));
        let bytes = match rng.u8(..3) {
            0 => self.kept.len(),
            1 => self.now.len(),
            _ => rng.usize(low..=high),
        };
        self.kept.resize(bytes, 0);
        let often = rng.f64();
        self.write_back(|| rng.f64() < often);
    }
}

#[derive(Debug)]
struct World {
    nodes: Vec<Node>,
    now: Tree,
    kept: Tree,
    changes: Vec<(PathBuf, NameChange)>,
    rng: fastrand::Rng,
    operations: u64,
    planned: BTreeMap<u64, Trouble>,
    lasting: Option<(Op, io::ErrorKind)>,
    off: bool,
    boots: u64,
}

/// The modelled disk; clones share it.
#[derive(Clone, Debug)]
pub struct ModelDisk(Arc<Mutex<World>>);

/// An open file of the model, locked until it is dropped.
#[derive(Debug)]
pub struct ModelFile {
    disk: ModelDisk,
    node: usize,
    boot: u64,
}

impl Drop for ModelFile {
    fn drop(&mut self) {
        let mut world = self.disk.world();
        if world.boots == self.boot {
            world.nodes[self.node].locked = false;
        }
    }
}

impl ModelDisk {
    pub fn new(seed: u64) -> Self {
        let root = Tree::from([(PathBuf::from("/"), Entry::Dir)]);
        Self(Arc::new(Mutex::new(World {
            nodes: Vec::new(),
            now: root.clone(),
            kept: root,
            changes: Vec::new(),
            rng: fastrand::Rng::with_seed(seed),
            operations: 0,
            planned: BTreeMap::new(),
            lasting: None,
            off: false,
            boots: 0,
        })))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Plans `trouble` for the operation `after` more operations from now.
    pub fn plan(&self, after: u64, trouble: Trouble) {
        let mut world = self.world();
        let at = world.operations + after + 1;
        world.planned.insert(at, trouble);
    }

    /// Forgets what was planned.
    pub fn cancel(&self) {
        self.world().planned.clear();
    }

    /// From now on every operation of this kind fails, until it is set to `None`.
    pub fn set_lasting(&self, lasting: Option<(Op, io::ErrorKind)>) {
        self.world().lasting = lasting;
    }

    pub fn operations(&self) -> u64 {
        self.world().operations
    }

    pub fn is_off(&self) -> bool {
        self.world().off
    }

    /// The process died: what it wrote is in the kernel's memory, its locks are free.
    pub fn kill_process(&self) {
        let mut world = self.world();
        world.nodes.iter_mut().for_each(|node| node.locked = false);
        world.off = false;
        world.boots += 1;
        world.planned.clear();
    }

    /// The machine lost power and is up again.
    pub fn lose_power(&self) {
        let mut guard = self.world();
        let world = &mut *guard;
        let mut dirs: Vec<PathBuf> = world.changes.iter().map(|(dir, _)| dir.clone()).collect();
        dirs.dedup();
        for dir in dirs {
            let pending = world.changes.iter().filter(|change| change.0 == dir).count();
            let kept = world.rng.usize(0..=pending);
            for (_, change) in world.changes.iter().filter(|change| change.0 == dir).take(kept) {
                apply(&mut world.kept, change);
            }
            world.changes.retain(|change| change.0 != dir);
        }
        let orphaned = |tree: &Tree, path: &Path| path.ancestors().skip(1).any(|dir| !tree.contains_key(dir));
        let tree = world.kept.clone();
        world.kept.retain(|path, _| !orphaned(&tree, path));
        world.now = world.kept.clone();
        for node in &mut world.nodes {
            node.lose_some(&mut world.rng);
            node.now.clone_from(&node.kept);
            node.locked = false;
        }
        world.off = false;
        world.boots += 1;
        world.planned.clear();
    }

    /// Every file: its path and what reads see.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let world = self.world();
        let file = |(path, entry): (&PathBuf, &Entry)| match entry {
            Entry::File(node) => Some((path.clone(), world.nodes[*node].now.clone())),
            Entry::Dir => None,
        };
        world.now.iter().filter_map(file).collect()
    }

    /// Puts a file there as if it had always been.
    pub fn put(&self, path: &Path, bytes: &[u8]) {
        let mut world = self.world();
        for dir in path.ancestors().skip(1) {
            world.now.insert(dir.to_path_buf(), Entry::Dir);
            world.kept.insert(dir.to_path_buf(), Entry::Dir);
        }
        let node = Node { now: bytes.to_vec(), kept: bytes.to_vec(), ..Node::default() };
        world.nodes.push(node);
        let entry = Entry::File(world.nodes.len() - 1);
        world.now.insert(path.to_path_buf(), entry);
        world.kept.insert(path.to_path_buf(), entry);
    }
}

fn apply(tree: &mut Tree, change: &NameChange) {
    match change {
        NameChange::Make(path, entry) => {
            tree.insert(path.clone(), *entry);
        }
        NameChange::Rename(from, to) => {
            if let Some(entry) = tree.remove(from) {
                tree.insert(to.clone(), entry);
            }
        }
        NameChange::Remove(path) => {
            tree.remove(path);
        }
    }
}

impl World {
    /// Counts an operation, and answers the trouble that is planned for it: true for a short write.
    fn step(&mut self, op: Op) -> io::Result<bool> {
        if self.off {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        self.operations += 1;
        if let Some((lasting, kind)) = self.lasting
            && lasting == op
        {
            return Err(kind.into());
        }
        match (self.planned.remove(&self.operations), op) {
            (Some(Trouble::Short), Op::Append | Op::Overwrite) => Ok(true),
            (Some(Trouble::Short), Op::Read) => Err(io::ErrorKind::Interrupted.into()),
            // Only transfers are short. And unreadable files are moved aside: that is a test of its own.
            (None | Some(Trouble::Short), _) | (Some(Trouble::Io | Trouble::NoSpace), Op::Read) => Ok(false),
            (Some(Trouble::NoSpace), _) => Err(io::Error::from_raw_os_error(libc::ENOSPC)),
            (Some(Trouble::Io), _) => Err(io::Error::from_raw_os_error(libc::EIO)),
            (Some(Trouble::Crash), _) => {
                self.off = true;
                Err(io::Error::from_raw_os_error(libc::EIO))
            }
        }
    }

    fn find(&self, path: &Path) -> io::Result<Entry> {
        self.now.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn change(&mut self, path: &Path, change: NameChange) {
        apply(&mut self.now, &change);
        self.changes.push((path.parent().unwrap().to_path_buf(), change));
    }

    fn make(&mut self, path: &Path, entry: Entry) -> io::Result<()> {
        if self.now.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        match self.find(path.parent().unwrap())? {
            Entry::Dir => self.change(path, NameChange::Make(path.to_path_buf(), entry)),
            Entry::File(_) => return Err(io::ErrorKind::NotADirectory.into()),
        }
        Ok(())
    }

    fn write(&mut self, node: usize, offset: usize, bytes: &[u8]) {
        let node = &mut self.nodes[node];
        let end = offset + bytes.len();
        if node.now.len() < end {
            node.now.resize(end, 0);
        }
        node.now[offset..end].copy_from_slice(bytes);
        node.dirty.push(offset..end);
    }
}
