//! Counting writes from outside: the commits in SQLite's write-ahead log (<https://sqlite.org/fileformat2.html#walformat>).

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// The commits since the log was last begun anew.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Commits {
    /// Changes whenever it is begun anew.
    salt: [u8; 8],
    count: usize,
}

impl Commits {
    pub fn read(database: &Path) -> Result<Self> {
        let mut path = database.as_os_str().to_owned();
        path.push("-wal");
        let path = PathBuf::from(path);
        let log = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let broken = || format!("{} is no write-ahead log", path.display());
        let page_size = log.get(8..12).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok()).ok_or_else(broken)?;
        let salt: [u8; 8] = log.get(16..24).and_then(|bytes| bytes.try_into().ok()).ok_or_else(broken)?;
        let page_size = u32::from_be_bytes(page_size) as usize;
        let frames = log.get(HEADER..).unwrap_or_default().chunks_exact(FRAME_HEADER + page_size);
        // What is left of an earlier round has another salt. A frame that commits has the size of the database.
        let valid = frames.take_while(|frame| frame.get(8..16) == Some(&salt));
        let count = valid.filter(|frame| frame.get(4..8).is_some_and(|size| size != [0; 4])).count();
        Ok(Self { salt, count })
    }

    /// `None` when the log was begun anew in between.
    pub fn since(self, earlier: Self) -> Option<usize> {
        (self.salt == earlier.salt).then(|| self.count - earlier.count)
    }
}
