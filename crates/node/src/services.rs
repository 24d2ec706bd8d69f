//! Services: what [`BindingManager`] finds by name.

use crate::error::{Result, from_core};
use crate::handles::What;
use crate::manager::BindingManager;
use crate::options::BindingQueueOptions;
use crate::to_json;
use millrace::ErrorKind;
use millrace::service::{ParticipantId, Role, Runner};
use napi_derive::napi;

/// One participant of the domain, for ever.
#[napi(object, object_from_js = false)]
#[derive(Debug)]
pub struct BindingParticipantId {
    /// Its slot.
    pub slot: u32,
    /// Which tenant of the slot it is.
    pub epoch: u32,
}

fn role_of(role: &str) -> Result<Role> {
    match role {
        "client" => Ok(Role::Client),
        "server" => Ok(Role::Server),
        other => Err(napi::Error::new(
            ErrorKind::InvalidArgument.code(),
            format!("the role of a mailbox is {other:?}, must be \"client\" or \"server\""),
        )),
    }
}

#[napi]
impl BindingManager {
    /// Which tenant of its slot this participant is.
    #[napi(getter, catch_unwind)]
    pub fn epoch(&self) -> Result<u32> {
        self.session(|session| Ok(session.manager.epoch()))
    }

    /// Whether tenant `epoch` of `slot` takes part.
    #[napi(catch_unwind)]
    pub fn is_alive(&self, slot: u32, epoch: u32) -> Result<bool> {
        self.session(|session| Ok(session.manager.is_alive(slot as usize, epoch)))
    }

    /// Whether the participant that the state of a request names takes part.
    #[napi(catch_unwind)]
    pub fn is_runner_alive(&self, slot: u32, epoch_low: u32) -> Result<bool> {
        let runner = Runner { slot: slot as usize, epoch_low: epoch_low as u16 };
        self.session(|session| Ok(session.manager.is_runner_alive(runner)))
    }

    /// A handle for the queue of SageQueue `name`, as `queue`.
    #[napi(catch_unwind)]
    pub fn work_queue(&self, name: String, options: Option<BindingQueueOptions>) -> Result<u32> {
        self.named(What::Work, &name, options)
    }

    /// A handle for the queue of requests of `service`, as `queue`.
    #[napi(catch_unwind)]
    pub fn requests(&self, service: String, options: Option<BindingQueueOptions>) -> Result<u32> {
        self.named(What::Requests, &service, options)
    }

    /// A handle for the mailbox of this participant in `service`, made for `capacity` messages if there is none.
    #[napi(catch_unwind)]
    pub fn create_mailbox(
        &self,
        service: String,
        #[napi(ts_arg_type = "'client' | 'server'")] role: String,
        capacity: u32,
    ) -> Result<u32> {
        let role = role_of(&role)?;
        self.session(|session| {
            session.handles.drop_ended();
            let mailbox = session.manager.create_mailbox(&service, role, capacity).map_err(from_core)?;
            Ok(session.handles.add_mailbox(&service, mailbox))
        })
    }

    /// A handle of its own for the mailbox of tenant `epoch` of `slot` in `service`; null: it has none.
    #[napi(catch_unwind)]
    pub fn find_mailbox(
        &self,
        service: String,
        #[napi(ts_arg_type = "'client' | 'server'")] role: String,
        slot: u32,
        epoch: u32,
    ) -> Result<Option<u32>> {
        let (role, owner) = (role_of(&role)?, ParticipantId { slot: slot as usize, epoch });
        self.session(|session| {
            session.handles.drop_ended();
            let mailbox = session.manager.find_mailbox(&service, role, owner).map_err(from_core)?;
            Ok(mailbox.map(|mailbox| session.handles.add_mailbox(&service, mailbox)))
        })
    }

    /// Participants that serve `service` now.
    #[napi(catch_unwind)]
    pub fn servers(&self, service: String) -> Result<Vec<BindingParticipantId>> {
        let plain = |ParticipantId { slot, epoch }| BindingParticipantId { slot: slot as u32, epoch };
        self.session(|session| Ok(session.manager.servers(&service).into_iter().map(plain).collect()))
    }

    /// Removes the service for everybody: its queue of requests and all mailboxes; false: it has neither.
    #[napi(catch_unwind)]
    pub fn destroy_service(&self, service: String) -> Result<bool> {
        self.session(|session| {
            let done = session.manager.destroy_service(&service).map_err(from_core);
            session.handles.drop_ended();
            done
        })
    }

    /// The numbers of one queue, as JSON; null while it does not exist or when it has been destroyed.
    #[napi(catch_unwind)]
    pub fn queue_stats(&self, queue: u32) -> Result<Option<String>> {
        self.with_queue(queue, |queue| queue.stats().map(|stats| to_json(&stats))).map(Option::flatten)
    }

    /// Whether the queue is empty and nobody has a message of it that is not acknowledged; null while it does not exist or when it has
    /// been destroyed.
    #[napi(catch_unwind)]
    pub fn is_idle(&self, queue: u32) -> Result<Option<bool>> {
        self.with_live_queue(queue, millrace::PortQueue::is_idle)
    }

    /// Messages in the queue now, those to be delivered again included; null while it does not exist or when it has been destroyed.
    #[napi(catch_unwind)]
    pub fn depth(&self, queue: u32) -> Result<Option<u32>> {
        self.with_live_queue(queue, |queue| queue.len() as u32)
    }
}
