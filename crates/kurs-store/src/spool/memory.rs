//! A disk in memory that can be full, fail, and lose power, for tests.

use super::disk::{Disk, ReadFile, WriteFile};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;

/// One thing that goes wrong once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A write fails after this many bytes.
    Write(usize),
    /// A write takes only this many bytes.
    ShortWrite(usize),
    /// A sync fails, and what was written is lost.
    Sync,
    /// A read fails.
    Read,
    /// A file cannot be made.
    Create,
}

#[derive(Debug, Default, Clone)]
struct Content {
    bytes: Vec<u8>,
    synced: usize,
    /// A sync of it failed: what it holds is not known any more.
    failed: bool,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, Content>,
    /// Which files are there after a loss of power.
    durable: BTreeMap<String, Content>,
    faults: VecDeque<Fault>,
    room: Option<usize>,
    syncs: u64,
}

/// A disk that is shared by all its clones. What it holds outlives the spools on it.
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
}

impl MemoryDisk {
    /// This goes wrong at the next occasion, behind what was planned before.
    pub fn plan(&self, fault: Fault) {
        self.state.lock().faults.push_back(fault);
    }

    /// Nothing that was planned goes wrong any more.
    pub fn mend(&self) {
        self.state.lock().faults.clear();
    }

    /// From now on there are so many bytes for all files; `None`: as many as are wanted.
    pub fn room(&self, bytes: Option<usize>) {
        self.state.lock().room = bytes;
    }

    /// How many use it, this handle included: a spool on it that a thread still works with counts.
    #[must_use]
    pub fn users(&self) -> usize {
        Arc::strong_count(&self.state)
    }

    /// How often something was synced.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.state.lock().syncs
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.state.lock().bytes()
    }

    /// Every file by its name.
    #[must_use]
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.state.lock();
        let files = state.files.iter();
        files
            .map(|(name, content)| (name.clone(), content.bytes.clone()))
            .collect()
    }

    /// A disk with these files, all of them durable.
    #[must_use]
    pub fn of_files(files: BTreeMap<String, Vec<u8>>) -> Self {
        let disk = Self::default();
        {
            let mut state = disk.state.lock();
            for (name, bytes) in files {
                let synced = bytes.len();
                let failed = false;
                let content = Content {
                    bytes,
                    synced,
                    failed,
                };
                state.files.insert(name, content);
            }
            state.durable = state.files.clone();
        }
        disk
    }

    /// The power went: files are as they were when the folder was synced last, each with what was
    /// synced of it and some of what was written after. `choose(n)` gives a number up to `n`.
    pub fn lose_power(&self, mut choose: impl FnMut(usize) -> usize) {
        let mut state = self.state.lock();
        let State { files, durable, .. } = &mut *state;
        for (name, content) in files.iter() {
            // A file that the folder may not know of yet.
            if !durable.contains_key(name) && choose(1) == 1 {
                durable.insert(name.clone(), content.clone());
            }
        }
        let names: Vec<String> = durable.keys().cloned().collect();
        for name in names {
            // One that was removed may be there again.
            if !files.contains_key(&name) && choose(1) == 1 {
                durable.remove(&name);
            }
        }
        for (name, old) in durable.iter_mut() {
            let content = files.get(name).unwrap_or(old).clone();
            // A file that was replaced may be the former one.
            if content.synced < old.synced && choose(1) == 1 {
                continue;
            }
            let kept = content.synced + choose(content.bytes.len() - content.synced);
            let mut bytes = content.bytes;
            bytes.truncate(kept);
            // What was written and not synced may be anything.
            for byte in bytes.iter_mut().skip(content.synced) {
                if choose(3) == 0 {
                    *byte ^= 0x5a;
                }
            }
            *old = Content {
                synced: bytes.len(),
                bytes,
                failed: false,
            };
        }
        state.files = state.durable.clone();
    }
}

impl State {
    fn bytes(&self) -> usize {
        self.files.values().map(|file| file.bytes.len()).sum()
    }

