//! The simulated disk's operations.

use std::io;
use std::path::{Path, PathBuf};

use super::{NameChange, Node, Place, SimDisk, SimFile, SimLock, Trouble, apply};
use crate::journal::disk::{Disk, Entry, LockError};

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap()
}

impl Disk for SimDisk {
    type File = SimFile;
    type Lock = SimLock;

    fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.step(true)?;
        world.make(path, Place::Dir)
    }

    fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        let mut guard = self.world();
        let world = &mut *guard;
        world.step(true)?;
        if world.now.get(path) != Some(&Place::Dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let (synced, rest) =
            std::mem::take(&mut world.changes).into_iter().partition(|change| change.0 == path);
        world.changes = rest;
        let synced: Vec<(PathBuf, NameChange)> = synced;
        for (_, change) in &synced {
            apply(&mut world.kept, change);
        }
        Ok(())
    }

    fn list(&mut self, dir: &Path, entry: &mut dyn FnMut(&str, Entry)) -> io::Result<()> {
        let mut world = self.world();
        world.step(false)?;
        if world.now.get(dir) != Some(&Place::Dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        for (path, place) in world.now.iter().filter(|(path, _)| path.parent() == Some(dir)) {
            let kind = match place {
                Place::Dir => Entry::Directory,
                Place::File(node) => Entry::File(world.nodes[*node].now.len() as u64),
            };
            entry(path.file_name().unwrap().to_str().unwrap(), kind);
        }
        Ok(())
    }

    fn create(&mut self, path: &Path) -> io::Result<SimFile> {
        let mut world = self.world();
        world.step(true)?;
        let node = world.nodes.len();
        world.make(path, Place::File(node))?;
        world.nodes.push(Node::default());
        Ok(SimFile { node, boot: world.boots })
    }

    fn open(&mut self, path: &Path, _write: bool) -> io::Result<SimFile> {
        let mut world = self.world();
        world.step(false)?;
        match world.now.get(path) {
            Some(Place::File(node)) => Ok(SimFile { node: *node, boot: world.boots }),
            Some(Place::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn len(&mut self, file: &SimFile) -> io::Result<u64> {
        let mut world = self.world();
        world.step(false)?;
        Ok(world.node(file)?.now.len() as u64)
    }

    fn allocate(&mut self, file: &SimFile, bytes: u64) -> io::Result<()> {
        let mut world = self.world();
        world.step(true)?;
        world.grow(file, size(bytes))
    }

    fn read_at(&mut self, file: &SimFile, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut world = self.world();
        let trouble = world.step(false)?;
        let (from, to) = (size(offset), size(offset) + into.len());
        let broken = |(node, bytes): &(usize, std::ops::Range<usize>)| {
            *node == file.node && bytes.start < to && from < bytes.end
        };
        if world.unreadable.iter().any(broken) {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        let bytes = world.node(file)?.now.get(size(offset)..).unwrap_or_default();
        let mut len = bytes.len().min(into.len());
        if trouble == Some(Trouble::Short) {
            if len < 2 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            len /= 2;
        }
        into[..len].copy_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn write_at(&mut self, file: &SimFile, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let mut world = self.world();
        let trouble = world.step(true);
        let (mut offset, mut len) = (size(offset), bytes.len());
        match trouble {
            Ok(Some(Trouble::Lost)) => return Ok(len),
            Ok(Some(Trouble::Misdirected)) => offset = (offset + 640) % 8192,
            Ok(Some(Trouble::Short)) if len < 2 => return Err(io::ErrorKind::Interrupted.into()),
            Ok(Some(Trouble::Short)) => len /= 2,
            Ok(_) => {}
            // The last write of a machine, or one that fails: some of it may be there.
            Err(error) => {
                len = world.random.usize(..=len);
                if world.lasting.is_none() && world.grow(file, offset + len).is_ok() {
                    let node = world.node(file)?;
                    node.now[offset..offset + len].copy_from_slice(&bytes[..len]);
                    node.dirty.push(offset..offset + len);
                }
                return Err(error);
            }
        }
        world.grow(file, offset + len)?;
        let node = world.node(file)?;
        node.now[offset..offset + len].copy_from_slice(&bytes[..len]);
        node.dirty.push(offset..offset + len);
        Ok(len)
    }

    fn sync(&mut self, file: &SimFile) -> io::Result<()> {
        let mut guard = self.world();
        let world = &mut *guard;
        let stepped = world.step(true);
        world.node(file)?;
        let node = &mut world.nodes[file.node];
        match stepped {
            Ok(_) => {
                node.kept.clone_from(&node.now);
                node.dirty.clear();
                Ok(())
            }
            // Some of it reached the disk, the rest never will: the kernel takes it for written.
            Err(error) => {
                if !world.off {
                    node.lose_some(&mut world.random);
                }
                Err(error)
            }
        }
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.step(true)?;
        if !world.now.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        world.change(from, NameChange::Rename(from.to_path_buf(), to.to_path_buf()));
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.step(true)?;
        match world.now.get(path) {
            Some(Place::File(_)) => {}
            _ => return Err(io::ErrorKind::NotFound.into()),
        }
        world.change(path, NameChange::Remove(path.to_path_buf()));
        Ok(())
    }

    fn lock(&mut self, path: &Path) -> Result<SimLock, LockError> {
        let mut world = self.world();
        world.step(true).map_err(LockError::Io)?;
        if world.locked {
            return Err(LockError::Held(Some(4711)));
        }
        if !world.now.contains_key(path) {
            let node = world.nodes.len();
            world.make(path, Place::File(node)).map_err(LockError::Io)?;
            world.nodes.push(Node::default());
        }
        world.locked = true;
        Ok(SimLock { disk: self.clone(), boot: world.boots })
    }
}
