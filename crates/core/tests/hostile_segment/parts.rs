//! What there is to damage in the segments of a domain, and where it lies.

use crate::random::Random;
use crate::support::Isolated;
use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

/// Parts of the segments that have a meaning of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    RegistryHeader,
    /// `remaps`, `recovering`, `departures`, the masks.
    SharedWords,
    SegmentTable,
    Log,
    Participants,
    Names,
    PoolHeaders,
    Bitmaps,
    /// References, lengths, kinds.
    BufferHeaders,
    /// The words of a message's header that carry its envelope and the state of a request.
    Envelopes,
    Ledgers,
    RingHeaders,
    /// From where on a subscription is delivered to, and what tells publishers of it.
    JoinStates,
    Slots,
    Leases,
    /// Headers and lengths of messages that share a buffer.
    Cells,
}

impl Part {
    pub(crate) const ALL: [Self; 16] = [
        Self::RegistryHeader,
        Self::SharedWords,
        Self::SegmentTable,
        Self::Log,
        Self::Participants,
        Self::Names,
        Self::PoolHeaders,
        Self::Bitmaps,
        Self::BufferHeaders,
        Self::Envelopes,
        Self::Ledgers,
        Self::RingHeaders,
        Self::JoinStates,
        Self::Slots,
        Self::Leases,
        Self::Cells,
    ];
}

/// A number of the layout, by its name.
pub(crate) fn fact(name: &str) -> u64 {
    static FACTS: OnceLock<HashMap<&'static str, usize>> = OnceLock::new();
    let facts = FACTS.get_or_init(|| millrace::layout_facts().0.iter().copied().collect());
    *facts.get(name).unwrap_or_else(|| panic!("the layout has no {name}")) as u64
}

const PAGE: u64 = 4096;
/// Participants and names that a test of this size uses, at most.
const SOME: u64 = 24;

/// One object of a domain, open.
pub(crate) struct Object {
    name: String,
    file: File,
}

impl Object {
    pub(crate) fn all_of(isolated: &Isolated) -> Vec<Self> {
        let open = |name: String| {
            let file = File::options().read(true).write(true).open(format!("/dev/shm/{name}"));
            file.ok().map(|file| Self { name, file })
        };
        isolated.objects().into_iter().filter_map(open).collect()
    }

    fn word(&self, at: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, at).ok()?;
        Some(u64::from_le_bytes(bytes))
    }

    fn half(&self, at: u64) -> u64 {
        self.word(at / 8 * 8).map_or(0, |word| word >> (at % 8 * 8) & 0xffff_ffff)
    }

    fn store(&self, at: u64, word: u64) {
        // One that has been removed meanwhile is nobody's.
        let _ = self.file.write_at(&word.to_le_bytes(), at);
    }

    fn is_registry(&self) -> bool {
        self.file.metadata().is_ok_and(|meta| meta.len() == fact("Registry"))
    }

    /// Where `part` lies in this object.
    fn ranges(&self, part: Part) -> Vec<Range<u64>> {
        if self.is_registry() { Self::in_registry(part) } else { self.in_pool(part).unwrap_or_default() }
    }

    #[expect(clippy::single_range_in_vec_init, reason = "most parts lie in one place")]
    fn in_registry(part: Part) -> Vec<Range<u64>> {
        let table = |name: &str, bytes: u64| {
            let start = fact(&format!("Registry.{name}"));
            start..start + bytes
        };
        match part {
            Part::RegistryHeader => vec![0..fact("Registry.remaps")],
            Part::SharedWords => ["remaps", "recovering", "departures", "name_waiters", "pool_waiters"]
                .map(|name| table(name, 16))
                .to_vec(),
            Part::SegmentTable => vec![table("segments", 8 * fact("SegmentEntry"))],
            Part::Log => vec![fact("Registry.log")..fact("Registry.participants")],
            Part::Participants => vec![table("participants", SOME * fact("ParticipantSlot"))],
            Part::Names => vec![table("names", 2 * SOME * fact("NameEntry"))],
            _ => Vec::new(),
        }
    }

    /// `None`: it is not complete.
    #[expect(clippy::single_range_in_vec_init, reason = "some parts lie in one place")]
    fn in_pool(&self, part: Part) -> Option<Vec<Range<u64>>> {
        if part == Part::PoolHeaders {
            return Some(vec![0..128]);
        }
        // Behind the header of the segment: bytes of a buffer, then how many there are.
        let (buffer_bytes, count) = (self.word(64)?, self.half(72));
        if count == 0 || count > 1 << fact("INDEX_BITS") {
            return None;
        }
        let headers = (PAGE + count.div_ceil(64) * 8).next_multiple_of(64);
        let ledger = (headers + count * fact("BufferHeader")).next_multiple_of(PAGE);
        let row = (count * 4).next_multiple_of(PAGE);
        let payload = ledger + row * fact("MAX_PARTICIPANTS");
        let header = |index: u64| headers + index * fact("BufferHeader");
        // Those that somebody has used.
        let used = || (0..count.min(300)).filter(|index| self.half(header(*index) + 4) != 0);
        let is_ring = |index: &u64| self.half(header(*index) + fact("BufferHeader.kind")) == 1;
        let rings = || used().filter(is_ring).map(|index| payload + index * buffer_bytes);
        let slots = |ring: u64| {
            let start = ring + fact("RingHeader");
            start..start + 8 * self.half(ring).min(64)
        };
        Some(match part {
            Part::Bitmaps => vec![PAGE..PAGE + count.div_ceil(64).min(4) * 8],
            Part::BufferHeaders => used().map(|i| header(i)..header(i) + 64).collect(),
            Part::Envelopes => used().map(|i| header(i) + 24..header(i) + 48).collect(),
            Part::Ledgers => (0..SOME).map(|slot| ledger + slot * row..ledger + slot * row + 64).collect(),
            Part::RingHeaders => rings().map(|ring| ring..ring + fact("RingHeader")).collect(),
            Part::JoinStates => {
                let words = ["RingHeader.history", "RingHeader.start", "RingHeader.subscriptions"].map(fact);
                rings().flat_map(|ring| words.map(|word| ring + word..ring + word + 8)).collect()
            }
            Part::Slots => rings().map(slots).collect(),
            Part::Leases => {
                let leases = |ring| {
                    let slots = slots(ring);
                    slots.end..slots.end + (slots.end - slots.start) / 8 * fact("LeaseEntry")
                };
                rings().map(leases).collect()
            }
            Part::Cells => {
                let whole =
                    used().filter(|index| !is_ring(index)).map(|index| payload + index * buffer_bytes);
                whole.map(|start| start..start + buffer_bytes.min(512)).collect()
            }
            _ => Vec::new(),
        })
    }
}

