//! Scheduler: blocks and links are put together here, then run.

use crate::block::Block;
use crate::cell::{Cell, Parts};
use crate::link::{End, Local, Port, TaskId};
use crate::options::{BlockOptions, LinkOptions, Policy, SchedulerOptions, THREADS_MAX, Then};
use crate::port::{Input, Outlet, Output};
use crate::ports::{PortSpec, Ports};
use crate::run::Run;
use crate::stats::Report;
use crate::task::Task;
use millrace::{Error, Interest, Result, ShmManager};
use std::collections::HashMap;
use std::sync::Arc;

/// A block of one scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockId(pub(crate) TaskId);

/// Runs blocks.
#[derive(Debug)]
pub struct Scheduler {
    shm: Arc<ShmManager>,
    options: SchedulerOptions,
    blocks: Vec<Added>,
    links: Vec<Link>,
    /// Queues that somebody else makes, at ports.
    inputs: HashMap<(TaskId, usize), Arc<End>>,
    outputs: HashMap<(TaskId, usize), Vec<Arc<End>>>,
}

struct Added {
    name: String,
    block: Box<dyn Block>,
    ports: Ports,
    options: BlockOptions,
}

impl std::fmt::Debug for Added {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:?}", self.name, self.ports)
    }
}

#[derive(Debug)]
struct Link {
    to: (TaskId, usize),
    from: Vec<(TaskId, usize)>,
    options: LinkOptions,
}

