//! Every part of the segments is damaged while processes run on them: errors are allowed; crashes, hangs and panics are not, in no thread.
//! Afterwards every participant still takes part: its sentinel lives, and recovers who dies then.
//!
//! `MILLRACE_LONG=1` damages a thousand times as much, `MILLRACE_SEED=n` other words, `MILLRACE_PART=Names` that part alone. One process, before and after opening: `fuzz`.
#![allow(missing_docs, clippy::allow_attributes, clippy::allow_attributes_without_reason)]
// Sentinels are looked for in /proc.
#![cfg(target_os = "linux")]

#[path = "../support/exercise.rs"]
mod exercise;
mod parts;
mod peer;
#[path = "../support/random.rs"]
mod random;
#[path = "../support/scene.rs"]
mod scene;
#[path = "../support/mod.rs"]
mod support;

use parts::{Damage, Part};
use peer::Peer;
use random::Random;
use support::{Isolated, role};

const NAME: &str = "damage_of_every_part_is_met_with_errors_and_outlived";

/// Words that are damaged between two looks at what there is.
const AT_ONCE: u64 = 16;

#[test]
fn damage_of_every_part_is_met_with_errors_and_outlived() {
    if let Some((role, isolated)) = role() {
        return match role.split_once(' ') {
            Some(("peer", seed)) => peer::live(isolated, seed.parse().unwrap()),
            _ => peer::stand_by(&isolated),
        };
    }
    let (words, lives) = if std::env::var_os("MILLRACE_LONG").is_some() { (50_000, 200) } else { (150, 1) };
    let seed = std::env::var("MILLRACE_SEED").map_or(1, |seed| seed.parse().unwrap());
    let only = std::env::var("MILLRACE_PART").ok();
    let is_wanted = |part: &Part| only.as_ref().is_none_or(|only| *only == format!("{part:?}"));
    for (at, part) in Part::ALL.into_iter().enumerate().filter(|(_, part)| is_wanted(part)) {
        let mut random = Random::of(at as u64, seed);
        let damaged = outlive(part, at, (words, lives), &mut random);
        println!("{part:?}: {damaged} words damaged");
    }
}

/// Damages at least `words` words, and as long as it takes until each peer has had `lives` lives; returns how many it were.
fn outlive(part: Part, at: usize, (words, lives): (u64, u32), random: &mut Random) -> u64 {
    let isolated = Isolated::new("hostile");
    let mut peers: Vec<_> =
        (0..3).map(|i| Peer::start(NAME, &format!("peer {}", at * 3 + i), &isolated)).collect();
    peers.iter_mut().for_each(|peer| peer.hear("ready"));
    let mut damage = Damage::default();
    while damage.words < words || peers.iter().any(|peer| peer.lives < lives) {
        let before = damage.words;
        damage.some(&isolated, part, AT_ONCE, random);
        assert_ne!(damage.words, before, "there is nothing of {part:?}");
        peers.iter_mut().for_each(Peer::listen);
    }
    for peer in &mut peers {
        peer.tell("stop");
        peer.hear("stopped");
    }
    damage.undo();
    for peer in &mut peers {
        assert_eq!(peer.sentinels(), 1, "{part:?}: the sentinel of {}", peer.name);
        peer.tell("watch");
        peer.hear("watching");
    }
    // One after the other dies, until one is left, another one each time: its sentinel alone recovers the last of them.
    peers.rotate_left(at % 3);
    let mut bystander = Peer::start(NAME, "bystander", &isolated);
    bystander.hear("ready");
    bystander.kill();
    peers.iter_mut().for_each(|peer| peer.hear("saw bystander"));
    while peers.len() > 1 {
        let victim = peers.remove(0);
        let name = victim.name.clone();
        victim.kill();
        peers.iter_mut().for_each(|peer| peer.hear(&format!("saw {name}")));
    }
    let mut last = peers.remove(0);
    last.tell("leave");
    last.end();
    damage.remove_objects();
    damage.words
}
