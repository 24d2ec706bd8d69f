//! A domain as it lies in shared memory: kept, put back, damaged.

use crate::random::Random;
use crate::support::Isolated;
use std::fs::{File, read_dir};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const PAGE: u64 = 4096;

/// The pages of one shared memory object; holes stay holes.
pub(crate) struct Image {
    pub(crate) path: PathBuf,
    bytes: u64,
    pages: Vec<(u64, Vec<u8>)>,
}

impl Image {
    /// What there is of a domain.
    pub(crate) fn all_of(isolated: &Isolated) -> Vec<Self> {
        let mut paths: Vec<_> =
            isolated.objects().into_iter().map(|name| Path::new("/dev/shm").join(name)).collect();
        paths.sort();
        paths.into_iter().map(Self::of).collect()
    }

    fn of(path: PathBuf) -> Self {
        let file = File::open(&path).unwrap();
        let bytes = file.metadata().unwrap().len();
        let mut pages = Vec::new();
        for at in (0..bytes).step_by(PAGE as usize) {
            let mut page = vec![0; PAGE.min(bytes - at) as usize];
            file.read_exact_at(&mut page, at).unwrap();
            if page.iter().any(|byte| *byte != 0) {
                pages.push((at, page));
            }
        }
        Self { path, bytes, pages }
    }

    pub(crate) fn open(&self) -> File {
        File::options().read(true).write(true).create(true).truncate(false).open(&self.path).unwrap()
    }

    pub(crate) fn put_back(&self) {
        let file = self.open();
        // What the last case has touched is zero again.
        file.set_len(0).unwrap();
        file.set_len(self.bytes).unwrap();
        for (at, page) in &self.pages {
            file.write_all_at(page, *at).unwrap();
        }
    }

    /// Where there is something, mostly: in half of the cases a word that was not zero in the image.
    fn place(&self, random: &mut Random) -> u64 {
        let (start, page) = &self.pages[random.below(self.pages.len() as u64) as usize];
        let words: Vec<_> =
            page.chunks(8).enumerate().filter(|(_, word)| word.iter().any(|byte| *byte != 0)).collect();
        match random.below(2) {
            0 => start + words[random.below(words.len() as u64) as usize].0 as u64 * 8,
            _ => start + random.below(page.len() as u64) / 8 * 8,
        }
    }

    /// Damages one word, as it is now.
    pub(crate) fn damage_word(&self, file: &File, random: &mut Random) {
        let (at, mut word) = (self.place(random), [0; 8]);
        // Whoever runs on it may have removed or shortened it.
        if file.read_at(&mut word, at).is_ok_and(|read| read == 8) {
            let bad = random.bad_word(u64::from_le_bytes(word));
            file.write_all_at(&bad.to_le_bytes(), at).unwrap();
        }
    }

    /// Damages a word, a stretch, or the length. Nobody has it mapped.
    pub(crate) fn damage(&self, random: &mut Random) {
        let file = self.open();
        match random.below(16) {
            0..12 => self.damage_word(&file, random),
            12..14 => {
                let ones = if random.below(2) == 0 { 0xff } else { 0 };
                let noise: Vec<u8> = (0..random.below(256)).map(|_| random.next() as u8 | ones).collect();
                file.write_all_at(&noise, self.place(random).min(self.bytes - 256)).unwrap();
            }
            14 => {
                // One structure over another.
                let page = |random: &mut Random| &self.pages[random.below(self.pages.len() as u64) as usize];
                let (start, other) = (page(random).0, &page(random).1);
                file.write_all_at(other, start).unwrap();
                file.set_len(self.bytes).unwrap();
            }
            _ => {
                let lengths = [0, 1, 63, 64, PAGE, self.bytes / 2, self.bytes - 1, self.bytes + PAGE];
                file.set_len(random.one_of(&lengths)).unwrap();
            }
        }
    }
}

/// The links to the segments, by which the domain finds them.
pub(crate) struct Links(Vec<(PathBuf, Vec<u8>)>);

impl Links {
    pub(crate) fn of(isolated: &Isolated) -> Self {
        let entries = read_dir(isolated.base.join(&isolated.name)).unwrap().map(|e| e.unwrap().path());
        let is_link = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name == "registry" || name.starts_with("pool.")
        };
        Self(entries.filter(is_link).map(|path| (path.clone(), std::fs::read(path).unwrap())).collect())
    }

    /// An unusable domain may have been made anew, in a new directory: away with that, and back with ours.
    pub(crate) fn put_back(&self, isolated: &Isolated, images: &[Image]) {
        let directory = isolated.base.join(&isolated.name);
        for name in isolated.objects() {
            let path = PathBuf::from("/dev/shm").join(name);
            if !images.iter().any(|image| image.path == path) {
                std::fs::remove_file(path).unwrap();
            }
        }
        if !directory.exists() {
            std::fs::create_dir(&directory).unwrap();
            std::fs::set_permissions(&directory, std::os::unix::fs::PermissionsExt::from_mode(0o700))
                .unwrap();
        }
        for entry in read_dir(&directory).unwrap().map(|e| e.unwrap().path()) {
            if entry.file_name().unwrap().to_str().unwrap().starts_with("pool.") {
                std::fs::remove_file(entry).unwrap();
            }
        }
        self.0.iter().for_each(|(path, bytes)| std::fs::write(path, bytes).unwrap());
    }
}
