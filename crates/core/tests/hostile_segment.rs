//! Random bits in every control structure while peers run: errors are allowed; crashes, hangs and panics are not.
#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]

mod support;

use millrace::service::{Envelope, Role};
use millrace::{Buffer, Delivery, Interest, OpenOptions, QueueOptions, ShmManager, TrySendError};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};
use support::{Isolated, PATIENCE, child, role, say};

/// One life of a peer: everything an application does; any error ends it.
fn live(isolated: &Isolated, seed: u64) -> millrace::Result<()> {
    let options = OpenOptions { timeout: Some(Duration::from_secs(20)), ..isolated.options() };
    let shm = ShmManager::open(&isolated.name, &options)?;
    let delivery = if seed.is_multiple_of(2) { Delivery::AtLeastOnce } else { Delivery::AtMostOnce };
    let options = QueueOptions { capacity: Some(16), delivery: Some(delivery), ..QueueOptions::default() };
    let queue = shm.port_queue(&format!("q{}", seed % 3), &options)?;
    for round in 0..300_u64 {
        let mut buffer = shm.allocate(100 << (round % 6))?;
        buffer.set_sequence(round);
        if let Err(TrySendError::Failed(_, error)) = queue.try_send(buffer) {
            return Err(error);
        }
        if let (Some(message), _) = queue.try_receive()? {
            // SAFETY: bytes are only read; what they are does not matter here.
            let sum: u64 = unsafe { message.bytes() }.iter().map(|b| u64::from(*b)).sum();
            std::hint::black_box(sum);
            if round % 7 == 0 {
                message.nack()?;
            }
        }
        if let Some(peeked) = queue.peek()? {
            shm.allocator().release(peeked)?;
        }
        queue.wait(Interest::Data, Duration::from_micros(50));
        if round % 10 == 0 {
            ask(&shm, round as u32)?;
        }
        match round % 100 {
            20 => drop(shm.snapshot()?),
            // Numbers nobody gave out.
            40 => drop(shm.allocator().release(Buffer { id: seed as u32 ^ round as u32, received: true })),
            60 => queue.close(),
            80 => queue.destroy(),
            _ => {}
        }
    }
    Ok(())
}

/// A request to whoever is there, with whatever words there are by then.
fn ask(shm: &ShmManager, call: u32) -> millrace::Result<()> {
    let replies = shm.create_mailbox("service", Role::Client, 4)?;
    let requests = shm.requests("service", &QueueOptions::default())?;
    let mut request = shm.allocate(10)?;
    request.set_envelope(&Envelope::request(shm.id(), call));
    let kept = request.share()?;
    let _ = requests.try_send(request);
    if let Some(request) = requests.try_receive()?.0 {
        let _ = request.request().claim(shm.id(), 3);
        if let Some(asked) = request.envelope()
            && let Some(mailbox) = shm.find_mailbox("service", Role::Client, asked.from)?
        {
            let _ = mailbox.try_send(request);
        }
    }
    let state = kept.request().cancel();
    let runner_is_there = state.last_run.is_some_and(|runner| shm.is_runner_alive(runner));
    std::hint::black_box((runner_is_there, shm.servers("service"), replies.try_receive()?.0));
    if call.is_multiple_of(50) {
        shm.destroy_service("service")?;
    }
    Ok(())
}

#[test]
fn random_bits_are_met_with_errors() {
    const NAME: &str = "random_bits_are_met_with_errors";
    if let Some((seed, isolated)) = role() {
        say("ready");
        let mut seed: u64 = seed.parse().unwrap();
        loop {
            let _ = live(&isolated, seed);
            seed += 1;
            println!("alive");
        }
    }
    let flips: u64 = if std::env::var_os("MILLRACE_LONG").is_some() { 1_000_000 } else { 30_000 };
    let isolated = Isolated::new("hostile");
    let keeper = isolated.open();
    let mut children: Vec<_> = (0..2).map(|i| child(NAME, &(i * 1000).to_string(), &isolated, &[])).collect();
    let heard: Vec<_> = children
        .iter_mut()
        .map(|child| {
            let out = child.stdout.take().unwrap();
            let (sender, receiver) = std::sync::mpsc::channel();
            std::thread::spawn(move || {
                use std::io::BufRead;
                std::io::BufReader::new(out)
                    .lines()
                    .map_while(Result::ok)
                    .try_for_each(|line| sender.send(line))
            });
            receiver
        })
        .collect();
    let (mut state, mut done) = (0x1234_5678_9abc_def1_u64, 0);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let (mut last_sign, mut lives) = ([Instant::now(); 2], [0; 2]);
    let mut seen = std::collections::BTreeSet::new();
    while done < flips || lives.iter().any(|lives| *lives < 20) {
        for name in isolated.objects() {
            seen.insert(name.clone());
            let Ok(file) = File::options().read(true).write(true).open(format!("/dev/shm/{name}")) else {
                continue;
            };
            let bytes = file.metadata().unwrap().len();
            // Mostly the tables at the start, sometimes anything; holes stay holes.
            for _ in 0..4 {
                let span = if next().is_multiple_of(4) { bytes.min(2 << 20) } else { bytes.min(160 << 10) };
                let at = next() % span.max(1);
                let mut byte = [0];
                if file.read_at(&mut byte, at).unwrap_or(0) == 1 {
                    byte[0] ^= 1 << (next() % 8);
                    let _ = file.write_at(&byte, at);
                    done += 1;
                }
            }
        }
        for (i, heard) in heard.iter().enumerate() {
            while let Ok(line) = heard.try_recv() {
                assert!(!line.contains("panicked"), "{line}");
                last_sign[i] = Instant::now();
                lives[i] += u32::from(line.contains("alive"));
            }
            let status = children[i].try_wait().unwrap();
            assert!(status.is_none(), "after {done} flips a peer ended: {status:?}");
            assert!(last_sign[i].elapsed() < PATIENCE, "after {done} flips a peer hangs");
        }
        // A domain that nobody can open any more is made anew, as an operator would.
        if done % 997 < 8 && ShmManager::open(&isolated.name, &isolated.options()).is_err() {
            let _ = std::fs::remove_dir_all(isolated.base.join(&isolated.name));
        }
    }
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    println!("{done} flips, {lives:?} lives of the peers");
    drop(keeper);
    // Domains that could not be repaired, and objects of directories that are gone.
    for name in seen {
        let _ = std::fs::remove_file(format!("/dev/shm/{name}"));
    }
}
