//! FileSource and FileSink: exact bytes, and errors that name the path.

mod support;

use millrace::ErrorKind;
use millrace_flow::blocks::{FileSink, FileSource};
use millrace_flow::{Scheduler, SchedulerOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use support::blocks::{Seen, assert_whole, collector, counter, domain, emitter, every_policy, single};
use support::steps::small;

/// A directory that is removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("millrace-file-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|at| (at * 7 + at / 251) as u8).collect()
}

/// Lengths of the messages in which a file comes, and their bytes.
fn read(options: SchedulerOptions, path: &Path, size: usize) -> (Vec<usize>, Vec<u8>) {
    let shm = domain();
    let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
    let source = scheduler.add("source", FileSource::new(path, size).unwrap()).unwrap();
    let (sink, collected) = collector();
    let sink = scheduler.add("sink", sink).unwrap();
    scheduler.link((source, "out"), (sink, "in"), &small(8)).unwrap();
    let report = scheduler.run().unwrap();
    assert_whole(&shm);
    let seen = collected.lock().unwrap();
    assert!(seen.iter().map(|message| message.sequence).eq(0..seen.len() as u64));
    let bytes: Vec<u8> = seen.iter().flat_map(|message| message.bytes.clone()).collect();
    assert_eq!(counter(&report, "source", "bytes"), bytes.len() as u64);
    (seen.iter().map(|message| message.bytes.len()).collect(), bytes)
}

#[test]
fn a_file_comes_whole_in_messages_of_the_size_and_a_rest() {
    let directory = Directory::new("read");
    let path = directory.0.join("file");
    for options in every_policy() {
        for (bytes, lengths) in
            [(0, vec![]), (1, vec![1]), (999, vec![999]), (1000, vec![1000]), (2500, vec![1000, 1000, 500])]
        {
            std::fs::write(&path, content(bytes)).unwrap();
            assert_eq!(read(options.clone(), &path, 1000), (lengths, content(bytes)));
        }
        // More than a call reads.
        std::fs::write(&path, content(5_000_000)).unwrap();
        assert!(read(options, &path, 300_000).1 == content(5_000_000));
    }
}

#[cfg(unix)]
#[test]
fn a_pipe_is_read_to_its_end_however_its_bytes_come() {
    use std::io::Write;
    let directory = Directory::new("pipe");
    let path = directory.0.join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let writer = {
        let path = path.clone();
        std::thread::spawn(move || {
            let mut pipe = std::fs::OpenOptions::new().write(true).open(path).unwrap();
            // Pieces that fit neither the messages nor the pipe.
            content(200_000).chunks(777).for_each(|piece| pipe.write_all(piece).unwrap());
        })
    };
    let options =
        SchedulerOptions { policy: millrace_flow::Policy::ThreadPerBlock, ..SchedulerOptions::default() };
    let (lengths, bytes) = read(options, &path, 3000);
    writer.join().unwrap();
    assert!(bytes == content(200_000));
    assert_eq!((lengths.len(), lengths[..66].iter().all(|length| *length == 3000)), (67, true));
}

/// Writes messages to a file.
fn write(options: SchedulerOptions, sink: FileSink, messages: &[usize]) -> millrace::Result<u64> {
    let shm = domain();
    let mut scheduler = Scheduler::new(Arc::clone(&shm), options).unwrap();
    let mut all = content(messages.iter().sum());
    let messages = messages.iter().map(|length| {
        let rest = all.split_off(*length);
        let bytes = std::mem::replace(&mut all, rest);
        Seen { sequence: 0, source: 0, tag: 0, time: 0, bytes }
    });
    let source = scheduler.add("source", emitter(messages.collect())).unwrap();
    let sink = scheduler.add("sink", sink).unwrap();
    scheduler.link((source, "out"), (sink, "in"), &small(8)).unwrap();
    let report = scheduler.run();
    assert_whole(&shm);
    report.map(|report| counter(&report, "sink", "bytes"))
}

#[test]
fn all_bytes_of_all_messages_are_in_the_file_in_order() {
    let directory = Directory::new("write");
    let path = directory.0.join("file");
    let lengths: Vec<usize> = (0..200).chain([0, 2_000_000, 0, 1]).collect();
    let total: usize = lengths.iter().sum();
    for options in every_policy() {
        std::fs::write(&path, b"what was there before").unwrap();
        assert_eq!(write(options.clone(), FileSink::new(&path).sync(), &lengths).unwrap(), total as u64);
        assert!(std::fs::read(&path).unwrap() == content(total));
        assert_eq!(write(options, FileSink::new(&path).append(), &[3]).unwrap(), 3);
        assert!(std::fs::read(&path).unwrap() == [content(total), content(3)].concat());
    }
}

#[test]
fn errors_name_the_block_and_the_path() {
    let directory = Directory::new("errors");
    let path = directory.0.join("missing").join("file");
    let shm = domain();
    let mut scheduler = Scheduler::new(Arc::clone(&shm), single(1)).unwrap();
    let source = scheduler.add("source", FileSource::new(&path, 10).unwrap()).unwrap();
    let (sink, _) = collector();
    let sink = scheduler.add("sink", sink).unwrap();
    scheduler.link((source, "out"), (sink, "in"), &small(8)).unwrap();
    let error = scheduler.run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    let text = error.to_string();
    assert!(text.contains(&format!("block \"source\": cannot open {}", path.display())), "{text}");

    let error = write(single(1), FileSink::new(&path), &[1]).unwrap_err().to_string();
    assert!(error.contains(&format!("block \"sink\": cannot open {}", path.display())), "{error}");
    // A directory can be opened, and not read.
    let mut scheduler = Scheduler::new(Arc::clone(&shm), single(1)).unwrap();
    let source = scheduler.add("source", FileSource::new(&directory.0, 10).unwrap()).unwrap();
    let (sink, _) = collector();
    let sink = scheduler.add("sink", sink).unwrap();
    scheduler.link((source, "out"), (sink, "in"), &small(8)).unwrap();
    let error = scheduler.run().unwrap_err().to_string();
    assert!(error.contains(&directory.0.display().to_string()), "{error}");
    assert!(FileSource::new("file", 0).unwrap_err().to_string().contains("setting size of FileSource is 0"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_device_that_is_full_fails_with_the_path_or_is_passed_over_by_option() {
    use millrace_flow::{BlockOptions, OnError, Then};
    let error = write(single(1), FileSink::new("/dev/full"), &[1, 2, 3]).unwrap_err().to_string();
    assert!(error.contains("block \"sink\": cannot write /dev/full"), "{error}");

    let shm = domain();
    let mut scheduler = Scheduler::new(Arc::clone(&shm), single(1)).unwrap();
    let message = Seen { sequence: 0, source: 0, tag: 0, time: 0, bytes: vec![1] };
    let source = scheduler.add("source", emitter(vec![message; 5])).unwrap();
    let on_error = OnError { then: Then::Skip, ..OnError::default() };
    let options = BlockOptions { on_error, ..BlockOptions::default() };
    let sink = scheduler.add_with("sink", Box::new(FileSink::new("/dev/full")), options).unwrap();
    scheduler.link((source, "out"), (sink, "in"), &small(8)).unwrap();
    assert_eq!(scheduler.run().unwrap().block("sink").unwrap().skipped, 5);
    assert_whole(&shm);
}
