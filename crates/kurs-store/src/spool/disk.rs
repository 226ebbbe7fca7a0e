//! The few things that a spool asks of a disk, so that tests can let each of them fail.

use super::SpoolError;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Name of the lock in the folder.
const LOCK: &str = "lock";
/// End of the names of files that are not whole yet.
const UNFINISHED: &str = ".new";

/// A folder of files. All names are plain file names in it.
pub trait Disk: Send + std::fmt::Debug {
    /// Every file and how long it is.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self) -> io::Result<Vec<(String, u64)>>;

    /// Makes a file that is not there yet, to write at its end.
    ///
    /// # Errors
    /// What the system says.
    fn create(&self, name: &str) -> io::Result<Box<dyn WriteFile>>;

    /// Opens a file to read.
    ///
    /// # Errors
    /// What the system says.
    fn open(&self, name: &str) -> io::Result<Box<dyn ReadFile>>;

    /// Cuts a file to this length.
    ///
    /// # Errors
    /// What the system says.
    fn cut(&self, name: &str, length: u64) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Renames a file.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Replaces a small file as a whole; it is durable afterwards when `is_durable`.
    ///
    /// # Errors
    /// What the system says.
    fn replace(&self, name: &str, content: &[u8], is_durable: bool) -> io::Result<()>;

    /// Makes durable which files there are.
    ///
    /// # Errors
    /// What the system says.
    fn sync_folder(&self) -> io::Result<()>;
}

/// A file that is written at its end.
pub trait WriteFile: Send + std::fmt::Debug {
    /// Writes some of the bytes; how many.
    ///
    /// # Errors
    /// What the system says.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Makes durable what was written.
    ///
    /// # Errors
    /// What the system says. After that nobody knows what is on the disk.
    fn sync(&mut self) -> io::Result<()>;
}

/// A file that is read.
pub trait ReadFile: Send + std::fmt::Debug {
    /// Reads from a place into the buffer; how many bytes, fewer only at the end of the file.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

/// A folder of this machine, held by a lock that the system releases when its process ends.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Held as long as this is.
    _lock: File,
}

impl Folder {
    /// Makes the folder if it is missing, for this user only, and takes it.
    ///
    /// # Errors
    /// [`SpoolError::Taken`] while another process has it, [`SpoolError::Disk`] when it cannot be
    /// made.
    pub fn take(path: &Path) -> Result<Self, SpoolError> {
        if !path.is_dir() {
            let mut builder = DirBuilder::new();
            builder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(path)?;
        }
        let lock = private(OpenOptions::new().create(true).truncate(false).write(true))
            .open(path.join(LOCK))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_path_buf(),
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(SpoolError::Taken),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// Files are for this user only.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

impl Disk for Folder {
    fn list(&self) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string()
                && name != LOCK
                && !name.ends_with(UNFINISHED)
            {
                files.push((name, entry.metadata()?.len()));
            }
        }
        Ok(files)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn WriteFile>> {
        let file = private(OpenOptions::new().create_new(true).append(true)).open(self.at(name))?;
        Ok(Box::new(Plain(file)))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn ReadFile>> {
        Ok(Box::new(Plain(File::open(self.at(name))?)))
    }

    fn cut(&self, name: &str, length: u64) -> io::Result<()> {
        OpenOptions::new()
            .write(true)
            .open(self.at(name))?
            .set_len(length)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.at(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.at(from), self.at(to))
    }

    fn replace(&self, name: &str, content: &[u8], is_durable: bool) -> io::Result<()> {
        let unfinished = self.at(&format!("{name}{UNFINISHED}"));
        let mut file = private(OpenOptions::new().create(true).truncate(true).write(true))
            .open(&unfinished)?;
        file.write_all(content)?;
        if is_durable {
            file.sync_all()?;
        }
        std::fs::rename(unfinished, self.at(name))?;
        if is_durable {
            self.sync_folder()
        } else {
            Ok(())
        }
    }

    fn sync_folder(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

#[derive(Debug)]
struct Plain(File);

impl WriteFile for Plain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}

impl ReadFile for Plain {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.seek(SeekFrom::Start(offset))?;
        let mut count = 0;
        while let Some(rest) = buffer.get_mut(count..).filter(|rest| !rest.is_empty()) {
            match self.0.read(rest) {
                Ok(0) => break,
                Ok(read) => count += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(count)
    }
}