    /// The fault that is next, if it is one of these.
    fn fault(&mut self, is_mine: impl Fn(Fault) -> bool) -> Option<Fault> {
        self.faults
            .front()
            .copied()
            .filter(|fault| is_mine(*fault))?;
        self.faults.pop_front()
    }

    fn left(&self) -> usize {
        self.room
            .map_or(usize::MAX, |room| room.saturating_sub(self.bytes()))
    }
}

fn failed() -> io::Error {
    io::Error::other("input/output error")
}

impl Disk for MemoryDisk {
    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let state = self.state.lock();
        let files = state.files.iter();
        Ok(files
            .map(|(name, content)| {
                let length = u64::try_from(content.bytes.len()).unwrap_or(u64::MAX);
                (name.clone(), length)
            })
            .collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn WriteFile>> {
        let mut state = self.state.lock();
        if state.fault(|fault| fault == Fault::Create).is_some() {
            return Err(failed());
        }
        if state.files.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.files.insert(name.to_owned(), Content::default());
        Ok(Box::new(MemoryFile {
            name: name.to_owned(),
            disk: self.clone(),
        }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn ReadFile>> {
        if !self.state.lock().files.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Box::new(MemoryFile {
            name: name.to_owned(),
            disk: self.clone(),
        }))
    }

    fn cut(&self, name: &str, length: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        let content = state.files.get_mut(name).ok_or(io::ErrorKind::NotFound)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        content.bytes.truncate(length);
        content.synced = content.synced.min(length);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        let removed = state.files.remove(name);
        removed.map(|_| ()).ok_or(io::ErrorKind::NotFound.into())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        let content = state.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.files.insert(to.to_owned(), content);
        Ok(())
    }

    fn replace(&self, name: &str, content: &[u8], is_durable: bool) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.left() < content.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let content = Content {
            bytes: content.to_vec(),
            synced: if is_durable { content.len() } else { 0 },
            failed: false,
        };
        if is_durable {
            state.durable.insert(name.to_owned(), content.clone());
        }
        state.files.insert(name.to_owned(), content);
        Ok(())
    }

    fn sync_folder(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.syncs += 1;
        let files = state.files.clone();
        state.durable = files;
        Ok(())
    }
}

#[derive(Debug)]
struct MemoryFile {
    name: String,
    disk: MemoryDisk,
}

impl WriteFile for MemoryFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.disk.state.lock();
        let fault = state.fault(|fault| matches!(fault, Fault::Write(_) | Fault::ShortWrite(_)));
        let left = state.left();
        let content = state
            .files
            .get_mut(&self.name)
            .ok_or(io::ErrorKind::NotFound)?;
        assert!(!content.failed, "written to a file whose sync failed");
        let (count, error) = match fault {
            Some(Fault::Write(count)) => (count.min(bytes.len()), Some(failed())),
            Some(Fault::ShortWrite(count)) => (count.clamp(1, bytes.len()), None),
            _ => (bytes.len(), None),
        };
        let fits = count.min(left);
        content.bytes.extend(bytes.iter().take(fits));
        match error {
            Some(error) => Err(error),
            None if fits == 0 => Err(io::ErrorKind::StorageFull.into()),
            None => Ok(fits),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        state.syncs += 1;
        let fault = state.fault(|fault| fault == Fault::Sync);
        let content = state
            .files
            .get_mut(&self.name)
            .ok_or(io::ErrorKind::NotFound)?;
        assert!(!content.failed, "a sync that failed was tried again");
        if fault.is_some() {
            content.failed = true;
            return Err(failed());
        }
        content.synced = content.bytes.len();
        Ok(())
    }
}

impl ReadFile for MemoryFile {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.disk.state.lock();
        if state.fault(|fault| fault == Fault::Read).is_some() {
            return Err(failed());
        }
        let content = state.files.get(&self.name).ok_or(io::ErrorKind::NotFound)?;
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = content.bytes.get(offset..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}
