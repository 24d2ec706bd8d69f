//! The system's pipe, one write and one read a message.

use super::{BYTES, Contender, Message};
use crate::options::Options;
use std::io::{ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;

pub(crate) enum Pipe {
    Sends(PipeWriter),
    Receives(PipeReader),
}

impl Contender for Pipe {
    type Plan = [(PipeReader, PipeWriter); 2];

    fn plan(options: &Options) -> Self::Plan {
        assert!(options.consumers == 1, "a pipe has one reader");
        let pipes = [0, 1].map(|_| std::io::pipe().expect("a pipe"));
        for (reader, _) in pipes.iter().filter(|_| options.spin) {
            // SAFETY: sets a flag of a descriptor of ours.
            let set = unsafe { libc::fcntl(reader.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
            assert_eq!(set, 0, "a pipe that does not block");
        }
        pipes
    }

    fn producer(plan: &Self::Plan, _: &Options, way: usize) -> Self {
        Self::Sends(plan[way].1.try_clone().expect("a descriptor"))
    }

    fn consumer(plan: &Self::Plan, _: &Options, way: usize, _: usize) -> Self {
        Self::Receives(plan[way].0.try_clone().expect("a descriptor"))
    }

    /// Writes of up to 4 KiB are not mixed up with those of others.
    fn send(&mut self, message: &Message) -> bool {
        let Self::Sends(writer) = self else { unreachable!("an end that sends") };
        writer.write_all(message.bytes()).expect("a write");
        true
    }

    /// Sleeps itself, unless this end is to wait awake.
    fn receive(&mut self) -> Option<Message> {
        let Self::Receives(reader) = self else { unreachable!("an end that receives") };
        let mut bytes = [0; BYTES];
        match reader.read(&mut bytes) {
            Ok(BYTES) => Some(Message::read(&bytes)),
            Ok(count) => panic!("a message of {count} bytes"),
            Err(e) if e.kind() == ErrorKind::WouldBlock => None,
            Err(e) => panic!("a read: {e}"),
        }
    }

    fn sleep(&mut self) {}
}
