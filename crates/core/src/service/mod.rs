//! Services: requests and replies, between any number of clients and servers, in any language that speaks this protocol.
//!
//! A service is an at-least-once queue of requests, found by [`ShmManager::requests`](crate::ShmManager::requests), and a mailbox for
//! each participant that asks (for replies) or serves (for cancellations and credit). A message is an ordinary buffer; what it carries
//! beside its payload, its [`Envelope`], lies in words of the buffer's header, so the payload stays where and as it is.
//!
//! Whether a request is run is decided by one word in its header, the [`RequestState`]: a server claims a run, the client cancels,
//! each with one compare-and-exchange. So either a run begins, or the client knows that it never will.
//!
//! Mailboxes end with their owners: [`ShmManager::servers`](crate::ShmManager::servers) tells who serves, and
//! [`ShmManager::departures`](crate::ShmManager::departures) when to look again.
//!
//! ```
//! use millrace::service::{Claim, Envelope, MessageKind, ParticipantId, Role};
//! use millrace::{Delivery, OpenOptions, QueueOptions, ShmManager};
//!
//! # fn main() -> millrace::Result<()> {
//! # let domain = format!("doc-service-{}", std::process::id());
//! let (client, server) = (ShmManager::open(&domain, &OpenOptions::default())?, ShmManager::open(&domain, &OpenOptions::default())?);
//! let options = QueueOptions { delivery: Some(Delivery::AtLeastOnce), ..QueueOptions::default() };
//!
//! // The client makes its mailbox, then asks. It keeps a reference to the request, by which it can cancel it wherever it is.
//! let replies = client.create_mailbox("double", Role::Client, 64)?;
//! let mut request = client.allocate(1)?;
//! // SAFETY: nobody else has this buffer yet.
//! unsafe { request.bytes_mut()[0] = 21 };
//! request.set_envelope(&Envelope::request(client.id(), 1));
//! let kept = request.share()?;
//! client.requests("double", &options)?.try_send(request).expect("there is room");
//!
//! // The server claims the run, then replies into the mailbox of whoever asked. The end of `request` acknowledges it.
//! let mailbox = server.create_mailbox("double", Role::Server, 64)?;
//! assert_eq!(client.servers("double"), [server.id()]);
//! let request = server.requests("double", &options)?.try_receive()?.0.expect("one was sent");
//! let asked = request.envelope().expect("it is a request");
//! assert_eq!(request.request().claim(server.id(), 1), Claim::Run(1));
//! let mut reply = server.allocate(1)?;
//! // SAFETY: the request is only read by both, the reply is ours alone.
//! unsafe { reply.bytes_mut()[0] = request.bytes()[0] * 2 };
//! reply.set_envelope(&asked.reply(server.id(), MessageKind::Value, 1));
//! server.find_mailbox("double", Role::Client, asked.from)?.expect("it waits").try_send(reply).expect("there is room");
//! drop(request);
//!
//! let reply = replies.try_receive()?.0.expect("one was sent");
//! let said = reply.envelope().expect("it is a reply");
//! assert_eq!((said.kind, said.call, said.from), (MessageKind::Value, 1, server.id()));
//! // SAFETY: the server has let go of it.
//! assert_eq!(unsafe { reply.bytes()[0] }, 42);
//! assert_eq!(kept.request().state().last_run, Some(server.id().into()));
//! # drop(mailbox);
//! # Ok(())
//! # }
//! ```

mod envelope;
mod mailbox;
mod state;

pub use envelope::{
    Envelope, HAS_DEADLINE, KIND_SHIFT, MessageKind, ParticipantId, RUN_SHIFT, WINDOW_MAX, WINDOW_SHIFT,
};
pub use mailbox::Role;
pub use state::{Claim, RUNS_MAX, Request, RequestState, Runner};

pub(crate) use mailbox::{create_mailbox, destroy_mailboxes, find_mailbox, servers};