impl Scheduler {
    /// One without blocks, which run as participant `shm`.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn new(shm: Arc<ShmManager>, options: SchedulerOptions) -> Result<Self> {
        if !(1..=THREADS_MAX).contains(&options.threads) {
            return Err(Error::invalid_argument(format!(
                "threads is {}, must be 1 to {THREADS_MAX}",
                options.threads
            )));
        }
        let (inputs, outputs) = (HashMap::new(), HashMap::new());
        Ok(Self { shm, options, blocks: Vec::new(), links: Vec::new(), inputs, outputs })
    }

    /// Adds a block, whose `name` is for links, reports and errors.
    ///
    /// # Errors
    /// `InvalidArgument` when there is one of that name.
    pub fn add(&mut self, name: &str, block: impl Block) -> Result<BlockId> {
        self.add_with(name, Box::new(block), BlockOptions::default())
    }

    /// The same with options.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub fn add_with(&mut self, name: &str, block: Box<dyn Block>, options: BlockOptions) -> Result<BlockId> {
        if name.is_empty() || self.blocks.iter().any(|added| added.name == name) {
            return Err(Error::invalid_argument(format!(
                "block name {name:?}: it must not be empty, and each block needs one of its own"
            )));
        }
        if let Some(thread) = options.thread.filter(|thread| *thread >= self.options.threads) {
            return Err(Error::invalid_argument(format!(
                "block {name:?}: thread is {thread}, must be below {}",
                self.options.threads
            )));
        }
        if options.on_error.then == Then::DeadLetter && options.dead_letters.is_none() {
            return Err(Error::invalid_argument(format!(
                "block {name:?}: dead letters need a queue to go to"
            )));
        }
        let ports = block.ports();
        self.blocks.push(Added { name: name.to_owned(), block, ports, options });
        Ok(BlockId(self.blocks.len() - 1))
    }

    /// Links an output to an input, by a queue that ends with this scheduler. An output may be linked to several inputs, each of which gets
    /// every message; and several outputs to one input, whose options count once.
    ///
    /// # Errors
    /// `InvalidArgument` when there is no such port, its type is another, or it is linked to a queue.
    pub fn link(&mut self, from: (BlockId, &str), to: (BlockId, &str), options: &LinkOptions) -> Result<()> {
        let (output, input) = (self.output(from)?, self.input(to)?);
        let types = [
            self.blocks[from.0.0].ports.outputs[output].type_id,
            self.blocks[to.0.0].ports.inputs[input].type_id,
        ];
        if types[0] != types[1] && !types.contains(&0) {
            let [sent, taken] = types;
            let (from, to) = (self.port(from), self.port(to));
            return Err(Error::invalid_argument(format!(
                "{from} sends messages of type {sent}, {to} takes those of type {taken}"
            )));
        }
        if self.inputs.contains_key(&(to.0.0, input)) {
            return Err(Error::invalid_argument(format!(
                "input {} is linked to a queue already",
                self.port(to)
            )));
        }
        let ports = format!("output {} and input {}", self.port(from), self.port(to));
        let (from, to) = ((from.0.0, output), (to.0.0, input));
        match self.links.iter_mut().find(|link| link.to == to) {
            Some(link) if link.from.contains(&from) => {
                Err(Error::invalid_argument(format!("{ports} are linked already")))
            }
            Some(link) => {
                link.from.push(from);
                Ok(())
            }
            None => {
                self.links.push(Link { to, from: vec![from], options: options.clone() });
                Ok(())
            }
        }
    }

    /// Links an input to a queue that others send to. If it does not exist, the block makes it, with options that are nobody's wish. The block
    /// ends when the queue is closed and empty.
    ///
    /// # Errors
    /// `InvalidArgument` when there is no such input, or it is linked already.
    pub fn connect_input(&mut self, to: (BlockId, &str), queue: &str) -> Result<()> {
        self.connect_to(to, queue, false)
    }

    /// The same for the only receiver of a queue, whose senders close it: a drain waits for that, and the queue is removed when the block has
    /// ended, with what is left in it.
    ///
    /// # Errors
    /// As [`Scheduler::connect_input`].
    pub fn connect_only_input(&mut self, to: (BlockId, &str), queue: &str) -> Result<()> {
        self.connect_to(to, queue, true)
    }

    fn connect_to(&mut self, to: (BlockId, &str), queue: &str, only: bool) -> Result<()> {
        let input = self.input(to)?;
        let port = (to.0.0, input);
        if self.inputs.contains_key(&port) || self.links.iter().any(|link| link.to == port) {
            return Err(Error::invalid_argument(format!("input {} is linked already", self.port(to))));
        }
        let end = End::named(queue, Interest::Data, self.input_port(to.0.0, input), only);
        self.inputs.insert(port, Arc::new(end));
        Ok(())
    }

    /// Links an output to a queue that others receive from. It need not exist yet: it is made by who receives from it, or names its options. It
    /// stays open when the block has ended.
    ///
    /// # Errors
    /// `InvalidArgument` when there is no such output, or it is linked to that queue already.
    pub fn connect_output(&mut self, from: (BlockId, &str), queue: &str) -> Result<()> {
        self.connect(from, queue, false)
    }

    /// The same for the only sender of a queue, which is closed when the block has ended.
    ///
    /// # Errors
    /// As [`Scheduler::connect_output`].
    pub fn connect_only_output(&mut self, from: (BlockId, &str), queue: &str) -> Result<()> {
        self.connect(from, queue, true)
    }

    fn connect(&mut self, from: (BlockId, &str), queue: &str, only: bool) -> Result<()> {
        let output = self.output(from)?;
        let port = self.output_port(from.0.0, output);
        let ends = self.outputs.entry((from.0.0, output)).or_default();
        if ends.iter().any(|end| end.name() == queue) {
            return Err(Error::invalid_argument(format!(
                "output {} is linked to queue {queue:?} already",
                self.port(from)
            )));
        }
        ends.push(Arc::new(End::named(queue, Interest::Space, port, only)));
        Ok(())
    }

    /// Runs the blocks until all have ended.
    ///
    /// # Errors
    /// As [`Run::wait`].
    pub fn run(self) -> Result<Report> {
        self.start()?.wait()
    }

    /// Starts the blocks.
    ///
    /// # Errors
    /// `InvalidArgument` for a port that is linked to nothing, an input that needs more messages than its queue holds, and a scheduler
    /// without blocks; as [`ShmManager::create_link`].
    pub fn start(mut self) -> Result<Run> {
        if self.blocks.is_empty() {
            return Err(Error::invalid_argument("a scheduler without blocks".to_owned()));
        }
        self.check_ports()?;
        for link in std::mem::take(&mut self.links) {
            if let Err(error) = self.make(link) {
                // Those that have been made are of no use.
                let made = self.inputs.values().filter(|end| end.local.is_some());
                for queue in made.filter_map(|end| end.known()) {
                    queue.destroy();
                }
                return Err(error);
            }
        }
        let threads = match self.options.policy {
            Policy::WorkStealing | Policy::Pinned => self.options.threads,
            Policy::ThreadPerBlock => self.blocks.len(),
            Policy::Single { .. } => 1,
        };
        let Self { inputs, mut outputs, options: how, .. } = self;
        let mut tasks = Vec::new();
        for (id, Added { name, block, ports, options }) in self.blocks.into_iter().enumerate() {
            let home = match how.policy {
                Policy::WorkStealing => None,
                Policy::Pinned => options.thread.or(Some(id % threads)),
                Policy::ThreadPerBlock => Some(id),
                Policy::Single { .. } => Some(0),
            };
            let ins = ports.inputs.iter().enumerate();
            let outs = (0..ports.outputs.len()).map(|at| outputs.remove(&(id, at)).unwrap_or_default());
            let cell = Cell::new(Parts {
                name,
                block,
                ready: ports.ready,
                inputs: ins.map(|(at, spec)| Input::new(Arc::clone(&inputs[&(id, at)]), spec)).collect(),
                outputs: outs.map(|ends| Output::new(ends.into_iter().map(Outlet::new).collect())).collect(),
                on_error: options.on_error,
                dead_letters: options.dead_letters,
            });
            tasks.push(Task::new(cell, home, options.priority as usize));
        }
        Run::start(self.shm, tasks, threads, &how)
    }

    /// Makes the queue of a link.
    fn make(&mut self, link: Link) -> Result<()> {
        let Link { to, from, options } = link;
        let (block, output) = from[0];
        let name = format!("{}.{}", self.blocks[block].name, self.blocks[block].ports.outputs[output].name);
        let queue = self.shm.create_link(&link_name(&name), &options.queue())?;
        let ports = from.iter().map(|(block, output)| self.output_port(*block, *output));
        let local = Arc::new(Local::new(ports.collect(), self.input_port(to.0, to.1)));
        let end = |interest, port: &Port| {
            Arc::new(End::new(Arc::clone(&queue), interest, port.clone(), Arc::clone(&local)))
        };
        self.inputs.insert(to, end(Interest::Data, &local.to));
        for (at, port) in from.into_iter().zip(&local.from) {
            self.outputs.entry(at).or_default().push(end(Interest::Space, port));
        }
        Ok(())
    }

    /// Every port is linked, and every input can have what it needs.
    fn check_ports(&self) -> Result<()> {
        for (id, Added { name, ports, .. }) in self.blocks.iter().enumerate() {
            for (at, spec) in ports.inputs.iter().enumerate() {
                let link = self.links.iter().find(|link| link.to == (id, at));
                if link.is_none() && !self.inputs.contains_key(&(id, at)) {
                    return Err(Error::invalid_argument(format!(
                        "input {:?} of block {name:?} is linked to nothing",
                        spec.name
                    )));
                }
                let capacity = link.and_then(|link| link.options.capacity).unwrap_or(u32::MAX) as usize;
                if spec.min > capacity {
                    let what = format!("input {:?} of block {name:?} needs {} messages", spec.name, spec.min);
                    return Err(Error::invalid_argument(format!("{what}, and its link holds {capacity}")));
                }
            }
            for (at, spec) in ports.outputs.iter().enumerate() {
                let is_linked = self.links.iter().any(|link| link.from.contains(&(id, at)));
                if !is_linked && !self.outputs.contains_key(&(id, at)) {
                    return Err(Error::invalid_argument(format!(
                        "output {:?} of block {name:?} is linked to nothing",
                        spec.name
                    )));
                }
            }
        }
        Ok(())
    }

    fn input_port(&self, block: TaskId, input: usize) -> Port {
        self.port_of(block, &self.blocks[block].ports.inputs[input])
    }

    fn output_port(&self, block: TaskId, output: usize) -> Port {
        self.port_of(block, &self.blocks[block].ports.outputs[output])
    }

    fn port_of(&self, block: TaskId, spec: &PortSpec) -> Port {
        Port { block, label: format!("{}.{}", self.blocks[block].name, spec.name) }
    }

    fn port(&self, (block, port): (BlockId, &str)) -> String {
        format!("{}.{port}", self.blocks[block.0].name)
    }

    fn output(&self, (block, port): (BlockId, &str)) -> Result<usize> {
        let Added { name, ports, .. } = &self.blocks[block.0];
        find("output", name, ports.outputs.iter().map(|spec| spec.name.as_ref()), port)
    }

    fn input(&self, (block, port): (BlockId, &str)) -> Result<usize> {
        let Added { name, ports, .. } = &self.blocks[block.0];
        find("input", name, ports.inputs.iter().map(|spec| spec.name.as_ref()), port)
    }
}

fn find<'a>(
    what: &str,
    block: &str,
    mut names: impl Iterator<Item = &'a str> + Clone,
    port: &str,
) -> Result<usize> {
    let all = names.clone();
    names.position(|name| name == port).ok_or_else(|| {
        let all: Vec<_> = all.collect();
        Error::invalid_argument(format!("block {block:?} has no {what} {port:?}; it has {all:?}"))
    })
}

/// What a queue between blocks may be called: names of blocks are free.
fn link_name(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' };
    let name: String = name.chars().map(allowed).take(millrace::limits::MAX_NAME_BYTES).collect();
    if name.starts_with(|c: char| c.is_ascii_alphanumeric()) { name } else { format!("b{}", &name[1..]) }
}
