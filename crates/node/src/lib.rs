//! Node-API binding of `millrace`: converts, calls, converts. No algorithm lives here.
//!
//! Slow operations are methods of [`manager::BindingManager`]; hot ones are the functions of [`hot`], which take no arguments and work
//! on the [`block`].

mod array_buffer;
pub mod block;
mod ends;
mod error;
pub mod hot;
pub mod manager;
mod options;
mod session;
