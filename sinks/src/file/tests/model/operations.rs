//! The operations of the modelled disk.

use std::io::{self, IoSlice};
use std::path::Path;

use super::{Entry, ModelDisk, ModelFile, NameChange, Node, Op, apply};
use crate::file::disk::{Disk, EntryKind};

impl Disk for ModelDisk {
    type File = ModelFile;

    fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.step(Op::MakeDir)?;
        world.make(path, Entry::Dir)
    }

    fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        let mut guard = self.world();
        let world = &mut *guard;
        world.step(Op::SyncDir)?;
        world.find(path)?;
        for (_, change) in world.changes.extract_if(.., |(dir, _)| dir == path) {
            apply(&mut world.kept, &change);
        }
        Ok(())
    }

    fn create(&mut self, path: &Path) -> io::Result<ModelFile> {
        let mut world = self.world();
        world.step(Op::Create)?;
        let node = world.nodes.len();
        world.make(path, Entry::File(node))?;
        world.nodes.push(Node { locked: true, ..Node::default() });
        Ok(ModelFile { disk: self.clone(), node, boot: world.boots })
    }

    fn open_abandoned(&mut self, path: &Path) -> io::Result<Option<ModelFile>> {
        let mut world = self.world();
        world.step(Op::Open)?;
        match world.find(path)? {
            Entry::Dir => Err(io::ErrorKind::IsADirectory.into()),
            Entry::File(node) if world.nodes[node].locked => Ok(None),
            Entry::File(node) => {
                world.nodes[node].locked = true;
                Ok(Some(ModelFile { disk: self.clone(), node, boot: world.boots }))
            }
        }
    }

    fn list(&mut self, dir: &Path, entry: &mut dyn FnMut(&str, EntryKind)) -> io::Result<()> {
        let mut world = self.world();
        world.step(Op::List)?;
        if let Entry::File(_) = world.find(dir)? {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        for (path, found) in world.now.iter().filter(|(path, _)| path.parent() == Some(dir)) {
            let kind = if *found == Entry::Dir { EntryKind::Directory } else { EntryKind::File };
            entry(path.file_name().unwrap().to_str().unwrap(), kind);
        }
        Ok(())
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.step(Op::Rename)?;
        world.find(from)?;
        assert!(!world.now.contains_key(to), "a rename would replace {}", to.display());
        world.change(from, NameChange::Rename(from.to_path_buf(), to.to_path_buf()));
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        let mut world = self.world();
        world.step(Op::Remove)?;
        world.find(path)?;
        world.change(path, NameChange::Remove(path.to_path_buf()));
        Ok(())
    }

    fn append(&mut self, file: &mut ModelFile, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut world = self.world();
        let short = world.step(Op::Append)?;
        let mut bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        if short {
            let some = world.rng.usize(0..bytes.len()).max(1);
            bytes.truncate(some);
        }
        let end = world.nodes[file.node].now.len();
        world.write(file.node, end, &bytes);
        Ok(bytes.len())
    }

    fn read_at(&mut self, file: &mut ModelFile, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut world = self.world();
        world.step(Op::Read)?;
        let from = usize::try_from(offset).unwrap();
        let rest = world.nodes[file.node].now.get(from..).unwrap_or_default();
        let bytes = rest.len().min(into.len());
        into[..bytes].copy_from_slice(&rest[..bytes]);
        Ok(bytes)
    }

    fn overwrite(&mut self, file: &mut ModelFile, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let mut world = self.world();
        let short = world.step(Op::Overwrite)?;
        let bytes = if short { &bytes[..bytes.len().div_ceil(2)] } else { bytes };
        world.write(file.node, usize::try_from(offset).unwrap(), bytes);
        Ok(bytes.len())
    }

    fn truncate(&mut self, file: &mut ModelFile, bytes: u64) -> io::Result<()> {
        let mut world = self.world();
        world.step(Op::Truncate)?;
        world.nodes[file.node].now.resize(usize::try_from(bytes).unwrap(), 0);
        Ok(())
    }

    fn sync(&mut self, file: &mut ModelFile) -> io::Result<()> {
        let mut guard = self.world();
        let world = &mut *guard;
        let stepped = world.step(Op::Sync);
        let node = &mut world.nodes[file.node];
        match stepped {
            Ok(_) => {
                node.kept.resize(node.now.len(), 0);
                node.write_back(|| true);
                Ok(())
            }
            // Some of it reached the disk, the rest never will: the kernel takes it for written.
            Err(error) => {
                if !world.off {
                    node.lose_some(&mut world.rng);
                }
                Err(error)
            }
        }
    }
}