/// Damage that can be undone.
#[derive(Default)]
pub(crate) struct Damage {
    objects: HashMap<String, Object>,
    /// What was there before, and what is there now unless somebody has written it since.
    was: HashMap<(String, u64), (u64, u64)>,
    pub(crate) words: u64,
}

impl Damage {
    /// Damages up to `count` words of `part`.
    pub(crate) fn some(&mut self, isolated: &Isolated, part: Part, count: u64, random: &mut Random) {
        for object in Object::all_of(isolated) {
            self.objects.entry(object.name.clone()).or_insert(object);
        }
        let places: Vec<_> = self
            .objects
            .values()
            .flat_map(|object| object.ranges(part).into_iter().map(move |range| (object, range)))
            .filter(|(_, range)| !range.is_empty())
            .collect();
        if places.is_empty() {
            return;
        }
        for _ in 0..count {
            let (object, range) = &places[random.below(places.len() as u64) as usize];
            let at = (range.start + random.below(range.end - range.start)) / 8 * 8;
            let Some(word) = object.word(at) else { continue };
            let bad = random.bad_word(word);
            let (_, is) = self
                .was
                .entry((object.name.clone(), at))
                .and_modify(|(was, is)| *was = if *is == word { *was } else { word })
                .or_insert((word, bad));
            *is = bad;
            object.store(at, bad);
            self.words += 1;
        }
    }

    /// Puts back what was there before the first damage, unless somebody has written it since. What never changes is right again; what
    /// does is damaged in another way. Words that decide whether a recovery can be done get the value they have while nobody is inside
    /// an operation, as now.
    pub(crate) fn undo(&self) {
        for ((name, at), (was, bad)) in &self.was {
            let object = &self.objects[name];
            if object.word(*at) == Some(*bad) {
                object.store(*at, *was);
            }
        }
        // The domain does not persist. Behind the header of the segment and the budget: how many places of each table have been used, which
        // joiners and makers may have written since: all of them.
        for registry in self.objects.values().filter(|object| object.is_registry()) {
            registry.store(fact("SegmentHeader.persist"), 0);
            registry.store(fact("SegmentHeader") + 8, fact("MAX_PARTICIPANTS") | fact("MAX_QUEUES") << 32);
            registry.store(fact("SegmentHeader") + 16, fact("MAX_SEGMENTS"));
        }
        for registry in self.objects.values().filter(|object| object.is_registry()) {
            registry.store(fact("Registry.recovering"), 0);
            for slot in 0..fact("MAX_PARTICIPANTS") {
                let lanes = fact("Registry.participants")
                    + slot * fact("ParticipantSlot")
                    + fact("ParticipantSlot.lanes");
                let bytes = (fact("ParticipantSlot.wake") - fact("ParticipantSlot.lanes")) / fact("LANES");
                for lane in 0..fact("LANES") {
                    let at = lanes + lane * bytes;
                    // Slots that nobody has used are holes, and stay so.
                    if registry.word(at).is_some_and(|word| word != 0) {
                        registry.store(at, 0);
                        registry.store(at + fact("Lane.taking"), 0);
                    }
                }
            }
        }
    }

    /// Objects of domains that could not be repaired.
    pub(crate) fn remove_objects(&self) {
        for name in self.objects.keys() {
            let _ = std::fs::remove_file(format!("/dev/shm/{name}"));
        }
    }
}
